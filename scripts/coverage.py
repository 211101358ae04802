"""Captures, converts, runs and judges every model of `scripts/models`, and writes docs/coverage.md.

    .venv/bin/python scripts/coverage.py                       all of them (hours); results go to docs/coverage.jsonl
    .venv/bin/python scripts/coverage.py 'timm/*' --fresh      some of them, also those that have a result
    .venv/bin/python scripts/coverage.py --write-docs          the page, from the results there are

Each model is captured by today's PyTorch in `.venv-torch` with dynamic axes and every layer, some with gradients too,
converted, and verified as `torch2flow verify` does it. The next models are captured meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.measuring import ROOT, measured_parts, read_rows, run_row, write_rows
from torch2flow.proof.parity.judge import FINE

TORCH = ROOT / ".venv-torch" / "bin" / "python"
RESULTS = ROOT / "docs" / "coverage.jsonl"
PAGE = ROOT / "docs" / "coverage.md"
BATCH = 6
KNOWN = {
    "transformers/ibert": "a step differs: in train mode its observers of ranges change their buffers by a decision on"
    " values, of which PyTorch exports no program; capture and convert say so",
}
"""Why a model that differs does so."""
TRAINED = (
    "transformers/*", "torchvision/alexnet", "torchvision/resnet18", "torchvision/mobilenet_v2", "torchvision/swin_t",
    "torchvision/mobilenet_v3_small", "torchvision/squeezenet1_1", "torchvision/shufflenet_v2_x0_5",
    "torchvision/efficientnet_b0", "torchvision/mnasnet0_5", "torchvision/regnet_x_400mf", "torchvision/regnet_y_400mf",
    "torchvision/densenet121", "torchvision/r3d_18", "torchvision/lraspp_mobilenet_v3_large", "timm/levit", "timm/cait",
    "timm/convnext", "timm/deit", "timm/edgenext", "timm/efficientvit_msra", "timm/ghostnet", "timm/mobilevit",
    "timm/repghost", "timm/starnet", "timm/tiny_vit", "timm/xcit", "timm/pit", "timm/resnet",
)  # fmt: skip
"""The models that are also trained for a step; the others would take hours."""
COLUMNS = ("model", "verdict", "outputs", "noise", "other size", "layers", "gradients", "SGD", "AdamW", "float64",
           "keys", "lines")  # fmt: skip
CAPTURE_SECONDS, COMPARE_SECONDS = 600, 600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", default=["*"], metavar="NAME", help="such as torchvision/resnet18 or 'timm/*'"
    )
    parser.add_argument("--fresh", action="store_true", help="run those that have a result again")
    parser.add_argument("--captured", type=Path, metavar="DIR", help="take what scripts.models captured there already")
    parser.add_argument("--write-docs", action="store_true", help="only write the page")
    parser.add_argument("--one", nargs=2, metavar=("PT2", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(compare_one(Path(arguments.one[0]), Path(arguments.one[1]))))
        return 0
    if not arguments.write_docs:
        run(arguments.names, fresh=arguments.fresh, captured=arguments.captured)
    write_page()
    return 0


def run(patterns: list[str], *, fresh: bool, captured: Path | None = None) -> None:
    done = {} if fresh else read_rows(RESULTS)
    catalogue = list_models()
    chosen = [name for name in catalogue if any(fnmatch(name, p) for p in patterns) and name not in done]
    for name in [name for name in chosen if catalogue[name]]:
        record({"name": name, "skip": catalogue[name]})
    todo = [name for name in chosen if not catalogue[name]]
    print(f"{len(todo)} models", flush=True)
    if captured is not None:
        for name in todo:
            if (captured / f"{name.replace('/', '-')}-dynamic.pt2").exists():
                with tempfile.TemporaryDirectory(prefix="coverage-") as folder:
                    record({"name": name, **judge(name, captured, "", Path(folder))})
        return
    with tempfile.TemporaryDirectory(prefix="coverage-") as folder, ThreadPoolExecutor(1) as ahead:
        batches = [todo[start : start + BATCH] for start in range(0, len(todo), BATCH)]
        coming = ahead.submit(capture, batches[0], Path(folder) / "0") if batches else None
        for number, batch in enumerate(batches):
            assert coming is not None
            reasons = coming.result()
            here = Path(folder) / str(number)
            if number + 1 < len(batches):
                coming = ahead.submit(capture, batches[number + 1], Path(folder) / str(number + 1))
            for name in batch:
                record({"name": name, **judge(name, here, reasons.get(name, ""))})
            subprocess.run(["rm", "-rf", str(here)], check=True)


def list_models() -> dict[str, str]:
    """Every model, and why it is left out; "" where it is not."""
    listed = subprocess.run(
        [TORCH, "-m", "scripts.models", "list"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = (line.partition("  SKIPPED: ") for line in listed.stdout.splitlines() if line.strip())
    return {left.split()[0]: reason for left, _, reason in rows}


def capture(names: list[str], folder: Path) -> dict[str, str]:
    """Captures some models; returns what PyTorch says of those that it can't."""
    folder.mkdir(parents=True)
    trained = [name for name in names if any(fnmatch(name, pattern) for pattern in TRAINED)]
    plain = [name for name in names if name not in trained]
    return {**_capture(trained, folder, ["--gradients"]), **_capture(plain, folder, [])}


def _capture(names: list[str], folder: Path, options: list[str]) -> dict[str, str]:
    if not names:
        return {}
    command = [TORCH, "-m", "scripts.models", "capture", *names, "-o", folder, "--dynamic", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [*map(str, command)], cwd=ROOT, env=environment, capture_output=True, text=True,
            timeout=CAPTURE_SECONDS * len(names),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return dict.fromkeys(names, f"the capture took more than {CAPTURE_SECONDS} s a model")
    reasons: dict[str, str] = {}
    current = ""
    for line in done.stdout.splitlines():
        name, _, text = line.partition(": ")
        if name in names and text.startswith("FAILED "):
            current, reasons[name] = name, text.removeprefix("FAILED ")
        elif name in names:
            current = ""
        elif current:
            reasons[current] += f" {line.strip()}"
    return reasons


def judge(name: str, folder: Path, reason: str, out: Path | None = None) -> dict[str, Any]:
    files = sorted(folder.glob(f"{name.replace('/', '-')}-dynamic.pt2"))
    if not files:
        return {"failure": f"not captured: {reason or 'no reason given'}"[:400]}
    command = [sys.executable, __file__, "--one", str(files[0]), str((out or folder) / "converted" / files[0].stem)]
    return run_row(command, COMPARE_SECONDS, "OneFlow")


def compare_one(model: Path, out: Path) -> dict[str, Any]:
    """Converts one captured model and verifies it; runs in a process of its own."""
    from torch2flow.checkpoints.opening import open_checkpoint
    from torch2flow.conversion import convert
    from torch2flow.errors import Torch2FlowError
    from torch2flow.proof.parity import Reference, verify_folder

    started = time.perf_counter()
    row: dict[str, Any] = {}
    try:
        result = convert(model, out)
        row["convert"] = round(time.perf_counter() - started, 2)
        assert result.model_source is not None
        row["lines"] = result.model_source.text.count("\n")
        reference = Reference(model.with_suffix(".reference.safetensors"))
        keys, built = json.loads(reference.metadata["state_dict"]), list(open_checkpoint(out, "."))
        row["keys"], row["order"] = sorted(built) == sorted(keys), built == keys
        found = verify_folder(out, model)
    except Torch2FlowError as error:
        return {**row, "failure": str(error)[:600]}
    row |= measured_parts(found)
    outputs = found.ledger.measures("outputs")
    row["noise"] = max((each.noise / each.scale for each in outputs if each.scale), default=0.0)
    row["verdict"] = found.verdict
    if not found.faithful:
        data = found.to_json()
        row |= {"sentence": data["sentence"], "first": data["first"], "failures": found.ledger.failures}
    row["seconds"] = round(time.perf_counter() - started, 1)
    return row


def record(row: dict[str, Any]) -> None:
    """Puts a row among the results."""
    write_rows(RESULTS, {**read_rows(RESULTS), row["name"]: row})
    verdict = "skipped" if "skip" in row else row.get("failure") or row["verdict"]
    print(f"{row['name']}: {verdict[:160]} {row.get('sentence', '')}", flush=True)


def write_page() -> None:
    rows = read_rows(RESULTS)
    lines = [
        "# Coverage",
        "",
        "Every row is a run: captured by today's PyTorch with random weights, converted, and verified in OneFlow 0.9.0",
        "against what PyTorch computed (`make coverage`). The numbers are distances to PyTorch's float64 result, in",
        "units of how far PyTorch's own float32 lies from it; up to 3 is noise, and beyond that both sides are",
        "compared in float64, which has the last word ([parity.md](parity.md)). `other size` is another run at other",
        "sizes of the dynamic axes; `layers` is how many tensors of layers were compared one by one; `gradients`,",
        "`SGD` and `AdamW` are of a training step.",
        "",
    ]
    for library in dict.fromkeys(name.partition("/")[0] for name in rows):
        mine = {name: row for name, row in rows.items() if name.startswith(f"{library}/")}
        tried = {name: row for name, row in mine.items() if "skip" not in row}
        good = sum(row.get("verdict") in FINE for row in tried.values())
        lines += [f"## {library}: {good} of {len(tried)}", ""]
        lines += [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        lines += [_row(name.partition("/")[2], row) for name, row in sorted(tried.items())]
        skipped = {name: row["skip"] for name, row in mine.items() if "skip" in row}
        if skipped:
            lines += ["", "PyTorch does not export these:", "", "| model | reason |", "|---|---|"]
            lines += [f"| {name.partition('/')[2]} | {_cell(reason)} |" for name, reason in sorted(skipped.items())]
        lines.append("")
    PAGE.write_text("\n".join(lines), "utf-8")


def _row(name: str, row: dict[str, Any]) -> str:
    def ratio(part: str) -> str:
        return f"{row[part]['ratio']:.2f}" if part in row else ""

    if "failure" in row:
        return f"| {name} | **fails**: {_cell(row['failure'])} | | | | | | | | | | {row.get('lines', '')} |"
    doubles = [row[part]["double"] for part in row if isinstance(row[part], dict) and "double" in row[part]]
    keys = "equal" if row["keys"] and row["order"] else "order differs" if row["keys"] else "differ"
    verdict = row["verdict"]
    if verdict not in FINE:
        verdict = f"**{verdict}**: {KNOWN.get(row['name']) or _cell(row['sentence'])}"
    cells = [
        name, verdict, ratio("outputs"), f"{row['noise']:.0e}", ratio("second"),
        str(row["own"]["tensors"]) if "own" in row else "", ratio("gradients"), ratio("sgd"), ratio("adamw"),
        f"{max(doubles):.0e}" if doubles else "", keys, str(row["lines"]),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """One line without what would end the cell, and files by their names: where they lay is of no use to a reader."""
    text = re.sub(r"(?<!\w)/(?:[\w.+-]+/)+", "", text.replace("|", " or "))
    return " ".join(text.split())[:300]


if __name__ == "__main__":
    sys.exit(main())
