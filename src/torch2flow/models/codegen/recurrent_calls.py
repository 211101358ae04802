"""Calls of recurrent layers: one operator on the module's own weights, whose first states may be zeros.

output, (hidden, cell) = self.lstm(x)
output, hidden = self.gru(x, hidden)
"""

from __future__ import annotations

from dataclasses import replace

from torch2flow.models.codegen.borders import leaf
from torch2flow.models.codegen.module_tree import Module
from torch2flow.models.codegen.steps import Given
from torch2flow.models.program import Graph, Node, Structure
from torch2flow.models.program.calls import Call
from torch2flow.models.program.graph import refs
from torch2flow.models.program.train_mode import RECURRENT, acts_by_mode


def recurrent_node(call: Call, module: Module, graph: Graph) -> Node | None:
    """The operator that a call of a recurrent layer runs; None where the call does anything else too."""
    node = _operator(call)
    if node is None or node.overload != "input" or len(graph.metas[node.refs()[0]].shape) != 3:
        return None
    zeros = _zeros(call, node)
    if len(call.items) != 1 + len(zeros) or (zeros and zeros != _states(node)):
        return None
    inputs = [node.refs()[0], *(() if zeros else _states(node))]
    own = [value for value, state in module.states.values() if state.kind == "parameter"]
    if set(call.inputs) != set(inputs) or not set(call.outputs) <= set(node.outputs):
        return None
    return node if list(refs(node.arguments["params"])) == own else None


def frozen(node: Node, graph: Graph) -> Node:
    """The same call with a rate of 0, where its owner keeps the layer in eval mode: it drops in neither mode."""
    if acts_by_mode(node, graph) or node.arguments.get("train"):
        return node
    return replace(node, arguments=node.arguments | {"dropout": 0.0})


def recurrent_border(call: Call) -> Given | None:
    """What a call of a recurrent layer is given, and gives; None where it is none."""
    node = _operator(call)
    if node is None:
        return None
    output, *last = map(leaf, node.outputs)
    states = [leaf(name) for name in _states(node)]
    arguments = [("input", leaf(node.refs()[0]))]
    if not _zeros(call, node):
        arguments.append(("hx", _together(states)))
    return arguments, Structure("tuple", children=(output, _together(last)))


def _together(states: list[Structure]) -> Structure:
    """The hidden state and the cell state of an LSTM are a pair; others have a hidden state alone."""
    return states[0] if len(states) == 1 else Structure("tuple", children=tuple(states))


def _operator(call: Call) -> Node | None:
    found = [item for item in call.items if isinstance(item, Node) and item.operator in RECURRENT]
    return found[0] if len(found) == 1 else None


def _states(node: Node) -> list[str]:
    return list(refs(node.arguments["hx"]))


def _zeros(call: Call, node: Node) -> list[str]:
    """The first states, where the layer makes them itself."""
    made = [item for item in call.items if isinstance(item, Node) and item.operator == "aten.zeros"]
    return [item.outputs[0] for item in made if item.outputs[0] in _states(node)]
