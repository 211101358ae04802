"""Opens what OneFlow wrote, without OneFlow: the checkpoint folder, the old snapshot folder, the 1.x single file.

A folder that torch2flow wrote has a manifest, and what was widened or viewed otherwise on the way is given
back as it was in the source: the way back to PyTorch is bit for bit.
"""

from __future__ import annotations

import math
import mmap
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.dtypes import DTYPES, DType, find_dtype
from torch2flow.checkpoints.oneflow.dtypes import DATA_TYPES, STORED_AS
from torch2flow.checkpoints.pickles import Global, Machine, StatefulDict, label, run_stream
from torch2flow.checkpoints.pytorch import Container, Storage, TensorRef
from torch2flow.checkpoints.pytorch.archive import WHOLE_PICKLE
from torch2flow.checkpoints.pytorch.arrays import NumpyArray, NumpyDType
from torch2flow.checkpoints.pytorch.constructors import CONSTRUCTORS
from torch2flow.checkpoints.pytorch.legacy import load_pickle_at
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.checkpoints.pytorch.tensor import contiguous_stride, is_contiguous
from torch2flow.checkpoints.pytorch.tree import named, plain
from torch2flow.checkpoints.writing.manifest_reading import TensorRow, read_manifest
from torch2flow.checkpoints.writing.value_changes import narrow
from torch2flow.errors import FormatError

if TYPE_CHECKING:
    import numpy as np

PICKLED_DATA, SNAPSHOT_DONE = "pickled_data", "snapshot_done"
BY_DATA_TYPE = {name: DTYPES[dtype] for dtype, (name, _) in DATA_TYPES.items()}
BY_NUMBER = {number: DTYPES[dtype] for dtype, (_, number) in DATA_TYPES.items()}

MAX_META = 1 << 16
_DIM = re.compile(rb"\bdim\s*:\s*(\[[\d,\s]*\]|\d+)")
_DATA_TYPE = re.compile(rb"\bdata_type\s*:\s*(\w+)")


@dataclass(slots=True, eq=False, repr=False)
class FlowTensor(TensorRef):
    """A tensor of OneFlow's, whose file may hold it in another dtype: bfloat16 as float32, int16 as int32.

    Attributes:
        source: the tensor as it is stored, where that differs.
        find: gives the tensor at a path; the pickle names the path after it made the tensor.
    """

    source: TensorRef | None = None
    find: Callable[[Any], TensorRef] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the bytes lie in the file as they are."""
        return self.source is None and not self.storage.big_endian and is_contiguous(self.shape, self.stride)

    def region(self, start: tuple[int, ...], stop: tuple[int, ...]) -> FlowTensor:
        """The block between two corners, of this tensor and of the stored one."""
        block = TensorRef.region(self, start, stop)
        assert isinstance(block, FlowTensor)
        block.source = self.source and self.source.region(start, stop)
        return block

    def seen(self, shape: tuple[int, ...], stride: tuple[int, ...]) -> FlowTensor:
        """The same elements with another shape and other strides; the stored tensor is viewed in the same way."""
        other = TensorRef.seen(self, shape, stride)
        assert isinstance(other, FlowTensor)
        other.source = self.source and self.source.seen(shape, stride)
        return other

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values in the tensor's own dtype."""
        return TensorRef.numpy(self) if self.source is None else self._narrow(self.source.numpy())

    def chunks(self) -> Iterator[np.ndarray[Any, Any]]:
        """The elements in C order as flat arrays."""
        if self.source is None:
            yield from TensorRef.chunks(self)
        else:
            yield from map(self._narrow, self.source.chunks())

    def _narrow(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        assert self.source is not None
        return narrow(values, self.source.dtype, self.dtype, self.storage.key)

    def set_pickled_state(self, state: Any) -> None:
        """`{"path": ...}` in a folder."""
        if self.find is None or not isinstance(state, dict):
            raise FormatError("A tensor of the checkpoint has no place.")
        self.become(self.find(state.get("path")))
        self.requires_grad = self.is_parameter and self.dtype.kind in "fc"

    def become(self, other: TensorRef) -> None:
        """Takes over everything from another tensor, except whether it is a parameter."""
        self.dtype, self.shape, self.stride = other.dtype, other.shape, other.stride
        self.storage, self.source = other.storage, other.source if isinstance(other, FlowTensor) else None

    def recast(self, dtype: DType, name: str = "") -> FlowTensor:
        """The tensor in another dtype, converted as it is read; `name` is told where a value does not fit."""
        source = TensorRef(self.dtype, self.shape, self.stride, 0, self.storage)
        storage = Storage(name or self.storage.key, self.numel * dtype.itemsize, self.storage.file)
        return FlowTensor(dtype, self.shape, self.stride, 0, storage, source=source)


def empty_tensor(find: Callable[[Any], TensorRef] | None = None, is_parameter: bool = False) -> FlowTensor:
    """A tensor that gets its place later."""
    return FlowTensor(DTYPES["float32"], (0,), (1,), 0, Storage("", 0, data=b""), is_parameter=is_parameter, find=find)


def restore(root: Any, path: Path) -> None:
    """Gives tensors the dtype that they had in the source, where the manifest says that no bits were lost."""
    try:
        rows = read_manifest(path)["tensors"]
    except FormatError:
        return  # not an output of ours, or parted from its manifest: the tensors are what they are
    by_name = {row["name"]: row for row in rows if row.get("change")}
    # Through `plain`, which refuses what a walk would not come back from.
    for name, tensor in named(plain(root)) if by_name else ():
        if name in by_name and isinstance(tensor, FlowTensor):
            _restore(tensor, by_name[name])


def _restore(tensor: FlowTensor, row: TensorRow) -> None:
    dtype = DTYPES.get(row.get("source_dtype", ""))
    if dtype is None or dtype is tensor.dtype:
        return
    if row["change"] == "widened":
        tensor.become(tensor.recast(dtype, str(row.get("name"))))
    elif row["change"] == "view_as_real" and tensor.shape[-1:] == (2,):
        shape = tensor.shape[:-1]
        tensor.become(FlowTensor(dtype, shape, contiguous_stride(shape), 0, tensor.storage))


def is_oneflow(path: Path) -> bool:
    """Whether a path is a checkpoint of OneFlow's: a folder with its marks, or its single file."""
    # Not pathlib's is_file, which raises where a folder can't be entered.
    return any(os.path.isfile(path / name) for name in (PICKLED_DATA, SNAPSHOT_DONE))


def open_folder(path: Path) -> Container:
    """A folder of `flow.save`, of torch2flow, or of OneFlow before 0.7.

    Raises:
        FormatError: it is damaged, or names files outside itself.
    """
    if not (path / PICKLED_DATA).is_file():
        return _open_snapshot(path)
    folder = _Folder(path)
    file = SourceFile(path / PICKLED_DATA)
    constructors = {**CONSTRUCTORS, **folder.constructors()}
    value, machine = load_pickle_at(file, 0, file.size, None, WHOLE_PICKLE, str(file.path), constructors)
    if not isinstance(value, dict) or value.get("protocol_version") != 1 or "data" not in value:
        raise FormatError("The pickled_data is not OneFlow's.", where=str(file.path))
    restore(value["data"], path)
    return Container("oneflow", value["data"], [file, *folder.files.values()], "OneFlow 0.7 or newer", machine.opaque)


class _Folder:
    """Finds tensors by the paths that `pickled_data` names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, SourceFile] = {}
        self.tensors: dict[str, FlowTensor] = {}

    def constructors(self) -> dict[str, Any]:
        return {
            "oneflow.Tensor": lambda m, *args: empty_tensor(self.tensor),
            "oneflow.nn.Parameter": self._parameter,
            "oneflow.nn.parameter.Parameter": self._parameter,
            "oneflow.cast": lambda m, tensor, dtype: _tensor(tensor).recast(_dtype(dtype)),
            "oneflow.Tensor.requires_grad_": lambda m, tensor, grad=True: _mark(tensor, False, grad),
            "oneflow.Size": CONSTRUCTORS["torch.Size"],
        }

    def _parameter(self, machine: Machine, data: Any = None, grad: Any = True) -> Any:
        return empty_tensor(self.tensor, is_parameter=True) if data is None else _mark(data, True, grad)

    def tensor(self, path: Any) -> FlowTensor:
        """The tensor in a sub-folder, as its `meta` describes it."""
        if not isinstance(path, str) or path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise FormatError(
                f"The checkpoint names a tensor outside its folder: {label(path)!r}.",
                where=str(self.path / PICKLED_DATA),
                maybe="it was made to read other files",
            )
        if path not in self.tensors:
            tensor, file = read_tensor(self.path / path)
            self.files[path] = file
            self.tensors[path] = tensor
        return self.tensors[path]


def _tensor(value: Any) -> FlowTensor:
    if not isinstance(value, FlowTensor):
        raise FormatError("The checkpoint makes a tensor out of something else.")
    return value


def _mark(value: Any, is_parameter: bool, grad: Any) -> FlowTensor:
    tensor = _tensor(value)
    tensor.is_parameter, tensor.requires_grad = is_parameter, bool(grad)
    return tensor


def _dtype(value: Any) -> DType:
    found = find_dtype(value.name.removeprefix("oneflow.")) if isinstance(value, Global) else None
    if found is None:
        raise FormatError(f"The checkpoint names an unknown element type: {label(value)[:100]}.")
    return found


def read_tensor(folder: Path) -> tuple[FlowTensor, SourceFile]:
    """The tensor in a folder with `meta` and `out`.

    Raises:
        FormatError: one of them is missing, or they contradict each other.
    """
    meta = SourceFile(folder / "meta")
    text = meta.read(0, min(meta.size, MAX_META))
    meta.close()
    # Protobuf text: dims one a line or as a list; the data type by name or number.
    dims = b",".join(match.strip(b"[]") for match in _DIM.findall(text)).replace(b" ", b"")
    kind = _DATA_TYPE.search(text)
    name = kind.group(1).decode("ascii") if kind else ""
    dtype = BY_NUMBER.get(int(name)) if name.isdigit() and len(name) < 4 else BY_DATA_TYPE.get(name)
    if dtype is None:
        raise FormatError(
            f"The tensor has the data type {name[:40]!r}, which OneFlow's folders can't hold.",
            where=str(meta.path),
        )
    if dtype.name in STORED_AS:  # flow.save 0.9.0 writes float32 bytes under this name
        raise FormatError(
            f"The tensor is marked {name}, which OneFlow itself can't load.",
            where=str(meta.path),
            maybe="it was written by flow.save of OneFlow 0.9.0, whose bfloat16 checkpoints are broken",
        )
    shape = tuple(int(dim) for dim in dims.split(b",") if dim and len(dim) < 20)
    out = SourceFile(folder / "out")
    if math.prod(shape) * dtype.itemsize != out.size:
        raise FormatError(
            f"The tensor should have {math.prod(shape) * dtype.itemsize} bytes, its file has {out.size}.",
            where=str(out.path),
            maybe="the copy was interrupted",
        )
    storage = Storage(folder.name, out.size, out, 0)
    return FlowTensor(dtype, shape, contiguous_stride(shape), 0, storage), out


def _open_snapshot(path: Path) -> Container:
    """Opens a snapshot: a folder for each variable, named by its key."""
    tensors = StatefulDict()
    files = []
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir() and (entry / "meta").is_file()):
        tensors[folder.name], file = read_tensor(folder)
        files.append(file)
    restore(tensors, path)
    return Container("oneflow-snapshot", tensors, files, "OneFlow before 0.7")


def open_single_file(file: SourceFile) -> Container:
    """The single file of OneFlow 1.x. It is mapped, not read: the arrays inside are most of it.

    Raises:
        FormatError: it is damaged, or a pickle of something else.
    """
    data: mmap.mmap = file.map()
    machine = Machine(data, constructors={**CONSTRUCTORS, **_single_file_constructors()}, where=str(file.path))
    value = run_stream(machine)
    if not (isinstance(value, dict) and "__oneflow__" in value and "data" in value):
        raise FormatError("This pickle is no checkpoint of OneFlow's.", where=str(file.path))
    restore(value["data"], file.path)
    return Container("oneflow-file", value["data"], [file], "OneFlow 1.x, or torch2flow", machine.opaque)


def _single_file_constructors() -> dict[str, Any]:
    """What the pickle of a single file calls: tensors whose state holds a NumPy array."""

    def array(machine: Machine, shape: Any, code: Any, data: Any, *rest: Any) -> NumpyArray:
        made = NumpyArray(NumpyDType("b1"))
        order, kind = (code[0], code[1:]) if code[:1] in "<>|=" else ("<", code)
        made.set_pickled_state((shape, NumpyDType(kind, order), False, data))
        return made

    return {
        "oneflow.Tensor": lambda m, *args: _ArrayTensor.make(False),
        "oneflow.nn.Parameter": lambda m, data=None, grad=True: (
            _ArrayTensor.make(True) if data is None else _mark(data, True, grad)
        ),
        "oneflow.nn.parameter.Parameter": lambda m, *args: _ArrayTensor.make(True),
        "oneflow.Tensor.requires_grad_": lambda m, tensor, grad=True: _mark(tensor, False, grad),
        "oneflow._oneflow_internal.dtype": lambda m, *args: _PickledDType(),
        "oneflow.Size": CONSTRUCTORS["torch.Size"],
        "numpy.ndarray": array,
    }


@dataclass(slots=True, eq=False)
class _PickledDType:
    """`oneflow.dtype` pickles as its number."""

    dtype: DType | None = None

    def set_pickled_state(self, state: Any) -> None:
        self.dtype = BY_NUMBER.get(state) if type(state) is int else None


@dataclass(slots=True, eq=False, repr=False)
class _ArrayTensor(FlowTensor):
    """A tensor whose values the pickle holds."""

    @classmethod
    def make(cls, is_parameter: bool) -> _ArrayTensor:
        return cls(DTYPES["float32"], (0,), (1,), 0, Storage("", 0, data=b""), is_parameter=is_parameter)

    def set_pickled_state(self, state: Any) -> None:
        """`{"data": array, "dtype": oneflow.dtype, "device": "cpu"}`."""
        array = state.get("data") if isinstance(state, dict) else None
        if not isinstance(array, NumpyArray):
            raise FormatError("A tensor of the checkpoint has no values.")
        stored = array.as_tensor()
        tensor = FlowTensor(stored.dtype, stored.shape, stored.stride, 0, stored.storage)
        kind = state.get("dtype")
        dtype = kind.dtype if isinstance(kind, _PickledDType) else None
        self.become(tensor if dtype is None or dtype is tensor.dtype else tensor.recast(dtype))
        self.requires_grad = self.is_parameter and self.dtype.kind in "fc"
