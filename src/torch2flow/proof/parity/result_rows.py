"""The rows of a verification as plain data: `--json` prints them, the report shows them, docs/parity.md lists them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from torch2flow.proof.parity.judge import VERDICTS, together
from torch2flow.proof.parity.ledger import PARTS, JudgedTensor, Ledger
from torch2flow.proof.parity.reference import Reference


def part_row(part: str, ledger: Ledger) -> dict[str, Any]:
    """One part of a comparison (outputs, gradients, a training step) with a row for each tensor."""
    entries = ledger.parts[part]
    whole = together(entry.measure for entry in entries.values())
    return {
        "name": part,
        "title": PARTS[part],
        "verdict": ledger.verdict(part),
        "ratio": whole.ratio,
        "tensors": [measure_row(name, entry) for name, entry in entries.items()],
    }


def measure_row(name: str, entry: JudgedTensor) -> dict[str, Any]:
    """One tensor."""
    made, more = entry.measure, entry.statistics
    return {
        "name": name,
        "verdict": made.verdict,
        "error": made.error,
        "noise": made.noise,
        "scale": made.scale,
        "ratio": made.ratio,
        "relative": made.relative,
        "double": made.double,
        "fault": made.fault,
        "likely": list(entry.likely),
        **({} if more is None else more.to_json()),
    }


def module_rows(ledger: Ledger, reference: Reference) -> list[dict[str, Any]]:
    """One row for each call of a submodule, in the order in which they ended."""
    rows = []
    for call in reference.calls.values():
        row = {
            "path": call.path,
            "class": call.kind,
            "call": int(call.name.rpartition("#")[2]),
            "end_to_end": _worst(ledger, "modules", call.outputs),
            "own": _worst(ledger, "own", call.outputs),
            "inputs": _worst(ledger, "inputs", [*call.inputs, *map(call.taken, call.inputs)]),
            "failure": ledger.failures.get(call.name, ""),
        }
        if row["end_to_end"] or row["own"] or row["failure"]:
            rows.append(row)
    return rows


def _worst(ledger: Ledger, part: str, names: Iterable[str]) -> dict[str, Any] | None:
    entries = [(name, ledger.parts[part][name]) for name in names if name in ledger.parts.get(part, {})]
    if not entries:
        return None
    return measure_row(*max(entries, key=lambda each: (VERDICTS.index(each[1].measure.verdict), each[1].measure.ratio)))


def finite(value: Any) -> Any:
    """Plain data in which a number that is none, or infinite, is None: JSON has neither."""
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def unmatched(ledger: Ledger, reference: Reference) -> dict[str, list[str]]:
    """Paths of submodules that were called on one side only."""
    recorded, seen = {call.path for call in reference.calls.values()}, set(ledger.seen)
    if not recorded or not seen:
        return {"pytorch": [], "oneflow": []}
    return {"pytorch": sorted(recorded - seen), "oneflow": sorted(seen - recorded)}
