"""Picking parts of a tensor, and writing into parts of it."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.operators.indexing import (
    argwhere,
    index_add,
    index_copy,
    index_fill,
    masked_scatter,
    reduce_by_index,
    reduce_slices_by_index,
    scatter_part,
    segment_reduce,
    select_scatter,
    take,
    take_along_dim,
    with_slice,
)
from torch2flow.port.compat.common import written
from torch2flow.port.compat.registry import stands_for

WRITE_ITEM = getattr(flow.Tensor, "__setitem__", None)


@stands_for("torch.Tensor.__setitem__", because="OneFlow's loses gradients in `x[:, places] = value`.")
def write_item(self, key, value):
    """OneFlow's keeps them where only the first dimensions are indexed by tensors, masks or lists, or none is."""
    parts = list(key) if isinstance(key, tuple) else [key]
    while parts and isinstance(parts[-1], slice) and parts[-1] == slice(None):
        parts.pop()
    lists = [hasattr(each, "__len__") or hasattr(each, "ndim") for each in parts]
    learns = self.requires_grad or getattr(value, "requires_grad", False)
    if all(lists) or not any(lists) or not learns or not flow.is_grad_enabled():
        WRITE_ITEM(self, key, value)
        return
    places = flow.arange(self.numel(), device=self.device).reshape(*self.shape)[key]
    value = value if isinstance(value, flow.Tensor) else flow.tensor(value, device=self.device)
    while value.ndim > places.ndim:
        value = value.squeeze(0)
    value = value.to(self.dtype).expand(*places.shape).reshape(-1)
    flat = flow.tensor_scatter_nd_update(self.clone().reshape(-1), places.reshape(-1, 1), value)
    written(self, flat.reshape(*self.shape))


@stands_for(
    "torch.gather",
    "torch.Tensor.gather",
    because="OneFlow's takes no `sparse_grad=` and no scalar.",
    only_with=("sparse_grad", "out"),
)
def gather(input, dim, index, *, sparse_grad=False, out=None):
    if input.ndim == 0:
        return input.reshape(1)[index]
    return flow.gather(input, dim, index)


@stands_for(
    "torch.index_select", "torch.Tensor.index_select", because="OneFlow's fails for no indices, and for a scalar."
)
def index_select(input, dim, index):
    if input.ndim == 0:
        return input
    if index.numel() == 0:
        shape = [0 if axis == dim % input.ndim else size for axis, size in enumerate(input.shape)]
        return flow.zeros(shape, dtype=input.dtype, device=input.device)
    return flow.index_select(input, dim, flow.reshape(index, (-1,)))


@stands_for(
    "torch.masked_select", "torch.Tensor.masked_select", because="OneFlow's fails for a tensor without dimensions."
)
def masked_select(input, mask, *, out=None):
    if input.ndim == 0:
        return flow.masked_select(input.reshape(1), mask.reshape(-1))
    return flow.masked_select(input, mask)


@stands_for(
    "torch.masked_fill",
    "torch.Tensor.masked_fill",
    because="OneFlow's takes no tensor as the value, and no mask of bytes.",
)
def masked_fill(input, mask, value):
    mask = mask if mask.dtype == flow.bool else mask.to(flow.bool)
    if isinstance(value, flow.Tensor):
        return flow.where(mask, value.to(input.dtype), input)
    shape = flow.broadcast_shapes(tuple(input.shape), tuple(mask.shape))
    return flow.masked_fill(input if tuple(input.shape) == tuple(shape) else input.expand(*shape), mask, value)


stands_for("torch.take", "torch.Tensor.take", because="OneFlow has no `take`.")(take)
stands_for("torch.take_along_dim", "torch.Tensor.take_along_dim", because="OneFlow has no `take_along_dim`.")(
    take_along_dim
)
stands_for("torch.argwhere", "torch.Tensor.argwhere", because="OneFlow's gives int32.")(argwhere)


@stands_for(
    "torch.scatter",
    "torch.Tensor.scatter",
    because="OneFlow's takes no keyword `value=`, and its method no numbers at all.",
)
def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    src = value if src is None else src
    if not isinstance(src, flow.Tensor):
        src = flow.full(tuple(index.shape), src, dtype=input.dtype, device=input.device)
    if input.dtype == flow.bool:
        return scatter_part(input.to(flow.int32), dim, index, src.to(flow.int32), reduce).to(flow.bool)
    return scatter_part(input, dim, index, src.to(input.dtype), reduce)


@stands_for("torch.Tensor.scatter_", because="OneFlow's takes no keyword `value=`, and no bools.", only_with=("value",))
def scatter_(self, dim, index, src=None, *, value=None, reduce=None):
    return written(self, scatter(self, dim, index, src, value=value, reduce=reduce))


@stands_for(
    "torch.scatter_add",
    "torch.Tensor.scatter_add",
    because="OneFlow's has no gradient for a source larger than the index.",
)
def scatter_add(input, dim, index, src):
    return scatter_part(input, dim, index, src, "add")


@stands_for("torch.Tensor.scatter_add_", because="OneFlow's has no gradient for a source larger than the index.")
def scatter_add_(self, dim, index, src):
    return written(self, scatter_part(self, dim, index, src, "add"))


stands_for("torch.scatter_reduce", "torch.Tensor.scatter_reduce", because="OneFlow has no `scatter_reduce`.")(
    reduce_by_index
)


@stands_for("torch.Tensor.scatter_reduce_", because="OneFlow has no `scatter_reduce_`.")
def scatter_reduce_(self, dim, index, src, reduce, *, include_self=True):
    return written(self, reduce_by_index(self, dim, index, src, reduce, include_self))


stands_for("torch.index_add", "torch.Tensor.index_add", because="OneFlow's has no gradient, and no integers.")(
    index_add
)


@stands_for("torch.Tensor.index_add_", because="OneFlow's has no gradient, and no integers.")
def index_add_(self, dim, index, source, *, alpha=1):
    return written(self, index_add(self, dim, index, source, alpha))


stands_for("torch.index_copy", "torch.Tensor.index_copy", because="OneFlow has no `index_copy`.")(index_copy)


@stands_for("torch.Tensor.index_copy_", because="OneFlow has no `index_copy_`.")
def index_copy_(self, dim, index, source):
    return written(self, index_copy(self, dim, index, source))


@stands_for("torch.index_fill", "torch.Tensor.index_fill", because="OneFlow has no `index_fill`.")
def fill_at(input, dim, index, value):
    return index_fill(input, dim, index, value.item() if isinstance(value, flow.Tensor) else value)


@stands_for("torch.Tensor.index_fill_", because="OneFlow has no `index_fill_`.")
def index_fill_(self, dim, index, value):
    return written(self, fill_at(self, dim, index, value))


@stands_for("torch.index_put", "torch.Tensor.index_put", because="OneFlow has no `index_put`.")
def index_put(input, indices, values, accumulate=False):
    return index_put_(input.clone(), indices, values, accumulate)


@stands_for("torch.Tensor.index_put_", because="OneFlow has no `index_put_`.")
def index_put_(self, indices, values, accumulate=False):
    key = tuple(indices)
    if not accumulate:
        self[key] = values
        return self
    places = flow.arange(self.numel(), device=self.device).reshape(*self.shape)[key]
    values = values.to(self.dtype).expand(*places.shape)
    total = flow.scatter_add(self.reshape(-1), 0, places.reshape(-1), values.reshape(-1))
    return written(self, total.reshape(*self.shape))


@stands_for("torch.put", "torch.Tensor.put", because="OneFlow has no `put`.")
def put(input, index, source, accumulate=False):
    scatter_flat = flow.scatter_add if accumulate else flow.scatter
    return scatter_flat(input.reshape(-1), 0, index.reshape(-1), source.reshape(-1)).reshape(*input.shape)


stands_for("torch.select_scatter", "torch.Tensor.select_scatter", because="OneFlow has no `select_scatter`.")(
    select_scatter
)


@stands_for("torch.slice_scatter", "torch.Tensor.slice_scatter", because="OneFlow has no `slice_scatter`.")
def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    if step != 1:
        raise NotImplementedError("slice_scatter with a step")
    return with_slice(input, src, dim, start, end)


stands_for("torch.masked_scatter", "torch.Tensor.masked_scatter", because="OneFlow has no `masked_scatter`.")(
    masked_scatter
)


@stands_for("torch.Tensor.masked_scatter_", because="OneFlow has no `masked_scatter_`.")
def masked_scatter_(self, mask, source):
    return written(self, masked_scatter(self, mask, source))


@stands_for("torch.Tensor.masked_fill_", because="OneFlow's takes no tensor as the value.")
def masked_fill_(self, mask, value):
    return written(self, masked_fill(self, mask, value))


@stands_for(
    "torch.diagonal", "torch.Tensor.diagonal", because="The gradient of OneFlow's has its dimensions in another order."
)
def diagonal(input, offset=0, dim1=0, dim2=1):
    if input.ndim == 2 or not (input.requires_grad and flow.is_grad_enabled()):
        return flow.diagonal(input, offset, dim1, dim2)  # a part of the tensor, which can be written to
    x = flow.movedim(input, [dim1, dim2], [-2, -1])
    rows, columns = x.shape[-2:]
    count = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    places = flow.arange(count, device=input.device)
    flat = (places + max(-offset, 0)) * columns + places + max(offset, 0)
    return flow.index_select(flow.reshape(x, (*x.shape[:-2], rows * columns)), x.ndim - 2, flat)


stands_for("torch.index_reduce", "torch.Tensor.index_reduce", because="OneFlow has no `index_reduce`.")(
    reduce_slices_by_index
)


@stands_for("torch.Tensor.index_reduce_", because="OneFlow has no `index_reduce_`.")
def index_reduce_(input, dim, index, source, reduce, *, include_self=True):
    return written(input, reduce_slices_by_index(input, dim, index, source, reduce, include_self))


stands_for("torch.segment_reduce", because="OneFlow has no `segment_reduce`.")(segment_reduce)


@stands_for("torch.unravel_index", because="OneFlow has no `unravel_index`.")
def unravel_index(indices, shape):
    places = []
    for size in reversed([shape] if isinstance(shape, int) else list(shape)):
        places.append(indices % size)
        indices = flow.floor_divide(indices, size)
    return tuple(reversed(places))
