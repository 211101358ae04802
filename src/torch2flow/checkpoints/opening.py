"""`open_checkpoint`: any file or folder of PyTorch's or OneFlow's. What a path is, is told by content, never by name.

| first bytes, or members              | container |
|--------------------------------------|-----------|
| `PK\\x03\\x04`                         | zip: torch.save since 1.6 (or 1.4), TorchScript, `.pt2` |
| pickled 0x1950a86a20f9469cfc6c       | legacy stream of torch.save |
| `ustar` at 257                       | the tar of the first versions |
| u64 length, then `{`                 | safetensors |
| `{` and a `weight_map` inside        | sharded index |
| `\\x80`, then `protocol_version`      | OneFlow 1.x's single file |
| `\\x80` and a protocol                | plain pickle of arrays |
| folder with `.metadata`              | torch.distributed.checkpoint |
| folder with `pickled_data`           | OneFlow's folder (`snapshot_done`: that of OneFlow before 0.7) |
| folder with `rank_0` and a manifest  | folders that torch2flow cut for the ranks of a job |
| folder with one index or weight file | a Hugging Face model folder |
| folder with `*_model_states.pt`, or a `latest` that names one | DeepSpeed |
| files of ranks that hold parts       | DTensor and ShardedTensor in files of torch.save |
"""

from __future__ import annotations

import os
from pathlib import Path

from torch2flow.checkpoints.oneflow.reading import is_oneflow, open_folder, open_single_file
from torch2flow.checkpoints.pytorch import Checkpoint, Container
from torch2flow.checkpoints.pytorch.archive import WHOLE_PICKLE, find_pickle, open_archive
from torch2flow.checkpoints.pytorch.array_checkpoint import with_arrays_as_tensors
from torch2flow.checkpoints.pytorch.legacy import PREFIX, load_pickle_at, open_legacy
from torch2flow.checkpoints.pytorch.safetensors import looks_like_safetensors, open_safetensors
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.checkpoints.pytorch.tar import is_tar, open_tar
from torch2flow.checkpoints.pytorch.torchscript import open_model_json
from torch2flow.checkpoints.pytorch.zip import MAGIC, ZipArchive
from torch2flow.checkpoints.sharding.rank_folders import is_ranks, open_ranks
from torch2flow.errors import FormatError

FOLDER_FILES = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "pytorch_model_fsdp.bin",
    "adapter_model.safetensors",
    "adapter_model.bin",
)
"""How transformers, diffusers, Accelerate and PEFT name the weights in a folder, in their order of preference."""

INNER_FOLDERS = ("pytorch_model_fsdp_0", "pytorch_model")
"""Where Accelerate and the Trainer of transformers put the weights of FSDP and of DeepSpeed."""

WEIGHTS = (".pth", ".pt", ".pkl", ".bin", ".ckpt", ".th", ".tar", ".safetensors", ".pt2", ".nemo")
MOST_LISTED = 1000
"""How files that hold weights often end, and of how many files in a folder it is looked at."""

OTHER_FILES = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, perhaps of Keras",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive: unpack it first",
    b"\x93NUMPY": "a NumPy array file",
    b"GGUF": "a GGUF file of llama.cpp",
    b"\x08": "perhaps an ONNX file: convert the PyTorch model or its weights",
    b"<!DOCTYPE": "a web page: the download was answered with a page, not the file",
    b"<html": "a web page: the download was answered with a page, not the file",
    b"version https://git-lfs": "a Git LFS pointer: fetch the real file with 'git lfs pull'",
}


def open_checkpoint(path: str | os.PathLike[str], key: str | None = None) -> Checkpoint:
    """Opens a checkpoint as a mapping of names to lazy tensors.

    Args:
        path: a file or folder in any format of docs/formats.md.
        key: the part to take, as a dotted path; None chooses by the rule in
            `checkpoints/pytorch/selection.py`, "." is the whole.

    Raises:
        FormatError: the path is missing, broken, hostile or of an unknown format.
        UsageError: there is nothing at `key`.

    Example:
        >>> import torch2flow
        >>> checkpoint = torch2flow.open_checkpoint("model.pth")
        >>> checkpoint["fc.weight"].numpy().shape
        (5, 4)
    """
    return Checkpoint(Path(path), open_container(Path(path)), key)


def open_container(path: Path) -> Container:
    """Opens whatever PyTorch or OneFlow wrote.

    Raises:
        FormatError: it is missing, broken, hostile, or none of the known containers.
    """
    if is_oneflow(path):
        return open_folder(path)
    if is_ranks(path):
        return open_ranks(path)
    if os.path.isdir(path):  # noqa: PTH112 - pathlib's raises where a folder can't be entered
        return _open_folder(path)
    return _open_with_ranks(path)


def _open_shard(path: Path) -> Container:
    return _open_file(path, is_shard=True)


def _open_with_ranks(path: Path) -> Container:
    container = _open_file(path, is_shard=False)
    if "rank" not in path.name:
        return container
    from torch2flow.checkpoints.frameworks.rank_files import with_other_ranks

    return with_other_ranks(path, container, _open_shard)


def _open_file(path: Path, is_shard: bool) -> Container:
    file = SourceFile(path)
    head = file.read(0, min(file.size, 512))
    if not is_shard and _begins_as_single_file(head):
        return open_single_file(file)
    if head.startswith(MAGIC):
        return _of_arrays(_open_zip(file))
    if head[2:14] == PREFIX or PREFIX in head[:32]:
        return _of_arrays(open_legacy(file))
    if is_tar(head):
        return open_tar(file)
    if looks_like_safetensors(head, file.size):
        return open_safetensors(file)
    if head.lstrip()[:1] == b"{":
        from torch2flow.checkpoints.pytorch.sharded import open_sharded

        if is_shard:
            raise FormatError(
                "The index names itself or another index as a shard.", where=str(path), maybe="it is hostile"
            )
        return open_sharded(file, _open_shard)
    if head[:1] == b"\x80":
        return _of_arrays(_open_pickle(file))
    raise _unknown(path, head)


def _of_arrays(container: Container) -> Container:
    container.root = with_arrays_as_tensors(container.root)
    return container


def _begins_as_single_file(head: bytes) -> bool:
    start = head[:64]
    return start[:1] == b"\x80" and b"protocol_version" in start and PREFIX not in start  # torch.save's has both


def _open_zip(file: SourceFile) -> Container:
    archive = ZipArchive(file)
    pickle = find_pickle(archive)
    if pickle is not None:
        return open_archive(archive, pickle)
    from torch2flow.checkpoints.pytorch.pt2 import is_pt2, open_pt2

    if is_pt2(archive):
        return open_pt2(archive)
    script = find_pickle(archive, "model.json")
    if script is not None:
        return open_model_json(archive, script)
    raise FormatError(
        "This zip archive is no PyTorch checkpoint: it holds no data.pkl.",
        where=f"{file.path}, records {', '.join(archive.names()[:5])}"[:500],
        maybe="the checkpoint was packed into a zip, or this is an .npz",
        remedy="unpack it and give the checkpoint inside",
    )


def _open_folder(path: Path) -> Container:
    if os.path.isfile(path / ".metadata"):
        from torch2flow.checkpoints.pytorch.dcp import open_dcp

        return open_dcp(path)
    for name in FOLDER_FILES:
        if os.path.isfile(path / name):
            return _open_file(path / name, is_shard=False)
    from torch2flow.checkpoints.frameworks.deepspeed import deepspeed_folder, open_deepspeed
    from torch2flow.checkpoints.frameworks.rank_files import choose_rank_files

    deepspeed = deepspeed_folder(path)
    if deepspeed is not None:
        return open_deepspeed(deepspeed, _open_shard)
    for name in INNER_FOLDERS:
        if os.path.isdir(path / name):  # noqa: PTH112 - as above
            return _open_folder(path / name)
    ranks = choose_rank_files(path)
    if ranks:
        return _open_with_ranks(ranks[0])
    inside = _weight_files(path)
    raise FormatError(
        "This folder is no checkpoint that torch2flow knows.",
        where=str(path),
        maybe="it lacks what marks one: .metadata (distributed), an index.json (sharded), or pickled_data (OneFlow)",
        remedy=f"give one of the files inside: {', '.join(inside)}"[:500]
        if inside
        else "give the checkpoint file itself",
    )


def _weight_files(path: Path) -> list[str]:
    """Some files in a folder, and in those inside, that may be checkpoints."""
    found: list[str] = []
    for depth in range(1, 4):
        for number, file in enumerate(path.glob("/".join("*" * depth))):
            if number >= MOST_LISTED or len(found) >= 5:
                break
            if file.suffix in WEIGHTS:
                found.append(str(file.relative_to(path)))
    return sorted(found)


def _open_pickle(file: SourceFile) -> Container:
    value, machine = load_pickle_at(file, 0, file.size, None, WHOLE_PICKLE, str(file.path))
    return Container("pickle", value, [file], "plain pickle", machine.opaque)


def _unknown(path: Path, head: bytes) -> FormatError:
    start = head.lstrip()[:32].lower()
    maybe = next((text for magic, text in OTHER_FILES.items() if start.startswith(magic.lower())), "")
    if not head:
        maybe = "the file is empty: the download or copy was interrupted"
    elif not head.strip(b"\0"):
        maybe = "it begins with zeros: the download or copy was interrupted"
    return FormatError(
        "This is no checkpoint that torch2flow knows.",
        where=f"{path}, first bytes {head[:8].hex(' ')}",
        maybe=maybe,
        remedy="see docs/formats.md for what can be read",
    )
