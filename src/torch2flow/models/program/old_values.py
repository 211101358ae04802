"""Keeps what a buffer held before it is written, where a gradient is computed from that.

An author writes `self.h = self.cell(x, self.h)`: the buffer gets another tensor, and the old one stays for the backward
pass. The converted model writes into the one tensor it has, so what reads it before takes a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch2flow.models.program.graph import Frame, Graph, Node, Ref, refs
from torch2flow.models.program.train_mode import NORMS

NEEDS_NO_OPERAND = {
    f"aten.{name}"
    for name in (
        "add", "sub", "rsub", "cat", "stack", "where", "masked_fill", "embedding", "index", "index_select", "gather",
        "clone", "copy", "eq", "ne", "lt", "le", "gt", "ge", "lerp", "scatter", "scatter_add", "index_add",
    )
}  # fmt: skip
"""The operators whose backward pass reads none of the values that they were given."""


def with_old_values(graph: Graph, store: str, is_view: Callable[[Node], bool], fresh: Callable[[Node], str]) -> Graph:
    """The program with a copy of each buffer that is written after something was computed with it.

    Args:
        graph: a functional program.
        store: the operator that writes into what the model holds.
        is_view: whether a call gives another look at the memory of its operand.
        fresh: gives a new name for a result.
    """
    nodes, seen, moving = list(graph.nodes), set[str](), _with_gradient(graph)

    def keeps(node: Node, name: str) -> bool:
        """Whether the backward pass of a call, or of what is done with the view that it gives, reads a value."""
        if node.no_grad or name not in node.refs():
            return False
        if is_view(node):
            return any(keeps(other, view) for view in node.outputs for other in graph.nodes)
        exempt = node.operator in NORMS or node.operator in NEEDS_NO_OPERAND
        return not exempt and not moving.isdisjoint(node.refs())

    for writer in [node for node in graph.nodes if node.operator == store]:
        state = writer.arguments["state"].name
        if state in seen or graph.states[state].kind != "buffer" or "float" not in graph.metas[state].dtype:
            continue
        seen.add(state)
        copies: dict[tuple[tuple[Frame, ...], tuple[str, ...]], str] = {}
        for node in nodes[: nodes.index(writer)]:
            if not keeps(node, state):
                continue
            place = node.frames, node.blocks
            if place not in copies:
                copies[place] = fresh(node)
                graph.metas[copies[place]] = graph.metas[state]
                copy = replace(node, target="aten.clone.default", arguments={"self": Ref(state)}, is_list=False)
                nodes.insert(nodes.index(node), replace(copy, outputs=[copies[place]], in_place=False))
            nodes[nodes.index(node)] = _renamed(node, state, copies[place])
    return replace(graph, nodes=nodes)


def _with_gradient(graph: Graph) -> set[str]:
    """The values that may have a gradient: what is made of inputs and parameters."""
    parameters = {name for name, state in graph.states.items() if state.kind == "parameter"}
    found = {*refs(graph.inputs), *parameters}
    for node in graph.nodes:
        if not node.no_grad and node.operator != "aten.detach" and not found.isdisjoint(node.refs()):
            found.update(node.outputs)
    return found


def _renamed(node: Node, old: str, new: str) -> Node:
    return node.renamed(lambda name: new if name == old else name)
