"""Counts of what was tried, a line of JSON each, in the file that TORCH2FLOW_COUNTS names."""

from __future__ import annotations

import json
import os
from pathlib import Path


def record_counts(what: str, *, inputs: int, refused: int, accepted: int, faults: int) -> None:
    """Adds what one test tried: how many inputs, and how many were refused in a sentence, accepted, or neither."""
    counts = {"what": what, "inputs": inputs, "refused": refused, "accepted": accepted, "faults": faults}
    print(f"\n{json.dumps(counts)}")
    if path := os.environ.get("TORCH2FLOW_COUNTS"):
        with Path(path).open("a") as stream:
            stream.write(json.dumps(counts) + "\n")
