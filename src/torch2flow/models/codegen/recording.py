"""Turns an operator rule into the expression that stands for one call of it, by calling the rule with stand-ins.

    def rsub(self, other, alpha=1):               rsub(x, 2.0)            ->   2.0 - x
        if alpha == 1:                            rsub(x, y, alpha=3)     ->   y - 3 * x
            return other - self
        return other - alpha * self

Constants are themselves, so a rule is ordinary Python. A rule that asks for the value of a tensor, or for a size known
only when the model runs, becomes a call of a helper: the function itself, copied into the model.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

from torch2flow.errors import UnsupportedError
from torch2flow.models.codegen.helpers import Helpers, parameters_of
from torch2flow.models.codegen.literals import UNIFORM
from torch2flow.models.codegen.standins import NamedValue, StandIn, call, same, source
from torch2flow.models.lowering.lazy import recorded_by
from torch2flow.models.lowering.registry import FACTS, IGNORED, RefusedError, Rule

_LIBRARIES = {"oneflow": "flow", "oneflow.nn": "nn", "oneflow.nn.functional": "F"}

Bind = Callable[[ast.expr], ast.expr]


@dataclass(slots=True)
class Recorder:
    """Makes expressions of rules, and collects the helpers they need."""

    helpers: Helpers = field(default_factory=Helpers)
    defaults: dict[str, Any] = field(default_factory=dict)
    met: dict[str, FunctionType] = field(default_factory=dict)
    """The helpers that this call's rule asked for."""

    def expression(
        self, rule: Rule, arguments: dict[str, Any], facts: dict[str, Any], bind: Bind, first: bool = False
    ) -> ast.expr:
        """The expression for one call.

        Args:
            rule: the operator's rule.
            arguments: by name: stand-ins and constants.
            facts: what was recorded of the first tensor and of the result, by the names of `FACTS`.
            bind: gives an expression that is needed twice a local name.
            first: only the first of several results is used.

        Raises:
            RefusedError: the rule can't do this case, in words.
        """
        given = given_to(rule, arguments, facts)
        is_helper = inspect.unwrap(rule.function) is not rule.function
        parameters = parameters_of(rule.function)
        self.met = {}
        self.defaults = {name: each.default for name, each in parameters.items() if each.default is not each.empty}
        try:
            with recorded_by(self), _real_oneflow_recorded(rule.function, self):
                result = self._copied(rule.function, given) if is_helper else rule.function(**given)
        except (NotImplementedError, UnsupportedError, RefusedError) as error:
            raise RefusedError(str(error)) from None
        except NameError as error:
            raise RefusedError(f"the rule at {rule.place} fails: {error}") from None
        except Exception:  # What Python can't do with stand-ins, it can do with tensors when the model runs.
            result = self._copied(rule.function, given)
        if first:
            result = result[0]
        made = source(result)
        for node in ast.walk(made):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.met:
                self.helpers.add(self.met[node.func.id])
                self.helpers.called(node)
        return _with_names(made, bind)

    def library(self, name: str) -> NamedValue:
        """`flow`, `F` or `nn`, for a rule that is recorded."""
        return NamedValue(ast.Name(name, ast.Load()))

    def helper(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> StandIn:
        """A call of a helper, for a rule that is recorded."""
        assert isinstance(function, FunctionType)
        parameters = list(parameters_of(function).values())
        own = {each.name: each.default for each in parameters if each.default is not each.empty}
        positional = list(args)
        while positional and not kwargs:
            name = parameters[len(positional) - 1].name
            if name not in own or not same(positional[-1], own[name]):
                break
            positional.pop()
        node = call(ast.Name(function.__name__, ast.Load()), tuple(positional), kwargs, own)
        self.met[function.__name__] = function
        return StandIn(node)

    def _copied(self, function: Callable[..., Any], given: dict[str, Any]) -> StandIn:
        """A call of the rule itself as a helper: tensors and what it must have by position, the rest by name."""
        positional: list[Any] = []
        for name, each in parameters_of(function).items():
            value = given.get(name)
            is_tensor = isinstance(value, StandIn) and value._is_tensor
            if name not in given or each.kind is each.KEYWORD_ONLY or not (is_tensor or each.default is each.empty):
                break
            positional.append(value)
        keywords = dict(list(given.items())[len(positional) :])
        return self.helper(inspect.unwrap(function), tuple(positional), keywords)


def given_to(rule: Rule, arguments: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """The arguments that a rule is called with, in the order of its parameters."""
    parameters = parameters_of(rule.function)
    given = {
        name: _once(value) if name in UNIFORM else value
        for name, value in arguments.items()
        if name in parameters or name not in IGNORED
    }
    if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        unknown = [name for name in given if name not in parameters]
        if unknown:
            raise RefusedError(f"the rule at {rule.place} takes no argument {unknown[0]!r}")
    given.update({name: facts[name] for name in FACTS if name in parameters and name in facts})
    for name, each in parameters.items():
        if (
            name not in given
            and each.default is each.empty
            and each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
        ):
            raise RefusedError(f"the argument {name!r} is missing")
    return {name: given[name] for name in [*parameters, *given] if name in given}


def _once(value: Any) -> Any:
    """`(2, 2)` as 2."""
    numbers = isinstance(value, tuple) and all(isinstance(item, int) for item in value)
    return value[0] if numbers and len(set(value)) == 1 else value


@contextmanager
def _real_oneflow_recorded(function: Callable[..., Any], recorder: Recorder) -> Iterator[None]:
    """A user's file of rules may `import oneflow as flow`: its modules are recorded in this block too."""
    space = getattr(function, "__globals__", {})
    modules = {
        name: value for name, value in space.items() if isinstance(value, ModuleType) and value.__name__ in _LIBRARIES
    }
    space.update({name: recorder.library(_LIBRARIES[module.__name__]) for name, module in modules.items()})
    try:
        yield
    finally:
        space.update(modules)


def _with_names(expression: ast.expr, bind: Bind) -> ast.expr:
    """A copy of an expression in which what occurs more than once, and is no mere name, was given a name."""
    counts: dict[int, int] = {}
    order: list[ast.expr] = []

    def count(node: ast.AST) -> None:
        if isinstance(node, ast.expr) and not _is_cheap(node):
            counts[id(node)] = counts.get(id(node), 0) + 1
            if counts[id(node)] > 1:
                return
        for child in ast.iter_child_nodes(node):
            count(child)
        if isinstance(node, ast.expr):
            order.append(node)

    count(expression)
    names: dict[int, ast.expr] = {}
    for node in order:
        if counts.get(id(node), 0) > 1:
            names[id(node)] = bind(_fresh(node, names))
    made: ast.expr = _fresh(expression, names)
    return made


def _fresh(node: Any, names: dict[int, ast.expr]) -> Any:
    """A copy of an expression, with the names of what has got one."""
    if isinstance(node, list):
        return [_fresh(item, names) for item in node]
    if not isinstance(node, ast.AST):
        return node
    whole = names.get(id(node))
    kind = type(whole or node)
    made = kind.__new__(kind)
    made.__dict__.update((whole or node).__dict__)
    if whole is None:
        for name, value in node.__dict__.items():
            if isinstance(value, ast.expr | list | ast.keyword | ast.comprehension):
                setattr(made, name, _fresh(value, names))
    return made


def _is_cheap(node: ast.expr) -> bool:
    """Whether an expression may stand in two places: a name, a size, arithmetic of sizes."""
    match node:
        case ast.Name() | ast.Constant():
            return True
        case ast.Attribute() | ast.Starred():
            return _is_cheap(node.value)
        case ast.Tuple() | ast.List():
            return all(map(_is_cheap, node.elts))
    return _is_size(node)


def _is_size(node: ast.expr) -> bool:
    match node:
        case ast.Constant():
            return True
        case ast.Subscript(value=ast.Attribute(attr="shape", value=tensor)):
            return _is_cheap(tensor)
        case ast.BinOp():
            return _is_size(node.left) and _is_size(node.right)
        case ast.UnaryOp():
            return _is_size(node.operand)
        case ast.Call(func=ast.Name(id="max" | "min" | "float")):
            return all(map(_is_size, node.args))
        case ast.IfExp():  # `0.1 if self.training else 0.0`
            return _is_size(node.body) and _is_size(node.orelse)
    return False
