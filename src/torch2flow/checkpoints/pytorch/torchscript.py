"""TorchScript archives: their modules as the pickled `nn.Module`s they stand for, so that one walk serves both.

The pickle holds plain objects with attributes; which of those are parameters and buffers is said by the
archive's code, in lines such as `__parameters__ = ["weight", "bias", ]`. The code is read as text.

PyTorch 1.0 wrote `model.json` in place of a pickle (`caffe2/proto/torch.proto`, 1.0).
Follows `torch/csrc/jit/serialization/{python_print,export_module}.cpp` (1.4 to 2.13).
"""

from __future__ import annotations

import ast
import re
from typing import Any

from torch2flow.checkpoints.dtypes import DTYPES, DType
from torch2flow.checkpoints.pickles import Opaque, StatefulDict
from torch2flow.checkpoints.pytorch.containers import Container
from torch2flow.checkpoints.pytorch.tensor import Storage, TensorRef
from torch2flow.checkpoints.pytorch.zip import ZipArchive
from torch2flow.errors import FormatError
from torch2flow.guards.json_text import parse_object

PREFIX = "__torch__."
MAX_CODE = 16 << 20

_CLASS = re.compile(r"^class (\w+)\(Module\):\n((?:  __\w+__ = \[.*\]\n)+)", re.MULTILINE)
_LIST = re.compile(r"  __(parameters|buffers)__ = (\[.*\])")

Members = dict[str, dict[str, list[str]]]


def read_members(archive: ZipArchive, stem: str) -> Members:
    """What each class's code lists as `parameters` and, from 1.5 on, as `buffers`."""
    members: Members = {}
    for name in archive.records:
        if name.startswith(f"{stem}code/") and name.endswith(".py"):
            module = name[len(f"{stem}code/") : -3].replace("/", ".")
            text = archive.inflate(name, MAX_CODE).decode("utf-8", "replace")
            for class_name, lines in _CLASS.findall(text):
                members[f"{module}.{class_name}"] = {kind: _names(row) for kind, row in _LIST.findall(lines)}
    return members


def _names(row: str) -> list[str]:
    try:
        return [name for name in ast.literal_eval(row) if isinstance(name, str)]
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []


def as_modules(root: Any, members: Members) -> list[str]:
    """Turns every script object that attributes lead to into a module record, in place.

    Returns:
        Names of the tensors that are neither parameter nor buffer, as `class.attribute`.
    """
    left_out: list[str] = []
    pending, seen = [root], {id(root)}
    while pending:
        value = pending.pop()
        if isinstance(value, Opaque) and value.class_name.startswith(PREFIX) and isinstance(value.state, dict):
            left_out += _turn(value, members.get(value.class_name, {}))
        below = [value.state] if isinstance(value, Opaque) else []
        below += value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else []
        for item in below:
            if isinstance(item, Opaque | dict | list | tuple) and id(item) not in seen:
                seen.add(id(item))
                pending.append(item)
    return left_out


def _turn(module: Opaque, listed: dict[str, list[str]]) -> list[str]:
    parameters, buffers, modules = StatefulDict(), StatefulDict(), StatefulDict()
    others: dict[Any, Any] = {}
    for name, value in module.state.items():
        if isinstance(value, TensorRef):
            # 1.4 lists no buffers: there, a tensor that is no parameter is one.
            if name in listed.get("parameters", ()):
                value.is_parameter = True
                parameters[name] = value
            elif name in listed.get("buffers", [name]):
                buffers[name] = value
            else:
                others[name] = value
        elif isinstance(value, Opaque) and value.class_name.startswith(PREFIX):
            modules[name] = value
        else:
            others[name] = value
    left_out = [f"{module.class_name}.{name}" for name, value in others.items() if isinstance(value, TensorRef)]
    module.state = {**others, "_parameters": parameters, "_buffers": buffers, "_modules": modules}
    return left_out


# -- PyTorch 1.0 ---------------------------------------------------------------------------------------------

DATA_TYPES = {
    "FLOAT": "float32", "DOUBLE": "float64", "FLOAT16": "float16", "INT8": "int8", "UINT8": "uint8",
    "INT16": "int16", "INT32": "int32", "INT64": "int64", "BOOL": "bool", "BYTE": "uint8",
}  # fmt: skip
"""`caffe2::TensorProto::DataType` (`caffe2/proto/caffe2.proto`, 1.0)."""


def open_model_json(archive: ZipArchive, record: str) -> Container:
    """An archive with a `model.json`: modules, and tensors that name their records.

    Raises:
        FormatError: the description is incomplete, or a record is missing or too short.
    """
    stem = record.rpartition("/")[0] + "/"
    model = parse_object(archive.read(record), record)
    storages: dict[str, Storage] = {}
    try:
        tensors = [_tensor(entry, archive, stem, storages) for entry in model["tensors"]]
        root = _module(model["mainModule"], tensors, 0)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FormatError(
            f"The model.json is incomplete ({str(error)[:100]}).", where=f"{archive.file.path}, {record}"
        ) from None
    return Container("torchscript", root, [archive.file], "TorchScript of PyTorch 1.0")


def _tensor(entry: dict[str, Any], archive: ZipArchive, stem: str, storages: dict[str, Storage]) -> TensorRef:
    key = entry["data"]["key"]
    if key not in storages:
        offset, size = archive.range(f"{stem}{key}")
        storages[key] = Storage(key, size, archive.file, offset)
    dtype: DType = DTYPES[DATA_TYPES[entry["dataType"]]]
    shape, stride = (tuple(map(int, entry.get(part, ()))) for part in ("dims", "strides"))
    return TensorRef(dtype, shape, stride, int(entry.get("offset", 0)), storages[key], bool(entry.get("requiresGrad")))


def _module(entry: dict[str, Any], tensors: list[TensorRef], depth: int) -> Opaque:
    if depth > 200:
        raise ValueError("modules are nested too deep")
    parameters, buffers, modules = StatefulDict(), StatefulDict(), StatefulDict()
    for item in entry.get("parameters", ()):
        tensor = tensors[int(item["tensorId"])]
        tensor.is_parameter = not item.get("isBuffer", False)
        (parameters if tensor.is_parameter else buffers)[item["name"]] = tensor
    for child in entry.get("submodules", ()):
        modules[child["name"]] = _module(child, tensors, depth + 1)
    state = {"_parameters": parameters, "_buffers": buffers, "_modules": modules}
    return Opaque(f"{PREFIX}{entry.get('name', 'Module')}", state=state)
