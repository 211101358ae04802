"""DeepSpeed's checkpoints: the weights in float32, put together from the flat partitions that ZeRO writes.

    latest                                              the name of the folder below
    global_step2/mp_rank_00_model_states.pt             stages 0 to 2: the module in 16 bits, `param_shapes`, buffers
    global_step2/zero_pp_rank_0_mp_rank_00_model_states.pt     stage 3: parameters in it are empty
    global_step2/zero_pp_rank_0_mp_rank_00_optim_states.pt     a rank's partition of the float32 weights, flat

In stages 1 and 2 each parameter group is one vector, cut into equal parts, and its parameters lie in it one after the
other. In stage 3 each parameter is cut by itself: rank `r` holds elements `r * n` to `(r + 1) * n`, where `n` is its
size divided by the number of ranks, rounded up. Follows `deepspeed/utils/zero_to_fp32.py` (0.19.8).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.frameworks.flat_partitions import pieces_of
from torch2flow.checkpoints.frameworks.rank_files import put_together
from torch2flow.checkpoints.pickles import Opaque, StatefulDict
from torch2flow.checkpoints.pytorch import Container, TensorRef
from torch2flow.checkpoints.pytorch.tensor import in_memory, reshaped
from torch2flow.errors import FormatError, UnsupportedError
from torch2flow.guards.regular_files import is_regular, read_text

LATEST = "latest"
MODEL_STATES, OPTIMIZER_STATES = "_model_states.pt", "_optim_states.pt"
_PARTITION = re.compile(r"^(?:bf16_)?zero_pp_rank_(\d+)_mp_rank_(\d+)_(?:model|optim)_states\.pt$")
_WHOLE = re.compile(r"^mp_rank_(\d+)_model_states\.pt$")
_OWN_KEYS = {"module", "param_shapes", "frozen_param_shapes", "frozen_param_fragments", "shared_params", "buffer_names"}

Tensors = dict[str, TensorRef]


def deepspeed_folder(folder: Path) -> Path | None:
    """The folder with DeepSpeed's files: this one, or the one that its `latest` names. None if there is none."""
    if any(name.endswith(MODEL_STATES) for name in os.listdir(folder)):
        return folder
    if not is_regular(folder / LATEST):
        return None
    name = read_text(folder / LATEST).strip()
    bare = 0 < len(name) < 256 and name not in (".", "..") and not {"/", "\\", "\0"}.intersection(name)
    named = folder / name
    return named if bare and named.is_dir() and any(each.endswith(MODEL_STATES) for each in os.listdir(named)) else None


def open_deepspeed(folder: Path, open_file: Callable[[Path], Container]) -> Container:
    """A folder of DeepSpeed's, as the module with float32 weights, and what else rank 0 wrote of the run.

    Args:
        folder: the one with the files.
        open_file: opens one of them.

    Raises:
        FormatError: a rank's file is missing, or the partitions don't have the sizes that `param_shapes` says.
        UnsupportedError: tensors, layers or experts are spread over further ranks.
    """
    names = sorted(os.listdir(folder))
    _refuse_parallel(folder, names)
    models = [open_file(path) for path in _ranked(folder, names, MODEL_STATES)]
    first = _dictionary(models[0].root, folder, "a model's state")
    module = _dictionary(first.get("module"), folder, "a module")
    optimizers = [open_file(path) for path in _ranked(folder, names, OPTIMIZER_STATES)]
    files = [file for each in (*models, *optimizers) for file in each.files]
    notes = list(models[0].notes)
    others = {key: value for key, value in first.items() if key not in _OWN_KEYS}
    if optimizers:
        states = [_dictionary(each.root, folder, "a state").get("optimizer_state_dict") for each in optimizers]
        partitions = _Partitions(folder, [_dictionary(state, folder, "an optimizer's state") for state in states])
        weights = partitions.weights(first, [_dictionary(each.root, folder, "a state") for each in models])
        module = _module(module, weights, first, folder)
        notes.append("the optimizer's state lies in flat partitions, and was left out")
        producer = f"DeepSpeed {first.get('ds_version') or ''}, ZeRO stage {partitions.stage}, {partitions.ranks} ranks"
    else:
        producer = f"DeepSpeed {first.get('ds_version') or ''}, without ZeRO"
    return Container("deepspeed", {"module": module, **others}, files, producer, models[0].opaque, notes)


def _refuse_parallel(folder: Path, names: list[str]) -> None:
    """Refuses what spreads the model itself over ranks."""
    layers = [name for name in names if re.match(r"^layer_\d+-model_.*states\.pt$", name)]
    experts = [name for name in names if "expert" in name and name.endswith(MODEL_STATES)]
    parallel = [
        name
        for name in names
        if (found := _WHOLE.match(name) or _PARTITION.match(name)) and int(found[found.lastindex or 1])
    ]
    for found_names, what in (
        (layers, "a pipeline of DeepSpeed's: each layer has a file of its own"),
        (experts, "a mixture of experts of DeepSpeed's: its experts have files of their own"),
        (parallel, "a model of DeepSpeed's whose tensors are spread over ranks (tensor parallel)"),
    ):
        if found_names:
            raise UnsupportedError(
                f"This is {what}.",
                where=f"{folder}, {found_names[0]}",
                remedy="let the framework that wrote it write one state dict, and convert that",
            )


def _ranked(folder: Path, names: list[str], ending: str) -> list[Path]:
    """The files of all ranks, by rank.

    Raises:
        FormatError: one is missing.
    """
    found = {int(match[1]): name for name in names if name.endswith(ending) and (match := _PARTITION.match(name))}
    if not found:
        return [folder / name for name in names if name.endswith(ending) and _WHOLE.match(name)][:1]
    missing = next((rank for rank in range(len(found)) if rank not in found), None)
    if missing is not None:
        raise FormatError(f"The file of rank {missing} is missing: ..{ending}", where=str(folder))
    return [folder / found[rank] for rank in range(len(found))]


def _dictionary(value: Any, folder: Path, what: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise FormatError(
            f"A file of DeepSpeed's holds no {what.removeprefix('a ')} where it has {what}.", where=str(folder)
        )
    return value


def _module(module: dict[Any, Any], weights: Tensors, first: dict[Any, Any], folder: Path) -> StatefulDict:
    """The module's state dict in its own order, with the weights that were put together; shared ones stay tied."""
    shared = first.get("shared_params") or {}
    whole: StatefulDict = StatefulDict()
    for name, value in module.items():
        source = shared.get(name, name)
        whole[name] = weights.get(name, weights.get(source, value))
    for name, value in weights.items():
        whole.setdefault(name, value)
    buffers = first.get("buffer_names") or ()
    empty = [
        name
        for name, value in whole.items()
        if isinstance(value, TensorRef) and value is module.get(name) and value.numel == 0 and name not in buffers
    ]
    if empty:
        raise FormatError(
            f"The partitions hold no weights for {', '.join(map(str, empty[:5]))[:400]}.",
            where=str(folder),
            maybe="it was saved with exclude_frozen_parameters, or by a DeepSpeed that torch2flow does not know",
        )
    return whole


class _Partitions:
    """The flat vectors of all ranks.

    Attributes:
        stage: of ZeRO.
        ranks: how many there are.
        groups: for each rank, the flat vectors of its parameter groups.
    """

    def __init__(self, folder: Path, states: list[dict[Any, Any]]) -> None:
        self.folder, self.states, self.ranks = folder, states, len(states)
        stage = states[0].get("zero_stage")
        self.stage = stage.args[0] if isinstance(stage, Opaque) and stage.args else stage
        counts = states[0].get("partition_count")
        expected = max(counts, default=0) if isinstance(counts, list) else counts
        if type(self.stage) is not int or self.stage not in (1, 2, 3):
            raise FormatError(
                "The optimizer's state does not say of which stage of ZeRO it is.",
                where=str(folder),
                remedy="convert its mp_rank_00_model_states.pt, if there is one: it holds the module in 16 bits",
            )
        if expected != self.ranks:
            raise FormatError(
                f"There are optimizer states of {self.ranks} ranks, and the checkpoint is one of {str(expected)[:20]}.",
                where=str(folder),
                maybe="some ranks' files were not copied, or are left from an older checkpoint",
            )
        key = "fp32_flat_groups" if self.stage == 3 else "single_partition_of_fp32_groups"
        self.groups: list[list[TensorRef]] = []
        for rank, state in enumerate(states):
            flat = state.get(key)
            if not isinstance(flat, list) or not all(
                isinstance(each, TensorRef) and each.stride == (1,) for each in flat
            ):
                raise FormatError(f"The state of rank {rank} has no {key}.", where=str(folder))
            self.groups.append(flat)
        if len({len(groups) for groups in self.groups}) > 1:
            raise FormatError("The ranks have different numbers of parameter groups.", where=str(folder))

    def weights(self, first: dict[Any, Any], models: list[dict[Any, Any]]) -> Tensors:
        """Every parameter by its name: those that are trained in float32, the others as they are."""
        shapes = first.get("param_shapes")
        groups = shapes if isinstance(shapes, list) else [shapes]
        sized = [self._shapes(group) for group in groups]
        trained = self._by_parameter(sized) if self.stage == 3 else self._by_group(sized)
        frozen = first.get("frozen_param_shapes")
        return {**trained, **(self._frozen(self._shapes(frozen), models) if frozen else {})}

    def _shapes(self, group: Any) -> dict[str, tuple[int, ...]]:
        if not isinstance(group, dict) or not all(
            isinstance(name, str)
            and isinstance(shape, tuple)
            and all(type(n) is int and 0 <= n < 1 << 50 for n in shape)
            for name, shape in group.items()
        ):
            raise FormatError("The model's state has no param_shapes.", where=str(self.folder))
        return group

    def _by_group(self, shapes: list[dict[str, tuple[int, ...]]]) -> Tensors:
        """Stages 1 and 2: the parameters of a group one after the other in the vector of all ranks."""
        if len(shapes) != len(self.groups[0]):
            raise self._sizes(f"{len(shapes)} parameter groups, and the ranks {len(self.groups[0])}")
        paddings = self.states[0].get("param_alignment_paddings")
        weights: Tensors = {}
        for number, group in enumerate(shapes):
            vectors = [groups[number] for groups in self.groups]
            skipped = (
                paddings[number] if isinstance(paddings, list) and len(paddings) == len(shapes) else [0] * len(group)
            )
            at, total = 0, sum(vector.numel for vector in vectors)
            for (name, shape), padding in zip(group.items(), skipped, strict=False):
                count = math.prod(shape)
                weights[name] = self._tensor(name, shape, _runs(vectors, at, at + count))
                at += count + padding
            unit = 2 * self.ranks  # what the vector's length is rounded up to
            if at > total or math.ceil(at / unit) != math.ceil(total / unit):
                raise self._sizes(f"{at:,} elements in group {number}, and the ranks {total:,}")
        return weights

    def _by_parameter(self, shapes: list[dict[str, tuple[int, ...]]]) -> Tensors:
        """Stage 3: each rank's part of each parameter, one parameter after the other."""
        weights: Tensors = {}
        at = 0
        for name, shape in ((name, shape) for group in shapes for name, shape in group.items()):
            count = math.ceil(math.prod(shape) / self.ranks)
            runs = (run for groups in self.groups for run in _runs(groups, at, at + count))
            weights[name] = self._tensor(name, shape, runs)
            at += count
        held = sum(vector.numel for vector in self.groups[0])
        if at != held:
            raise self._sizes(f"{at:,} elements a rank, and rank 0 {held:,}")
        return weights

    def _frozen(self, shapes: dict[str, tuple[int, ...]], models: list[dict[Any, Any]]) -> Tensors:
        """Parameters that are not trained: whole at rank 0, or in stage 3 a part at each rank."""
        weights: Tensors = {}
        for name, shape in shapes.items():
            parts = [(model.get("frozen_param_fragments") or {}).get(name) for model in models]
            held = [part for part in (parts if self.stage == 3 else parts[:1]) if isinstance(part, TensorRef)]
            flat = (run for part in held for run in _runs([part], 0, part.numel))
            weights[name] = self._tensor(name, shape, flat)
        return weights

    def _tensor(self, name: str, shape: tuple[int, ...], runs: Iterator[TensorRef]) -> TensorRef:
        if 0 in shape:
            import numpy as np

            return in_memory(np.empty(shape, "<f4"), self.groups[0][0].dtype)
        return put_together(name, tuple(shape), list(pieces_of(tuple(shape), runs)), str(self.folder))

    def _sizes(self, difference: str) -> FormatError:
        return FormatError(
            f"The partitions don't have the sizes of the parameters: param_shapes says {difference}.",
            where=str(self.folder),
            maybe="files of different checkpoints lie together",
        )


def _runs(vectors: list[TensorRef], first: int, last: int) -> Iterator[TensorRef]:
    """Elements `first` to `last` of vectors that follow one another."""
    start = 0
    for vector in vectors:
        low, high = max(first, start), min(last, start + vector.numel)
        if low < high:
            flat = reshaped(vector, (vector.numel,))
            assert isinstance(flat, TensorRef)  # a dense one stays one
            yield flat.region((low - start,), (high - start,))
        start += vector.numel
