"""The author's own `torch.autograd.Function` in a program: its `forward` and its `backward` as two blocks.

    exp, mul                                     forward:   exp, mul          what `Function.apply` was given, and keeps
                                                 torch2flow.context           the gradients, and what was kept
                                                 backward:  mul               what the author's `backward` calls
                                                 torch2flow.function -> mul

A program holds what `forward` calls among all other calls; what else is known of a function lies beside it in the file
(`proof/capture/author_functions.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch2flow.errors import FormatError
from torch2flow.models.program.budget import LONGEST_TEXT, MALFORMED
from torch2flow.models.program.control_flow import CONTEXT, FUNCTION, FUNCTION_BLOCKS, Reader
from torch2flow.models.program.facts import MOST_NAMES, MOST_PARTS
from torch2flow.models.program.graph import Frame, Graph, Line, Node, Ref, map_refs, refs
from torch2flow.models.program.identifiers import is_identifier

Lost = list[tuple[str, str]]
"""The module's path and the class of each function whose backward is lost."""


@dataclass(slots=True)
class AuthorFunction:
    """One call of an author's function.

    Attributes:
        name: of the class.
        path: of the module that calls it.
        lines: the author's lines that lead to the call, by module.
        nodes: the values that its `forward` makes.
        given, parameters: the tensors it is given, and what `forward` calls them.
        results, differentiable: what it gives, and which of that has a gradient.
        saved: what its context holds.
        received, gradients: what `backward` is given, that of the results first, and what it calls those.
        backward: what `backward` calls.
        following: the gradients that it gives, None for what has none.
    """

    name: str
    path: str
    lines: tuple[tuple[Line, ...], ...]
    nodes: set[str]
    given: list[str]
    parameters: list[str]
    results: list[str]
    differentiable: list[bool]
    saved: list[str]
    received: list[str]
    gradients: list[str]
    backward: list[Node] = field(default_factory=list)
    following: list[Any] = field(default_factory=list)


def read_functions(reader: Reader, known: dict[str, Any], lost: Lost) -> tuple[list[AuthorFunction], Lost]:
    """The functions that the facts of a file tell of, as far as they fit its program; and those whose backward is lost.

    Args:
        reader: has read the program.
        known: the facts.
        lost: all functions that were called.
    """
    rows = known.get("functions")
    found, unread = [], False
    for row in rows[:MOST_NAMES] if isinstance(rows, list) else []:
        try:
            found.append(_read(reader, row))
        except (FormatError, *MALFORMED):
            unread = True
    there = set() if unread else {(each.path, each.name) for each in found}
    return found, [each for each in lost if each not in there]


def _read(reader: Reader, row: dict[str, Any]) -> AuthorFunction:
    def values(key: str) -> list[str | None]:
        return [reader.final_name(each.get("value", "")) for each in row[key][:MOST_PARTS]]

    def names(key: str) -> list[str]:
        return [str(each) for each in row[key] if is_identifier(each)]

    inner = row["backward"]
    inside = reader.piece({"as_graph": {"name": "backward"}}, "")
    nodes = list(reader.nodes(inner, inside, False))
    needed = {key: values(key) for key in ("inputs", "outputs", "saved")}
    if not is_identifier(row["name"]) or any(each is None for found in needed.values() for each in found):
        raise ValueError("a value is not known")
    given, results, saved = ([str(each) for each in found] for found in needed.values())
    received = reader.inputs(inner, inside)
    following = reader.results(inner, inside)
    differentiable = [each is True for each in row["differentiable"]]
    if not len(received) == len(results) + len(saved) or len(following) != len(given):
        raise ValueError("the backward is not one of this function")
    if len(differentiable) != len(results) or not all(type(each) is Ref or each is None for each in following):
        raise ValueError("the backward gives something else than tensors")
    return AuthorFunction(
        row["name"],
        str(row["path"]),
        tuple(tuple(_line(each) for each in level[:MOST_NAMES]) for level in row["lines"][:MOST_NAMES]),
        {name for name in values("nodes") if name is not None},
        given,
        names("parameters"),
        results,
        differentiable,
        saved,
        received,
        names("gradients"),
        nodes,
        following,
    )


def _line(row: list[Any]) -> Line:
    file, number, function, text = row
    short = text if len(text) <= LONGEST_TEXT else ""
    return Line(str(file)[:LONGEST_TEXT], int(number), str(function)[:LONGEST_TEXT], str(short).strip())


def with_functions(graph: Graph) -> Graph:
    """The program in which each call of an author's function is one, as far as its calls lie beside each other."""
    lost = []
    for number, function in enumerate(graph.functions):
        placed = _placed(graph, function, number)
        if placed is graph:
            lost.append(function)
        graph = placed
    return without_functions(replace(graph, functions=lost))


def without_functions(graph: Graph) -> Graph:
    """The program that computes the gradients of what each `forward` calls, and says so."""
    lost = dict.fromkeys((each.path, each.name) for each in graph.functions)
    return replace(graph, functions=[], backwards=list(dict.fromkeys([*graph.backwards, *lost])))


def _placed(graph: Graph, function: AuthorFunction, number: int) -> Graph:
    inside = [n for n, node in enumerate(graph.nodes) if not function.nodes.isdisjoint(node.outputs)]
    first, last = (inside[0], inside[-1] + 1) if inside else (0, 0)
    nodes = [node for node in graph.nodes[first:last] if any(node.outputs)]  # the others only check something
    if not nodes or len(inside) != len(nodes) or len({node.frames for node in nodes}) > 1:
        return graph
    made = {name for node in nodes for name in node.outputs}
    outside = [name for node in (*graph.nodes[:first], *graph.nodes[last:]) for name in node.refs()]
    leaving = made.intersection((*outside, *refs(graph.outputs), *graph.stores.values()))
    if not leaving <= set(function.results) <= made or len(set(function.results)) != len(function.results):
        return graph
    values = [*function.given, *function.saved, *function.results, *function.received]
    if not nodes[0].frames or any(graph.metas[name].dtype.startswith("complex") for name in values):
        return graph

    def own(name: str) -> str:
        return f"{name}__inner" if name in function.results else name

    frames, innermost = nodes[0].frames, nodes[0].lines[-1]
    empty: tuple[tuple[Line, ...], ...] = ((),) * max(len(frames) - len(function.lines), 0)
    lines = (*empty, *function.lines[-len(frames) :]) if function.lines else ((),) * len(frames)
    blocks = [Frame(f"function{number}{kind}", frames[-1].path, "", kind) for kind in FUNCTION_BLOCKS]

    def block(node: Node, frame: Frame, own_lines: tuple[Line, ...]) -> Node:
        outputs = [own(name) for name in node.outputs]
        within = replace(node.renamed(own), outputs=outputs)
        return replace(within, frames=(*frames, frame), lines=(*lines, own_lines))

    def ours(operator: str, arguments: dict[str, Any], outputs: list[str]) -> Node:
        return Node(f"{operator}.default", arguments, outputs, frames, lines, nodes[0].no_grad)

    arguments = {
        "name": function.name,
        "given": list(map(Ref, function.given)),
        "parameters": function.parameters,
        "results": [Ref(own(name)) for name in function.results],
        "differentiable": function.differentiable,
        "saved": [Ref(own(name)) for name in function.saved],
        "received": list(map(Ref, function.received)),
        "gradients": function.gradients,
        "following": map_refs(function.following, own),
        "blocks": [frame.key for frame in blocks],
    }
    placed = [
        *(block(node, blocks[0], node.lines[-1] if node.lines else innermost) for node in nodes),
        ours(CONTEXT, {}, function.received),
        *(block(node, blocks[1], _of_backward(node)) for node in function.backward),
        ours(FUNCTION, arguments, list(function.results)),
    ]
    metas = graph.metas | {own(name): graph.metas[name] for name in function.results}
    return replace(graph, nodes=[*graph.nodes[:first], *placed, *graph.nodes[last:]], metas=metas)


def _of_backward(node: Node) -> tuple[Line, ...]:
    """The lines of the author's `backward` that led to a call."""
    lines = node.lines[-1] if node.lines else ()
    start = next((number for number, line in enumerate(lines) if line.function == "backward"), len(lines))
    return lines[start:]
