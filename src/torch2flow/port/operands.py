"""Which operators of Python are put right for tensors, and which operands are surely no tensors."""

from __future__ import annotations

import ast
from collections.abc import Callable

OPERATORS: dict[type[ast.AST], tuple[str, ...]] = {
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

IN_PLACE = {ast.FloorDiv: "__ifloordiv__", ast.Mod: "__imod__", ast.Pow: "__ipow__", ast.BitAnd: "__iand__",
            ast.BitOr: "__ior__", ast.BitXor: "__ixor__"}  # fmt: skip

_NUMBERS = ("int", "len", "float", "round", "str", "range", "ord", "id", "bool", "repr", "divmod", "sorted", "zip")
_OF_TENSORS = ("shape", "ndim", "size", "dim", "numel", "item", "stride", "element_size", "tolist", "format")
_OTHER_PACKAGES = ("math.", "numpy.", "os.", "random.", "re.", "time.")


def is_no_tensor(node: ast.expr | None, is_number: Callable[[str], bool], path: Callable[[ast.AST], str]) -> bool:
    """Whether an expression is surely no tensor of PyTorch's.

    Args:
        node: the expression.
        is_number: whether a local name is a number wherever it was assigned.
        path: the dotted path of what is imported.
    """
    if isinstance(node, ast.Name):
        return is_number(node.id)
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp):
        parts = [] if isinstance(node.op, ast.Not) else [node.operand]
    elif isinstance(node, ast.IfExp):
        parts = [node.body, node.orelse]
    elif isinstance(node, ast.Call):
        parts = [] if isinstance(node.func, ast.Name) and node.func.id in _NUMBERS else [node.func]
    elif isinstance(node, ast.Subscript):
        parts = [node.value]
    elif isinstance(node, ast.Attribute):
        return node.attr in _OF_TENSORS or path(node).startswith(_OTHER_PACKAGES)
    else:
        return node is None or isinstance(node, _LITERALS)
    return all(is_no_tensor(part, is_number, path) for part in parts)


_LITERALS = (ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp, ast.DictComp)
