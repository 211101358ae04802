"""Measures torch2flow side by side with what it is to be compared with: `make bench`, or

    .venv/bin/python benchmarks/run.py --quick              every benchmark at a tenth of its size
    .venv/bin/python benchmarks/run.py --only convert --runs 7 --dir /mnt/disk

Ends with 1 if a benchmark could not run; a target that is missed is told, and no failure.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from cases import BENCHMARKS
from lab import Lab, free_bytes, laboratory, load_average, machine
from measuring import FailedRunError
from report import LEGEND, Comparison, as_markdown, as_text, write_docs


def main() -> int:
    """Parses, measures, prints."""
    options = _arguments()
    chosen = options.only or list(BENCHMARKS)
    failed: list[str] = []
    comparisons: list[Comparison] = []
    with laboratory(options.dir, options.runs or (2 if options.quick else 5), options.quick) as lab:
        circumstances = f"{machine(lab.folder)}; {lab.runs} runs of each"
        print(f"{circumstances}; load average {load_average()}\n\n{LEGEND}\n", flush=True)
        if lab.quick:
            print("Small sizes: start-up weighs more than it should; the targets are those of the full ones.\n")
        for name in chosen:
            needed, free = BENCHMARKS[name].needs // (10 if lab.quick else 1), free_bytes(lab.folder)
            if needed > free:
                print(f"{name}: needs {needed:,} bytes of disk, {free:,} are free; --dir chooses another disk")
                failed.append(name)
                continue
            try:
                found = _run(name, lab)
                comparisons += found
                if options.write_docs:
                    now = f"{circumstances}; load average at the end {load_average()}"
                    write_docs(name, as_markdown(found, now))
            except (FailedRunError, OSError) as error:
                print(f"{name} could not run: {error}", file=sys.stderr)
                failed.append(name)
        circumstances += f"; load average at the end {load_average()}"
    print(circumstances)
    missed = [t for c in comparisons for t in c.targets if t.met is False]
    print(f"{sum(len(c.targets) for c in comparisons)} figures, {len(missed)} targets missed")
    print("Wait five minutes before the next run on ext4: many files were just deleted (docs/performance.md).")
    if options.json:
        rows = [comparison.to_json() for comparison in comparisons]
        options.json.write_text(json.dumps({"machine": circumstances, "comparisons": rows}, indent=1))
    if failed:
        print(f"could not run: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str, lab: Lab) -> list[Comparison]:
    comparisons = []
    for comparison in BENCHMARKS[name].run(lab):
        print(as_text(comparison), end="\n\n", flush=True)
        comparisons.append(comparison)
    return comparisons


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes and two runs: does all of it work?")
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--runs", type=int, metavar="N", help="measured runs of each contender (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--dir", type=Path, metavar="PATH", help="where to write (default: the temporary folder)")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/performance.md")
    options = parser.parse_args()
    if options.write_docs and options.quick:
        parser.error("--write-docs needs the benchmarks at their full size")
    return options


if __name__ == "__main__":
    sys.exit(main())
