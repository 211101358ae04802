"""Puts back the dropout inside attention, which a program that was captured in eval mode does not hold.

`scaled_dot_product_attention` is given a rate of 0 then, and `nn.MultiheadAttention` leaves its dropout out. Every
other dropout is in the program, and is told that it does not train. `torch2flow capture` records which modules drop in
train mode, and by which function (`proof/capture/random_calls.py`).
"""

from __future__ import annotations

from dataclasses import replace

from torch2flow.models.program.graph import Graph, Node, Ref

ATTENTION = "scaled_dot_product_attention"
MULTIHEAD = "multi_head_attention_forward"


def restore_attention_dropout(graph: Graph, rates: dict[tuple[str, str], float]) -> None:
    """Gives the attention of an eval program the rates it has in train mode.

    Args:
        graph: is changed.
        rates: for each module's path and function of PyTorch's, the rate at which it drops in train mode.
    """
    fused = {node.path for node in graph.nodes if node.operator == f"aten.{ATTENTION}"}
    nodes: list[Node] = []
    for node in graph.nodes:
        rate = rates.get((node.path, ATTENTION)) or rates.get((node.path, MULTIHEAD))
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
