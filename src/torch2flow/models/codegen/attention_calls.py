"""Calls of PyTorch's `nn.MultiheadAttention`, which `torch2flow capture` recorded with what the module holds.

    x, _ = self.attention(x, x, x, key_padding_mask=mask, need_weights=False)

Such a call is dozens of operators. Which they are follows from the module's attributes and the arguments, so the class
of `lowering/modules/classes` stands for them.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import Any

from torch2flow.models.codegen.borders import NOTHING
from torch2flow.models.codegen.steps import Given
from torch2flow.models.lowering.modules.library import arguments_of, library
from torch2flow.models.program import Graph
from torch2flow.models.program.calls import Call
from torch2flow.models.program.train_mode import ATTENTION, DROPOUT, FLAGS, acts_by_mode

MULTIHEAD = "MultiheadAttention"


def attention_border(call: Call, graph: Graph) -> Given | None:
    """What a call is given by the parameters of the class, and gives; None where that is not known."""
    border = call.border
    if border is None or border.starred or not graph.attributes.get(call.path):
        return None
    defaults = _parameters()
    given = dict(border.arguments)
    kinds = {each.kind for each in given.values()}
    query = given.get("query", NOTHING)
    if query.kind != "value" or len(graph.metas[query.value].shape) != 3:
        return None
    if given.keys() - defaults.keys() or kinds - {"value", "none", "constant"} or border.result.kind != "tuple":
        return None
    arguments = [(name, given.get(name, NOTHING)) for name in defaults]
    return [(n, NOTHING if each.value == defaults[n] else each) for n, each in arguments], border.result


@cache
def _parameters() -> dict[str, Any]:
    """Those of the class's `forward`, with their defaults."""
    tree = library()[MULTIHEAD].tree
    (forward,) = (each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == "forward")
    return arguments_of(forward)


def rate_of(call: Call, graph: Graph) -> float | None:
    """The rate at which a call drops weights in train mode and in no other: that of the module, or 0 where its owner
    keeps it in eval mode; None for a call that drops otherwise."""
    nodes = [node for node in call.nodes() if node.operator in FLAGS or node.operator == f"aten.{ATTENTION}"]
    if not all(acts_by_mode(node, graph) for node in nodes if node.operator in FLAGS):
        return None
    rates = {node.arguments.get("p", 0.5) for node in nodes if node.operator in DROPOUT}
    rates |= {node.arguments.get("dropout_p", 0.0) for node in nodes if node.operator not in DROPOUT}
    told = graph.attributes[call.path].get("dropout", 0.0)
    return None if rates - {0.0, told} else max(rates, default=0.0)
