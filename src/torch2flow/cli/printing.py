"""JSON on standard output, so that no terminal obeys what a name in a file says."""

from __future__ import annotations

import re
import sys
from typing import Any

from torch2flow.guards.json_text import json_pieces

_OBEYED = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def print_json(value: Any) -> None:
    """Prints a value of plain data, in UTF-8 whatever the terminal's encoding is: JSON has no other."""
    sys.stdout.flush()
    for text in json_pieces(value):
        # JSON itself lets these through, which a terminal obeys: C1 controls, and marks that turn the direction. A lone
        # surrogate is no character, and what reads UTF-8 refuses it.
        text = _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
        sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.write(b"\n")
