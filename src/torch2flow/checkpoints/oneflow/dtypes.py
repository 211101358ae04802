"""Which element types OneFlow 0.9.0 holds, and what becomes of those it does not.

Names and numbers are those of `oneflow/core/common/data_type.proto` (0.9.0); what a checkpoint folder can
hold is `oneflow_dtype_to_numpy_dtype`'s table (`oneflow/framework/dtype.py`), found by trying all of them.
"""

from __future__ import annotations

from torch2flow.checkpoints.dtypes import DTYPES, DType

DATA_TYPES = {
    "bool": ("kBool", 12),
    "uint8": ("kUInt8", 7),
    "int8": ("kInt8", 4),
    "int32": ("kInt32", 5),
    "int64": ("kInt64", 6),
    "float16": ("kFloat16", 9),
    "float32": ("kFloat", 2),
    "float64": ("kDouble", 3),
    "bfloat16": ("kBFloat16", 11),
}
"""The name in a folder's `meta` file, and the number that `oneflow.dtype` pickles as."""

STORED_AS = {"bfloat16": "float32"}
"""0.9.0 has bfloat16 tensors but can't load them from a folder: they are stored wider and cast while loading."""

WIDENED_TO = {
    "int16": "int32",
    "uint16": "int32",
    "uint32": "int64",
    "float8_e4m3fn": "float16",
    "float8_e5m2": "float16",
    "float8_e4m3fnuz": "float16",
    "float8_e5m2fnuz": "float16",
    "float8_e8m0fnu": "float32",  # powers of two from 2**-127 to 2**127: beyond float16
}
"""For each dtype that OneFlow lacks: its smallest dtype that holds every value."""


def stored_dtype(dtype: DType) -> DType | None:
    """The dtype in which OneFlow's files store a tensor of `dtype`; None if OneFlow has no such tensor."""
    if dtype.name not in DATA_TYPES:
        return None
    return DTYPES[STORED_AS.get(dtype.name, dtype.name)]


def widened_dtype(dtype: DType) -> DType | None:
    """The dtype of OneFlow that holds every value of `dtype`; None if there is none."""
    name = WIDENED_TO.get(dtype.name)
    return DTYPES[name] if name else None
