"""The sessions in the documentation are real: runs every ```console block again and compares, or rewrites it.

    python scripts/docs_sessions.py            exit code 1 if a page shows what is not so
    python scripts/docs_sessions.py --write    put what the commands print now into the pages

The blocks of one page are one session of bash: `cd` holds from one to the next. It starts in a folder like a
clone after `make demo`: `demo-out/`, `tests/`, `examples/`, and `torch2flow` and `python` on PATH.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    "README.md", "README.zh-CN.md", "docs/weights.md", "docs/zh-CN/weights.md", "docs/models.md", "docs/diff.md",
    "docs/formats.md", "docs/scale.md", "docs/zoo.md",
)  # fmt: skip
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.M | re.S)
MARK = "--- next command ---"
HOME = "/home/you/torch2flow"

VARYING = (
    (r"\d+\.\d\d s\b", "0.00 s"),
    (r"\b[\d.]+ (bytes|kB|MB|GB)/s", "0 MB/s"),
    (r"\bloss \d+\.\d\b", "loss 0.0"),
    (r"\b\d\.\de-\d\d\b", "0.0e-00"),
    (r"\b[\d,.]+x the noise", "0x the noise"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+:\d]*", "2023-01-01T00:00:00+00:00"),
)
"""What may differ from run to run: times, rates, dates; and what depends on how a processor rounds."""


def main() -> int:
    """Checks or writes all pages; 1 if one does not show what is so."""
    parser = argparse.ArgumentParser(description="Run the sessions of the documentation again.")
    parser.add_argument("--write", action="store_true", help="write what the commands print into the pages")
    parser.add_argument("--demo", type=Path, metavar="DIR", help="what `make demo` left behind; by default it is run")
    arguments = parser.parse_args()
    write, wrong = arguments.write, 0
    with tempfile.TemporaryDirectory(dir=arguments.demo and arguments.demo.parent) as folder:
        demo = arguments.demo or make_demo(Path(folder))
        known: Known = {}
        for name in PAGES:
            page = ROOT / name
            before = page.read_text("utf-8")
            after = renew(before, demo, known)
            if write:
                page.write_text(after, "utf-8")
            elif after != before:
                wrong = 1
                shown = difflib.unified_diff(before.splitlines(), after.splitlines(), name, "a new run", lineterm="")
                print("\n".join(shown))
    return wrong


def make_demo(folder: Path) -> Path:
    """What `make demo` leaves behind."""
    out = folder / "demo-out"
    command = [sys.executable, str(ROOT / "scripts" / "demo.py"), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


Known = dict[tuple[str, int], str]
"""A line without what varies, and the how many-th such line of its page it is; and the line as it is shown."""


def renew(page: str, demo: Path, known: Known) -> str:
    """The page with what its commands print now; a line that is the same but for times stays as it is.

    Args:
        page: its text.
        demo: what `make demo` left behind.
        known: lines of earlier pages, added to: two languages show the same session.
    """
    with tempfile.TemporaryDirectory(dir=demo.parent) as folder:
        shutil.copytree(demo, Path(folder, "demo-out"), copy_function=os.link)
        for name in ("tests", "examples"):
            Path(folder, name).symlink_to(ROOT / name)
        fresh = run_once(tuple(BLOCK.findall(page)), Path(folder))
    for text in (BLOCK.findall(page), fresh):
        for key, line in numbered(text):
            known.setdefault(key, line)
    lines = iter([known[key] for key, _ in numbered(fresh)])
    blocks = iter(["".join(f"{next(lines)}\n" for _ in block.splitlines()) for block in fresh])
    return BLOCK.sub(lambda _: next(blocks), page)


def numbered(blocks: list[str]) -> Iterator[tuple[tuple[str, int], str]]:
    """Every line with its key in `Known`."""
    seen: Counter[str] = Counter()
    for line in (line for block in blocks for line in block.splitlines()):
        constant = masked(line)
        seen[constant] += 1
        yield (constant, seen[constant]), line


def masked(text: str) -> str:
    """The text without what varies."""
    for pattern, constant in VARYING:
        text = re.sub(pattern, constant, text)
    return text


def commands(block: str) -> list[str]:
    """The lines that a person types."""
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


RAN: dict[tuple[str, ...], list[str]] = {}


def run_once(blocks: tuple[str, ...], folder: Path) -> list[str]:
    """What the blocks print; two languages show the same session, which is run once."""
    typed = tuple(command for block in blocks for command in [*commands(block), ""])
    if typed not in RAN:
        RAN[typed] = run(list(blocks), folder)
    return RAN[typed]


def run(blocks: list[str], folder: Path) -> list[str]:
    """Runs the blocks in one shell; gives them back with what was printed, errors included."""
    lines = [line for block in blocks for line in commands(block)]
    script = "".join(f"_status=$?; echo '{MARK}'; (exit $_status)\n{line}\n" for line in lines)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "100", "HOME": str(folder)}
    done = subprocess.run(
        ["bash", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )
    printed = done.stdout.replace(str(folder), HOME).split(f"{MARK}\n")[1:]
    outputs = iter("\n".join(line.rstrip() for line in text.splitlines()) for text in printed)
    result = []
    for block in blocks:
        shown = [f"$ {command}\n{output}" for command, output in zip(commands(block), outputs, strict=False)]
        result.append("\n".join(text.rstrip("\n") for text in shown) + "\n")
    return result


if __name__ == "__main__":
    sys.exit(main())
