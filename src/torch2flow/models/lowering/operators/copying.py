"""The same values under another dtype, and calls that change nothing."""

from __future__ import annotations

from torch2flow.models.lowering.registry import operator


@operator(
    "aten.alias", "aten.alias_copy", "aten.contiguous", "aten.lift", "aten.lift_fresh",
    "aten.lift_fresh_copy", "aten.positive", "aten.resolve_conj", "aten.resolve_neg",
    "aten._conj_physical", "aten.conj_physical", "aten._conj", "aten.conj", "aten.real", "aten.cpu",
)  # fmt: skip
def same(self, memory_format=None):
    return self


@operator("aten.clone")
def clone(self, memory_format=None):
    return self.clone()


@operator("aten.detach", "aten.detach_copy")
def detach(self):
    return self.detach()


@operator("aten.to", "aten._to_copy", "aten.type_as", "aten._cast_Float")
def to(self, dtype=None, layout=None, device=None, other=None, pin_memory=None, non_blocking=False, copy=False,
       memory_format=None, *, in_dtype=None, out_dtype):  # fmt: skip
    if in_dtype == out_dtype:
        return self
    return self.to(out_dtype)


@operator("aten.copy")
def copy_(self, src, non_blocking=False, *, in_dtype, in_ndim):
    if in_ndim == 0:
        return src.to(in_dtype).reshape(())
    return src.to(in_dtype).expand(*self.shape)


@operator("aten.item", "aten._local_scalar_dense")
def item(self):
    return self.item()
