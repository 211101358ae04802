"""What the long measurements share: a process for each model, a row of numbers, and the rows in a file of lines."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch2flow.proof.parity import Verification

ROOT = Path(__file__).resolve().parent.parent

Row = dict[str, Any]


def run_row(command: Sequence[str], seconds: float, late: str) -> Row:
    """The row that a command prints as its last line, or a row that says why there is none.

    Args:
        command: prints JSON.
        seconds: how long it may take.
        late: what took so long, if it takes longer.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"failure": f"{late} took more than {seconds} s"}
    line = done.stdout.strip().rpartition("\n")[2]
    if done.returncode or not line.startswith("{"):
        return {"failure": f"the process ended with {done.returncode}: {done.stderr.strip()[-300:]}"}
    row: Row = json.loads(line)
    return row


def measured_parts(found: Verification) -> Row:
    """For each part of a verification: how far from PyTorch's, in units of noise; how many tensors; in float64."""
    from torch2flow.proof.parity import together

    row: Row = {}
    for part in found.parts:
        measures = found.ledger.measures(part)
        whole = together(measures)
        row[part] = {"ratio": round(whole.ratio, 2), "tensors": len(measures)}
        if whole.double is not None:
            row[part]["double"] = whole.double
    return row


def read_rows(path: Path) -> dict[str, Row]:
    """The last row of each model."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    return {row["name"]: row for row in rows}


def write_rows(path: Path, rows: dict[str, Row]) -> None:
    """A line for each model, in alphabetical order."""
    path.write_text("".join(json.dumps(rows[name]) + "\n" for name in sorted(rows)), "utf-8")
