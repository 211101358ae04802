"""The plan of a conversion: which tensors go where under which name and dtype, before a byte is written.

Everything that can't be done is found here and told at once; a plan that exists can be carried out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.dtypes import DType
from torch2flow.checkpoints.names.user_choice import Naming, choose_names, rebuild
from torch2flow.checkpoints.names.wrappers import LIGHTNING, notes_on
from torch2flow.checkpoints.packed import PackedTensor, quantization_config, with_packed
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, Tensor, TensorRef
from torch2flow.checkpoints.pytorch.tree import OWN_FORM, named
from torch2flow.checkpoints.writing.dtype_policy import Outcome, settle
from torch2flow.checkpoints.writing.options import Options, Target
from torch2flow.checkpoints.writing.value_changes import cast, changed_chunks, changed_shape, plain_source, widen
from torch2flow.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    import numpy as np


@dataclass(slots=True, eq=False)
class Entry:
    """One tensor to write.

    Attributes:
        names: its name, and those of tensors tied to it.
        tensor: the source.
        dtype: element type on the other side.
        stored: element type of the bytes written.
        shape: shape on the other side.
        change: a row of `value_changes.py`, or "".
        plain: the source whose bytes can be copied as they are; None where they have to be made.
        place: where it goes, as the writer names it.
        sha256: of the bytes written, where that was asked for.
    """

    names: list[str]
    tensor: Tensor
    dtype: DType
    stored: DType
    shape: tuple[int, ...]
    change: str = ""
    plain: TensorRef | None = None
    place: str = ""
    sha256: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes to write."""
        return math.prod(self.shape) * self.stored.itemsize

    @property
    def crc32(self) -> int | None:
        """Checksum that the source archive carries for exactly these bytes."""
        plain = self.plain
        return plain.storage.crc32 if plain is not None and plain.storage.nbytes == self.nbytes else None

    def chunks(self) -> Iterator[np.ndarray[Any, Any]]:
        """The bytes to write, as flat arrays of a few MiB."""
        for chunk in changed_chunks(self.tensor, self.change):
            if self.change == "widened":
                yield widen(chunk, self.tensor.dtype, self.dtype)
            else:
                value = cast(chunk, self.dtype)
                yield value if self.stored is self.dtype else widen(value, self.dtype, self.stored)


@dataclass(slots=True)
class ConversionPlan:
    """What will be written.

    Attributes:
        checkpoint: the source.
        options: what was asked for.
        tree: the object to write, with the source's tensors as leaves.
        naming: names left out, and names changed.
        entries: the tensors, tied ones once.
        by_tensor: the entry of each source tensor of the tree.
        notes: what a person should know.
    """

    checkpoint: Checkpoint
    options: Options
    tree: Any
    naming: Naming
    entries: list[Entry] = field(default_factory=list)
    by_tensor: dict[Tensor, Entry] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors to write."""
        return sum(entry.nbytes for entry in self.entries)

    @property
    def ties(self) -> list[list[str]]:
        """Groups of names that are one tensor."""
        return [entry.names for entry in self.entries if len(entry.names) > 1]

    def entry(self, tensor: Tensor) -> Entry:
        """Where a source tensor goes."""
        return self.by_tensor[tensor]

    def identify(self, value: Any) -> Any:
        """The entry of a source tensor; anything else as it is."""
        return self.by_tensor[value] if isinstance(value, TensorRef | CompositeTensor) else value


def make_plan(
    checkpoint: Checkpoint,
    options: Options,
    target: Target,
    choose: Callable[[Iterable[str]], Naming] | None = None,
) -> ConversionPlan:
    """Settles names, dtypes and changes.

    Args:
        checkpoint: the source.
        options: what was asked for.
        target: what the format can hold.
        choose: gives the names in the source their new ones; by default the options do.

    Raises:
        UsageError: an option names what is not there, or two tensors would get one name.
        UnsupportedError: tensors the target can't hold; all of them are listed.
    """
    whole = checkpoint.tree
    if options.quantized != "int":
        whole = with_packed(whole, lambda: quantization_config(checkpoint.path))
    tree, notes = target.adapt(whole)
    tensors = list(named(tree))
    found = (name for name, _ in tensors)
    if choose is not None:
        naming = choose(found)
    else:
        naming = choose_names(found, include=options.include, exclude=options.exclude, rename=options.rename)
    if naming.changes_tree or target.flat:
        tree = rebuild(tree, naming, target.flat)
    plan = ConversionPlan(checkpoint, options, tree, naming, notes=[*checkpoint.notes, *notes, *naming.notes])
    if options.key != ".":
        is_lightning = isinstance(checkpoint.root, dict) and LIGHTNING in checkpoint.root
        plan.notes += notes_on(naming.names.values(), is_lightning=is_lightning)
    activations = sum("input_scale" in tensor.parts for _, tensor in tensors if isinstance(tensor, PackedTensor))
    if activations:
        plan.notes.append(f"the scales of the inputs of {activations} packed weights are left out: values need none")
    check_filled((name, tensor) for name, tensor in tensors if name in naming.names)
    _check_layers(checkpoint)
    refused: list[str] = []
    known: dict[tuple[Any, ...], Entry] = {}
    settled: dict[str, Outcome] = {}
    users = Counter(id(tensor.storage) for _, tensor in tensors if isinstance(tensor, TensorRef))
    for source_name, tensor in tensors:
        name = naming.names.get(source_name)
        if name is None:
            continue
        objection = target.objection(name)
        if objection:
            refused.append(f"{name!r}: {objection}; --rename gives it another name")
            continue
        # What has its storage for itself is tied to nothing: it takes half of the memory not to remember it.
        is_alone = isinstance(tensor, TensorRef) and users[id(tensor.storage)] == 1
        identity = () if is_alone else _identity(tensor)
        entry = None if is_alone else known.get(identity)
        if entry is not None:
            entry.names.append(name)
            plan.by_tensor[tensor] = entry
            continue
        try:
            outcome = settled.get(tensor.dtype.name) if isinstance(tensor, TensorRef) else None
            dtype, stored, change = outcome or settle(tensor, options, target)
        except UnsupportedError as error:
            refused.append(f"{source_name or '(the tensor)'}: {error.what}")
            continue
        if isinstance(tensor, TensorRef):  # what becomes of it depends on nothing but its dtype
            settled[tensor.dtype.name] = dtype, stored, change
        plain = plain_source(tensor, change) if stored is dtype else None
        entry = Entry([name], tensor, dtype, stored, changed_shape(tensor, change), change, plain)
        plan.entries.append(entry)
        plan.by_tensor[tensor] = entry
        if not is_alone:
            known[identity] = entry
    if refused:
        more = f"\n    and {len(refused) - 20} more" if len(refused) > 20 else ""
        raise UnsupportedError(
            f"{len(refused)} tensor{'s' if len(refused) > 1 else ''} can't be held by {target.name} "
            f"as {'they are' if len(refused) > 1 else 'it is'}:\n    " + "\n    ".join(refused[:20]) + more,
            where=str(checkpoint.path),
            remedy=_remedy(refused, len(tensors)),
        )
    if not plan.entries and target.flat:
        raise UsageError("There is no tensor to write.", where=str(checkpoint.path))
    return plan


def _remedy(refused: list[str], tensors: int) -> str:
    ways = ["use the option named"] if any("--" in line for line in refused) else []
    ways += ["leave them out with --exclude NAME"] if tensors > 1 else []
    return ", or ".join(ways)


FLAT = ("flat_param", "_flat_param")
"""What FSDP calls all parameters of a module as one vector (`torch/distributed/fsdp/_flat_param.py`)."""


def check_filled(tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Refuses weights whose elements or names are missing: those of a model whose ranks hold its parameters.

    Raises:
        UnsupportedError: more than half of all tensors that are called a weight have the shape (0,), or some are
            FSDP's flat parameters.
    """
    tensors = list(tensors)
    flat = [name for name, _ in tensors if name.rpartition(".")[2] in FLAT]
    if flat:
        raise UnsupportedError(
            f"{flat[0][:200]} and {len(flat) - 1} more are FSDP's flat parameters, each all those of a module.",
            maybe="the model's local state dict was saved, which does not say their names and shapes",
            remedy="save its full state dict, or by torch.distributed.checkpoint; both are read",
        )
    weights = [(name, tensor) for name, tensor in tensors if name.rpartition(".")[2] == "weight"]
    empty = [name for name, tensor in weights if tensor.shape == (0,)]
    if 2 * len(empty) > len(weights):
        raise UnsupportedError(
            f"{len(empty)} of {len(weights)} weights have no elements: {', '.join(empty[:3])[:200]}.",
            maybe="they were saved under ZeRO stage 3 or FSDP, where each rank holds a part of a parameter, or none",
            remedy="give the folder that holds DeepSpeed's files, or save the model's full state dict",
        )


def _check_layers(checkpoint: Checkpoint) -> None:
    """Refuses a pickled module some of whose layers would come without their weights."""
    layers = list(dict.fromkeys(where for where, why in checkpoint.unnamed if why == OWN_FORM))
    if layers:
        raise UnsupportedError(
            f"Of this pickled module, {len(layers)} weights are in a form of their own: "
            f"{', '.join(layers[:5])[:300]}.",
            where=str(checkpoint.path),
            maybe="the model was quantized",
            remedy="save its state dict, torch.save(model.state_dict(), FILE), and convert that",
        )


def _identity(tensor: Tensor) -> tuple[Any, ...]:
    # A parameter and a plain tensor over the same bytes are two objects on the other side.
    return (*tensor.identity, tensor.is_parameter, tensor.requires_grad)
