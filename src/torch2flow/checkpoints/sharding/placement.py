"""Which block of a tensor a rank holds: OneFlow's placement and SBP as plain data, without OneFlow.

    Layout([[0, 1], [2, 3]], (0, None))      rows over the first dimension of 2 x 2 ranks, whole along the second

OneFlow splits in balance: of 5 rows on 2 ranks the first has 3. A tensor that is split along several dimensions of a
placement is split by the first, and each part by the next (`oneflow/core/framework/nd_sbp.cpp`, 0.9.0; measured against
its own shards on 2 and 4 ranks).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch2flow.errors import FormatError

if TYPE_CHECKING:
    import numpy as np

Corner = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Where a tensor lies.

    Attributes:
        ranks: as nested as the placement has dimensions.
        axes: for each dimension of the placement, the dimension of the tensor it splits, or None where it does not.
    """

    ranks: list[Any]
    axes: tuple[int | None, ...]

    @cached_property
    def counts(self) -> Corner:
        """Ranks along each dimension of the placement."""
        counts, level = [], self.ranks
        for _ in self.axes:
            counts.append(len(level))
            level = level[0]
        return tuple(counts)

    @cached_property
    def places(self) -> dict[int, Corner]:
        """The index of each rank in the placement."""
        return {rank: place for place, rank in _leaves(self.ranks)}

    @property
    def is_whole(self) -> bool:
        """Whether every rank holds all of it."""
        return all(axis is None for axis in self.axes)

    def block(self, shape: Corner, rank: int) -> tuple[Corner, Corner] | None:
        """The two corners of what a rank holds of a tensor; None where it holds nothing of it."""
        place = self.places.get(rank)
        return None if place is None else box(shape, self.axes, self.counts, place)

    def elements(self, shape: Corner) -> np.ndarray[Any, Any]:
        """How many elements each rank holds, in the shape of the placement."""
        import numpy as np

        index = np.indices(self.counts)
        sizes: list[Any] = list(shape)
        for axis, count, place in zip(self.axes, self.counts, index, strict=True):
            if axis is not None:
                sizes[axis] = sizes[axis] // count + (place < sizes[axis] % count)
        total = np.ones(self.counts, np.int64)
        for size in sizes:
            total = total * size
        return total

    def smallest(self, shape: Corner) -> int:
        """The least number of rows that a split leaves to a rank; a large number where nothing is split."""
        least = 1 << 62
        sizes = list(shape)
        for axis, count in zip(self.axes, self.counts, strict=True):
            if axis is not None:
                sizes[axis] //= count
                least = min(least, sizes[axis])
        return least

    @classmethod
    def from_json(cls, value: Any, where: str) -> Layout:
        """The layout that a manifest describes.

        Raises:
            FormatError: it says something else.
        """
        try:
            axes = tuple(value["split"])
            layout = cls(value["ranks"], axes)
            sound = all(axis is None or (type(axis) is int and axis >= 0) for axis in axes) and bool(axes)
            sound = sound and len(layout.places) == math.prod(layout.counts)
            sound = sound and all(
                type(rank) is int and len(place) == len(axes) for rank, place in layout.places.items()
            )
        except (KeyError, TypeError, IndexError, RecursionError):
            sound = False
        if not sound:
            raise FormatError("The manifest's placement of a tensor can't be read.", where=where)
        return layout


def box(
    shape: Corner, axes: Sequence[int | None], counts: Sequence[int], place: Sequence[int]
) -> tuple[Corner, Corner]:
    """The two corners of the block that a rank holds.

    Args:
        shape: of the whole tensor.
        axes: for each dimension of the placement, the dimension of the tensor it splits, or None.
        counts: ranks along each dimension of the placement.
        place: of this rank in it.

    Example:
        >>> box((5, 4), [0], [2], [1])
        ((3, 0), (5, 4))
    """
    start, stop = [0] * len(shape), list(shape)
    for axis, count, index in zip(axes, counts, place, strict=True):
        if axis is None:
            continue
        each, more = divmod(stop[axis] - start[axis], count)
        first = start[axis] + index * each + min(index, more)
        start[axis], stop[axis] = first, first + each + (index < more)
    return tuple(start), tuple(stop)


def layout_of(tensor: Any) -> Layout:
    """The layout of a live global tensor."""
    return Layout(tensor.placement.ranks.tolist(), tuple(map(_axis, tensor.sbp)))


def signature(flow: Any, layout: Layout) -> dict[str, Any]:
    """`placement` and `sbp` as OneFlow's functions take them, on the CPU or, where it has one, the GPU."""
    sbp = [flow.sbp.broadcast if axis is None else flow.sbp.split(axis) for axis in layout.axes]
    return {"placement": flow.placement("cuda" if flow.cuda.is_available() else "cpu", layout.ranks), "sbp": sbp}


def _axis(sbp: Any) -> int | None:
    text = str(sbp)  # oneflow.sbp.split(dim=0)
    return int(text.rpartition("=")[2].rstrip(")")) if "split" in text else None


def _leaves(ranks: Any, place: Corner = ()) -> Iterator[tuple[Corner, int]]:
    for index, item in enumerate(ranks):
        if isinstance(item, list):
            yield from _leaves(item, (*place, index))
        else:
            yield (*place, index), item
