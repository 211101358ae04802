"""Every case of `cases/`: the author's modules become the source that stands under them, and compute the same."""

from __future__ import annotations

import ast
import difflib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from torch2flow.checkpoints.writing import Options
from torch2flow.conversion import Result, convert
from torch2flow.proof.parity import open_reference, verify_folder
from torch2flow.proof.parity.compared_models import load_package

sys.path.insert(0, str(Path(__file__).parent))
from programs import CASES, NAMES, halves, write

pytestmark = pytest.mark.oneflow  # capturing takes a while: once is enough

HALF_PRECISION = ["bfloat16", "float16"]
"""Cases that OneFlow's CPU lacks the kernels for."""


def source_of(result: Result) -> tuple[str, str]:
    """The docstring that heads the generated source, and all after it."""
    assert result.model_source is not None
    text = result.model_source.text
    head = ast.parse(text).body[0]
    assert head.end_lineno is not None
    lines = text.splitlines(keepends=True)
    return "".join(lines[: head.end_lineno]), "".join(lines[head.end_lineno :]).lstrip("\n")


@pytest.mark.parametrize("name", NAMES)
def test_the_source_reads_as_the_case_says(name: str, converted: Callable[[str], Result]) -> None:
    """`make golden` writes it anew."""
    _, found = source_of(converted(name))
    if os.environ.get("TORCH2FLOW_GOLDEN"):
        write(name, found)
    _, expected = halves(name)
    if found != expected:
        file = f"cases/{name}.py"
        difference = difflib.unified_diff(
            expected.splitlines(), found.splitlines(), file, "what it becomes now", lineterm=""
        )
        text = "\n".join(difference)
        pytest.fail(f"{text}\n\nmake golden renews it; read what changes.", pytrace=False)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HALF_PRECISION])
def test_a_case_computes_what_pytorch_does(
    name: str, cases: Path, converted: Callable[[str], Result], flow: ModuleType
) -> None:
    """Outputs, other sizes of the dynamic axes, gradients and a step of SGD, and the keys in their order."""
    folder = converted(name).out
    model = load_package(folder).load_model()
    assert list(model.state_dict()) == (cases / f"{name}.keys").read_text().split()
    found = verify_folder(folder, cases / f"{name}.pt2")
    assert found.faithful, found.sentence
    assert found.ledger.parts["outputs"]


@pytest.mark.parametrize("name", HALF_PRECISION)
def test_a_case_of_half_precision_says_where_it_runs_and_runs_as_float32(
    name: str, cases: Path, converted: Callable[[str], Result], tmp_path: Path, flow: ModuleType
) -> None:
    assert any("lacks most CPU kernels" in note for note in converted(name).model_source.notes)  # type: ignore[union-attr]
    convert(cases / f"{name}.pt2", tmp_path / "out", Options(dtype="float32"))
    reference = open_reference(cases / f"{name}.pt2")
    assert reference is not None
    given = flow.tensor(reference.array("input.0").astype(np.float32))
    found = load_package(tmp_path / "out").load_model()(given).numpy()
    assert np.allclose(found, reference.array("output.0").astype(np.float32), atol=2e-2)


def test_a_size_that_takes_another_branch_is_refused_in_words(
    converted: Callable[[str], Result], flow: ModuleType
) -> None:
    result = converted("sizes_of_another_branch")
    assert any("axis 0 of x must be at most 8" in note for note in result.model_source.notes)  # type: ignore[union-attr]
    model = load_package(result.out).load_model()
    assert model(flow.ones(8, 4)).shape == (4,)
    with pytest.raises(ValueError, match="at most 8: PyTorch's code goes another way"):
        model(flow.ones(9, 4))
    with pytest.raises(ValueError, match="x.shape.1. must be 4"):
        model(flow.ones(3, 5))


def test_what_no_program_can_hold_of_the_other_mode_and_of_the_backward_is_told(
    converted: Callable[[str], Result],
) -> None:
    notes = converted("draws_in_python").model_source.notes  # type: ignore[union-attr]
    assert [note for note in notes if "in train mode" in note and "calls Python's random numbers" in note], notes
    told = {name for name in NAMES for note in converted(name).model_source.notes if "mode the original" in note}  # type: ignore[union-attr]
    assert told == {"draws_in_python"}
    notes = converted("differs_in_train_mode").model_source.notes  # type: ignore[union-attr]
    assert [note for note in notes if "backward of Sign in the model itself" in note], notes


def test_draws_are_no_reason_to_doubt_the_program(cases: Path, converted: Callable[[str], Result]) -> None:
    reference = open_reference(cases / "draws.pt2")
    assert reference is not None and "something else" not in reference.metadata["notes"]
    assert not verify_folder(converted("draws").out, cases / "draws.pt2").ledger.remarks


def test_what_differs_by_mode_computes_in_train_mode_what_pytorch_does(
    converted: Callable[[str], Result], flow: ModuleType
) -> None:
    model = load_package(converted("branches_by_mode").out).load_model()
    x = flow.randn(6, 4)
    assert model(x).shape == (6, 3)
    logits, (first, second) = model.train()(x)
    assert logits.shape == first.shape == (6, 3) and second.shape == (6, 4)
    kept = [bool((row == 0).all()) for row in model.blocks[1].drop_path(flow.ones(400, 4))]
    assert 0.4 < sum(kept) / 400 < 0.6


def test_autocast_is_told(converted: Callable[[str], Result]) -> None:
    notes = converted("creates_on_its_device").model_source.notes  # type: ignore[union-attr]
    assert [note for note in notes if "under autocast (cpu, bfloat16)" in note], notes


def test_sizes_are_checked_only_where_a_program_excludes_some(converted: Callable[[str], Result]) -> None:
    for name in NAMES:
        if name not in ("sizes_of_another_branch", "creates_on_its_device", "constants_of_one_mode"):
            assert "goes another way" not in converted(name).model_source.text, name  # type: ignore[union-attr]


@pytest.mark.parametrize("name", NAMES)
def test_no_path_and_no_name_of_this_machine_is_in_the_source(name: str, converted: Callable[[str], Result]) -> None:
    head, source = source_of(converted(name))
    assert f"from {name}.pt2" in head and " for OneFlow" in head
    assert "/" not in head and str(CASES) not in source and f"{name}.py" not in source


def test_all_generated_source_is_lint_clean_and_formatted(converted: Callable[[str], Result], tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(converted(name).model_source.text)  # type: ignore[union-attr]
    for arguments in (
        ["check", "--isolated", "--line-length", "120", "--select", "E,F,W,I,B,UP", "--ignore", "B009,B905"],
        ["format", "--isolated", "--check", "--line-length", "100"],
    ):
        done = subprocess.run([sys.executable, "-m", "ruff", *arguments, str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
