"""The documentation is true: sessions, tables, links, options, and the files it names."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

import torch2flow
from torch2flow import errors
from torch2flow.checkpoints.oneflow.optimizer_rules import RULES
from torch2flow.checkpoints.pytorch.constructors import CONSTRUCTORS
from torch2flow.checkpoints.pytorch.selection import NAMES
from torch2flow.cli.commands import EXIT_CODES, cli

ROOT = Path(__file__).resolve().parent.parent
READMES = ("README.md", "README.zh-CN.md")
COMMANDS = ("docs/commands.md", "docs/zh-CN/commands.md")
GUIDES = ("weights", "capturing", "transformers", "port", "scale", "installation", "parity", "limits")
TWINS = [READMES, COMMANDS, *((f"docs/{name}.md", f"docs/zh-CN/{name}.md") for name in GUIDES)]
"""Pages in both languages."""

PAGES = [
    *READMES,
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md")),
]


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", read(page), re.M | re.S)


# -- what can be run -----------------------------------------------------------------------------------------


@pytest.mark.oneflow
@pytest.mark.parametrize("script", ["docs_sessions.py", "docs_tables.py"])
def test_pages_are_what_a_new_run_gives(script: str, oneflow_python: Path, demo: Any) -> None:
    command = [oneflow_python, ROOT / "scripts" / script]
    if script == "docs_sessions.py":
        command += ["--demo", demo.untouched]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nif this is as it should be: make docs"


@pytest.mark.oneflow
def test_the_pages_make_a_site_whose_links_lead_somewhere(oneflow_python: Path, tmp_path: Path) -> None:
    command = [oneflow_python, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "search" / "search_index.json").read_text("utf-8"))
    assert any("转换" in each["text"] for each in found["docs"]), "both languages can be searched"
    assert "/blob/main/CONTRIBUTING.md" in (tmp_path / "index.html").read_text("utf-8")


@pytest.mark.oneflow
def test_the_python_of_the_documentation_runs(tmp_path: Path, oneflow_python: Path) -> None:
    write = "import torchvision, torch; torch.save(torchvision.models.alexnet().state_dict(), 'model.pth')"
    run = [oneflow_python, "-W", "ignore", "-c"]
    subprocess.run([*run, write], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run([*run, "import torch2flow; torch2flow.convert('model.pth', 'out')"], cwd=tmp_path, check=True)
    for code in blocks("docs/weights.md", "python"):
        shutil.rmtree(tmp_path / "features", ignore_errors=True)
        done = subprocess.run([*run, code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), code


# -- the two languages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("twins", TWINS)
def test_both_languages_show_the_same_sessions_and_code(twins: tuple[str, str]) -> None:
    for language in ("console", "python", "py", "sh", "diff"):
        english, chinese = ([without_comments(code) for code in blocks(page, language)] for page in twins)
        assert english == chinese


def without_comments(code: str) -> list[str]:
    return [re.sub(r"\s+# .*|^# .*", "", line).rstrip() for line in code.splitlines()]


@pytest.mark.parametrize("twins", TWINS)
def test_both_languages_have_the_same_tables_and_headings(twins: tuple[str, str]) -> None:
    shapes = []
    for page in twins:
        lines = prose(page).splitlines()
        shapes.append([re.match(r"#+ |\||- ", line)[0] for line in lines if re.match(r"#+ |\||- ", line)])  # type: ignore[index]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("twins", TWINS)
def test_both_languages_name_the_same_code_words(twins: tuple[str, str]) -> None:
    english, chinese = (set(re.findall(r"`([^`]+)`", " ".join(prose(page).split()))) for page in twins)
    assert english == chinese


def prose(page: str) -> str:
    """A page without its code, and without what scripts write into it."""
    text = re.sub(r"^<!-- (?!end).*?-->$.*?^<!-- end.*?-->$", "", read(page), flags=re.M | re.S)
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def test_the_code_of_the_pages_passes_the_type_checker(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="only the environment of developers has it")
    files = []
    for page in ("README.md", "docs/weights.md"):
        for number, code in enumerate(blocks(page, "python")):
            files.append(tmp_path / f"{Path(page).stem}_{number}.py")
            files[-1].write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "--config-file", os.devnull]
    done = subprocess.run([*command, *files], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout


# -- options, codes, links -----------------------------------------------------------------------------------


def options() -> Iterator[str]:
    for command in cli.commands.values():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield from (name for name in (*parameter.opts, *parameter.secondary_opts))


@pytest.mark.parametrize("page", COMMANDS)
def test_every_option_is_on_the_page_and_none_that_is_not(page: str) -> None:
    known = set(options())
    assert len(known) > 20
    assert [name for name in known if f"`{name}" not in read(page)] == []
    shown = set(re.findall(r"`(--[a-z-]+)", read(page)))
    assert shown - known - {"--help"} == set()


@pytest.mark.parametrize("page", COMMANDS)
def test_every_exit_code_is_on_the_page(page: str) -> None:
    codes = set(re.findall(r"^ +(\d+)  ", EXIT_CODES, re.M))
    raised = {
        str(kind.exit_code) for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")
    }
    assert raised <= codes
    for code in codes:
        assert re.search(rf"^\| {code} \|", read(page), re.M), code


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)\s]*)?\)", read(page)):
        if target and not target.startswith("http"):
            assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_anchors_lead_to_headings(page: str) -> None:
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", read(page), re.M)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", read(page))) <= headings


@pytest.mark.parametrize("page", PAGES)
def test_no_page_names_a_machine(page: str) -> None:
    assert not re.search(r"/(root|work|tmp|Users)/|/home/(?!you/)", read(page))


# -- what the pages say of the code --------------------------------------------------------------------------


def test_formats_md_has_the_names_of_the_selection_rule() -> None:
    assert ", ".join(f"`{name}`" for name in NAMES) in " ".join(read("docs/formats.md").split())


def test_every_optimizer_is_named() -> None:
    for page in ("docs/weights.md", "docs/zh-CN/weights.md", "docs/formats.md"):
        assert [rule.name for rule in RULES if rule.name not in read(page)] == []


def test_formats_md_names_the_constructor_of_tensors() -> None:
    assert "torch._utils._rebuild_tensor_v2" in CONSTRUCTORS
    assert "torch._utils._rebuild_tensor_v2" in read("docs/formats.md")


OF_OTHERS = {
    # a user's, or what a command writes
    *("FILE.py", "case.py", "train.py", "preprocessing.py", "out/model.py", "flow_compat.py", "flow_nets.py"),
    *("build/", "resnet18/", "cut/rank_3/", "code/", "constants/"),  # folders of outputs, and inside archives
    *("oneflow/framework/check_point_v2.py", "torch/serialization.py"),
    *("eval()", ".eval()", "x.float()", "load_model()", "torch.serialization.skip_data()"),
}
"""Files, folders and functions that the pages name and that are not of this repository."""


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_files_folders_and_functions_that_a_page_names_exist(page: str) -> None:
    words = re.findall(r"`([^`\n]+)`", prose(page))
    files = {path for word in words for path in re.findall(r"[\w./*-]+\.py\b|[\w-]+(?:/[\w-]+)*/(?=$|\s)", word)}
    assert {path for path in files - OF_OTHERS if "*" not in path and not is_in_the_repository(path)} == set()
    called = {word for word in words if re.fullmatch(r"[\w.]+\(\)", word)}
    assert {word for word in called - OF_OTHERS if word[:-2].rpartition(".")[2] not in defined()} == set()


LIKE_NAMES = {"real_fftn", "json"}
"""What stands behind `torch2flow.` and is no name in Python: an operator that torch2flow itself writes into programs,
and the file that `capture` puts into a `.pt2`."""


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_names_of_the_package_that_a_page_uses_exist(page: str) -> None:
    for word in re.findall(r"`torch2flow\.([\w.]+)(?:\(\))?`", prose(page)):
        value: Any = torch2flow
        for part in word.split(".") if word not in LIKE_NAMES else ():
            value = getattr(value, part)


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return listed.splitlines()


def is_in_the_repository(path: str) -> bool:
    """Whether a file or folder has this path, or one that ends with it."""
    return any(f"/{known}".endswith(f"/{path}") for known in known_paths())


@cache
def known_paths() -> set[str]:
    return {path for file in tracked() for path in (file, *(f"{folder}/" for folder in Path(file).parents))}


@cache
def defined() -> set[str]:
    """The names of all functions and classes of the package and of the scripts."""
    return {
        node.name
        for path in [*ROOT.glob("src/**/*.py"), *ROOT.glob("scripts/**/*.py")]
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


def test_the_scripts_of_the_documentation_say_what_they_do() -> None:
    for script in (ROOT / "scripts").glob("*.py"):
        assert ast.get_docstring(ast.parse(script.read_text("utf-8")))
