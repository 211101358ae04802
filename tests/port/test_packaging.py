"""What a repository says of installing PyTorch is listed, and changed with `--requirements`; nothing else is."""

from __future__ import annotations

import pytest

from torch2flow.port.packaging import read_packaging
from torch2flow.port.porting import Port
from torch2flow.port.tree import read_tree

CASES = [
    ("requirements.txt", "torch", "oneflow==0.9.0"),
    ("requirements.txt", "torch==1.13.1+cu117  # new", "oneflow==0.9.0  # new"),
    ("requirements-dev.txt", "torch>=1.8,<3 ; python_version > '3.8'", "oneflow==0.9.0 ; python_version > '3.8'"),
    ("a/requirements.txt", "torchvision ~= 0.14", "flowvision==0.2.1"),
    ("requirements.txt", "torch[opt-einsum]!=2.0.*", "oneflow==0.9.0"),
    ("requirements.txt", "torch @ https://example.org/torch-1.whl", "oneflow==0.9.0"),
    ("requirements.txt", "torch==2.1 --hash=sha256:abc --hash=sha256:def", "oneflow==0.9.0"),
    ("requirements.txt", "torchaudio==2.0", None),
    ("requirements.txt", "torch==2.1 \\", None),
    ("environment.yml", "  - torch==1.0", "  - oneflow==0.9.0"),
    ("environment.yml", "  - pytorch=1.13", None),
    ("environment.yml", "  - torch=1.13", None),
    ("setup.cfg", "    torch>=1", "    oneflow==0.9.0"),
    ("README.md", "    pip install torch torchvision", "    pip install oneflow==0.9.0 flowvision==0.2.1"),
    ("README.md", '`pip3 install "torch>=1.0" timm`', '`pip3 install "oneflow==0.9.0" timm`'),
    (
        "Dockerfile",
        "RUN pip install torch==2.1 --index-url https://download.pytorch.org/whl/cpu && x",
        "RUN pip install oneflow==0.9.0 && x",
    ),
    ("README.md", "conda install pytorch torchvision -c pytorch", None),
    (
        "setup.py",
        "setup(install_requires=['torch>=1', \"numpy\"])",
        "setup(install_requires=['oneflow==0.9.0', \"numpy\"])",
    ),
    ("setup.py", "requirements = ['torch']", "requirements = ['oneflow==0.9.0']"),
]
UNTOUCHED = [
    ("requirements.txt", "torch-geometric==2"), ("requirements.txt", "pytorch-lightning"),
    ("requirements.txt", "# torch"),
    ("requirements.txt", "torch_scatter"), ("requirements.txt", "-r torch.txt"), ("requirements.txt", "torch.txt"),
    ("README.md", "torch is great"), ("README.md", "pip install torch-fidelity mytorch"), ("notes.txt", "torch"),
    ("setup.py", "setup(keywords=['torch'], packages=['torch'])"), ("setup.py", "install_requires = = ['torch']"),
    ("README.md", "pip install git+https://example.org/torch"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "line", "changed"), CASES)
def test_a_line_that_asks_for_pytorch(path: str, line: str, changed: str | None, tmp_path) -> None:
    file = tmp_path / "file"
    file.write_bytes(f"é\xff\n{line}\nend\n".encode("latin-1") if path != "setup.py" else f"# é\n{line}\n".encode())
    found = read_packaging(path, file)
    assert {finding.line for finding in found.findings} == {2}
    before = file.read_bytes()
    assert found.data == (before.replace(line.encode(), changed.encode()) if changed else before)
    assert all(("--requirements" in finding.remedy) == bool(changed) for finding in found.findings) or "conda" in line


@pytest.mark.parametrize(("path", "line"), UNTOUCHED)
def test_a_line_that_only_looks_like_it(path: str, line: str, tmp_path) -> None:
    (tmp_path / "file").write_text(line)
    assert read_packaging(path, tmp_path / "file").findings == []


PYPROJECT = """\
[build-system]
requires = ["setuptools", "torch>=2"]
[project]
keywords = ["torch"]
dependencies = [
  "torch>=1.10",  # why
  'torchvision; sys_platform == "linux"',
  "torchmetrics",
]
[project.optional-dependencies]
gpu = ["torch[x]==2", "torch"]
[tool.poetry.dependencies]
torch = "^2.0"  # why
torchvision = {version = "0.15", source = "x"}
[tool.isort]
known_third_party = ["torch"]
[[tool.mypy.overrides]]
module = ["torch"]
"""
CHANGED = """\
[build-system]
requires = ["setuptools", "oneflow==0.9.0"]
[project]
keywords = ["torch"]
dependencies = [
  "oneflow==0.9.0",  # why
  'flowvision==0.2.1; sys_platform == "linux"',
  "torchmetrics",
]
[project.optional-dependencies]
gpu = ["oneflow==0.9.0", "oneflow==0.9.0"]
[tool.poetry.dependencies]
oneflow = "0.9.0"  # why
flowvision = "0.2.1"
[tool.isort]
known_third_party = ["torch"]
[[tool.mypy.overrides]]
module = ["torch"]
"""


def test_pyproject_is_changed_where_dependencies_stand(tmp_path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    assert read_packaging("pyproject.toml", tmp_path / "pyproject.toml").data.decode() == CHANGED


def test_files_change_only_when_that_is_asked_for(write_tree, tmp_path) -> None:
    files = {"requirements.txt": "numpy\ntorch\n", "setup.py": "import torch\nx = dict(install_requires=['torch'])\n"}
    source = write_tree(files)
    for wanted, name in ((False, "a"), (True, "b")):
        out = tmp_path / name
        found = Port(read_tree(source, out), requirements=wanted).write(out, False)
        assert [(row.file, row.line) for row in found.tally.findings] == [("requirements.txt", 2), ("setup.py", 2)]
        word = "oneflow==0.9.0" if wanted else "torch"
        assert (out / "requirements.txt").read_text() == f"numpy\n{word}\n"
        assert (out / "setup.py").read_text() == f"import oneflow as flow\nx = dict(install_requires=['{word}'])\n"
