"""The elements of a parameter that stand for all of it, where each is changed by itself, as optimizers do."""

from __future__ import annotations

from typing import Any

SIZE = 1024
"""About how many elements are taken of a larger tensor."""


def sample(tensor: Any) -> Any:
    """Evenly spaced elements of a tensor of PyTorch, OneFlow or NumPy, as one dimension."""
    flat = tensor.reshape(-1)
    return flat[:: max(1, flat.shape[0] // SIZE)]
