"""What was found, as plain data: what `--json` prints and the report shows. The fields are listed in docs/parity.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torch2flow.proof.parity.judge import EXACT, LIMIT, VERDICTS, together
from torch2flow.proof.parity.ledger import PARTS, Entry, Ledger
from torch2flow.proof.parity.reference import Reference

if TYPE_CHECKING:
    from torch2flow.proof.parity.verification import Verification


def as_data(found: Verification) -> dict[str, Any]:
    """Everything, without the values that were compared."""
    divergence = found.divergence
    return {
        "verdict": found.verdict,
        "sentence": found.sentence,
        "likely": [] if divergence is None else list(divergence.likely),
        "first": None if divergence is None else {"path": divergence.path, "part": divergence.part},
        "model": found.model,
        "versions": found.versions,
        "repeat": found.repeat,
        "settings": {"limit": LIMIT, "exact": EXACT},
        "seconds": round(found.seconds, 1),
        "parts": [_part(part, found.ledger) for part in found.parts if part not in ("own", "inputs")],
        "modules": module_rows(found.ledger, found.reference),
        "failures": found.ledger.failures,
        "unmatched": unmatched(found.ledger, found.reference),
    }


def _part(part: str, ledger: Ledger) -> dict[str, Any]:
    entries = ledger.parts[part]
    whole = together(entry.measure for entry in entries.values())
    return {
        "name": part,
        "title": PARTS[part],
        "verdict": ledger.verdict(part),
        "ratio": whole.ratio,
        "tensors": [measure_row(name, entry) for name, entry in entries.items()],
    }


def measure_row(name: str, entry: Entry) -> dict[str, Any]:
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


def unmatched(ledger: Ledger, reference: Reference) -> dict[str, list[str]]:
    """Paths of submodules that were called on one side only."""
    recorded, seen = {call.path for call in reference.calls.values()}, set(ledger.seen)
    if not recorded or not seen:
        return {"pytorch": [], "oneflow": []}
    return {"pytorch": sorted(recorded - seen), "oneflow": sorted(seen - recorded)}
