"""A `.pt2` that holds a model without its weights, and the checkpoint that they lie in: `convert --weights FOLDER`.

`torch2flow capture FOLDER --without-weights` writes such a file, and so does `torch.export.save` of a model on
PyTorch's `meta` device. The file says which tensors the model has, of which shapes and dtypes, and which of them are
one; the checkpoint must have just those. It is never found by a path in the file: the user names it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import zip_longest
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.names.renamed_checkpoint import with_tensors
from torch2flow.checkpoints.names.wanted_names import change_of_names
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pickles import StatefulDict
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, Container, Tensor, TensorRef
from torch2flow.errors import UnsupportedError, UsageError
from torch2flow.guards.json_text import parse_object

SHOWN = 20

TIES = "ties"
"""Where `torch2flow.json` has the groups of names that are one parameter: without values, nothing else says so."""

NAMES = "names"
"""Where it has the names that a checkpoint has for tensors of the model, as the library that loads it changes them."""


def without_values(container: Container) -> list[str]:
    """The names of the weights and constants of an exported program that have no values in its file."""
    held = container.root if container.format == "pt2" else {}
    parts = (held.get(part) or {} for part in ("state_dict", "constants"))
    return [name for part in parts for name, tensor in part.items() if _is_empty(tensor)]


def _is_empty(tensor: Any) -> bool:
    return isinstance(tensor, CompositeTensor) and tensor.layout == "meta"


def check_values(container: Container, path: Path) -> None:
    """Refuses an exported program whose weights are not in its file.

    Raises:
        UsageError: they aren't.
    """
    empty = without_values(container)
    if empty:
        raise UsageError(
            f"The file holds the model without its weights: {len(empty)} tensors have no values.",
            where=str(path),
            remedy="say which folder or checkpoint has them: convert --weights FOLDER, or check --against FOLDER",
        )


def with_weights(container: Container, path: Path, weights: Path, *, cast: bool = False) -> Container:
    """The container with the tensors of a checkpoint in the place of its own weights. No values are read.

    Args:
        container: of an exported program.
        path: where it lies.
        weights: the checkpoint.
        cast: floating tensors may be of another dtype than in the program: the user asked for one for all of them.

    Raises:
        UsageError: the source is no exported program, or the checkpoint has not just its tensors; all is listed.
        UnsupportedError: a constant of the program has no values, and is in no checkpoint.
        FormatError: the checkpoint is broken or hostile.
    """
    wanted = container.root.get("state_dict") if container.format == "pt2" else None
    if not isinstance(wanted, dict):
        raise UsageError(
            "--weights gives an exported program its weights, and this is none.",
            where=str(path),
            remedy="convert the checkpoint itself, or give the .pt2 that torch2flow capture wrote",
        )
    constants = [name for name, tensor in (container.root.get("constants") or {}).items() if _is_empty(tensor)]
    if constants:
        raise UnsupportedError(
            f"{len(constants)} buffers that are in no checkpoint have no values in the file: "
            f"{', '.join(constants[:5])[:300]}.",
            where=str(path),
            maybe="the whole model was built on PyTorch's meta device, buffers too",
            remedy="torch2flow capture --without-weights, which keeps the values of such buffers",
        )
    ties, names = read_facts_of_weights(container)
    checkpoint = with_names(open_checkpoint(weights), names)
    found, notes = find_weights(wanted, ties, checkpoint, cast=cast)
    return dataclasses.replace(
        container,
        root={**container.root, "state_dict": StatefulDict(found)},
        files=[*container.files, *checkpoint.container.files],
        metadata={**container.metadata, NAMES: names} if names else container.metadata,
        notes=[*container.notes, *checkpoint.container.notes, f"weights: those of {weights.name}", *notes],
    )


def read_facts_of_weights(container: Container) -> tuple[list[list[str]], dict[str, str]]:
    """The groups of names that are one parameter, and the names in a checkpoint that are others in the model.

    Both are only names: what is not there, or is no text, is passed over.
    """
    if container.facts is None:
        return [], {}
    facts = parse_object(container.files[0].read(*container.facts), str(container.files[0].path))
    ties, names = facts.get(TIES), facts.get(NAMES)
    return (
        [group for group in (ties if isinstance(ties, list) else []) if isinstance(group, list) and _are_texts(group)],
        names if isinstance(names, dict) and _are_texts(names.values()) else {},
    )


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def with_names(checkpoint: Checkpoint, names: Mapping[str, str]) -> Checkpoint:
    """A checkpoint some of whose tensors have other names."""
    renamed = {names.get(name, name): tensor for name, tensor in checkpoint.items()}
    return with_tensors(checkpoint, renamed) if names and len(renamed) == len(checkpoint) else checkpoint


def find_weights(
    wanted: Mapping[str, Tensor], ties: Iterable[list[str]], checkpoint: Checkpoint, *, cast: bool = False
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a checkpoint by the names of a model, and what a person should know.

    Args:
        wanted: the model's tensors; their values are not looked at.
        ties: groups of its names that are one parameter; one of them in the checkpoint is enough.
        checkpoint: has the values.
        cast: floating tensors may be of another dtype than the model's.

    Raises:
        UsageError: tensors are missing, or of other shapes or dtypes; all of them are listed.
    """
    change, notes = change_of_names(wanted, checkpoint)
    named: dict[str, str] = {change(name): name for name in checkpoint}
    lines: list[str] = []
    source = {name: named[name] for name in wanted if name in named}
    for group in ties:
        members = [name for name in group if name in wanted]
        given = [name for name in members if name in source]
        for other in given[1:]:
            if not _are_same(checkpoint[source[given[0]]], checkpoint[source[other]]):
                lines.append(f"{other}: is {given[0]} in the model, and has other values in the checkpoint")
        source.update({name: source[given[0]] for name in members if given})
    found: dict[str, Tensor] = {}
    made: dict[str, Tensor] = {}
    spare = [old for new, old in named.items() if new not in wanted]
    for name, want in wanted.items():
        if name not in source:
            lines.append(f"{name}: not in the checkpoint{_near(name, spare)}")
            continue
        old = source[name]
        objection = _objection(want, checkpoint[old], cast=cast)
        if objection:
            lines.append(f"{name}: {objection}")
        elif old not in made:
            made[old] = _as_wanted(want, checkpoint[old])
        if old in made:
            found[name] = made[old]
    if lines:
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        only_dtypes = all(" in the program, " in line for line in lines)
        raise UsageError(
            "The weights don't fit the model:\n    " + "\n    ".join(lines[:SHOWN] + more),
            where=str(checkpoint.path),
            maybe=f"the model has no place for {len(spare)} tensors of the checkpoint: {_some(spare)}" if spare else "",
            remedy="convert with --dtype NAME, which turns weights and model into one dtype; for capture, make "
            "a checkpoint of one dtype first: torch2flow convert CHECKPOINT -o one.safetensors --dtype NAME"
            if only_dtypes
            else "capture the model from the very folder that has the weights",
        )
    if spare:
        notes.append(f"the model has no place for {len(spare)} tensors of the checkpoint: {_some(spare)}")
    return found, notes


def under_names_of(groups: Iterable[list[str]], names: Mapping[str, str], checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint under the names of a model that was converted with its weights.

    Args:
        groups: the model's names, those of one parameter together.
        names: those of the checkpoint that are others in the model.
        checkpoint: had the weights.
    """
    groups, checkpoint = list(groups), with_names(checkpoint, names)
    change, _ = change_of_names([name for group in groups for name in group], checkpoint)
    named = {change(name): tensor for name, tensor in checkpoint.items()}
    of_model = {name for group in groups for name in group}
    found = {name: tensor for name, tensor in named.items() if name in of_model}
    for group in groups:
        given = next((named[name] for name in group if name in named), None)
        if given is not None:
            found.update(dict.fromkeys(group, given))
    return with_tensors(checkpoint, found)


def _objection(want: Tensor, given: Tensor, *, cast: bool) -> str:
    if not isinstance(given, TensorRef):
        return f"a {given.layout} tensor in the checkpoint"
    if given.shape != want.shape:
        return f"{list(want.shape)} in the model, {list(given.shape)} in the checkpoint"
    if given.dtype is not want.dtype and not (cast and given.dtype.kind == want.dtype.kind == "f"):
        return f"{want.dtype.name} in the program, {given.dtype.name} in the checkpoint"
    return ""


def _as_wanted(want: Tensor, given: Tensor) -> Tensor:
    """The tensor of the checkpoint as the model has it: a parameter, trained or not."""
    return dataclasses.replace(given, is_parameter=want.is_parameter, requires_grad=want.requires_grad)


def _are_same(one: Tensor, other: Tensor) -> bool:
    if one is other or one.identity == other.identity:
        return True
    if not (isinstance(one, TensorRef) and isinstance(other, TensorRef)):
        return False
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    parts = zip_longest(one.chunks(), other.chunks())
    return all(a is not None and b is not None and a.tobytes() == b.tobytes() for a, b in parts)


def _near(name: str, spare: list[str]) -> str:
    found = get_close_matches(name, spare[:2000], 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:3])[:300] + (", ..." if len(names) > 3 else "")
