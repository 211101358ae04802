"""Samples that need not agree with PyTorch, each kind with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch

from operator_samples import Outcome, Sample

from torch2flow.models.lowering.unsupported import reason


@dataclass(frozen=True, slots=True)
class Exempt:
    """One kind of sample: its operators' names as the database has them (`*` matches), dtypes, and why."""

    operators: str
    dtypes: str
    why: str

    def covers(self, sample: Sample) -> bool:
        return any(fnmatch(sample.operator, name) for name in self.operators.split()) and (
            self.dtypes == "*" or sample.dtype in self.dtypes.split()
        )


NOTHING = "OneFlow 0.9.0 aborts, refuses, or leaves memory as it was where a tensor has no elements"

EXEMPT = (
    Exempt("topk kthvalue sort argsort msort", "bool int32 int64", "equal elements come in another order"),
    Exempt(
        "nn.functional.conv* nn.functional.*_pool* nn.functional.local_response_norm nn.functional.unfold",
        "bool int32 int64",
        "OneFlow 0.9.0 has no kernel for integers",
    ),
    Exempt("addr scatter_reduce.prod", "bool", "OneFlow 0.9.0 has no kernel for bool"),
    Exempt("addmv addbmm baddbmm", "int32 int64", "PyTorch rounds the factors of integers, which nobody means"),
    Exempt("nn.functional.mish", "float32", "OneFlow 0.9.0's mish is less exact for negative numbers: 3e-5"),
    Exempt("nn.functional.pad.circular", "float32", "padding in a circle that also cuts is not written"),
    Exempt("masked.amax masked.amin", "float32", "see defects.py: largest of minus infinities"),
    Exempt("lgamma", "float32", "see defects.py: gradient of lgamma"),
    Exempt("erfinv", "float32", "see defects.py: gradient of erfinv"),
    Exempt("prod", "float32", "see defects.py: gradient of prod at zero"),
    Exempt("__rpow__", "float32", "the gradient at a base of 0 or below, which has none, is NaN and not infinite"),
    Exempt("as_strided_scatter", "float32", "PyTorch 2.13.0 passes on the gradient also of what is overwritten"),
    Exempt("nn.functional.linear_cross_entropy*", "float32", "log_softmax rounds in another order: 6.2e-6 for 5.8e-6"),
    Exempt("quantile", "float32", "the gradient of `q` itself, which no model has"),
    Exempt("linalg.multi_dot", "float32", NOTHING),
    Exempt("svd linalg.svd", "float32", "the vectors that make a basis full may be any"),
)


def why_exempt(sample: Sample, outcome: Outcome) -> str:
    """Why a sample need not agree; "" where it must."""
    if outcome.kind == "same":
        return ""
    if outcome.kind == "no rule":
        return reason(outcome.detail)
    if outcome.kind == "refused":
        return outcome.detail
    if sample.empty:
        return NOTHING
    return next((row.why for row in EXEMPT if row.covers(sample)), "")
