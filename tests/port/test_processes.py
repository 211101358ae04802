"""Several processes give what one gives, in order, whatever becomes of them."""

from __future__ import annotations

import gc
import os
import signal
import weakref

import pytest

from torch2flow.port import porting, processes
from torch2flow.port.porting import Port
from torch2flow.port.processes import count_of_processes, in_processes
from torch2flow.port.project import Project, SourceModule
from torch2flow.port.rewriting import Rewriter
from torch2flow.port.source import read_source
from torch2flow.port.tree import read_tree

ITEMS = [str(number) for number in range(23)]


@pytest.mark.parametrize("count", [1, 2, 3, 30])
def test_results_come_in_order(count: int) -> None:
    assert list(in_processes(lambda item: (item, b"x" * 100_000), ITEMS, count)) == [
        (item, b"x" * 100_000) for item in ITEMS
    ]
    assert list(in_processes(str, [], count)) == []


def test_what_a_child_can_not_do_is_done_here_and_raises_here() -> None:
    here = os.getpid()

    def work(item: str) -> str:
        if item == "7":
            os.kill(os.getpid(), signal.SIGKILL) if os.getpid() != here else None
        if item == "8" and os.getpid() != here:
            raise ValueError
        return item

    assert list(in_processes(work, ITEMS, 2)) == ITEMS
    with pytest.raises(ZeroDivisionError):
        list(in_processes(lambda item: 1 // (int(item) - 5), ITEMS, 2))


def test_no_child_is_left_when_the_reader_stops() -> None:
    rows = in_processes(lambda item: (item, os.getpid()), ITEMS * 50, 2)
    children = {next(rows)[1], next(rows)[1]}
    assert len(children) == 2 and os.getpid() not in children
    rows.close()
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def test_they_are_only_for_large_trees() -> None:
    assert count_of_processes(100) == 1 <= count_of_processes(1 << 30) <= processes.MOST


def test_a_tree_becomes_the_same(write_tree, tmp_path, monkeypatch) -> None:
    files = {f"n{number}.py": f"import torch\nx = torch.linalg.eig{number}\ny = torch.outer\n" for number in range(9)}
    source = write_tree({**files, "bad.py": "x = (\n", "__init__.py": "from .n1 import *\nz = torch.outer\n"})
    found = []
    for count in (1, 3):
        monkeypatch.setattr(porting, "count_of_processes", lambda nbytes, count=count: count)
        out = tmp_path / str(count) / "src"
        out.parent.mkdir()
        row = Port(read_tree(source, out)).write(out, False).to_json()
        found.append((row | {"out": ""}, {path.name: path.read_bytes() for path in out.iterdir()}))
    assert found[0] == found[1]


def test_a_file_that_was_rewritten_is_freed_though_no_cycles_are_collected() -> None:
    source, module, project = read_source(b"import torch\nx = torch.outer\n"), SourceModule("a"), Project()
    project.add(module, source)
    gc.collect()
    gc.disable()
    try:
        rewriter = Rewriter(source, module, project)
        rewriter.run()
        there = weakref.ref(rewriter)
        del rewriter
        assert there() is None
    finally:
        gc.enable()
