"""Copied into ported code that asks for gradients by `torch.autograd.grad`."""

from __future__ import annotations

from typing import Any

from torch2flow.models.lowering.lazy import flow


def leave_absent_gradients() -> None:
    """Lets `p.grad = None` do nothing where there is no gradient: OneFlow could not differentiate by `p` any more."""
    own = flow.Tensor.grad
    if isinstance(own, property):
        return

    def set_gradient(self: Any, value: Any) -> None:
        if value is not None or own.__get__(self) is not None:
            own.__set__(self, value)

    flow.Tensor.grad = property(own.__get__, set_gradient, lambda self: set_gradient(self, None))
