"""Stand-ins: what an operator rule gets in the place of tensors, and which write down what is done to them.

    >>> x = StandIn(ast.Name("x"))
    >>> print(ast.unparse(source(2 * x.relu() + x[:, 1:])))
    2 * x.relu() + x[:, 1:]

A stand-in has no value. A rule that asks for one, by `if x.sum() > 0` or `for each in x`, gets a `NeedsValueError`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from torch2flow.models.codegen.literals import literal, slice_of
from torch2flow.models.lowering.lazy import is_float, recorded_defaults


class NeedsValueError(TypeError):
    """A rule asks for what is known only when the model runs."""


class StandIn:
    """A value that is known only when the model runs.

    Args:
        node: the expression that computes it.
        is_tensor: whether it is a tensor, and no size or shape.
        dtype: the tensor's dtype as source, `flow.float32`; "" where it is not known.
        ndim: its number of dimensions; -1 where it is not known.
    """

    def __init__(self, node: ast.expr, is_tensor: bool = True, dtype: str = "", ndim: int = -1) -> None:
        self._node, self._is_tensor, self._dtype, self._ndim = node, is_tensor, dtype, ndim

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        node = ast.Attribute(self._node, name, ast.Load())
        match name:
            case "ndim" if self._ndim >= 0:
                return self._ndim
            case "dtype" if self._dtype:
                return NamedValue(node, self._dtype)
            case "shape":
                return Shape(node, node, range(self._ndim) if self._ndim >= 0 else None)
        return StandIn(node, False)

    def __getitem__(self, key: Any) -> StandIn:
        parts = [_index(part) for part in (key if isinstance(key, tuple) else (key,))]
        index = parts[0] if len(parts) == 1 else ast.Tuple(parts, ast.Load())
        return StandIn(ast.Subscript(self._node, index, ast.Load()), self._is_tensor)

    def __call__(self, *args: Any, **kwargs: Any) -> StandIn:
        return StandIn(call(self._node, args, kwargs, recorded_defaults()))

    def __neg__(self) -> StandIn:
        return StandIn(ast.UnaryOp(ast.USub(), self._node), self._is_tensor)


def _value(self: StandIn, *_: Any) -> NoReturn:
    raise NeedsValueError(f"the value of {ast.unparse(self._node)}")


for _name in ("bool", "len", "iter", "index", "int", "float", "str", "hash", "contains", "format", "setitem"):
    setattr(StandIn, f"__{_name}__", _value)


def _binary(operator: Callable[[], ast.operator], is_left: bool) -> Callable[[StandIn, Any], StandIn]:
    def operate(self: StandIn, other: Any) -> StandIn:
        left, right = (self._node, source(other)) if is_left else (source(other), self._node)
        is_tensor = self._is_tensor or (isinstance(other, StandIn) and other._is_tensor)
        return StandIn(ast.BinOp(left, operator(), right), is_tensor)

    return operate


def _comparison(operator: Callable[[], ast.cmpop]) -> Callable[[StandIn, Any], StandIn]:
    return lambda self, other: StandIn(ast.Compare(self._node, [operator()], [source(other)]), self._is_tensor)


for _name, _operator in {
    "add": ast.Add, "sub": ast.Sub, "mul": ast.Mult, "truediv": ast.Div, "floordiv": ast.FloorDiv, "mod": ast.Mod,
    "pow": ast.Pow, "matmul": ast.MatMult,
}.items():  # fmt: skip
    setattr(StandIn, f"__{_name}__", _binary(_operator, True))
    setattr(StandIn, f"__r{_name}__", _binary(_operator, False))
for _name, _comparing in {
    "eq": ast.Eq, "ne": ast.NotEq, "lt": ast.Lt, "le": ast.LtE, "gt": ast.Gt, "ge": ast.GtE
}.items():  # fmt: skip
    setattr(StandIn, f"__{_name}__", _comparison(_comparing))


class Shape(StandIn):
    """`x.shape`, or a slice of it: how many sizes it has is known where the tensor's `ndim` is."""

    def __init__(self, node: ast.expr, whole: ast.expr, positions: range | None) -> None:
        super().__init__(node, False)
        self._whole, self._positions = whole, positions

    def __len__(self) -> int:
        return _value(self) if self._positions is None else len(self._positions)

    def __getitem__(self, key: Any) -> StandIn:
        made = super().__getitem__(key)
        if isinstance(key, slice) and self._positions is not None:
            return Shape(made._node, self._whole, self._positions[key])
        return made

    def __iter__(self) -> Iterator[StandIn]:
        for position in self._positions if self._positions is not None else _value(self):
            yield SizeItem(self, position)


class SizeItem(StandIn):
    """One of the sizes that a loop over `x.shape`, or `*x.shape`, takes out of it."""

    def __init__(self, shape: Shape, position: int) -> None:
        super().__init__(ast.Subscript(shape._whole, ast.Constant(position), ast.Load()), False)
        self._shape, self._position = shape, position

    def starts_all(self, values: Sequence[Any]) -> bool:
        """Whether the values start with all sizes of the shape, in their order."""
        wanted = list(self._shape._positions or ())
        row = [
            each._position
            for each in values[: len(wanted)]
            if isinstance(each, SizeItem) and each._shape is self._shape
        ]
        return len(wanted) > 1 and row == wanted


class DynamicSize(StandIn):
    """A size of a tensor that differs from run to run, so that a rule can't take its number at capture for it.

    It is taken to be neither 0 nor 1, which PyTorch's export makes numbers of the program. A rule that gives nonsense
    for 0 asks whether it `may_be_zero`.

    Args:
        write: gives the expression that computes it, which is asked for when it is needed.
        may_be_zero: whether it depends on the values of a tensor.
    """

    def __init__(self, write: Callable[[], ast.expr], may_be_zero: bool = False) -> None:
        self.may_be_zero = may_be_zero
        self._write, self._is_tensor, self._dtype, self._ndim = write, False, "", -1

    @property
    def _node(self) -> ast.expr:  # type: ignore[override]
        return self._write()

    def __eq__(self, other: object) -> Any:
        return False if isinstance(other, int) and other in (0, 1) else StandIn.__eq__(self, other)

    def __ne__(self, other: object) -> Any:
        return True if isinstance(other, int) and other in (0, 1) else StandIn.__ne__(self, other)

    __hash__ = None  # type: ignore[assignment]


class NamedValue(StandIn):
    """Something with a name in OneFlow: `flow.float32`, `F.relu`, also `x.dtype` where it is known which it is.

    It equals another of the same name, so that a rule can ask `in_dtype == flow.bool`.
    """

    def __init__(self, node: ast.expr, name: str = "") -> None:
        super().__init__(node, False)
        self._name = name or ast.unparse(node)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "is_floating_point":
            return is_float(self)
        return NamedValue(ast.Attribute(self._node, name, ast.Load()), f"{self._name}.{name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedValue) and self._name == other._name

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._name)

    def __str__(self) -> str:
        return self._name

    def __instancecheck__(self, value: Any) -> bool:
        return self._name == "flow.Tensor" and isinstance(value, StandIn) and value._is_tensor


class Integer(int):
    """A whole number that remembers the name of the operator's argument it was given for."""

    hint = ""


class Real(float):
    """A number that remembers the name of the operator's argument it was given for."""

    hint = ""


def number(value: int | float, hint: str) -> Integer | Real:
    """A number that remembers what it is; any arithmetic makes a plain number of it."""
    made = Integer(value) if isinstance(value, int) else Real(value)
    made.hint = hint
    return made


def source(value: Any) -> ast.expr:
    """A recorded value, or a constant, as an expression."""
    match value:
        case StandIn():
            return value._node
        case slice():  # outside of a subscript, where `1:3` is no Python
            given = [value.start, value.stop] if value.step in (None, 1) else [value.start, value.stop, value.step]
            return ast.Call(ast.Name("slice", ast.Load()), [source(part) for part in given], [])
        case tuple():
            return ast.Tuple(sources(value), ast.Load())
        case list():
            return ast.List(sources(value), ast.Load())
        case Integer() | Real():
            plain = int(value) if isinstance(value, int) else float(value)
            return literal(plain, value.hint)
    return literal(value)


def _index(part: Any) -> ast.expr:
    """One part of a subscript, a slice as `1:3`."""
    if isinstance(part, slice):
        return slice_of(source(part.start), source(part.stop), source(part.step))
    return source(part)


def sources(values: Sequence[Any]) -> list[ast.expr]:
    """Recorded values as expressions; all sizes of a shape in a row are `*x.shape`."""
    found: list[ast.expr] = []
    position = 0
    while position < len(values):
        value = values[position]
        if isinstance(value, SizeItem) and value.starts_all(values[position:]):
            found.append(ast.Starred(value._shape._node, ast.Load()))
            position += len(value._shape)
        else:
            found.append(source(value))
            position += 1
    return found


class ShortCall(ast.Call):
    """A call without the arguments that equal a default.

    Attributes:
        names: of all arguments that are given by name, in order.
        defaulted: those that are left out, with their values.
    """

    names: list[str]
    defaulted: dict[str, Any]


ShortCall.__name__ = "Call"  # `ast.unparse` and `ast.dump` choose by it what to do


def call(function: ast.expr, args: tuple[Any, ...], kwargs: dict[str, Any], defaults: dict[str, Any]) -> ast.expr:
    """A call, without the keywords that equal a default, and without `None` at the end of the positional arguments."""
    defaulted = {name: value for name, value in kwargs.items() if name in defaults and same(value, defaults[name])}
    keywords = [ast.keyword(name, source(value)) for name, value in kwargs.items() if name not in defaulted]
    positional = list(args)
    while positional and not keywords and positional[-1] is None:
        positional.pop()
    made = ShortCall(function, sources(positional), keywords)
    made.names, made.defaulted = list(kwargs), defaulted
    return made


def same(value: Any, default: Any) -> bool:
    """Whether a value says the same as a default; `(1, 1)` says the same as 1."""
    if isinstance(value, tuple | list) and not isinstance(default, tuple | list) and value:
        return all(same(item, default) for item in value)
    if isinstance(value, StandIn) or isinstance(value, bool) != isinstance(default, bool):
        return False
    return value is default or (isinstance(value, type(default)) and bool(value == default))
