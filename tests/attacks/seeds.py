"""Small sound files of every container: what truncation and mutation start from."""

from __future__ import annotations

import pickle
import shutil
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import Path

from .corpus import build, dcp, jsons, oneflow
from .corpus.build import call, dict_of, list_of, name, number, numbers, storage, tensor, text, tuple_of

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
LARGEST_FIXTURE = 20_000

Seed = Callable[[Path], tuple[Path, list[Path]]]
"""Writes into a folder; returns the path to open and the files to damage."""

MODULE = call("torch.nn.Linear") + dict_of(
    (text("_parameters"), dict_of((text("weight"), call("torch._utils._rebuild_parameter", tensor(), b"\x88", b"N")))),
    (text("_buffers"), dict_of((text("n"), tensor((2, 2), (1, 2))))),
    (text("_modules"), b"}"),
)
ARRAY = (
    call("numpy.core.multiarray._reconstruct", name("numpy.ndarray"), tuple_of(number(0)), text("b"))
    + tuple_of(
        number(1),
        numbers((2,)),
        call("numpy.dtype", text("f4"), b"\x89", b"\x88"),
        b"\x89",
        call("_codecs.encode", text("\x00\x00\x80?\x00\x00\x00@"), text("latin1")),
    )
    + b"b"
)
SPARSE = call(
    "torch._utils._rebuild_sparse_tensor",
    name("torch.sparse_coo"),
    tuple_of(tensor((1, 2), (2, 1)), tensor((2,)), numbers((3,))),
)
QUANTIZED = call(
    "torch._utils._rebuild_qtensor",
    storage(kind="torch.QUInt8Storage", numel=16),
    number(0),
    numbers((4, 4)),
    numbers((4, 1)),
    tuple_of(name("torch.per_tensor_affine"), b"G?\xf0\0\0\0\0\0\0", number(0)),
    b"\x89",
    b"N",
)
EVERYTHING = dict_of(
    (text("weight"), tensor()),
    (text("view"), tensor((2, 2), (0, 1), 1)),
    (text("module"), MODULE + b"b"),
    (text("array"), ARRAY),
    (text("sparse"), SPARSE),
    (text("list"), list_of(number(-5), b"G?\xf0\0\0\0\0\0\0", b"\x88", b"N", text("π"))),
    (text("options"), call("argparse.Namespace") + dict_of((text("lr"), number(1 << 40))) + b"b"),
)

PYTHON_DATA = {
    "a": [1, -2.5, None, True, "x", b"y", bytearray(b"z"), 2**70],
    "b": (OrderedDict(k=1), defaultdict(list, {1: [2]}), deque([1], 3), Counter("aab"), {1, 2}, frozenset((3,)), 2j),
}


def _file(name_: str, data: bytes) -> Seed:
    def write(folder: Path) -> tuple[Path, list[Path]]:
        path = folder / name_
        path.write_bytes(data)
        return path, [path]

    return write


def _folder(make: Callable[[Path], Path], *damaged: str) -> Seed:
    def write(folder: Path) -> tuple[Path, list[Path]]:
        path = make(folder)
        return path, [(path if path.is_dir() else path.parent) / part for part in damaged]

    return write


def _fixture(source: Path) -> Seed:
    def write(folder: Path) -> tuple[Path, list[Path]]:
        path = folder / source.name
        shutil.copyfile(source, path)
        return path, [path]

    return write


def _two_pieces(folder: Path) -> Path:
    chunks = list_of(dcp.chunk(), dcp.chunk(dcp.size(4)))
    places = dict_of((dcp.index(), dcp.place()), (dcp.index(dcp.size(4)), dcp.place()))
    paths = dict_of((text("w"), tuple_of(text("model"), text("w"))))
    return dcp.save(folder, dcp.metadata(dict_of((text("w"), dcp.described(dcp.size(8), chunks))), places, paths))


SEEDS: dict[str, Seed] = {
    "zip": _file("model.pth", build.torch_zip(EVERYTHING, {"0": build.FOUR})),
    "zip-quantized": _file("model.pth", build.torch_zip(QUANTIZED)),
    "legacy": _file("model.pth", build.legacy_file(dict_of((text("weight"), build.legacy_tensor())))),
    "tar": _file("model.pth", build.tar_file(end=b"")),
    "safetensors": _file(
        "model.safetensors",
        build.safetensors_file(
            {
                "__metadata__": {"format": "pt"},
                "a": build.safe_entry([2], [0, 8]),
                "b": build.safe_entry([4], [8, 16], "BF16"),
            }
        ),
    ),
    "sharded": _folder(
        lambda folder: jsons.write_index(folder, {"a": "shard.safetensors"}, metadata={"total_size": 16}),
        "model.safetensors.index.json",
        "shard.safetensors",
    ),
    "dcp": _folder(_two_pieces, ".metadata", "__0_0.distcp"),
    "pt2": _file("model.pt2", jsons.weight()),
    "oneflow": _folder(
        lambda folder: oneflow.save(folder, oneflow.weight()), "pickled_data", "tensor_0/meta", "tensor_0/out"
    ),
    **{f"pickle-{p}": _file("data.pkl", pickle.dumps(PYTHON_DATA, p)) for p in range(2, 6)},
}
"""Made by hand: nothing else is needed."""

FIXTURE_SEEDS: dict[str, Seed] = {
    f"{path.parent.name}-{path.name}": _fixture(path)
    for pattern in ("*/*.pth", "*/*.pt", "*/*.pt2", "*/*.safetensors")
    for path in sorted(FIXTURES.glob(pattern))
    if path.stat().st_size < LARGEST_FIXTURE
}
"""Written by PyTorch itself, where those files are at hand."""
