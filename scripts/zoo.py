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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.measuring import ROOT, measured_parts, read_rows, run_row, write_rows
from torch2flow.checkpoints.diffing import diff
from torch2flow.errors import Torch2FlowError
from torch2flow.proof.parity import verify_folder
from torch2flow.proof.parity.judge import FINE, worst
from torch2flow.zoo import convert, convert_back, twins
from torch2flow.zoo.families.without_twin import ALONE
from torch2flow.zoo.listing import WEIGHTS, ZooModel, rows
from torch2flow.zoo.measured import GENERATED, RESULTS, TODAY, read_results

OLD, NEW = ROOT / ".venv" / "bin" / "python", ROOT / ".venv-torch" / "bin" / "python"
COVERAGE, PAGE = ROOT / "docs" / "coverage.jsonl", ROOT / "docs" / "zoo.md"
SECONDS = 900
WEIGHT_NAMES = """
import json, scripts.models
from torchvision.models import get_model_weights, list_models
print(json.dumps({name: {w.name: w.url.rpartition("/")[2] for w in get_model_weights(name)} for name in list_models()}))
"""
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
        collect()
    write_page()
    return 0


def collect() -> None:
    """Takes what was measured of the generated models into the rows, and the names of torchvision's weights."""
    known: dict[str, dict[str, str]] = {}
    for python in (OLD, NEW):
        done = subprocess.run([python, "-I", "-c", WEIGHT_NAMES], cwd=ROOT, capture_output=True, text=True, check=True)
        known |= json.loads(done.stdout.strip().rpartition("\n")[2])
    WEIGHTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")
    rows = {name: row for name, row in read_results().items() if not name.startswith(GENERATED)}
    for key, row in read_rows(COVERAGE).items():
        library, _, name = key.partition("/")
        short = name.removesuffix(".trunk")
        if library == "torchvision" and "skip" not in row and (short in ALONE or short in twins()):
            row["note"] = "as far as nms: backbone and heads" if short != name else ""
            rows[GENERATED + short] = {**row, "name": GENERATED + short}
    write_rows(RESULTS, rows)


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
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        return run_row([sys.executable, __file__, "--one", name, str(python), folder], SECONDS, "it")


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
    row |= measured_parts(found)
    row["verdict"] = found.verdict
    if prepared.twin.stages and found.ledger.failures:
        row["verdict"], row["whole"] = worst(map(found.ledger.verdict, found.parts)), False
    if row["verdict"] not in FINE:
        row["sentence"] = found.sentence
    if found.ledger.failures:
        row["failures"] = list(found.ledger.failures)[:3]
    row["seconds"] = round(time.perf_counter() - started, 1)
    return row


def record(row: dict[str, Any]) -> None:
    """Puts a row among the results."""
    write_rows(RESULTS, {**read_results(), row["name"]: row})
    print(f"{row['name']}: {row.get('failure') or row['verdict']} {row.get('sentence', '')}"[:300], flush=True)


def write_page() -> None:
    """docs/zoo.md, from the rows."""
    found = rows()
    good = [row for row in found if row.twin and row.verdict in FINE]
    text = PAGE.read_text("utf-8")
    text = between(text, "counts", counts(found, good))
    PAGE.write_text(between(text, "models", table(found)), "utf-8")


def counts(found: list[ZooModel], good: list[ZooModel]) -> str:
    lines = [
        "| library | models | keys equal | by rule | no twin | measured | within noise | of these trained |",
        "|---" * 8 + "|",
    ]
    for library in ("torchvision", "timm"):
        mine = [row for row in found if row.name.startswith("timm/") == (library == "timm")]
        of = {match: sum(row.match.startswith(match) for row in mine) for match in ("keys equal", "by rule", "no twin")}
        twinned, faithful = [row for row in mine if row.twin], [row for row in good if row in mine]
        measured = sum(row.verdict != "not measured" for row in twinned)
        cells = [library, len(mine), *of.values(), measured, len(faithful), sum(row.trained for row in faithful)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def table(found: list[ZooModel]) -> str:
    measured = read_results()
    lines = [
        "| model | flowvision | match | weights | verdict | outputs | layers | gradients | today's | back |",
        "|---" * 10 + "|",
    ]
    for row in found:
        numbers = measured.get(row.name if row.twin else GENERATED + row.name, {})
        today = row.today
        if today in FINE:
            today += f" {_ratio(measured[row.name + TODAY], 'outputs')}"
        verdict = row.verdict if row.verdict in FINE else f"**{row.verdict}**"
        reason = numbers.get("sentence") or numbers.get("failure") or ""
        cells = [
            row.name, row.twin or "-", row.match, ", ".join(row.weights) or "-",
            verdict + (f" ({row.note})" if row.note else "") + (f": {_cell(reason)}" if reason else ""),
            _ratio(numbers, "outputs"), str(numbers.get("own", {}).get("tensors", "")), _ratio(numbers, "gradients"),
            today if row.twin else "", {True: "same bits", False: "**differs**"}.get(numbers.get("back"), ""),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(row: dict[str, Any], part: str) -> str:
    return f"{row[part]['ratio']:.2f}" if part in row else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", " or ").split())[:200]


def between(text: str, name: str, content: str) -> str:
    """The text with what stands between two marks replaced."""
    before, start, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"\n<!-- end of {name} -->")
    assert start and end, f"docs/zoo.md lacks the mark {name}"
    return f"{before}{start}{content}{end}{after}"


if __name__ == "__main__":
    sys.exit(main())
