"""What no run of a model has used is told by line: branches, masks, clamps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from torch2flow.proof.parity.exercised import NOTING, Exercised

SOURCE = """\
def helper(x):
    if x is None:
        return 0
    return x


class Net:
    def __init__(self, wide):
        self.wide = wide if wide else 1

    def forward(self, x, mask=None):
        if x.shape[0] > 8:
            raise ValueError("too many")
        if mask is not None:
            x = x.masked_fill(mask, 0.0)
            if self.wide > 4:
                x = x + 1
        y = F.hardtanh(x, -1.0, 1.0)
        return flow.where(y > 0, y, helper(y)).clamp(max=0.5) if self.wide else y
"""


class Numbers(np.ndarray):
    """An array with the few methods of a OneFlow tensor that are asked for."""

    is_lazy = False

    def detach(self) -> Numbers:
        return self

    def numpy(self) -> Any:
        return np.asarray(self)

    def masked_fill(self, mask: Any, value: float) -> Numbers:
        return numbers(np.where(mask, value, self))

    def clamp(self, max: float) -> Numbers:
        return numbers(np.minimum(self, max))


def numbers(values: Any) -> Numbers:
    return np.asarray(values).view(Numbers)


class F:
    @staticmethod
    def hardtanh(x: Any, low: float, high: float) -> Numbers:
        return numbers(np.clip(np.asarray(x), low, high))


class Flow:
    @staticmethod
    def where(mask: Any, one: Any, other: Any) -> Numbers:
        return numbers(np.where(mask, one, other))


def built() -> tuple[Exercised, Any]:
    noting = Exercised()
    scope: dict[str, Any] = {NOTING: noting, "F": F, "flow": Flow}
    exec(noting.compiled(SOURCE, "model.py"), scope)
    return noting, scope["Net"](2)


def told(noting: Exercised) -> list[str]:
    return [f"{line}: {text}" for line, _, text in noting.left_out()]


def test_what_no_run_has_used_is_told_with_its_line() -> None:
    noting, net = built()
    net.forward(numbers([0.3, -0.2, 0.4]))
    assert told(noting) == [
        "14: `mask is not None` was never true",
        "18: `F.hardtanh(x, -1.0, 1.0)` never met a larger value",
        "18: `F.hardtanh(x, -1.0, 1.0)` never met a smaller value",
        "19: `self.wide` was never false",
        "19: `flow.where(y > 0, y, helper(y)).clamp(max=0.5)` never met a larger value",
    ]


def test_what_runs_have_used_is_not_told_and_results_stay_the_same() -> None:
    noting, net = built()
    found = net.forward(numbers([3.0, -0.2, -4.0]), numbers([False, True, False]))
    assert np.array_equal(found, [0.5, 0.0, -1.0])
    net.forward(numbers([0.0, 0.0]))
    net.wide = 0
    assert np.array_equal(net.forward(numbers([0.5])), [0.5])
    assert told(noting) == ["16: `self.wide > 4` was never true"]


def test_the_tests_of_loops_are_told_but_not_one_that_is_none() -> None:
    noting = Exercised()
    source = (
        "class Net:\n    def forward(self, n):\n        while True:\n            if n < 5:\n                break\n"
    )
    noting.compiled(
        f"{source}            n -= 1\n        while n > 9:\n            n -= 1\n        return n\n", "model.py"
    )
    assert [text for _, _, text in noting.left_out()] == [
        "`n < 5` was never false", "`n < 5` was never true", "`n > 9` was never false", "`n > 9` was never true",
    ]  # fmt: skip


def test_a_place_knows_the_lines_that_hang_on_it() -> None:
    noting, _ = built()
    assert (14, 17) in {(first, last) for first, last, _ in noting.left_out()}


def test_lines_of_an_error_stay_those_of_the_file() -> None:
    _, net = built()
    with pytest.raises(ValueError, match="too many") as raised:
        net.forward(numbers(np.zeros(9)))
    assert raised.traceback[-1].lineno + 1 == 13


def test_lazy_tensors_have_no_values_and_are_not_asked() -> None:
    noting, net = built()
    lazy = numbers([5.0])
    lazy.is_lazy = True
    net.forward(lazy)
    assert any("hardtanh" in text for text in told(noting))
