"""Finds which tensor of a checkpoint goes into which tensor of a model, and checks it before anything is written."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from torch2flow.checkpoints.dtypes import DType, find_dtype, numpy_dtype
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, Tensor, TensorRef
from torch2flow.checkpoints.writing.value_changes import REAL_OF
from torch2flow.errors import Torch2FlowError, UnsupportedError, UsageError
from torch2flow.runtime.loading.filling import IncomingTensor
from torch2flow.runtime.loading.rank_blocks import grown, unsplittable

SHOWN = 20
"""How many names are listed for each kind of problem."""

LOADERS = {
    "oneflow.nn.modules.module.Module": "",
    # A checkpoint older than the counter starts it at zero.
    "oneflow.nn.modules.batchnorm._NormBase": "sets num_batches_tracked",
    # Its statistics never change, so it has no counter.
    "flowvision.layers.blocks.misc.FrozenBatchNorm2d": "ignores num_batches_tracked",
}
"""Classes whose `_load_from_state_dict` is known, and what it does beside copying by name (0.9.0, 0.2.1)."""

COUNTER = "num_batches_tracked"

FAMILY = {"b": "integer", "i": "integer", "u": "integer", "f": "floating"}
"""The kinds of dtypes that convert into each other. OneFlow 0.9.0 has no others."""


@dataclass(frozen=True, slots=True)
class ModelTensor:
    """One parameter or persistent buffer of the model, under one of its names.

    Attributes:
        tensor: the live tensor.
        owner: class name of the module that holds it, for messages.
        loader: what that module does beside copying, a value of `LOADERS`.
    """

    tensor: Any
    owner: str
    loader: str


@dataclass(slots=True)
class Match:
    """The tensors that fit, and those that do not.

    Attributes:
        pieces: by the model's name, what to write.
        missing, unexpected: names that one side lacks.
        reset: counters that an older checkpoint lacks, to be set to zero.
        ignored: names that a module of the model is known to pass over.
        tied: groups of names that are one tensor of the model.
        converted: dtype in the checkpoint and in the model, where they differ.
        misfits: shapes and dtypes that don't fit, a line each.
        unsupported: tensors OneFlow has not, a line each.
        notes: what a person should know.
    """

    pieces: dict[str, IncomingTensor] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    reset: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    tied: list[list[str]] = field(default_factory=list)
    converted: dict[str, tuple[str, str]] = field(default_factory=dict)
    misfits: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_slots(model: Any) -> dict[str, ModelTensor]:
    """The names `model.state_dict()` lists, with the live tensors.

    Raises:
        UnsupportedError: modules that load their state by code of their own, or global tensors that are sums.
    """
    slots: dict[str, ModelTensor] = {}
    refused: list[str] = []
    _walk(model, "", slots, refused)
    live = {name: slot.tensor for name, slot in slots.items() if slot.tensor is not None}
    refused += [f"{name}: {why}" for name, tensor in live.items() if tensor.is_global and (why := unsplittable(tensor))]
    if refused:
        raise UnsupportedError(
            _section("Parts of the model can't be loaded in place; nothing was changed", refused),
            remedy="let OneFlow load: model.load_state_dict(torch2flow.load(PATH))",
        )
    return slots


def _walk(module: Any, prefix: str, slots: dict[str, ModelTensor], refused: list[str]) -> None:
    kind = type(module)
    home = next(cls for cls in kind.__mro__ if "_load_from_state_dict" in cls.__dict__)
    loader = LOADERS.get(f"{home.__module__}.{home.__qualname__}")
    if loader is None or module._load_state_dict_pre_hooks:
        how = "a hook" if loader is not None else "_load_from_state_dict"
        refused.append(f"{prefix[:-1] or 'the model'} ({kind.__name__}): loads its state by {how} of its own")
    buffers = {k: v for k, v in module._buffers.items() if k not in module._non_persistent_buffers_set}
    for name, tensor in [*module._parameters.items(), *buffers.items()]:
        if tensor is not None:
            slots[prefix + name] = ModelTensor(tensor, kind.__name__, loader or "")
    if loader == "ignores num_batches_tracked":
        slots.setdefault(prefix + COUNTER, ModelTensor(None, kind.__name__, loader))
    for name, child in module._modules.items():
        if child is not None:
            _walk(child, f"{prefix}{name}.", slots, refused)


def match(slots: dict[str, ModelTensor], tensors: dict[str, Tensor]) -> Match:
    """Pairs the model's names with the checkpoint's and checks each pair; only narrowed integers are read."""
    result = Match()
    groups: dict[int, list[str]] = {}
    for name, slot in slots.items():
        if slot.tensor is None:
            result.ignored += [name] if name in tensors else []
            continue
        groups.setdefault(id(slot.tensor), []).append(name)
        if name in tensors:
            _pair(result, name, slot, tensors[name])
    result.tied = [names for names in groups.values() if len(names) > 1]
    for names in groups.values():
        present = [name for name in names if name in tensors]
        if len({tensors[name].identity for name in present}) > 1:
            result.notes.append(
                f"one tensor in the model, several in the checkpoint, the last counts: {', '.join(present)}"
            )
        if not present:
            counter = slots[names[0]].loader.startswith("sets") and names[0].endswith(COUNTER)
            (result.reset if counter else result.missing).extend(names)
    result.unexpected = [name for name in tensors if name not in slots]
    return result


def _pair(result: Match, name: str, slot: ModelTensor, tensor: Tensor) -> None:
    shape, dtype = tuple(slot.tensor.shape), _live_dtype(str(slot.tensor.dtype))
    if tensor.dtype.name in REAL_OF and dtype is not None and dtype.kind == "f" and shape == (*tensor.shape, 2):
        result.pieces[name] = IncomingTensor(tensor, dtype, shape, "view_as_real")
        if REAL_OF[tensor.dtype.name] != dtype.name:
            result.converted[name] = (tensor.dtype.name, dtype.name)
    elif isinstance(tensor, CompositeTensor) or tensor.dtype.kind not in FAMILY or dtype is None:
        layout = tensor.layout if isinstance(tensor, CompositeTensor) else "dense"
        result.unsupported.append(f"{name} ({slot.owner}): {layout} {tensor.dtype} into {slot.tensor.dtype}")
    elif tensor.shape != shape:
        result.misfits.append(
            f"{name} ({slot.owner}): {[*tensor.shape]} in the checkpoint, {[*shape]} in the model"
            + grown(slot.tensor, tensor.shape)
        )
    elif FAMILY[tensor.dtype.kind] != FAMILY[dtype.kind]:
        result.misfits.append(f"{name} ({slot.owner}): {tensor.dtype} in the checkpoint, {dtype} in the model")
    elif not _in_range(tensor, dtype):
        result.misfits.append(f"{name} ({slot.owner}): {tensor.dtype} holds numbers beyond the model's {dtype}")
    else:
        change = "" if tensor.dtype is dtype else "cast"
        result.pieces[name] = IncomingTensor(tensor, dtype, shape, change)
        if change:
            result.converted[name] = (tensor.dtype.name, dtype.name)


@cache
def _live_dtype(name: str) -> DType | None:
    """The row of a dtype of OneFlow, by its name; None for dtypes that hold no numbers."""
    return find_dtype(name.removeprefix("oneflow."))


def _in_range(tensor: TensorRef, dtype: DType) -> bool:
    """Whether all integers fit; floating values round, as in OneFlow's own `copy_`."""
    if dtype.kind == "f" or tensor.dtype is dtype:
        return True
    import numpy as np

    if np.can_cast(numpy_dtype(tensor.dtype), numpy_dtype(dtype)):
        return True
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype.name).min, np.iinfo(dtype.name).max)
    return all(int(chunk.min()) >= low and int(chunk.max()) <= high for chunk in tensor.chunks() if chunk.size)


def refuse(
    found: Match, slots: dict[str, ModelTensor], checkpoint: Checkpoint, olds: dict[str, str], strict: bool
) -> None:
    """Raises one error that lists everything that does not fit, if anything does not.

    Raises:
        UnsupportedError: there are tensors OneFlow has not.
        UsageError: names, shapes or dtypes differ.
    """
    sections = [
        _section("OneFlow has no such tensors", found.unsupported),
        _section("do not fit", found.misfits),
    ]
    nothing = not found.pieces and bool(olds)
    if strict or nothing:
        missing = [f"{name} ({slots[name].owner}){_near(name, found.unexpected)}" for name in found.missing[:SHOWN]]
        sections += [
            _section("missing from the checkpoint", missing, len(found.missing)),
            _section("not in the model", found.unexpected),
        ]
    text = "\n".join(f"  {section}" for section in sections if section)
    if not text:
        return
    kind: type[Torch2FlowError] = UnsupportedError if found.unsupported else UsageError
    raise kind(
        f"The checkpoint does not fit the model; nothing was changed.\n{text}",
        where=f"{checkpoint.path}" + (f", key {checkpoint.key!r}" if checkpoint.key != "." else ""),
        remedy=suggest([n for n, s in slots.items() if s.tensor is not None], list(olds), checkpoint),
    )


def _section(title: str, lines: list[str], count: int = 0) -> str:
    count = count or len(lines)
    more = [f"and {count - SHOWN} more"] if count > SHOWN else []
    return f"{title} ({count}):" + "".join(f"\n    {line}" for line in lines[:SHOWN] + more) if lines else ""


def _near(name: str, unexpected: list[str]) -> str:
    """`; did you mean ...?`; names that end alike are tried first, and not all of thousands."""
    leaf = name.rsplit(".", 1)[-1]
    pool = [other for other in unexpected if other.rsplit(".", 1)[-1] == leaf] or unexpected
    found = difflib.get_close_matches(name, pool[:200], 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""


def suggest(wanted: list[str], names: list[str], checkpoint: Checkpoint) -> str:
    """The one change that would make all names fit, as a sentence; "" if there is none."""
    have = set(names)
    for prefix in _prefixes(wanted[:1], names):
        if all(prefix + name in have for name in wanted):
            rest = len(names) - sum(name.startswith(prefix) for name in names)
            alone = f" and strict=False ({rest} other names)" if rest else ""
            return f"the checkpoint's names start with {prefix!r}: rename=r'^{re.escape(prefix)}='{alone}"
    need = set(wanted)
    for prefix in _prefixes(names[:1], wanted):
        if all(prefix + name in need for name in names):
            return f"the checkpoint's names lack {prefix!r}: rename='^={prefix}'"
    for candidate in checkpoint.candidates:
        if (
            candidate.kind != "optimizer state"
            and candidate.path != checkpoint.key
            and not need - set(checkpoint.at(candidate.path))
        ):
            return f"the names are those of another part of the file: key={candidate.path!r}"
    return ""


def _prefixes(short: list[str], long: list[str]) -> Iterator[str]:
    yield from (name[: -len(tail)] for tail in short for name in long if name.endswith(f".{tail}"))
