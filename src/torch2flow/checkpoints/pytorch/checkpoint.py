"""A checkpoint as users meet it: a mapping of names to lazy tensors, and the whole object behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.pytorch.containers import Container
from torch2flow.checkpoints.pytorch.selection import Candidate, choose, find_candidates
from torch2flow.checkpoints.pytorch.tensor import Tensor, TensorRef
from torch2flow.checkpoints.pytorch.tree import Unnamed, at_path, named, plain


class Checkpoint(Mapping[str, Tensor]):
    """The tensors of one part of a file, by name, in the file's order. Nothing is read until asked for.

    Args:
        path: where it lies.
        container: what was found there.
        key: the part to take, a dotted path; None lets the rule of `selection.py` choose.

    Attributes:
        path: where it lies.
        container: format, producer, files, unknown classes.
        key: the part that was taken; "." is the whole.
        reason: why that part.
        tree: the part as plain data, modules unfolded into their state dicts.
        unnamed: where there are tensors without a name, and why they have none.

    Raises:
        UsageError: there is nothing at `key`.
        FormatError: the part is nested too deep or holds itself.
    """

    def __init__(self, path: Path, container: Container, key: str | None = None) -> None:
        self.path = path
        self.container = container
        self.key, self.reason = (key, "asked for") if key is not None else choose(container.root)
        left_out: list[Unnamed] = []
        self._cut: list[str] = []
        self.tree: Any = plain(at_path(container.root, self.key), left_out, self._cut)
        self._tensors: dict[str, Tensor] = dict(named(self.tree))
        self.unnamed = _rows_of(left_out, self._tensors) if left_out else []

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def root(self) -> Any:
        """The whole object: containers, tensors, and `Opaque` records of unknown classes."""
        return self.container.root

    @property
    def format(self) -> str:
        """What the container is: `Container.format`."""
        return self.container.format

    @property
    def notes(self) -> list[str]:
        """What a person should know of the file and the part."""
        if not self._cut:
            return self.container.notes
        classes = ", ".join(sorted({*self._cut}))[:300]
        cut = f"{len(self._cut)} pointers of objects to those that hold them were cut: {classes}"
        return [*self.container.notes, cut]

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The parts that could be taken by `key`."""
        return find_candidates(self.container.root)

    @cached_property
    def aliases(self) -> list[list[str]]:
        """Groups of names that are one and the same tensor: tied weights."""
        return _groups((tensor.identity, name) for name, tensor in self.sharing)

    @cached_property
    def sharing(self) -> list[tuple[str, Tensor]]:
        """The tensors that may be tied: all but those that have a storage for themselves, which are nearly all."""
        users = Counter(id(tensor.storage) for tensor in self._tensors.values() if isinstance(tensor, TensorRef))
        shared = {storage for storage, count in users.items() if count > 1}
        return [
            (name, tensor)
            for name, tensor in self._tensors.items()
            if not isinstance(tensor, TensorRef) or id(tensor.storage) in shared
        ]

    @cached_property
    def overlaps(self) -> list[list[str]]:
        """Groups of names whose tensors differ and share a storage. They may be views of one another."""
        seen: set[Any] = set()
        pairs = []
        for name, tensor in self.sharing:
            if isinstance(tensor, TensorRef) and tensor.identity not in seen:
                seen.add(tensor.identity)
                pairs.append((id(tensor.storage), name))
        return _groups(pairs)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, tied ones counted once."""
        distinct = {tensor.identity: tensor.nbytes for _, tensor in self.sharing}
        every = sum(tensor.nbytes for _, tensor in self.sharing)
        return sum(tensor.nbytes for tensor in self._tensors.values()) - every + sum(distinct.values())

    def at(self, key: str) -> Checkpoint:
        """Another part of the same file."""
        return Checkpoint(self.path, self.container, key)

    def check_unchanged(self) -> None:
        """Refuses to go on when a file was written to since it was opened."""
        for file in self.container.files:
            file.check_unchanged()

    def __repr__(self) -> str:
        return f"<Checkpoint {self.path.name}: {self.format}, {len(self)} tensors, {self.nbytes} bytes>"


def _rows_of(left_out: list[Unnamed], tensors: dict[str, Tensor]) -> list[tuple[str, str]]:
    """The places of those tensors that have no name anywhere else."""
    known = {tensor.identity for tensor in tensors.values()}
    first = {tensor.identity: (where, why) for where, why, tensor in reversed(left_out)}
    return [row for identity, row in reversed(first.items()) if identity not in known]


def _groups(pairs: Any) -> list[list[str]]:
    groups: dict[Any, list[str]] = {}
    for identity, name in pairs:
        groups.setdefault(identity, []).append(name)
    return [names for names in groups.values() if len(names) > 1]
