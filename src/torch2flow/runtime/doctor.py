"""Looks at this installation: what is there, what is missing, what that costs, and the command that mends it.

    report = diagnose()
    report.core_works          # converting and inspecting work
    report.findings[0].status  # "ok", "missing" or "broken"

Whatever could take the interpreter down (OneFlow's and PyTorch's compiled parts) is imported in a subprocess.
This file needs the standard library only, so that it works when nothing else does.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from torch2flow._version import __version__
from torch2flow.guards.child_python import same_python
from torch2flow.runtime.import_causes import libraries_command
from torch2flow.runtime.packages import (
    CORE,
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
    reinstall_command,
    torch_environment_command,
)
from torch2flow.runtime.shared_libraries import LIBRARIES, Library

Status = Literal["ok", "missing", "broken"]

CONVERTING = "convert, inspect, check: everything"
RUNNING = "load_state_dict and load (converting needs none of it)"
ZOO = "models of flowvision, such as the demo's AlexNet (converting needs none of it)"
CAPTURING = "capture of a live PyTorch model (converting files needs none of it)"
SPEED = "speed only: everything runs on the CPU"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. If it is not ok, `costs` says what does not work until `command` has run."""

    name: str
    status: Status
    found: str
    costs: str = ""
    command: str = ""


@dataclass(frozen=True)
class Report:
    """Everything `diagnose` found, in the order it is worth reading."""

    findings: tuple[Finding, ...]

    @property
    def core_works(self) -> bool:
        """Whether converting works: the interpreter, this package and its dependencies are in order."""
        return not any(finding.costs == CONVERTING for finding in self.findings)

    def rows(self) -> list[tuple[str, str, str]]:
        """For a table: status, name, and what was found."""
        return [(finding.status, finding.name, finding.found) for finding in self.findings]

    def remedies(self) -> list[tuple[str, str, str]]:
        """What to do: the names that one command mends, what they cost until then, and the command."""
        groups: dict[str, list[Finding]] = {}
        for finding in self.findings:
            if finding.command:
                groups.setdefault(finding.command, []).append(finding)
        return [
            (", ".join(finding.name for finding in group), group[0].costs, command) for command, group in groups.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {"core_works": self.core_works, "findings": [asdict(finding) for finding in self.findings]}


def diagnose() -> Report:
    """Examines this interpreter and what is installed for it. Takes about as long as importing OneFlow."""
    with ThreadPoolExecutor() as pool:
        core = pool.submit(_probe, _IMPORT_EACH, *(package.module for package in CORE if package.is_needed))
        oneflow = pool.submit(_probe, _IMPORT_ONEFLOW)
        torch = pool.submit(_probe, _IMPORT_TORCH)
    findings = [*_interpreter(), *_core(core.result()), *_oneflow(oneflow.result())]
    return Report((*findings, _torch(torch.result()), _gpu(oneflow.result(), torch.result())))


def _interpreter() -> list[Finding]:
    python, old = platform.python_version(), sys.version_info < (3, 10)
    upgrade = Finding("Python", "broken", f"{python}, older than 3.10", CONVERTING, "uv venv --python 3.10")
    return [
        upgrade if old else Finding("Python", "ok", f"{python} at {sys.executable}"),
        Finding("platform", "ok", f"{platform.system()} on {platform.machine()}"),
        Finding("torch2flow", "ok", __version__),
    ]


def _core(probed: dict[str, Any]) -> list[Finding]:
    needed = [package for package in CORE if package.is_needed]
    return [_core_package(package, probed.get(package.module, probed.get("crash", ""))) for package in needed]


def _core_package(package: RequiredPackage, error: str) -> Finding:
    version, command = package.installed(), install_command(package.requirement)
    if version is None:
        return Finding(package.distribution, "missing", "not installed", CONVERTING, command)
    if error or not package.accepts(version):
        found = f"{version} does not import: {error}" if error else f"{version}, needs {package.requirement}"
        return Finding(package.distribution, "broken", found, CONVERTING, command)
    return Finding(package.distribution, "ok", version)


def _oneflow(probed: dict[str, Any]) -> list[Finding]:
    """OneFlow itself and, where it is installed, each thing that it is known to break with."""
    version = distribution_version("oneflow")
    error = probed.get("oneflow", probed.get("crash", ""))
    if version is None:
        command = probed.get("oneflow command", "")
        # The command for another Python makes an environment; there, doctor has the command for flowvision.
        fits = ONEFLOW_PYTHONS[0] <= sys.version_info[:2] <= ONEFLOW_PYTHONS[1]
        return [
            Finding("oneflow", "missing", error or "not installed", RUNNING, command),
            Finding("flowvision", "missing", "needs oneflow first", ZOO, flowvision_command() if fits else command),
        ]
    if error:
        command = probed.get("oneflow command") or _command_against_crash()
        finding = Finding("oneflow", "broken", f"{version}. {error}", RUNNING, command)
    else:
        tested = "" if version == ONEFLOW_VERSION else f", which is not the {ONEFLOW_VERSION} it is tested with"
        finding = Finding("oneflow", "ok", version + tested)
    constraints = [_constraint(NUMPY), _constraint(PROTOBUF)]
    libraries = [_library(library, works=not error) for library in LIBRARIES]
    return [finding, *constraints, *libraries, _flowvision(probed, oneflow_works=not error)]


def _command_against_crash() -> str:
    # OneFlow opens what this names at import, and aborts when it is no libibverbs, or empty.
    if "ONEFLOW_LIBIBVERBS_PATH" in os.environ:
        return "unset ONEFLOW_LIBIBVERBS_PATH"
    return reinstall_command(f"oneflow=={ONEFLOW_VERSION}")


def _constraint(package: RequiredPackage) -> Finding:
    name, version = f"{package.distribution} for oneflow", package.installed()
    if version is not None and package.accepts(version):
        return Finding(name, "ok", f"{version} fits {package.requirement}")
    found = f"{version}, needs {package.requirement}" if version else f"not installed, needs {package.requirement}"
    command = install_command(*(NUMPY_REQUIREMENTS if package is NUMPY else (package.requirement,)))
    return Finding(name, "broken" if version else "missing", found, RUNNING, command)


def _library(library: Library, *, works: bool) -> Finding:
    name = f"{library.title} for oneflow"
    if library.beside_oneflow() is not None:
        return Finding(name, "ok", "beside oneflow")
    if (path := library.elsewhere()) is not None:
        return Finding(name, "ok", f"not beside oneflow, preloaded by torch2flow: {path}")
    if works:
        return Finding(name, "ok", "no package of it; oneflow finds it elsewhere or does not need it")
    return Finding(name, "missing", f"no {library.file}", RUNNING, libraries_command())


def _flowvision(probed: dict[str, Any], *, oneflow_works: bool) -> Finding:
    version = distribution_version("flowvision")
    if version is not None and not oneflow_works:
        return Finding("flowvision", "broken", f"{version}, needs oneflow to work", ZOO)
    if error := probed.get("flowvision"):
        status: Status = "broken" if version else "missing"
        return Finding("flowvision", status, error, ZOO, probed["flowvision command"])
    tested = "" if version == FLOWVISION_VERSION else f", which is not the tested {FLOWVISION_VERSION}"
    return Finding("flowvision", "ok", f"{version}{tested}")


def _torch(probed: dict[str, Any]) -> Finding:
    version = distribution_version("torch")
    error = probed.get("torch", probed.get("crash", ""))
    if version is None:
        apart = distribution_version("oneflow") is not None
        command = torch_environment_command() if apart else install_command("torch")
        return Finding("torch", "missing", "not installed", CAPTURING, command)
    if error:
        command = reinstall_command(f"torch=={version}")
        return Finding("torch", "broken", f"{version} does not import: {error}", CAPTURING, command)
    return Finding("torch", "ok", version)


def _gpu(oneflow: dict[str, Any], torch: dict[str, Any]) -> Finding:
    driver = Path("/proc/driver/nvidia/version").exists()
    users = [name for name, probed in (("oneflow", oneflow), ("torch", torch)) if probed.get(f"{name} gpu")]
    if users:
        return Finding("GPU", "ok", f"seen by {' and '.join(users)}")
    found = "an NVIDIA driver is there, but no installed library uses it" if driver else "none seen"
    return Finding("GPU", "missing", found, SPEED)


# What the subprocesses run. Each prints one JSON object on its last line.
_IMPORT_EACH = """
import importlib
for name in arguments:
    try:
        importlib.import_module(name)
    except Exception as error:
        result[name] = f"{type(error).__name__}: {error}"
"""

_IMPORT_ONEFLOW = """
from torch2flow.errors import InstallationError
from torch2flow.runtime.import_causes import explain_flowvision
from torch2flow.runtime.importing import import_flowvision, load_oneflow
name = "oneflow"
try:
    # Not the quiet import: what an import that aborts says at last is read by the parent.
    result["oneflow gpu"] = bool(load_oneflow().cuda.is_available())
    name = "flowvision"
    import_flowvision()
except InstallationError as error:
    result[name], result[name + " command"] = error.what, error.remedy
"""

_IMPORT_TORCH = """
try:
    import torch
    result["torch gpu"] = bool(torch.cuda.is_available())
except Exception as error:
    result["torch"] = f"{type(error).__name__}: {error}"
"""

_PROBE = """
arguments, result = sys.argv[1:], {{}}
{body}
print()
print(json.dumps(result))
"""


def _probe(body: str, *arguments: str) -> dict[str, Any]:
    """Runs a body in a fresh interpreter; a crash becomes the entry `crash`."""
    command = same_python(_PROBE.format(body=body), *arguments)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result
    last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no message")
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
    return {"crash": f"importing it ends the interpreter ({how}): {last}"}
