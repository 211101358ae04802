"""The graph of gradients: its nodes, and the leaves to which OneFlow would bring what nobody asked for."""

from __future__ import annotations

import gc
import sys
from typing import Any

from torch2flow.models.lowering.lazy import flow

FOUND_BEFORE: list[Any] = []
"""The leaves that the last call had to ask for too: a loop needs the same ones again."""


def nodes_behind(outputs):
    """The nodes of the graph that outputs come from, each with the nodes that it hands its gradient on from."""
    return behind(*[each.grad_fn for each in outputs if each.grad_fn is not None])


def behind(*nodes):
    """Nodes and all behind them, each with those that it gets its gradient from."""
    found, following = {node: [] for node in nodes}, list(nodes)
    while following:
        node = following.pop()
        for after in node.next_functions:
            if after not in found:
                found[after] = []
                following.append(after)
            found[after].append(node)
    return found


def leaves_that_would_keep(outputs, inputs):
    """Leaves to which something would come that OneFlow adds to their next gradient.

    OneFlow leaves nodes out that lead to no input, and forgets to go on behind them: a node that gets a gradient from
    one that runs, and waits for another from one that is left out, keeps the first. Where the leaves behind it are
    asked for too, nothing is left out.
    """
    nodes, more = nodes_behind(outputs), []
    while True:
        running, following = set(), [each.grad_fn for each in (*inputs, *more) if each.grad_fn in nodes]
        while following:
            node = following.pop()
            if node not in running:
                running.add(node)
                following.extend(nodes[node])
        keeping = {
            node
            for node, before in nodes.items()
            if node not in running and {each in running for each in before} == {True, False}
        }
        if not keeping:
            return more
        wanted = {each for node in keeping for each in behind(node) if not each.next_functions} - running
        found = leaves_of(wanted, FOUND_BEFORE) or leaves_of(wanted, tensors_alive())
        if not found:
            raise NotImplementedError("OneFlow would add a part of this gradient to another tensor's: ask for both")
        more += found.values()
        FOUND_BEFORE[:] = more


def leaves_of(nodes, tensors):
    """The tensors that belong to nodes of leaves, by these; nothing where one is not among them."""
    found = {each.grad_fn: each for each in tensors if each.is_leaf and each.grad_fn in nodes}
    return found if found.keys() == nodes else {}


def tensors_alive():
    """All tensors in variables of running functions, in lists, tuples and dictionaries, such as those of modules."""
    holders, frame = (
        [each for each in gc.get_objects() if issubclass(type(each), list | tuple | dict)],
        sys._getframe(1),
    )
    while frame is not None:
        holders.append(frame.f_locals)
        frame = frame.f_back
    for holder in holders:
        for each in list(holder.values() if isinstance(holder, dict) else holder):
            if isinstance(each, flow.Tensor):
                yield each
