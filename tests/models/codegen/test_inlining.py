"""An operator rule becomes the one expression that it returns for a call's arguments, or a helper."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import pytest

from torch2flow.models.codegen.inlining import Inliner, RefusedError
from torch2flow.models.codegen.literals import literal, tensor
from torch2flow.models.lowering.lazy import F, at, flow, keys
from torch2flow.models.lowering.registry import Rule


def written(function: Callable[..., Any], facts: dict[str, Any] | None = None, **arguments: Any) -> str:
    """A call of a rule as source; a string stands for a tensor expression."""
    return write(Inliner(), function, facts, **arguments)


def write(inliner: Inliner, function: Callable[..., Any], facts: dict[str, Any] | None = None, **arguments: Any) -> str:
    given = {
        name: tensor(ast.parse(value, mode="eval").body) if isinstance(value, str) else literal(value)
        for name, value in arguments.items()
    }
    bound: list[str] = []

    def bind(expression: ast.expr) -> ast.expr:
        bound.append(f"value = {ast.unparse(expression)}; ")
        return tensor(ast.Name("value", ast.Load()))

    known = {name: literal(value) for name, value in (facts or {}).items()}
    made = inliner.expression(Rule("aten.op", function), given, known, bind)
    return "".join(bound) + ast.unparse(made)


def rsub(self, other, alpha=1):
    """Text is passed over."""
    if alpha == 1:
        return other - self
    return other - alpha * self


def test_a_constant_if_is_decided() -> None:
    assert written(rsub, self="x", other=2.0) == "2.0 - x"
    assert written(rsub, self="x", other="y", alpha=3) == "y - 3 * x"


def conv(input, weight, bias=None, stride=1, padding=0):
    return F.conv2d(input, weight, bias=bias, stride=stride, padding=padding)


def test_a_keyword_that_says_no_more_than_the_default_is_left_out() -> None:
    assert written(conv, input="x", weight="self.w", bias=None, stride=[1, 1], padding=[0, 0]) == "F.conv2d(x, self.w)"


def test_equal_numbers_are_said_once() -> None:
    assert written(conv, input="x", weight="w", stride=[2, 2], padding=[1, 0]) == (
        "F.conv2d(x, w, stride=2, padding=(1, 0))"
    )


def optional(self, mask=None):
    return flow.f(self, mask)


def test_a_last_argument_that_was_left_at_none_is_left_out() -> None:
    assert written(optional, self="x") == "flow.f(x)"
    assert written(optional, self="x", mask="m") == "flow.f(x, m)"


def gelu(self, approximate=False):
    return flow.tanh(self) if approximate else flow.erf(self)


def test_a_constant_choice_is_made() -> None:
    assert written(gelu, self="x", approximate=True) == "flow.tanh(x)"
    assert written(gelu, self="x") == "flow.erf(x)"


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
    assert written(slice_, self="x", **arguments) == text


def index(self, indices):
    return self[keys(indices)]


def test_keys_is_a_subscript_of_many() -> None:
    inliner = Inliner()
    ids = tensor(ast.parse("ids", mode="eval").body)
    for items, text in (([ids], "x[ids]"), ([literal(None), ids], "x[:, ids]")):
        given = {"self": tensor(ast.parse("x", mode="eval").body), "indices": ast.Tuple(items, ast.Load())}
        assert ast.unparse(inliner.expression(Rule("aten.op", index), given, {}, lambda each: each)) == text


def square(self):
    return self * self


def test_an_operand_used_twice_gets_a_name_unless_it_has_one() -> None:
    assert written(square, self="f(x)") == "value = f(x); value * value"
    assert written(square, self="x") == "x * x"
    assert written(square, self="self.fc.weight") == "self.fc.weight * self.fc.weight"


def pads(self, padding=(0, 0)):
    return F.pad(self, tuple(2 * p for p in padding))


def test_a_comprehension_over_constants_is_a_tuple() -> None:
    assert written(pads, self="x", padding=[1, 2]) == "F.pad(x, (2, 4))"


def doubled(self, scale=1.0):
    return self * (2 * scale + 1)


def test_constant_arithmetic_is_worked_out() -> None:
    assert written(doubled, self="x", scale=1.5) == "x * 4.0"


def spread(self, dims):
    return self.permute(*dims)


def test_a_spread_of_constants_is_written_out() -> None:
    assert written(spread, self="x", dims=[1, 0]) == "x.permute(1, 0)"


def by_fact(self, *, out_dtype, in_ndim):
    if in_ndim == 2:
        return self.t()
    return self.to(out_dtype)


def test_a_rule_may_ask_for_what_was_recorded() -> None:
    assert written(by_fact, {"in_ndim": 2, "out_dtype": 0}, self="x") == "x.t()"


# -- what a rule can't do --------------------------------------------------------------------------------------


def refuses(self, mode="mean"):
    if mode != "mean":
        raise NotImplementedError(f"mode {mode} is not known")
    return self.mean()


def test_a_raise_is_a_refusal_in_the_rules_own_words() -> None:
    with pytest.raises(RefusedError, match="mode"):
        inliner = Inliner()
        given = {"self": tensor(ast.parse("x", mode="eval").body), "mode": literal("sum")}
        inliner.expression(Rule("aten.op", refuses), given, {}, lambda each: each)


def test_an_argument_that_the_rule_does_not_take_is_a_refusal() -> None:
    with pytest.raises(RefusedError, match=r"test_inlining.py:\d+ takes no argument 'beta'"):
        written(rsub, self="x", other=2.0, beta=1)


def test_a_missing_argument_is_a_refusal() -> None:
    with pytest.raises(RefusedError, match="'other' is missing"):
        written(rsub, self="x")


# -- helpers ---------------------------------------------------------------------------------------------------


def bucket(x):
    return flow.floor(x)


def loops(self, count=2, scale=1.0):
    for _ in range(count):
        self = bucket(self)
    return self * scale


def test_a_rule_with_statements_becomes_a_helper() -> None:
    inliner = Inliner()
    assert write(inliner, loops, self="x", count=3, scale=1.0) == "loops(x, count=3)"
    assert [definition.name for definition in inliner.definitions()] == ["bucket", "loops"]  # type: ignore[attr-defined]


def test_a_helper_is_copied_once_and_without_its_decorators() -> None:
    inliner = Inliner()
    write(inliner, loops, self="x")
    write(inliner, loops, self="y")
    text = "\n".join(map(ast.unparse, inliner.definitions()))
    assert text.count("def loops") == 1 and "@" not in text


def decides(self):
    if self.sum() > 0:
        return self
    return -self


def test_a_test_on_values_becomes_a_helper() -> None:
    assert written(decides, self="x") == "decides(x)"


def calls_a_helper(self):
    return bucket(self) + 1


def test_what_an_inlined_rule_calls_is_copied_too() -> None:
    inliner = Inliner()
    assert write(inliner, calls_a_helper, self="x") == "bucket(x) + 1"
    assert list(inliner.helpers) == ["bucket"]


def after_an_if(self, flag=False):
    if flag:
        pass
    return self + 1


def test_an_if_without_a_return_goes_on_behind_it() -> None:
    assert written(after_an_if, self="x") == "x + 1"
