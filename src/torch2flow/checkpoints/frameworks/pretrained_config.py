"""What `config.json` of a folder of transformers' says of the model whose weights lie beside it."""

from __future__ import annotations

from pathlib import Path

from torch2flow.guards.json_text import parse_object
from torch2flow.guards.regular_files import is_regular, read_whole

CONFIG = "config.json"


def architectures(folder: Path) -> list[str]:
    """The classes that it names; [] where there is no such file, or it names none.

    Raises:
        FormatError: it is no JSON.
    """
    if not folder.is_dir() or not is_regular(folder / CONFIG):
        return []
    found = parse_object(read_whole(folder / CONFIG), str(folder / CONFIG)).get("architectures")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
