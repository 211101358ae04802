"""What a weight holds that is not PyTorch's, of which a recording keeps only a digest: swapped, transposed, cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from torch2flow.proof.digests import digest

Array = np.ndarray[Any, Any]

MOST_SLICES = 4
"""Query, key and value are three slices of one weight, the gates of an LSTM four."""


def another_weight(name: str, array: Array, recorded: Mapping[str, str], wanted: str) -> str:
    """The cause of a weight that is not PyTorch's, in words.

    Args:
        name: of the weight.
        array: what it holds.
        recorded: the digests of all of PyTorch's weights, by name.
        wanted: its name there.
    """
    found = digest(array)
    other = next((key for key, text in recorded.items() if text == found), "")
    if other:
        return f"it holds PyTorch's `{other}`: two weights are swapped, or one was copied over another"
    for words, turned in _turned(array):
        if digest(turned) == recorded[wanted]:
            return words
    if array.size > 1 and (array == array.flat[0]).all():
        return f"the weight is {array.flat[0]:g} everywhere: it was left out when the weights were loaded, or zeroed"
    if array.dtype == np.float32 and array.any():
        bits = np.ascontiguousarray(array).view(np.uint32)
        for kind, rest in (("bfloat16", 0xFFFF), ("float16", 0x1FFF)):
            if array.size > 1 and not (bits & np.uint32(rest)).any():
                return f"every value of the weight is one of {kind}: it was stored with fewer bits"
    return "another weight or bias: one value or more was changed, or it is of another checkpoint"


def _turned(array: Array) -> Iterator[tuple[str, Array]]:
    """The same values in another arrangement, with words for it."""
    if array.ndim >= 2:
        yield "the weight is transposed: its first two axes are swapped", np.swapaxes(array, 0, 1)
        yield "the weight is flipped along its last axes: a kernel that is read backwards", array[..., ::-1, ::-1]
    for count in range(2, MOST_SLICES + 1):
        if array.ndim and len(array) and len(array) % count == 0:
            slices = np.split(array, count)
            for order in itertools.permutations(range(count)):
                if order != tuple(range(count)):
                    words = f"the {count} slices of the weight along its first axis are in another order"
                    yield words, np.concatenate([slices[index] for index in order])
