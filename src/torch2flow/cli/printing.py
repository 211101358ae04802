"""JSON on standard output, so that no terminal obeys what a name in a file says."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

_OBEYED = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def print_json(value: Any) -> None:
    """Prints a value of plain data."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # JSON itself lets these through, which a terminal obeys: C1 controls, and marks that turn the direction.
    text = _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
