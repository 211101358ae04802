"""Tests the judge: puts faults into converted models, and counts how many are caught and located.

    .venv/bin/python scripts/faults.py                       all of them; captures go to build/faults
    .venv/bin/python scripts/faults.py 'transformers/*'      those of some models
    .venv/bin/python scripts/faults.py --write-docs          the table in docs/parity.md too

A fault is *caught* if the verdict is not within noise, *located* if the module that is named is the one that carries
it, *named* if one of the first two likely causes speaks of it, and would not do so of anything. Each model without a
fault must raise no alarm. The judge was made better with one part of the faults, and not with the other, *unseen* one:
both are counted apart.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.fault_cases import FAULTS  # noqa: E402
from scripts.fault_cases_unseen import UNSEEN  # noqa: E402
from scripts.fault_kinds import Built, Change, Fault, Source, Swapped, Weight  # noqa: E402
from torch2flow.conversion import convert  # noqa: E402
from torch2flow.proof.parity import Verification, verify_folder  # noqa: E402
from torch2flow.proof.parity.likely_causes import ANY_CODE  # noqa: E402

TORCH = ROOT / ".venv-torch" / "bin" / "python"
CACHE = ROOT / "build" / "faults"
PAGE = ROOT / "docs" / "parity.md"
MARKS = ("caught", "located", "named")
BOTH = (
    "The judge was made better with the former faults; the unseen ones were written when it was finished. A cause\n"
    "that would be right of anything is not counted."
)
HEAD = "# Parity\n\n<!-- faults -->\n<!-- end -->\n"

BUILT = """

def _built(model, _init={cls}.__init__):
    _init(model)
    {statement}


{cls}.__init__ = _built
"""

OPTIMIZER = """

import oneflow as _flow


class {name}(_flow.optim.{instead}):
    def __init__(self, parameters, **settings):
        super().__init__(parameters, **{{**settings, **dict({settings})}})


_flow.optim.{name} = {name}
"""


@dataclass(frozen=True)
class Outcome:
    """What the judge said of a fault, or of a faithful model, whose `fault` is ""."""

    model: str
    fault: str
    caught: bool
    located: bool
    named: bool
    path: str
    sentence: str
    likely: tuple[str, ...]
    seconds: float
    unseen: bool = False
    several: bool = False
    beyond: str = ""


def file_of(folder: Path, model: str) -> Path:
    """What a captured model lies in."""
    return folder / f"{model.replace('/', '-')}-dynamic.pt2"


def captured(models: Iterable[str], folder: Path) -> None:
    """Captures what is not there yet, and converts all of it."""
    capture(models, folder)
    for model in models:
        source = file_of(folder, model)
        convert(source, source.with_suffix(""), overwrite=True)


def capture(models: Iterable[str], folder: Path) -> None:
    """Captures what is not there yet."""
    missing = [model for model in models if not file_of(folder, model).exists()]
    if missing:
        command = [str(TORCH), "-m", "scripts.models", "capture", *missing, "-o", str(folder), "--dynamic"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, "--gradients"], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


def reference_of(folder: Path, model: str) -> Path:
    """What PyTorch's computed."""
    return file_of(folder, model).with_suffix(".reference.safetensors")


# -- putting a fault in --------------------------------------------------------------------------------------


def with_fault(change: Change, out: Path, copy: Path) -> None:
    """Copies a converted model, its weights by links, and puts a fault in.

    Raises:
        ValueError: the converted model no longer has what is to be changed.
    """
    shutil.copytree(out, copy, copy_function=os.link)
    if isinstance(change, Source):
        file = copy / "model.py"
        rewrite(file, edited(file.read_text("utf-8"), change))
    elif isinstance(change, Built):
        file = copy / "model.py"
        cls = manifest(copy)["model"]["class"]
        rewrite(file, file.read_text("utf-8") + BUILT.format(cls=cls, statement=change.statement))
    elif isinstance(change, Swapped):
        one, other = (copy / "weights" / name for name in (change.one, change.other))
        one.rename(copy / "moved")
        other.rename(one)
        (copy / "moved").rename(other)
    elif isinstance(change, Weight):
        shape = next(row["shape"] for row in manifest(copy)["tensors"] if change.name == row["name"])
        file = copy / "weights" / change.name / "out"
        before = np.frombuffer(file.read_bytes(), np.float32).reshape(shape)
        after = change.change(before).astype(np.float32)
        if after.shape != before.shape or np.array_equal(after, before):
            raise ValueError(f"{change.name} is not changed")
        rewrite(file, after.tobytes())
    else:
        file = copy / "model.py"
        code = OPTIMIZER.format(name=change.name, instead=change.instead or change.name, settings=change.settings)
        rewrite(file, file.read_text("utf-8") + code)


def edited(source: str, change: Source) -> str:
    """The source with another text in one class; in none where no class is named."""
    start, end = 0, len(source)
    if change.cls:
        found = re.search(rf"^class {change.cls}\(.*?(?=^\S|\Z)", source, re.S | re.M)
        if found is None:
            raise ValueError(f"there is no class {change.cls}")
        start, end = found.span()
    body = source[start:end]
    if body.count(change.old) != 1:
        raise ValueError(f"{change.cls or 'the source'} has {body.count(change.old)} times {change.old!r}")
    return source[:start] + body.replace(change.old, change.new) + source[end:]


def manifest(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
    return read


def rewrite(file: Path, content: str | bytes) -> None:
    """Writes a file anew, and not into what it is a link to."""
    file.unlink()
    file.write_bytes(content.encode() if isinstance(content, str) else content)


# -- running -------------------------------------------------------------------------------------------------


def judge_fault(fault: Fault, folder: Path) -> Outcome:
    """Puts a fault in, and asks the judge."""
    out = file_of(folder, fault.model).with_suffix("")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        copy = Path(temporary) / "out"
        with_fault(fault.change, out, copy)
        made = verify_folder(copy, reference_of(folder, fault.model))
    where = made.divergence
    about: dict[str, Any] = {"unseen": fault in UNSEEN, "several": len(fault.where) > 1, "beyond": fault.beyond}
    if where is None:
        return Outcome(fault.model, fault.name, False, False, False, "", made.sentence, (), made.seconds, **about)
    told = [text for text in where.likely[:2] if text != ANY_CODE]  # which would be right of anything
    named = any(re.search(fault.cause, text) for text in told)
    located = where.path in fault.where
    return Outcome(
        fault.model, fault.name, True, located, named, where.path, where.sentence, where.likely, made.seconds, **about
    )


def judge_faithful(model: str, folder: Path) -> Outcome:
    """Asks the judge of the model as it was converted."""
    made: Verification = verify_folder(file_of(folder, model).with_suffix(""), reference_of(folder, model))
    path = made.divergence.path if made.divergence else ""
    return Outcome(model, "", not made.faithful, False, False, path, made.sentence, (), made.seconds)


def judged(faults: list[Fault], folder: Path, jobs: int) -> Iterator[Outcome]:
    """All faults and the faithful models, as they come."""
    models = list(dict.fromkeys(fault.model for fault in faults))
    captured(models, folder)
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(judge_faithful, model, folder) for model in models]
        running += [pool.submit(judge_fault, fault, folder) for fault in faults]
        for each in running:
            yield each.result()


# -- what came out -------------------------------------------------------------------------------------------


def rates(outcomes: list[Outcome]) -> list[str]:
    """How many are caught, located and named, of both parts, and how many false alarms there are."""
    lines = []
    for unseen, title in ((False, "faults"), (True, "unseen faults")):
        faults = [each for each in outcomes if each.fault and each.unseen == unseen]
        if faults:
            caught, located, named = (sum(getattr(each, name) for each in faults) for name in MARKS)
            several = sum(each.located and each.several for each in faults)
            aside = f" ({several} of them in one of two or three that are accepted)" if several else ""
            models = len({each.model for each in faults})
            lines.append(
                f"{len(faults)} {title} in {models} architectures: {caught} caught, {located} located in the module "
                f"that carries them{aside}, {named} with the right cause among the first two that are told"
            )
    faithful = [each for each in outcomes if not each.fault]
    alarms = sum(each.caught for each in faithful)
    return [*lines, f"{len(faithful)} faithful conversions: {alarms} false alarms"]


def failed(outcomes: list[Outcome]) -> bool:
    """Whether a fault is missed or misplaced, or a faithful model raises an alarm."""
    return any(not (each.caught and (each.located or each.beyond)) if each.fault else each.caught for each in outcomes)


def show(outcomes: list[Outcome], console: Console) -> None:
    """The table."""
    table = Table(box=None, pad_edge=False)
    for title in ("model", "fault", "caught", "located", "named", "what the judge says"):
        table.add_column(title, overflow="fold")
    for each in outcomes:
        marks = ["yes" if getattr(each, name) else "[red]no[/]" for name in MARKS]
        if not each.fault:
            marks = ["[red]ALARM[/]" if each.caught else "", "", ""]
        said = "\n".join([each.sentence, *(f"- {text}" for text in each.likely[:2])])
        if each.beyond:
            said += f"\nNot to be located: {each.beyond}."
        table.add_row(each.model.partition("/")[2], each.fault or "none", *marks, said.replace("[", r"\["))
    console.print(table)
    for line in rates(outcomes):
        console.print(line)


def page_table(outcomes: list[Outcome]) -> str:
    """The table of the documentation."""
    lines = [*(f"- {line}" for line in rates(outcomes)), "", BOTH, ""]
    lines += ["| model | fault | named as the place | told as the first cause |", "|---|---|---|---|"]
    for each in sorted(outcomes, key=lambda each: each.unseen):
        if each.fault:
            path = f"`{each.path}`" if each.path else "the model"
            if not each.located:
                path = (
                    f"{path}, which is not it{': ' + each.beyond if each.beyond else ''}" if each.caught else "missed"
                )
            model = each.model.partition("/")[2] + (", unseen" if each.unseen else "")
            likely = (each.likely or ("nothing",))[0] + ("" if each.named else " (neither this nor the second is it)")
            lines.append(f"| {model} | {each.fault} | {path} | {likely} |")
    return "\n".join(lines) + "\n"


def write_page(outcomes: list[Outcome]) -> None:
    """Puts the table between its marks."""
    page = PAGE.read_text("utf-8") if PAGE.exists() else HEAD
    block = re.compile(r"(?<=<!-- faults -->\n).*?(?=<!-- end -->)", re.S)
    page, count = block.subn(lambda _: page_table(outcomes), page)
    if count != 1:
        raise SystemExit(f"{PAGE.name} has {count} places for the table")
    PAGE.write_text(page, "utf-8")


def main() -> int:
    """Runs the faults; 1 if one is missed or misplaced, or a faithful model raises an alarm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["*"], metavar="NAME", help="models, or words of faults' names")
    parser.add_argument("--folder", type=Path, default=CACHE, metavar="DIR", help="where captured models are kept")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many at a time (2)")
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/parity.md")
    arguments = parser.parse_args()
    chosen = [
        fault
        for fault in (*FAULTS, *UNSEEN)
        if any(fnmatch(fault.model, name) or name in fault.name for name in arguments.names)
    ]
    if not chosen:
        parser.error(f"no model or fault is named {' or '.join(arguments.names)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    waiting = Console(stderr=True)
    with waiting.status("capturing") as status:
        for outcome in judged(chosen, arguments.folder, arguments.jobs):
            outcomes.append(outcome)
            status.update(f"{len(outcomes)} of {len(chosen)}: {outcome.model}")
    if arguments.json:
        print(json.dumps([asdict(each) for each in outcomes], indent=1))
    else:
        show(outcomes, Console(width=None if sys.stdout.isatty() else 200))
    if arguments.write_docs:
        write_page(outcomes)
    return int(failed(outcomes))


if __name__ == "__main__":
    sys.exit(main())
