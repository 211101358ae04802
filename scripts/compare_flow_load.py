"""Writes the table of docs/comparison.md: OneFlow's own `flow.load("x.pth")` beside torch2flow, file by file.

    python scripts/compare_flow_load.py            print the table
    python scripts/compare_flow_load.py --write    put it into docs/comparison.md

PyTorch 1.13.1 writes each file of `comparison_cases.py`, then PyTorch, OneFlow and torch2flow load it, in
processes of their own: OneFlow can end a process by a signal, and after an error a new one goes on.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from comparison_cases import CANARY, CASES, Case

PAGE = Path(__file__).resolve().parent.parent / "docs" / "comparison.md"
BEGIN, END = "<!-- table: make docs -->\n", "<!-- end of table -->\n"
LONGEST = 150
PATIENCE = 120

SIDES = ("PyTorch", "flow.load", "torch2flow")


# -- a process that loads ------------------------------------------------------------------------------------


def work(side: str, folder: Path, numbers: list[int]) -> None:
    """Loads the files of these cases; writes one JSON line before and one after each to `results`."""
    warnings.simplefilter("ignore")
    lib: Any
    if side == "PyTorch":
        import torch as lib
    else:
        from torch2flow.runtime import import_oneflow

        lib = import_oneflow()
    with open(folder / f"{side}.jsonl", "a", encoding="utf-8") as results:
        for number in numbers:
            case = CASES[number]
            for arguments in case.arguments if side == "torch2flow" else ((),):
                print(json.dumps([number, None]), file=results, flush=True)
                outcome = attempt(side, case, arguments, folder / str(number), lib)
                print(json.dumps([number, outcome]), file=results, flush=True)
                if "failed" in outcome and side == "flow.load":
                    return  # what OneFlow's thread has left to say must not be put down to the next file


def attempt(side: str, case: Case, arguments: tuple[str, ...], folder: Path, lib: Any) -> dict[str, str]:
    """What comes of loading one file."""
    import os

    os.chdir(folder)
    CANARY.unlink(missing_ok=True)
    shutil.rmtree("out", ignore_errors=True)
    changes = ""
    try:
        if side == "torch2flow":
            command = [sys.executable, "-I", "-m", "torch2flow", "convert", case.file, "-o", "out", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                said = re.split("as (?:they are|it is):", done.stderr.partition("\n  at: ")[0])[-1]
                return {"failed": f"refused, exit code {done.returncode}: {said.strip()}"}
            rows = json.loads(Path("out/manifest.json").read_text("utf-8"))["tensors"]
            changes = ", ".join(sorted({row["change"] for row in rows if "change" in row}))
            loaded = lib.load("out")
        else:
            loaded = lib.load(case.file)
        return {"text": case.look(loaded, lib), "changes": changes}
    except BaseException as error:
        return {"failed": f"{type(error).__name__}: {error}".removesuffix(": ")}


# -- the process that asks -----------------------------------------------------------------------------------


def compare(folder: Path) -> Iterator[tuple[Case, dict[str, list[dict[str, str]]]]]:
    """Each case with the outcomes on each side, one for each set of arguments."""
    subprocess.run([sys.executable, __file__, "--make", folder], check=True, stderr=subprocess.DEVNULL)
    outcomes = {side: load_all(side, folder) for side in SIDES}
    for number, case in enumerate(CASES):
        yield case, {side: outcomes[side].get(number, []) for side in SIDES}


def make(folder: Path) -> None:
    """Writes all files, with PyTorch."""
    import os

    import torch

    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    for number, case in enumerate(CASES):
        (folder / str(number)).mkdir(parents=True)
        os.chdir(folder / str(number))
        case.write(torch)


def load_all(side: str, folder: Path) -> dict[int, list[dict[str, str]]]:
    """All outcomes of one side, from as many processes as it takes."""
    results: dict[int, list[dict[str, str]]] = {}
    waiting = [n for n, case in enumerate(CASES) if side != "PyTorch" or case.torch_reads]
    record = folder / f"{side}.jsonl"
    while waiting:
        record.unlink(missing_ok=True)
        command = [sys.executable, __file__, "--work", side, str(folder), *map(str, waiting)]
        try:
            code = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False).returncode
        except subprocess.TimeoutExpired:
            code = 0
        lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
        for number, outcome in lines:
            if outcome is not None:
                results.setdefault(number, []).append(outcome)
        if lines[-1][1] is None:
            how = f"ends the process by signal {-code}" if code < 0 else "does not return"
            results.setdefault(lines[-1][0], []).append({"failed": how})
        waiting = [number for number in waiting if number > lines[-1][0]]
    return results


# -- the table -----------------------------------------------------------------------------------------------


def table() -> str:
    """The rows in Markdown."""
    lines = [
        "| the file holds | PyTorch loads | `flow.load(FILE)` | `torch2flow convert FILE -o out`, "
        '`flow.load("out")` |',
        "|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for case, outcomes in compare(Path(folder)):
            reference = outcomes["PyTorch"][0]["text"] if case.torch_reads else ""
            right = case.wanted or reference
            lines.append(
                f"| {case.title} | {clean(reference) or '-'} | {cell(outcomes['flow.load'][0], right, '')} | "
                + "<br>".join(
                    cell(outcome, right, " ".join(arguments))
                    for outcome, arguments in zip(outcomes["torch2flow"], case.arguments, strict=True)
                )
                + " |"
            )
    return "\n".join(lines) + "\n"


def cell(outcome: dict[str, str], right: str, arguments: str) -> str:
    """One outcome: ✓ where it is PyTorch's, otherwise what it is."""
    given = f"`{arguments}`: " if arguments else ""
    if "failed" in outcome:
        said = clean(outcome["failed"])
        return f"{given}{said}" if said.startswith("refused") else f"✗ {said}"
    if outcome["text"] == right:
        return f"{given}✓ {clean(right)}"
    mark = "" if outcome["changes"] else "✗ "
    return f"{given}{mark}{clean(outcome['text'])}" + (f" ({outcome['changes']})" if outcome["changes"] else "")


def clean(text: str) -> str:
    """A text for one cell: no escape codes, no paths or addresses of this run, not too long."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r"(/[\w.+~-]+){2,}/?", "…", text)
    text = re.sub(r"invalid load key, .*", "invalid load key", text)
    text = re.sub(r"\b0x[0-9a-f]+\b", "…", " ".join(text.split()))
    text = re.sub(r"[<>|*_]", lambda match: f"\\{match[0]}", text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rpartition(' ')[0]} …"


def current() -> str:
    """The table that the page has."""
    return PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Prints the table, or writes it into the page."""
    parser = argparse.ArgumentParser(description="Compare flow.load with torch2flow on real files.")
    parser.add_argument("--write", action="store_true", help="put the table into docs/comparison.md")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--work", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        make(given.make)
    elif given.work:
        side, folder, *numbers = given.work
        work(side, Path(folder), list(map(int, numbers)))
    elif given.write:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2], "utf-8")
    else:
        sys.stdout.write(table())


if __name__ == "__main__":
    main()
