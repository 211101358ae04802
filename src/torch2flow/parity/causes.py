"""What a difference looks like, and what then is the likely cause: the known ones, one row each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from torch2flow.parity.judge import Measure

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A tensor that is not within noise.

    Attributes:
        part: what was compared, as in `ledger.PARTS`.
        name: of the tensor.
        kind: the class of the module it belongs to, such as `BatchNorm2d`.
        found: OneFlow's.
        exact: PyTorch's in float64.
        measure: how far they are apart.
        before: what a buffer was before the training step.
    """

    part: str
    name: str
    kind: str
    found: Array
    exact: Array
    measure: Measure
    before: Array | None = None

    def is_a(self, *words: str) -> bool:
        """Whether the class's name holds one of these words."""
        return any(word in self.kind.lower() for word in words)

    @property
    def comparable(self) -> bool:
        """Whether the values can be set side by side."""
        return not self.measure.fault and self.found.size > 0

    def rounded_to(self, mantissa: int) -> bool:
        """Whether every value is one of a narrower type, with so many bits behind the leading one."""
        if self.found.dtype != np.float32 or not self.comparable or not np.abs(self.found).max():
            return False
        return not (self.found.view(np.uint32) & ((1 << (23 - mantissa)) - 1)).any()

    @property
    def at_the_border(self) -> bool:
        """Whether an image differs at its border and nowhere else."""
        if not self.comparable or self.found.ndim < 4 or min(self.found.shape[-2:]) < 5:
            return False
        wrong = np.abs(self.found.astype(np.float64) - self.exact) > 10 * max(self.measure.noise, 1e-30)
        inner = wrong[..., 2:-2, 2:-2]
        return bool(wrong.any()) and not bool(inner.any())


class Cause(NamedTuple):
    """When it is likely, and how it is told."""

    likely: Callable[[Evidence], bool]
    text: str


CAUSES = (
    Cause(
        lambda e: "shape" in e.measure.fault,
        "another shape: a stride, a padding, a size or a flag such as keepdim or ceil_mode differs",
    ),
    Cause(
        lambda e: "NaN" in e.measure.fault,
        "NaN or infinity on one side only: a mask of -inf, a division by zero, or an overflow",
    ),
    Cause(
        lambda e: "not there" in e.measure.fault and e.part.endswith("gradients"),
        "no gradient arrives: the parameter is frozen, or a detach or no_grad cuts it off",
    ),
    Cause(lambda e: e.rounded_to(7), "computed in bfloat16: every value is one of bfloat16"),
    Cause(lambda e: e.rounded_to(10), "computed in float16: every value is one of float16"),
    Cause(
        lambda e: e.part == "buffers" and e.before is not None and e.comparable and np.array_equal(e.found, e.before),
        "the buffer does not move: the layer is frozen, in eval mode, or its momentum is 0",
    ),
    Cause(lambda e: e.part == "buffers" and "running" in e.name, "another momentum, or another input of this layer"),
    Cause(lambda e: e.part == "adamw", "the optimizer: another weight decay, eps, betas, or another learning rate"),
    Cause(
        lambda e: e.part == "own" and e.is_a("norm") and 1e-7 < e.measure.relative < 1e-1,
        "another eps in a normalization",
    ),
    Cause(
        lambda e: e.part in ("own", "inputs") and e.is_a("gelu") and 1e-7 < e.measure.error < 1e-2,
        "gelu by tanh on one side and by erf on the other: up to 5e-4 apart",
    ),
    Cause(
        lambda e: e.part in ("own", "inputs") and not e.is_a("gelu") and 5e-6 < e.measure.error < 6e-4,
        "an approximation: gelu by tanh instead of erf is up to 5e-4 apart",
    ),
    Cause(lambda e: e.at_the_border, "another padding: the inner part of the image agrees, its border does not"),
    Cause(lambda e: e.is_a("upsample") or e.is_a("resize"), "another align_corners, or another way of resampling"),
    Cause(
        lambda e: e.part == "own" and e.is_a("attention") and e.measure.relative > 1e-4,
        "a mask that is dropped or turned round, another scale, or heads in another order",
    ),
    Cause(
        lambda e: e.part == "own" and e.is_a("linear", "conv", "embedding") and e.measure.relative > 1e-6,
        "another weight or bias: transposed, swapped or left out ('torch2flow check' compares the weights bit for bit)",
    ),
)


def likely_causes(evidence: Evidence) -> Iterator[str]:
    """The causes that the evidence speaks for, the most telling first."""
    with np.errstate(all="ignore"):
        for cause in CAUSES:
            if cause.likely(evidence):
                yield cause.text
