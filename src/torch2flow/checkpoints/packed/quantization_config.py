"""What the folder of a packed checkpoint says of its quantization: `config.json`, or `quantize_config.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch2flow.guards.json_text import parse_object
from torch2flow.guards.regular_files import is_regular, read_whole

FILES = {"config.json": "quantization_config", "quantize_config.json": None}
"""Where transformers writes it, and where AutoGPTQ does."""


def quantization_config(path: Path) -> dict[str, Any]:
    """What is said beside a checkpoint; {} where nothing is.

    Args:
        path: the checkpoint, a folder or a file in it.

    Raises:
        FormatError: such a file is no JSON.
    """
    folder = path if path.is_dir() else path.parent
    for name, key in FILES.items():
        if is_regular(folder / name):
            content = parse_object(read_whole(folder / name), str(folder / name))
            found = content if key is None else content.get(key)
            if isinstance(found, dict):
                return found
    return {}
