"""What an eval program does not say of dropout in train mode, as `torch2flow capture` recorded it.

`scaled_dot_product_attention` is given a rate of 0, and `nn.MultiheadAttention` leaves its dropout out. Every other
dropout is in the program and does not drop, whether it would in train mode or is told never to.
"""

from __future__ import annotations

from dataclasses import replace

from torch2flow.models.program.graph import Graph, Node, Ref

ATTENTION = "scaled_dot_product_attention"
MULTIHEAD = "multi_head_attention_forward"
DROPOUT = ("aten.dropout", "aten.feature_dropout", "aten.alpha_dropout", "aten.feature_alpha_dropout")

Calls = dict[str, list[tuple[str, float]]]
"""For each module's path, the calls of dropout in train mode: PyTorch's function, and the rate or 0."""


def restore_train_mode(graph: Graph, calls: Calls) -> None:
    """Gives the attention of an eval program the rates it has in train mode, and marks what never drops.

    Args:
        graph: is changed.
        calls: what was recorded.
    """
    _mark_inactive(graph, calls)
    fused = {node.path for node in graph.nodes if node.operator == f"aten.{ATTENTION}"}
    nodes: list[Node] = []
    for node in graph.nodes:
        rates = {rate for function, rate in calls.get(node.path, []) if function in (ATTENTION, MULTIHEAD)}
        rate = rates.pop() if len(rates) == 1 else 0.0
        nodes.append(node)
        if rate and node.operator == f"aten.{ATTENTION}" and not node.arguments.get("dropout_p"):
            node.arguments["dropout_p"] = rate
            graph.restored.add(node.outputs[0])
        elif rate and node.operator == "aten.softmax" and node.path not in fused:
            name = node.outputs[0]
            kept = f"{name}_kept"
            graph.metas[kept] = graph.metas[name]
            nodes[-1] = replace(node, outputs=[kept])
            arguments = {"input": Ref(kept), "p": rate, "train": False}
            nodes.append(replace(node, target="aten.dropout.default", arguments=arguments))
    graph.nodes = nodes


def _mark_inactive(graph: Graph, calls: Calls) -> None:
    """Marks each dropout that is told not to drop in train mode either: the n-th of a module is the n-th recorded."""
    found: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.operator in DROPOUT:
            found.setdefault(node.path, []).append(node)
    for path, nodes in found.items():
        recorded = [rate for function, rate in calls.get(path, []) if function not in (ATTENTION, MULTIHEAD)]
        if len(recorded) == len(nodes):
            graph.inactive.update(node.outputs[0] for node, rate in zip(nodes, recorded, strict=True) if not rate)
