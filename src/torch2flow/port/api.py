"""What OneFlow has under each public name of PyTorch: equal, equal through a rule, in part, or not at all.

The table beside this file is written by `make api` (scripts/api.py) from runs of both libraries; this only reads it.

    >>> find("torch.nn.functional.leaky_relu").oneflow
    'flow.nn.functional.leaky_relu'
    >>> find("torch.nn.modules.conv.Conv2d").name
    'torch.nn.Conv2d'
    >>> find("torch.no_such_function").status
    'cannot'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from torch2flow.port.compat import SUBSTITUTES

Status = Literal["equal", "rule", "part", "cannot"]


@dataclass(frozen=True, slots=True)
class Api:
    """What becomes of one public name of PyTorch.

    Attributes:
        name: the name, in its canonical spelling: `torch.nn.Conv2d`.
        status: `equal`; `rule`, where a substitute in `port/compat` makes it equal; `part`; `cannot`.
        oneflow: what OneFlow has under that name, `flow.nn.Conv2d`; "" where it has nothing.
        arguments: PyTorch's parameters that OneFlow's lacks.
        renamed: PyTorch's parameters that OneFlow has by another name, such as `input` that is `x`.
        note: what is not there, or what differs and how it shows, in sentences.
        is_silent: what differs shows in no error.
    """

    name: str
    status: Status
    oneflow: str = ""
    arguments: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    is_silent: bool = False


def find(name: str) -> Api:
    """What becomes of a public name of PyTorch, in whichever spelling; what is unknown `cannot` be ported."""
    name = canonical(name)
    row = _table()[0].get(name)
    oneflow = "" if row is None else f"flow{name.removeprefix('torch')}"
    arguments = tuple(row["arguments"]) if row and "arguments" in row else ()
    renamed = row["renamed"] if row and "renamed" in row else {}
    note = str(row.get("note", "")) if row else "OneFlow 0.9.0 has nothing of this name."
    substitute = SUBSTITUTES.get(name)
    if substitute is not None:
        return Api(name, "rule", oneflow, (), renamed, substitute.because)
    if row is None:
        return Api(name, "cannot", note=note)
    is_silent = row.get("silent", False)
    return Api(name, "part" if arguments or note else "equal", oneflow, arguments, renamed, note, is_silent)


def canonical(name: str) -> str:
    """The spelling under which a name is documented: `torch.nn.Conv2d` for `torch.nn.modules.conv.Conv2d`."""
    name = _OTHER_NAMES.get(name, name)
    return name if name in SUBSTITUTES else _table()[1].get(name, name)


_OTHER_NAMES = {
    "torch.nn.init." + name: f"torch.nn.init.{name}_"
    for name in """constant dirac eye kaiming_normal kaiming_uniform normal orthogonal sparse uniform xavier_normal
        xavier_uniform""".split()
} | {
    "torch.bilinear": "torch.nn.functional.bilinear",
    "torch.nn.NLLLoss2d": "torch.nn.NLLLoss",
    "torch.nn.utils.clip_grad.clip_grad_norm_": "torch.nn.utils.clip_grad_norm_",
    "torch.special.expm1": "torch.expm1",
    "torch.special.log1p": "torch.log1p",
    "torch.special.round": "torch.round",
}
"""Other names of the same functions, most of which PyTorch keeps for old code alone, and what each of them calls."""


@cache
def _table() -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The rows by name, and the canonical name of each other spelling."""
    rows: dict[str, dict[str, Any]] = {}
    spellings: dict[str, str] = {}
    with Path(__file__).with_name("api.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if "is" in row:
                spellings[row["name"]] = row["is"]
            else:
                rows[row["name"]] = row
    return rows, spellings
