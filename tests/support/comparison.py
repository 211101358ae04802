"""The one way in which tests compare tensors: bit by bit, whatever holds them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.oneflow.dtypes import stored_dtype, widened_dtype
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, Tensor, TensorRef
from torch2flow.checkpoints.pytorch.tree import flatten
from torch2flow.checkpoints.writing import Entry, Options

FIXTURES = Path(__file__).parent.parent / "fixtures"

CASES = [
    (expected.parent, name)
    for expected in sorted(FIXTURES.glob("*/expected.json"))
    for name in json.loads(expected.read_text("utf-8"))
]
"""Every fixture: the folder of the PyTorch that wrote it, and its name."""


def case_id(value: Any) -> str:
    """A short name for a parameter of a test."""
    return getattr(value, "name", str(value))


def expected_of(folder: Path, name: str) -> dict[str, Any]:
    """What that PyTorch says the file holds."""
    return json.loads((folder / "expected.json").read_text("utf-8"))[name]  # type: ignore[no-any-return]


def sha256(tensor: TensorRef) -> str:
    """Of the elements in C order, read in chunks as the converter reads them."""
    digest = hashlib.sha256()
    for chunk in tensor.chunks():
        digest.update(chunk.tobytes())
    return digest.hexdigest()


def entry_bytes(entry: Entry) -> bytes:
    """What a plan wants written for one tensor."""
    return b"".join(_plain_nans(chunk, entry.dtype is DTYPES["bfloat16"]).tobytes() for chunk in entry.chunks())


def flow_bytes(tensor: Any, flow: Any) -> bytes:
    """A OneFlow tensor's elements in C order; bfloat16 by way of float32, which holds it exactly."""
    value, wide = tensor.detach(), tensor.dtype is flow.bfloat16
    value = value.to(flow.float32) if wide else value
    return _plain_nans(np.ascontiguousarray(value.numpy()), wide).tobytes()


def _plain_nans(array: np.ndarray[Any, Any], casts: bool) -> np.ndarray[Any, Any]:
    """OneFlow's cast to bfloat16 keeps that a number is no number, and not which of the millions it is."""
    return np.where(np.isnan(array), array.dtype.type(np.nan), array) if casts else array


def assert_same_bits(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Names in order, dtypes, shapes and every bit."""
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        other = found[name]
        assert (other.dtype, other.shape) == (tensor.dtype, tensor.shape), name
        if isinstance(tensor, TensorRef) and isinstance(other, TensorRef):
            assert sha256(other) == sha256(tensor), name


def everything(checkpoint: Checkpoint, **given: Any) -> Options:
    """Options that convert all of a file that OneFlow can hold in any way."""
    impossible = [name for name, tensor in flatten(checkpoint.tree) if not _possible(tensor)]
    return Options(
        key=checkpoint.key,
        exclude=tuple(f"^{re.escape(name)}$" for name in impossible),
        complex="real",
        quantized="int",
        sparse="dense",
        **given,
    )


def _possible(tensor: Tensor) -> bool:
    if isinstance(tensor, CompositeTensor):
        return tensor.layout in ("quantized", "sparse_coo", "sparse_csr", "sparse_csc") and tensor.dtype.kind != "x"
    complex_or_held = tensor.dtype.kind == "c" or stored_dtype(tensor.dtype) or widened_dtype(tensor.dtype)
    return bool(complex_or_held) and tensor.dtype in DTYPES.values()


def difference(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], noise: float = 0.0) -> str:
    """How two computed arrays differ, in words; "" where they are the same.

    Integers and bools are the same to the bit. Floats are where they lie within 1e-5 of the largest, or within four
    times `noise`, how far PyTorch's own float32 lies from its float64; what is not finite is the same.
    """
    if found.dtype != expected.dtype:
        return f"dtype {found.dtype} instead of {expected.dtype}"
    if found.shape != expected.shape:
        return f"shape {found.shape} instead of {expected.shape}"
    if expected.dtype.kind != "f":
        wrong = int((found != expected).sum())
        return f"{wrong} of {expected.size} elements differ" if wrong else ""
    finite = np.isfinite(expected)
    if not np.array_equal(np.isfinite(found), finite) or not np.array_equal(
        found[~finite], expected[~finite], equal_nan=True
    ):
        return "other elements are infinite or NaN"
    found, expected = found[finite].astype(np.float64), expected[finite].astype(np.float64)
    if not expected.size:
        return ""
    distance, limit = np.abs(found - expected).max(), 1e-5 * np.abs(expected).max() + 4 * noise
    return f"{distance:.3g} apart, and at most {limit:.3g} allowed" if distance > limit else ""
