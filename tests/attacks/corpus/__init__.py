"""The corpus: one module a family, each a list of small functions that write one hostile file.

    @attack(refused="holds itself")
    def list_in_itself(folder: Path) -> Path:
        '''What it tries, and what other loaders do with it.'''

The function writes into `folder` and returns the path to open. Whatever a payload runs would make the file
`canary` there (`payload`). Nothing here needs PyTorch: the bytes are put together by hand (`corpus/build.py`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Builder = Callable[[Path], Path]


@dataclass(frozen=True)
class Attack:
    """One hostile file, and what has to become of it.

    Attributes:
        name: the builder's name.
        family: its module.
        tries: what it tries, for the table in README.md.
        build: writes it and returns the path to open.
        refused: a part of the error's text; None if the file is `inert`: it opens, and does nothing.
        reports: classes that must be listed as unknown when it opens.
        convert: exit codes that converting it may end with, where it opens.
        nobody: open it as a user without rights.
        memory: peak resident memory allowed, in MiB.
    """

    name: str
    family: str
    tries: str
    build: Builder
    refused: str | None
    reports: tuple[str, ...] = ()
    convert: tuple[int, ...] = (0,)
    nobody: bool = False
    memory: int = 256


ATTACKS: dict[str, Attack] = {}


def attack(
    *,
    refused: str | None = None,
    reports: tuple[str, ...] = (),
    convert: tuple[int, ...] = (0,),
    nobody: bool = False,
    memory: int = 256,
    name: str = "",
    tries: str = "",
) -> Callable[[Builder], Builder]:
    """Registers the function below; see `Attack`. `name` and `tries` are for builders made in a loop."""

    def register(build: Builder) -> Builder:
        label = name or build.__name__
        family = build.__module__.rpartition(".")[2]
        text = " ".join((tries or build.__doc__ or "").split())
        if label in ATTACKS or not text:
            raise ValueError(f"the attack {label} stands twice, or does not say what it tries")
        ATTACKS[label] = Attack(label, family, text, build, refused, reports, convert, nobody, memory)
        return build

    return register


def payload(folder: Path) -> str:
    """A shell command that shows that it ran."""
    return f"touch {folder}/canary"


def all_attacks() -> list[Attack]:
    """Every attack of every family."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return list(ATTACKS.values())
