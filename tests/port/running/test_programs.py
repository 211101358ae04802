"""`torch2flow run`: a PyTorch program runs on OneFlow as `python` would run it on PyTorch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGE = {
    "train.py": """\
        '''A script.'''
        import argparse
        import sys

        import torch as th
        from nets.model import Net, unportable
        from nets import anything

        parser = argparse.ArgumentParser()
        parser.add_argument("--do", default="")
        given = parser.parse_args()
        print(sys.argv, __name__, __file__.endswith("/train.py"), sys.path[0] == __file__[:-9], __spec__)
        print(tuple(Net()(th.ones(2, 4)).shape), anything.__name__, sys.stdin.readline())
        if given.do == "unportable":
            unportable(th.ones(2))
        elif given.do == "exit":
            sys.exit("bye")
        elif given.do == "name":
            import_it = __import__("importlib").import_module("torch.nn")
        elif given.do:
            import other_library
        """,
    "nets/model.py": """\
        from .common import *


        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a = nn.Linear(4, 3)

            def forward(self, x):
                return torch.cat([self.a(x), F.gelu(x, approximate="tanh")], dim=1)


        def unportable(x):
            y = torch.tanh(x); return y + torch.cat([x]) + torch.linalg.eig(y)
        """,
    "nets/common.py": "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n",
    "nets/anything.py": "x = 1\n",
}


@pytest.fixture(scope="module")
def run(
    oneflow_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program by the command line, with a cache of these tests' own."""
    cache = tmp_path_factory.mktemp("cache")

    def start(*words: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.run(
            [oneflow_python.with_name("torch2flow"), "run", *map(str, words)], cwd=cwd, input="a line\n", text=True,
            capture_output=True, env={**kept, "XDG_CACHE_HOME": str(cache), **environment}, timeout=120,
        )  # fmt: skip

    return start


def test_a_program_runs_as_with_python_and_a_second_time_from_what_was_kept(run, write_tree, tmp_path) -> None:
    source = write_tree(PACKAGE)
    expected = ["['src/train.py', '--do', ''] __main__ True True None", "(2, 7) nets.anything a line", ""]
    given = {"cwd": source.parent, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    first = run("src/train.py", "--do", "", **given)
    assert (first.stderr, first.stdout.splitlines(), first.returncode) == ("", expected, 0)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache/torch2flow/port").iterdir()}
    assert len(kept) > 4
    second = run("src/train.py", "--do", "", **given)
    assert (second.returncode, second.stdout, second.stderr) == (0, first.stdout, "")
    assert kept == {path: path.stat().st_mtime_ns for path in kept}, "it was ported again"
    # What a name means is written in another file: that one changes, and the one that takes it from there.
    common = source / "nets/common.py"
    common.write_text(common.read_text().replace("import torch\n", "class torch:\n    cat = staticmethod(max)\n"))
    third = run("src/train.py", "--do", "", **given)
    assert third.returncode == 1 and "TypeError" in third.stderr
    assert not list(source.rglob("__pycache__"))


def test_what_oneflow_cannot_do_is_told_at_the_authors_line_and_listed_before(run, write_tree) -> None:
    source = write_tree(PACKAGE)
    done = run("train.py", "--do", "unportable", cwd=source)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[:3] == [
        "Traceback (most recent call last):",
        f'  File "{source}/train.py", line 15, in <module>',
        "    unportable(th.ones(2))",
    ]
    assert f'  File "{source}/nets/model.py", line 14, in unportable' in lines
    assert "    y = torch.tanh(x); return y + torch.cat([x]) + torch.linalg.eig(y)" in lines
    assert "OneFlow 0.9.0 has no torch.linalg.eig" in done.stderr and lines[-1].endswith("run --check train.py")
    listed = run("--check", "--json", "train.py", cwd=source)
    findings = json.loads(listed.stdout)["findings"]
    assert listed.returncode == 4 and [(row["file"], row["line"], row["api"]) for row in findings] == [
        ("nets/model.py", 14, "torch.linalg.eig")
    ]


def test_the_end_is_the_programs_own(run, write_tree) -> None:
    source = write_tree({**PACKAGE, "interrupted.py": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"})
    done = run("train.py", "--do", "exit", cwd=source)
    assert (done.returncode, done.stderr) == (1, "bye\n")
    done = run("interrupted.py", cwd=source)
    assert done.returncode == -signal.SIGINT
    assert done.stderr.splitlines()[1] == f'  File "{source}/interrupted.py", line 2, in <module>'
    assert done.stderr.count("Traceback") == 1
    (source / "broken.py").write_text("import torch\nx = = 1\n")
    done = run("broken.py", cwd=source)
    assert done.returncode == 1 and "SyntaxError" in done.stderr and f'"{source}/broken.py", line 2' in done.stderr


def test_arguments_of_any_length_reach_the_program_and_an_archive_is_refused_in_words(run, write_tree) -> None:
    source = write_tree({"train.py": "import sys\nprint(sum(map(len, sys.argv[1:])), sys.argv[-1])\n"})
    assert run("train.py", *["x" * 1000] * 300, "--all", cwd=source).stdout == "300005 --all\n"
    with zipfile.ZipFile(source / "app.zip", "w") as archive:
        archive.writestr("__main__.py", "print(1)")
    done = run("app.zip", cwd=source)
    assert done.returncode == 2 and "unpack it" in done.stderr and "Traceback" not in done.stderr


def test_pytorch_is_not_there_for_what_is_not_ported(run, write_tree, tmp_path: Path) -> None:
    source = write_tree(PACKAGE)
    packages = tmp_path / "site-packages"
    (packages / "other_library").mkdir(parents=True)
    (packages / "other_library/__init__.py").write_text("import torch\n\nprint(torch.ones(2).ravel().sum().item())\n")
    done = run("train.py", "--do", "x", cwd=source, PYTHONPATH=str(packages))
    assert done.returncode == 1 and "No module named 'torch'" in done.stderr
    assert "other_library imports PyTorch" in done.stderr.splitlines()[-1]
    assert "run --with other_library train.py" in done.stderr.splitlines()[-1]
    done = run("--with", "other_library", "train.py", "--do", "x", cwd=source, PYTHONPATH=str(packages))
    assert (done.returncode, done.stderr, done.stdout.splitlines()[-1]) == (0, "", "2.0")
    (source / "large.py").write_text("import torch\n" + "x = torch.device\n" * 80_000)
    (source / "imports_it.py").write_text("import large\n")
    assert "large.py can't be ported: It has 1,360,013 bytes" in run("imports_it.py", cwd=source).stderr
    done = run("train.py", "--do", "name", cwd=source)
    assert "Write `import torch` in a module" in done.stderr.splitlines()[-1]
    (source / "asks.py").write_text(
        "import importlib.util\nprint(importlib.util.find_spec('torch'))\ntry:\n    exec('import torch')\n"
        "except ImportError as error:\n    print(error.name)\n"
    )
    found = run("asks.py", cwd=source).stdout.splitlines()  # a module that asks is ported: OneFlow is what is there
    assert "name='oneflow'" in found[0] and found[1] == "torch"


def test_a_module_runs_by_its_name_and_finds_what_python_m_finds(run, write_tree) -> None:
    source = write_tree(
        {
            "some/__init__.py": "import torch\n",
            "some/__main__.py": "from . import torch\nimport sys\n"
            "print(__name__, __package__, __spec__.name, sys.argv[1:])\n",
            "some/train.py": "from some.__init__ import torch\nprint(__name__, torch.ones(1).ravel().tolist())\n",
        }
    )
    done = run("-m", "some", "-m", "--help", cwd=source)
    assert (done.stderr, done.stdout) == ("", "__main__ some some.__main__ ['-m', '--help']\n")
    assert run("-m", "some.train", cwd=source).stdout == "__main__ [1.0]\n"
    for words, told in ((("-m", "some.nothing"), "no module 'some.nothing'"), (("nothing.py",), "no such program")):
        done = run(*words, cwd=source)
        assert done.returncode == 2 and told in done.stderr and "Traceback" not in done.stderr


def test_the_current_folder_is_not_searched(run, write_tree) -> None:
    source = write_tree({"scripts/a.py": "import torch\nprint(torch.ones(1).item())\n", "json.py": "1/0\n"})
    (source / "decimal.py").write_text("1/0\n")
    done = run("scripts/a.py", cwd=source)
    assert (done.stdout, done.stderr) == ("1.0\n", "")


def test_processes_that_it_starts_port_too(run, write_tree) -> None:
    source = write_tree(
        {
            "workers.py": """\
                import multiprocessing
                import torch
                from torch.utils.data import DataLoader, TensorDataset


                class Kept:
                    pass


                def work(queue):
                    queue.put((torch.ones(3).ravel().sum().item(), torch.__name__, Kept()))


                if __name__ == "__main__":
                    data = TensorDataset(torch.arange(8.0).reshape(8, 1))
                    print([len(x) for x, in DataLoader(data, batch_size=4, num_workers=2)])
                    for kind in ("fork", "spawn", "forkserver"):
                        context = multiprocessing.get_context(kind)
                        queue = context.Queue()
                        process = context.Process(target=work, args=(queue,))
                        process.start()
                        print(queue.get(timeout=60)[:2])
                        process.join()
                """
        }
    )
    done = run("workers.py", cwd=source)
    assert (done.stdout.splitlines(), done.stderr) == (["[4, 4]", *["(3.0, 'oneflow')"] * 3], "")


def test_own_rules_count_and_so_does_what_is_in_them(run, write_tree) -> None:
    rule = """\
        from torch2flow.models.lowering.lazy import flow
        from torch2flow.port.compat import stands_for


        @stands_for("torch.my_operator", because="OneFlow has none.")
        def my_operator(input):
            return flow.relu(input) * 2
        """
    source = write_tree(
        {"a.py": "import torch\nprint(torch.my_operator(torch.ones(1)).item())\n", "rules.py": rule},
    )
    assert run("--rules", "rules.py", "a.py", cwd=source).stdout == "2.0\n"
    (source / "rules.py").write_text((source / "rules.py").read_text().replace("* 2", "* 3"))
    assert run("--rules", "rules.py", "a.py", cwd=source).stdout == "3.0\n"
    assert "torch.my_operator" in run("a.py", cwd=source).stderr
