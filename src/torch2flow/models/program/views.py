"""Views: which calls give another look at the same memory, and how a write through one reaches what it looks at."""

from __future__ import annotations

from collections.abc import Callable

from torch2flow.models.program.graph import Meta, Node, Ref

WriteBack = Callable[[Ref, Meta, Node, int, Ref], tuple[str, dict[str, object]]]
"""From the base, what is known of it, the call that made the view, which of its results, and the view's new value:
the call that makes the base's new value."""


def _reshaped(base: Ref, meta: Meta, view: Node, index: int, value: Ref) -> tuple[str, dict[str, object]]:
    return "aten.reshape.default", {"self": value, "shape": list(meta.shape)}


def _swapped(base: Ref, meta: Meta, view: Node, index: int, value: Ref) -> tuple[str, dict[str, object]]:
    return view.target, {**view.arguments, "self": value}


def _permuted(base: Ref, meta: Meta, view: Node, index: int, value: Ref) -> tuple[str, dict[str, object]]:
    rank = len(meta.shape)
    dims = [dim % rank for dim in view.arguments["dims"]]
    return "aten.permute.default", {"self": value, "dims": [dims.index(position) for position in range(rank)]}


def _sliced(base: Ref, meta: Meta, view: Node, index: int, value: Ref) -> tuple[str, dict[str, object]]:
    return "aten.slice_scatter.default", {**view.arguments, "self": base, "src": value}


def _selected(base: Ref, meta: Meta, view: Node, index: int, value: Ref) -> tuple[str, dict[str, object]]:
    place = {"dim": view.arguments["dim"], "index": view.arguments["index"]}
    return "aten.select_scatter.default", {"self": base, "src": value, **place}


def _narrowed(base: Ref, meta: Meta, view: Node, index: int, value: Ref) -> tuple[str, dict[str, object]]:
    start, length = view.arguments["start"], view.arguments["length"]
    place = {"dim": view.arguments["dim"], "start": start, "end": start + length}
    return "aten.slice_scatter.default", {"self": base, "src": value, **place}


def _unbound(base: Ref, meta: Meta, view: Node, index: int, value: Ref) -> tuple[str, dict[str, object]]:
    return "aten.select_scatter.default", {
        "self": base,
        "src": value,
        "dim": view.arguments.get("dim", 0),
        "index": index,
    }


def _moved(base: Ref, meta: Meta, view: Node, index: int, value: Ref) -> tuple[str, dict[str, object]]:
    back = {"source": view.arguments["destination"], "destination": view.arguments["source"]}
    return view.target, {"self": value, **back}


def _on_diagonal(base: Ref, meta: Meta, view: Node, index: int, value: Ref) -> tuple[str, dict[str, object]]:
    return "aten.diagonal_scatter.default", {**view.arguments, "self": base, "src": value}


def _same(base: Ref, meta: Meta, view: Node, index: int, value: Ref) -> tuple[str, dict[str, object]]:
    return "aten.alias.default", {"self": value}


VIEWS: dict[str, WriteBack | None] = {
    **dict.fromkeys(
        ("aten.view", "aten.reshape", "aten.flatten", "aten.unflatten", "aten.squeeze", "aten.unsqueeze",
         "aten._unsafe_view", "aten.view_as", "aten.reshape_as"), _reshaped
    ),
    **dict.fromkeys(("aten.t", "aten.transpose", "aten.swapaxes", "aten.swapdims", "aten.numpy_T"), _swapped),
    "complex._conj": _swapped,
    "aten.permute": _permuted,
    "aten.slice": _sliced,
    "aten.select": _selected,
    "aten.narrow": _narrowed,
    "aten.unbind": _unbound,
    "aten.movedim": _moved,
    "aten.diagonal": _on_diagonal,
    "aten.detach": _same,
    "aten.to": _same,
    "aten.type_as": _same,
    **dict.fromkeys(
        ("aten.expand", "aten.expand_as", "aten.split", "aten.split_with_sizes", "aten.chunk", "aten.as_strided",
         "aten.unfold", "aten.tensor_split"), None
    ),
}  # fmt: skip
"""The views, and how a write through one reaches its base; None where torch2flow can't write through it."""


def is_view(node: Node, metas: dict[str, Meta]) -> bool:
    """Whether a call gives another look at the memory of its first operand."""
    if node.operator not in VIEWS:
        return False
    names = node.refs()
    if not names or names[0] not in metas or not node.outputs or node.outputs[0] not in metas:
        return node.operator in VIEWS and bool(names)
    source, result = metas[names[0]], metas[node.outputs[0]]
    if node.operator in ("aten.to", "aten.type_as"):
        return source.dtype == result.dtype and not node.arguments.get("copy", False)
    if node.operator in ("aten.reshape", "aten.flatten"):
        return is_contiguous(source)
    return True


def is_contiguous(meta: Meta) -> bool:
    """Whether the elements lie in C order without holes; dimensions of size 1 don't matter."""
    expected: object = 1
    for size, stride in zip(reversed(meta.shape), reversed(meta.strides), strict=True):
        if size == 1:
            continue
        if not isinstance(size, int) or not isinstance(expected, int):
            return True  # A dynamic size: the outer dimensions can't be told, and are contiguous in all we met.
        if stride != expected:
            return False
        expected *= size
    return True


def subscript_of(chain: list[Node], meta: Meta | None) -> list[object]:
    """The subscript that a chain of slices and selections amounts to; empty where it is none."""
    if meta is None or not chain:
        return []
    live = list(range(len(meta.shape)))
    keys: dict[int, list[object]] = {}
    for view in chain:
        given = view.arguments
        dim = live[given.get("dim", 0) % len(live)]
        if dim in keys:
            return []
        if view.operator == "aten.select":
            keys[dim] = [dim, given["index"]]
            live.remove(dim)
        else:
            keys[dim] = [dim, given.get("start"), given.get("end"), given.get("step", 1)]
    return [keys[dim] for dim in sorted(keys)]
