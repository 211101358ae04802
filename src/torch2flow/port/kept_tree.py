"""What a whole tree became when it was ported before: taken at once while nothing in it has changed."""

from __future__ import annotations

import marshal
import sys
from collections.abc import Iterable
from pathlib import Path

from torch2flow.guards.regular_files import file_digest
from torch2flow.port.cache import Cache, cache_key, content_digest
from torch2flow.port.compat_module import compat_source
from torch2flow.port.findings import Tally
from torch2flow.port.packaging import is_packaging
from torch2flow.port.tree import SourceTree, is_python


class KeptTree:
    """What is kept of one tree.

    Args:
        tree: what is ported.
        cache: where it is kept.
        parts: what else decides what becomes of it.
    """

    def __init__(self, tree: SourceTree, cache: Cache, *parts: object) -> None:
        self.tree, self.cache, self.parts = tree, cache, parts
        self._key = self._read_key() if cache.is_there else ""

    def _read_key(self) -> str:
        rows = []
        for path in self.tree.files:
            file = self.tree.file(path)
            is_read = is_python(path, file) or path.endswith(".ipynb") or not path or is_packaging(path)
            rows.append((path, _digest(file) if is_read else ""))
        head = (self.tree.root.name, self.tree.name, tuple(self.tree.findings), sys.version_info[:2])
        return cache_key("tree", head, self.parts, rows)

    def find(self) -> tuple[Tally, dict[str, set[str]], list[int], list[str], dict[str, bytes]] | None:
        """What there is: findings, compatibility modules, counts, the files that were ported, and what changed."""
        data = self.cache.get(self._key) if self._key else None
        if data is None:
            return None
        tally, compat, counts, paths, texts = marshal.loads(data)
        return Tally.from_plain(tally), {path: set(each) for path, each in compat.items()}, counts, paths, texts

    def keep(
        self, tally: Tally, compat: dict[str, set[str]], counts: list[int], paths: list[str], texts: dict[str, bytes]
    ) -> None:
        """Keeps what became of the tree, unless a file has changed meanwhile."""
        if not self._key or self._read_key() != self._key:
            return
        names = {path: sorted(each) for path, each in compat.items()}
        row = (tally.to_plain(), names, counts, paths, texts)
        self.cache.put(self._key, marshal.dumps(row))

    def compat_source(self, names: Iterable[str]) -> bytes:
        """The compatibility module for some names; to format it takes a while."""
        wanted = sorted(names)
        key = cache_key("compat_source", wanted, self.parts)
        kept = self.cache.get(key)
        if kept is None:
            kept = compat_source(wanted).encode()
            self.cache.put(key, kept)
        return kept

    def note_written(self, data: bytes) -> None:
        """Remembers that this is the content of a file that was written, so that it may be replaced."""
        self.cache.put(_key_of_written(data), b"")

    def was_written(self, data: bytes) -> bool:
        """Whether a file with this content is known to be one that was written."""
        return self.cache.get(_key_of_written(data)) is not None


def _key_of_written(data: bytes) -> str:
    return content_digest(b"written by torch2flow port\n" + data)


def _digest(file: Path) -> str:
    try:
        return file_digest(file) if file.is_file() else ""
    except OSError:
        return ""
