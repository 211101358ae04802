"""Importing OneFlow: quiet, without LD_LIBRARY_PATH, and with the right advice when it fails.

Every environment here is real; only what is installed in it differs.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

# Each starts an interpreter of its own, so once, in the environment that has OneFlow, is enough.
pytestmark = pytest.mark.oneflow

IMPORT = "from torch2flow.runtime.importing import import_oneflow\nflow = import_oneflow()\n"
EXPLAIN = f"""
from torch2flow.errors import InstallationError
try:
    {IMPORT.strip().replace(chr(10), chr(10) + "    ")}
except InstallationError as error:
    print(error.what, error.remedy, sep="\\n")
else:
    print("imported")
"""


def run(python: Path, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **env}
    return subprocess.run([python, "-c", script], capture_output=True, text=True, env=environment, cwd="/", check=False)


def advice(python: Path, **env: str) -> tuple[str, str]:
    """What the error says and the command it gives."""
    done = run(python, EXPLAIN, **env)
    what, _, remedy = done.stdout.strip().partition("\n")
    return what, remedy.replace(str(python), "python")


def test_import_is_quiet_and_needs_no_variable(oneflow_python: Path) -> None:
    done = run(oneflow_python, IMPORT + "print(flow.ones(2).sum().item())")
    assert (done.stdout, done.stderr, done.returncode) == ("2.0\n", "", 0)


def test_import_without_us_is_not_quiet(oneflow_python: Path) -> None:
    """Otherwise the test above would show nothing."""
    assert "libibverbs not available" in run(oneflow_python, "import oneflow").stderr


def test_importing_again_costs_nothing(oneflow_python: Path) -> None:
    script = """
import time
started = time.perf_counter()
for _ in range(1000):
    assert import_oneflow() is flow
print(time.perf_counter() - started)
"""
    assert float(run(oneflow_python, IMPORT + script).stdout) < 0.1


def test_the_users_log_level_is_kept(oneflow_python: Path) -> None:
    script = IMPORT + "import os; print(os.environ['GLOG_minloglevel'])"
    assert run(oneflow_python, script).stdout == "2\n"
    assert run(oneflow_python, script, GLOG_minloglevel="0").stdout == "0\n"


def test_known_noise_is_dropped_and_every_other_line_passes(oneflow_python: Path) -> None:
    warning = (
        "W20261124 22:57:35.271567  3407 cuda_device_descriptor_class.cpp:48] "
        "CUDA driver version is insufficient for CUDA runtime version"
    )
    script = f"""
import os, sys
from torch2flow.runtime.importing import quiet_stderr
with quiet_stderr():
    os.write(2, b"libibverbs not available, ibv_fork_init skipped\\n")
    os.write(2, b"libibverbs is quite another matter\\n")
    os.write(2, {warning.encode()!r} + b"\\n")
    os.write(2, {warning.replace("CUDA driver", "GPU driver").encode()!r} + b"\\n")
    os.write(2, "not UTF-8: \\xff, without an end of line".encode("latin-1"))
os.write(2, b"after\\n")
"""
    done = subprocess.run([oneflow_python, "-c", script], capture_output=True, check=True)
    assert done.stderr.splitlines() == [
        b"libibverbs is quite another matter",
        warning.replace("CUDA driver", "GPU driver").encode(),
        b"not UTF-8: \xff, without an end of line",
        b"after",
    ]


def test_the_last_words_of_an_import_that_aborts_get_through(oneflow_python: Path) -> None:
    """OneFlow loads whatever this variable names, and aborts on a library that is no libibverbs."""
    libraries = oneflow_python.parent.parent / "lib/python3.10/site-packages/nvidia/cublas/lib"
    done = run(oneflow_python, IMPORT, ONEFLOW_LIBIBVERBS_PATH=str(libraries / "libnvblas.so.11"))
    assert done.returncode < 0
    assert "undefined symbol: ibv_fork_init" in done.stderr


@pytest.mark.parametrize("closed", ["2>&-", "</dev/null 2>&-", "0>&- 1>&- 2>&-"])
def test_import_works_with_standard_error_closed(oneflow_python: Path, closed: str, tmp_path: Path) -> None:
    script = IMPORT + f"open({str(tmp_path / 'done')!r}, 'w').write(flow.__version__)"
    subprocess.run(["sh", "-c", f'"$0" -c "$1" {closed}', oneflow_python, script], check=True)
    assert (tmp_path / "done").read_text() == "0.9.0"


def test_import_works_without_grep(oneflow_python: Path) -> None:
    done = run(oneflow_python, IMPORT + "print(flow.__version__)", PATH="/nowhere")
    assert done.stdout == "0.9.0\n"


def test_threads_that_import_at_once_get_the_same_module(oneflow_python: Path) -> None:
    script = """
from concurrent.futures import ThreadPoolExecutor
from torch2flow.runtime import import_oneflow
with ThreadPoolExecutor(8) as pool:
    modules = list(pool.map(lambda _: import_oneflow(), range(8)))
print(len(set(map(id, modules))), modules[0].ones(1).item())
"""
    done = run(oneflow_python, script)
    assert (done.stdout, done.stderr) == ("1 1.0\n", "")


def test_libraries_in_another_folder_are_preloaded(
    oneflow_python: Path, make_environment: Callable[..., Path], tmp_path: Path
) -> None:
    python = make_environment(without=("nvidia",))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "nvidia").symlink_to(next(oneflow_python.parent.parent.glob("lib/*/site-packages/nvidia")))
    done = run(python, IMPORT + "print(flow.ones(2).sum().item())", PYTHONPATH=str(elsewhere))
    assert (done.stdout, done.stderr) == ("2.0\n", "")


@pytest.mark.parametrize(
    ("without", "what", "remedy"),
    [
        (
            ("nvidia", "nvidia_*"),
            r"the library libcudnn_cnn_infer\.so\.8 is missing",
            "python -m pip install nvidia-cudnn-cu11==8.5.0.96 nvidia-cublas-cu11==11.10.3.66",
        ),
        (
            ("nvidia",),
            r"the library libcudnn_cnn_infer\.so\.8 is missing",
            "python -m pip install --no-deps --force-reinstall "
            "nvidia-cudnn-cu11==8.5.0.96 nvidia-cublas-cu11==11.10.3.66",
        ),
        (
            ("oneflow", "oneflow-*"),
            "OneFlow is not installed in this Python",
            "python -m pip install oneflow==0.9.0 'numpy>=1.22,<2' 'protobuf>=3.19,<3.21' "
            "nvidia-cudnn-cu11==8.5.0.96 nvidia-cublas-cu11==11.10.3.66 'ml_dtypes>=0.3'",
        ),
        (
            ("google", "protobuf*"),
            r"it needs protobuf>=3\.19,<3\.21, and protobuf is missing",
            "python -m pip install 'protobuf>=3.19,<3.21'",
        ),
        (
            ("PIL", "pillow*", "tqdm*", "rich*", "numpy*"),
            r"it needs numpy>=1\.22,<2, and numpy is missing",
            "python -m pip install 'numpy>=1.22,<2' 'ml_dtypes>=0.3'",
        ),
    ],
)
def test_a_missing_part_is_named_with_its_command(
    make_environment: Callable[..., Path], without: tuple[str, ...], what: str, remedy: str
) -> None:
    said, command = advice(make_environment(without=(*without, "torch", "torch-*")))
    assert re.search(what, said), said
    assert command == remedy


@pytest.mark.parametrize(("package", "names"), [("numpy", ("numpy*",)), ("protobuf", ("google", "protobuf*"))])
def test_a_release_that_does_not_fit_is_named_with_its_command(
    make_environment: Callable[..., Path], misfits: Path, package: str, names: tuple[str, ...]
) -> None:
    said, command = advice(make_environment(without=names, plus=(misfits / package,)))
    version, needed = {"numpy": ("2.2.6", "numpy>=1.22,<2"), "protobuf": ("4.25.3", "protobuf>=3.19,<3.21")}[package]
    assert said == f"OneFlow does not import: it needs {needed}, and {package} {version} is installed"
    along = " 'ml_dtypes>=0.3'" if package == "numpy" else ""
    assert command == f"python -m pip install '{needed}'{along}"


def test_a_folder_named_oneflow_is_not_taken_for_it(make_environment: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "work" / "oneflow").mkdir(parents=True)
    python = make_environment(without=("oneflow", "oneflow-*"))
    said, command = advice(python, PYTHONPATH=str(tmp_path / "work"))
    assert said == "OneFlow is not installed in this Python"
    assert command.startswith("python -m pip install oneflow==0.9.0 ")


def test_protobufs_switch_is_named(oneflow_python: Path) -> None:
    said, command = advice(oneflow_python, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python")
    assert "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python" in said
    assert command == "unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"


def test_an_installation_cut_short_is_to_be_put_back(make_environment: Callable[..., Path]) -> None:
    python = make_environment()
    (extension,) = python.parent.parent.glob("lib/*/site-packages/oneflow/_oneflow_internal*.so")
    with extension.open("rb") as file:
        start = file.read(50)
    extension.unlink()
    extension.write_bytes(start)
    said, command = advice(python)
    assert said.startswith("OneFlow does not import: ImportError:")
    assert command == "python -m pip install --no-deps --force-reinstall oneflow==0.9.0"


def test_a_python_without_wheels_gets_the_way_to_one_that_has(torch_python: Path) -> None:
    said, command = advice(torch_python)
    assert re.fullmatch(r"OneFlow is not installed, and it has no wheel for Python 3\.1[1-9]\.\d+", said)
    assert re.search(r"3\.10\S* -m venv oneflow-env && |uv venv --python 3\.10 oneflow-env && ", command)
    assert command.endswith("[oneflow]'")


def test_flowvision_that_does_not_fit_is_told_apart(
    make_environment: Callable[..., Path],
) -> None:
    script = EXPLAIN.replace("import_oneflow", "import_flowvision")
    python = make_environment(without=("flowvision*",))
    done = run(python, script)
    assert done.stdout.startswith("flowvision is not installed in this Python\n")
    assert done.stdout.endswith("--no-build-isolation flowvision==0.2.1\n")
    assert done.stderr == ""
