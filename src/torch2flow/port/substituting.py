"""Which uses need a substitute: those whose arguments OneFlow's own would do otherwise. All others stay as they are."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from typing import Any

from torch2flow.port.compat import SUBSTITUTES
from torch2flow.port.compat.registry import Substitute

PLACE = ("device", "dtype")
"""The arguments of modules that `placement.py` gives all of OneFlow's."""

_NO_CONSTANTS = (ast.Tuple, ast.List, ast.UnaryOp, ast.JoinedStr)
"""Expressions that are no constant of an option, and no tensor."""

_OBJECTS = ("self", "x", "input", "module", "tensor")
"""What the first parameter of a method is called: other functions of a class belong to the class itself."""


@cache
def methods_called(attribute: str) -> tuple[str, ...]:
    """The methods of this name that have a substitute: `torch.Tensor.to` and `torch.nn.Module.to` for `to`."""
    return _methods().get(attribute, ())


@cache
def _methods() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, substitute in SUBSTITUTES.items():
        owner, _, attribute = name.rpartition(".")
        is_class = owner.rpartition(".")[2][:1].isupper()
        if owner == "torch.Tensor" or (is_class and (_parameters(substitute.function) or ("",))[0] in _OBJECTS):
            found[attribute] = (*found.get(attribute, ()), name)
    return found


def needs_substitute(substitute: Substitute, call: ast.Call | None, bound: bool = False) -> bool:
    """Whether a use of a name needs its substitute.

    Args:
        substitute: what there is.
        call: the call; None where the name is handed on, and called elsewhere.
        bound: it is called as a method, so that the first parameter is the object before the point.
    """
    only = substitute.only_with
    if only is None:
        return True
    if is_placed(substitute.name, only):
        only = tuple(each for each in only if each not in PLACE)
        if call is not None:  # what `**` holds is a place nearly always; OneFlow refuses everything else in words
            call = ast.Call(call.func, call.args, [each for each in call.keywords if each.arg])
    if call is None and isinstance(substitute.function, type):
        return False  # the base of a class, or what `isinstance` asks for: the substitute is a kind of OneFlow's own
    spread = call is None or any(isinstance(each, ast.Starred) for each in call.args)
    if spread or any(keyword.arg is None for keyword in call.keywords):  # type: ignore[union-attr]
        return bool(only)
    assert call is not None
    parameters = _parameters(substitute.function)
    given: dict[str, ast.expr] = dict(zip(parameters[bound:], call.args, strict=False))
    if not bound and parameters and parameters[0] in only:
        given.pop(parameters[0], None)  # only its keyword can be another in OneFlow
    if len(call.args) > len(parameters):
        given.pop(parameters[-1], None)  # one of many: a list of them all would be alone
    given |= {keyword.arg or "": keyword.value for keyword in call.keywords}
    for each in only:
        name, _, value = each.partition("=")
        if name in given and (not value or _may_be(given[name], value)):
            return True
    return False


def renamed_by(substitute: Substitute) -> dict[str, str]:
    """Parameters of PyTorch's that a substitute calls otherwise: rules that converted models use too say `self`."""
    first = next(iter(_parameters(substitute.function)), "input")
    return {} if first == "input" or "input" in _parameters(substitute.function) else {"input": first}


def is_placed(name: str, arguments: tuple[str, ...]) -> bool:
    """Whether a name is a class of modules that OneFlow makes in one place and one dtype only."""
    return name.startswith("torch.nn.") and name.rpartition(".")[2][:1].isupper() and "device" in arguments


def has_own(name: str, oneflow: str) -> bool:
    """Whether OneFlow has the name, and some uses keep it: then that is what is imported."""
    return bool(oneflow) and SUBSTITUTES[name].only_with is not None


def _may_be(node: ast.expr, value: str) -> bool:
    """Whether an expression may be a constant, or with `=` before it, is one; `?` stands for a tensor.

    With `~` before it, it is a pattern that is looked for in the constant.
    """
    if value.startswith("~"):
        return not isinstance(node, ast.Constant) or re.search(value[1:], str(node.value)) is not None
    if value.startswith("="):
        return isinstance(node, ast.Constant) and str(node.value) == value[1:]
    if isinstance(node, ast.Constant):
        return str(node.value) == value
    return not isinstance(node, _NO_CONSTANTS)


@cache
def _parameters(function: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)
