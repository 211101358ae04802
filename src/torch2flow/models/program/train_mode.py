"""What the program of one mode does not say of the other, as `torch2flow capture` recorded it.

In an eval program `scaled_dot_product_attention` is given a rate of 0, and `nn.MultiheadAttention` leaves its dropout
out. Every other dropout, that of recurrent layers too, is there and does not drop, whether it would in train mode or is
told never to. A norm takes its running statistics, whether it would in train mode or is frozen. What else differs
between the modes is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from torch2flow.models.program.graph import Graph, Node, Ref, refs

ATTENTION = "scaled_dot_product_attention"
MULTIHEAD = "multi_head_attention_forward"
DROPOUT = ("aten.dropout", "aten.feature_dropout", "aten.alpha_dropout", "aten.feature_alpha_dropout")

ALIAS = "aten.alias"

NORMS = {"aten.batch_norm": "training", "aten.instance_norm": "use_input_stats"}
"""Norms that may have running statistics, and which argument says that those of the batch are taken."""

RECURRENT = ("aten.lstm", "aten.gru", "aten.rnn_tanh", "aten.rnn_relu")

FLAGS = {**NORMS, "aten.rrelu": "training", **dict.fromkeys((
    *DROPOUT, *RECURRENT, "aten.native_dropout",
), "train")}  # fmt: skip
"""The argument of each operator that says whether it computes as in training."""

Calls = Mapping[str, list[tuple[str, float]]]
"""For each module's path, calls in the mode that was not captured: PyTorch's function, and the rate of a dropout or 0,
or whether a norm takes the statistics of the batch."""


def restore_other_mode(graph: Graph, dropout: Calls, norms: Calls) -> None:
    """Gives the program what was recorded of the other mode.

    Args:
        graph: is changed.
        dropout: the calls of dropout in the other mode.
        norms: the calls of norms with running statistics in the other mode.
    """
    graph.nodes = _without_aliases(graph)
    for node, (_, flag) in _paired(graph, norms, tuple(NORMS)):
        graph.by_mode[node.outputs[0]] = bool(flag) is not node.arguments.get(NORMS[node.operator], False)
    for node, (_, rate) in _paired(graph, dropout, DROPOUT):
        given = node.arguments
        if graph.mode == "eval" and rate and not given.get("p", 0.5):
            given |= {"p": rate, "train": False}
        if given.get("p", 0.5):
            graph.by_mode[node.outputs[0]] = (rate > 0) is not given.get("train", True)
    for node, (_, rate) in _paired(graph, dropout, RECURRENT):
        given = node.arguments
        if given.get("dropout") and given.get("num_layers", 1) > 1:  # others drop in no mode, which says nothing
            graph.by_mode[node.outputs[0]] = (rate > 0) is not given.get("train", False)
    if graph.mode == "eval":
        _restore_attention(graph, dropout)


def _without_aliases(graph: Graph) -> list[Node]:
    """The calls without the aliases that `capture` gives to dropouts, so that what one makes is another value."""
    aliases = {node.outputs[0]: node.arguments["self"] for node in graph.nodes if node.operator == ALIAS}
    read = [name for node in graph.nodes if node.operator not in DROPOUT for name in node.refs()]
    for name in {*read, *refs(graph.outputs)}:
        aliases.pop(name, None)
    given = {name: value.name for name, value in aliases.items() if isinstance(value, Ref)}
    kept = (node for node in graph.nodes if node.operator != ALIAS or node.outputs[0] not in given)
    return [node.renamed(lambda name: given.get(name, name)) for node in kept] if given else graph.nodes


def acts_by_mode(node: Node, graph: Graph) -> bool:
    """Whether a dropout or a norm of the original acts by train and eval mode: as recorded, or else as it seems."""
    name = FLAGS[node.operator]
    if node.operator in NORMS and node.arguments.get("running_mean") is None:
        return False
    as_mode = not graph.mode or node.arguments.get(name, False) is (graph.mode == "train")
    return graph.by_mode.get(node.outputs[0], as_mode)


def _restore_attention(graph: Graph, calls: Calls) -> None:
    """Gives the attention of an eval program the rates it has in train mode."""
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


def _paired(graph: Graph, calls: Calls, operators: tuple[str, ...]) -> Iterator[tuple[Node, tuple[str, float]]]:
    """Each call of some operators with what was recorded of it: the n-th of a module is the n-th recorded."""
    found: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.operator in operators and not (node.operator in NORMS and node.arguments.get("running_mean") is None):
            found.setdefault(node.path, []).append(node)
    recurrent = {each.partition(".")[2] for each in RECURRENT}
    for path, nodes in found.items():
        recorded = [each for each in calls.get(path, []) if each[0] not in (ATTENTION, MULTIHEAD)]
        recorded = [each for each in recorded if (each[0] in recurrent) is (operators == RECURRENT)]
        if len(recorded) == len(nodes):
            yield from zip(nodes, recorded, strict=True)


OtherMode = Iterable[tuple[str, str, list[str], list[str]]]
"""Where the other mode calls other functions: a module's path and class, what only the other mode calls, and what only
the program's mode does."""

_SHOWN = 3


def mode_notes(mode: str, other_mode: OtherMode, backwards: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What a person should know of the mode that is not in a program, and of gradients that are not.

    Args:
        mode: that of the program.
        other_mode: how the other differs.
        backwards: the path and the class of each `torch.autograd.Function` of the author's.
    """
    rows = list(other_mode)
    if rows:
        other = "eval" if mode == "train" else "train"
        more = f"; {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        yield (
            f"in {other} mode the original computes what is not in this program, and the converted model does not: "
            f"{'; '.join(map(_difference, rows[:_SHOWN]))}{more}"
            f" (capture {'without' if mode == 'train' else 'with'} --train for that mode alone, or write it into "
            "model.py where self.training says so)"
        )
    found = [f"{name} in {path or 'the model itself'}" for path, name in backwards]
    if found:
        yield (
            f"the author's own backward of {', '.join(found[:_SHOWN])}{', ...' if len(found) > _SHOWN else ''} is not "
            "in the program: gradients are those of what its forward computes"
        )


def _difference(row: tuple[str, str, list[str], list[str]]) -> str:
    path, kind, there, here = row
    said = {
        "calls": [name for name in there if name not in here],
        "does not call": [name for name in here if name not in there],
        "gives other values to": [name for name in there if name in here],
    }
    parts = [f"{verb} {', '.join(names[:_SHOWN])}" for verb, names in said.items() if names]
    return f"{path or 'the model itself'}{f' ({kind})' if kind and path else ''} {' and '.join(parts) or 'differs'}"
