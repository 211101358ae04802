"""Unfolds decisions and loops: what branches of `torch.cond` and bodies of loops call lies in the program like others.

    x > 0                                                torch2flow.cond is given what each branch gives,
        branch:  relu(x)                                 and a call inside of a branch has a frame that says so;
        branch:  neg(x)                                  a body reads what lies outside by its own name
    torch2flow.cond(x > 0, [relu], [neg]) -> getitem

What a loop hands from one round to the next is made by `torch2flow.carry`, from what it is before the first round, and
what a round gets of each tensor that is looped over by `torch2flow.slices`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from torch2flow.errors import UnsupportedError
from torch2flow.models.program.graph import Frame, Line, Meta, Node, Ref
from torch2flow.models.program.symbols import SymInt

COND = "torch2flow.cond"
"""`cond(test, yes, no)`: the lists `yes` or `no`. Its blocks are the two branches."""
WHILE = "torch2flow.while"
"""`while(carried, test, following)`: what is carried, once `test` is false. Its blocks are the test and the body."""
FOR = "torch2flow.for"
"""`for(carried, sliced, following, stacked, begins)`: what is carried after the last round, and each of `stacked` of
all rounds in one tensor; where it `begins` with it, what is carried before the first round too. Its block is the
body."""
CARRY = "torch2flow.carry"
SLICES = "torch2flow.slices"
COMPARE = "torch2flow.compare"
"""`compare(left, sign, right)` of two sizes."""
FUNCTION = "torch2flow.function"
"""`function(name, given, results, saved, received, following, ...)`: what a function of the author's with a backward of
its own gives (`author_functions.py`). Its blocks are `forward` and `backward`."""
FUNCTION_BLOCKS = ("forward", "backward")
CONTEXT = "torch2flow.context"
"""Makes what that `backward` is given: the gradients of the results, and what `forward` kept."""
CONTROLS = (COND, WHILE, FOR, FUNCTION)
PARTS = (CARRY, SLICES, CONTEXT)
"""What is written as part of the loop that follows."""

CONTROL_FLOW = tuple(
    f"higher_order.{name}" for name in ("cond", "while_loop", "map_impl", "map", "scan", "associative_scan")
)
_TARGETS = re.compile(r"^[\w\s,.\[\]()*]+=(?!=)\s*")
_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!="}


class Reader(Protocol):
    """Reads the program around (`exported.py`)."""

    metas: dict[str, Meta]
    known: dict[str, Any]
    sizes: dict[str, Any]
    tests: dict[str, tuple[Any, ...]]

    def place(self, entry: dict[str, Any]) -> tuple[tuple[Frame, ...], tuple[tuple[Line, ...], ...]]: ...

    def outputs(self, entry: dict[str, Any], suffix: str) -> tuple[list[str], bool, bool]: ...

    def final_name(self, name: str) -> str | None: ...

    def piece(self, given: dict[str, Any], suffix: str) -> str: ...

    def inputs(self, inner: dict[str, Any], inside: str) -> list[str]: ...

    def bind(self, inner: dict[str, Any], inside: str, values: list[Any]) -> None: ...

    def nodes(self, body: dict[str, Any], suffix: str, no_grad: bool) -> Iterator[Node]: ...

    def results(self, inner: dict[str, Any], inside: str) -> list[Any]: ...

    def listed(self, item: dict[str, Any], suffix: str) -> list[Any]: ...


def unfolded(reader: Reader, entry: dict[str, Any], target: str, suffix: str, no_grad: bool) -> Iterator[Node]:
    """The calls inside of a decision or loop, and at last the call that stands for the whole of it."""
    unfolding = _Unfolding(reader, entry, suffix, no_grad)
    match target.rpartition(".")[2]:
        case "cond":
            return unfolding.cond()
        case "while_loop":
            return unfolding.while_loop()
        case "scan":
            return unfolding.scan()
        case "associative_scan":
            return unfolding.associative_scan()
    return unfolding.map()


class _Unfolding:
    """Unfolds one call of control flow."""

    def __init__(self, reader: Reader, entry: dict[str, Any], suffix: str, no_grad: bool) -> None:
        self.reader, self.suffix, self.no_grad = reader, suffix, no_grad
        self.frames, self.lines = reader.place(entry)
        self.given = [item["arg"] for item in entry["inputs"]]
        self.outputs = reader.outputs(entry, suffix)[0]
        self.blocks: list[str] = []

    def cond(self) -> Iterator[Node]:
        test, yes, no, operands = self.given
        (flag,) = self._values(test)
        if isinstance(flag, Ref) and flag.name in self.reader.tests:
            yield (comparison := self._comparison(flag))
            flag = Ref(comparison.outputs[0])
        results = []
        for branch in (yes, no):
            inner, inside = self._inner(branch)
            self.reader.bind(inner, inside, self._values(operands))
            yield from self._block(inner, inside, "branch")
            results.append(self.reader.results(inner, inside))
        yield self._control(COND, {"test": flag, "yes": results[0], "no": results[1]})

    def while_loop(self) -> Iterator[Node]:
        test, body, *operands = self.given
        first, around = self._values(operands[0]), self._values(*operands[1:])
        inner, inside = self._inner(body)
        carried = self.reader.inputs(inner, inside)[: len(first)]
        values = [*map(Ref, carried), *around]
        self.reader.bind(inner, inside, values)
        if not all(
            isinstance(value, Ref) and name in (inner.get("tensor_values") or {})
            for value, name in zip(first, (each.removesuffix(inside) for each in carried), strict=True)
        ):
            self._refuse("torch.while_loop carries a number from round to round", "carry a tensor: torch.tensor(0)")
        yield self._node(CARRY, {"values": first}, carried)
        body_nodes = list(self._block(inner, inside, "body"))
        tested, within = self._inner(test)
        self.reader.bind(tested, within, values)
        yield from self._block(tested, within, "test")
        yield from body_nodes
        self.blocks.reverse()
        (flag,) = self.reader.results(tested, within)
        following = self.reader.results(inner, inside)
        yield self._control(WHILE, {"carried": list(map(Ref, carried)), "test": flag, "following": following})

    def scan(self) -> Iterator[Node]:
        body, first, over, *around = self.given
        return self._for(body, self._values(first), self._values(over), self._values(*around))

    def map(self) -> Iterator[Node]:
        body, over, *around = self.given
        return self._for(body, [], self._values(over), self._values(*around))

    def associative_scan(self) -> Iterator[Node]:
        """As a `scan` that begins with the first of each tensor, and goes over the others."""
        body, over, *around = self.given
        values = self._values(over)
        first, rest = [], []
        for number, value in enumerate(values):
            meta, name = self.reader.metas[value.name], f"{self.outputs[number]}__"
            self.reader.metas[f"{name}first"] = Meta(meta.dtype, meta.shape[1:], meta.strides[1:])
            size = meta.shape[0]
            others = size - 1 if isinstance(size, int) else SymInt(f"{size} - 1", size.hint - 1)
            self.reader.metas[f"{name}rest"] = Meta(meta.dtype, (others, *meta.shape[1:]), meta.strides)
            at = {"self": value, "dim": 0}
            yield self._node("aten.select.int", {**at, "index": 0}, [f"{name}first"])
            yield self._node("aten.slice.Tensor", {**at, "start": 1, "end": 2**63 - 1}, [f"{name}rest"])
            first.append(Ref(f"{name}first"))
            rest.append(Ref(f"{name}rest"))
        yield from self._for(body, first, rest, self._values(*around), begins=True)

    def _for(
        self, body: dict[str, Any], first: list[Any], over: list[Any], around: list[Any], *, begins: bool = False
    ) -> Iterator[Node]:
        inner, inside = self._inner(body)
        names = self.reader.inputs(inner, inside)
        carried, sliced = names[: len(first)], names[len(first) : len(first) + len(over)]
        self.reader.bind(inner, inside, [*map(Ref, carried), *map(Ref, sliced), *around])
        if first:
            yield self._node(CARRY, {"values": first}, carried)
        yield self._node(SLICES, {"values": over}, sliced)
        yield from self._block(inner, inside, "body")
        results = self.reader.results(inner, inside)
        following, stacked = (results, results) if begins else (results[: len(first)], results[len(first) :])
        if begins:
            self.outputs[:0] = [f"{name}__last" for name in self.outputs]
        arguments = {"carried": list(map(Ref, carried)), "sliced": list(map(Ref, sliced)), "following": following}
        yield self._control(FOR, {**arguments, "stacked": stacked, "begins": begins})

    # What they are made of.

    def _values(self, *items: dict[str, Any]) -> list[Any]:
        """Arguments that are tensors or sizes: PyTorch writes a list of both as one of tensors."""
        metas, sizes = self.reader.metas, self.reader.sizes
        return [
            sizes.get(value.name, value) if isinstance(value, Ref) and value.name not in metas else value
            for item in items
            for value in self.reader.listed(item, self.suffix)
        ]

    def _inner(self, given: dict[str, Any]) -> tuple[dict[str, Any], str]:
        return given["as_graph"]["graph"], self.reader.piece(given, self.suffix)

    def _block(self, inner: dict[str, Any], inside: str, kind: str) -> Iterator[Node]:
        """The calls of a graph inside the graph, as those of a block."""
        frame = Frame(inside, self.frames[-1].path if self.frames else "", "", kind, self.no_grad)
        self.blocks.append(inside)
        count = len(self.frames)
        for node in self.reader.nodes(inner, inside, self.no_grad):
            if count and node.frames[:count] == self.frames:
                around = self.lines[-1]
                own = tuple(_of_lambda(line, around) for line in node.lines[count - 1][len(around) :])
                frames, lines = node.frames[count:], (own, *node.lines[count:])
            else:
                frames, lines = node.frames, ((), *node.lines)
            yield replace(node, frames=(*self.frames, frame, *frames), lines=(*self.lines, *lines))

    def _node(self, operator: str, arguments: dict[str, Any], outputs: list[str]) -> Node:
        target = operator if operator.startswith("aten.") else f"{operator}.default"
        return Node(target, arguments, outputs, self.frames, self.lines, self.no_grad)

    def _control(self, operator: str, arguments: dict[str, Any]) -> Node:
        return self._node(operator, {**arguments, "blocks": self.blocks}, self.outputs)

    def _comparison(self, flag: Ref) -> Node:
        """A decision on sizes, which is no call of an operator."""
        function, *operands = self.reader.tests[flag.name]
        sign = _SIGNS.get(function.rpartition(".")[2].strip("_"), "")
        if not sign or not all(isinstance(each, int | SymInt) for each in operands):
            self._refuse("torch.cond decides by more than one comparison of sizes", "compare two sizes")
        left, right = operands
        return self._node(COMPARE, {"left": left, "sign": sign, "right": right}, [f"{self.outputs[0]}__test"])

    def _refuse(self, what: str, remedy: str) -> None:
        node = self._node(COND, {}, [])
        raise UnsupportedError(
            f"{what}, which torch2flow can't follow.",
            where=f"{node.path or 'the model itself'}, {node.line or 'unknown line'}",
            remedy=f"{remedy}, and capture it again",
        )


def _of_lambda(line: Line, around: tuple[Line, ...]) -> Line:
    """The line of a call in a block; what the line of a lambda assigns to is no name of what the lambda computes."""
    if not around or str(around[-1]) != str(line):
        return line
    return replace(line, text=_TARGETS.sub("", line.text))
