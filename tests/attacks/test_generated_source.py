"""Nothing that a program or a pickled module says becomes code in the source that is written from it.

Hypothesis draws them (`hostile_programs.py`). `TORCH2FLOW_FUZZ_SECONDS=600` draws more than a run of the tests does.
"""

from __future__ import annotations

import ast
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from hypothesis import HealthCheck, Phase, event, given, settings

from torch2flow.conversion import convert
from torch2flow.errors import Torch2FlowError
from torch2flow.models.codegen.writer import Source
from torch2flow.proof.parity.compared_models import load_package

from .corpus import build
from .hostile_programs import documents, finished, pickled_modules, plain_name, programs, written
from .programs import Program, pack

SECONDS = int(os.environ.get("TORCH2FLOW_FUZZ_SECONDS", "15"))
LONGEST = 10
"""Seconds of the processor that one conversion may take."""

PHASES = [Phase.generate, Phase.shrink] if SECONDS <= 15 else [Phase.generate]
hostile = settings(
    max_examples=10 * SECONDS, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True, database=None,
    phases=PHASES,
)  # fmt: skip


@contextmanager
def in_time() -> Iterator[None]:
    """Fails what takes longer than a hostile file may cost."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {LONGEST} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def converted(path: Path, out: Path, **options: Any) -> Source | None:
    """The source of a file; None where the file is refused or holds no model."""
    with in_time():
        try:
            source = convert(path, out, **options).model_source
        except Torch2FlowError as error:
            assert len(str(error)) < 3000
            event(f"refused: {error.what[:60]}")
            return None
    event("converted" if source is not None else "converted without source")
    return source


LIBRARIES = {"oneflow", "oneflow.nn", "oneflow.nn.functional", "copy", "math", "pathlib", "typing", "collections"}
FORBIDDEN = {"__import__", "os", "exec", "eval", "compile", "open", "system", "globals", "vars", "breakpoint"}


def check_source(text: str) -> None:
    """The source is imports of ours, functions and classes; a text of the file is a literal or a checked name."""
    tree = ast.parse(text)
    for statement in tree.body:
        assert isinstance(statement, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef) or (
            isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        ), ast.unparse(statement)
        for inner in statement.body if isinstance(statement, ast.ClassDef) else ():
            assert isinstance(inner, ast.FunctionDef | ast.AnnAssign | ast.Pass), ast.unparse(inner)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert node in tree.body
            modules = {node.module} if isinstance(node, ast.ImportFrom) else {each.name for each in node.names}
            assert modules <= LIBRARIES
        if isinstance(node, ast.Call):
            called = node.func  # a local variable may be called `eval`, as long as nothing calls it
            name = (
                called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
            )
            assert name not in FORBIDDEN, ast.unparse(node)
    plain = text.replace("\n", "")
    assert all(letter.isprintable() for letter in plain), "a letter that changes how the source looks"


@hostile
@given(documents())
def test_a_program_converts_or_is_refused_and_is_never_code(content: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder, "net.pt2"), content)
        source = converted(path, Path(folder, "out"), dry_run=True, partial=True)
        if source is not None:
            check_source(source.text)


@hostile
@given(pickled_modules())
def test_a_pickled_module_converts_with_or_without_source(body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.pth")
        path.write_bytes(build.torch_zip(body))
        source = converted(path, Path(folder, "out"), dry_run=True)
        if source is not None:
            check_source(source.text)


@settings(hostile, max_examples=4 * SECONDS)
@given(programs(plain_name, sound=True))
def test_a_program_with_hostile_names_loads_and_runs(flow: ModuleType, program: Program) -> None:
    """Its keys are those of the file, and it computes something."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = pack(Path(folder, "net.pt2"), finished(program), program.weights()), Path(folder, "out")
        source = converted(path, out)
        if source is None:
            return
        check_source(source.text)
        model = load_package(out).load_model()
        assert set(model.state_dict()) == set(program.weights()), source.text
        model(flow.zeros(2, 4))


@settings(hostile, max_examples=4 * SECONDS)
@given(pickled_modules(sound=True))
def test_a_pickled_module_with_hostile_names_loads(flow: ModuleType, body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "net.pth"), Path(folder, "out")
        path.write_bytes(build.torch_zip(body))
        if converted(path, out) is not None:
            load_package(out).load_model()
