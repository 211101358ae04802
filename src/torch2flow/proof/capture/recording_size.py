"""How large a recording will be, found out before it is written: by the shapes that the exported program names."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.writing.staging import check_space

LARGE = 1 << 30
"""From so many bytes on, the size is told before they are written."""

IN_FLOAT64 = 8
"""Bytes that are recorded of a floating number beside its own: what float64 adds to it, and the noise of its layer."""

RUNS = 4
"""How often the outputs are recorded: at other sizes, at odd ones, of a second call."""


def expected_bytes(torch: Any, program: Any) -> tuple[int, int]:
    """Roughly the bytes of a recording with every layer, and of one with the outputs alone.

    What a module gives is the last value of the program that arose in it.
    """
    last: dict[str, Any] = {}
    outputs: list[Any] = []
    for node in program.graph.nodes:
        for key in node.meta.get("nn_module_stack") or ():
            last[key] = node
        if node.op == "output":
            outputs = list(node.all_input_nodes)
    once = sum(_size(torch, node) for node in outputs)
    return sum(_size(torch, node) for node in last.values()) + RUNS * once, RUNS * once


def _size(torch: Any, node: Any) -> int:
    """Bytes that a recording holds of the tensors that a node gives."""
    value = node.meta.get("val")
    total = 0
    for tensor in value if isinstance(value, list | tuple) else [value]:
        if isinstance(tensor, torch.Tensor):
            each = int(tensor.element_size()) + (IN_FLOAT64 if tensor.is_floating_point() else 0)
            total += math.prod(_sample(size) for size in tensor.shape) * each
    return total


def _sample(size: Any) -> int:
    """A size as it is in the sample."""
    return size if isinstance(size, int) else int(getattr(size.node, "hint", None) or 1)


def check_recording(torch: Any, program: Any, reference: str, folder: Path, tell: Callable[[str], None]) -> None:
    """Tells of a large recording before it is written, and refuses one that the disk can't hold.

    Raises:
        OutputError: the disk has not as many bytes free.
    """
    every, outputs = expected_bytes(torch, program)
    expected = {"all": every, "outputs": outputs}.get(reference, 0)
    if expected >= LARGE:
        less = f"; --reference outputs would be {outputs / 1e9:.2g} GB" if reference == "all" else ""
        tell(f"the recording will be some {expected / 1e9:.2g} GB{less}")
        check_space(folder, expected)
