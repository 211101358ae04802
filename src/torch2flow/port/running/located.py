"""Where a module lies."""

from __future__ import annotations

from typing import NamedTuple


class Located(NamedTuple):
    """Where a module lies that is ported.

    Attributes:
        file: its source; "" for a package that is a folder alone.
        folders: where its parts are, if it is a package.
    """

    file: str = ""
    folders: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.file or self.folders)
