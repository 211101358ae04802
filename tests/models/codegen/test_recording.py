"""An operator rule becomes the one expression that it returns for a call's arguments, or a helper."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import pytest

from torch2flow.models.codegen.recording import Recorder
from torch2flow.models.codegen.standins import DynamicSize, StandIn, number
from torch2flow.models.lowering.lazy import F, at, flow, helper, is_float, keys
from torch2flow.models.lowering.registry import RefusedError, Rule


def tensor(text: str, **known: Any) -> StandIn:
    return StandIn(ast.parse(text, mode="eval").body, **known)


def size(text: str) -> StandIn:
    return tensor(text, is_tensor=False)


def written(function: Callable[..., Any], facts: dict[str, Any] | None = None, **arguments: Any) -> str:
    """A call of a rule as source."""
    return write(Recorder(), function, facts, **arguments)


def write(recorder: Recorder, function: Callable[..., Any], facts: dict[str, Any] | None = None, **given: Any) -> str:
    bound: list[str] = []

    def bind(expression: ast.expr) -> ast.expr:
        name = f"value{len(bound) or ''}"
        bound.append(f"{name} = {ast.unparse(expression)}; ")
        return ast.Name(name, ast.Load())

    made = recorder.expression(Rule("aten.op", function), given, facts or {}, bind)
    return "".join(bound) + ast.unparse(ast.fix_missing_locations(made))


X, Y = tensor("x"), tensor("y")


def rsub(self, other, alpha=1):
    """Text is passed over."""
    if alpha == 1:
        return other - self
    return other - alpha * self


def test_a_constant_if_is_decided() -> None:
    assert written(rsub, self=X, other=2.0) == "2.0 - x"
    assert written(rsub, self=X, other=Y, alpha=3) == "y - 3 * x"


def conv(input, weight, bias=None, stride=1, padding=0):
    return F.conv2d(input, weight, bias=bias, stride=stride, padding=padding)


def test_a_keyword_that_says_no_more_than_the_default_is_left_out() -> None:
    assert (
        written(conv, input=X, weight=tensor("self.w"), bias=None, stride=(1, 1), padding=(0, 0))
        == "F.conv2d(x, self.w)"
    )


def test_equal_numbers_are_said_once() -> None:
    assert written(conv, input=X, weight=tensor("w"), stride=(2, 2), padding=(1, 0)) == (
        "F.conv2d(x, w, stride=2, padding=(1, 0))"
    )


def optional(self, mask=None):
    return flow.f(self, mask)


def test_a_last_argument_that_was_left_at_none_is_left_out() -> None:
    assert written(optional, self=X) == "flow.f(x)"
    assert written(optional, self=X, mask=tensor("m")) == "flow.f(x, m)"


def gelu(self, approximate=False):
    return flow.tanh(self) if approximate else flow.erf(self)


def test_a_constant_choice_is_made() -> None:
    assert written(gelu, self=X, approximate=True) == "flow.tanh(x)"
    assert written(gelu, self=X) == "flow.erf(x)"


def slice_(self, dim=0, start=None, end=None, step=1):
    return self[at(dim, slice(start, end, step))]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"dim": 0, "start": 1, "end": 3}, "x[1:3]"),
        ({"dim": 2, "start": 0, "end": 2**63 - 1, "step": 2}, "x[:, :, ::2]"),
        ({"dim": -1, "start": -2}, "x[..., -2:]"),
        ({"dim": -2, "end": 3}, "x[..., :3, :]"),
    ],
)
def test_at_is_a_subscript_of_one_dimension(arguments: dict[str, Any], text: str) -> None:
    assert written(slice_, self=X, **arguments) == text


def index(self, indices):
    return self[keys(indices)]


def test_keys_is_a_subscript_of_many() -> None:
    ids = tensor("ids")
    assert written(index, self=X, indices=(ids,)) == "x[ids]"
    assert written(index, self=X, indices=(None, ids)) == "x[:, ids]"


def square(self):
    return self * self


def test_an_operand_used_twice_gets_a_name_unless_it_has_one() -> None:
    assert written(square, self=tensor("f(x)")) == "value = f(x); value * value"
    assert written(square, self=X) == "x * x"
    assert written(square, self=tensor("self.fc.weight")) == "self.fc.weight * self.fc.weight"


def pads(self, padding=(0, 0)):
    return F.pad(self, tuple(2 * p for p in padding))


def test_a_comprehension_over_constants_is_a_tuple() -> None:
    assert written(pads, self=X, padding=(1, 2)) == "F.pad(x, (2, 4))"


def doubled(self, scale=1.0):
    return self * (2 * scale + 1)


def test_constant_arithmetic_is_worked_out() -> None:
    assert written(doubled, self=X, scale=1.5) == "x * 4.0"


def spread(self, dims):
    return self.permute(*dims)


def test_a_spread_of_constants_is_written_out() -> None:
    assert written(spread, self=X, dims=(1, 0)) == "x.permute(1, 0)"


def by_fact(self, *, out_dtype, in_ndim):
    if in_ndim == 2:
        return self.t()
    return self.to(out_dtype)


def test_a_rule_may_ask_for_what_was_recorded() -> None:
    assert written(by_fact, {"in_ndim": 2, "out_dtype": 0}, self=X) == "x.t()"


# -- what a rule can't do --------------------------------------------------------------------------------------


def refuses(self, mode="mean"):
    if mode != "mean":
        raise NotImplementedError(f"mode {mode} is not known")
    return self.mean()


def test_a_raise_is_a_refusal_in_the_rules_own_words() -> None:
    with pytest.raises(RefusedError, match="mode sum is not known"):
        written(refuses, self=X, mode="sum")


def test_an_argument_that_the_rule_does_not_take_is_a_refusal() -> None:
    with pytest.raises(RefusedError, match=r"test_recording.py:\d+ takes no argument 'beta'"):
        written(rsub, self=X, other=2.0, beta=1)


def test_a_missing_argument_is_a_refusal() -> None:
    with pytest.raises(RefusedError, match="'other' is missing"):
        written(rsub, self=X)


def test_a_name_that_is_not_there_is_a_refusal() -> None:
    def rule(self):
        return self + mistyped  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(RefusedError, match=r"test_recording.py:\d+ fails: name 'mistyped' is not defined"):
        written(rule, self=X)


# -- helpers ---------------------------------------------------------------------------------------------------


def copies(recorder: Recorder) -> list[str]:
    return [ast.unparse(ast.fix_missing_locations(each)) for each in recorder.helpers.definitions()]


@helper
def bucket(x, scale=None, shift=0.0):
    x = flow.floor(x)
    if shift > 0 and scale is not None:
        x = x + shift
    return x if scale is None else x * scale


def loops(self, count=2, scale=1.0):
    while self.sum() > count:
        self = bucket(self, scale=2.0)
    return self * scale


def test_a_rule_that_asks_for_a_value_becomes_a_helper() -> None:
    recorder = Recorder()
    assert write(recorder, loops, self=X, count=3, scale=1.0) == "loops(x, count=3)"
    assert [text.partition("(")[0] for text in copies(recorder)] == ["def bucket", "def loops"]


def test_a_helper_is_copied_once_and_without_its_decorators() -> None:
    recorder = Recorder()
    write(recorder, loops, self=X)
    write(recorder, loops, self=Y)
    text = "\n".join(copies(recorder))
    assert text.count("def loops") == 1 and "@" not in text


def calls_a_helper(self, scale=None):
    return bucket(self, scale=scale) + 1


def test_a_helper_is_copied_without_what_no_call_passes() -> None:
    recorder = Recorder()
    assert write(recorder, calls_a_helper, self=X) == "bucket(x) + 1"
    assert copies(recorder) == ["def bucket(x):\n    x = flow.floor(x)\n    return x"]
    assert write(recorder, calls_a_helper, self=X, scale=2.0) == "bucket(x, scale=2.0) + 1"
    assert copies(recorder) == [
        "def bucket(x, scale=None):\n    x = flow.floor(x)\n    return x if scale is None else x * scale"
    ]


def test_a_helper_is_copied_without_asking_for_what_every_call_passes() -> None:
    recorder = Recorder()
    assert write(recorder, calls_a_helper, self=X, scale=2.0) == "bucket(x, scale=2.0) + 1"
    assert copies(recorder) == ["def bucket(x, scale):\n    x = flow.floor(x)\n    return x * scale"]


def two_results(self):
    return self + 1, bucket(self)


def test_what_only_an_unused_result_calls_is_not_copied() -> None:
    recorder = Recorder()
    made = recorder.expression(Rule("aten.op", two_results), {"self": X}, {}, lambda each: each, first=True)
    assert ast.unparse(made) == "x + 1" and copies(recorder) == []


def test_two_helpers_of_one_name_are_refused() -> None:
    recorder = Recorder()
    write(recorder, calls_a_helper, self=X)

    def other() -> Callable[..., Any]:
        @helper
        def bucket(x):
            return x.sum() > 0

        return lambda self: bucket(self)

    with pytest.raises(RefusedError, match="two different helpers are called 'bucket'"):
        write(recorder, other(), self=X)


def decides(self):
    if self.sum() > 0:
        return self
    return -self


def test_a_test_on_values_becomes_a_helper() -> None:
    assert written(decides, self=X) == "decides(x)"


def after_an_if(self, flag=False):
    if flag:
        pass
    return self + 1


def test_an_if_without_a_return_goes_on_behind_it() -> None:
    assert written(after_an_if, self=X) == "x + 1"


# -- ordinary Python -------------------------------------------------------------------------------------------


def ordinary(self, **options):
    names = {"scale": 2.0, **options}
    for name in sorted(names):
        self = getattr(flow, name)(self, names[name])
    return self


def test_a_rule_may_be_any_python_of_constants() -> None:
    assert written(ordinary, self=X, add=1) == "flow.scale(flow.add(x, 1), 2.0)"


def shared(self):
    y = flow.exp(self)
    return y / (1 + y)


def test_what_is_used_twice_gets_a_name() -> None:
    assert written(shared, self=X) == "value = flow.exp(x); value / (1 + value)"


def shape(self, size):
    batch, *rest = self.shape
    return self.reshape(batch, -1).expand(*self.shape).reshape(*self.shape[:-1], *size, self.shape[-1] // 2)


def test_sizes_are_read_off_the_tensor_where_its_rank_is_known() -> None:
    assert written(shape, self=tensor("x", ndim=3), size=(2, size("y.shape[0]"))) == (
        "x.reshape(x.shape[0], -1).expand(*x.shape).reshape(*x.shape[:-1], 2, y.shape[0], x.shape[-1] // 2)"
    )
    assert written(shape, self=X, size=(2,)) == "shape(x, (2,))"


def sizes_changed(self):
    sizes = list(self.shape)
    sizes[-1] = 1
    return self.expand(*sizes)


def test_sizes_may_be_changed_one_by_one() -> None:
    assert written(sizes_changed, self=tensor("x", ndim=2)) == "x.expand(x.shape[0], 1)"


def by_dtype(self, other):
    if self.dtype == flow.bool or not is_float(self.dtype) or not isinstance(other, flow.Tensor):
        return self
    return flow.zeros(self.ndim, dtype=self.dtype) + other


def test_dtype_and_rank_are_known() -> None:
    known = {"dtype": "flow.float32", "ndim": 2}
    assert written(by_dtype, self=tensor("x", **known), other=Y) == "flow.zeros(2, dtype=x.dtype) + y"
    assert written(by_dtype, self=tensor("x", **known), other=1.0) == "x"
    assert written(by_dtype, self=tensor("x", dtype="flow.bool"), other=Y) == "x"
    assert written(by_dtype, self=X, other=Y) == "by_dtype(x, y)"


def test_a_size_known_at_run_time_is_no_none_and_no_tuple() -> None:
    def rule(self, size):
        assert size is not None and not isinstance(size, bool | tuple | list | str)
        assert not isinstance(size, flow.Tensor)
        return self * (size * 2 - 1)

    assert written(rule, self=X, size=size("y.shape[0]")) == "x * (y.shape[0] * 2 - 1)"


def test_numbers_remember_what_they_are() -> None:
    recorder = Recorder()
    made = recorder.expression(
        Rule("aten.op", rsub), {"self": X, "other": number(2, "other")}, {}, lambda each: each
    )  # fmt: skip
    assert isinstance(made, ast.BinOp) and getattr(made.left, "hint", "") == "other"


def test_every_operator_is_recorded() -> None:
    def rule(a, b):
        return -(a + b - 1) * 2 / b // 3 % a**2 @ (1 + a), 2 * a, 1 - a, 1 / a, 2**a, a < b, a <= 1, a > 1, a >= b

    assert written(rule, a=X, b=Y) == (
        "(-(x + y - 1) * 2 / y // 3 % x ** 2 @ (1 + x), 2 * x, 1 - x, 1 / x, 2 ** x, x < y, x <= 1, x > 1, x >= y)"
    )


@pytest.mark.parametrize(
    "ask",
    [bool, len, list, int, float, range, str, hash, "{}".format, lambda x: x in (1, 2), lambda x: max(x, 1)],
)
def test_a_stand_in_has_no_value(ask: Callable[[Any], Any]) -> None:
    def rule(self):
        return self + 1 if ask(self) else self

    assert written(rule, self=X) == "rule(x)"


def test_a_rule_with_oneflow_itself_is_recorded_too(flow: Any) -> None:
    space: dict[str, Any] = {}
    exec("import oneflow as flow\nimport oneflow.nn.functional as F\ndef rule(x): return F.relu(flow.abs(x))", space)
    assert written(space["rule"], x=X) == "F.relu(flow.abs(x))"
    assert space["flow"] is flow


def by_size(self, in_shape):
    if 0 in in_shape:
        return self
    return self.reshape(in_shape[0], -1, *in_shape[2:])


def by_value_of_size(self, in_shape):
    return self if int(in_shape[0]) > 2 else self + 1


def test_a_dynamic_size_is_no_number_in_a_rule() -> None:
    dynamic = DynamicSize(lambda: ast.parse("x.shape[0]", mode="eval").body)
    assert written(by_size, self=X, in_shape=(dynamic, 3, 4)) == "x.reshape(x.shape[0], -1, 4)"
    assert written(by_value_of_size, self=X, in_shape=(dynamic, 3)) == "by_value_of_size(x, (x.shape[0], 3))"
    assert written(by_value_of_size, self=X, in_shape=(4, 3)) == "x"
