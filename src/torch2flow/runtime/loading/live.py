"""From any checkpoint straight into live OneFlow tensors, with no folder in between and without PyTorch.

report = torch2flow.load_state_dict(model, "model.pth")    # a OneFlow module, in place
tensors = torch2flow.load("model.pth")                     # the tree with OneFlow tensors as leaves
"""

from __future__ import annotations

import collections
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.dtypes import DType, find_dtype
from torch2flow.checkpoints.names.user_choice import choose_names, read_rules
from torch2flow.checkpoints.oneflow.dtypes import DATA_TYPES, widened_dtype
from torch2flow.checkpoints.oneflow.training_state import adapt_training
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pickles import Global
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, TensorRef
from torch2flow.checkpoints.pytorch.arrays import NumpyArray, NumpyDType
from torch2flow.checkpoints.pytorch.constructors import Size
from torch2flow.checkpoints.writing import ConversionPlan, Options, Target, make_plan
from torch2flow.errors import Torch2FlowError, UsageError
from torch2flow.runtime.importing import import_oneflow
from torch2flow.runtime.loading import matching
from torch2flow.runtime.loading.filling import Filler, IncomingTensor
from torch2flow.runtime.loading.rank_blocks import own_part, own_piece, together

Source = str | os.PathLike[str] | Checkpoint
Rules = str | Sequence[str | tuple[str, str]]


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What `load_state_dict` did.

    Attributes:
        loaded: names of the model that were written.
        missing: names of the model that the checkpoint lacks; they keep their values.
        unexpected: names of the checkpoint that the model lacks.
        converted: dtype in the checkpoint and in the model, where they differ.
        tied: groups of the model's names that are one tensor; one of them in the checkpoint is enough.
        notes: what a person should know.
        nbytes: bytes written into the model; of a global one, by this rank.
        seconds: how long it took, opening included.
    """

    loaded: list[str]
    missing: list[str]
    unexpected: list[str]
    converted: dict[str, tuple[str, str]]
    tied: list[list[str]]
    notes: list[str]
    nbytes: int
    seconds: float

    def __str__(self) -> str:
        counts = {"missing": self.missing, "unexpected": self.unexpected, "converted": self.converted}
        rest = "".join(f", {len(names)} {what}" for what, names in counts.items() if names)
        return f"{len(self.loaded)} tensors loaded{rest}; {self.nbytes / 1e6:.1f} MB in {self.seconds:.2f} s"


def load_state_dict(
    model: Any, source: Source, *, key: str | None = None, rename: Rules = (), strict: bool = True
) -> LoadReport:
    """Loads a checkpoint into a OneFlow module in place: its parameters, ties and optimizers stay.

    Everything is checked before the model is touched, so what does not fit leaves it as it was. Values are
    cast to the dtypes of the model, within floating and within integer ones, and each cast is reported.

    Args:
        model: an `oneflow.nn.Module` on any device. Where its tensors are global, every rank calls this, and each
            reads its own part of the file and nothing else.
        source: a path that `open_checkpoint` reads, or a checkpoint it opened.
        key: the part to take, as a dotted path; None chooses by rule.
        rename: `OLD=NEW` regular expressions (or pairs of them), applied in order to the checkpoint's names.
        strict: names that only one side has are an error; otherwise they are in the report.

    Returns:
        what was loaded, what was not, and how dtypes changed.

    Raises:
        UsageError: names, shapes or kinds of dtype differ; all of them are listed. Also if no name fits.
        UnsupportedError: sparse or quantized tensors would have to be loaded, or complex ones into tensors without
            a last dimension of 2 for their parts; or the model holds global tensors that are sums of their parts, or
            modules that load themselves.
        FormatError: the file is broken, hostile, or changes meanwhile; or another rank could not load it.
        InstallationError: OneFlow does not import.

    Example:
        >>> report = torch2flow.load_state_dict(model, "ddp.pth", rename=r"^module\\.=")     # doctest: +SKIP
        >>> print(report)                                                                  # doctest: +SKIP
        62 tensors loaded; 244.4 MB in 0.11 s
    """
    started = time.perf_counter()
    flow = import_oneflow()
    if not isinstance(model, flow.nn.Module):
        raise UsageError(
            f"The model is a {type(model).__name__}, no oneflow.nn.Module.",
            remedy="give the module a graph was made of" if isinstance(model, flow.nn.Graph) else "",
        )
    with together(flow, model):
        checkpoint = _open(source, key)
        naming = choose_names(checkpoint, rename=rename_rules(rename))
        olds, notes = {new: old for old, new in naming.names.items()}, naming.notes
        slots, found = _matched(model, checkpoint, olds, strict)
        pieces = found.pieces
        for piece in pieces.values():
            piece.check_readable()
        checkpoint.check_unchanged()
    with together(flow, model):
        nbytes = _fill(flow, checkpoint, slots, found)
    if found.reset:
        notes.append(f"set to zero, as the checkpoint is older than them: {', '.join(found.reset)}")
    if found.ignored:
        notes.append(f"not used by the model's frozen batch norms: {', '.join(found.ignored)}")
    return LoadReport(
        loaded=list(pieces),
        missing=found.missing,
        unexpected=found.unexpected,
        converted=found.converted,
        tied=found.tied,
        notes=notes + found.notes,
        nbytes=nbytes,
        seconds=time.perf_counter() - started,
    )


def _fill(flow: Any, checkpoint: Checkpoint, slots: dict[str, matching.ModelTensor], found: matching.Match) -> int:
    """Writes the matched tensors, or this rank's blocks of them, into the model; returns the number of bytes."""
    pieces, filler, nbytes = found.pieces, Filler(flow), 0
    # Of tied names the last counts, as in OneFlow.
    last = {id(slots[name].tensor): name for name in pieces}
    try:
        with flow.no_grad():
            for name in found.reset:
                own_part(slots[name].tensor).zero_()
            for name in sorted(last.values(), key=lambda name: pieces[name].place):
                tensor = slots[name].tensor
                if own := own_piece(flow, tensor, pieces[name]):
                    filler.fill(own_part(tensor), own)
                    nbytes += own.nbytes
        checkpoint.check_unchanged()
    except Torch2FlowError as error:
        error.maybe = "; ".join(filter(None, (error.maybe, "the model is partly loaded: load it again")))
        raise
    finally:
        filler.finish()
    return nbytes


def check_fits(model: Any, checkpoint: Checkpoint) -> None:
    """Checks that a module would load a checkpoint strictly, and changes nothing.

    Raises:
        UsageError: names, shapes or kinds of dtype differ; all of them are listed.
        UnsupportedError: there are tensors OneFlow has not.
    """
    _matched(model, checkpoint, {name: name for name in checkpoint}, strict=True)


def _matched(
    model: Any, checkpoint: Checkpoint, olds: dict[str, str], strict: bool
) -> tuple[dict[str, matching.ModelTensor], matching.Match]:
    slots = matching.find_slots(model)
    found = matching.match(slots, {new: checkpoint[old] for new, old in olds.items()})
    matching.refuse(found, slots, checkpoint, olds, strict)
    return slots, found


def load(source: Source, *, key: str | None = None) -> Any:
    """The tree of a checkpoint with OneFlow tensors in it: what `flow.load` gives for a converted folder.

    Parameters are `oneflow.nn.Parameter`, tied tensors one object, bfloat16 is bfloat16, and optimizer states
    are those OneFlow's optimizers take. A dtype OneFlow lacks is widened to one that holds all its values;
    this, and what optimizer states lose, is told by one warning.

    Args:
        source: a path that `open_checkpoint` reads, or a checkpoint it opened.
        key: the part to take, as a dotted path; None chooses by rule, "." is the whole.

    Raises:
        UnsupportedError: complex, quantized, sparse or meta tensors; all of them are listed.
        FormatError: the file is broken or hostile.
        InstallationError: OneFlow does not import.

    Example:
        >>> state = torch2flow.load("model.pth")               # doctest: +SKIP
        >>> state["fc.weight"].dtype                           # doctest: +SKIP
        oneflow.float32
    """
    flow = import_oneflow()
    checkpoint = _open(source, key)
    plan = make_plan(checkpoint, Options(), Target("OneFlow 0.9.0", _live_dtype, widened_dtype, adapt_training))
    pieces = [(IncomingTensor(entry.tensor, entry.dtype, entry.shape, entry.change), entry) for entry in plan.entries]
    for piece, _ in pieces:
        piece.check_readable()
    filler = Filler(flow)
    tensors: dict[int, Any] = {}
    for piece, entry in sorted(pieces, key=lambda pair: pair[0].place):
        tensor = filler.create(piece)
        trainable = entry.tensor.requires_grad and entry.dtype.kind == "f"
        if entry.tensor.is_parameter:
            tensor = flow.nn.Parameter(tensor, trainable)
        elif trainable:
            tensor.requires_grad_(True)
        tensors[id(entry)] = tensor
    filler.finish()
    checkpoint.check_unchanged()
    notes = [f"{entry.names[0]}: {entry.tensor.dtype} became {entry.dtype}" for entry in plan.entries if entry.change]
    if notes + plan.notes:
        warnings.warn("\n  ".join([f"{checkpoint.path}:", *notes, *plan.notes]), stacklevel=2)
    return _Leaves(flow, plan, tensors).convert(plan.tree)


class _Leaves:
    """Converts a tree: tensors become OneFlow's, arrays NumPy's. Objects that are shared stay shared."""

    def __init__(self, flow: Any, plan: ConversionPlan, tensors: dict[int, Any]) -> None:
        self.flow, self.plan, self.tensors = flow, plan, tensors
        self.done: dict[int, Any] = {}

    def convert(self, value: Any) -> Any:
        if isinstance(value, TensorRef | CompositeTensor):
            return self.tensors[id(self.plan.entry(value))]
        if isinstance(value, NumpyArray | NumpyDType):
            return _numpy(value)
        if isinstance(value, Global):
            dtype = find_dtype(value.name) if value.name.startswith("torch.") else None
            return getattr(self.flow, dtype.name) if dtype is not None and dtype.name in DATA_TYPES else value.name
        if not isinstance(value, dict | list | tuple):
            return value
        if id(value) not in self.done:
            self.done[id(value)] = self._container(value)
        return self.done[id(value)]

    def _container(self, value: Any) -> Any:
        if isinstance(value, Size):
            return self.flow.Size(value)
        if isinstance(value, list | tuple):
            return type(value)(self.convert(item) for item in value)
        attributes = getattr(value, "attributes", None)
        if isinstance(value, collections.defaultdict):
            copy: Any = collections.defaultdict(value.default_factory)
        else:
            copy = collections.OrderedDict() if isinstance(value, collections.OrderedDict) else type(value)()
        for key, item in value.items():
            copy[key] = self.convert(item)
        for name, item in (attributes or {}).items():
            setattr(copy, name, self.convert(item))
        return copy


def _numpy(value: NumpyArray | NumpyDType) -> Any:
    import numpy as np

    if isinstance(value, NumpyDType):
        return np.dtype(value.order + value.code)
    dtype = np.dtype(value.dtype.order + value.dtype.code)
    array = np.frombuffer(value.data, dtype).reshape(value.shape, order="F" if value.fortran else "C")
    return array[()] if value.scalar else array.copy(order="K")


def _live_dtype(dtype: DType) -> DType | None:
    return dtype if dtype.name in DATA_TYPES else None


def _open(source: Source, key: str | None) -> Checkpoint:
    if isinstance(source, Checkpoint):
        return source if key is None else source.at(key)
    return open_checkpoint(Path(source), key)


def rename_rules(rename: Rules) -> list[tuple[str, str]]:
    """The rules as pairs.

    Raises:
        UsageError: one is not of the form `OLD=NEW`.
    """
    if isinstance(rename, str):
        rename = (rename,)
    return [rule for item in rename for rule in (read_rules((item,)) if isinstance(item, str) else [item])]
