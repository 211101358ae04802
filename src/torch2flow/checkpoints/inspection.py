"""`inspect --json`: a checkpoint as plain data."""

from __future__ import annotations

from typing import Any

from torch2flow.checkpoints.names.wrappers import LIGHTNING, notes_on
from torch2flow.checkpoints.packed import PackedTensor, quantization_config, with_packed
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor
from torch2flow.checkpoints.pytorch.tree import named


def hints(checkpoint: Checkpoint) -> list[str]:
    """What a person should know before converting: what wrappers add to names, and which weights are packed."""
    is_lightning = isinstance(checkpoint.root, dict) and LIGHTNING in checkpoint.root
    found = notes_on(checkpoint, is_lightning=is_lightning)
    schemes: dict[str, list[str]] = {}
    for name, tensor in named(with_packed(checkpoint.tree, lambda: quantization_config(checkpoint.path))):
        if isinstance(tensor, PackedTensor):
            schemes.setdefault(tensor.scheme, []).append(name)
    for scheme, names in schemes.items():
        found.append(
            f"{len(names)} weight{'s are' if len(names) > 1 else ' is'} packed ({scheme}), for example {names[0]}:"
            " 'convert --quantized dequantize' gives their values"
        )
    return found


def inspection(checkpoint: Checkpoint) -> dict[str, Any]:
    """Format, producer, chosen part, candidates, tensors, ties, unknown classes and totals.

    The rows of `tensors` are made one by one, as they are printed: all of a million take a gigabyte.
    """
    container = checkpoint.container
    return {
        "path": str(checkpoint.path),
        "format": container.format,
        "producer": container.producer,
        "key": checkpoint.key,
        "key_reason": checkpoint.reason,
        "candidates": [{"path": c.path, "kind": c.kind, "tensors": c.tensors} for c in checkpoint.candidates],
        "tensors": (
            {
                "name": name,
                "dtype": tensor.dtype.name,
                "shape": list(tensor.shape),
                "bytes": tensor.nbytes,
                "layout": tensor.layout if isinstance(tensor, CompositeTensor) else "strided",
                "parameter": tensor.is_parameter,
                "requires_grad": tensor.requires_grad,
            }
            for name, tensor in checkpoint.items()
        ),
        "ties": checkpoint.aliases,
        "shared_storage": checkpoint.overlaps,
        "opaque": container.opaque,
        "unnamed": [{"where": where, "reason": why} for where, why in checkpoint.unnamed],
        "notes": [*checkpoint.notes, *hints(checkpoint)],
        "metadata": container.metadata,
        "bytes": checkpoint.nbytes,
    }
