"""Code that was ported has the author's own places in it: of each expression that is still there, and of each line."""

from __future__ import annotations

import ast
import sys

import pytest

from torch2flow.port.project import Project, SourceModule
from torch2flow.port.rewriting import Rewriter
from torch2flow.port.running.author_lines import compile_ported, ported_tree
from torch2flow.port.source import PythonText, read_source

TEXT = '''"""Doc."""
from __future__ import annotations
import torch, os
from torch import nn; import torch.nn.functional as F

é = [torch.compile(abs), 1]; ü = torch.linalg.eig


@torch.jit.script
def f(x, *, y=torch.linalg.eig(1)):
    """torch"""
    a = x.to("cpu", non_blocking=True); b = F.gelu(a, approximate="tanh") + missing_one
    return [torch.cat([a, b], dim=1), f"{torch.cat([a, a])} {missing_two}",
            missing_three]


class Net(nn.Module):
    def forward(self, x): torch.backends.cudnn.benchmark = True; return x.missing_four(1).ravel()
'''


def edited(text: str) -> PythonText:
    source = read_source(text.encode())
    module, project = SourceModule("nets"), Project()
    project.add(module, source)
    Rewriter(source, module, project).run()
    assert source.is_edited
    return source


def code_of(text: str):
    return compile_ported(edited(text), "nets.py")


def codes_in(code):
    yield code
    for each in code.co_consts:
        if hasattr(each, "co_code"):
            yield from codes_in(each)


def names_by_line(code) -> set[tuple[int, str]]:
    """The attributes and names that are used in each line."""
    import dis

    found, line = set(), 0
    for each in codes_in(code):
        for step in dis.get_instructions(each):
            started = step.starts_line if sys.version_info < (3, 13) else step.line_number
            line = started if isinstance(started, int) and not isinstance(started, bool) and started else line
            found.add((line, str(step.argval)))
    return found


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_each_name_of_the_authors_is_used_in_the_line_in_which_it_stands(newline: str) -> None:
    text = TEXT.replace("\n", newline)
    used = names_by_line(code_of(text))
    lines = text.splitlines()
    for name in ("missing_one", "missing_two", "missing_three", "missing_four", "é", "ü", "Net", "f"):
        where = {line for line, each in used if each == name}
        assert where and all(name in lines[line - 1] for line in where), (name, where)


def test_the_columns_are_the_authors_too() -> None:
    text = "import torch\n\n\ndef f(é):\n    y = torch.compile(torch.jit.script(é)); return é + torch.is_it(y)(0 / 0)\n"
    source = edited(text)
    lines = text.splitlines()
    spans = {
        lines[node.lineno - 1].encode()[node.col_offset : node.end_col_offset].decode()
        for node in ast.walk(ported_tree(source))
        if isinstance(node, ast.expr)
    }
    assert {"0 / 0", "é", "y", "torch.is_it(y)(0 / 0)", "é + torch.is_it(y)(0 / 0)"} <= spans, spans


def test_places_are_in_order_whatever_is_edited() -> None:
    """Python refuses a node that ends before it begins."""
    for width in range(1, 40, 3):
        text = f"import torch\nx = [{'torch.cat, ' * width}]; y = torch.jit.script(lambda: torch.pi)\n" * 2
        assert isinstance(code_of(text).co_name, str)
    source = read_source(b"x = 1\n")
    assert compile_ported(source, "x.py").co_filename == "x.py"
