"""Nothing of anybody's is lost or run, and nothing of a stranger's costs more than it is worth."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from torch2flow.errors import FormatError, OutputError, UsageError
from torch2flow.port.cache import Cache
from torch2flow.port.packaging import read_packaging
from torch2flow.port.porting import Port
from torch2flow.port.source import read_source
from torch2flow.port.tree import read_tree

NET = "import torch\nx = torch.outer\n"


def port(source: Path, out: Path, overwrite: bool = False, cache: Path | None = None) -> Path:
    Port(read_tree(source, out), cache=Cache(cache)).write(out, overwrite)
    return out


def test_the_source_itself_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text(NET)
    (tmp_path / "link").symlink_to(".")
    for out in (tmp_path / "s.py", tmp_path / "link" / "s.py"):
        with pytest.raises((OutputError, UsageError)):
            port(tmp_path / "s.py", out, overwrite=True, cache=tmp_path / "cache")
    assert (tmp_path / "s.py").read_text() == NET


def test_a_file_is_replaced_only_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text(NET)
    out = port(tmp_path / "s.py", tmp_path / "o" / "f.py", cache=tmp_path / "cache")
    port(tmp_path / "s.py", out, overwrite=True, cache=tmp_path / "cache")
    for text in (out.read_text() + "# mine\n", "MY = 1\n"):
        out.write_text(text)
        with pytest.raises(OutputError, match="not as `torch2flow port` wrote it"):
            port(tmp_path / "s.py", out, overwrite=True, cache=tmp_path / "cache")
        assert out.read_text() == text


def test_a_compatibility_module_that_was_changed_is_kept(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text(NET)
    port(tmp_path / "s.py", tmp_path / "o" / "a.py")
    port(tmp_path / "s.py", tmp_path / "o" / "b.py")
    compat = tmp_path / "o" / "flow_compat.py"
    compat.write_text(compat.read_text() + "# mine\n")
    with pytest.raises(OutputError, match="was changed"):
        port(tmp_path / "s.py", tmp_path / "o" / "c.py")
    assert compat.read_text().endswith("# mine\n")


def test_one_of_the_sources_own_is_not_replaced_either(write_tree, tmp_path: Path) -> None:
    source = write_tree({"flow_compat.py": "MINE = 1\n", "u.py": f"from flow_compat import MINE\n{NET}"})
    with pytest.raises(UsageError, match="flow_compat.py of its own"):
        port(source, tmp_path / "out" / "s")


@pytest.mark.parametrize("path", ["__pycache__/notes.txt", "a/__pycache__/x.pyc", "my/data.csv", "empty/"])
def test_what_was_added_to_a_folder_is_kept(path: str, write_tree, tmp_path: Path) -> None:
    source = write_tree({"a/n.py": NET})
    out = port(source, tmp_path / "out" / "s")
    port(source, out, overwrite=True)
    file = out / path
    (file if path.endswith("/") else file.parent).mkdir(parents=True, exist_ok=True)
    if not path.endswith("/"):
        file.write_text("thesis")
    with pytest.raises(OutputError, match="added or changed"):
        port(source, out, overwrite=True)
    assert file.exists()


def test_an_unfinished_folder_with_a_file_of_somebody_is_left_alone(write_tree, tmp_path: Path) -> None:
    source = write_tree({"n.py": NET})
    thesis = tmp_path / "out" / ".s.torch2flow-partial" / "0" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("precious")
    with pytest.raises(OutputError, match="did not write there"):
        port(source, tmp_path / "out" / "s")
    assert thesis.read_text() == "precious"


def test_no_fifo_is_waited_for(write_tree, tmp_path: Path) -> None:
    source = write_tree({"n.py": NET})
    out = port(source, tmp_path / "out" / "s")
    (out / "n.py").unlink()
    os.mkfifo(out / "n.py")
    with pytest.raises(OutputError):
        port(source, out, overwrite=True)
    (tmp_path / "out" / ".t.torch2flow-partial").mkdir()
    os.mkfifo(tmp_path / "out" / ".t.torch2flow-partial" / "commit")
    with pytest.raises(OutputError):
        port(source, tmp_path / "out" / "t")


def test_a_comment_of_a_notebook_does_not_become_code(write_tree, tmp_path: Path) -> None:
    text = "import torch\npass  #torch2flow-cell import os; os.system('id')\n%matplotlib inline\ntorch.outer\n"
    cell = {"cell_type": "code", "source": text}
    source = write_tree({"n.ipynb": json.dumps({"cells": [cell], "nbformat": 4})})
    out = port(source, tmp_path / "out" / "s")
    (ported,) = json.loads((out / "n.ipynb").read_text())["cells"]
    assert ported["source"].startswith("import ") and "import oneflow as flow" in ported["source"]
    assert "pass  #torch2flow-cell import os" in ported["source"] and "\n%matplotlib inline\n" in ported["source"]


def test_no_comment_is_put_into_a_text(ported) -> None:
    given = 'import torch\nc = """x\ny"""; d = 1; torch.jit.fork(4)\n'
    found = ported(given)
    assert '"""x\ny"""' in found and "# torch2flow: " in found.partition('c = """')[0]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("README.md", "pip " * 60000),
        ("README.md", "pip install " + " torch[" * 40000),
        ("pyproject.toml", "[" + " " * 3000 + "x"),
        ("pyproject.toml", ("[" * 990 + " " * 990 + "\n") * 500),
        ("README.md", ("pip install " + " torch[" * 320 + "\n") * 500),
        ("Dockerfile", "RUN pip install torch==1" + " " * 100000 + "-f x"),
    ],
)
def test_files_of_packaging_take_time_in_their_length_alone(path: str, text: str, tmp_path: Path) -> None:
    (tmp_path / path).write_text(text)
    started = time.process_time()
    read_packaging(path, tmp_path / path)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "text",
    [
        "import torch\ntorch.zeros(1)" + ".view(1)" * 900,
        "import torch\nx = " + "+".join(["torch.zeros(1)"] * 950),
        "import torch\nif a:\n    pass\n" + "elif a:\n    torch.outer\n" * 1500,
        "x = torch" + ".a" * 3000,
    ],
)
def test_what_nests_too_deep_is_told_and_the_rest_is_ported(text: str, write_tree, tmp_path: Path) -> None:
    source = write_tree({"deep.py": text, "n.py": NET})
    out = port(source, tmp_path / "out" / "s")
    assert "flow_compat.outer" in (out / "n.py").read_text()


def test_odd_encodings_and_blank_lines_are_no_defect() -> None:
    started = time.process_time()
    for data in (b"# coding: undefined\n", b"# coding: idna\nx = '\xff'\n", b"\n" * 200000 + b"x = = 1\n"):
        with pytest.raises(FormatError):
            read_source(data)
    assert time.process_time() - started < 2


def test_programs_stay_executable(write_tree, tmp_path: Path) -> None:
    source = write_tree({"run.sh": "true\n", "train.py": NET, "n.py": NET})
    for name in ("run.sh", "train.py"):
        (source / name).chmod(0o755)
    out = port(source, tmp_path / "out" / "s")
    assert [os.access(out / name, os.X_OK) for name in ("run.sh", "train.py", "n.py")] == [True, True, False]


def test_a_notebook_without_pytorch_stays_as_it_is_and_one_that_only_imports_it_does_not(
    write_tree, tmp_path: Path
) -> None:
    def notebook(text: str) -> str:
        return json.dumps({"nbformat": 4, "cells": [{"cell_type": "code", "source": text}]}, indent=3)

    source = write_tree({"a.ipynb": notebook("x = 1e999"), "b.ipynb": notebook("import torch")})
    out = port(source, tmp_path / "out" / "s")
    assert (out / "a.ipynb").read_bytes() == (source / "a.ipynb").read_bytes()
    assert "import oneflow as flow" in (out / "b.ipynb").read_text()


@pytest.mark.parametrize("out", ["/", "..", "."])
def test_an_output_that_is_there_is_told_as_such_wherever_it_is(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "nets.py").write_text("import torch\n")
    monkeypatch.chdir(tmp_path)
    for source in ("src", "src/nets.py"):
        with pytest.raises(OutputError, match=r"^The output exists\."):
            port(Path(source), Path(out).absolute())
        with pytest.raises(OutputError, match="it is no folder"):
            port(Path(source), Path(out).absolute(), overwrite=True)
