"""A sharding plan: patterns of names, and how what they match is split. Data, read from TOML.

    preset = "llama"                              # rules for the usual names; yours come first

    [mesh]                                        # the ranks as a grid: the last axis changes fastest
    data = -1                                     # as many as there are
    tensor = 4

    [split]                                       # the first pattern that matches counts
    "*.norm.weight" = {}                          # whole on every rank
    "lm_head.weight" = { tensor = 0 }             # by rows over the axis `tensor`
    "*.experts.*" = { data = 0, tensor = 1 }      # in two dimensions
    "*.table" = { data = "auto" }                 # the first dimension that divides evenly, or whole

An axis called `pipeline` does not split tensors but gives each to one stage: by `stages`, lists of patterns, or in the
order of names so that stages have about as many bytes each.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal, TypedDict

from torch2flow.checkpoints.sharding.patterns import matches
from torch2flow.checkpoints.sharding.placement import Layout
from torch2flow.checkpoints.sharding.stages import balanced_stages, divided
from torch2flow.errors import FormatError, UsageError
from torch2flow.guards.records import Demand, checked
from torch2flow.guards.regular_files import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PIPELINE = "pipeline"
AUTO = "auto"
SHOWN = 20

Split = dict[str, int | str]
"""For each axis of the mesh, the dimension it splits, or "auto"."""


MOST_RANKS = 1 << 16
"""Ranks of the largest job that a plan is made for, and of the longest axis of its mesh."""

Size = Annotated[int, Demand(lambda n: n == -1 or 0 < n <= MOST_RANKS, "the number of its ranks, or -1 for all others")]
Axis = Annotated[int | Literal["auto"], Demand(lambda axis: axis == AUTO or abs(axis) < 1000, 'a dimension, or "auto"')]


class PlanText(TypedDict, total=False):
    """A plan as it is written."""

    preset: str | list[str]
    mesh: dict[str, Size]
    split: dict[str, dict[str, Axis]]
    stages: list[list[str]]


@dataclass(frozen=True, slots=True)
class Sized:
    """What a sharding plan has to know of a tensor.

    Attributes:
        shape: of the whole.
        itemsize: bytes of an element.
        tied: the name it is held under; its own unless it is tied to another.
    """

    shape: tuple[int, ...]
    itemsize: int
    tied: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of the whole."""
        return math.prod(self.shape) * self.itemsize


@dataclass(frozen=True, slots=True)
class Mesh:
    """The ranks as a grid.

    Attributes:
        sizes: of each axis, by name; the last changes fastest with the rank.
    """

    sizes: dict[str, int]

    @property
    def ranks(self) -> int:
        """How many there are."""
        return math.prod(self.sizes.values())

    @property
    def stages(self) -> int:
        """Pipeline stages; 1 without a pipeline."""
        return self.sizes.get(PIPELINE, 1)

    @property
    def axes(self) -> list[str]:
        """The axes a tensor lies on: those with more than one rank, and not the pipeline."""
        return [name for name, size in self.sizes.items() if name != PIPELINE and size > 1]

    def grid(self, stage: int) -> list[Any]:
        """The ranks of one stage, nested as `axes` are."""
        import numpy as np

        ranks: np.ndarray[Any, Any] = np.arange(self.ranks).reshape(tuple(self.sizes.values()))
        if PIPELINE in self.sizes:
            ranks = ranks.take(stage, list(self.sizes).index(PIPELINE))
        found: list[Any] = ranks.reshape([self.sizes[name] for name in self.axes] or [1]).tolist()
        return found


@dataclass(frozen=True, slots=True)
class ShardingPlan:
    """Which part of each tensor which rank holds.

    Attributes:
        mesh: sizes of the axes; one of them may be -1, for as many ranks as there are.
        split: patterns of names, and what each axis splits; the first that matches counts.
        stages: patterns for each stage of the pipeline; empty for stages of about equal bytes.
        origin: the file or preset, for messages.
        own: how many of `split` are the file's own, and expected to match something.
    """

    mesh: dict[str, int]
    split: list[tuple[str, Split]] = field(default_factory=list)
    stages: list[list[str]] = field(default_factory=list)
    origin: str = ""
    own: int = 0

    def meshed(self, ranks: int | None = None) -> Mesh:
        """The mesh for a number of ranks.

        Raises:
            UsageError: the sizes do not give that number.
        """
        free = [name for name, size in self.mesh.items() if size == -1]
        known = math.prod(size for size in self.mesh.values() if size != -1)
        if max(known, ranks or 0) > MOST_RANKS:
            raise UsageError(f"{max(known, ranks or 0)} ranks are more than {MOST_RANKS}.", where=self.origin)
        if not free and ranks in (None, known):
            return Mesh(dict(self.mesh))
        if len(free) != 1 or ranks is None or ranks % known:
            sizes = " x ".join(f"{name} {'*' if size == -1 else size}" for name, size in self.mesh.items())
            raise UsageError(
                f"The mesh {sizes} does not fit {'an unknown number of' if ranks is None else ranks} ranks.",
                where=self.origin,
                remedy="give one axis of [mesh] the size -1, for as many ranks as there are, or state --ranks",
            )
        return Mesh({name: ranks // known if size == -1 else size for name, size in self.mesh.items()})

    def settle(self, tensors: Mapping[str, Sized], ranks: int | None = None) -> Settled:
        """Where each tensor lies.

        Args:
            tensors: names, in the model's order.
            ranks: how many there are; None if the plan says so itself.

        Raises:
            UsageError: tensors can't be split as asked, patterns of the plan match nothing, or a tensor has no stage;
                all of them are listed.
        """
        mesh = self.meshed(ranks)
        stages = self._stages(tensors, mesh)
        rules = {name: self._rule(name) for name in tensors}
        hits = {number for number in rules.values() if number is not None}
        first: dict[str, int] = {}  # of tied names, the first that a pattern matches counts
        for name, tensor in tensors.items():
            if (number := rules[name]) is not None:
                first.setdefault(tensor.tied or name, number)
        layouts: dict[str, Layout] = {}
        refused: list[str] = []
        unmatched: list[str] = []
        grids = [mesh.grid(stage) for stage in range(mesh.stages)]
        for name, tensor in tensors.items():
            if tensor.tied in layouts:
                layouts[name] = layouts[tensor.tied]
                continue
            number = first.get(tensor.tied or name)
            if number is None:
                unmatched.append(name)
            axes = _axes({} if number is None else self.split[number][1], mesh, tensor.shape)
            layouts[name] = Layout(grids[stages[name]], axes)
            if why := _why_not(layouts[name], tensor.shape, mesh):
                refused.append(f"{name} {[*tensor.shape]}: {why}")
        refused += self._unused(hits)
        if refused:
            more = f"\n    and {len(refused) - SHOWN} more" if len(refused) > SHOWN else ""
            raise UsageError(
                f"The plan can't be carried out on {mesh.ranks} ranks:\n    " + "\n    ".join(refused[:SHOWN]) + more,
                where=self.origin,
                remedy='give these names another line in [split], {} for "whole on every rank", before the one that'
                " matches them; or fewer ranks",
            )
        return Settled(mesh, layouts, stages, unmatched)

    def _stages(self, tensors: Mapping[str, Sized], mesh: Mesh) -> dict[str, int]:
        if mesh.stages == 1:
            return dict.fromkeys(tensors, 0)
        if not self.stages:
            return balanced_stages({name: (t.nbytes, t.tied) for name, t in tensors.items()}, mesh.stages)
        if len(self.stages) != mesh.stages:
            raise UsageError(f"{len(self.stages)} stages are listed, the mesh has {mesh.stages}.", where=self.origin)
        found: dict[str, int] = {}
        lost = []
        for name, tensor in tensors.items():
            at = [n for n, patterns in enumerate(self.stages) if any(matches(p, name) for p in patterns)]
            at = [found[tensor.tied]] if tensor.tied in found else at
            if at:
                found[name] = at[0]
            else:
                lost.append(name)
        if lost:
            raise UsageError(
                f"{len(lost)} tensors belong to no stage: {', '.join(lost[:SHOWN])}.",
                where=self.origin,
                remedy='add their names to a list of `stages`; "*" in the last one takes all that are left',
            )
        if modules := divided(found):
            raise UsageError(
                f"{len(modules)} modules hold tensors of several stages: {', '.join(modules[:SHOWN])}.",
                where=self.origin,
                maybe="one is tied to a tensor of another stage; the first of tied names counts",
                remedy="put these modules into the stage of what they are tied to",
            )
        return found

    def _rule(self, name: str) -> int | None:
        return next((number for number, (pattern, _) in enumerate(self.split) if matches(pattern, name)), None)

    def _unused(self, hits: set[int]) -> Iterable[str]:
        if self.split and not hits:
            return [f"no name matches any of its {len(self.split)} patterns: it is for other names than these"]
        own = [pattern for number, (pattern, _) in enumerate(self.split[: self.own]) if number not in hits]
        return [f"the pattern {pattern!r} is the first to match no name at all" for pattern in own]


@dataclass(frozen=True, slots=True)
class Settled:
    """A plan for the tensors of a model and a number of ranks.

    Attributes:
        mesh: the ranks.
        layouts: where each tensor lies.
        stages: the pipeline's stage of each.
        unmatched: names no pattern matches: whole on every rank of their stage.
    """

    mesh: Mesh
    layouts: dict[str, Layout]
    stages: dict[str, int]
    unmatched: list[str]


def _axes(split: Split, mesh: Mesh, shape: tuple[int, ...]) -> tuple[int | None, ...]:
    """The dimension that each axis of the mesh splits."""
    axes: list[int | None] = []
    sizes = list(shape)
    for name in mesh.axes:
        axis = split.get(name)
        count = mesh.sizes[name]
        if axis == AUTO:
            axis = next((n for n, size in enumerate(sizes) if size and size % count == 0), None)
        assert axis is None or isinstance(axis, int)
        if axis is not None and -len(shape) <= axis < len(shape):
            axis %= len(shape)
            sizes[axis] //= count
        axes.append(axis)
    return tuple(axes) or (None,)


def _why_not(layout: Layout, shape: tuple[int, ...], mesh: Mesh) -> str:
    """Why OneFlow can't hold a tensor so, or "". OneFlow would abort the process (`nd_sbp_util.cpp`, 0.9.0)."""
    beyond = [axis for axis in layout.axes if axis is not None and not 0 <= axis < len(shape)]
    if beyond:
        return f"it has no dimension {beyond[0]} to split" if shape else "a single number can't be split"
    if layout.smallest(shape) == 0:
        parts = [
            f"dimension {axis} over {mesh.sizes[name]}"
            for name, axis in zip(mesh.axes, layout.axes, strict=False)
            if axis is not None
        ]
        return f"split by {' and '.join(parts)}, some ranks would hold nothing of it"
    return ""


def read_sharding_plan(plan: str | os.PathLike[str] | ShardingPlan) -> ShardingPlan:
    """A plan of a TOML file, or a preset by its name.

    Raises:
        UsageError: there is none, or the file says something a plan does not know.
    """
    if isinstance(plan, ShardingPlan):
        return plan
    if str(plan) in presets():
        return _parse({"preset": str(plan)}, f"preset {plan}")
    try:
        return _parse(checked(PlanText, tomllib.loads(read_text(plan)), str(plan)), str(plan))
    except (FormatError, ValueError, RecursionError) as error:
        raise UsageError(
            f"The plan can't be read: {error.what if isinstance(error, FormatError) else str(error)[:300]}",
            where=str(plan),
            remedy=f"give a TOML file (docs/scale.md), or a preset: {', '.join(presets())}",
        ) from None


@cache
def presets() -> dict[str, Any]:
    """The tables of `presets.toml`."""
    return tomllib.loads((resources.files(__package__) / "presets.toml").read_text("utf-8"))


def _parse(text: PlanText, origin: str) -> ShardingPlan:
    named = text.get("preset", [])
    named = [named] if isinstance(named, str) else named
    wrong = [f"unknown key {key!r}" for key in text if key not in PlanText.__annotations__]
    wrong += [f"unknown preset {name!r}: there are {', '.join(presets())}" for name in named if name not in presets()]
    if wrong:
        raise UsageError(f"The plan can't be read: {'; '.join(wrong)}.", where=origin)
    mesh = text.get("mesh") or {axis: size for name in named for axis, size in presets()[name]["mesh"].items()}
    own = list(text.get("split", {}).items())
    split = own + [rule for name in named for rule in presets()[name].get("split", {}).items()]
    if not mesh:
        wrong.append("[mesh] needs axes with their sizes, such as tensor = 8")
    elif list(mesh.values()).count(-1) > 1:
        wrong.append("one axis of [mesh] can have the size -1, no more")
    for pattern, axes in split:
        if PIPELINE in axes:
            wrong.append(f"{pattern!r}: the pipeline gives tensors to stages and splits none")
        elif unknown := [axis for axis in axes if axis not in mesh and (pattern, axes) in own]:
            wrong.append(f"{pattern!r} names the axis {unknown[0]!r}, which [mesh] has not")
    if wrong:
        raise UsageError(f"The plan can't be read: {'; '.join(wrong)}.", where=origin)
    return ShardingPlan(mesh, split, text.get("stages", []), origin, len(own))
