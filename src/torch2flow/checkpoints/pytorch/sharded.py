"""Hugging Face's sharded checkpoints: `*.index.json` says which file holds which tensor.

    {"metadata": {"total_size": 123}, "weight_map": {"layer.weight": "model-00001-of-00002.safetensors"}}

Follows `transformers/modeling_utils.py` and `huggingface_hub/serialization` (the index they write).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from torch2flow.checkpoints.pickles import StatefulDict
from torch2flow.checkpoints.pytorch.containers import Container
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.errors import FormatError
from torch2flow.guards.json_text import MOST_BYTES, parse_object
from torch2flow.guards.records import checked


class Index(TypedDict):
    """What an index must have."""

    weight_map: dict[str, str]


def open_sharded(index: SourceFile, open_file: Callable[[Path], Container]) -> Container:
    """Every shard the index names, as one state dict in the index's order.

    Args:
        index: the `*.index.json` file.
        open_file: opens one shard, which must be a file that is no index again.

    Raises:
        FormatError: the index is damaged, or a shard or a tensor it promises is missing.
    """
    if index.size > MOST_BYTES:
        raise FormatError("The index is larger than any real one.", where=str(index.path))
    content = parse_object(index.read(0, index.size), str(index.path))
    metadata, weight_map = content.get("metadata"), content.get("weight_map")
    if not weight_map:
        raise FormatError(
            "This JSON file is no checkpoint index: it has no weight_map.",
            where=str(index.path),
            remedy="give the checkpoint, or its model.safetensors.index.json",
        )
    weight_map = checked(Index, content, str(index.path))["weight_map"]
    shards: dict[str, Container] = {}
    tensors: StatefulDict = StatefulDict()
    for name, file_name in weight_map.items():
        if len(file_name) > 255 or file_name in ("", ".", "..") or "/" in file_name or "\\" in file_name:
            raise FormatError(
                f"The index places {name[:100]!r} in {json.dumps(file_name)[:100]}, which is no bare file name.",
                where=str(index.path),
                maybe="it was made to read files outside its folder",
            )
        if file_name not in shards:
            shards[file_name] = open_file(index.path.parent / file_name)
        root: Any = shards[file_name].root
        if not isinstance(root, dict) or name not in root:
            raise FormatError(
                f"The index promises {name[:100]!r} in {file_name}, which does not hold it.",
                where=str(index.path),
                maybe="index and shards are from different versions of the model",
            )
        tensors[name] = root[name]
    unused = sum(len(shard.root) for shard in shards.values()) - len(weight_map)
    return Container(
        "sharded",
        tensors,
        [index, *(file for shard in shards.values() for file in shard.files)],
        f"{len(shards)} shards of {next(iter(shards.values())).format}",
        notes=[f"{unused} tensors of the shards are not in the index and were left out"] if unused else [],
        metadata=metadata if isinstance(metadata, dict) else {},
    )
