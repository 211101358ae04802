"""PEFT's LoRA adapters: what they add to a base model, kept apart, or added to its weights.

    adapter_config.json            peft_type, r, lora_alpha, patterns of both, use_rslora, fan_in_fan_out
    adapter_model.safetensors      base_model.model.fc.lora_A.weight [r, in], base_model.model.fc.lora_B.weight [out, r]

The merged weight is `weight + lora_B @ lora_A * scale`, with `scale = lora_alpha / r`, or `lora_alpha / sqrt(r)` with
`use_rslora`; it is computed in float32, a few MiB at a time, and rounded once. Follows `peft/tuners/lora/layer.py`
(`get_delta_weight`), `peft/tuners/lora/model.py` and `peft/utils/save_and_load.py` (0.21).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.dtypes import numpy_dtype
from torch2flow.checkpoints.names.renamed_checkpoint import with_tensors
from torch2flow.checkpoints.packed import PackedTensor, quantization_config, with_packed
from torch2flow.checkpoints.packed.packed_tensor import rows_at_once
from torch2flow.checkpoints.pytorch import Checkpoint, Tensor, TensorRef
from torch2flow.checkpoints.pytorch.tensor import contiguous_stride, in_memory
from torch2flow.checkpoints.pytorch.tree import named
from torch2flow.errors import FormatError, UnsupportedError, UsageError
from torch2flow.guards.json_text import parse_object
from torch2flow.guards.regular_files import is_regular, read_whole

if TYPE_CHECKING:
    import numpy as np

CONFIG = "adapter_config.json"
PREFIX = "base_model.model."
_FACTOR = re.compile(r"^(?P<path>.*)\.lora_(?P<which>embedding_)?(?P<side>[AB])(?:\.weight)?$")


@dataclass(frozen=True, slots=True)
class Factors:
    """The factors of what is added to one weight: `up` [out, r], `down` [r, ...], and the number they are scaled by."""

    up: TensorRef
    down: TensorRef
    scale: float

    def block(self, start: tuple[int, ...], stop: tuple[int, ...]) -> Factors:
        """Those of the block between two corners of the weight."""
        rank = self.up.shape[1]
        up = self.up.region((start[0], 0), (stop[0], rank))
        return Factors(up, self.down.region((0, *start[1:]), (rank, *stop[1:])), self.scale)

    def rows(self, first: int, last: int) -> np.ndarray[Any, Any]:
        """What is added to rows of the weight, in float32."""
        up = self.up.region((first, 0), (last, self.up.shape[1])).numpy().astype("<f4")
        down = self.down.numpy().astype("<f4")
        added: np.ndarray[Any, Any] = (up @ down.reshape(len(down), -1)) * self.scale
        return added


def _added(
    chunks: Iterator[np.ndarray[Any, Any]], shape: tuple[int, ...], factors: Factors
) -> Iterator[np.ndarray[Any, Any]]:
    """The chunks of a weight in float32, with what the factors add."""
    inner = math.prod(shape[1:])
    at = 0
    for chunk in chunks:
        total = chunk.astype("<f4")
        step = rows_at_once(inner)
        for first in range(at // inner, -(-(at + chunk.size) // inner), step):
            last = min(first + step, shape[0])
            added = factors.rows(first, last).reshape(-1)
            low, high = max(at, first * inner), min(at + chunk.size, last * inner)
            total[low - at : high - at] += added[low - first * inner : high - first * inner]
        yield total
        at += chunk.size


@dataclass(slots=True, eq=False, repr=False)
class MergedTensor(TensorRef):
    """A dense weight with what an adapter adds to it: computed where it is read.

    Attributes:
        base: the weight.
        factors: what is added.
    """

    base: TensorRef | None = None
    factors: Factors | None = None

    @property
    def is_plain(self) -> bool:
        """Always False: no file has these bytes."""
        return False

    @property
    def identity(self) -> tuple[Any, ...]:
        """A tensor of its own, also where the base is tied to another."""
        return (id(self),)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values, in memory."""
        import numpy as np

        whole: np.ndarray[Any, Any] = np.concatenate([*self.chunks()])
        return whole.reshape(self.shape)

    def chunks(self) -> Iterator[np.ndarray[Any, Any]]:
        """The elements in C order as flat arrays of a few MiB."""
        assert self.base is not None and self.factors is not None
        dtype = numpy_dtype(self.dtype)
        yield from (chunk.astype(dtype) for chunk in _added(self.base.chunks(), self.shape, self.factors))

    def region(self, start: tuple[int, ...], stop: tuple[int, ...]) -> MergedTensor:
        """The block between two corners."""
        assert self.base is not None and self.factors is not None
        shape = tuple(b - a for a, b in zip(start, stop, strict=True))
        base, factors = self.base.region(start, stop), self.factors.block(start, stop)
        return replace(self, shape=shape, stride=contiguous_stride(shape), base=base, factors=factors)

    def seen(self, shape: tuple[int, ...], stride: tuple[int, ...]) -> TensorRef:
        """The elements with another shape and other strides, of a copy."""
        return in_memory(self.numpy(), self.dtype).seen(shape, stride)


def is_adapter(path: Path) -> bool:
    """Whether a folder is one of PEFT's, or a file lies in one."""
    return is_regular((path if path.is_dir() else path.parent) / CONFIG)


def merged(adapter: Checkpoint, base: Checkpoint) -> Checkpoint:
    """The base with an adapter's weights added to its own.

    Args:
        adapter: opened from PEFT's folder.
        base: the model that it was trained on.

    Raises:
        UsageError: it is no adapter, or belongs to another model.
        UnsupportedError: it is of a kind that is no sum of products.
    """
    if not is_adapter(adapter.path):
        raise UsageError(
            f"There is no {CONFIG} beside the adapter.", where=str(adapter.path), remedy="give PEFT's folder"
        )
    folder = adapter.path if adapter.path.is_dir() else adapter.path.parent
    config = parse_object(read_whole(folder / CONFIG), str(folder / CONFIG))
    _refuse_others(config, adapter)
    weights = dict(named(with_packed(base.tree, lambda: quantization_config(base.path))))
    pairs, whole = _factors(adapter)
    missing = []
    changed: dict[str, Tensor] = {}
    for path, sides in pairs.items():
        name = f"{path}.weight"
        if name not in weights or len(sides) != 2:
            missing.append(path)
        else:
            changed[name] = _merge(name, weights[name], sides, _scale(path, config), config)
    for name, tensor in whole.items():
        if name not in weights or weights[name].shape != tensor.shape:
            missing.append(name)
        else:
            changed[name] = tensor
    if missing or not changed:
        raise UsageError(
            f"The base has no weights for {len(missing)} of the adapter's: {', '.join(missing[:5])[:300]}.",
            where=str(base.path),
            maybe="the adapter was trained on another model, or the base's names have a prefix",
        )
    tied = {weights[name].identity: tensor for name, tensor in changed.items()}
    made = with_tensors(base, {name: tied.get(tensor.identity, tensor) for name, tensor in weights.items()})
    container = replace(
        made.container,
        files=[*base.container.files, *adapter.container.files],
        notes=[
            *made.container.notes,
            f"{len(pairs)} weights have those of the adapter {adapter.path.name!r} added to them",
        ],
    )
    return Checkpoint(adapter.path, container, ".")


def _refuse_others(config: dict[str, Any], adapter: Checkpoint) -> None:
    kind = config.get("peft_type")
    what = f"a {kind} adapter" if kind != "LORA" else ""
    what = what or ("a LoRA adapter with use_dora" if config.get("use_dora") else "")
    what = what or ("a LoRA adapter with a bias of its own" if config.get("lora_bias") else "")
    what = what or next((f"an adapter with {name}" for name in adapter if ".lora_magnitude" in name), "")
    if what:
        raise UnsupportedError(
            f"This is {what[:100]}, which is no sum of a weight and a product.",
            where=str(adapter.path),
            remedy="merge it where PEFT is: model.merge_and_unload().save_pretrained(...), and convert that",
        )


def _factors(adapter: Checkpoint) -> tuple[dict[str, dict[str, TensorRef]], dict[str, TensorRef]]:
    """The factors by the path of the module in the base, and the tensors that replace those of the base."""
    pairs: dict[str, dict[str, TensorRef]] = {}
    whole: dict[str, TensorRef] = {}
    for name, tensor in adapter.items():
        short = name.removeprefix(PREFIX)
        if not isinstance(tensor, TensorRef) or tensor.dtype.kind != "f":
            raise UnsupportedError(f"The adapter's {name[:200]!r} is no dense tensor of floating numbers.")
        found = _FACTOR.match(short)
        if found is None:
            whole[short.replace(".modules_to_save.", ".").replace(".base_layer.", ".")] = tensor
        else:
            pairs.setdefault(found["path"], {})[(found["which"] or "") + found["side"]] = tensor
    return pairs, whole


def _scale(path: str, config: dict[str, Any]) -> float:
    """By how much the product counts: patterns name modules whose rank or alpha is another."""
    rank = _by_pattern(path, config.get("rank_pattern"), config.get("r"))
    alpha = _by_pattern(path, config.get("alpha_pattern"), config.get("lora_alpha"))
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise FormatError("The adapter's configuration has no r and lora_alpha.", where=CONFIG)
    return alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank


def _by_pattern(path: str, patterns: Any, default: Any) -> Any:
    """The value of the first pattern that is the path, or its end behind a dot.

    PEFT takes patterns for regular expressions. Those that are more than a name are refused, since a pattern of a file
    is never run.
    """
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        plain = pattern.removeprefix("^")
        if not re.fullmatch(r"[\w.]+", plain):
            raise UnsupportedError(
                f"The adapter's configuration has the pattern {pattern[:100]!r}, which is more than a name.",
                where=CONFIG,
                remedy="merge it where PEFT is: model.merge_and_unload().save_pretrained(...), and convert that",
            )
        if path == plain or (not pattern.startswith("^") and path.endswith(f".{plain}")):
            return value
    return default


def _merge(name: str, base: Tensor, sides: dict[str, TensorRef], scale: float, config: dict[str, Any]) -> Tensor:
    """The weight with the product of two factors added."""
    is_embedding = "embedding_A" in sides
    up, down = (sides["embedding_B"], sides["embedding_A"]) if is_embedding else (sides["B"], sides["A"])
    if len(up.shape) > 2:  # a convolution's, of kernels of one element
        up = up.seen(up.shape[:2], up.stride[:2])
    shape = (up.shape[0], *down.shape[1:])
    # PEFT goes by the class: an embedding and transformers' Conv1D have their weight the other way round.
    is_square = len(set(shape)) == 1
    if is_embedding or (config.get("fan_in_fan_out") if is_square else shape != base.shape and len(shape) == 2):
        up, down = _turned(down), _turned(up)
        shape = (up.shape[0], *down.shape[1:])
    if shape != base.shape or up.shape[1] != down.shape[0]:
        raise UsageError(
            f"The adapter adds {list(shape)} to {name[:200]!r}, which has the shape {list(base.shape)}.",
            maybe="it was trained on another model",
        )
    factors = Factors(up, down, scale)
    if isinstance(base, PackedTensor):
        return _packed(base, factors)
    if not isinstance(base, TensorRef) or base.dtype.kind != "f":
        raise UnsupportedError(f"{name[:200]!r} of the base is no dense tensor of floating numbers.")
    return MergedTensor(
        base.dtype, shape, contiguous_stride(shape), 0, base.storage, base.requires_grad, base.is_parameter,
        base=base, factors=factors,
    )  # fmt: skip


def _packed(base: PackedTensor, factors: Factors) -> PackedTensor:
    unpack = base.unpack
    return base if unpack is None else replace(base, unpack=lambda: _added(unpack(), base.shape, factors))


def _turned(tensor: TensorRef) -> TensorRef:
    return tensor.seen(tensor.shape[::-1], tensor.stride[::-1])
