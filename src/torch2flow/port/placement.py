"""Copied into ported code that says where and in which dtype modules are made."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from torch2flow.models.lowering.lazy import nn


def take_device_and_dtype() -> None:
    """Gives OneFlow's modules the arguments `device` and `dtype`: they are made, and then moved."""
    for kind in list(vars(nn).values()):
        own = isinstance(kind, type) and issubclass(kind, nn.Module) and "__init__" in vars(kind)
        if own and "device" not in inspect.signature(kind.__init__).parameters:
            setattr(kind, "__init__", _moving(vars(kind)["__init__"]))  # noqa: B010


def _moving(made: Any) -> Any:
    @functools.wraps(made)
    def __init__(self: Any, *args: Any, device: Any = None, dtype: Any = None, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        if device is not None:
            self.to(device)
        if dtype is not None:
            self.to(dtype)

    return __init__
