"""While a global model computes, the tensors it makes by itself (positions, masks) are global too.

A `forward` written for local tensors says `flow.arange(n, device=x.device)`. OneFlow's own `global_view.global_mode`
makes that legal, but then every operator ends the process on a rank outside the mode's placement (SIGSEGV, 0.9.0), as
most ranks of a pipeline are. So the functions that make tensors are given a placement here, while a `forward` runs.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from torch2flow.runtime.replaced_attributes import replaced_attributes

MAKERS = (
    "arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn", "randperm", "tensor", "zeros",
)  # fmt: skip
"""OneFlow's functions that make a tensor out of none, and take `placement` and `sbp`."""


class _Current(threading.local):
    """The placements in force for this thread, the innermost last."""

    def __init__(self) -> None:
        self.places: list[dict[str, Any]] = []


_current = _Current()


@contextlib.contextmanager
def made_globally(flow: Any, place: dict[str, Any]) -> Iterator[None]:
    """Gives every new tensor of this thread a placement.

    Args:
        flow: the module `oneflow`.
        place: `placement` and `sbp`.
    """
    _current.places.append(place)
    try:
        with contextlib.nullcontext() if len(_current.places) > 1 else _patched(flow):
            yield
    finally:
        _current.places.pop()


def _patched(flow: Any) -> contextlib.AbstractContextManager[None]:
    device = flow.Tensor.device

    def device_of(tensor: Any) -> Any:
        return flow.device(tensor.placement.type) if tensor.is_global else device.__get__(tensor)

    makers = [(flow, name, _placing(getattr(flow, name))) for name in MAKERS]
    return replaced_attributes(*makers, (flow.Tensor, "device", property(device_of)))


def _placing(maker: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(maker)
    def make(*args: Any, **kwargs: Any) -> Any:
        if _current.places and "placement" not in kwargs:
            kwargs.pop("device", None)
            kwargs |= _current.places[-1]
        return maker(*args, **kwargs)

    return make
