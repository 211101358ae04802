"""Loads every PyTorch model of the zoo into its flowvision twin and compares the two, for docs/zoo.md.

    .venv/bin/python scripts/zoo.py                     all of them (an hour); results go to src/torch2flow/zoo
    .venv/bin/python scripts/zoo.py 'vit_*' --fresh     some of them, also those that have a result
    .venv/bin/python scripts/zoo.py --write-docs        the page, from the results there are

Every model is built with random weights, recorded, converted by `torch2flow zoo convert`, verified as
`torch2flow verify` does it, and converted back. torchvision 0.14.1 runs in .venv beside OneFlow; today's torchvision
and timm in .venv-torch.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from torch2flow.diffing import diff
from torch2flow.errors import Torch2FlowError
from torch2flow.parity import together, verify_folder
from torch2flow.parity.judge import VERDICTS, worst
from torch2flow.zoo import convert, convert_back, twins
from torch2flow.zoo.measured import RESULTS, TODAY, read_results

ROOT = Path(__file__).resolve().parent.parent
OLD, NEW = ROOT / ".venv" / "bin" / "python", ROOT / ".venv-torch" / "bin" / "python"
SECONDS = 900
SMALLER = ("min_size=128", "max_size=192")
"""For detection, as scripts/zoo_models.py builds the PyTorch side."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["*"], metavar="NAME", help="such as alexnet or 'timm/*'")
    parser.add_argument("--fresh", action="store_true", help="run those that have a result again")
    parser.add_argument("--write-docs", action="store_true", help="only write the page")
    parser.add_argument("--one", nargs=3, metavar=("NAME", "PYTHON", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, python, folder = arguments.one
        print(json.dumps(measure(name, Path(python), Path(folder))))
        return 0
    if not arguments.write_docs:
        run(arguments.names, fresh=arguments.fresh)
    return 0


def run(patterns: list[str], *, fresh: bool) -> None:
    done = {} if fresh else read_results()
    for name, twin in twins().items():
        # detection ends in torchvision's compiled operators, which today's build for CPUs lacks
        keys = [(name, OLD)] if twin.library == "torchvision" else []
        keys += [(name + TODAY if keys else name, NEW)] if not twin.stages else []
        for key, python in keys:
            if key not in done and any(fnmatch(key, pattern) for pattern in patterns):
                record({"name": key, **isolated(name, python)})


def isolated(name: str, python: Path) -> dict[str, Any]:
    """A row, measured in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        command = [sys.executable, __file__, "--one", name, str(python), folder]
        try:
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return {"failure": f"it took more than {SECONDS} s"}
    line = done.stdout.strip().rpartition("\n")[2]
    if done.returncode or not line.startswith("{"):
        return {"failure": f"the process ended with {done.returncode}: {done.stderr.strip()[-300:]}"}
    row: dict[str, Any] = json.loads(line)
    return row


def measure(name: str, python: Path, folder: Path) -> dict[str, Any]:
    """Records, converts, verifies and converts back."""
    started = time.perf_counter()
    done = subprocess.run(
        [python, "-m", "scripts.zoo_models", name, folder], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if done.returncode:
        return {"failure": f"PyTorch's model does not run: {done.stderr.strip().splitlines()[-1][:300]}"}
    row: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    row.pop("notes")
    try:
        arguments = SMALLER if twins()[name].stages and not name.startswith("ssd") else ()
        result, prepared = convert(name, folder / "out", folder / "weights.pth", arguments=arguments)
        row["match"], row["tensors"] = prepared.twin.match, len(result.plan.entries)
        convert_back(name, folder / "back.pth", folder / "out")
        row["back"] = not diff(folder / "weights.pth", folder / "back.pth").differs
        found = verify_folder(folder / "out", folder / "recording.safetensors")
    except Torch2FlowError as error:
        return {**row, "failure": str(error)[:600]}
    parts = found.parts
    for part in parts:
        whole = together(found.ledger.measures(part))
        row[part] = {"ratio": round(whole.ratio, 2), "tensors": len(found.ledger.measures(part))}
        if whole.double is not None:
            row[part]["double"] = whole.double
    row["verdict"] = found.verdict
    if prepared.twin.stages and found.ledger.failures:
        row["verdict"], row["whole"] = worst(map(found.ledger.verdict, parts)), False
    if VERDICTS.index(row["verdict"]) > VERDICTS.index("within noise"):
        row["sentence"] = found.sentence
    if found.ledger.failures:
        row["failures"] = list(found.ledger.failures)[:3]
    row["seconds"] = round(time.perf_counter() - started, 1)
    return row


def record(row: dict[str, Any]) -> None:
    """Puts a row among the results: a line for each model, in alphabetical order."""
    rows = {**read_results(), row["name"]: row}
    RESULTS.write_text("".join(json.dumps(rows[name]) + "\n" for name in sorted(rows)), "utf-8")
    print(f"{row['name']}: {row.get('failure') or row['verdict']} {row.get('sentence', '')}"[:300], flush=True)


if __name__ == "__main__":
    sys.exit(main())
