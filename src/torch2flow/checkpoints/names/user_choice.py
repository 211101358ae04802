"""Which tensors are taken and what they are called: `--include`, `--exclude`, `--rename`."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.pickles import StatefulDict
from torch2flow.checkpoints.pytorch import CompositeTensor, Tensor, TensorRef
from torch2flow.checkpoints.pytorch.tree import named
from torch2flow.errors import UsageError
from torch2flow.guards.regular_files import is_regular, read_text

Rules = list[tuple[re.Pattern[str], str]]
_CONTAINERS = (dict, list, tuple, deque)


@dataclass(slots=True)
class Naming:
    """The names of a conversion.

    Attributes:
        names: the new name of each tensor that is taken, by its name in the source.
        rules: the rename rules, compiled.
        sources: the name in the source of each one that was renamed, by its new name.
        skipped: names left out.
        notes: rules that matched nothing.
    """

    names: dict[str, str]
    rules: Rules
    sources: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def changes_tree(self) -> bool:
        """Whether the tree has to be built anew."""
        return bool(self.rules or self.skipped)


def choose_names(
    found: Iterable[str],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    rename: Sequence[tuple[str, str]] = (),
) -> Naming:
    """Decides for each name of a checkpoint whether its tensor is taken, and which name it gets.

    Args:
        found: the names in the source.
        include: regular expressions; where there are any, only names that one of them matches are taken.
        exclude: regular expressions; names that one of them matches are left out.
        rename: pairs of a regular expression and its replacement, applied in order to every name.

    Raises:
        UsageError: a pattern is no regular expression, or two tensors would get one name.
    """
    included, excluded = [_compile(p) for p in include], [_compile(p) for p in exclude]
    naming = Naming({}, [(_compile(pattern), replacement) for pattern, replacement in rename])
    hits = [0] * len(naming.rules)
    for name in found:
        kept = not included or any(p.search(name) for p in included)
        if not kept or any(p.search(name) for p in excluded):
            naming.skipped.append(name)
            continue
        new = name
        for number, (pattern, replacement) in enumerate(naming.rules):
            new, count = _substitute(pattern, replacement, new)
            hits[number] += count
        naming.names[name] = new
        if new != name:
            naming.sources[new] = name
    for (old, _), count in zip(rename, hits, strict=True):
        if not count:
            naming.notes.append(f"the rename rule {old!r} matched no name")
    _check_unique(naming.names)
    return naming


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(
            f"{pattern[:200]!r} is no regular expression: {error}.", remedy="escape dots as '\\.'"
        ) from None


def _substitute(pattern: re.Pattern[str], replacement: str, name: str) -> tuple[str, int]:
    try:
        return pattern.subn(replacement, name)
    except (re.error, IndexError) as error:
        raise UsageError(f"The replacement {replacement!r} can't be used: {error}.") from None


def _check_unique(names: dict[str, str]) -> None:
    if len(set(names.values())) == len(names):
        return
    by_new: dict[str, list[str]] = {}
    for old, new in names.items():
        by_new.setdefault(new, []).append(old)
    clashes = [f"{' and '.join(olds[:3])} would both become {new}" for new, olds in by_new.items() if len(olds) > 1]
    if clashes:
        raise UsageError(f"Renaming would lose tensors: {'; '.join(clashes[:5])}.", remedy="make the pattern narrower")


def rebuild(tree: Any, naming: Naming, flat: bool) -> Any:
    """The tree with new names. A name can't move across levels of nested data; `flat` makes it one level.

    Raises:
        UsageError: a name would have to move.
    """
    names = naming.names
    is_flat = isinstance(tree, dict) and not any(isinstance(value, _CONTAINERS) for value in tree.values())
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
                "_metadata": _rename_metadata(tree.attributes.get("_metadata"), naming.rules),
            }
        return rebuilt
    return _filter(tree, names, iter(list(named(tree))))


def _rename_metadata(metadata: Any, rules: Rules) -> Any:
    """Renames the module paths in `_metadata`. A dot is appended first, so that rules for parameter names match."""
    if not isinstance(metadata, dict) or not rules:
        return metadata
    renamed = StatefulDict()
    for path, value in metadata.items():
        new = f"{path}." if path else ""
        for pattern, replacement in rules:
            new, _ = _substitute(pattern, replacement, new)
        renamed.setdefault(new.rstrip("."), value)
    return renamed


def _filter(value: Any, names: dict[str, str], order: Iterator[tuple[str, Tensor]]) -> Any:
    """Copies a nested tree without the tensors that are left out, and renames each leaf within its container."""
    if not isinstance(value, _CONTAINERS):
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
            kept.append((key, _filter(item, names, order)))
    if not isinstance(value, dict):
        return type(value)(item for _, item in kept)
    copy = type(value)()
    copy.update(kept)
    if isinstance(value, StatefulDict):
        copy.attributes = value.attributes  # type: ignore[attr-defined]
    return copy


def read_rules(arguments: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """`OLD=NEW` pairs, or files of them, one a line, with `#` comments.

    Raises:
        UsageError: an argument is neither.
        FormatError: a file can't be read.
    """
    pairs: list[tuple[str, str]] = []
    for argument in arguments:
        lines = [argument]
        if "=" not in argument:
            if not is_regular(Path(argument)):
                raise UsageError(f"--rename {argument[:200]!r} is neither OLD=NEW nor a file of such lines.")
            lines = [line for line in map(str.strip, read_text(argument).splitlines()) if line and line[0] != "#"]
        for line in lines:
            old, equals, new = line.partition("=")
            if not equals:
                raise UsageError(f"{line[:200]!r} is not of the form OLD=NEW.", where=argument)
            pairs.append((old, new))
    return tuple(pairs)
