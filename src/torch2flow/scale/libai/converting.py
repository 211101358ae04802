"""`torch2flow libai`: weights under LiBai's names in a file or folder, or back."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.writing import Options, make_plan
from torch2flow.checkpoints.writing.entry_bytes import Progress
from torch2flow.conversion import FORMATS, SUFFIXES, Delivery, Result, deliver
from torch2flow.errors import UsageError
from torch2flow.guards.json_text import parse_json
from torch2flow.guards.records import Demand, checked
from torch2flow.guards.regular_files import read_whole
from torch2flow.scale.libai import FAMILIES, from_libai, to_libai

Heads = Annotated[int, Demand(lambda n: 0 < n < 1 << 20, "a number of heads")]


class Config(TypedDict, total=False):
    """The number of heads in configurations of transformers: BERT and most others, GPT-2, T5."""

    num_attention_heads: Heads
    n_head: Heads
    num_heads: Heads


HEADS: tuple[Literal["num_attention_heads", "n_head", "num_heads"], ...] = (
    "num_attention_heads",
    "n_head",
    "num_heads",
)


def convert_libai(
    family: str,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    heads: int | None = None,
    vocabulary: int | None = None,
    reverse: bool = False,
    key: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int], Progress] | None = None,
) -> Result:
    """Writes a checkpoint as LiBai's model of a family has it.

    Args:
        family: `torch2flow.scale.libai.FAMILIES` lists them.
        source: weights of transformers', or with `reverse` of LiBai's.
        out: as for `torch2flow.convert`.
        heads: attention heads; None for what a config.json beside the source says.
        vocabulary: rows of the vocabulary on the other side; None for as many as there are.
        reverse: from LiBai to transformers.
        key, overwrite, progress: as for `torch2flow.convert`.

    Raises:
        UsageError, UnsupportedError: as for `to_libai`; or the number of heads is not known.
        FormatError, OutputError: as for `torch2flow.convert`.
    """
    out, path = Path(os.path.abspath(out)), Path(source)
    checkpoint = open_checkpoint(path, key)
    heads = heads or _configured_heads(path, family)
    other = (from_libai if reverse else to_libai)(checkpoint, family, heads=heads, vocabulary=vocabulary)
    format = SUFFIXES.get(out.suffix, "folder")
    plan = make_plan(other, Options(key="."), FORMATS[format].target)
    return deliver(plan, out, format, Delivery(overwrite=overwrite, progress=progress))


def _configured_heads(path: Path, family: str) -> int:
    if family in FAMILIES and not FAMILIES[family].by_heads:  # Swin's differ from stage to stage
        return 1
    file = (path if path.is_dir() else path.parent) / "config.json"
    config = checked(Config, parse_json(read_whole(file), str(file)), str(file)) if file.exists() else Config()
    for name in HEADS:
        if name in config:
            return config[name]
    raise UsageError(
        "How many attention heads the model has is not known.", where=str(file), remedy="say so: --heads N"
    )
