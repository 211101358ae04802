"""Attacks the readers and the command line for a while, and prints how many inputs there were and what became of them.

    python scripts/attacks.py                         an hour: all of tests/attacks and tests/guards
    python scripts/attacks.py --seconds 600 --readers ten minutes of damaged files, and of values edited by hand
    python scripts/attacks.py --counts counts.jsonl   keeps the counts, one line of JSON for each test

The table is that of docs/security.md. The exit code is pytest's: 0 if there was no finding.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READERS = ("tests/attacks/test_fuzz.py", "tests/attacks/test_manifests.py", "tests/attacks/test_recordings.py")
EVERYTHING = ("tests/attacks", "tests/guards")
ENDLESS = ("test_fuzz.py", "test_generated_source.py", "test_writing_faults.py")
"""Of tests/attacks, what shares the time."""

COLUMNS = ("inputs", "refused", "accepted", "faults")


def main() -> None:
    """Runs the tests with as much time as was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=int, default=3600, help="for what can be tried for ever; all else is done to its end"
    )
    parser.add_argument("--readers", action="store_true", help="only the readers of files")
    parser.add_argument("--counts", type=Path, help="where to keep the counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = arguments.counts or Path(folder) / "counts.jsonl"
        counts.unlink(missing_ok=True)
        each = arguments.seconds if arguments.readers else max(1, arguments.seconds // len(ENDLESS))
        environment = {
            **os.environ,
            "TORCH2FLOW_FUZZ_SECONDS": str(each),
            "TORCH2FLOW_COUNTS": str(counts.resolve()),
        }
        command = [sys.executable, "-m", "pytest", "-q", *(READERS if arguments.readers else EVERYTHING)]
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        print_table([json.loads(line) for line in counts.read_text().splitlines()] if counts.exists() else [])
    sys.exit(code)


def print_table(rows: list[dict[str, int | str]]) -> None:
    """Prints the counts as Markdown."""
    print(f"\n| what was tried | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    for row in rows:
        print(f"| {row['what']} | {' | '.join(f'{row[column]:,}' for column in COLUMNS)} |")
    sums = [sum(int(row[column]) for row in rows) for column in COLUMNS]
    print(f"| all | {' | '.join(f'{each:,}' for each in sums)} |")


if __name__ == "__main__":
    main()
