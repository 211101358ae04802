"""Finds the module whose gradient does not fit what it computes, because of a detach or a wrong backward pass.

Where outputs agree with PyTorch's and gradients do not, each module is asked: does its output change along a random
direction of its inputs and parameters as its gradient says? Two outputs on both sides of the point tell, in float64
(the central difference). The innermost module that fails is the one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torch2flow.proof.watching import WatchedCall
from torch2flow.runtime.nested import leaves, replaced

STEP = 1e-6
"""The distance of the two points, relative to the values. Rounding in float64 is a billionth of it."""

ASIDE = 1e-3
"""How far the point is moved from where values may be equal."""

AGREE = 1e-3
"""How much the two slopes may differ. A kink of a relu between the two points makes far less."""


@dataclass
class Backward:
    """Watches the calls of a model in float64.

    Attributes:
        flow: the module `oneflow`.
        trained: names of the parameters that PyTorch has gradients for.
        failed: names of the calls whose gradient is not theirs, in the order in which they ended.
    """

    flow: Any
    trained: Iterable[str]
    failed: list[str] = field(default_factory=list)
    busy: bool = False

    def around(
        self, call: WatchedCall, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `forward`, and then tests the gradient of this call."""
        if self.busy:
            return forward(*args, **kwargs)
        kept = replaced((args, kwargs), lambda leaf: leaf.clone() if isinstance(leaf, self.flow.Tensor) else leaf)
        output = forward(*args, **kwargs)
        self.busy = True
        try:
            if not self.agrees(call.path, call.module, forward, *kept):
                self.failed.append(call.name)
        finally:
            self.busy = False
        return output

    def agrees(
        self, path: str, module: Any, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> bool:
        """Whether the gradient along a direction equals the slope along it. True if there is nothing to compare."""
        flow, rng = self.flow, np.random.default_rng(0)
        prefix = f"{path}." if path else ""
        parameters = [p for name, p in module.named_parameters() if prefix + name in self.trained]
        points = [leaf for leaf in leaves((args, kwargs)) if self._floats(leaf)]
        both = [*parameters, *points]
        before = [each.numpy().copy() for each in parameters]
        values = [each.numpy().copy() for each in both]
        # At a kink (equal values in a pool, a relu at zero) there is no slope: the point is moved a little.
        values = [
            value + ASIDE * rng.standard_normal(value.shape) * (np.abs(value).mean() if value.size else 0)
            for value in values
        ]
        directions = [
            rng.standard_normal(value.shape) * (np.abs(value).mean() if value.size else 0) for value in values
        ]
        for part in module.modules():  # a row that is never trained has no gradient by intent
            row = getattr(part, "padding_idx", None)
            for parameter, way in zip(parameters, directions, strict=False):
                if row is not None and parameter is getattr(part, "weight", None):
                    way[row] = 0

        def loss(shift: float, track: bool) -> tuple[Any, list[Any]]:
            moved = [flow.tensor(value + shift * way) for value, way in zip(values, directions, strict=True)]
            for parameter, value in zip(parameters, moved, strict=False):
                parameter.data.copy_(value)
            given = [value.requires_grad_(track) for value in moved[len(parameters) :]]
            place = {id(point): value * 1 for point, value in zip(points, given, strict=True)}
            inputs, keywords = replaced((args, kwargs), lambda leaf: place.get(id(leaf), leaf))
            total = sum(
                (leaf * flow.tensor(np.random.default_rng(number).standard_normal(tuple(leaf.shape)))).sum()
                for number, leaf in enumerate(leaves(forward(*inputs, **keywords)))
                if self._floats(leaf)
            )
            return total, given

        try:
            with flow.enable_grad():
                for parameter in parameters:
                    parameter.grad = None
                total, given = loss(0.0, track=True)
                if not isinstance(total, flow.Tensor):
                    return True
                if total.requires_grad:
                    total.backward()
            gradients = [each.grad for each in (*parameters, *given)]
            slope = sum(
                float((gradient.numpy() * way).sum())
                for gradient, way in zip(gradients, directions, strict=True)
                if gradient is not None
            )
            with flow.no_grad():
                above, below = (float(loss(sign * STEP, track=False)[0].numpy()) for sign in (1, -1))
        except RuntimeError:
            return True  # what can't be differentiated has no gradient to compare
        finally:
            with flow.no_grad():
                for parameter, value in zip(parameters, before, strict=True):
                    parameter.data.copy_(flow.tensor(value))
        measured = (above - below) / (2 * STEP)
        rounding = 1e-12 * max(abs(above), abs(below)) / STEP
        return abs(slope - measured) <= AGREE * max(abs(slope), abs(measured)) + rounding

    def _floats(self, leaf: Any) -> bool:
        return isinstance(leaf, self.flow.Tensor) and leaf.dtype in (self.flow.float32, self.flow.float64)
