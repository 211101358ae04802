"""A checkpoint as a table of tensors, or as a tree of everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from rich.filesize import decimal
from rich.markup import escape
from rich.tree import Tree

from torch2flow.checkpoints.inspection import hints
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, TensorRef
from torch2flow.checkpoints.pytorch.pieced_tensor import PiecedTensor
from torch2flow.checkpoints.pytorch.selection import Search
from torch2flow.cli.display.console import aligned, out, printable, shown

TREE_MEMBERS, TREE_NODES = 40, 4000
"""How many members of one container a tree shows, and how many in all. The rest is counted."""

SHOWN_UNNAMED = 10


def show_inspection(checkpoint: Checkpoint, pattern: str = "") -> None:
    """Format, producer, candidates, the tensors as a table, ties, unknown classes, totals."""
    container = checkpoint.container
    out.print(f"[bold]{shown(str(checkpoint.path), 4096)}[/]  {container.format}: {shown(container.producer)}")
    if len(checkpoint.candidates) > 1 or checkpoint.key != ".":
        out.print(f"showing [bold]{shown(checkpoint.key)}[/]: {shown(checkpoint.reason)}")
        for candidate in checkpoint.candidates:
            count = f", {candidate.tensors} tensors" if candidate.tensors else ""
            out.print(f"  --key {shown(candidate.path)}  ({candidate.kind}{count})", style="dim")
    _show_tensors(checkpoint, pattern)
    out.print(totals(checkpoint))
    for group in checkpoint.aliases:
        out.print(f"tied: {escape(' = '.join(map(printable, group)))}")
    for group in checkpoint.overlaps:
        out.print(f"one storage: {escape(', '.join(map(printable, group[:6])))}{' ...' if len(group) > 6 else ''}")
    if container.opaque:
        names = ", ".join(f"{printable(name)} ({count})" for name, count in sorted(container.opaque.items())[:20])
        out.print(f"unknown classes, kept as records, never imported: {escape(names)}", style="dim")
    for where, why in checkpoint.unnamed[:SHOWN_UNNAMED]:
        out.print(f"[yellow]a tensor without a name[/]: {shown(where)} ({why})")
    if len(checkpoint.unnamed) > SHOWN_UNNAMED:
        out.print(f"and {len(checkpoint.unnamed) - SHOWN_UNNAMED} more: --json lists them")
    for note in (*container.notes, *hints(checkpoint)):
        out.print(f"note: {shown(note, 1000)}", style="dim")


def _show_tensors(checkpoint: Checkpoint, pattern: str) -> None:
    """The table of tensors. Not rich's own: that takes twelve seconds for 20,000 rows."""

    def rows() -> Iterator[tuple[str, ...]]:
        yield "name", "dtype", "shape", "bytes", ""
        for name, tensor in checkpoint.items():
            if pattern in name:
                yield printable(name), tensor.dtype.name, *_size(tensor.shape, tensor.nbytes), _remarks(tensor)

    lines = aligned(rows, right=(3,))
    out.print(escape(next(lines)), style="bold")
    for line in lines:
        out.file.write(f"{line}\n")


@lru_cache(1 << 12)
def _size(shape: tuple[int, ...], nbytes: int) -> tuple[str, str]:
    return "x".join(map(str, shape)) or "scalar", f"{nbytes:,}"


def totals(checkpoint: Checkpoint) -> str:
    """One line of sums."""
    dtypes: dict[str, int] = {}
    for tensor in checkpoint.values():
        dtypes[tensor.dtype.name] = dtypes.get(tensor.dtype.name, 0) + 1
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(dtypes.items(), key=lambda item: -item[1]))
    rounded = f" ({decimal(checkpoint.nbytes)})" if checkpoint.nbytes >= 1000 else ""
    return f"{len(checkpoint):,} tensors ({kinds}), {checkpoint.nbytes:,} bytes{rounded}"


def _remarks(tensor: TensorRef | CompositeTensor) -> str:
    remarks = []
    if isinstance(tensor, CompositeTensor):
        remarks.append(tensor.layout)
    elif isinstance(tensor, PiecedTensor):
        remarks.append("in pieces")
    elif not tensor.is_plain:
        remarks.append("strided" if not (tensor.conj or tensor.neg) else "conjugate" if tensor.conj else "negative")
    if tensor.is_parameter:
        remarks.append("parameter" if tensor.requires_grad else "frozen parameter")
    return ", ".join(remarks)


def show_tree(checkpoint: Checkpoint) -> None:
    """The whole object as a tree."""
    search = Search()
    top = Tree(f"[bold]{shown(checkpoint.path.name)}[/]  {describe(checkpoint.root, search)}")
    _grow(top, checkpoint.root, 0, [TREE_NODES], search)
    out.print(top)


def _grow(branch: Tree, value: Any, depth: int, left: list[int], search: Search) -> None:
    """Adds what is below a value, to at most `left` nodes in all: a container can hold another many times."""
    if depth > 12:
        branch.add("...")
        return
    count = 0
    for count, (key, item) in enumerate(members_of(value), 1):
        if count <= TREE_MEMBERS and left[0] > 0:
            left[0] -= 1
            below = branch.add(f"{shown(str(key))}  [dim]{describe(item, search)}[/]")
            _grow(below, item, depth + 1, left, search)
    if count > TREE_MEMBERS:
        branch.add(f"... and {count - TREE_MEMBERS} more")
    elif left[0] <= 0 and count:
        branch.add("...")


def members_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """The named parts of a container or record."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
    elif hasattr(value, "class_name"):
        if value.args:
            yield "(arguments)", value.args
        if isinstance(value.state, dict):
            yield from value.state.items()
        elif value.state is not None:
            yield "(state)", value.state
        yield from value.entries.items()
        yield from enumerate(value.items)


def describe(value: Any, search: Search) -> str:
    """A value in a few words."""
    if isinstance(value, TensorRef | CompositeTensor):
        return f"{value.dtype} {list(value.shape)}{f' {value.layout}' if isinstance(value, CompositeTensor) else ''}"
    if isinstance(value, dict | list | tuple):
        kind = search.classify(value) or type(value).__name__.replace("StatefulDict", "OrderedDict")
        return f"{kind} of {len(value)}"
    if hasattr(value, "class_name"):
        return escape(printable(value.class_name))
    text = repr(value) if isinstance(value, str | int | float | bool | type(None)) else type(value).__name__
    return escape(text if len(text) <= 80 else f"{text[:77]}...")
