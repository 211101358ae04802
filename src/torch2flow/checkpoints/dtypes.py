"""The one table of element types: PyTorch's name, size, NumPy's view, safetensors' name.

Sources: `torch/storage.py` (`_dtype_to_storage_type_map`, 1.0 to 2.13), `c10/core/ScalarType.h` (2.13), and
safetensors' `Dtype` (`safetensors/src/tensor.rs`, 0.8). What OneFlow calls them: `oneflow/dtypes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class DType:
    """One element type.

    Attributes:
        name: PyTorch's name without `torch.`.
        itemsize: bytes an element.
        numpy: name of the NumPy type with the same bits (`ml_dtypes` registers those NumPy lacks).
        storage: stem of PyTorch's typed storage class (`Float` for `FloatStorage`), or "".
        safetensors: name in a safetensors header, or "".
        kind: b bool, i integer, u unsigned, f floating, c complex, q quantized, x packed or raw bits.
    """

    name: str
    itemsize: int
    numpy: str
    storage: str
    safetensors: str
    kind: str

    @property
    def swap_size(self) -> int:
        """How many bytes are reversed together when byte order is swapped. A complex number is two numbers."""
        return self.itemsize // 2 if self.kind == "c" else self.itemsize

    def __str__(self) -> str:
        return self.name


_ROWS = """
bool            1  bool             Bool            BOOL     b
uint8           1  uint8            Byte            U8       u
int8            1  int8             Char            I8       i
int16           2  int16            Short           I16      i
int32           4  int32            Int             I32      i
int64           8  int64            Long            I64      i
uint16          2  uint16           -               U16      u
uint32          4  uint32           -               U32      u
uint64          8  uint64           -               U64      u
float16         2  float16          Half            F16      f
bfloat16        2  bfloat16         BFloat16        BF16     f
float32         4  float32          Float           F32      f
float64         8  float64          Double          F64      f
complex32       4  complex32        -               -        c
complex64       8  complex64        ComplexFloat    C64      c
complex128     16  complex128       ComplexDouble   -        c
float8_e4m3fn   1  float8_e4m3fn    -               F8_E4M3  f
float8_e5m2     1  float8_e5m2      -               F8_E5M2  f
float8_e4m3fnuz 1  float8_e4m3fnuz  -               F8_E4M3FNUZ f
float8_e5m2fnuz 1  float8_e5m2fnuz  -               F8_E5M2FNUZ f
float8_e8m0fnu  1  float8_e8m0fnu   -               F8_E8M0  f
float4_e2m1fn_x2 1 uint8            -               F4       x
qint8           1  int8             QInt8           -        q
quint8          1  uint8            QUInt8          -        q
qint32          4  int32            QInt32          -        q
quint4x2        1  uint8            QUInt4x2        -        x
quint2x4        1  uint8            QUInt2x4        -        x
bits8           1  uint8            -               -        x
bits16          2  uint16           -               -        x
bits1x8         1  uint8            -               -        x
bits2x4         1  uint8            -               -        x
bits4x2         1  uint8            -               -        x
"""

DTYPES: dict[str, DType] = {}
BY_STORAGE: dict[str, DType] = {}
BY_SAFETENSORS: dict[str, DType] = {}
for _line in _ROWS.split("\n"):
    if _line:
        _name, _size, _numpy, _storage, _safe, _kind = (part if part != "-" else "" for part in _line.split())
        _dtype = DType(_name, int(_size), _numpy, _storage, _safe, _kind)
        DTYPES[_name] = _dtype
        if _storage:
            BY_STORAGE[_storage] = _dtype
        if _safe:
            BY_SAFETENSORS[_safe] = _dtype

ALIASES = {
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "short": "int16",
    "int": "int32",
    "long": "int64",
    "cfloat": "complex64",
    "cdouble": "complex128",
    "chalf": "complex32",
}
"""PyTorch's second names (`torch/__init__.py`)."""


def find_dtype(name: str) -> DType | None:
    """The row for `float32`, `torch.float32` or `torch.float`; None if there is none."""
    name = name.removeprefix("torch.")
    return DTYPES.get(ALIASES.get(name, name))


def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """NumPy's type with the same bits, little endian. complex32 is a pair of float16."""
    import numpy as np

    if dtype.name == "complex32":
        return np.dtype([("real", "<f2"), ("imag", "<f2")])
    if dtype.kind != "f" or dtype.name in ("float16", "float32", "float64"):
        return np.dtype(dtype.numpy).newbyteorder("<")
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, dtype.numpy))
