"""Makes a program real: a complex tensor becomes a real one whose last dimension holds the real and imaginary part.

    fft_rfft(x) * w, both complex of shape [2, 5]      becomes      a product of two tensors of shape [2, 5, 2]

OneFlow 0.9.0 has no complex dtypes. So each call that takes or gives a complex tensor becomes one of three things:

- what only moves elements (`reshape`, `cat`, `x[:, :3] = y`) is the same call of pairs, with its dimensions counted
  from the front; `view_as_real` and `view_as_complex` are nothing, `real` and `imag` a place in the last dimension;
- sums are sums of pairs, and a product with what is real has one factor for both parts;
- all else is a call of the operator `complex.NAME`, whose rule takes pairs. The rule of `aten.NAME` never does, so what
  has no rule for complex numbers is refused by its name. If nothing that goes in is complex, the overload is `of_real`.

`complex_changes.py` has the first two. This comes before `functional.py`, for which a write into `x.real` is then one
into a part of a tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from torch2flow.checkpoints.writing.value_changes import REAL_OF
from torch2flow.models.program.complex_call import ComplexCall
from torch2flow.models.program.complex_changes import CHANGES
from torch2flow.models.program.control_flow import CONTROLS, PARTS
from torch2flow.models.program.graph import Graph, Meta, Node, refs

MIRRORED = {f"aten.fft_{kind}fft{count}" for kind in ("ir", "h") for count in ("", "2", "n")}
"""What takes a real tensor for a complex one."""


def without_complex_numbers(graph: Graph) -> Graph:
    """The program with pairs of real numbers for complex ones; itself where it has none."""
    known = {name: meta for name, meta in graph.metas.items() if meta.dtype in REAL_OF}
    if not known and not any(node.operator in MIRRORED for node in graph.nodes):
        return graph
    metas = {name: _paired(meta) if name in known else meta for name, meta in graph.metas.items()}
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.operator in (*CONTROLS, *PARTS):
            pass  # they hand on what they are given
        elif node.operator in MIRRORED or any(map(known.__contains__, [*node.refs(), *node.outputs])):
            node = _changed(node, known, metas, nodes)
        nodes.append(node)
    return replace(graph, nodes=nodes, metas=metas).retyped(REAL_OF)


def complex_notes(graph: Graph, names: Mapping[str, str]) -> Iterator[str]:
    """What a person should know of a program with complex numbers; `names` are those of its inputs in the source."""
    known = {name for name, meta in graph.metas.items() if meta.dtype in REAL_OF}
    given = [names.get(name, name) for name in refs(graph.inputs) if name in known]
    returned = sum(name in known for name in refs(graph.outputs))
    if known:
        yield (
            "complex tensors are real ones here, with a last dimension of 2"
            + (f"; so {'is' if len(given) == 1 else 'are'} {', '.join(given)}, which forward takes" if given else "")
            + (f"; so {'is' if returned == 1 else 'are'} {returned} of the outputs" if returned else "")
            + ": OneFlow 0.9.0 has no complex dtypes"
        )


def _changed(node: Node, known: dict[str, Meta], metas: dict[str, Meta], before: list[Node]) -> Node:
    """The call on pairs."""
    space, _, name = node.operator.rpartition(".")
    plain = name.rstrip("_")
    call = ComplexCall(node, plain, dict(node.arguments), known, metas, before)
    change = CHANGES.get(plain) if space == "aten" else None
    target, arguments = change(call) if change else (f"complex.{plain}", call.given)
    if any(isinstance(value, complex) for value in arguments.values()):
        target = f"complex.{plain}"
    where, operator, *overload = target.split(".")
    if where == "complex" and not any(map(call.is_complex, node.arguments.values())) and not change:
        overload = ["of_real"]
    in_place = name[len(plain) :]
    return replace(node, target=f"{where}.{operator}{in_place}.{(overload or [node.overload])[0]}", arguments=arguments)


def _paired(meta: Meta) -> Meta:
    strides = tuple(2 * step if isinstance(step, int) else step for step in meta.strides)
    return replace(meta, dtype=REAL_OF[meta.dtype], shape=(*meta.shape, 2), strides=(*strides, 1))
