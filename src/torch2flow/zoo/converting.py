"""From a checkpoint of a PyTorch model of the zoo to flowvision's model with the same weights, and back."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.names.renamed_checkpoint import renamed, with_tensors
from torch2flow.checkpoints.names.templates import Keys
from torch2flow.checkpoints.opening import open_container
from torch2flow.checkpoints.pytorch import Checkpoint, TensorRef
from torch2flow.checkpoints.pytorch.tensor import in_memory
from torch2flow.checkpoints.writing import Options, make_plan
from torch2flow.checkpoints.writing.entry_bytes import Progress
from torch2flow.conversion import FORMATS, SUFFIXES, Delivery, Result, deliver
from torch2flow.errors import FormatError, InstallationError, UsageError
from torch2flow.models.codegen.literals import literal
from torch2flow.models.codegen.source_text import unparsed
from torch2flow.models.program.identifiers import is_identifier
from torch2flow.runtime.importing import import_flowvision, quiet_stderr
from torch2flow.runtime.loading import load_state_dict
from torch2flow.runtime.loading.live import check_fits
from torch2flow.zoo.catalogue import find_twin
from torch2flow.zoo.package import TwinModel, model_source
from torch2flow.zoo.twins import Tensors, Twin
from torch2flow.zoo.weights import DEFAULT, Weights, fetched, named_weights

MOST_REPEATED = 16


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checkpoint under flowvision's names, and the twin that loads it.

    Attributes:
        twin: settled for the checkpoint.
        checkpoint: lies where it lay; nothing has been read.
        weights: what torchvision says of them, where they are its own.
        key: the part of the source that was taken.
    """

    twin: Twin
    checkpoint: Checkpoint
    weights: Weights | None
    key: str

    @property
    def model(self) -> TwinModel:
        """What is written beside the weights."""
        return TwinModel(self.twin, self.weights, self.key)

    def build(self) -> Any:
        """flowvision's model, with random weights.

        Raises:
            InstallationError: OneFlow or flowvision does not import.
        """
        import_flowvision()
        space: dict[str, Any] = {"__name__": "model"}
        with quiet_stderr():
            exec(compile(model_source(self.twin, self.model.title), "model.py", "exec"), space)
            return space["build_model"]()


def prepare(
    name: str,
    weights: str | os.PathLike[str] = DEFAULT,
    *,
    key: str | None = None,
    arguments: Sequence[str] = (),
    progress: Callable[[int], Any] | None = None,
) -> Prepared:
    """Opens the weights of a model and translates their names.

    Args:
        name: of the PyTorch model, as its library has it.
        weights: a file or folder, or the name of weights of torchvision's.
        key: the part of a file to take.
        arguments: `NAME=VALUE` for flowvision's model, in place of what the checkpoint says.
        progress: of a download.

    Raises:
        UsageError: there is no such model, or no such weights, or the network does not give them.
        UnsupportedError: flowvision has no such model.
        FormatError: the file is broken.
    """
    twin, named = find_twin(name), None
    path = Path(weights)
    if not os.path.lexists(path):
        if twin.library != "torchvision":
            raise UsageError(
                f"{weights} is no file, and {twin.library}'s weights are not fetched.",
                remedy="--weights FILE: what timm.create_model(NAME, pretrained=True).state_dict() saves, or the"
                " model.safetensors of its repository",
            )
        named = named_weights(twin.name, str(weights))
        path = fetched(named, progress)
    checkpoint = Checkpoint(path, open_container(path), key)
    _check_price(checkpoint)
    plain, twin = twin, _wrapped(twin, checkpoint)
    tensors = checkpoint if twin is plain else renamed(checkpoint, twin.older)
    twin = settled(twin, tensors, named.name if named else "")
    twin = dataclasses.replace(twin, arguments=_replaced(twin.arguments, arguments))
    return Prepared(twin, to_flowvision(checkpoint, twin), named, checkpoint.key)


def _check_price(checkpoint: Checkpoint) -> None:
    """Refuses a tensor that is far larger than what is stored of it: flowvision's model would be built as large.

    Raises:
        FormatError: there is one.
    """
    for name, tensor in checkpoint.items():
        if isinstance(tensor, TensorRef) and tensor.nbytes > MOST_REPEATED * (tensor.storage.nbytes + (1 << 20)):
            raise FormatError(
                f"{name[:200]} has {tensor.nbytes} bytes, repeated from {tensor.storage.nbytes} that are stored.",
                where=str(checkpoint.path),
                maybe="it was made to exhaust its reader: no training gives such weights",
                remedy="torch2flow convert writes it as it is, without flowvision's model",
            )


def _wrapped(twin: Twin, checkpoint: Checkpoint) -> Twin:
    """The twin with rules that take off what DataParallel, Lightning or torch.compile put before the names; told."""
    head = f".{twin.head}"
    found = next((name for name in checkpoint if name.endswith(head)), "") if twin.head not in checkpoint else ""
    prefix = found.removesuffix(twin.head)
    if not prefix or "{" in prefix or "}" in prefix:
        return twin
    checkpoint.container.notes.append(f"{prefix!r} at the head of the names was taken off")
    older = [(prefix + rule.torch, rule.flow, rule.change) for rule in twin.older.rules]
    return dataclasses.replace(twin, older=Keys(*older, (f"{prefix}{{rest}}", "{rest}")))


def to_flowvision(checkpoint: Checkpoint, twin: Twin) -> Checkpoint:
    """PyTorch's checkpoint as flowvision's model loads it.

    Raises:
        UsageError: two tensors would get one name.
    """
    translated = renamed(renamed(checkpoint, twin.older), twin.keys)
    made = {name: in_memory(array, DTYPES[array.dtype.name]) for name, array in twin.made(translated).items()}
    return with_tensors(translated, {**translated, **made}) if made else translated


def settled(twin: Twin, tensors: Tensors, weights: str = "") -> Twin:
    """The twin with the arguments that fit this checkpoint, such as the number of classes."""
    twin = twin.settle(twin, tensors, weights)
    head = tensors.get(twin.head)
    if head is None or not head.shape or head.shape[0] == twin.classes:
        return twin
    return dataclasses.replace(twin, arguments=(*twin.arguments, f"num_classes={head.shape[0]}"))


def _replaced(arguments: tuple[str, ...], given: Sequence[str]) -> tuple[str, ...]:
    for argument in given:
        name, _, value = argument.partition("=")
        try:
            plain = unparsed(literal(ast.literal_eval(value)))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            name = ""
        if not is_identifier(name):
            raise UsageError(
                f"{argument!r} is no NAME=VALUE with a plain value.", remedy="--argument transform_input=False"
            )
        arguments = (*(each for each in arguments if not each.startswith(f"{name}=")), f"{name}={plain}")
    return arguments


def convert(
    name: str,
    out: str | os.PathLike[str],
    weights: str | os.PathLike[str] = DEFAULT,
    *,
    key: str | None = None,
    arguments: Sequence[str] = (),
    check: bool = True,
    overwrite: bool = False,
    hashing: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], Progress] | None = None,
    downloading: Callable[[int], Any] | None = None,
) -> tuple[Result, Prepared]:
    """Writes a folder that `flow.load` reads, that flowvision's model loads strictly, and that has `load_model()`.

    Args:
        name: of the PyTorch model.
        out: the folder.
        weights: a file or folder, or the name of weights of torchvision's.
        key, arguments: as for `prepare`.
        check: build flowvision's model, where it imports, and check that everything fits before anything is written.
        overwrite, hashing, dry_run, progress: as for `torch2flow.convert`.
        downloading: progress of a download.

    Raises:
        UsageError, UnsupportedError, FormatError, InstallationError: as for `prepare`; or the checkpoint does not fit.
        OutputError: the output exists or can't be written.
    """
    out = Path(os.path.abspath(out))
    prepared = prepare(name, weights, key=key, arguments=arguments, progress=downloading)
    plan = make_plan(prepared.checkpoint, Options(key="."), FORMATS["folder"].target)
    if check:
        with contextlib.suppress(InstallationError):
            check_fits(prepared.build(), prepared.checkpoint)
            plan.notes.append(f"checked: every tensor fits flowvision's {prepared.twin.twin}")
    delivery = Delivery(overwrite=overwrite, hashing=hashing, dry_run=dry_run, progress=progress)
    return deliver(plan, out, "folder", delivery, model=prepared.model), prepared


def convert_back(
    name: str,
    out: str | os.PathLike[str],
    weights: str | os.PathLike[str],
    *,
    key: str | None = None,
    format: str = "",
    overwrite: bool = False,
    hashing: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], Progress] | None = None,
) -> Result:
    """Writes flowvision's weights as PyTorch's model loads them.

    Args:
        name: of the PyTorch model.
        out: the file; its suffix says which format.
        weights: a OneFlow folder, or any file with flowvision's names.
        key: the part of it.
        format: `pth` or `safetensors`; "" goes by the suffix of `out`.
        overwrite, hashing, dry_run, progress: as for `torch2flow.convert`.

    Raises:
        UsageError, UnsupportedError, FormatError, OutputError: as for `convert`.
    """
    out, path = Path(os.path.abspath(out)), Path(weights)
    if not os.path.lexists(path):
        raise UsageError("There is nothing to convert back.", where=str(path), remedy="--weights FOLDER-OR-FILE")
    checkpoint = Checkpoint(path, open_container(path), key)
    keys = find_twin(name).keys
    translated = renamed(checkpoint, keys, back=True)
    chosen = format or SUFFIXES.get(out.suffix, "pth")
    plan = make_plan(translated, Options(key="."), FORMATS[chosen].target)
    plan.notes += [f"{each}: only flowvision has it" for each in checkpoint if keys.is_flow_only(each)]
    delivery = Delivery(overwrite=overwrite, hashing=hashing, dry_run=dry_run, progress=progress)
    return deliver(plan, out, chosen, delivery)


def load(
    name: str,
    weights: str | os.PathLike[str] = DEFAULT,
    *,
    key: str | None = None,
    arguments: Sequence[str] = (),
) -> Any:
    """flowvision's model with PyTorch's weights, in eval mode; nothing is written.

    Args:
        name: of the PyTorch model: `alexnet`, `vit_b_16`, `timm/deit_tiny_patch16_224`.
        weights: a file or folder, or the name of weights of torchvision's.
        key, arguments: as for `prepare`.

    Raises:
        UsageError, UnsupportedError, FormatError, InstallationError: as for `convert`.

    Example:
        >>> model = torch2flow.zoo.load("alexnet", weights="IMAGENET1K_V1")     # doctest: +SKIP
    """
    prepared = prepare(name, weights, key=key, arguments=arguments)
    model = prepared.build()
    load_state_dict(model, prepared.checkpoint)
    return model.eval()
