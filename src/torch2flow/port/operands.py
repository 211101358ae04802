"""Which operators of Python are put right for tensors, and which operands are surely no tensors."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

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
"""The methods that Python calls for them."""

OF_INTEGERS: dict[type, tuple[str, ...]] = {
    ast.Add: ("__add__", "__radd__"),
    ast.Sub: ("__sub__", "__rsub__"),
    ast.Mult: ("__mul__", "__rmul__"),
    ast.Div: ("__truediv__", "__rtruediv__"),
    ast.Eq: ("__eq__",),
    ast.NotEq: ("__ne__",),
    ast.Lt: ("__lt__", "__gt__"),
    ast.LtE: ("__le__", "__ge__"),
    ast.Gt: ("__gt__", "__lt__"),
    ast.GtE: ("__ge__", "__le__"),
}
"""Operators of which OneFlow's own differ for a tensor of integers or bools beside a float tensor without dimensions,
and for numbers of NumPy's: they are put right for files that make such tensors or import NumPy."""

WITH_NUMPY: dict[type, str] = {
    ast.Add: "__iadd__",
    ast.Sub: "__isub__",
    ast.Mult: "__imul__",
    ast.Div: "__itruediv__",
}

IN_PLACE: dict[type, str] = {
    ast.FloorDiv: "__ifloordiv__",
    ast.Mod: "__imod__",
    ast.Pow: "__ipow__",
    ast.BitAnd: "__iand__",
    ast.BitOr: "__ior__",
    ast.BitXor: "__ixor__",
}

_MAKE_INTEGERS = frozenset(
    """arange argmax argmin argsort as_tensor bincount bool BoolTensor bucketize byte ByteTensor count_nonzero eq
    from_numpy ge gt int int16 int32 int64 int8 IntTensor le long LongTensor lt multinomial ne nonzero one_hot randint
    randperm searchsorted short tensor tril_indices triu_indices uint8""".split()
)
"""Names of functions, methods and dtypes that tensors of integers or bools come from."""

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
        self._makes_integers = False
        self._imports_numpy = any(
            each.path.partition(".")[0] == "numpy"
            for scope in file.scopes.values()
            for imported in scope.imports.values()
            for each in imported
        )
        self._of_integers: set[str] = set()
        self._with_numpy: set[str] = set()

    def finish(self) -> None:
        """Takes note of what the operators of the whole file need, by what the file makes anywhere."""
        for path in self._of_integers if self._makes_integers or self._imports_numpy else ():
            self._need(path)
        for path in self._with_numpy if self._imports_numpy else ():
            self._need(path)

    def made(self, name: str, call: ast.Call | None) -> None:
        """A function, method or dtype of PyTorch's that is used: tensors of integers or bools may come from it."""
        if name.rpartition(".")[2] in _MAKE_INTEGERS and not (call is not None and self._makes_floats(call)):
            self._makes_integers = True

    def _makes_floats(self, call: ast.Call) -> bool:
        """Whether a call of `arange` or `tensor` gives floating-point numbers."""
        dtypes = [self.path_of(each.value) for each in call.keywords if each.arg == "dtype"]
        if dtypes:
            return "float" in dtypes[0]
        return any(isinstance(each, ast.Constant) and isinstance(each.value, float) for each in ast.walk(call))

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

    def write_item(self, target: ast.expr) -> None:
        """`x[:, places] = value`: the compatibility module keeps its gradients where `places` may be no number."""
        parts = target.slice.elts if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Tuple) else []
        if any(isinstance(each, ast.List) or not self._is_place(each) for each in parts):
            self._need("torch.Tensor.__setitem__")

    def _is_place(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Slice) or self.is_no_tensor(node)

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
        for path in _methods_of(names):
            self._need(path)
        if not any(isinstance(each, ast.Constant | ast.List | ast.Tuple) for each in operands):
            self._of_integers |= _methods_of(OF_INTEGERS.get(type(operator), ()))
            self._with_numpy |= _methods_of(("__array_priority__", WITH_NUMPY.get(type(operator), "") * in_place))
            self._makes_integers |= any(isinstance(each, ast.Compare) for each in operands)

    def compare(self, node: ast.Compare) -> None:
        """A comparison, which may be one of tensors."""
        for operator, left, right in zip(node.ops, [node.left, *node.comparators], node.comparators, strict=False):
            self.use(operator, [left, right])

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


def _methods_of(names: Iterable[str]) -> set[str]:
    """The substitutes for methods of these names."""
    return {path for name in names for path in methods_called(name)}
