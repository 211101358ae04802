"""Finds packed weights in a tree by the names that their libraries give the parts, and makes one tensor of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from torch2flow.checkpoints.packed.bitsandbytes import eight_bits, four_bits
from torch2flow.checkpoints.packed.grouped_integers import HELP, integers, pack_quantized
from torch2flow.checkpoints.packed.packed_tensor import PackedTensor, Parts, unknown
from torch2flow.checkpoints.packed.scaled import COMPRESSED, QUANTO, float8_blocks, scaled_weight, torchao
from torch2flow.checkpoints.pytorch import CompositeTensor, TensorRef

FOUR_BITS = (".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4")
UNDOCUMENTED = {
    ".W_q": "HQQ",
    ".q_weight": "EXL2",
    ".Qidxs": "QuIP#",
    ".codebooks": "AQLM or VPTQ",
    ".weight_scales": "EETQ",
    "_blocks": "MXFP4",
    "._data._data": "optimum-quanto in fewer than 8 bits",
}
"""Formats that are told by name and not unpacked."""

PACKED_IN = ("int8", "uint8", "int32")
"""What libraries pack the numbers of a matrix in."""

ENDINGS = ("absmax", "quant_map", "nested_absmax", "nested_quant_map")
"""The parts of a 4-bit weight of bitsandbytes behind its name, beside the codes."""

SIGNS = (
    *FOUR_BITS, ".SCB", ".qweight", ".weight_packed", ".weight_scale_inv", ".weight_scale", *UNDOCUMENTED, "._data"
)  # fmt: skip
"""How the name of one part of each packed weight ends."""

Tensors = dict[Any, Any]


def with_packed(tree: Any, read_config: Callable[[], dict[str, Any]]) -> Any:
    """The tree with one `PackedTensor` in place of the parts of each packed weight; itself where there are none.

    Args:
        tree: plain data, as `Checkpoint.tree` is.
        read_config: gives what the checkpoint's folder says of the quantization; called where there is a packed weight.
    """
    return _Finding(read_config).walk(tree)


class _Finding:
    """One search; `done` has what each container became, since one can be in many places."""

    def __init__(self, read_config: Callable[[], dict[str, Any]]) -> None:
        self.config = cache(read_config)
        self.done: dict[int, Any] = {}

    def walk(self, value: Any) -> Any:
        if isinstance(value, CompositeTensor):
            return torchao(value) or value if value.layout == "subclass" else value
        if not isinstance(value, dict | list):
            return value
        if id(value) not in self.done:
            self.done[id(value)] = value
            self.done[id(value)] = self._dictionary(value) if isinstance(value, dict) else self._list(value)
        return self.done[id(value)]

    def _list(self, value: list[Any]) -> list[Any]:
        items = [self.walk(item) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items

    def _dictionary(self, value: dict[Any, Any]) -> dict[Any, Any]:
        found = {key: new for key, item in value.items() if (new := self.walk(item)) is not item}
        gone: set[Any] = set()
        order: dict[Any, int] = {}
        for key, item in value.items():
            if not (isinstance(key, str) and key.endswith(SIGNS) and isinstance(item, TensorRef)):
                continue
            sign = next(sign for sign in SIGNS if key.endswith(sign))
            names, weight = self._weight(key.removesuffix(sign), sign, value)
            if weight is not None:
                gone |= names
                is_whole_name = sign in WHOLE_NAMES
                name = key.removesuffix(sign) + ("" if is_whole_name else ".weight")
                order = order or {each: number for number, each in enumerate(value)}
                found[min(names, key=order.__getitem__)] = (name, weight)
        found |= _of_no_known_library(value, gone)
        if not found:
            return value
        copy = type(value)()
        for key, item in value.items():
            new = found.get(key, item)
            if isinstance(new, tuple) and new is not item:
                copy[new[0]] = new[1]
            elif key not in gone:
                copy[key] = new
        if getattr(value, "attributes", None):
            copy.attributes = value.attributes  # type: ignore[attr-defined]
        return copy

    def _weight(self, base: str, sign: str, value: Tensors) -> tuple[set[str], PackedTensor | None]:
        """The names of the parts of a weight, and the weight; None where the sign meant something else."""
        if sign in FOUR_BITS:
            names = {"weight": base, "state": base + sign, **{end: f"{base}.{end}" for end in ENDINGS}}
            parts, held = _parts(value, names, "weight")
            return held, four_bits(base, sign[-3:], parts) if parts else None
        if sign in UNDOCUMENTED:
            return _undocumented(base, sign, value)
        if sign == "._data":
            module = base.rpartition(".")[0]
            inputs = {role: f"{module}.{role}" for role in ("input_scale", "output_scale")}
            names = {"weight": base + sign, "weight_scale": f"{base}._scale", **inputs}
            parts, held = _parts(value, names, "weight", "weight_scale")
            return held, scaled_weight(QUANTO, parts) if parts else None
        roles = {"weight": f"{base}.weight", **{role: f"{base}.{role}" for role in ROLES[sign]}}
        if sign == ".qweight":
            parts, held = _parts(value, roles, "qweight", "qzeros", "scales")
            weight = integers(base, parts, self.config()) if parts else None
        elif sign == ".weight_packed":
            parts, held = _parts(value, roles, "weight_packed", "weight_scale", "weight_shape")
            weight = pack_quantized(base, parts) if parts else None
        else:
            parts, held = _parts(value, roles, "weight", sign[1:])
            if not parts or not parts["weight"].dtype.name.startswith(("float8", "int8")):
                return set(), None
            if sign == ".SCB":
                return held, eight_bits(base, parts)
            return held, float8_blocks(base, parts, self.config()) if sign == ".weight_scale_inv" else scaled_weight(
                COMPRESSED, parts
            )
        if weight is None:  # parts of a name that means nothing else
            name = base + sign
            return {name}, unknown(
                "packed", {sign[1:]: value[name]}, f"the scales that belong to it are missing; {HELP}"
            )
        return held, weight


WHOLE_NAMES = (*FOUR_BITS, "_blocks", "._data._data", "._data")
"""The signs that stand behind the whole name of a weight, not behind that of its module."""

ROLES = {
    ".SCB": ("SCB", "weight_format"),
    ".qweight": ("qweight", "qzeros", "scales", "g_idx"),
    ".weight_packed": ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx"),
    ".weight_scale_inv": ("weight_scale_inv", "input_scale"),
    ".weight_scale": ("weight_scale", "weight_zero_point", "input_scale", "input_zero_point"),
}
"""The parts of a weight beside itself; those of the activations' scales mean nothing without packed weights."""


def _of_no_known_library(value: Tensors, known: set[Any]) -> dict[Any, PackedTensor]:
    """Weights that are matrices of small integers with a scale beside them, and none of a known format."""
    found: dict[Any, PackedTensor] = {}
    scaled: set[str] = set()
    for key, item in value.items():
        if not isinstance(item, TensorRef) or item.dtype.name not in PACKED_IN or len(item.shape) < 2 or key in known:
            continue
        module, _, name = str(key).rpartition(".")
        if "weight" not in name:
            continue
        if not scaled:
            parts = (str(each).rpartition(".") for each in value)
            scaled = {each[0] for each in parts if "scale" in each[2]} or {"?"}
        if module in scaled:
            found[key] = unknown("a library that is not known", {"weight": item}, HELP)
    return found


def _undocumented(base: str, sign: str, value: Tensors) -> tuple[set[str], PackedTensor | None]:
    held = {base + sign}
    if sign == "_blocks":
        held.add(f"{base}_scales")
    if sign == ".weight_scales":
        held.add(f"{base}.weight")
    if sign == "._data._data":
        held |= {f"{base}._scale", f"{base}._shift"}
    parts = {name: value[name] for name in sorted(held) if isinstance(value.get(name), TensorRef)}
    if len(parts) < len(held) or (sign != ".codebooks" and all(part.dtype.kind == "f" for part in parts.values())):
        return set(), None
    return held, unknown(UNDOCUMENTED[sign], parts, HELP)


def _parts(value: Tensors, names: dict[str, str], *needed: str) -> tuple[Parts, set[str]]:
    """The tensors of a dictionary under their roles, and their names; nothing where one that is needed is missing."""
    found = {role: value[name] for role, name in names.items() if isinstance(value.get(name), TensorRef)}
    if any(role not in found for role in needed):
        return {}, set()
    return found, {names[role] for role in found}
