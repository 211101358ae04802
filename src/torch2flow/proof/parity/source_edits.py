"""Small changes to the source of a function, of which one may make its numbers PyTorch's.

Each is one that a converter or a person may have got wrong the other way round: an activation, an operator, the order
of arguments, an axis, a value that is not added. They are made on the tree of the source, and undone.
"""

from __future__ import annotations

import ast
import copy
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

ACTIVATIONS = (
    "F.relu({})", "F.gelu({})", "F.silu({})", "flow.tanh({})", "flow.sigmoid({})", "F.softplus({})", "F.relu6({})",
    "F.hardswish({})", "F.hardsigmoid({})", "F.mish({})", "F.elu({}, alpha=1.0)", "F.leaky_relu({}, alpha=0.01)",
    "F.leaky_relu({}, alpha=0.1)", "F.leaky_relu({}, alpha=0.2)",
    "F.gelu({}, approximate='tanh')", "F.hardtanh({}, min_val=-1.0, max_val=1.0)", "F.log_softmax({}, dim=-1)",
    "flow.exp({})",
)  # fmt: skip
"""Functions of one tensor that are mistaken for one another, or left out."""

FUNCTIONS = {text.partition("(")[0].rpartition(".")[2] for text in ACTIVATIONS}

CASTS = ("detach", "to", "half", "float", "double", "clamp", "contiguous", "bfloat16", "abs", "flip")
"""Methods that may be too much."""

OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div)

NEAR = 3
"""So many statements that make a value are changed first."""

MOST_NAMES = 4
"""So many of the latest values are tried as one that was not added."""


@dataclass(frozen=True)
class NodeSlot:
    """Where a node of the tree stands.

    Attributes:
        parent: the node above.
        field: which of its fields.
        index: the place in the field, where that is a list.
    """

    parent: ast.AST
    field: str
    index: int | None

    def get(self) -> Any:
        """The node that stands here."""
        value = getattr(self.parent, self.field)
        return value if self.index is None else value[self.index]

    def put(self, node: Any) -> None:
        """Puts another node here."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


@dataclass(frozen=True)
class Edit:
    """One change: what is put where, and which cause it would show."""

    slot: NodeSlot
    new: Any
    cause: str


def slots(statement: ast.AST, *, whole: bool) -> Iterator[NodeSlot]:
    """Every place in a statement: what layers are called with only if it is asked for whole."""
    layer = _is_layer(statement)
    for field, value in ast.iter_fields(statement):
        if field in ("targets", "target") or (layer and (field == "func" or not whole)):
            continue
        if field == "func":  # a method: what it is called of
            if isinstance(value, ast.Attribute):
                yield NodeSlot(value, "value", None)
                yield from slots(value.value, whole=whole)
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.AST) and not (isinstance(node, ast.stmt)):
                yield NodeSlot(statement, field, index)
                yield from slots(node, whole=whole)


def _is_layer(node: ast.AST) -> bool:
    """Whether this calls a layer: `self.norm(x)`, `layer(x)`, `layer["norm"](x)`, and no function or method."""
    if not isinstance(node, ast.Call):
        return False
    func = node.func
    while isinstance(func, ast.Attribute):
        func = func.value
    own = isinstance(func, ast.Name) and func.id == "self"
    return own or isinstance(node.func, ast.Subscript) or (isinstance(node.func, ast.Name) and node.func.id == "layer")


def behind(function: ast.FunctionDef, line: int) -> list[NodeSlot]:
    """The places that make a value which a line hands on, back to what layers gave; the nearest first.

    Args:
        function: is read.
        line: that hands the value on; 0 stands for what is returned.
    """
    statements = [node for node in ast.walk(function) if isinstance(node, ast.stmt) and node is not function]
    simple = [node for node in statements if not isinstance(node, ast.For | ast.While | ast.If | ast.With)]
    loops = [(node.lineno, node.end_lineno or 0) for node in statements if isinstance(node, ast.For | ast.While)]
    first: list[ast.stmt] = [node for node in simple if isinstance(node, ast.Return) or node is simple[-1]]
    if line:
        first = [node for node in simple if node.lineno <= line <= (node.end_lineno or 0)] or first
    waiting = [(node, True) for node in first]
    found: dict[int, list[NodeSlot]] = {}  # by the statement, in the order in which they were met
    while waiting:
        node, whole = waiting.pop(0)
        if id(node) in found:
            continue
        found[id(node)] = list(slots(node, whole=whole))
        names = {each.id for slot in found[id(node)] if isinstance(each := slot.get(), ast.Name)}
        for name in names:
            setters = [other for other in simple if name in _stored(other)]
            before = [other for other in setters if other.lineno < node.lineno]
            turns = [
                other
                for start, end in loops
                for other in setters
                if start <= node.lineno <= end and node.lineno < other.lineno <= end
            ]
            waiting += [(group[-1], False) for group in (before, turns) if group]
    tests = [node for node in statements if isinstance(node, ast.If)]
    made = [slot for each in found.values() for slot in each]
    return made + [NodeSlot(node, "test", None) for node in tests]


def _stored(node: ast.stmt) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}


def numbers(function: ast.FunctionDef, places: list[NodeSlot]) -> list[NodeSlot]:
    """The places of float literals, which may have another value."""
    defaults = [NodeSlot(function.args, "defaults", n) for n, _ in enumerate(function.args.defaults)]
    return [
        slot
        for slot in (*places, *defaults)
        if isinstance(node := slot.get(), ast.Constant) and type(node.value) is float and math.isfinite(node.value)
    ]


def edits(function: ast.FunctionDef, places: list[NodeSlot], held: list[str]) -> Iterator[Edit]:
    """Every change to a function in these places, the likelier ones first.

    Args:
        function: is changed.
        places: where.
        held: the tensors that the module holds, as `self.scale`: one may have been left out.
    """
    added = functools.partial(_added, held=held)
    few, many = (_flags, _functions, _operators), (_wrapped, added, _integers, _orders)
    near = [slot for slot in places if getattr(slot.get(), "lineno", 0) in _lines(places)[:NEAR]]
    for family, slot in (
        (family, slot) for families in (few, many) for part in (near, places) for family in families for slot in part
    ):
        node = slot.get()
        if isinstance(node, ast.expr):
            for new, cause in family(node, slot, function):
                yield Edit(slot, new, cause)
        elif isinstance(node, ast.keyword) and family is _flags and isinstance(slot.parent, ast.Call):
            rest = [each for each in slot.parent.keywords if each is not node]
            yield Edit(NodeSlot(slot.parent, "keywords", None), rest, f"`{node.arg}` is not PyTorch's")


def _lines(places: list[NodeSlot]) -> list[int]:
    return list(dict.fromkeys(getattr(slot.get(), "lineno", 0) for slot in places))


Found = Iterator[tuple[ast.AST, str]]


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _called(node: ast.AST) -> str:
    """The last name of the function that is called; "" of anything else."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _with(node: Any, **fields: Any) -> Any:
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _flags(node: ast.expr, slot: NodeSlot, function: ast.FunctionDef) -> Found:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value), "another flag"
    inner = node.args[0] if isinstance(node, ast.Call) and len(node.args) == 1 else None
    if isinstance(node, ast.Call) and isinstance(inner, ast.Call) and len(inner.args) == 1:
        swapped = ast.Call(node.func, inner.args, node.keywords)
        yield ast.Call(inner.func, [swapped], inner.keywords), "two steps in another order, or swapped"
    if isinstance(node, ast.IfExp):
        yield _with(node, body=node.orelse, orelse=node.body), "a branch is turned round"
    if slot.field == "test":
        yield ast.UnaryOp(ast.Not(), node), "a branch is turned round"
    name = _called(node)
    if isinstance(node, ast.Call) and name == "interpolate":
        rest = [each for each in node.keywords if each.arg != "mode"]
        for mode in ("nearest", "bilinear", "bicubic"):
            made = _with(node, keywords=[*rest, ast.keyword("mode", ast.Constant(mode))])
            yield made, "another mode of resampling, or the argument is left out"
    if isinstance(node, ast.Call) and node.args:
        if name in ("where", "masked_fill"):
            mask = ast.Call(_expression("flow.logical_not"), [node.args[0]], [])
            yield _with(node, args=[mask, *node.args[1:]]), "a mask is inverted"
        if name == "logical_not":
            yield node.args[0], "a mask is inverted"
            yield _expression(f"flow.ones_like({ast.unparse(node.args[0])})"), "a mask is inverted"


def _functions(node: ast.expr, slot: NodeSlot, function: ast.FunctionDef) -> Found:
    name = _called(node)
    if not isinstance(node, ast.Call):
        return
    if name in FUNCTIONS and node.args:
        given = ast.unparse(node.args[0])
        for text in ACTIVATIONS:
            yield _expression(text.format(given)), "another activation"
        yield node.args[0], "an activation too much"
    if name in CASTS and isinstance(node.func, ast.Attribute):
        to = "bfloat16" if "bfloat16" in ast.unparse(node) else "float16" if "half" in ast.unparse(node) else ""
        yield node.func.value, f"computed in {to}" if to else f"`{name}` too much"


def _operators(node: ast.expr, slot: NodeSlot, function: ast.FunctionDef) -> Found:
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, OPERATORS):
        return
    for other in OPERATORS:
        if not isinstance(node.op, other):
            yield _with(node, op=other()), "another operator or sign"
    if isinstance(node.op, ast.Sub | ast.Div):
        yield _with(node, left=node.right, right=node.left), "both sides of an operator are swapped"
    for side in (node.left, node.right):
        if not isinstance(side, ast.Constant):
            yield side, "a residual, a factor or another value too much"


def _orders(node: ast.expr, slot: NodeSlot, function: ast.FunctionDef) -> Found:
    if isinstance(node, ast.Tuple | ast.List) and 2 <= len(node.elts) <= 4 and isinstance(slot.parent, ast.Call):
        for turn in range(1, len(node.elts)):
            yield _with(node, elts=[*node.elts[turn:], *node.elts[:turn]]), "values in another order, or swapped"
    if isinstance(node, ast.Call) and len(node.args) >= 2:
        for one in range(len(node.args)):
            for other in range(one + 1, min(len(node.args), 4)):
                given = list(node.args)
                given[one], given[other] = given[other], given[one]
                yield _with(node, args=given), "two arguments are swapped"


def _wrapped(node: ast.expr, slot: NodeSlot, function: ast.FunctionDef) -> Found:
    """An activation that is left out: of what a step gives, or of what another is given."""
    step = slot.field == "value" and isinstance(slot.parent, ast.Assign | ast.Return)
    operand = isinstance(slot.parent, ast.BinOp) and not isinstance(node, ast.Constant)
    given = isinstance(slot.parent, ast.Call) and slot.field == "args" and isinstance(node, ast.Name | ast.Call)
    if (step and isinstance(node, ast.Call | ast.BinOp)) or operand or given:
        for text in ACTIVATIONS:
            yield _expression(text.format(ast.unparse(node))), "an activation is left out"


def _integers(node: ast.expr, slot: NodeSlot, function: ast.FunctionDef) -> Found:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        for step in (1, -1, 2, -2):
            cause = "another axis, size or number"
            yield ast.Constant(node.value + step), cause


def _added(node: ast.expr, slot: NodeSlot, function: ast.FunctionDef, held: list[str]) -> Found:
    """A residual, a bias or a factor that is left out."""
    step = slot.field == "value" and isinstance(slot.parent, ast.Assign | ast.Return)
    given = isinstance(slot.parent, ast.Call) and slot.field == "args" and isinstance(node, ast.Name | ast.Call)
    operand = isinstance(slot.parent, ast.BinOp) and isinstance(node, ast.Call | ast.Name)
    if not ((step and isinstance(node, ast.Call | ast.BinOp | ast.Name)) or given or operand):
        return
    line = getattr(node, "lineno", 0)
    for text in (*_values_before(function, line), *held):
        if text != ast.unparse(node):
            yield (
                ast.BinOp(node, ast.Add(), _expression(text)),
                "a residual is left out, or another value that is added",
            )
            yield ast.BinOp(node, ast.Mult(), _expression(text)), "a factor is left out"
            yield ast.BinOp(node, ast.Sub(), _expression(text)), "a value that is taken off is left out"


def _values_before(function: ast.FunctionDef, line: int) -> list[str]:
    """The names that hold a value before a line, the latest first."""
    names = [(0, each.arg) for each in function.args.args if each.arg != "self"]
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and node.lineno <= line:
            names += [(node.lineno, name) for name in _stored(node)]
    return list(dict.fromkeys(name for _, name in sorted(names, reverse=True)))[:MOST_NAMES]


def solved(evaluate: Callable[[float], Any], start: float) -> Iterator[float]:
    """Values of a number that come nearer and nearer to making a difference zero, by secants.

    Args:
        evaluate: the difference that a value leaves, as an array; None where it can't be computed.
        start: the value in the source.
    """
    import numpy as np

    step = abs(start) * 1e-2 or 1e-2
    value, other = start, start + step
    here = evaluate(value)
    for _ in range(6):
        there = evaluate(other)
        if here is None or there is None or here.shape != there.shape or value == other:
            return
        slope = (there - here) / (other - value)
        size = float((slope * slope).sum())
        if not np.isfinite(size) or size == 0:
            return
        following = other - float((slope * there).sum()) / size
        value, here, other = other, there, following
        yield following
