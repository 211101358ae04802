"""`inspect --json`: a checkpoint as plain data."""

from __future__ import annotations

from typing import Any

from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor


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
        "notes": container.notes,
        "metadata": container.metadata,
        "bytes": checkpoint.nbytes,
    }
