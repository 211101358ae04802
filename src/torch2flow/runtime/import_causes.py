"""Why OneFlow does not import: a table of known causes, how to recognise each, and the command that mends it.

OneFlow's own messages mislead (with NumPy 2 it asks to "try to upgrade Numpy version!"), so a row judges by
what is installed as well as by the message. The first row that holds is the answer; the last always holds.
Every row was seen in a real environment: docs/installation.md.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from torch2flow.errors import InstallationError
from torch2flow.runtime.packages import (
    CUDA_REQUIREMENTS,
    FLOWVISION_VERSION,
    NUMPY,
    NUMPY_REQUIREMENTS,
    ONEFLOW_PYTHONS,
    ONEFLOW_VERSION,
    PROTOBUF,
    RequiredPackage,
    distribution_version,
    flowvision_command,
    install_command,
    new_environment_command,
    oneflow_command,
    reinstall_command,
)

_PROTOBUF_SWITCH = "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"
_PYTHONS = " to ".join(f"{major}.{minor}" for major, minor in ONEFLOW_PYTHONS)
_LIBRARY = re.compile(r"(lib[\w.+-]+): cannot open shared object file")


@dataclass(frozen=True)
class ImportEvidence:
    """What is known about a failed import. The texts of the table use these names."""

    error: BaseException

    python = platform.python_version()
    machine = f"{platform.system()} on {platform.machine()}"

    @property
    def absent(self) -> bool:
        """No package oneflow is installed; a mere folder of that name has no origin."""
        spec = find_spec("oneflow")
        return spec is None or spec.origin is None

    @property
    def missing_module(self) -> str:
        """The top-level module that was not found, or nothing."""
        name = self.error.name if isinstance(self.error, ModuleNotFoundError) else None
        return (name or "").partition(".")[0]

    @property
    def missing_library(self) -> str:
        """The shared library that the loader did not find, or nothing."""
        match = _LIBRARY.search(str(self.error))
        return match.group(1) if match else ""

    @property
    def numpy(self) -> str:
        """The installed version, in words."""
        return _in_words(NUMPY)

    @property
    def protobuf(self) -> str:
        """The installed version, in words."""
        return _in_words(PROTOBUF)

    @property
    def switch(self) -> str:
        """The value of the environment variable that chooses protobuf's implementation."""
        return os.environ.get(_PROTOBUF_SWITCH, "")

    @property
    def message(self) -> str:
        """The error in one line."""
        lines = (line.strip() for line in str(self.error).splitlines())
        return f"{type(self.error).__name__}: {next((line for line in lines if line.strip('. ')), 'no message')}"


def _in_words(package: RequiredPackage) -> str:
    version = package.installed()
    return f"{package.distribution} {version} is installed" if version else f"{package.distribution} is missing"


def _unfit(package: RequiredPackage) -> bool:
    version = package.installed()
    return version is None or not package.accepts(version)


@dataclass(frozen=True)
class ImportCause:
    """One row: what recognises it, what to say (`{e.…}` is filled in from the evidence), what mends it."""

    name: str
    holds: Callable[[ImportEvidence], bool]
    what: str
    maybe: str
    remedy: Callable[[ImportEvidence], str]


CAUSES = (
    ImportCause(
        "wrong machine",
        lambda e: e.absent and (sys.platform, platform.machine()) != ("linux", "x86_64"),
        "OneFlow is not installed, and it has no wheel for {e.machine}",
        f"OneFlow {ONEFLOW_VERSION} comes for Linux on x86_64 only; a conversion does not need it",
        lambda e: "convert here and run OneFlow on a machine with Linux on x86_64",
    ),
    ImportCause(
        "wrong Python",
        lambda e: e.absent and not ONEFLOW_PYTHONS[0] <= sys.version_info[:2] <= ONEFLOW_PYTHONS[1],
        "OneFlow is not installed, and it has no wheel for Python {e.python}",
        f"OneFlow {ONEFLOW_VERSION} comes for Python {_PYTHONS} only; a conversion does not need it",
        lambda e: new_environment_command(),
    ),
    ImportCause(
        "not installed",
        lambda e: e.absent,
        "OneFlow is not installed in this Python",
        "it is in another environment, or a mere folder named oneflow was taken for it",
        lambda e: oneflow_command(),
    ),
    ImportCause(
        "libraries",
        lambda e: e.missing_library.startswith(("libcudnn", "libcublas")),
        "OneFlow does not import: the library {e.missing_library} is missing",
        "OneFlow was installed alone: it links to cuDNN 8 and cuBLAS 11, GPU or not, without asking for them",
        lambda e: libraries_command(),
    ),
    ImportCause(
        "NumPy",
        lambda e: _unfit(NUMPY),
        f"OneFlow does not import: it needs {NUMPY.requirement}, and {{e.numpy}}",
        "a later install changed it, as OneFlow's own metadata allows any newer NumPy",
        lambda e: install_command(*NUMPY_REQUIREMENTS),
    ),
    ImportCause(
        "protobuf",
        lambda e: _unfit(PROTOBUF),
        f"OneFlow does not import: it needs {PROTOBUF.requirement}, and {{e.protobuf}}",
        "the install of another package changed it",
        lambda e: install_command(PROTOBUF.requirement),
    ),
    ImportCause(
        "protobuf switch",
        lambda e: e.switch not in ("", "cpp"),
        f"OneFlow does not import while the environment has {_PROTOBUF_SWITCH}={{e.switch}}",
        "it was set to get along with a newer protobuf; OneFlow needs the compiled one",
        lambda e: f"unset {_PROTOBUF_SWITCH}",
    ),
    ImportCause(
        "package missing",
        lambda e: e.missing_module not in ("", "oneflow"),
        "OneFlow does not import: the Python module {e.missing_module} is missing",
        "OneFlow was installed without what it depends on",
        lambda e: oneflow_command(distribution_of(e.missing_module)),
    ),
    ImportCause(
        "broken",
        lambda e: True,
        "OneFlow does not import: {e.message}",
        "its installation was cut short, or its files were changed",
        lambda e: reinstall_command(f"oneflow=={ONEFLOW_VERSION}"),
    ),
)


def libraries_command() -> str:
    """Installs cuDNN and cuBLAS, over what is left of them where their records say they are installed."""
    recorded = [distribution_version(requirement.partition("==")[0]) for requirement in CUDA_REQUIREMENTS]
    return (reinstall_command if all(recorded) else install_command)(*CUDA_REQUIREMENTS)


def distribution_of(module: str) -> str:
    """The package to install for a module, where the two have different names."""
    return {"PIL": "pillow", "google": "protobuf", "yaml": "pyyaml"}.get(module, module)


def explain(error: BaseException) -> InstallationError:
    """The error to raise for an `import oneflow` that raised this one."""
    evidence = ImportEvidence(error)
    cause = next(cause for cause in CAUSES if cause.holds(evidence))
    return _error(evidence, cause.what.format(e=evidence), cause.maybe, cause.remedy(evidence))


def explain_flowvision(error: BaseException) -> InstallationError:
    """The error to raise for an `import flowvision` that raised this one, where OneFlow itself imports."""
    evidence = ImportEvidence(error)
    version = distribution_version("flowvision")
    if version is None:
        what, maybe = "flowvision is not installed in this Python", "only OneFlow was installed"
        return _error(evidence, what, maybe, flowvision_command())
    if (module := evidence.missing_module) not in ("", "flowvision", "oneflow"):
        what = f"flowvision does not import: the Python module {module} is missing"
        maybe = "flowvision was installed without what it depends on"
        return _error(evidence, what, maybe, install_command(distribution_of(module)))
    what = f"flowvision {version} does not import: {evidence.message}"
    maybe = f"this flowvision is made for another OneFlow; {FLOWVISION_VERSION} goes with {ONEFLOW_VERSION}"
    return _error(evidence, what, maybe, flowvision_command())


def _error(evidence: ImportEvidence, what: str, maybe: str, remedy: str) -> InstallationError:
    where = f"{sys.executable} (Python {evidence.python})"
    return InstallationError(what, where=where, maybe=maybe, remedy=remedy)
