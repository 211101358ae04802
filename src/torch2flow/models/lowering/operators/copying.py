"""The same values under another dtype, and calls that change nothing."""

from torch2flow.models.lowering.registry import operator


@operator(
    "aten.alias", "aten.alias_copy", "aten.contiguous", "aten.lift", "aten.lift_fresh",
    "aten.lift_fresh_copy", "aten.positive", "aten.resolve_conj", "aten.resolve_neg",
    "aten._conj_physical", "aten.conj_physical", "aten._conj", "aten.conj", "aten.real", "aten.cpu",
)  # fmt: skip
def same(self):
    return self


@operator("aten.clone")
def clone(self):
    return self.clone()


@operator("aten.detach", "aten.detach_copy")
def detach(self):
    return self.detach()


@operator("torch2flow.with_data")
def with_data(self, value):
    return value.detach() + (self - self.detach())


@operator("aten.to", "aten._to_copy", "aten.type_as", "aten._cast_Float")
def to(self, dtype=None, other=None, copy=False, *, out_dtype):
    if self.dtype == out_dtype:
        return self
    return self.to(out_dtype)


@operator("aten.copy")
def copy_(self, src):
    if self.ndim == 0:
        return src.to(self.dtype).reshape(())
    return src.to(self.dtype).expand(*self.shape)


@operator("aten.item", "aten._local_scalar_dense")
def item(self):
    return self.item()
