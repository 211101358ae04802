"""Helpers: functions that are copied into a model, each once, with only what the calls there need.

    def scaled(x, scale=None, shift=None):              def scaled(x, scale):
        if scale is not None:                               x = x * scale
            x = x * scale                          ->       return x
        return x if shift is None else x + shift

A parameter that no call passes is dropped with the code behind it, and so is the question whether one is None that all
calls pass.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType
from typing import Any

from torch2flow.models.lowering.registry import RefusedError


@dataclass(slots=True)
class Helpers:
    """The helpers of one model.

    Attributes:
        functions: by name, also those that only other helpers call.
        passed: the parameters of each that some call passes.
        always: those that every call passes, and never None.
    """

    functions: dict[str, FunctionType] = field(default_factory=dict)
    passed: dict[str, set[str]] = field(default_factory=dict)
    always: dict[str, set[str]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.functions

    def add(self, function: FunctionType) -> None:
        """Takes over a function, and what it calls."""
        found = self.functions.setdefault(function.__name__, function)
        if found is not function:
            raise RefusedError(f"two different helpers are called {function.__name__!r}: rename one of them")
        if function.__name__ not in self.passed:
            self.passed[function.__name__] = set()
            for called in _called(function, _definition(function)).values():
                self.add(called)

    def called(self, call: ast.Call, by_helper: bool = False) -> None:
        """Takes note of the arguments that a call of a helper passes; one helper may pass another a None."""
        assert isinstance(call.func, ast.Name)
        name = call.func.id
        parameters = list(parameters_of(self.functions[name]))
        spread = any(isinstance(argument, ast.Starred) for argument in call.args)
        given = {} if spread else dict(zip(parameters, call.args, strict=False))
        given |= {keyword.arg or "": keyword.value for keyword in call.keywords}
        some = {each for each, value in given.items() if not (isinstance(value, ast.Constant) and value.value is None)}
        self.always[name] = set() if by_helper else some & self.always.get(name, some)
        self.passed[name] |= {*given, *(parameters if spread else ())}

    def definitions(self) -> list[ast.stmt]:
        """The helpers as source, those that others call first."""
        needed = {name for name, passed in self.passed.items() if passed}
        before = -1
        while before != (before := sum(map(len, self.passed.values())) + len(needed)):
            for name in list(needed):
                function, definition = self.functions[name], self._definition(name)
                needed |= set(_called(function, definition))
                for node in ast.walk(definition):
                    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in needed:
                        self.called(node, by_helper=True)
        ordered: dict[str, ast.stmt] = {}
        begun: set[str] = set()
        for name in self.functions:
            if name in needed:
                self._order(name, ordered, begun)
        return list(ordered.values())

    def _order(self, name: str, ordered: dict[str, ast.stmt], begun: set[str]) -> None:
        """Puts a helper after those it calls; `begun` are those on the way, which may call each other."""
        if name not in begun:
            begun.add(name)
            definition = self._definition(name)
            for called in _called(self.functions[name], definition):
                self._order(called, ordered, begun)
            ordered[name] = definition

    def _definition(self, name: str) -> ast.FunctionDef:
        """A helper without the parameters that nothing passes, as far as these only decide what is done."""
        whole = _definition(self.functions[name])
        stored = {node.id for node in ast.walk(whole) if isinstance(node, ast.Name) and _is_stored(node)}
        fixed = {
            parameter: default.value
            for parameter, default in _defaults(whole)
            if parameter not in self.passed[name] | stored and isinstance(default, ast.Constant)
        }
        while True:
            trimmed = Fixed(fixed, self.always[name] - stored).visit(copy.deepcopy(whole))
            left = {node.parameter for node in ast.walk(trimmed) if isinstance(node, Fixed.Value)}
            if not left:
                return trimmed  # type: ignore[no-any-return]
            fixed = {parameter: value for parameter, value in fixed.items() if parameter not in left}


@cache
def parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


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
    if not any("x" in (getattr(node, "id", ""), getattr(node, "arg", "")) for node in ast.walk(tree)):
        _without_self(tree)
    return tree


def _without_self(tree: ast.FunctionDef) -> None:
    """`x` for ATen's `self`, which has another meaning among classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.arg == "self":
            node.arg = "x"
        elif isinstance(node, ast.Name) and node.id == "self":
            node.id = "x"


def _called(function: FunctionType, tree: ast.AST) -> dict[str, FunctionType]:
    """The functions of the same file, or of the rules, that a definition names."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    local = {node.id for node in names if _is_stored(node)}
    found = {}
    for node in names:
        called = inspect.unwrap(function.__globals__.get(node.id, len))
        if node.id not in local and isinstance(called, FunctionType):
            ours = called.__module__.startswith("torch2flow.models.lowering")
            if ours or called.__module__ == function.__module__:
                found[node.id] = called
    return found


def _is_stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _defaults(definition: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    arguments = definition.args
    for argument, default in zip(arguments.args[::-1], arguments.defaults[::-1], strict=False):
        yield argument.arg, default
    for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if value is not None:
            yield argument.arg, value


class Fixed(ast.NodeTransformer):
    """Puts constants in the place of parameters, and drops the branches that are never taken then.

    Args:
        values: the constants, by the parameters' names.
        always: the parameters that are never None.
    """

    class Value(ast.Constant):
        """The constant of a parameter."""

        parameter = ""

    def __init__(self, values: dict[str, Any], always: set[str]) -> None:
        self.values, self.always = values, always

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        arguments = node.args
        defaults = {name: default for name, default in _defaults(node) if name not in self.values}
        arguments.args = [each for each in arguments.args if each.arg not in self.values]
        arguments.kwonlyargs = [each for each in arguments.kwonlyargs if each.arg not in self.values]
        for each in arguments.args:
            if each.arg in defaults and each.arg not in self.always:
                break
            defaults.pop(each.arg, None)
        arguments.defaults = [defaults[each.arg] for each in arguments.args if each.arg in defaults]
        arguments.kw_defaults = [defaults.get(each.arg) for each in arguments.kwonlyargs]
        node.body = self._block(node.body)
        return node

    def _block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for statement in statements:
            made = self.visit(statement)
            found += made if isinstance(made, list) else [made]
        return [each for each in found if not _says_nothing(each)]

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.values:
            return node
        value = self.Value(self.values[node.id])
        value.parameter = node.id
        return value

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        match node:
            case ast.Compare(ast.Name(id=name), [ast.Is() | ast.IsNot() as op], [ast.Constant(value=None)]):
                if name in self.always:
                    return ast.Constant(isinstance(op, ast.IsNot))
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_If(self, node: ast.If) -> Any:
        node.test = _decisive(self.visit(node.test))
        truth = truth_of(node.test)
        if truth is not None:
            return self._block(node.body if truth else node.orelse)
        node.body, node.orelse = self._block(node.body), self._block(node.orelse)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        node.test = _decisive(self.visit(node.test))
        truth = truth_of(node.test)
        return self.generic_visit(node) if truth is None else self.visit(node.body if truth else node.orelse)

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        kept: list[ast.expr] = []
        for value in map(self.visit, node.values):
            kept.append(value)
            if truth_of(value) is isinstance(node.op, ast.Or):
                break  # It decides, whatever comes behind it.
        kept = [value for value in kept[:-1] if truth_of(value) is None] + kept[-1:]
        return ast.BoolOp(node.op, kept) if len(kept) > 1 else kept[0]


def _decisive(test: ast.expr) -> ast.expr:
    """A test without a last part that decides nothing: `x is None or False`."""
    match test:
        case ast.BoolOp(op=op, values=[*first, last]) if truth_of(last) is isinstance(op, ast.And):
            return first[0] if len(first) == 1 else ast.BoolOp(op, first)
    return test


def truth_of(test: ast.expr) -> bool | None:
    """Whether a test of constants holds; None where it is no such test."""
    operators = (ast.cmpop, ast.unaryop, ast.boolop, ast.Load)
    parts = (ast.Constant, ast.Tuple, ast.Compare, ast.UnaryOp, ast.BoolOp, *operators)
    if not all(isinstance(node, parts) for node in ast.walk(test)):
        return None
    try:
        return bool(eval(compile(ast.fix_missing_locations(ast.Expression(test)), "helper", "eval"), {}))
    except TypeError:
        return None  # `"fro" > 0`, in a branch that is not taken


def _says_nothing(statement: ast.stmt) -> bool:
    """`x = x`."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=left)], value=ast.Name(id=right)):
            return left == right
    return False
