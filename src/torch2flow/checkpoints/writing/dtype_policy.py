"""What becomes of a tensor's dtype on the way: kept, widened, cast, or one of the changes asked for by name."""

from __future__ import annotations

from torch2flow.checkpoints.dtypes import DTYPES, DType, find_dtype
from torch2flow.checkpoints.packed import PackedTensor
from torch2flow.checkpoints.pytorch import CompositeTensor, Tensor
from torch2flow.checkpoints.writing.options import Options, Target
from torch2flow.checkpoints.writing.value_changes import INTEGER_OF, REAL_OF, SPARSE
from torch2flow.errors import UnsupportedError, UsageError

Outcome = tuple[DType, DType, str]
"""The dtype on the other side, that of the bytes written, and the change: a row of `value_changes.py`, or ""."""


def settle(tensor: Tensor, options: Options, target: Target) -> Outcome:
    """What becomes of one tensor.

    Raises:
        UnsupportedError: the target can't hold it, and no option says what becomes of it.
        UsageError: `--dtype` names no floating dtype.
    """
    dtype, change = tensor.dtype, ""
    if isinstance(tensor, CompositeTensor):
        dtype, change = _settle_composite(tensor, options)
    elif dtype.kind == "c" and target.stored(dtype) is None:
        if options.complex != "real":
            raise UnsupportedError(f"{dtype} {list(tensor.shape)}; --complex real gives it a last dimension of 2")
        dtype, change = DTYPES[REAL_OF[dtype.name]], "view_as_real"
    wanted = _wanted_dtype(options)
    if wanted is not None and dtype.kind == "f" and (dtype is not wanted or _is_stored_wider(tensor)):
        if change and not isinstance(tensor, PackedTensor):
            raise UnsupportedError(f"{dtype}; --dtype can't be combined with {change}")
        dtype, change = wanted, change or "cast"
    stored = target.stored(dtype)
    if stored is None:
        wide = target.widened(dtype)
        if wide is None or change:
            raise UnsupportedError(f"{dtype} {list(tensor.shape)}: there is no such tensor and no wider one there")
        if options.strict_dtype:
            raise UnsupportedError(f"{dtype} would become {wide}, and --strict-dtype was given")
        dtype, change = wide, "widened"
        stored = target.stored(dtype) or dtype
    return dtype, stored, change


def _settle_composite(tensor: CompositeTensor, options: Options) -> tuple[DType, str]:
    shown = f"{tensor.layout} {tensor.dtype} {list(tensor.shape)}"
    if isinstance(tensor, PackedTensor):
        return _settle_packed(tensor, options)
    if tensor.layout == "quantized" and tensor.dtype.name in INTEGER_OF:
        if options.quantized == "dequantize":
            return DTYPES["float32"], "dequantized"
        if options.quantized == "int":
            return DTYPES[INTEGER_OF[tensor.dtype.name]], "int_repr"
        raise UnsupportedError(f"{shown}; --quantized dequantize gives float32 values, --quantized int the integers")
    if tensor.layout in SPARSE:
        if options.sparse == "dense":
            return tensor.dtype, "dense"
        raise UnsupportedError(f"{shown}; --sparse dense writes all its elements")
    if tensor.layout == "meta":
        raise UnsupportedError(f"{shown}: a meta tensor has no values")
    kind, cut = str(tensor.attributes.get("class", ""))[:100], tensor.attributes.get("cut")
    if "problem" in tensor.attributes:
        raise UnsupportedError(f"{kind} {list(tensor.shape)} ({cut}): {tensor.attributes['problem']}")
    if cut:
        raise UnsupportedError(
            f"{kind} {list(tensor.shape)} ({cut}): this file has one rank's part; put the files of all ranks into one"
            " folder, under names that differ in the number behind 'rank' alone, and give one of them"
        )
    raise UnsupportedError(f"{kind or shown}: it has no dense form that PyTorch defines")


def _settle_packed(tensor: PackedTensor, options: Options) -> tuple[DType, str]:
    shown = f"a weight of {tensor.scheme}"
    if tensor.unpack is None:
        raise UnsupportedError(f"{shown}: {tensor.problem}; --quantized int writes its packed numbers as they are")
    if options.quantized == "dequantize":
        return tensor.dtype, "dequantized"
    raise UnsupportedError(
        f"{shown} {list(tensor.shape)}; --quantized dequantize gives {tensor.dtype} values, --quantized int the packed"
        " numbers"
    )


def _is_stored_wider(tensor: Tensor) -> bool:
    stored = getattr(tensor, "source", None)
    return stored is not None and stored.dtype is not tensor.dtype


def _wanted_dtype(options: Options) -> DType | None:
    if not options.dtype:
        return None
    found = find_dtype(options.dtype)
    if found is None or found.kind != "f":
        floating = ", ".join(name for name, dtype in DTYPES.items() if dtype.kind == "f")
        raise UsageError(
            f"--dtype {options.dtype}: no floating dtype of that name.", remedy=f"choose one of {floating}"
        )
    return found
