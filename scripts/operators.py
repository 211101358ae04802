#!/usr/bin/env python3
"""Tries every operator rule on many samples of PyTorch's own operator database, and writes docs/operators.md.

    .venv/bin/python scripts/operators.py [--samples 4] [--recording FILE.zip] [--only-print]

Takes some minutes. Needs `make setup`: PyTorch records in .venv-torch, OneFlow computes in .venv.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "models" / "lowering")]

from exceptions import why_exempt  # noqa: E402
from operator_samples import Outcome, Sample, called_by, samples, try_all  # noqa: E402

from torch2flow.models.lowering import operators  # noqa: E402, F401 - registers the rules
from torch2flow.models.lowering.defects import DEFECTS  # noqa: E402
from torch2flow.models.lowering.registry import RULES, Rule, find  # noqa: E402
from torch2flow.models.lowering.renames import FLOAT_RENAMES, RENAMES  # noqa: E402
from torch2flow.models.lowering.unsupported import UNSUPPORTED  # noqa: E402

PAGE = ROOT / "docs" / "operators.md"
INTRODUCTION = """# Operators

Which of PyTorch's operators torch2flow writes in OneFlow, where the rule is, and how many samples agree with PyTorch:
values, dtype and shape, and for float32 also the gradients. The samples are those of PyTorch's own operator database;
many of them are corners no model turns (0-dim tensors, tensors without elements). Written by `scripts/operators.py`
with torch {torch}; `make test` tries a part each time. Floats agree when they lie within 1e-5 of the largest, or
within four times PyTorch's own float32 error.

An operator without an overload stands for all its overloads. A rule is a plain OneFlow function with the operator's
own arguments; where one is missing, the generated model says so and leaves the place to you.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--recording", type=Path)
    parser.add_argument("--only-print", action="store_true", help="write no page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recording = options.recording or Path(folder) / "recording.zip"
        if not recording.exists():
            record(recording, options.samples)
        outcomes = try_all(ROOT / ".venv" / "bin" / "python", recording)
        tried = [(sample, outcomes[sample.number]) for sample in samples(recording)]
        called = {sample.number: called_by(recording, sample, outcomes[sample.number]) for sample, _ in tried}
    wrong = [
        f"{sample}: {outcome.kind}: {outcome.detail}"
        for sample, outcome in tried
        if not agrees(sample, outcome, strict=False)
    ]
    print(*wrong, sep="\n")
    print(f"{Counter(outcome.kind for _, outcome in tried)}; {len(wrong)} of {len(tried)} differ without a reason")
    if not options.only_print:
        PAGE.write_text(page(tried, called), "utf-8")
    return bool(wrong)


def record(path: Path, count: int) -> None:
    """Records samples with today's PyTorch."""
    python = ROOT / ".venv-torch" / "bin" / "python"
    if not python.exists():
        sys.exit(".venv-torch is not there: run make setup")
    command = [python, ROOT / "tests/models/lowering/record.py", path, "--samples", str(count), "--decomposed", "1"]
    subprocess.run([*command, "--dtypes", "float32,int64,int32,bool"], check=True)


def agrees(sample: Sample, outcome: Outcome, strict: bool) -> bool:
    """Whether a sample agrees with PyTorch, or need not."""
    return outcome.kind == "same" or (not strict and bool(why_exempt(sample, outcome)))


def page(tried: list[tuple[Sample, Outcome]], called: dict[int, list[str]]) -> str:
    """The whole page."""
    counts: Counter[str] = Counter()
    same: Counter[str] = Counter()
    for sample, outcome in tried:
        for name in {row_of(target) for target in called[sample.number]}:
            if outcome.kind == "no rule" and name != row_of(outcome.detail):
                continue
            counts[name] += 1
            same[name] += agrees(sample, outcome, strict=True)
    lines = [INTRODUCTION.format(torch="2.13.0"), "| operator | rule | restriction | agree |", "|---|---|---|---|"]
    names = sorted({*RULES, *RENAMES, *FLOAT_RENAMES}, key=lambda name: name.replace("_", ""))
    names = [name for name in names if not name.startswith("torch2flow.")]  # what the reader of programs makes itself
    for name in names:
        lines.append(f"| `{name}` | {rule_of(name)} | {restriction_of(name)} | {agreement(same[name], counts[name])} |")
    lines += ["", "## Without a rule", "", "| operator | why |", "|---|---|"]
    lines += [f"| `{name}` | {why} |" for name, why in sorted(UNSUPPORTED.items())]
    lines += ["", "## What OneFlow 0.9.0 does wrong", "", "On a CPU; the rules named work around it.", ""]
    lines += ["| what | fault | rules |", "|---|---|---|"]
    lines += [f"| {row.name} | {row.fault} | {', '.join(f'`{rule}`' for rule in row.rules)} |" for row in DEFECTS]
    return "\n".join(lines) + "\n"


def row_of(target: str) -> str:
    """The row that a call belongs to: that of its own overload, or of its operator."""
    for table in (RENAMES, FLOAT_RENAMES, RULES):
        for name in (target, target.rpartition(".")[0]):
            if name in table:
                return name
    return target


def rule_of(name: str) -> str:
    rename = RENAMES.get(name) or FLOAT_RENAMES.get(name)
    if rename:
        return f"`{rename}`"
    rule = RULES[name]
    return f"{rule.place.partition(':')[0]}, `{rule.function.__name__}`"


def restriction_of(name: str) -> str:
    rule: Rule | None = None if name in RENAMES or name in FLOAT_RENAMES else find(name) or RULES.get(name)
    return rule.restriction if rule else ""


def agreement(same: int, count: int) -> str:
    return f"{same} of {count}" if count else ""


if __name__ == "__main__":
    sys.exit(main())
