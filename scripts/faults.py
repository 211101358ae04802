"""Tests the judge: puts faults into converted models, and counts how many are caught and located.

    .venv/bin/python scripts/faults.py                       all of them; captures and outcomes go to build/faults
    .venv/bin/python scripts/faults.py 'transformers/*'      those of some models
    .venv/bin/python scripts/faults.py Gpt Vae --count 40    more of some small models
    .venv/bin/python scripts/faults.py --write-docs          the tables in docs/parity.md too

The faults are of two sorts: some were written by hand (`fault_cases.py`, and the *unseen* ones, which were written when
the judge was finished), the others are made by a seed out of the source and the weights of small models (`mutants.py`).
Where these lie, and whether they are faults at all, is found by running them (`mutant_judging.py`).

A fault is *caught* if the verdict is not within noise, *located* if the module that is named is one that carries it,
*named* if one of the first two likely causes speaks of it, and would not do so of anything. Each model without a fault
must raise no alarm. An outcome is kept until the judge's code or the fault changes, so a run that was ended goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
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
from scripts.mutant_judging import judge_mutants, judges_code  # noqa: E402
from scripts.mutants import mutants  # noqa: E402
from torch2flow.conversion import convert  # noqa: E402
from torch2flow.proof.parity import Request, Verification, verify_folder  # noqa: E402
from torch2flow.proof.parity.likely_causes import ANY_CODE  # noqa: E402

TORCH = ROOT / ".venv-torch" / "bin" / "python"
CACHE = ROOT / "build" / "faults"
PAGE = ROOT / "docs" / "parity.md"
CASES = ROOT / "tests" / "models" / "codegen" / "programs.py"
GOALS = {"caught": 97, "located": 90, "named": 85}
"""Of a hundred faults that a run can reach."""

BY_HAND, UNSEEN_KIND = "written by hand", "written by hand, unseen"

HALF_PRECISION = ("bfloat16", "float16")
"""Cases that OneFlow's CPU lacks the kernels for."""

NO_GRAPHS = ("ConvNext",)
"""Models that OneFlow 0.9.0 can't run as a Graph: it ends the process."""

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
    """What the judge said of a fault, or of a faithful model, whose `fault` is "".

    Attributes:
        model: as `scripts.models` or `scripts.small_models` names it.
        fault: what is wrong, in words.
        kind: of the fault.
        outcome: "caught", "missed", "unreached" (no run shows it), or "equivalent" (it is no fault).
        located: the module that was named carries it.
        named: one of the first two causes is the right one.
        path: of the module that was named.
        sentence: the verdict.
        likely: the causes that were told.
        told: of one that is unreached: the verdict says that its line was not exercised.
        beyond: why it can't be located.
    """

    model: str
    fault: str
    kind: str = ""
    outcome: str = "caught"
    located: bool = False
    named: bool = False
    path: str = ""
    sentence: str = ""
    likely: tuple[str, ...] = ()
    told: bool = False
    beyond: str = ""

    @property
    def caught(self) -> bool:
        return self.outcome == "caught"

    @property
    def counted(self) -> bool:
        """Whether this is a fault, and one that a run can reach."""
        return bool(self.fault) and self.outcome in ("caught", "missed")


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
    where, kind = made.divergence, UNSEEN_KIND if fault in UNSEEN else BY_HAND
    if where is None:
        return Outcome(fault.model, fault.name, kind, "missed", sentence=made.sentence, beyond=fault.beyond)
    told = [text for text in where.likely[:2] if text != ANY_CODE]  # which would be right of anything
    return Outcome(
        fault.model,
        fault.name,
        kind,
        "caught",
        where.path in fault.where,
        any(re.search(fault.cause, text) for text in told),
        where.path,
        where.sentence,
        where.likely,
        beyond=fault.beyond,
    )


def judge_faithful(model: str, out: Path, recording: Path, *, graph: bool = False) -> Outcome:
    """Asks the judge of the model as it was converted."""
    made: Verification = verify_folder(out, recording, Request(graph=graph))
    path = made.divergence.path if made.divergence else ""
    return Outcome(model, "", "", "missed" if made.faithful else "caught", path=path, sentence=made.sentence)


def judge_made(name: str, folder: Path, count: int, seed: int) -> Iterator[Outcome]:
    """Faults of a small model, made by a seed."""
    out, reference = folder / name, folder / f"{name}.reference.safetensors"
    for row in judge_mutants(out, reference, mutants(out, count, seed), folder / f"{name}.outcomes"):
        fields = {key: row[key] for key in ("kind", "outcome", "located", "named", "path", "sentence")}
        yield Outcome(name, row["name"], **fields, likely=tuple(row["likely"]), told=row.get("told", False))


class Kept:
    """Outcomes that are kept in a file until the judge's code changes."""

    def __init__(self, file: Path) -> None:
        self.file = file
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        self.rows: dict[str, dict[str, Any]] = dict(json.loads(line) for line in lines)

    def get(self, name: str, recording: Path, make: Callable[[], Outcome]) -> Outcome:
        """The outcome of a name, made if it is not there."""
        key = hashlib.sha256(f"{name}{recording.stat().st_mtime_ns}{judges_code()}".encode()).hexdigest()[:24]
        if key not in self.rows:
            self.rows[key] = asdict(make())
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, self.rows[key]]) + "\n")
        return Outcome(**{**self.rows[key], "likely": tuple(self.rows[key]["likely"])})


def small_models(folder: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Captures and converts the small models, and returns their names."""
    source = (ROOT / "scripts" / "small_models.py").read_text("utf-8")
    names = [name for name, body in re.findall(r"^class (\w+)\((.*?)(?=^class |\Z)", source, re.S | re.M)]
    subprocess.run([str(TORCH), "-m", "scripts.small_models", str(folder)], cwd=ROOT, check=True)
    names = [name for name in names if (folder / f"{name}.pt2").exists() and wanted(name)]
    for name in names:
        convert(folder / f"{name}.pt2", folder / name, overwrite=True)
    return names


def cases(folder: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Captures and converts the cases of the tests, and returns their names."""
    out = folder / "cases"
    if not out.exists():
        out.mkdir()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([str(TORCH), str(CASES), str(out)], env=environment, check=True)
    names = sorted(path.stem for path in out.glob("*.pt2"))
    names = [name for name in names if name not in HALF_PRECISION and wanted(name)]
    for name in names:
        convert(out / f"{name}.pt2", out / name, overwrite=True)
    return names


def judged(
    faults: list[Fault], folder: Path, jobs: int, count: int, seed: int, wanted: Callable[[str], bool]
) -> Iterator[Outcome]:
    """All faults and the faithful models, as they come."""
    models = list(dict.fromkeys(fault.model for fault in faults))
    captured(models, folder)
    small, plain = small_models(folder, wanted), cases(folder, wanted)
    kept = Kept(folder / "outcomes")

    def faithful(model: str, out: Path, graph: bool) -> Outcome:
        recording = out.with_name(f"{out.name}.reference.safetensors")
        return kept.get(f"{model} {graph}", recording, lambda: judge_faithful(model, out, recording, graph=graph))

    def by_hand(fault: Fault) -> Outcome:
        recording = reference_of(folder, fault.model)
        return kept.get(f"{fault.model} {fault.name}", recording, lambda: judge_fault(fault, folder))

    with ThreadPoolExecutor(jobs) as pool:
        made = [pool.submit(lambda name=name: list(judge_made(name, folder, count, seed))) for name in small]
        running = [pool.submit(faithful, name, folder / name, name not in NO_GRAPHS) for name in small]
        running += [pool.submit(faithful, name, folder / "cases" / name, False) for name in plain]
        running += [pool.submit(faithful, model, file_of(folder, model).with_suffix(""), False) for model in models]
        running += [pool.submit(by_hand, fault) for fault in faults]
        for each in made:
            yield from each.result()
        for one in running:
            yield one.result()


# -- what came out -------------------------------------------------------------------------------------------


def percent(outcomes: list[Outcome], mark: str) -> float:
    """How many of a hundred faults that a run can reach have a mark."""
    counted = [each for each in outcomes if each.counted]
    return 100 * sum(bool(getattr(each, mark)) for each in counted) / len(counted) if counted else 100.0


def rates(outcomes: list[Outcome]) -> list[str]:
    """How many are caught, located and named, and how many false alarms there are."""
    lines = []
    counted = [each for each in outcomes if each.counted]
    if counted:
        shares = ", ".join(
            f"{sum(bool(getattr(each, mark)) for each in counted)} {words} ({percent(outcomes, mark):.1f} %)"
            for mark, words in (
                ("caught", "caught"),
                ("located", "located in a module that carries them"),
                ("named", "with the right cause among the first two that are told"),
            )
        )
        lines.append(f"{len(counted)} faults in {len({each.model for each in counted})} models: {shares}")
    unreached = [each for each in outcomes if each.outcome == "unreached"]
    if unreached:
        told = sum(each.told for each in unreached)
        lines.append(f"{len(unreached)} more that no run reaches: {told} in lines that the verdict calls not exercised")
    equivalent = sum(each.outcome == "equivalent" for each in outcomes)
    if equivalent:
        lines.append(f"{equivalent} changes that are none: both models compute the same of many random inputs")
    faithful = [each for each in outcomes if not each.fault]
    alarms = sum(each.caught for each in faithful)
    return [*lines, f"{len(faithful)} faithful conversions: {alarms} false alarms"]


def failed(outcomes: list[Outcome]) -> bool:
    """Whether a goal is missed, or a faithful model raises an alarm."""
    alarms = any(each.caught for each in outcomes if not each.fault)
    return alarms or any(percent(outcomes, mark) < goal for mark, goal in GOALS.items())


def show(outcomes: list[Outcome], console: Console) -> None:
    """The table of what is not as it should be, and the rates."""
    table = Table(box=None, pad_edge=False)
    for title in ("model", "kind", "fault", "outcome", "located", "named", "what the judge says"):
        table.add_column(title, overflow="fold")
    for each in outcomes:
        fine = each.outcome == "equivalent" or (each.caught and each.located and each.named)
        if fine or (not each.fault and not each.caught):
            continue
        marks = ["yes" if mark else "[red]no[/]" for mark in (each.located, each.named)]
        said = "\n".join([each.sentence, *(f"- {text}" for text in each.likely[:2])])
        if each.beyond:
            said += f"\nNot to be located: {each.beyond}."
        outcome = each.outcome if each.fault else "[red]ALARM[/]"
        table.add_row(each.model, each.kind, each.fault or "none", outcome, *marks, said.replace("[", r"\["))
    console.print(table)
    for line in rates(outcomes):
        console.print(line)


def page_table(outcomes: list[Outcome]) -> str:
    """The tables of the documentation: by kind, and what was missed."""
    lines = [*(f"- {line}" for line in rates(outcomes)), ""]
    lines += ["| kind of fault | faults | caught | located | right cause | such as |", "|---|---|---|---|---|---|"]
    counted = [each for each in outcomes if each.counted]
    for kind in sorted({each.kind for each in counted}):
        group = [each for each in counted if each.kind == kind]
        sums = [str(sum(bool(getattr(each, mark)) for each in group)) for mark in ("caught", "located", "named")]
        right = [each for each in group if each.named] or group
        example = next((each for each in right if "numbers are PyTorch's" in "".join(each.likely[:1])), right[0])
        such = f"{(example.likely or ('nothing is told',))[0]}".replace("|", "\\|")
        lines.append(f"| {kind} | {len(group)} | {' | '.join(sums)} | {such} |")
    missed = [each for each in counted if not each.caught] + [
        each for each in outcomes if each.outcome == "unreached" and not each.told
    ]
    if missed:
        lines += ["", "Not caught:", ""]
        lines += [f"- {each.model.partition('/')[2] or each.model}: {each.kind}, {each.fault}" for each in missed]
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
    """Runs the faults; 1 if a goal is missed, or a faithful model raises an alarm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["*"], metavar="NAME", help="models, or words of faults' names")
    parser.add_argument("--folder", type=Path, default=CACHE, metavar="DIR", help="where captured models are kept")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many at a time (2)")
    parser.add_argument("--count", type=int, default=12, metavar="N", help="so many faults of each small model (12)")
    parser.add_argument("--seed", type=int, default=0, help="of the faults that are made (0)")
    parser.add_argument("--made", action="store_true", help="only the faults that are made by a seed")
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/parity.md")
    arguments = parser.parse_args()

    def wanted(model: str) -> bool:
        return any(fnmatch(model, name) for name in arguments.names)

    chosen = [
        fault
        for fault in (*FAULTS, *UNSEEN)
        if not arguments.made and (wanted(fault.model) or any(name in fault.name for name in arguments.names))
    ]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    waiting, started = Console(stderr=True), time.monotonic()
    with waiting.status("capturing") as status:
        for outcome in judged(chosen, arguments.folder, arguments.jobs, arguments.count, arguments.seed, wanted):
            outcomes.append(outcome)
            status.update(f"{len(outcomes)} judged: {outcome.model}")
    if not outcomes:
        parser.error(f"no model or fault is named {' or '.join(arguments.names)}")
    if arguments.json:
        print(json.dumps([asdict(each) for each in outcomes], indent=1))
    else:
        show(outcomes, Console(width=None if sys.stdout.isatty() else 200))
        print(f"{time.monotonic() - started:.0f} s")
    if arguments.write_docs:
        write_page(outcomes)
    return int(failed(outcomes))


if __name__ == "__main__":
    sys.exit(main())
