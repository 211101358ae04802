"""Cuts a model into stages of about equal bytes, in the order of its names and never inside a layer."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch2flow.errors import UsageError

_LAYER = re.compile(r"(.*?[._]\d+)\.|(.*)\.|(.*)")


def balanced_stages(tensors: Mapping[str, tuple[int, str]], count: int) -> dict[str, int]:
    """The stage of each tensor.

    Args:
        tensors: bytes, and the name it is tied to or "", by name in the model's order.
        count: how many stages there are.

    Raises:
        UsageError: there are fewer layers than stages.
    """
    joined = _joined({name: tied for name, (_, tied) in tensors.items()})
    home: dict[str, str] = {}  # the layer where what is joined comes first
    layers: dict[str, int] = {}
    for name, (nbytes, tied) in tensors.items():
        layer = home.setdefault(joined[_owner(name)], layer_of(name))
        layers[layer] = layers.get(layer, 0) + (nbytes if tied in ("", name) else 0)
    if len(layers) < count:
        raise UsageError(f"The model has {len(layers)} layers, too few for {count} stages.")
    at = dict(zip(layers, _cut(list(layers.values()), count), strict=True))
    return {name: at[home[joined[_owner(name)]]] for name in tensors}


def divided(stages: Mapping[str, int]) -> list[str]:
    """Modules whose own tensors lie in several stages, so that they could compute in none."""
    found: dict[str, set[int]] = {}
    for name, stage in stages.items():
        found.setdefault(_owner(name), set()).add(stage)
    return [owner for owner, own in found.items() if len(own) > 1]


def _owner(name: str) -> str:
    return name.rpartition(".")[0]


def _joined(tied: Mapping[str, str]) -> dict[str, str]:
    """For each module, the first of all modules that share tensors with it, directly or through others."""
    first: dict[str, str] = {}

    def find(owner: str) -> str:
        while first.setdefault(owner, owner) != owner:
            owner = first[owner]
        return owner

    for name, other in tied.items():
        one, two = find(_owner(other or name)), find(_owner(name))
        first[two] = one
    return {owner: find(owner) for owner in first}


def layer_of(name: str) -> str:
    """The unit that is never divided: the numbered module around a tensor, or else the module that holds it.

    Example:
        >>> layer_of("encoder.layer.3.attention.query.weight"), layer_of("pooler.dense.bias")
        ('encoder.layer.3', 'pooler.dense')
    """
    found = _LAYER.match(name)
    assert found is not None
    return found[1] or found[2] or name


def _cut(sizes: list[int], count: int) -> list[int]:
    """Divides items into contiguous parts, none empty, so that the largest part is as small as possible."""
    low, high = max(sizes), sum(sizes)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _parts(sizes, middle) <= count else (middle + 1, high)
    parts, part, filled = [], 0, 0
    for index, size in enumerate(sizes):
        after = count - part - 1
        full = filled + size > low or len(sizes) - index <= after
        # Below the largest there is room to be even: a part ends at the mean of what was left when it began.
        even = after and filled + size / 2 > (filled + sum(sizes[index:])) / (after + 1)
        if index and (full or (even and _parts(sizes[index:], low) <= after)):
            part, filled = part + 1, 0
        parts.append(part)
        filled += size
    return parts


def _parts(sizes: list[int], most: int) -> int:
    parts, filled = 1, 0
    for size in sizes:
        if filled + size > most:
            parts, filled = parts + 1, 0
        filled += size
    return parts
