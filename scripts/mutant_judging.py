"""Judges the faults that `scripts/mutants.py` makes of a converted model, and finds out where each really lies.

Nothing about a fault is claimed. Where it lies is told by comparing the modules that both sources build, and by noting
which module's code runs the changed line. A fault that the judge does not catch is run beside the faithful model: on
the recorded inputs (if they differ there, it was *missed*), then on many others (if they differ there, no run has
*reached* it, and the verdict must have named its line; if not, it is *equivalent*, which is no fault).

All faults of a model are judged in one process. One that ends the process is judged again by itself.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.mutants import Mutant  # noqa: E402
from torch2flow.proof.parity.compared_models import Package, untouched  # noqa: E402
from torch2flow.proof.parity.comparison_run import Request, Run  # noqa: E402
from torch2flow.proof.parity.divergence import explicable  # noqa: E402
from torch2flow.proof.parity.ledger import RUNS, Ledger  # noqa: E402
from torch2flow.proof.parity.likely_causes import ANY_CODE  # noqa: E402
from torch2flow.proof.parity.reference import Reference  # noqa: E402
from torch2flow.proof.parity.repairs import explanation  # noqa: E402
from torch2flow.proof.parity.runner import Runner  # noqa: E402
from torch2flow.proof.parity.verification import Verification, verify_folder  # noqa: E402
from torch2flow.proof.watching import CallStack, watched  # noqa: E402
from torch2flow.runtime.nested import leaves  # noqa: E402

Row = dict[str, Any]

GRAPH, CUT = "in graph mode only", ("detach", "no_grad")
DRAWS = 12
SAME64, SAME32, SAME_TRAINED = 1e-9, 1e-5, 1e-3
"""What the judge promises to tell apart, see docs/parity.md."""


def put_in(mutant: Mutant, folder: Path, copy: Path) -> None:
    """Copies a converted model, its weights by links, with the fault in it."""
    shutil.copytree(folder, copy, copy_function=os.link, ignore=shutil.ignore_patterns("__pycache__"))
    changes = {copy / "weights" / name / "out": array.tobytes() for name, array in mutant.weights.items()}
    if mutant.source:
        changes[copy / "model.py"] = mutant.source.encode()
    for file, content in changes.items():
        file.unlink()
        file.write_bytes(content)


def key_of(mutant: Mutant, reference: Path) -> str:
    """What an outcome depends on: the fault, the judge's own code, the recording."""
    text = hashlib.sha256(f"{mutant.name}{mutant.source}{reference.stat().st_mtime_ns}".encode())
    for name in sorted(mutant.weights):
        text.update(mutant.weights[name].tobytes())
    text.update(judges_code().encode())
    return text.hexdigest()[:24]


@cache
def judges_code() -> str:
    """A digest of the judge's own code."""
    text = hashlib.sha256()
    for file in sorted((ROOT / "src" / "torch2flow" / "proof" / "parity").glob("*.py")):
        text.update(file.read_bytes())
    return text.hexdigest()


# -- the parent ----------------------------------------------------------------------------------------------


def judge_mutants(folder: Path, reference: Path, made: list[Mutant], kept: Path | None = None) -> Iterator[Row]:
    """Judges faults of one model; outcomes that are kept in a file are not asked for again."""
    done: dict[str, Row] = {}
    if kept is not None and kept.exists():
        done = {row["key"]: row for row in map(json.loads, kept.read_text("utf-8").splitlines())}
    waiting = {key_of(mutant, reference): mutant for mutant in made}
    for key in list(waiting):
        if key in done:
            waiting.pop(key)
            yield done[key]
    while waiting:
        last, places = "", []
        with tempfile.TemporaryDirectory() as temporary:
            job = Path(temporary) / "job.pickle"
            _write_job(job, folder, reference, waiting)
            command = [sys.executable, str(Path(__file__)), str(job)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, env=environment
            ) as child:
                assert child.stdout is not None
                for line in child.stdout:
                    if line.startswith("begin "):
                        last = line.split()[1]
                    elif line.startswith("["):
                        places = json.loads(line)
                    elif line.startswith("{"):
                        row = json.loads(line)
                        waiting.pop(row["key"])
                        last = ""
                        _keep(kept, row)
                        yield row
        if waiting and not last:
            raise SystemExit(f"the judging of {folder.name} has ended without a word")
        if last:
            mutant = waiting.pop(last)
            row = {**_judge_alone(mutant, folder, reference, places), "key": last}
            _keep(kept, row)
            yield row


def _keep(kept: Path | None, row: Row) -> None:
    if kept is not None:
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _write_job(job: Path, folder: Path, reference: Path, waiting: dict[str, Mutant]) -> None:
    import pickle

    job.write_bytes(pickle.dumps((folder, reference, waiting)))


def _judge_alone(mutant: Mutant, folder: Path, reference: Path, places: list[str]) -> Row:
    """A fault that ends the process of OneFlow: the verdict's own processes survive that."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        copy = Path(temporary) / "out"
        put_in(mutant, folder, copy)
        found = verify_folder(copy, reference, Request(graph=mutant.kind == GRAPH))
    return _row(mutant, found, places)


def _row(mutant: Mutant, found: Verification, places: list[str]) -> Row:
    where = found.divergence
    likely = list(where.likely) if where else []
    told = [text for text in likely[:2] if text != ANY_CODE]
    return {
        "kind": mutant.kind, "name": mutant.name, "outcome": "caught" if where else "missed",
        "places": places, "path": where.path if where else "", "part": where.part if where else "",
        "located": where is not None and where.path in places,
        "named": any(re.search(mutant.cause, text, re.I) for text in told),
        "sentence": found.sentence, "likely": likely, "verdict": found.verdict,
    }  # fmt: skip


# -- the child -----------------------------------------------------------------------------------------------


def child(job: Path) -> None:
    import pickle

    import oneflow as flow

    folder, reference, waiting = pickle.loads(job.read_bytes())
    recording = Reference(reference)
    for key, mutant in waiting.items():
        print(f"begin {key}", flush=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            copy = Path(temporary) / f"m{key}"
            put_in(mutant, folder, copy)
            places = places_of(flow, mutant, folder, copy, recording)
            print(json.dumps(places), flush=True)
            row = _judge(flow, mutant, folder, copy, recording, places)
        print(json.dumps({**row, "key": key}), flush=True)


def _judge(flow: Any, mutant: Mutant, folder: Path, copy: Path, recording: Reference, places: list[str]) -> Row:
    found = Verification(Ledger(), recording)
    comparison = Run(flow, Package(copy), recording, Request(graph=mutant.kind == GRAPH), found.ledger)
    comparison()
    if found.divergence is not None and explicable(found.divergence):
        explained = explanation(comparison.runner, found.divergence)
        if explained is not None:
            found.ledger.explain(found.divergence.tensor, *explained)
    found.notes += found.ledger.remarks
    row = _row(mutant, found, places)
    if row["outcome"] == "missed" and mutant.kind != GRAPH:
        row["outcome"] = reached(flow, folder, copy, recording)
        row["told"] = any(first <= mutant.line <= last for first, last, _ in found.ledger.left_out)
    return row


def places_of(flow: Any, mutant: Mutant, folder: Path, copy: Path, recording: Reference) -> list[str]:
    """The paths of the modules that carry the fault."""
    if mutant.weights:
        return sorted({name.rpartition(".")[0] for name in mutant.weights})
    one, other = (dict(Package(each).build(flow).named_modules()) for each in (folder, copy))
    differ = {path for path in one.keys() | other.keys() if _own(one.get(path)) != _own(other.get(path))}
    if differ:
        return sorted(differ)
    lines, layer = _lines_of(mutant, (folder / "model.py").read_text("utf-8"))
    found = _running(flow, Runner(flow, Package(folder), recording, Ledger()), lines)
    if mutant.kind in CUT and layer:
        found |= {f"{path}.{layer}" if path else layer for path in found}
    return sorted(found)


def _running(flow: Any, runner: Runner, lines: set[int]) -> set[str]:
    """The paths of the modules whose code runs some lines of the faithful model, in either mode."""
    found: set[str] = set()
    model, stack = runner.model(), CallStack()
    name = type(model).__module__

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_globals.get("__name__") != name:
            return None
        if event == "line" and frame.f_lineno in lines:
            found.add(stack.path)
        return trace

    with watched(model, stack), flow.no_grad(), untouched(flow, model):
        for train in (False, True):
            args, keywords = runner.inputs()
            sys.settrace(trace)
            try:
                model.train(train)(*args, **keywords)
            finally:
                sys.settrace(None)
    return found


def _own(module: Any) -> Any:
    """What a module holds itself, without its children."""
    if module is None:
        return None
    plain = {
        name: str(value) for name, value in vars(module).items()
        if isinstance(value, bool | int | float | str | tuple | list) and name[:1] != "_" and name != "training"
    }  # fmt: skip
    parameters = {
        name: (tuple(each.shape), each.requires_grad) for name, each in module._parameters.items() if each is not None
    }
    return type(module).__name__, plain, parameters, sorted(module._buffers)


def _lines_of(mutant: Mutant, source: str) -> tuple[set[int], str]:
    """The lines of the statement that was changed, and the layer that is called in it."""
    around = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt) and node.lineno <= mutant.line <= (node.end_lineno or 0)
    ]
    best: Any = max(around, key=lambda node: node.lineno)
    inside = getattr(best, "body", None)
    if isinstance(best, ast.FunctionDef):  # a default
        return set(range(best.body[0].lineno, (best.end_lineno or 0) + 1)), ""
    end = max(best.lineno, inside[0].lineno - 1) if inside else best.end_lineno
    called = re.search(r"(?:detach|no_grad): self\.([\w.]+)\(", mutant.name)
    return set(range(best.lineno, end + 1)), called[1] if called else ""


# -- which of those that were not caught are faults ----------------------------------------------------------


def reached(flow: Any, folder: Path, copy: Path, recording: Reference) -> str:
    """ "missed" if both models differ on what was recorded, "unreached" if on other inputs only, else "equivalent"."""
    runners = [Runner(flow, Package(each), recording, Ledger()) for each in (folder, copy)]
    prefixes = [prefix for part, prefix in RUNS.items() if part != "again" and recording.names(f"{prefix}input.")]
    for double in (True, False):
        for prefix in prefixes:
            if _differ(
                *(_observed(each, each.inputs(prefix, double=double), double) for each in runners), double=double
            ):
                return "missed"
    rng = np.random.default_rng(0)
    for number in range(DRAWS):
        prefix, double = prefixes[number % len(prefixes)], number % 2 == 0
        scale, offset = rng.choice([0.1, 1.0, 10.0, 300.0]), rng.choice([0.0, 0.0, 5.0, -5.0])

        def draw(name: str, array: Any, scale: float = scale, offset: float = offset) -> Any:
            if array.dtype.kind == "f":
                return (rng.standard_normal(array.shape) * scale + offset).astype(array.dtype)
            if array.dtype.kind == "b":
                return rng.random(array.shape) < rng.choice([0.0, 0.5, 1.0])
            return rng.integers(0, max(int(array.max(initial=0)), 1) + 1, array.shape).astype(array.dtype)

        arrays = recording.inputs(draw, prefix)
        given = []
        for each in runners:
            given.append(_as_tensors(arrays, partial(each.tensor, double=double)))
        if _differ(*(_observed(each, one, double) for each, one in zip(runners, given, strict=True)), double=double):
            return "unreached"
    return "equivalent"


def _as_tensors(nested: Any, tensor: Callable[[Any], Any]) -> Any:
    if isinstance(nested, np.ndarray):
        return tensor(nested)
    if isinstance(nested, dict):
        return {name: _as_tensors(value, tensor) for name, value in nested.items()}
    if isinstance(nested, list | tuple):
        return type(nested)(_as_tensors(value, tensor) for value in nested)
    return nested


def _observed(runner: Runner, given: Any, double: bool) -> dict[str, Any]:
    """What a model makes of inputs in both modes: outputs, gradients, buffers. Dropout draws the same numbers."""
    flow = runner.flow
    args, keywords = given
    seen: dict[str, Any] = {}
    for train in (False, True):
        model = runner.subject.build(flow, double=double).train(train)
        flow.manual_seed(0)
        output = model(*args, **keywords)
        tensors = [leaf for leaf in leaves(output) if isinstance(leaf, flow.Tensor)]
        seen[f"form {train}"] = [str(leaf.dtype) for leaf in tensors]
        for number, leaf in enumerate(tensors):
            seen[f"output {train} {number}"] = leaf.numpy()
        loss = sum((leaf * runner.tensor(_weights(leaf), double)).sum() for leaf in tensors if leaf.requires_grad)
        if isinstance(loss, flow.Tensor):
            loss.backward()
        for name, parameter in model.named_parameters():
            seen[f"trained {name}"] = parameter.requires_grad
            if parameter.grad is not None:
                seen[f"gradient {train} {name}"] = parameter.grad.numpy()
        for name, buffer in model.named_buffers():
            seen[f"buffer {train} {name}"] = buffer.numpy()
    return seen


def _weights(leaf: Any) -> Any:
    return np.random.default_rng(1).standard_normal(tuple(leaf.shape)).astype(np.float32)


def _differ(one: dict[str, Any], other: dict[str, Any], *, double: bool) -> bool:
    if one.keys() != other.keys():
        return True
    largest = max(
        (
            float(np.abs(np.nan_to_num(value)).max(initial=0))
            for name, value in one.items()
            if name.startswith("gradient")
        ),
        default=0.0,
    )
    for name, value in one.items():
        if not isinstance(value, np.ndarray):
            if value != other[name]:
                return True
            continue
        found = other[name]
        if found.shape != value.shape or not np.array_equal(np.isfinite(found), np.isfinite(value)):
            return True
        finite = np.isfinite(value)
        wide = [np.where(finite, each, 0).astype(np.float64) for each in (value, found)]
        scale = max(
            float(np.abs(wide[0]).max(initial=0)), (1e-6 if double else 1e-3) * largest if "gradient" in name else 0.0
        )
        allowed = SAME64 if double else SAME_TRAINED if not name.startswith("output False") else SAME32
        if float(np.abs(wide[0] - wide[1]).max(initial=0)) > allowed * scale:
            return True
    return False


if __name__ == "__main__":
    child(Path(sys.argv[1]))
