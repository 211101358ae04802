"""What every container yields: the object tree, who wrote it, and which files it lies in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch2flow.checkpoints.pytorch.source_file import SourceFile


@dataclass(slots=True)
class Container:
    """An opened file or folder, before anyone chose what to take from it.

    Attributes:
        format: `zip`, `legacy`, `tar`, `torchscript`, `safetensors`, `sharded`, `dcp`, `pt2`, or a OneFlow format.
        root: the whole object as plain data.
        files: the files its tensors lie in.
        producer: what the file says of who wrote it: "PyTorch 1.6 or newer", ...
        opaque: how often each class was met that is not known.
        notes: what a person should know: ignored records, for example.
        metadata: text the container carries beside the tensors.
        program: where in the first file a `.pt2` holds its program: byte offset and length.
        other_program: where it holds the program of the mode, train or eval, that was not captured.
        facts: where it holds what `torch2flow capture` knew of the model's own code: byte offset and length.
    """

    format: str
    root: Any
    files: list[SourceFile]
    producer: str = ""
    opaque: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    program: tuple[int, int] | None = None
    facts: tuple[int, int] | None = None
    other_program: tuple[int, int] | None = None
