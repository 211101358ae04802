"""Methods that work in place, made of the functions that do not: comparisons, sums so far, logarithms and such."""

from __future__ import annotations

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.common import written
from torch2flow.port.compat.methods import resize_
from torch2flow.port.compat.registry import stands_for


@stands_for("torch.Tensor.log1p_", because="OneFlow has no `log1p_`.")
def log1p_(self):
    return written(self, flow.log1p(self.clone()))


@stands_for("torch.Tensor.log2_", because="OneFlow has no `log2_`.")
def log2_(self):
    return written(self, flow.log2(self.clone()))


@stands_for("torch.Tensor.log10_", because="OneFlow has no `log10_`.")
def log10_(self):
    return written(self, flow.log10(self.clone()))


@stands_for("torch.Tensor.expm1_", because="OneFlow has no `expm1_`.")
def expm1_(self):
    return written(self, flow.expm1(self.clone()))


@stands_for("torch.Tensor.erf_", because="OneFlow has no `erf_`.")
def erf_(self):
    return written(self, flow.erf(self.clone()))


@stands_for("torch.Tensor.erfc_", because="OneFlow has no `erfc_`.")
def erfc_(self):
    return written(self, flow.erfc(self.clone()))


@stands_for("torch.Tensor.sign_", because="OneFlow has no `sign_`.")
def sign_(self):
    return written(self, flow.sign(self.clone()))


@stands_for("torch.Tensor.tan_", because="OneFlow has no `tan_`.")
def tan_(self):
    return written(self, flow.tan(self.clone()))


@stands_for("torch.Tensor.atan_", because="OneFlow has no `atan_`.")
def atan_(self):
    return written(self, flow.atan(self.clone()))


@stands_for("torch.Tensor.asin_", because="OneFlow has no `asin_`.")
def asin_(self):
    return written(self, flow.asin(self.clone()))


@stands_for("torch.Tensor.acos_", because="OneFlow has no `acos_`.")
def acos_(self):
    return written(self, flow.acos(self.clone()))


@stands_for("torch.Tensor.sinh_", because="OneFlow has no `sinh_`.")
def sinh_(self):
    return written(self, flow.sinh(self.clone()))


@stands_for("torch.Tensor.cosh_", because="OneFlow has no `cosh_`.")
def cosh_(self):
    return written(self, flow.cosh(self.clone()))


@stands_for("torch.Tensor.gt_", because="OneFlow has no `gt_`.")
def gt_(self, other):
    return written(self, flow.gt(self.clone(), other))


@stands_for("torch.Tensor.ge_", because="OneFlow has no `ge_`.")
def ge_(self, other):
    return written(self, flow.ge(self.clone(), other))


@stands_for("torch.Tensor.lt_", because="OneFlow has no `lt_`.")
def lt_(self, other):
    return written(self, flow.lt(self.clone(), other))


@stands_for("torch.Tensor.le_", because="OneFlow has no `le_`.")
def le_(self, other):
    return written(self, flow.le(self.clone(), other))


@stands_for("torch.Tensor.ne_", because="OneFlow has no `ne_`.")
def ne_(self, other):
    return written(self, flow.ne(self.clone(), other))


@stands_for("torch.Tensor.logical_and_", because="OneFlow has no `logical_and_`.")
def logical_and_(self, other):
    return written(self, flow.logical_and(self.clone(), other))


@stands_for("torch.Tensor.logical_or_", because="OneFlow has no `logical_or_`.")
def logical_or_(self, other):
    return written(self, flow.logical_or(self.clone(), other))


@stands_for("torch.Tensor.logical_not_", because="OneFlow has no `logical_not_`.")
def logical_not_(self):
    return written(self, flow.logical_not(self.clone()))


@stands_for("torch.Tensor.cumsum_", because="OneFlow has no `cumsum_`.")
def cumsum_(self, dim):
    return written(self, flow.cumsum(self.clone(), dim))


@stands_for("torch.Tensor.cumprod_", because="OneFlow has no `cumprod_`.")
def cumprod_(self, dim):
    return written(self, flow.cumprod(self.clone(), dim))


@stands_for("torch.Tensor.resize_as_", because="OneFlow has no `resize_as_`.")
def resize_as_(self, the_template):
    return resize_(self, *the_template.shape)
