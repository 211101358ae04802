"""Names for the axes of live tensors: which are dynamic, how long they are, and inputs of other lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch2flow.errors import UsageError
from torch2flow.runtime.nested import leaves, replaced

Dynamic = dict["int | str", dict[int, str]]
"""For a position or a keyword, the names of its dynamic axes; those of a list are the axes of each tensor in it."""

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword arguments."""

Names = Sequence["str | None"] | Mapping[int, str]
"""Names for the axes of one input: in order, None for a fixed one; or by number."""


def named_axes(torch: Any, call: Call, dynamic: Mapping[int | str, Names]) -> Dynamic:
    """Checks names that were given, and brings them into one form.

    Raises:
        UsageError: an input or axis that is named is not there.
    """
    args, kwargs = call
    names: Dynamic = {}
    for key, given in dynamic.items():
        value = kwargs.get(key) if isinstance(key, str) else args[key] if key < len(args) else None
        tensors = list(leaves(value))
        if not tensors or not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
            raise UsageError(f"dynamic names the input {key!r}, which is no tensor among the inputs.")
        axes = dict(given) if isinstance(given, Mapping) else {n: name for n, name in enumerate(given) if name}
        for axis, name in axes.items():
            dim = min(tensor.dim() for tensor in tensors)
            if not 0 <= axis < dim or not str(name).isidentifier():
                raise UsageError(
                    f"dynamic names axis {axis} of the input {key!r} {name!r}, and it has {dim} axes.",
                    remedy="axes count from 0, and a name is an identifier",
                )
        if axes:
            names[key] = {axis: str(name) for axis, name in axes.items()}
    return names


def sample_sizes(call: Call, names: Dynamic) -> dict[str, int]:
    """How long each named axis is.

    Raises:
        UsageError: one name has two sizes, or one that PyTorch treats apart.
    """
    sizes: dict[str, int] = {}
    for key, axes in names.items():
        value = call[1][key] if isinstance(key, str) else call[0][key]
        named = ((name, int(tensor.shape[axis])) for tensor in leaves(value) for axis, name in axes.items())
        for name, size in named:
            if sizes.setdefault(name, size) != size:
                raise UsageError(f"The axis {name} is {sizes[name]} long in one input and {size} in another.")
            if size < 2:
                raise UsageError(
                    f"The axis {name} is {size} long in the sample, and PyTorch takes 0 and 1 for special sizes.",
                    remedy="capture with 2 or more",
                )
    return sizes


def resizer(torch: Any, call: Call, names: Dynamic) -> Callable[[dict[str, int]], Call]:
    """Makes the given inputs longer along their named axes; floats get new values, others begin again."""

    def resized(key: int | str, value: Any, sizes: dict[str, int]) -> Any:
        return replaced(value, lambda leaf: grown(names[key], leaf, sizes)) if key in names else value

    def grown(axes: dict[int, str], value: Any, sizes: dict[str, int]) -> Any:
        before = value
        for axis, name in axes.items():
            value = value.index_select(axis, torch.arange(sizes[name]) % value.shape[axis])
        if value.is_floating_point():
            generator = torch.Generator().manual_seed(0)
            noise = torch.randn(value.shape, generator=generator)
            spread = before.float().std() if before.numel() > 1 else torch.ones(())
            value = (noise * spread + before.float().mean()).to(value.dtype)
        return value

    def make(sizes: dict[str, int]) -> Call:
        args, kwargs = call
        return (
            tuple(resized(number, value, sizes) for number, value in enumerate(args)),
            {key: resized(key, value, sizes) for key, value in kwargs.items()},
        )

    return make
