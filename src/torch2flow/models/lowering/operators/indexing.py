"""Picking parts of a tensor, and writing into parts of it: always a new tensor, never in place."""

from torch2flow.models.lowering.lazy import at, flow, helper, keys
from torch2flow.models.lowering.operators.reduction import product_along
from torch2flow.models.lowering.registry import operator


@operator("aten.slice", "aten.slice_copy")
def slice_(self, dim=0, start=None, end=None, step=1):
    return self[at(dim, slice(start, end, step))]


@operator("aten.select", "aten.select_copy")
def select(self, dim, index):
    return self[at(dim, index)]


@operator("aten.narrow", "aten.narrow_copy")
def narrow(self, dim, start, length):
    return self[at(dim, slice(start, start + length, 1))]


@operator("aten.index", "aten._unsafe_index")
def index_(self, indices):
    tensors = [index for index in indices if index is not None]
    if any(index.dtype == flow.int32 for index in tensors) and any(index.dtype == flow.int64 for index in tensors):
        # OneFlow 0.9.0 takes indices of one dtype.
        indices = [index if index is None else index.to(flow.int64) for index in indices]
    return self[keys(indices)]


@operator("aten.index_select")
def index_select(self, dim, index):
    if self.ndim == 0:
        return self
    if self.dtype == flow.uint8:
        return flow.index_select(self.to(flow.int32), dim, index).to(flow.uint8)
    return flow.index_select(self, dim, index)


@operator("aten.gather")
def gather(self, dim, index, sparse_grad=False):
    if self.ndim == 0:
        return self.reshape(1)[index]
    return flow.gather(self, dim, index)


@operator("aten.take_along_dim")
def take_along_dim(self, indices, dim=None):
    if dim is None:
        return flow.gather(self.reshape(-1), 0, indices.reshape(-1))
    return gather_broadcast(self, indices, dim)


@helper
def gather_broadcast(x, indices, dim):
    """PyTorch's `take_along_dim`: `gather` of tensors that fit but for broadcasting."""
    dim = dim % x.ndim
    indices = flow.where(indices < 0, indices + x.shape[dim], indices)
    sizes = [max(a, b) for a, b in zip(x.shape, indices.shape, strict=True)]
    x = x.expand(*[x.shape[d] if d == dim else sizes[d] for d in range(x.ndim)])
    return flow.gather(x, dim, indices.expand(*[indices.shape[d] if d == dim else sizes[d] for d in range(x.ndim)]))


@operator("aten.take")
def take(self, index):
    return self.reshape(-1)[index]


@operator("aten.masked_select")
def masked_select(self, mask):
    if self.ndim == 0:
        return flow.masked_select(self.reshape(1), mask.reshape(-1))
    return flow.masked_select(self, mask)


@operator("aten.slice_scatter")
def slice_scatter(self, src, dim=0, start=None, end=None, step=1):
    if step == 1:
        return with_slice(self, src, dim, start, end)
    return with_positions(self, src, (None,) * (dim % self.ndim) + (slice(start, end, step),))


@helper
def with_slice(x, value, dim, start=None, end=None):
    """`x` with `value` at `start:end` of one dimension, as a new tensor."""
    start, end, _ = slice(start, end).indices(x.shape[dim])
    parts = [x.narrow(dim, 0, start), value.to(x.dtype), x.narrow(dim, end, x.shape[dim] - end)]
    return flow.cat([part for part in parts if part.shape[dim] > 0], dim=dim) if end > start else x


@helper
def with_positions(x, value, indices, add=False):
    """`x` with `value` at `x[indices]`, or added there; OneFlow's `x[i] = value` fails inside `nn.Graph`."""
    key = [slice(None) if index is None else index for index in indices]
    positions = flow.arange(x.numel(), device=x.device).reshape(*x.shape)[tuple(key)]
    value = value.to(x.dtype).expand(*positions.shape)
    scatter = flow.scatter_add if add else flow.scatter
    return scatter(x.reshape(-1), 0, positions.reshape(-1), value.reshape(-1)).reshape(*x.shape)


@operator("aten.select_scatter")
@helper
def select_scatter(self, src, dim, index):
    """`self` with `src` at one index of a dimension, as a new tensor."""
    size = self.shape[dim]
    index = index % size
    parts = self.narrow(dim, 0, index), src.to(self.dtype).unsqueeze(dim), self.narrow(dim, index + 1, size - index - 1)
    return flow.cat([part for part in parts if part.shape[dim] > 0], dim=dim)


@operator("aten.index_put", "aten._unsafe_index_put", "aten._index_put_impl")
def index_put(self, indices, values, accumulate=False, unsafe=False):
    return with_positions(self, values, indices, True) if accumulate else with_indexed(self, values, indices)


@helper
def with_indexed(x, value, indices):
    """`x` with `value` at `x[indices]`, as a new tensor; a single value goes where a mask is true."""
    mask = indices[0]
    if len(indices) == 1 and mask.dtype == flow.bool and value.numel() == 1:
        return flow.where(mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim)), value.to(x.dtype).reshape(()), x)
    return with_positions(x, value, indices)


@operator("aten.masked_scatter")
@helper
def masked_scatter(self, mask, source):
    """PyTorch's `masked_scatter`: the elements of `source`, in order, where `mask` is true."""
    self, mask = flow.broadcast_tensors(self, mask)
    order = flow.clamp(flow.cumsum(mask.to(flow.int64).reshape(-1), 0) - 1, min=0).reshape(*self.shape)
    return flow.where(mask, source.to(self.dtype).reshape(-1)[order], self)


@operator("aten.scatter.src", "aten.scatter_add", "aten.scatter.reduce")
def scatter(self, dim, index, src, reduce=None, *, name):
    if self.dtype == flow.bool:
        return scatter_part(self.to(flow.int32), dim, index, src.to(flow.int32), reduce).to(flow.bool)
    return scatter_part(self, dim, index, src, "add" if name == "scatter_add" else reduce)


@helper
def scatter_part(x, dim, index, src, reduce=None):
    """PyTorch's `scatter`, whose `src` may be larger than `index`; OneFlow 0.9.0 has no gradient for that."""
    if x.ndim == 0:
        return scatter_part(x.reshape(1), 0, index.reshape(-1), src.reshape(-1), reduce).reshape(())
    for axis in range(x.ndim):
        src = src.narrow(axis, 0, index.shape[axis])
    if reduce is None:
        return flow.scatter(x, dim, index, src)
    if reduce == "add":
        return flow.scatter_add(x, dim, index, src)
    return flow.scatter(x, dim, index, src, reduce=reduce)


@operator("aten.scatter.value")
def scatter_value(self, dim, index, value):
    if self.ndim == 0:
        return flow.full_like(self, value)
    if self.dtype == flow.bool:
        return flow.scatter(self.to(flow.int32), dim, index, int(value)).to(flow.bool)
    return flow.scatter(self, dim, index, value)


@operator("aten.scatter.value_reduce")
def scatter_value_reduce(self, dim, index, value, reduce):
    if self.ndim == 0 and reduce == "add":
        return self + value
    if self.ndim == 0:
        return self * value
    return flow.scatter(self, dim, index, value, reduce=reduce)


@operator("aten.scatter_reduce.two")
def scatter_reduce(self, dim, index, src, reduce, include_self=True):
    if reduce == "sum" and include_self:
        return scatter_part(self, dim, index, src, "add")
    return reduce_by_index(self, dim, index, src, reduce, include_self)


@operator("aten.index_reduce")
@helper
def reduce_slices_by_index(self, dim, index, source, reduce, include_self=True):
    """PyTorch's `index_reduce`: an index for each slice of `source`."""
    if self.ndim == 0:
        self, source = self.reshape(1), source.reshape(-1)
        return reduce_by_index(self, 0, index.reshape(-1), source, reduce, include_self).reshape(())
    shape = [-1 if axis == dim % self.ndim else 1 for axis in range(self.ndim)]
    return reduce_by_index(self, dim, index.reshape(*shape).expand(*source.shape), source, reduce, include_self)


@operator("aten.segment_reduce")
def segment_reduce(data, reduce, *, lengths=None, indices=None, offsets=None, axis=0, unsafe=False, initial=None):
    given = offsets if lengths is None else lengths
    if axis != 0 or given is None or given.ndim != 1:
        raise NotImplementedError("segments of another dimension than the first")
    ends = offsets[1:] if lengths is None else flow.cumsum(lengths, 0)
    return reduce_segments(data, reduce, ends, initial)


@helper
def reduce_segments(data, reduce, ends, initial=None):
    """PyTorch's `segment_reduce`: `ends` says where each piece of the first dimension ends."""
    neutral = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": float("-inf"), "min": float("inf")}[reduce]
    shape = [ends.shape[0], *data.shape[1:]]
    start = flow.full(shape, neutral if initial is None else initial, dtype=data.dtype, device=data.device)
    index = (flow.arange(data.shape[0], device=data.device).unsqueeze(1) >= ends).to(flow.int64).sum(dim=1)
    kind = {"mean": "sum", "max": "amax", "min": "amin"}.get(reduce, reduce)
    made = reduce_slices_by_index(start, 0, index, data, kind)
    if reduce != "mean":
        return made
    counts = flow.scatter_add(
        flow.zeros_like(start), 0, index.reshape(-1, *[1] * (data.ndim - 1)).expand(*data.shape), flow.ones_like(data)
    )
    empty = start if initial is not None else flow.full_like(start, float("nan"))
    return flow.where(counts > 0, made / flow.where(counts > 0, counts, flow.ones_like(counts)), empty)


@helper
def reduce_by_index(x, dim, index, src, reduce, include_self=True):
    """PyTorch's `scatter_reduce`."""
    if x.ndim == 0:
        return reduce_by_index(x.reshape(1), 0, index.reshape(-1), src.reshape(-1), reduce, include_self).reshape(())
    dim = dim % x.ndim
    for axis in range(x.ndim):
        src = src.narrow(axis, 0, index.shape[axis])
    counts = flow.scatter_add(flow.zeros_like(x), dim, index, flow.ones_like(src))
    if reduce in ("sum", "mean"):
        start = x if include_self else flow.where(counts > 0, flow.zeros_like(x), x)
        total = flow.scatter_add(start, dim, index, src)
        if reduce == "sum":
            return total
        counts = flow.where(counts > 0, counts + int(include_self), flow.ones_like(counts))
        return total / counts if x.dtype.is_floating_point else flow.floor(total.double() / counts).to(x.dtype)
    # The others go through a dense mask, places along `dim` against entries of `index`; what is missing names no place.
    for axis in range(x.ndim):
        if axis != dim and index.shape[axis] < x.shape[axis]:
            shape = [x.shape[d] - index.shape[d] if d == axis else index.shape[d] for d in range(x.ndim)]
            index = flow.cat([index, flow.full(shape, -1, dtype=index.dtype, device=x.device)], dim=axis)
            src = flow.cat([src, flow.zeros(shape, dtype=src.dtype, device=x.device)], dim=axis)
    places = flow.arange(x.shape[dim], device=x.device).reshape(*[-1 if d == dim else 1 for d in range(x.ndim)])
    hits = index.unsqueeze(dim) == places.unsqueeze(dim + 1)
    src = src.unsqueeze(dim)
    if reduce == "prod":
        made = product_along(flow.where(hits, src, flow.ones_like(src)), dim + 1)
        kept = x if include_self else flow.ones_like(x)
        return flow.where(counts > 0, kept * made, x)
    worst = float("-inf") if reduce == "amax" else float("inf")
    spread = flow.where(hits, src.double(), flow.full_like(src, worst, dtype=flow.float64))
    made = flow.amax(spread, dim + 1) if reduce == "amax" else flow.amin(spread, dim + 1)
    if include_self:
        made = flow.maximum(made, x.double()) if reduce == "amax" else flow.minimum(made, x.double())
    return flow.where(counts > 0, made, x.double()).to(x.dtype)


@operator("aten.index_add")
@helper
def index_add(self, dim, index, source, alpha=1):
    """PyTorch's `index_add`; OneFlow 0.9.0's has no gradient, no integers, and crashes on a negative dimension."""
    source = source if alpha == 1 else alpha * source
    if self.ndim == 0:
        return self + source.sum()
    shape = [-1 if axis == dim % self.ndim else 1 for axis in range(self.ndim)]
    return flow.scatter_add(self, dim % self.ndim, index.reshape(*shape).expand(*source.shape), source.to(self.dtype))


@operator("aten.index_copy")
@helper
def index_copy(self, dim, index, source):
    """PyTorch's `index_copy`: slices of `source` at some indices of a dimension."""
    if self.ndim == 0:
        return source.reshape(())
    shape = [-1 if axis == dim % self.ndim else 1 for axis in range(self.ndim)]
    return flow.scatter(self, dim % self.ndim, index.reshape(*shape).expand(*source.shape), source)


@operator("aten.index_fill.int_Scalar")
@helper
def index_fill(self, dim, index, value):
    """PyTorch's `index_fill`: one value at some indices of a dimension."""
    if self.ndim == 0:
        return flow.full_like(self, value) if index.numel() else self
    shape = [-1 if axis == dim % self.ndim else 1 for axis in range(self.ndim)]
    places = flow.arange(self.shape[dim], device=self.device).unsqueeze(1)
    hit = (places == index.reshape(1, -1) % self.shape[dim]).any(dim=1)
    return self.masked_fill(hit.reshape(*shape).expand(*self.shape), value)


@operator("aten.index_fill.int_Tensor")
def index_fill_by_tensor(self, dim, index, value):
    return flow.where(index_fill(flow.zeros_like(self), dim, index, 1) != 0, value.to(self.dtype), self)


@operator("aten.diagonal", "aten.diagonal_copy")
def diagonal_(self, offset=0, dim1=0, dim2=1):
    if (dim1 % self.ndim, dim2 % self.ndim) != (0, 1):
        # OneFlow 0.9.0's gradient has the dimensions in this order, whatever they were.
        self = flow.movedim(self, (dim1, dim2), (0, 1))
    return flow.diagonal(self, offset, 0, 1)


@operator("aten.linalg_diagonal")
def linalg_diagonal(A, offset=0, dim1=-2, dim2=-1):
    return diagonal_(A, offset, dim1, dim2)


@operator("aten.diagonal_scatter")
@helper
def diagonal_scatter(self, src, offset=0, dim1=0, dim2=1):
    """`self` with `src` on a diagonal, as a new tensor."""
    positions = flow.diagonal(flow.arange(self.numel(), device=self.device).reshape(*self.shape), offset, dim1, dim2)
    return flow.scatter(self.reshape(-1), 0, positions.reshape(-1), src.reshape(-1)).reshape(*self.shape)


@operator("aten.diag", "aten.tril", "aten.triu")
def by_diagonal(self, diagonal=0, *, name):
    return getattr(flow, name)(self, diagonal)


@operator("aten.diag_embed")
@helper
def diag_embed(self, offset=0, dim1=-2, dim2=-1):
    """PyTorch's `diag_embed`: the last dimension becomes the diagonal of a matrix."""
    size = self.shape[-1] + abs(offset)
    rows = flow.arange(self.shape[-1], device=self.device) + max(-offset, 0)
    columns = rows + offset
    ones = (flow.arange(size, device=self.device) == columns.unsqueeze(1)).to(self.dtype)
    place = (flow.arange(size, device=self.device) == rows.unsqueeze(1)).to(self.dtype)
    matrix = (place.unsqueeze(2) * ones.unsqueeze(1) * self.unsqueeze(-1).unsqueeze(-1)).sum(dim=-3)
    return flow.movedim(matrix.to(self.dtype), [-2, -1], [dim1, dim2])


@operator("aten.diagflat")
def diagflat(self, offset=0):
    return diag_embed(self.reshape(-1), offset)


@operator("aten.put")
def put(self, index, source, accumulate=False):
    scatter = flow.scatter_add if accumulate else flow.scatter
    places = index.reshape(-1)
    places = flow.where(places < 0, places + self.numel(), places)  # OneFlow's writes nothing where one is negative
    return scatter(self.reshape(-1), 0, places, source.reshape(-1)).reshape(*self.shape)


@operator("aten.as_strided_scatter")
@helper
def as_strided_scatter(self, src, size, stride, storage_offset=None):
    """PyTorch's `as_strided_scatter`, as a new tensor."""
    positions = flow.as_strided(flow.arange(self.numel(), device=self.device), size, stride, storage_offset or 0)
    return flow.scatter(self.reshape(-1), 0, positions.reshape(-1), src.reshape(-1)).reshape(*self.shape)


@operator("aten.argwhere")
def argwhere(self):
    return flow.argwhere(self).to(flow.int64)
