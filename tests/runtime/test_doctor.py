"""What `diagnose` finds in real environments, and that what it knows agrees with pyproject.toml."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torch2flow.runtime import packages
from torch2flow.runtime.doctor import Finding, Report

DIAGNOSE = "import json; from torch2flow.runtime.doctor import diagnose; print(json.dumps(diagnose().to_json()))"


def diagnose(python: Path, **env: str) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-c", DIAGNOSE],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", **env},
        check=True,
    )
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    report["by name"] = {finding["name"]: finding for finding in report["findings"]}
    return report


@pytest.mark.oneflow
def test_a_complete_environment_is_in_order(oneflow_python: Path) -> None:
    report = diagnose(oneflow_python)
    assert report["core_works"]
    troubles = {finding["name"] for finding in report["findings"] if finding["status"] != "ok"}
    assert troubles <= {"GPU"}
    assert {"oneflow", "flowvision", "torch", "cuDNN 8 for oneflow"} <= report["by name"].keys()


def test_the_core_works_with_neither_oneflow_nor_torch(core_python: Path) -> None:
    report = diagnose(core_python)
    assert report["core_works"]
    for name, cost in (("oneflow", "load_state_dict"), ("torch", "capture")):
        finding = report["by name"][name]
        assert finding["status"] == "missing"
        assert cost in finding["costs"]
        assert finding["command"]
    assert "cuDNN 8 for oneflow" not in report["by name"]


@pytest.mark.oneflow
def test_what_is_absent_has_a_command_of_its_own(make_environment: Callable[..., Path]) -> None:
    report = diagnose(make_environment(without=("oneflow", "oneflow-*", "flowvision*")))
    assert " oneflow==0.9.0 " in report["by name"]["oneflow"]["command"]
    assert report["by name"]["flowvision"]["command"].endswith(" flowvision==0.2.1")


def test_every_trouble_costs_something(core_python: Path) -> None:
    for finding in diagnose(core_python)["findings"]:
        assert (finding["status"] == "ok") == (finding["costs"] == ""), finding


@pytest.mark.oneflow
def test_a_missing_core_package_stops_the_core(make_environment: Callable[..., Path]) -> None:
    report = diagnose(make_environment(without=("ml_dtypes*",)))
    assert not report["core_works"]
    finding = report["by name"]["ml_dtypes"]
    assert (finding["status"], finding["found"]) == ("missing", "not installed")
    assert finding["command"].endswith(" -m pip install 'ml_dtypes>=0.3'")


@pytest.mark.oneflow
def test_each_broken_part_has_a_line_of_its_own(make_environment: Callable[..., Path], misfits: Path) -> None:
    names = ("google", "protobuf*", "nvidia", "torch", "torch-*")
    report = diagnose(make_environment(without=names, plus=(misfits / "protobuf",)))
    status = {name: finding["status"] for name, finding in report["by name"].items()}
    assert report["core_works"]
    assert status["oneflow"] == status["protobuf for oneflow"] == status["flowvision"] == "broken"
    assert status["cuDNN 8 for oneflow"] == status["cuBLAS 11 for oneflow"] == status["torch"] == "missing"
    assert "torch-env" in report["by name"]["torch"]["command"]


@pytest.mark.oneflow
def test_an_import_that_aborts_is_reported(oneflow_python: Path) -> None:
    libraries = oneflow_python.parent.parent / "lib/python3.10/site-packages/nvidia/cublas/lib"
    report = diagnose(oneflow_python, ONEFLOW_LIBIBVERBS_PATH=str(libraries / "libnvblas.so.11"))
    finding = report["by name"]["oneflow"]
    assert finding["status"] == "broken"
    assert "signal 6" in finding["found"]
    assert "undefined symbol: ibv_fork_init" in finding["found"]
    assert finding["command"] == "unset ONEFLOW_LIBIBVERBS_PATH"


def test_the_lists_agree_with_the_project_file() -> None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert [package.requirement for package in packages.CORE] == project["dependencies"]
    extra = set(project["optional-dependencies"]["oneflow"])
    assert extra == {*packages.ONEFLOW_REQUIREMENTS}
    assert project["optional-dependencies"]["zoo"] == ["torch2flow[oneflow]", packages.FLOWVISION_REQUIREMENT]


@pytest.mark.parametrize(
    ("version", "fits"),
    [("1.21.6", False), ("1.22", True), ("1.26.4", True), ("1.26.4+mkl", True), ("2.0.0rc1", False)],
)
def test_versions_are_compared_as_numbers(version: str, fits: bool) -> None:
    assert packages.NUMPY.accepts(version) is fits


def test_a_command_quotes_what_a_shell_would_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/a folder/python")
    command = packages.install_command("numpy>=1.22,<2")
    assert re.fullmatch(r"'/a folder/python' -m pip install 'numpy>=1.22,<2'", command)


def test_one_command_is_given_once() -> None:
    findings = (
        Finding("Python", "ok", "3.12.1"),
        Finding("cuBLAS 11 for oneflow", "missing", "", "load_state_dict", "pip install both"),
        Finding("torch", "missing", "", "capture", "pip install torch"),
        Finding("cuDNN 8 for oneflow", "missing", "", "load_state_dict", "pip install both"),
    )
    assert Report(findings).remedies() == [
        ("cuBLAS 11 for oneflow, cuDNN 8 for oneflow", "load_state_dict", "pip install both"),
        ("torch", "capture", "pip install torch"),
    ]
