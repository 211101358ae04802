"""Copied into ported code that copies modules or tensors by `copy.deepcopy`."""

from __future__ import annotations

import copy
from typing import Any

from torch2flow.models.lowering.lazy import flow, nn


def copy_whole() -> None:
    """Lets copies keep what OneFlow's lose: frozen parameters, gradients of tensors, and the hooks of modules."""

    def copied_tensor(self: Any, memo: dict[int, Any]) -> Any:
        if not self.is_leaf:
            raise RuntimeError("Only Tensors created explicitly by the user support the deepcopy protocol.")
        if isinstance(self, nn.Parameter):
            memo[id(self)] = result = type(self)(self.detach().clone(), self.requires_grad)
            return result
        memo[id(self)] = result = self.detach().clone()
        if self.requires_grad:
            result.requires_grad = True
        if self.grad is not None:
            result.grad = self.grad.detach().clone()
        return result

    def copied_module(self: Any, memo: dict[int, Any]) -> Any:
        kind: Any = type(self)
        memo[id(self)] = result = kind.__new__(kind)
        own = kind.__getstate__ is not nn.Module.__getstate__
        state = copy.deepcopy(self.__getstate__() if own else self.__dict__, memo)
        if kind.__setstate__ is not nn.Module.__setstate__:
            result.__setstate__(state)
        else:
            result.__dict__.update(state)
        return result

    flow.Tensor.__deepcopy__, nn.Module.__deepcopy__ = copied_tensor, copied_module
