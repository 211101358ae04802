"""Turns an operator rule into the expression that stands for one call of it.

A rule is read as source, never run. Its constant `if`s are decided, its parameters replaced by the call's arguments,
keywords that say no more than the default are left out:

    def rsub(self, other, alpha=1):               rsub(x, 2.0)            ->   2.0 - x
        if alpha == 1:                            rsub(x, y, alpha=3)     ->   y - 3 * x
            return other - self
        return other - alpha * self

A rule that needs more than that (loops, statements, tests on values) becomes a call of a helper: the function
itself, copied into the generated file once.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType
from typing import Any

from torch2flow.models.codegen.literals import (
    UNIFORM,
    NotConstantError,
    Unknown,
    evaluate,
    is_tensor,
    literal,
    slice_of,
)
from torch2flow.models.lowering.registry import FACTS, Rule

_MODULES = {"flow", "F", "nn", "math"}


class RefusedError(Exception):
    """A rule says that it can't do this case."""


class _NeedsHelperError(Exception):
    """The rule is more than one expression."""


@cache
def _definition(function: Callable[..., Any]) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    tree.decorator_list = []
    for node in ast.walk(tree):  # hints name types that the copy would have to import
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return tree


@cache
def _defaults(function: Callable[..., Any]) -> dict[str, ast.expr]:
    arguments = _definition(function).args
    names = [argument.arg for argument in arguments.posonlyargs + arguments.args]
    found = dict(zip(names[len(names) - len(arguments.defaults) :], arguments.defaults, strict=True))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            found[argument.arg] = default
    return found


@cache
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    arguments = _definition(function).args
    return tuple(item.arg for item in arguments.posonlyargs + arguments.args + arguments.kwonlyargs)


@dataclass(slots=True)
class Inliner:
    """Makes expressions of rules, and collects the helpers they need."""

    helpers: dict[str, FunctionType] = field(default_factory=dict)

    def expression(
        self,
        rule: Rule,
        arguments: dict[str, ast.expr],
        facts: dict[str, ast.expr],
        bind: Callable[[ast.expr], ast.expr],
    ) -> ast.expr:
        """The expression for one call.

        Args:
            rule: the operator's rule.
            arguments: by name; tensors are marked by `literals.tensor`.
            facts: what was recorded of the first tensor and of the result, by the names of `FACTS`.
            bind: gives an expression that is needed twice a local name.

        Raises:
            RefusedError: the rule can't do this case, in words.
        """
        function = rule.function
        defaults = _defaults(function)
        known = _parameters(function)
        given = {name: value for name, value in arguments.items() if name in known}
        unknown = [name for name in arguments if name not in known]
        if unknown:
            raise RefusedError(f"the rule at {rule.place} takes no argument {unknown[0]!r}")
        given.update({name: facts[name] for name in FACTS if name in known and name in facts})
        missing = [name for name in known if name not in given and name not in defaults]
        if missing:
            raise RefusedError(f"the argument {missing[0]!r} is missing")
        names = {**defaults, **given}
        try:
            body = _select(_definition(function).body, names)
            counts = _counts(body)
            for name, count in counts.items():
                if count > 1 and name in names and not _is_cheap(names[name]):
                    names[name] = bind(names[name])
            expression: ast.expr = _Substitute(names, defaults).visit(copy.deepcopy(body))
        except _NeedsHelperError:
            return self._call(function, given, defaults)
        self._collect_called(function, expression)
        return expression

    def _call(
        self, function: Callable[..., Any], given: dict[str, ast.expr], defaults: dict[str, ast.expr]
    ) -> ast.expr:
        """A call of the rule as a helper."""
        assert isinstance(function, FunctionType)
        self._collect(function)
        positional: list[ast.expr] = []
        keywords: list[ast.keyword] = []
        for name in _parameters(function):
            if name not in given or _is_default(given[name], defaults.get(name)):
                continue
            if not keywords and is_tensor(given[name]) and len(positional) == _parameters(function).index(name):
                positional.append(given[name])
            else:
                keywords.append(ast.keyword(name, given[name]))
        return ast.Call(ast.Name(function.__name__, ast.Load()), positional, keywords)

    def _collect(self, function: FunctionType) -> None:
        """Takes over a helper and everything of ours that it calls."""
        if self.helpers.get(function.__name__) is function:
            return
        self.helpers[function.__name__] = function
        self._collect_called(function, _definition(function))

    def _collect_called(self, function: Callable[..., Any], tree: ast.AST) -> None:
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        local = {node.id for node in names if isinstance(node.ctx, ast.Store)} | set(_parameters(function))
        for node in names:
            if node.id not in _MODULES and node.id not in local:
                called = getattr(function, "__globals__", {}).get(node.id)
                if (
                    isinstance(called, FunctionType) and called.__module__.startswith("torch2flow.models.lowering")
                ) or (isinstance(called, FunctionType) and called.__module__ == function.__module__):
                    self._collect(called)

    def definitions(self) -> list[ast.stmt]:
        """The helpers as source, those that others call first."""
        ordered: dict[str, ast.stmt] = {}

        def visit(name: str) -> None:
            if name in ordered or name not in self.helpers:
                return
            definition = _definition(self.helpers[name])
            for node in ast.walk(definition):
                if isinstance(node, ast.Name) and node.id != name:
                    visit(node.id)
            ordered[name] = definition

        for name in self.helpers:
            visit(name)
        return list(ordered.values())


def _select(body: list[ast.stmt], names: dict[str, ast.expr]) -> ast.expr:
    """The expression that a rule returns for these arguments."""
    for statement in body:
        match statement:
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.If():
                try:
                    chosen = statement.body if evaluate(statement.test, names) else statement.orelse
                except NotConstantError:
                    raise _NeedsHelperError from None
                if chosen:
                    try:
                        return _select(chosen, names)
                    except _FellThroughError:
                        continue
            case ast.Return(value=ast.expr() as value):
                return value
            case ast.Raise(exc=ast.Call(args=[ast.expr() as reason, *_])):
                try:
                    raise RefusedError(str(evaluate(_Substitute(names, {}).visit(copy.deepcopy(reason)), names)))
                except NotConstantError:
                    raise RefusedError(ast.unparse(reason)) from None
            case _:
                raise _NeedsHelperError
    raise _FellThroughError


class _FellThroughError(_NeedsHelperError):
    """The statements end without a `return`."""


def _counts(expression: ast.expr) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in ast.walk(expression):
        if isinstance(node, ast.Name):
            counts[node.id] = counts.get(node.id, 0) + 1
    return counts


def _is_cheap(node: ast.expr) -> bool:
    """Whether an expression may stand in two places."""
    if isinstance(node, ast.Attribute):
        return _is_cheap(node.value)
    if isinstance(node, ast.Tuple | ast.List):
        return all(_is_cheap(item) for item in node.elts)
    return not is_tensor(node) or isinstance(node, ast.Name | ast.Constant)


def _is_default(value: ast.expr, default: ast.expr | None) -> bool:
    """Whether a value says the same as a default; `(1, 1)` says the same as 1."""
    if default is None or is_tensor(value):
        return False
    try:
        left, right = evaluate(value), evaluate(default)
    except NotConstantError:
        return False
    if isinstance(left, tuple) and not isinstance(right, tuple) and left:
        return all(item == right and type(item) is type(right) for item in left)
    return type(left) is type(right) and bool(left == right)


class _Substitute(ast.NodeTransformer):
    """Puts arguments in the place of parameters, and simplifies what is constant then."""

    def __init__(self, names: dict[str, ast.expr], defaults: dict[str, ast.expr]) -> None:
        self.names, self.defaults = names, defaults

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copy.deepcopy(self.names[node.id]) if node.id in self.names else node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        try:
            chosen = node.body if evaluate(node.test, self.names) else node.orelse
        except NotConstantError:
            raise _NeedsHelperError from None
        visited: ast.expr = self.visit(chosen)
        return visited

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node.keywords = [
            keyword
            for keyword in node.keywords
            if not (
                isinstance(keyword.value, ast.Name)
                and keyword.arg == keyword.value.id
                and keyword.value.id in self.names
                and _is_default(self.names[keyword.value.id], self.defaults.get(keyword.value.id))
            )
        ]
        while node.args and not node.keywords and self._says_nothing(node.args[-1]):
            node.args.pop()
        node = self.generic_visit(node)  # type: ignore[assignment]
        for keyword in node.keywords:
            keyword.value = _uniform(keyword.arg, keyword.value)
        spread: list[ast.expr] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred) and isinstance(argument.value, ast.Tuple | ast.List):
                spread += argument.value.elts
            else:
                spread.append(argument)
        node.args = spread
        if isinstance(node.func, ast.Name) and node.func.id == "tuple" and isinstance(spread[0], ast.Tuple):
            return spread[0]
        return _folded(node)

    def _says_nothing(self, argument: ast.expr) -> bool:
        """Whether a last positional argument is a parameter that was left at None."""
        return (
            isinstance(argument, ast.Name)
            and isinstance(default := self.defaults.get(argument.id), ast.Constant)
            and default.value is None
            and _is_default(self.names[argument.id], default)
        )

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        key = node.slice
        if isinstance(key, ast.Call) and isinstance(key.func, ast.Name) and key.func.id in ("at", "keys"):
            value = self.visit(node.value)
            arguments = [self.visit(argument) for argument in key.args]
            index = _at(*arguments) if key.func.id == "at" else _keys(arguments[0])
            return ast.Subscript(value, index, ast.Load())
        return _folded(self.generic_visit(node))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        return _folded(self.generic_visit(node))

    visit_UnaryOp = visit_BoolOp = visit_Compare = visit_BinOp  # type: ignore[assignment]

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.expr:
        # Also a comprehension over constants is one: `tuple(2 * p for p in padding)`.
        try:
            return literal(evaluate(node, self.names))
        except NotConstantError:
            raise _NeedsHelperError from None

    visit_ListComp = visit_GeneratorExp  # type: ignore[assignment]


def _uniform(name: str | None, value: ast.expr) -> ast.expr:
    """`stride=2` for `stride=(2, 2)`."""
    if name in UNIFORM and isinstance(value, ast.Tuple) and all(isinstance(item, ast.Constant) for item in value.elts):
        numbers = {item.value for item in value.elts}  # type: ignore[attr-defined]
        return value.elts[0] if len(numbers) == 1 else value
    return value


def _folded(node: Any) -> ast.expr:
    """The value of an expression where it is constant, as far as numbers, bools and tuples of them go."""
    try:
        value = evaluate(node)
    except (NotConstantError, RecursionError):
        return node  # type: ignore[no-any-return]
    if isinstance(value, Unknown) or (isinstance(value, str) and not isinstance(node, ast.Constant)):
        return node  # type: ignore[no-any-return]
    if isinstance(value, bool | int | float | tuple | type(None)):
        return literal(value)
    return node  # type: ignore[no-any-return]


def _at(dim: ast.expr, index: ast.expr) -> ast.expr:
    """The subscript that takes `index` in dimension `dim`: `:, :, 1:3` for the third."""
    position = evaluate(dim)
    if isinstance(index, ast.Call) and isinstance(index.func, ast.Name) and index.func.id == "slice":
        index = slice_of(*index.args)
    before: list[ast.expr] = [ast.Slice()] * position if position >= 0 else [ast.Constant(...)]
    after: list[ast.expr] = [ast.Slice()] * (-position - 1)
    parts = [*before, index, *after]
    return parts[0] if len(parts) == 1 else ast.Tuple(parts, ast.Load())


def _keys(indices: ast.expr) -> ast.expr:
    """The subscript for a tuple of index tensors, None for a whole dimension."""
    assert isinstance(indices, ast.Tuple | ast.List)
    parts = [ast.Slice() if isinstance(item, ast.Constant) and item.value is None else item for item in indices.elts]
    return parts[0] if len(parts) == 1 else ast.Tuple(parts, ast.Load())
