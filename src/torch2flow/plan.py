"""The plan of a conversion: which tensors go where under which name and dtype, before a byte is written.

Everything that can't be done is found here and told at once; a plan that exists can be carried out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch2flow.changes import (
    INTEGER_OF,
    REAL_OF,
    SPARSE,
    cast,
    changed_chunks,
    changed_shape,
    plain_source,
    widen,
)
from torch2flow.dtypes import DTYPES, DType, find_dtype
from torch2flow.errors import UnsupportedError, UsageError
from torch2flow.pickles import StatefulDict
from torch2flow.pytorch import Checkpoint, CompositeTensor, Tensor, TensorRef
from torch2flow.pytorch.tree import named

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for.

    Attributes:
        key: dotted path of the part to convert; None chooses by rule, "." is the whole.
        rename: pairs of regular expression and replacement, applied in order to every name.
        include: only names that one of these matches are converted.
        exclude: names that one of these matches are left out.
        dtype: floating tensors become this.
        strict_dtype: refuse lossless widening.
        complex: "" refuses complex tensors the target lacks; "real" gives them a last dimension of 2.
        quantized: "" refuses quantized tensors; "dequantize" or "int".
        sparse: "" refuses sparse tensors; "dense".
    """

    key: str | None = None
    rename: tuple[tuple[str, str], ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    dtype: str = ""
    strict_dtype: bool = False
    complex: str = ""
    quantized: str = ""
    sparse: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What a format can hold.

    Attributes:
        name: the format's name, for messages.
        stored: the dtype a value is stored as; None if there is no such tensor on that side.
        widened: the dtype that holds every value of one there is not.
        adapt: turns the tree into what the other side expects (optimizer states), with notes.
        flat: it holds named tensors and nothing else.
    """

    name: str
    stored: Callable[[DType], DType | None]
    widened: Callable[[DType], DType | None] = lambda dtype: None
    adapt: Callable[[Any], tuple[Any, list[str]]] = lambda tree: (tree, [])
    flat: bool = False


@dataclass(slots=True, eq=False)
class Entry:
    """One tensor to write.

    Attributes:
        names: its name, and those of tensors tied to it.
        tensor: the source.
        dtype: element type on the other side.
        stored: element type of the bytes written.
        shape: shape on the other side.
        change: a row of `changes.py`, or "".
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
class Plan:
    """What will be written.

    Attributes:
        checkpoint: the source.
        options: what was asked for.
        tree: the object to write, with the source's tensors as leaves.
        entries: the tensors, tied ones once.
        by_tensor: the entry of each source tensor of the tree.
        sources: the source's name of each tensor that was renamed, by its new one.
        skipped: names left out, with the reason.
        notes: what a person should know.
    """

    checkpoint: Checkpoint
    options: Options
    target: Target
    tree: Any
    entries: list[Entry] = field(default_factory=list)
    by_tensor: dict[Tensor, Entry] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
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


def make_plan(checkpoint: Checkpoint, options: Options, target: Target) -> Plan:
    """Settles names, dtypes and changes.

    Raises:
        UsageError: an option names what is not there, or two tensors would get one name.
        UnsupportedError: tensors the target can't hold; all of them are listed.
    """
    tree, notes = target.adapt(checkpoint.tree)
    plan = Plan(checkpoint, options, target, tree, notes=[*checkpoint.container.notes, *notes])
    tensors = list(named(tree))
    names = _select(plan, [name for name, _ in tensors])
    refused: list[str] = []
    known: dict[tuple[Any, ...], Entry] = {}
    settled: dict[str, Outcome] = {}
    for source_name, tensor in tensors:
        name = names.get(source_name)
        if name is None:
            continue
        identity = _identity(tensor)
        entry = known.get(identity)
        if entry is not None:
            entry.names.append(name)
            plan.by_tensor[tensor] = entry
            continue
        try:
            outcome = settled.get(tensor.dtype.name) if isinstance(tensor, TensorRef) else None
            dtype, stored, change = outcome or _settle(tensor, options, target)
        except UnsupportedError as error:
            refused.append(f"{source_name or '(the tensor)'}: {error.what}")
            continue
        if isinstance(tensor, TensorRef):  # what becomes of it depends on nothing but its dtype
            settled[tensor.dtype.name] = dtype, stored, change
        plain = plain_source(tensor, change) if stored is dtype else None
        entry = Entry([name], tensor, dtype, stored, changed_shape(tensor, change), change, plain)
        plan.entries.append(entry)
        plan.by_tensor[tensor] = known[identity] = entry
    if refused:
        more = f"\n    and {len(refused) - 20} more" if len(refused) > 20 else ""
        raise UnsupportedError(
            f"{len(refused)} tensor{'s' if len(refused) > 1 else ''} can't be held by {target.name} "
            "as they are:\n    " + "\n    ".join(refused[:20]) + more,
            where=str(checkpoint.path),
            remedy="use the option named, or leave them out with --exclude NAME",
        )
    if not plan.entries and target.flat:
        raise UsageError("There is no tensor to write.", where=str(checkpoint.path))
    return plan


def _identity(tensor: Tensor) -> tuple[Any, ...]:
    # A parameter and a plain tensor over the same bytes are two objects on the other side.
    return (*tensor.identity, tensor.is_parameter, tensor.requires_grad)


# -- names ---------------------------------------------------------------------------------------------------


def _select(plan: Plan, found: list[str]) -> dict[str, str]:
    """The new name of every tensor that is kept; drops the others from the plan's tree, and renames it."""
    options = plan.options
    rules = [(_compile(pattern), replacement) for pattern, replacement in options.rename]
    include, exclude = [_compile(p) for p in options.include], [_compile(p) for p in options.exclude]
    names: dict[str, str] = {}
    hits = [0] * len(rules)
    for name in found:
        kept = not include or any(p.search(name) for p in include)
        if not kept or (exclude and any(p.search(name) for p in exclude)):
            plan.skipped.append((name, "left out by --include/--exclude"))
            continue
        new = name
        for number, (pattern, replacement) in enumerate(rules):
            new, count = _substitute(pattern, replacement, new)
            hits[number] += count
        names[name] = new
        if new != name:
            plan.sources[new] = name
    for (old, _), count in zip(options.rename, hits, strict=True):
        if not count:
            plan.notes.append(f"the rename rule {old!r} matched no name")
    _check_unique(names)
    if options.rename or plan.skipped or plan.target.flat:
        plan.tree = _rebuild(plan.tree, names, rules, plan.target.flat)
    return names


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"{pattern!r} is no regular expression: {error}.", remedy="escape dots as '\\.'"
        ) from None


def _substitute(pattern: re.Pattern[str], replacement: str, name: str) -> tuple[str, int]:
    try:
        return pattern.subn(replacement, name)
    except (re.error, IndexError) as error:
        raise UsageError(f"The replacement {replacement!r} can't be used: {error}.") from None


def _check_unique(names: dict[str, str]) -> None:
    by_new: dict[str, list[str]] = {}
    for old, new in names.items():
        by_new.setdefault(new, []).append(old)
    clashes = [
        f"{' and '.join(olds[:3])} would both become {new}" for new, olds in by_new.items() if len(olds) > 1
    ]
    if clashes:
        raise UsageError(
            f"Renaming would lose tensors: {'; '.join(clashes[:5])}.", remedy="make the pattern narrower"
        )


def _rebuild(tree: Any, names: dict[str, str], rules: list[tuple[re.Pattern[str], str]], flat: bool) -> Any:
    """The tree with new names. A name can't move across levels of nested data; `flat` makes it one level."""
    is_flat = isinstance(tree, dict) and not any(
        isinstance(value, dict | list | tuple) for value in tree.values()
    )
    if flat or is_flat:
        rebuilt = StatefulDict()
        tensors = dict(named(tree))
        for key, value in tree.items() if is_flat else tensors.items():
            name = str(key)
            if name not in tensors:
                if not flat:
                    rebuilt[key] = value
            elif name in names:
                rebuilt[names[name]] = value
        if isinstance(tree, StatefulDict) and tree.attributes:
            rebuilt.attributes = {
                **tree.attributes,
                "_metadata": _rename_metadata(tree.attributes.get("_metadata"), rules),
            }
        return rebuilt
    return _filter(tree, "", names, iter(list(named(tree))))


def _rename_metadata(metadata: Any, rules: list[tuple[re.Pattern[str], str]]) -> Any:
    """`_metadata` is keyed by module path; a rule for parameter names fits it with the dot that follows."""
    if not isinstance(metadata, dict) or not rules:
        return metadata
    renamed = StatefulDict()
    for path, value in metadata.items():
        new = f"{path}." if path else ""
        for pattern, replacement in rules:
            new, _ = _substitute(pattern, replacement, new)
        renamed.setdefault(new.rstrip("."), value)
    return renamed


def _filter(value: Any, prefix: str, names: dict[str, str], order: Iterator[tuple[str, Tensor]]) -> Any:
    """A nested tree without the tensors that are left out, its leaves renamed within their container."""
    if not isinstance(value, dict | list | tuple):
        return value
    members = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    kept: list[tuple[Any, Any]] = []
    for key, item in members:
        if isinstance(item, TensorRef | CompositeTensor):
            name, _ = next(order)
            if name not in names:
                continue
            if names[name] != name:
                parent = name[: len(name) - len(str(key))]
                if not isinstance(value, dict) or not names[name].startswith(parent):
                    raise UsageError(
                        f"{name!r} can't become {names[name]!r}: it would leave its place in the data.",
                        remedy="choose the state dict inside with --key; its names can be changed freely",
                    )
                key = names[name][len(parent) :]
            kept.append((key, item))
        else:
            kept.append((key, _filter(item, f"{prefix}{key}.", names, order)))
    if not isinstance(value, dict):
        return type(value)(item for _, item in kept)
    copy = type(value)()
    copy.update(kept)
    if isinstance(value, StatefulDict):
        copy.attributes = value.attributes  # type: ignore[attr-defined]
    return copy


# -- dtypes --------------------------------------------------------------------------------------------------


Outcome = tuple[DType, DType, str]
"""The dtype on the other side, that of the bytes written, and the change: a row of `changes.py`, or ""."""


def _settle(tensor: Tensor, options: Options, target: Target) -> Outcome:
    """What becomes of one tensor."""
    dtype, change = tensor.dtype, ""
    if isinstance(tensor, CompositeTensor):
        dtype, change = _settle_composite(tensor, options)
    elif dtype.kind == "c" and target.stored(dtype) is None:
        if options.complex != "real":
            raise UnsupportedError(
                f"{dtype} {list(tensor.shape)}; --complex real gives it a last dimension of 2"
            )
        dtype, change = DTYPES[REAL_OF[dtype.name]], "view_as_real"
    wanted = _wanted_dtype(options)
    if wanted is not None and dtype.kind == "f" and dtype is not wanted:
        if change:
            raise UnsupportedError(f"{dtype}; --dtype can't be combined with {change}")
        dtype, change = wanted, "cast"
    stored = target.stored(dtype)
    if stored is None:
        wide = target.widened(dtype)
        if wide is None or change:
            raise UnsupportedError(
                f"{dtype} {list(tensor.shape)}: there is no such tensor and no wider one there"
            )
        if options.strict_dtype:
            raise UnsupportedError(f"{dtype} would become {wide}, and --strict-dtype was given")
        dtype, change = wide, "widened"
        stored = target.stored(dtype) or dtype
    return dtype, stored, change


def _settle_composite(tensor: CompositeTensor, options: Options) -> tuple[DType, str]:
    shown = f"{tensor.layout} {tensor.dtype} {list(tensor.shape)}"
    if tensor.layout == "quantized" and tensor.dtype.name in INTEGER_OF:
        if options.quantized == "dequantize":
            return DTYPES["float32"], "dequantized"
        if options.quantized == "int":
            return DTYPES[INTEGER_OF[tensor.dtype.name]], "int_repr"
        raise UnsupportedError(
            f"{shown}; --quantized dequantize gives float32 values, --quantized int the integers"
        )
    if tensor.layout in SPARSE:
        if options.sparse == "dense":
            return tensor.dtype, "dense"
        raise UnsupportedError(f"{shown}; --sparse dense writes all its elements")
    if tensor.layout == "meta":
        raise UnsupportedError(f"{shown}: a meta tensor has no values")
    raise UnsupportedError(f"{shown}: it has no dense form that PyTorch defines")


def _wanted_dtype(options: Options) -> DType | None:
    if not options.dtype:
        return None
    found = find_dtype(options.dtype)
    if found is None or found.kind != "f":
        floating = ", ".join(name for name, dtype in DTYPES.items() if dtype.kind == "f")
        raise UsageError(
            f"--dtype {options.dtype}: no floating dtype of that name.", remedy=f"choose one of {floating}"
        )
    return found


def read_rules(arguments: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """`OLD=NEW` pairs, or files of them, one a line, with `#` comments.

    Raises:
        UsageError: an argument is neither.
    """
    pairs: list[tuple[str, str]] = []
    for argument in arguments:
        if "=" not in argument:
            if not Path(argument).is_file():
                raise UsageError(f"--rename {argument!r} is neither OLD=NEW nor a file of such lines.")
            lines = Path(argument).read_text("utf-8").splitlines()
            pairs.extend(
                read_rules(
                    tuple(
                        line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")
                    )
                )
            )
            continue
        old, _, new = argument.partition("=")
        pairs.append((old, new))
    return tuple(pairs)
