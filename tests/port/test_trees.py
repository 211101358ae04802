"""Trees: packages, folders of scripts, notebooks, and whatever else lies in a repository."""

from __future__ import annotations

import json
import os
import sys

import pytest
from sampling import ALL

from torch2flow.errors import FormatError, OutputError, UsageError
from torch2flow.port.part_of_package import installed_tree
from torch2flow.port.porting import Port
from torch2flow.port.tree import add_package, installed, read_tree

USES = "import torch\nx = torch.linalg.eig\n"
"""Code that needs the compatibility module."""


def test_a_package_has_the_compatibility_module_inside_and_imports_it_relatively(write_tree, port) -> None:
    source = write_tree({"__init__.py": "", "deep/__init__.py": "", "deep/a.py": USES, "b.py": USES, "w.txt": "data"})
    out, found = port(source)
    assert (out / "deep/a.py").read_text().startswith("from .. import flow_compat\n")
    assert (out / "b.py").read_text().startswith("from . import flow_compat\n")
    assert (out / "w.txt").read_text() == "data"
    assert sorted(path.name for path in out.rglob("flow_compat.py")) == ["flow_compat.py"]
    assert (found.files, found.changed) == (4, 2)


def test_scripts_have_it_beside_them(write_tree, port) -> None:
    main = USES + 'if __name__ == "__main__":\n    pass\n'
    files = {"train.py": USES, "tools/export.py": USES, "nets/__init__.py": "", "nets/a.py": USES, "nets/b.py": main}
    out, _ = port(write_tree(files))
    assert sorted(str(path.relative_to(out)) for path in out.rglob("flow_compat.py")) == [
        "flow_compat.py", "nets/flow_compat.py", "tools/flow_compat.py",
    ]  # fmt: skip
    assert (out / "train.py").read_text().startswith("import flow_compat\n")
    assert (out / "nets/b.py").read_text().startswith("from nets import flow_compat\n")


def test_a_folder_without_init_that_is_imported_by_its_name_has_it_where_that_begins(write_tree, port) -> None:
    out, _ = port(write_tree({"train.py": "from ldm.util import f\n", "ldm/util.py": USES}))
    assert (out / "flow_compat.py").exists() and not (out / "ldm/flow_compat.py").exists()


def test_a_script_in_a_package_under_such_a_folder_imports_it_by_its_whole_path(write_tree, port) -> None:
    main = USES + 'if __name__ == "__main__":\n    pass\n'
    files = {"train.py": "from basic.nets.a import f\n", "basic/nets/__init__.py": "", "basic/nets/a.py": main}
    out, _ = port(write_tree(files))
    assert (out / "basic/nets/a.py").read_text().startswith("from basic.nets import flow_compat\n")


def test_a_repository_with_an_init_beside_its_setup_is_no_package(write_tree, port) -> None:
    out, _ = port(write_tree({"__init__.py": "", "setup.py": "", "kan/__init__.py": "", "kan/a.py": USES}))
    assert (out / "kan/a.py").read_text().startswith("from . import flow_compat\n")


def test_code_in_a_text_is_told(write_tree, port) -> None:
    _, found = port(write_tree({"a.py": 'exec("x" + " = torch.zeros(2)")\neval("1 + 2")\n'}))
    assert [(each.line, each.kind, each.api) for each in found.tally.findings] == [(1, "look", "torch")]


def test_a_package_whose_folder_is_on_the_path_has_it_beside_its_files(write_tree, port) -> None:
    raft = "import torch\nfrom update import f\nx = torch.linalg.eig\n"
    files = {"core/__init__.py": "", "core/raft.py": raft, "core/update.py": USES, "core/utils/__init__.py": "",
             "core/utils/a.py": USES, "nets/__init__.py": "from . import types\n", "nets/types.py": USES,
             "nets/b.py": "import types\n" + USES}  # fmt: skip
    out, _ = port(write_tree(files))
    assert (out / "core/raft.py").read_text().startswith("import flow_compat\n")
    assert (out / "core/flow_compat.py").exists()
    assert (out / "core/utils/a.py").read_text().startswith("from . import flow_compat\n")
    assert "from . import flow_compat\n" in (out / "nets/b.py").read_text()


def test_scripts_in_several_folders_have_one_module_of_that_name_in_each(write_tree, port) -> None:
    out, _ = port(write_tree({"train.py": USES, "utils/a.py": "import torch\nx = torch.dot\n"}))
    assert (out / "flow_compat.py").read_text() == (out / "utils/flow_compat.py").read_text()


def test_what_cannot_be_ported_is_told_and_the_rest_is_ported(write_tree, port, tmp_path) -> None:
    source = write_tree(
        {"good.py": USES, "python2.py": "print 'x'\n", "open.py": "x = [\n", "requirements.txt": "torch\n"}
    )
    (source / "binary.py").write_bytes(b"\0\1")
    (source / "latin.py").write_bytes("x = 'ä'\n".encode("latin-1"))
    (source / "huge.py").write_text("import torch\n" + "x = torch.device\n" * (70_000 if ALL in os.environ else 20_000))
    (source / "table.py").write_text("import torch\n" + "x = torch.device\n" * 80_000)
    (source / "ext.so").write_bytes(b"\x7fELF")
    (tmp_path / "outside.py").write_text("secret = 1\n")
    os.symlink(tmp_path / "outside.py", source / "link.py")
    os.mkfifo(source / "pipe")
    out, found = port(source)
    told = {finding.file: finding.reason for finding in found.tally.findings if finding.kind == "error"}
    assert set(told) == {"python2.py", "open.py", "binary.py", "latin.py", "ext.so", "link.py", "pipe", "table.py"}
    assert told["table.py"] == "It has 1,360,013 bytes of source, and at most 1,310,720 are read."
    assert "Python 2" in next(f.remedy for f in found.tally.findings if f.file == "python2.py")
    assert (out / "open.py").read_text() == "x = [\n"
    assert (out / "huge.py").read_text().endswith("x = flow.device\n")
    assert not (out / "link.py").exists() and not (out / "ext.so").exists()
    assert [f.line for f in found.tally.findings if f.file == "requirements.txt"] == [1]


def test_nothing_is_executed(write_tree, port, tmp_path) -> None:
    text = f"import torch\nopen({str(tmp_path / 'ran')!r}, 'w')\nx = torch.linalg.eig\n"
    port(write_tree({"__init__.py": text, "setup.py": text, "conftest.py": text}))
    assert not (tmp_path / "ran").exists()


def test_an_output_is_replaced_only_when_it_is_as_it_was_written(write_tree, port) -> None:
    source = write_tree({"__init__.py": "", "a.py": USES})
    out, _ = port(source)
    with pytest.raises(OutputError):
        port(source)
    port(source, overwrite=True)
    (out / "a.py").write_text("# mine\n")
    with pytest.raises(OutputError, match=r"'a\.py', which was added or changed"):
        port(source, overwrite=True)
    assert (out / "a.py").read_text() == "# mine\n"


def test_the_output_may_not_lie_in_the_source(write_tree) -> None:
    source = write_tree({"a.py": USES})
    with pytest.raises(UsageError, match="inside the source"):
        read_tree(source, source / "out")


def test_a_file_that_is_no_python_is_refused(tmp_path, port) -> None:
    (tmp_path / "a.py").write_text("x = [\n")
    with pytest.raises(FormatError):
        port(tmp_path / "a.py", "out.py")
    assert not (tmp_path / "out.py").exists()


def test_two_files_share_the_compatibility_module_beside_them(tmp_path, port) -> None:
    (tmp_path / "a.py").write_text("import torch\nx = torch.dot\n")
    (tmp_path / "b.py").write_text("import torch\nx = torch.outer\n")
    port(tmp_path / "a.py", "out/a.py")
    port(tmp_path / "b.py", "out/b.py")
    module = (tmp_path / "out/flow_compat.py").read_text()
    assert "def dot(" in module and "def outer(" in module


def test_a_foreign_module_of_that_name_is_not_replaced(tmp_path, port) -> None:
    (tmp_path / "a.py").write_text(USES)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/flow_compat.py").write_text("mine = 1\n")
    with pytest.raises(OutputError):
        port(tmp_path / "a.py", "out/a.py", overwrite=True)


def test_a_notebook_is_ported_cell_by_cell(tmp_path, port) -> None:
    cells = ["import torch\n", "%time y = 1\n!pip install torch\nz = torch.device\n", "%%bash\npip install torch\n"]
    notebook = {"cells": [{"cell_type": "code", "source": text.splitlines(True)} for text in cells], "nbformat": 4}
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook, indent=1))
    out, _ = port(tmp_path / "a.ipynb", "b.ipynb")
    found = ["".join(cell["source"]) for cell in json.loads(out.read_text())["cells"]]
    assert found[0] == "import oneflow as flow\n"
    assert found[1] == "%time y = 1\n!pip install torch\nz = flow.device\n"
    assert found[2] == cells[2]


def test_a_module_without_its_package_is_told(write_tree, port) -> None:
    source = write_tree({"a.py": "import torch\nfrom .b import c\nfrom ..d import e\nx = torch.tanh(c)\n"})
    _, found = port(source / "a.py", "a_of_flow.py")
    told = [(each.line, each.api, each.remedy) for each in found.tally.findings if each.kind == "look"]
    assert told == [(2, ".b", "port the package as a whole")]


def test_a_module_of_a_package_comes_with_what_it_imports_of_it_alone(tmp_path, monkeypatch) -> None:
    files = {
        "__init__.py": "from some_nets import nets, data\n",
        "nets/__init__.py": "from .large import Large\n",
        "nets/small.py": "from ..ops.misc import norm\nfrom ..ops import scale\nfrom some_nets.kinds import *\n",
        "nets/large.py": "",
        "ops/__init__.py": "from .scales import scale\n",
        "ops/misc.py": "def norm(x): return x.norm()\n",
        "ops/scales.py": "scale = 2\n",
        "ops/other.py": "",
        "kinds.py": "",
        "data/__init__.py": "",
    }
    for path, text in files.items():
        place = tmp_path / "installed" / "some_nets" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "installed")
    out = tmp_path / "some_nets"
    Port(installed_tree("some_nets.nets.small", out=out)).write(out, False)
    found = {str(path.relative_to(out)) for path in out.rglob("*.py")} - {"flow_compat.py"}
    assert found == files.keys() - {"nets/large.py", "ops/other.py", "data/__init__.py"}
    assert "import" not in (out / "nets/__init__.py").read_text()
    assert (out / "ops/__init__.py").read_text() == files["ops/__init__.py"]
    alone = tmp_path / "small.py"
    Port(installed_tree("some_nets.nets.small", out=alone)).write(alone, False)
    assert alone.is_file()


def test_an_installed_package_is_found_by_its_name_and_ported_along(write_tree, tmp_path) -> None:
    place = installed("json.decoder", sys.executable)
    assert place.name == "decoder.py"
    with pytest.raises(UsageError, match="no package 'no_such_package'"):
        installed("no_such_package")
    tree = read_tree(write_tree({"train.py": "import json\nimport torch\n"}))
    add_package(tree, "json", installed("json"))
    out = tmp_path / "out"
    Port(tree).write(out, False)
    assert (out / "json/decoder.py").exists() and (out / "train.py").exists()


def test_what_is_written_does_not_depend_on_the_run(write_tree, port) -> None:
    source = write_tree({"a.py": "import torch\nx = torch.dot, torch.outer, torch.linalg.eig, y.ravel()\n"})
    first, _ = port(source, "one")
    second, _ = port(source, "two")
    assert (first / "flow_compat.py").read_bytes() == (second / "flow_compat.py").read_bytes()
