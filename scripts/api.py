#!/usr/bin/env python3
"""Compares PyTorch's public names with OneFlow's, by name, by arguments and by runs, for `port/api.jsonl`.

    .venv/bin/python scripts/api.py [--names]

The runs take some minutes; what they found is kept in build/api-runs.jsonl, and a run that was stopped goes on there.
Delete it to try all anew. `--names` takes what is there. Needs `make setup`: the names are those of PyTorch 1.13 in
.venv and of today's in .venv-torch; OneFlow is in .venv.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "src" / "torch2flow" / "port" / "api.jsonl"
PAGE = ROOT / "docs" / "api.md"
RUNS = ROOT / "build" / "api-runs.jsonl"
NAMES = ROOT / "scripts" / "api_names.py"
SAMPLES = ROOT / "scripts" / "api_runs.py"

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
    "orig_func",
    "padding_side",
    "args",
    "kwargs",
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

SILENT = {"torch.set_rng_state"}
"""Of these, what differs shows in no error."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", action="store_true", help="run nothing: take what earlier runs found")
    options = parser.parse_args()
    if not options.names:
        run_all()
    runs = runs_by_name()
    old, new = (torch_names(environment) for environment in (".venv", ".venv-torch"))
    names = {**new["names"], **old["names"]}
    taken = {name: parameters_of(name, old, new) for name in names}
    theirs = oneflow_names(taken)
    rows = [row_of(name, taken[name], theirs[name], runs.get(name, {})) for name in sorted(theirs)]
    aliases = {**new["aliases"], **old["aliases"]}
    rows += [{"name": name, "is": aliases[name]} for name in sorted(aliases)]
    DATA.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    PAGE.write_text(page(names, runs), "utf-8")
    return 0


def run_all() -> None:
    """Tries PyTorch's samples, from where the last run ended; a sample that ends the process is what it is."""
    RUNS.parent.mkdir(exist_ok=True)
    while True:
        lines = [json.loads(line) for line in RUNS.read_text().splitlines()] if RUNS.exists() else []
        first = lines[-1][0] + 1 if lines else 0
        done = subprocess.run(
            [ROOT / ".venv" / "bin" / "python", SAMPLES, str(first)], capture_output=True, text=True, check=False
        )
        found: dict[int, list[Any]] = {}
        for line in done.stdout.splitlines():
            number, name, dtype, *outcomes = json.loads(line)
            found[number] = [number, name, dtype, outcomes[0] if outcomes else ["process ended"]]
        if not found:
            if done.returncode:
                sys.exit(done.stderr[-2000:])
            return
        with RUNS.open("a") as file:
            file.writelines(json.dumps(each) + "\n" for each in found.values())


def runs_by_name() -> dict[str, dict[str, Counter[str]]]:
    """How the samples of each name went, by dtype; "" is the same as PyTorch."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for line in RUNS.read_text().splitlines() if RUNS.exists() else []:
        _, name, dtype, outcomes = json.loads(line)
        found.setdefault(name, {}).setdefault(dtype, Counter()).update(outcomes)
    return found


SHOWS = {
    "value": "other values", "dtype": "another dtype", "shape": "another shape", "other": "another structure",
    "refused": "refused", "process ended": "the process ends", "absent": "not there",
}  # fmt: skip


def said_of(counts: dict[str, Counter[str]]) -> str:
    """In words, how the samples of a name differ."""
    parts = []
    for dtype, found in counts.items():
        wrong = [f"{SHOWS[kind]} in {count}" for kind, count in sorted(found.items()) if kind and count]
        if wrong:
            parts.append(f"{dtype}: {', '.join(wrong)} of {sum(found.values())} samples")
    return f"Of PyTorch's own samples: {'; '.join(parts)}." if parts else ""


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


def row_of(name: str, taken: list[str], theirs: dict[str, Any], counts: dict[str, Counter[str]]) -> dict[str, Any]:
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
    note = " ".join(each for each in (NOTES.get(name, ""), said_of(counts)) if each)
    if note:
        row["note"] = note
    differs = any(found[kind] for found in counts.values() for kind in SHOWS if kind not in ("refused", "absent"))
    if name in SILENT or (differs and "empty" not in name):  # what lies in an empty tensor is anything
        row["silent"] = True
    if missing:
        row["arguments"] = missing
    if renamed:
        row["renamed"] = renamed
    return row


INTRODUCTION = """# What OneFlow has of PyTorch's API

Every public name of PyTorch 1.13 and 2.13, and what OneFlow 0.9.0 has for it: *equal*; *equal through a rule*, which
is a function that `torch2flow port` writes beside the ported code where a use needs it; *in part*, with the arguments
that are not there and how it shows; or nothing. Written by `make api` (`scripts/api.py`) from both libraries and from
runs on a CPU: PyTorch's own samples of operators, each name called as code calls it, in processes that may end. A count
such as 7/8 says how many samples of float32, int64 and bool gave PyTorch's values, dtypes and shapes; many samples are
corners no model turns.

What has no count was compared by name and arguments; what has a rule, by the expressions of
`tests/port/compat/expressions`. TorchScript's compiler, quantization and PyTorch's inner workings are not here.

| | names |
|---|---|
{counts}
"""
LEFT_OUT = ("torch.ao", "torch.quantization", "torch.fx", "torch.testing", "torch.onnx", "torch.library", "torch.mps",
            "torch.futures", "torch.sparse", "torch.multiprocessing", "torch.hub", "torch.profiler", "torch.overrides",
            "torch.compiler", "torch.func", "torch._", "torch.utils.cpp_extension")  # fmt: skip
STATUSES = {"equal": "equal", "rule": "equal through a rule", "part": "in part", "cannot": "cannot"}


def page(names: dict[str, Any], runs: dict[str, dict[str, Counter[str]]]) -> str:
    """The page for people: a table for each module."""
    from torch2flow.port import api

    api._table.cache_clear()
    modules: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    for name in sorted(names):
        kind = names[name]["kind"]
        if kind == "module" or name.startswith(LEFT_OUT) or (kind == "value" and name.count(".") == 1):
            continue
        found = api.find(name)
        if found.name != name:
            continue
        counts[found.status] += 1
        total = sum((each for each in runs.get(name, {}).values()), Counter[str]())
        tried = f"{total['']}/{total.total()}" if total else ""
        arguments = f"No {', '.join(f'`{each}`' for each in found.arguments)}. " if found.arguments else ""
        note = "" if found.status == "cannot" else arguments + found.note
        line = f"| `{name.rpartition('.')[2]}` | {STATUSES[found.status]} | {tried} | {note.strip()} |"
        modules.setdefault(name.rpartition(".")[0], []).append(line)
    table = "\n".join(f"| {words} | {counts[status]} |" for status, words in STATUSES.items())
    parts = [INTRODUCTION.format(counts=table)]
    for module, lines in sorted(modules.items()):
        there = [line for line in lines if "| cannot |" not in line]
        absent = ", ".join(line.split("|")[1].strip() for line in lines if "| cannot |" in line)
        parts += [f"## {module}", ""]
        if there:
            parts += ["| name | | samples | |", "|---|---|---|---|", *there, ""]
        if absent:
            parts += [f"Nothing for: {absent}.", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
