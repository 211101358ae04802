"""Weights under which no part of a model is dead: what is constant at first becomes random."""

from __future__ import annotations

from typing import Any

import torch


@torch.no_grad()
def randomise(module: Any, seed: int) -> None:
    """Replaces constants by random values, from a seed; what its library draws at random stays.

    BatchNorm gets running statistics and weights that are not 0 and 1. Other parameters that hold one value
    throughout (biases, weights of norms, LayerScale, zero-initialised tables and last layers) are spread around
    it, widely enough that their branch counts.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(like: Any, low: float, high: float) -> Any:
        return (torch.rand(like.shape, generator=generator) * (high - low) + low).to(like.dtype)

    def normal(like: Any, scale: float) -> Any:
        return (torch.randn(like.shape, generator=generator) * scale).to(like.dtype)

    for part in module.modules():
        if getattr(part, "running_var", None) is not None and getattr(part, "running_mean", None) is not None:
            part.running_mean.copy_(normal(part.running_mean, 0.1))
            part.running_var.copy_(uniform(part.running_var, 0.5, 1.5))
    for parameter in module.parameters():
        if not parameter.is_floating_point() or parameter.numel() == 0:
            continue
        value = float(parameter.flatten()[0])
        if not bool((parameter == value).all()):
            continue
        if value == 0:
            parameter.copy_(normal(parameter, 0.05))
        else:
            # LayerScale begins at 1e-6, where its branch would drown in rounding.
            size = max(abs(value), 0.1) * (1 if value > 0 else -1)
            parameter.copy_(uniform(parameter, 0.5, 1.5) * size)
