"""No command imports what lies in the current folder, and no child is started but by `guards/child_python.py`."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from torch2flow.cli.commands import cli

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "torch2flow"

SAID = {"runtime/doctor.py", "runtime/packages.py", "runtime/import_causes.py", "proof/capture/elsewhere.py"}
SAID |= {"cli/models.py", "cli/guard.py", "cli/port_proof.py"}
"""Files that name the interpreter in what they say, or as the default of an option; they start none by it."""

PACKAGES = (
    "numpy ml_dtypes rich click black tomli tomllib torch torchvision timm oneflow flowvision jinja2 plotly PIL google"
    " sitecustomize usercustomize torch2flow __future__ typing_extensions packaging pathspec platformdirs markdown_it"
).split()


def test_no_other_place_starts_python() -> None:
    for path in SOURCE.rglob("*.py"):
        name, text = str(path.relative_to(SOURCE)), path.read_text("utf-8")
        nodes = list(ast.walk(ast.parse(text)))
        if any(isinstance(node, ast.Attribute) and node.attr == "executable" for node in nodes):
            assert name in {*SAID, "guards/child_python.py"}, f"{name} names the interpreter"
        if "subprocess." in text and name not in (
            "runtime/importing.py",
            "proof/child_process.py",
        ):  # grep; what it is told
            assert "torch2flow.guards.child_python import" in text, f"{name} starts processes by itself"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder with a module of each name that may be imported, which leaves a mark if it is."""
    folder = tmp_path / "hostile"
    (folder / "marks").mkdir(parents=True)
    for name in {*sys.stdlib_module_names, *PACKAGES}:
        (folder / f"{name}.py").write_text(
            f"open({str(folder / 'marks' / name)!r}, 'w').close()\nraise SystemExit(99)\n"
        )
    return folder


def run_in(folder: Path, *command: object) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    given = [str(word) for word in command]
    subprocess.run(given, cwd=folder, env=environment, capture_output=True, timeout=240, stdin=subprocess.DEVNULL)
    marks = sorted(path.name for path in (folder / "marks").iterdir())
    assert not marks, f"{given[1:4]} imported {marks}"


def converted(folder: Path, fixtures: Path) -> tuple[Path, Path]:
    """A converted model whose source imports nothing but OneFlow, and a recording of it."""
    from torch2flow import convert

    source = fixtures / "torch-2.13.0" / "net.safetensors"
    out = folder / "out"
    convert(source, out)
    (out / "model.py").write_text(
        "import oneflow as flow\nfrom oneflow import nn\n\n\nclass Net(nn.Module):\n    pass\n"
    )
    (out / "__init__.py").write_text("from .model import Net\n__all__ = ['Net']\n")
    recording = folder / "net.reference.safetensors"
    names = ("input.0", "output.0")
    rows = {name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * n, 4 * n + 4]} for n, name in enumerate(names)}
    header = json.dumps(rows).encode()
    recording.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    return out, recording


def test_nothing_is_imported_from_the_current_folder(hostile: Path, tmp_path: Path, fixtures: Path) -> None:
    tool = Path(sys.executable).with_name("torch2flow")
    source = fixtures / "torch-2.13.0" / "net.safetensors"
    pt2 = fixtures / "torch-2.13.0" / "net.pt2"
    out, recording = converted(tmp_path, fixtures)
    script = tmp_path / "job.py"
    script.write_text("print('done')\n")
    plan = tmp_path / "plan.toml"
    plan.write_text("[mesh]\ndata = 2\n")
    against = ("--against", "torchvision.models:resnet18", "--python", sys.executable, "--input", "float32[1,3,8,8]")
    given = [
        ("--help",),
        ("inspect", source, "--json"),
        ("convert", source, "-o", tmp_path / "a"),
        ("convert", source, "-o", tmp_path / "b.pth", "--hash"),
        ("convert", pt2, "-o", tmp_path / "c", "--verify"),
        ("convert", source, "-o", tmp_path / "d", "--plan", plan),
        ("check", tmp_path / "a", "--against", source),
        ("diff", source, tmp_path / "a"),
        ("plan", source, "data", "--ranks", 2),
        ("verify", out, "--reference", recording),
        ("verify", out, *against),
        ("doctor",),
        ("operators", "add"),
        ("launch", "--nproc-per-node", 2, script),
        ("zoo", "list"),
        ("port", script, "-o", tmp_path / "ported.py"),
        ("run", script),
        ("run", "--check", script),
        ("libai", "gpt2", source, "-o", "f"),
        ("zoo", "convert", "alexnet", "--weights", source, "-o", tmp_path / "g"),
        ("zoo", "predict", "alexnet", source, "--weights", source),
        ("zoo", "compare", "alexnet", "--weights", source),
        ("capture", "torchvision.models:resnet18", "-o", tmp_path / "h.pt2", "--input", "float32[1,3,8,8]"),
    ]
    assert {words[:1] for words in given} >= {(name,) for name in cli.commands}
    for arguments in given:
        run_in(hostile, tool, *arguments)


def test_python_m_leaves_the_current_folder_first(hostile: Path, fixtures: Path) -> None:
    """Python itself looks there for `runpy` and for the package; what comes then does not."""
    listed = subprocess.run(
        [sys.executable, "-I", "-c", "import runpy, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in {*listed.stdout.split(), "torch2flow", "runpy", "pkgutil"}:
        (hostile / f"{name}.py").unlink(missing_ok=True)
    source = fixtures / "torch-2.13.0" / "net.safetensors"
    for arguments in (("inspect", source), ("convert", source, "-o", "out"), ("doctor",)):
        run_in(hostile, sys.executable, "-m", "torch2flow", *arguments)


def test_a_factory_in_the_current_folder_is_the_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch2flow.proof.capture.factories import build

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    (tmp_path / "own_nets.py").write_text("def make():\n    return 7\n")
    (tmp_path / "colorsys.py").write_text("def rgb_to_hsv():\n    return 8\n")
    assert build("own_nets:make") == 7
    sys.modules.pop("colorsys", None)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(tmp_path)])
    assert build("colorsys:rgb_to_hsv(0, 0, 0)") == (0.0, 0.0, 0)
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
