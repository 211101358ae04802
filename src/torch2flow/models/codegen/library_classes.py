"""The classes of `lowering/modules/classes` that a model is made of, each with only what its modules need.

    class MultiheadAttention(nn.Module):
        def __init__(self, embed_dim, num_heads, batch_first=False):        no `add_bias_kv`, no `kdim`
            ...

What no module is made with, and no call passes, is dropped with the code behind it, as it is of helpers.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch2flow.models.codegen.helpers import Fixed, truth_of
from torch2flow.models.lowering.modules.library import arguments_of, with_needs
from torch2flow.models.lowering.modules.table import signature


@dataclass(slots=True)
class Use:
    """How the modules of a class are called.

    Attributes:
        always: the parameters of `forward` that every call passes.
        ranks: for each parameter that some call passes, the numbers of dimensions of what is passed.
    """

    always: set[str] | None = None
    ranks: dict[str, set[int]] = field(default_factory=dict)

    def add(self, ranks: Mapping[str, int]) -> None:
        """Takes note of a call, by the number of dimensions of each argument; 0 for one that is no tensor."""
        self.always = set(ranks) if self.always is None else self.always & set(ranks)
        for name, rank in ranks.items():
            self.ranks.setdefault(name, set()).add(rank)


def copied_classes(classes: Iterable[ast.ClassDef], uses: Mapping[str, Use]) -> list[ast.ClassDef]:
    """The classes of the library that others make modules of, and those they need, each after those.

    Args:
        classes: the classes of the model, which are written already.
        uses: the calls of the modules of each class of the library, by its name.
    """
    made: dict[str, set[str]] = {name: set() for name in uses}
    for node in (node for each in classes for node in ast.walk(each)):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in made:
                given = list(signature(name))[: len(node.args)]
                made[name].update(given, (keyword.arg or "" for keyword in node.keywords))
    return [
        _trimmed(each.tree, made[each.tree.name], uses[each.tree.name])
        if each.tree.name in made and not each.needs and isinstance(each.tree, ast.ClassDef)
        else copy.deepcopy(each.tree)  # type: ignore[misc]
        for each in with_needs(sorted(made))
    ]


def _methods(tree: ast.ClassDef) -> list[ast.FunctionDef]:
    return [each for each in tree.body if isinstance(each, ast.FunctionDef)]


def _trimmed(whole: ast.ClassDef, made_with: set[str], use: Use) -> ast.ClassDef:
    """A class without what no module is made with and no call passes."""
    tree = copy.deepcopy(whole)
    attributes: dict[str, Any] = {}
    present: set[str] = set()
    for method in _methods(tree):
        if method.name == "__init__":
            _fix(method, made_with, set(), {})
            attributes = _constants(method)
            present = {name for each in method.body if isinstance(each, ast.Assign) for name in _assigned(each)}
    for method in _methods(tree):
        if method.name == "forward":
            _fix(method, set(use.ranks), use.always or set(), use.ranks)
        _Attributes(attributes, present).visit(method)
    while unused := [each for each in _methods(tree) if each.name[0] == "_" != each.name[1] and not _names(tree, each)]:
        tree.body = [each for each in tree.body if each not in unused]
    return tree


def _fix(method: ast.FunctionDef, passed: set[str], always: set[str], ranks: Mapping[str, set[int]]) -> None:
    """Takes from a method the parameters that nothing passes, and what only they decide."""
    values = {
        name: default
        for name, default in arguments_of(method).items()
        if name not in passed and default is not ... and (default is None or isinstance(default, bool | int | float))
    }
    known = {name: next(iter(found)) for name, found in ranks.items() if len(found) == 1}
    _PlainConstants().visit(_Ranks(values, always, known).visit(method))


def _constants(method: ast.FunctionDef) -> dict[str, Any]:
    """Takes from a constructor the attributes that are constants."""
    found: dict[str, Any] = {}
    kept: list[ast.stmt] = []
    for statement in method.body:
        match statement:
            case ast.Assign(targets=targets, value=ast.Constant(value=value)) if all(map(_attribute, targets)):
                found |= dict.fromkeys(map(_attribute, targets), value)
            case _:
                kept.append(statement)
    method.body = kept
    return found


def _assigned(statement: ast.Assign) -> list[str]:
    """The attributes that are a parameter or a module from there on."""
    return [_attribute(target) for target in statement.targets if isinstance(statement.value, ast.Call)]


def _attribute(node: ast.expr) -> str:
    """The name of `self.name`; "" for anything else."""
    match node:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
    return ""


def _names(tree: ast.ClassDef, method: ast.FunctionDef) -> bool:
    """Whether another method of the class names this one."""
    others = (node for each in _methods(tree) if each is not method for node in ast.walk(each))
    return any(isinstance(node, ast.expr) and _attribute(node) == method.name for node in others)


class _PlainConstants(ast.NodeTransformer):
    """Writes what is known as plain constants."""

    def visit_Value(self, node: Fixed.Value) -> ast.Constant:
        return ast.Constant(node.value)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        known = truth_of(node)
        return self.generic_visit(node) if known is None else ast.Constant(known)  # type: ignore[return-value]


class _Ranks(Fixed):
    """Knows how many dimensions an argument has, too: `query.ndim == 2`."""

    def __init__(self, values: dict[str, Any], always: set[str], ranks: dict[str, int]) -> None:
        super().__init__(values, always)
        self.ranks = ranks

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        match node:
            case ast.Compare(
                ast.Attribute(ast.Name(id=name), "ndim"), [ast.Eq()], [ast.Constant(value=int() as count)]
            ) if name in self.ranks:
                return ast.Constant(self.ranks[name] == count)
        return super().visit_Compare(node)


class _Attributes(Fixed):
    """Puts constants in the place of a module's attributes; `present` are those that are never None."""

    def __init__(self, values: dict[str, Any], present: set[str]) -> None:
        super().__init__({}, set())
        self.attributes, self.present = values, present

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        name = _attribute(node)
        return ast.Constant(self.attributes[name]) if name in self.attributes else self.generic_visit(node)  # type: ignore[return-value]

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        match node:
            case ast.Compare(left, [ast.Is() | ast.IsNot() as op], [ast.Constant(value=None)]):
                if _attribute(left) in self.present:
                    return ast.Constant(isinstance(op, ast.IsNot))
        return self.generic_visit(node)  # type: ignore[return-value]
