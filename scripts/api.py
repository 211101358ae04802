#!/usr/bin/env python3
"""Compares PyTorch's public names with OneFlow's, by name, by arguments and by runs, for `port/api.jsonl`.

    .venv/bin/python scripts/api.py

Needs `make setup`: the names are those of PyTorch 1.13 in .venv and of today's in .venv-torch; OneFlow is in .venv.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "src" / "torch2flow" / "port" / "api.jsonl"
NAMES = ROOT / "scripts" / "api_names.py"

UNHEEDED = {
    "layout",
    "pin_memory",
    "memory_format",
    "out",
    "generator",
    "values",
    "indices",
    "names",
    "async_op",
    "foreach",
    "maximize",
    "capturable",
    "differentiable",
    "fused",
    "_stacklevel",
    "split_size_or_sections",
}
"""Parameters that say nothing when they are missing: hardly any code gives them, or they change no value."""

SAME = {
    "last_epoch": ["last_step"],
    "f": ["path", "path_or_buf"],
    "src": ["other"],
    "tensor": ["target", "input"],
    "from": ["a"],
    "to": ["b"],
    "mode": ["is_train"],
    "ext_tensor": ["obj"],
    "ndarray": ["obj"],
    "A": ["input"],
    "t": ["tensor_type"],
    "new_state": ["state"],
    "params": ["parameters"],
    "values": ["parameters"],
    "defaults": ["options"],
}
"""PyTorch's parameters, and the names that OneFlow's Python functions have for the same thing in the same place."""

NOTES = {
    "torch.set_rng_state": "The numbers that are drawn after it are not those that were drawn after `get_rng_state`.",
    "torch.utils.data.DataLoader": "With `batch_size=None`, items that are plain numbers are refused.",
    "torch.nn.SyncBatchNorm": "It needs a GPU.",
}
"""What runs of single calls don't show."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    old, new = (torch_names(environment) for environment in (".venv", ".venv-torch"))
    names = {**new["names"], **old["names"]}
    taken = {name: parameters_of(name, old, new) for name in names}
    theirs = oneflow_names(taken)
    rows = [row_of(name, taken[name], theirs[name]) for name in sorted(theirs)]
    aliases = {**new["aliases"], **old["aliases"]}
    rows += [{"name": name, "is": aliases[name]} for name in sorted(aliases)]
    DATA.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return 0


def torch_names(environment: str) -> dict[str, Any]:
    return json.loads(ask(environment, "torch"))  # type: ignore[no-any-return]


def oneflow_names(taken: dict[str, list[str]]) -> dict[str, Any]:
    """What OneFlow has of these names; where asking ends the process, it goes on with the next."""
    found: dict[str, Any] = {}
    left = dict(taken)
    while left:
        for line in ask(".venv", "oneflow", json.dumps(left)).splitlines():
            name, *entry = json.loads(line)
            found[name] = entry[0] if entry else {}
            left.pop(name, None)
    return {name: entry for name, entry in found.items() if entry is not None}


def ask(environment: str, library: str, names: str = "") -> str:
    python = ROOT / environment / "bin" / "python"
    if not python.exists():
        sys.exit(f"{environment} is not there: run make setup")
    return subprocess.run([python, NAMES, library], input=names, capture_output=True, text=True, check=False).stdout


def parameters_of(name: str, *libraries: dict[str, Any]) -> list[str]:
    """The names of all parameters of both versions, those that gather others left out."""
    found: dict[str, None] = {}
    for library in libraries:
        for each in library["names"].get(name, {}).get("parameters") or ():
            if "*" not in each:
                found[each.rstrip("=!")] = None
    return list(found)


def row_of(name: str, taken: list[str], theirs: dict[str, Any]) -> dict[str, Any]:
    """What the data file tells of a name that OneFlow has."""
    given = theirs.get("parameters")
    missing = list(theirs.get("refused", ()))
    renamed = {taken[0]: theirs["first"]} if theirs.get("first") and taken and taken[0] in missing else {}
    if given is not None and "refused" not in theirs:
        known = [each.rstrip("=!") for each in given]
        missing = [] if any(each.startswith("**") for each in given) else [each for each in taken if each not in known]
        # The same place under another name.
        renamed = {
            ours: its for ours, its in zip(taken, known, strict=False) if ours in missing and its in SAME.get(ours, ())
        }
    missing = [each for each in missing if each not in UNHEEDED and each not in renamed]
    row: dict[str, Any] = {"name": name}
    if name in NOTES:
        row["note"] = NOTES[name]
    if missing:
        row["arguments"] = missing
    if renamed:
        row["renamed"] = renamed
    return row


if __name__ == "__main__":
    sys.exit(main())
