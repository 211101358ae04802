"""Where a call was written: the module calls and the source lines that `torch.export` keeps beside each node.

    >>> frames = read_frames("L__self__,,net.Net;L__self__fc@1,fc,torch.nn.modules.linear.Linear")
    >>> frames[-1].key, frames[-1].path, frames[-1].class_name
    ('L__self__fc@1', 'fc', 'torch.nn.modules.linear.Linear')

Paths of the author's machine are cut to the bare file name here, so that none can reach an output.
"""

from __future__ import annotations

import re

from torch2flow.models.program.budget import DEEPEST, LONGEST_TEXT, LONGEST_TRACE, Budget
from torch2flow.models.program.graph import Frame, Line

_LINE = re.compile(r'File "([^"\n]*)", line (\d{1,9}), in ([^\n]+)(?:\n {4}([^\n]*))?')
_PASSED_ON = "*args, **kwargs"
"""How decorators and `torch.nn.Module` pass a call on: such lines say nothing of the model."""


def read_frames(text: str, budget: Budget | None = None) -> tuple[Frame, ...]:
    """The `nn_module_stack` of a node: `key,path,class` for each module call, outermost first, `;` between them.

    Raises:
        FormatError: there are too many, or their names are too long.
    """
    budget = budget or Budget("")
    budget.check(text.count(";") + 1, DEEPEST, "module calls in each other")
    frames = []
    for level in text.split(";"):
        parts = level.split(",", 2)
        if len(parts) < 3 or parts[0].startswith("_empty_nn_module_stack"):
            continue
        # Of what an author writes to a buffer (`self.h = h`), torch 2.13 gives the key of the model twice.
        key, path, class_name = parts[0].replace("L__self__L__self__", "L__self__"), *parts[1:]
        if path.startswith("getattr("):  # A comma of its own.
            path, _, class_name = f"{path},{class_name}".rpartition(",")
        if budget.name(path).startswith(("L[", "getattr(")):
            path = _first_path(path)
        frames.append(Frame(budget.name(key), budget.path(path), budget.name(class_name)))
    return tuple(frames)


_BRACKETS = str.maketrans({"[": ".", "]": ".", ")": ".", ",": ".", "'": "", '"': "", " ": ""})


def _first_path(text: str) -> str:
    """The path of a module as torch 2.1 and 2.2 wrote it: `getattr(L['self'].layers, '0').fc`."""
    plain = text.replace("L['self']", "").replace("getattr(", "").translate(_BRACKETS)
    return ".".join(part for part in plain.split(".") if part)


def read_lines(text: str, count: int) -> tuple[tuple[Line, ...], ...]:
    """The `stack_trace` of a node, as the lines within each of its `count` module calls; empty where unsure.

    A module call begins with a function named `forward`. A line longer than anyone writes says nothing.
    """
    levels: list[list[Line]] = []
    for file, number, function, source in _LINE.findall(text[:LONGEST_TRACE]):
        if file.startswith("<"):
            continue  # what PyTorch's own compiler wrote, and no author
        if function == "forward":
            levels.append([])
        if levels and (_PASSED_ON not in source or not levels[-1]):
            said = source.strip() if len(source) <= LONGEST_TEXT else ""
            name = re.split(r"[/\\]", file)[-1][:LONGEST_TEXT]
            levels[-1].append(Line(name, int(number), function[:LONGEST_TEXT], said))
    if len(levels) == count:
        return tuple(tuple(level) for level in levels)
    # A module whose forward has another name, or one that is called past `__call__`: only the innermost is sure.
    empty: tuple[tuple[Line, ...], ...] = ((),) * max(count - 1, 0)
    return (*empty, tuple(levels[-1])) if levels and count else ((),) * count
