"""Which packages OneFlow needs beside it, and the command that installs them into this very interpreter.

OneFlow 0.9.0 declares neither its CUDA libraries nor the NumPy and protobuf releases it breaks with, so the
lists below say what a working installation is. `pyproject.toml` repeats them as the extra `oneflow`; a test
holds the two together. What goes wrong otherwise: docs/installation.md.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlparse

from torch2flow.guards.child_python import bare_python

Version = tuple[int, ...]


@dataclass(frozen=True)
class RequiredPackage:
    """A distribution and its releases that work: `first` and later, before `end`. Python `before` needs none."""

    distribution: str
    module: str
    first: Version
    end: Version | None = None
    before: Version | None = None

    @property
    def is_needed(self) -> bool:
        """Whether this Python needs it."""
        return self.before is None or sys.version_info < self.before

    @property
    def requirement(self) -> str:
        """What an installer takes, such as `numpy>=1.22,<2`."""
        bounds = [">=" + ".".join(map(str, self.first))]
        if self.end is not None:
            bounds.append("<" + ".".join(map(str, self.end)))
        marker = f"; python_version < '{'.'.join(map(str, self.before))}'" if self.before is not None else ""
        return self.distribution + ",".join(bounds) + marker

    def installed(self) -> str | None:
        """The version that runs here (the imported module's own word first), or None."""
        running = getattr(sys.modules.get(self.module), "__version__", None)
        return running if isinstance(running, str) else distribution_version(self.distribution)

    def accepts(self, version: str) -> bool:
        """Whether that version lies within the bounds."""
        numbers = tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])
        return self.first <= numbers and (self.end is None or numbers < self.end)


# The bounds were measured on Python 3.10: NumPy 1.21.6 and 2.0.2 fail, 1.22.4 to 1.26.4 work; protobuf
# 3.9.2 (which OneFlow's metadata allows) and 4.21 fail, 3.19.6 to 3.20.3 work.
NUMPY = RequiredPackage("numpy", "numpy", (1, 22), (2,))
PROTOBUF = RequiredPackage("protobuf", "google.protobuf", (3, 19), (3, 21))

# ml_dtypes goes along with NumPy: its newest needs NumPy 2, and pip looks only at what one command names.
ML_DTYPES = RequiredPackage("ml_dtypes", "ml_dtypes", (0, 3))
NUMPY_REQUIREMENTS = (NUMPY.requirement, ML_DTYPES.requirement)

ONEFLOW_VERSION = "0.9.0"
ONEFLOW_PYTHONS: tuple[Version, Version] = ((3, 7), (3, 10))
CUDA_REQUIREMENTS = ("nvidia-cudnn-cu11==8.5.0.96", "nvidia-cublas-cu11==11.10.3.66")
ONEFLOW_REQUIREMENTS = (
    f"oneflow=={ONEFLOW_VERSION}",
    NUMPY.requirement,
    PROTOBUF.requirement,
    *CUDA_REQUIREMENTS,
)
FLOWVISION_VERSION = "0.2.1"
FLOWVISION_REQUIREMENT = f"flowvision=={FLOWVISION_VERSION}"

# flowvision comes as source, and its setup.py imports pkg_resources, which setuptools 81 no longer has.
BUILD_REQUIREMENTS = ("setuptools>=64,<81", "wheel")

CORE = (
    RequiredPackage("numpy", "numpy", (1, 22)),
    ML_DTYPES,
    RequiredPackage("click", "click", (8, 1)),
    RequiredPackage("rich", "rich", (13,)),
    RequiredPackage("black", "black", (23, 1)),
    RequiredPackage("tomli", "tomli", (2,), before=(3, 11)),
)


def distribution_version(distribution: str) -> str | None:
    """The version in the installed metadata of a distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def install_command(*arguments: str) -> str:
    """The shell command that installs these into the running interpreter, with the installer it has."""
    if find_spec("pip") is not None:
        return shlex.join([sys.executable, "-m", "pip", "install", *arguments])
    if shutil.which("uv"):
        return shlex.join(["uv", "pip", "install", "--python", sys.executable, *arguments])
    install = shlex.join([sys.executable, "-m", "pip", "install", *arguments])
    return f"{shlex.quote(sys.executable)} -m ensurepip && {install}"


def reinstall_command(*requirements: str) -> str:
    """The shell command that puts the files of these packages back and leaves their dependencies alone."""
    return install_command("--no-deps", "--force-reinstall", *requirements)


def oneflow_command(*more: str) -> str:
    """The shell command that installs OneFlow with what it needs and does not ask for."""
    return install_command(*ONEFLOW_REQUIREMENTS, ML_DTYPES.requirement, *more)


def flowvision_command() -> str:
    """The shell command that builds and installs flowvision, which needs an older setuptools to build."""
    build = install_command(*BUILD_REQUIREMENTS)
    return f"{build} && {install_command('--no-build-isolation', FLOWVISION_REQUIREMENT)}"


def own_requirement(extra: str) -> str:
    """This project with an extra, as an installer takes it: its name, or the checkout it came from."""
    try:
        record = importlib.metadata.distribution("torch2flow").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        record = None
    url = urlparse(json.loads(record).get("url", "")) if record else None
    if url is not None and url.scheme == "file":
        return f"{unquote(url.path)}[{extra}]"
    return f"torch2flow[{extra}]"


def new_environment_command(folder: str = "oneflow-env") -> str:
    """The shell command that makes an environment with OneFlow in it, on a Python that OneFlow comes for."""
    python = f"{folder}/bin/python"
    own = shlex.quote(own_requirement("oneflow"))
    if found := _python310():
        make, install = f"{shlex.quote(found)} -m venv {folder}", f"{python} -m pip install"
    else:
        # uv fetches a Python; it is a package itself.
        uv = "uv" if shutil.which("uv") else f"{shlex.quote(sys.executable)} -m uv"
        make = f"{uv} venv --python 3.10 {folder}"
        make = make if uv == "uv" else f"{install_command('uv')} && {make}"
        install = f"{uv} pip install --python {python}"
    return f"{make} && {install} {own}"


def torch_environment_command(folder: str = "torch-env") -> str:
    """The shell command that makes an environment for PyTorch alone, free of OneFlow's limits."""
    own = shlex.quote(own_requirement("torch"))
    return f"{shlex.quote(sys.executable)} -m venv {folder} && {folder}/bin/python -m pip install {own}"


def _python310() -> str | None:
    """A Python 3.10 that runs: a pyenv shim is on PATH also where its version is not active."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    for candidate in ("python3.10", *map(str, sorted(pyenv.glob("3.10.*/bin/python")))):
        try:
            done = subprocess.run(bare_python(candidate, "import ensurepip"), capture_output=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    return None
