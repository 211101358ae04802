"""Which operators of Python are put right for tensors, and which operands are surely no tensors."""

from __future__ import annotations

import ast
from collections.abc import Callable

from torch2flow.port.scopes import Scope
from torch2flow.port.substituting import methods_called
from torch2flow.port.under_way import FileUnderWay

OPERATORS: dict[type, tuple[str, ...]] = {
    ast.USub: ("__neg__",),
    ast.UAdd: ("__pos__",),
    ast.Invert: ("__invert__",),
    ast.FloorDiv: ("__floordiv__", "__rfloordiv__"),
    ast.Mod: ("__mod__", "__rmod__"),
    ast.Pow: ("__pow__", "__rpow__"),
    ast.MatMult: ("__matmul__", "__rmatmul__"),
    ast.BitAnd: ("__and__", "__rand__"),
    ast.BitOr: ("__or__", "__ror__"),
    ast.BitXor: ("__xor__", "__rxor__"),
    ast.LShift: ("__lshift__", "__rlshift__"),
    ast.RShift: ("__rshift__",),
}
"""The methods that Python calls for them. `+`, `-` and `*` are OneFlow's own: they differ only for a tensor of integers
and a float tensor without dimensions, and would cost every file a wrapper."""

IN_PLACE: dict[type, str] = {
    ast.FloorDiv: "__ifloordiv__",
    ast.Mod: "__imod__",
    ast.Pow: "__ipow__",
    ast.BitAnd: "__iand__",
    ast.BitOr: "__ior__",
    ast.BitXor: "__ixor__",
}

_NUMBERS = ("int", "len", "float", "round", "str", "range", "ord", "id", "bool", "repr", "divmod", "sorted", "zip")
_OF_TENSORS = ("shape", "ndim", "size", "dim", "numel", "item", "stride", "element_size", "tolist", "format")
_OTHER_PACKAGES = ("math.", "numpy.", "os.", "random.", "re.", "time.")


_PARAMETERS = ("parameters", "named_parameters", "buffers", "named_buffers")
_SET_IN_ONEFLOW = ("data", "grad", "requires_grad")
_LITERALS = (ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp, ast.DictComp)


class Operands:
    """What local names of one file hold, in the order in which it is read: tensors, numbers, or what is not known.

    Args:
        file: the file on its way.
        path_of: the path in PyTorch of a dotted name.
    """

    def __init__(self, file: FileUnderWay, path_of: Callable[[ast.AST], str]) -> None:
        self.file, self.path_of = file, path_of
        self.tensors: set[tuple[Scope, str]] = set()
        self.numbers: set[tuple[Scope, str]] = set()
        self.others: set[tuple[Scope, str]] = set()

    def assign(self, targets: list[ast.expr], value: ast.expr) -> None:
        """Takes note of an assignment."""
        number, tensor = self.is_no_tensor(value), self._is_made_by_torch(value)
        for target in targets:
            if isinstance(target, ast.Name):
                key = (self.file.scope, target.id)
                (self.numbers if number else self.others).add(key)
                self.tensors |= {key} if tensor else set()
            elif isinstance(target, ast.Attribute):
                self.attribute(target.value, target.attr)

    def loop(self, node: ast.For) -> None:
        """Takes note of what a loop assigns."""
        called = node.iter.func if isinstance(node.iter, ast.Call) else None
        names = {(self.file.scope, each.id) for each in ast.walk(node.target) if isinstance(each, ast.Name)}
        (self.numbers if getattr(called, "id", "") == "range" else self.others).update(names)
        if getattr(called, "attr", "") in _PARAMETERS:
            self.tensors |= names

    def attribute(self, owner: ast.expr, name: str) -> None:
        """An attribute that code sets: the compatibility module lets tensors keep it, where the owner may be one."""
        local = isinstance(owner, ast.Name) and (self.file.scope, owner.id) in self.tensors
        held = isinstance(owner, ast.Attribute) and (owner.attr in ("weight", "bias") or name.startswith("_"))
        if (local or held) and name not in _SET_IN_ONEFLOW:
            self._need("attributes")

    def use(self, operator: ast.AST, operands: list[ast.expr], in_place: bool = False) -> None:
        """An operator on what may be tensors: the compatibility module gives OneFlow's the methods for it."""
        names = OPERATORS.get(type(operator), ())
        if in_place:
            names = (*names, IN_PLACE.get(type(operator), ""))
            if isinstance(operands[0], ast.Name) and not self.is_no_tensor(operands[1]):
                self.others.add((self.file.scope, operands[0].id))
        formats = isinstance(operator, ast.Mod) and isinstance(getattr(operands[0], "value", None), str)
        if self.file.later or formats or all(map(self.is_no_tensor, operands)):
            return
        for path in (path for name in names if name for path in methods_called(name)):
            self._need(path)

    def _need(self, name: str) -> None:
        self.file.tally.compat.add(name)
        self.file.needs_compat = True

    def is_no_tensor(self, node: ast.expr) -> bool:
        """Whether an expression is surely no tensor of PyTorch's."""
        if isinstance(node, ast.Name):
            key = (self.file.scope, node.id)
            return key in self.numbers and key not in self.others
        if isinstance(node, ast.BinOp):
            return self.is_no_tensor(node.left) and self.is_no_tensor(node.right)
        if isinstance(node, ast.UnaryOp):
            return isinstance(node.op, ast.Not) or self.is_no_tensor(node.operand)
        if isinstance(node, ast.IfExp):
            return self.is_no_tensor(node.body) and self.is_no_tensor(node.orelse)
        if isinstance(node, ast.Call):
            named = isinstance(node.func, ast.Name) and node.func.id in _NUMBERS
            return named or self.is_no_tensor(node.func)
        if isinstance(node, ast.Subscript):
            return self.is_no_tensor(node.value)
        if isinstance(node, ast.Attribute):
            return node.attr in _OF_TENSORS or self.file.imported_path(node).startswith(_OTHER_PACKAGES)
        return isinstance(node, _LITERALS)

    def _is_made_by_torch(self, node: ast.expr) -> bool:
        """Whether an expression is a call of PyTorch's, or a method of one: a tensor or a parameter nearly always."""
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            if self.path_of(node.func):
                return True
            node = getattr(node.func, "value", node.func)
        return False
