"""What `make zoo` measured of each pair, as data of the package: `zoo list` shows it where it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "measured.jsonl"
"""A row for each pair; docs/zoo.md says what is in it."""

TODAY = "@today"
"""Ends the name of a row that was measured with today's torchvision, where there is one of the older too."""

GENERATED = "generated/"
"""Begins the name of a row of the model that torch2flow writes from a captured program."""


def read_results() -> dict[str, dict[str, Any]]:
    """The last result of each pair."""
    if not RESULTS.exists():
        return {}
    rows = [json.loads(line) for line in RESULTS.read_text("utf-8").splitlines()]
    return {row["name"]: row for row in rows}
