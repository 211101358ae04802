"""The shape of a tensor and the order of its dimensions; OneFlow's strides differ, so a view becomes a reshape."""

from torch2flow.models.lowering.lazy import flow, helper
from torch2flow.models.lowering.registry import operator


@operator(
    "aten.reshape", "aten.view", "aten._unsafe_view", "aten.view_copy", "aten._reshape_copy", "aten._reshape_alias"
)  # fmt: skip
def reshape(self, shape=None, size=None, stride=None):
    return self.reshape(*(size if shape is None else shape))


@operator("aten.view.dtype", "aten.view_copy.dtype")
def view_dtype(self, dtype):
    if dtype == self.dtype:
        return self
    raise NotImplementedError("OneFlow 0.9.0 can't look at a tensor's bytes as another dtype")


@operator("aten.view_as", "aten.reshape_as")
def view_as(self, other):
    return self.reshape_as(other)


@operator("aten.flatten")
def flatten(self, start_dim=0, end_dim=-1):
    if self.ndim == 0:
        return self.reshape(1)
    if end_dim == -1:
        return self.flatten(start_dim) if start_dim else self.flatten()
    return self.flatten(start_dim, end_dim)


@operator("aten.ravel")
def ravel(self):
    return self.reshape(-1)


@operator("aten.unflatten")
def unflatten(self, dim, sizes):
    dim = dim % self.ndim
    if dim == self.ndim - 1:
        return self.reshape(*self.shape[:-1], *sizes)
    return self.reshape(*self.shape[:dim], *sizes, *self.shape[dim + 1 :])


@operator("aten.squeeze", "aten.squeeze_copy")
def squeeze(self):
    return self.squeeze() if self.ndim else self


@operator("aten.squeeze.dim", "aten.squeeze_copy.dim", "aten.squeeze.dims", "aten.squeeze_copy.dims")
def squeeze_dims(self, dim, *, in_shape):
    if isinstance(dim, int):
        return self.squeeze(dim) if self.ndim and in_shape[dim] == 1 else self
    dims = tuple(each for each in dim if self.ndim and in_shape[each] == 1)
    return self.squeeze(dims) if dims else self


@operator("aten.unsqueeze", "aten.unsqueeze_copy")
def unsqueeze(self, dim):
    return self.unsqueeze(dim)


@operator("aten.expand", "aten.expand_copy", "aten.broadcast_to")
def expand(self, size, implicit=False):
    return self.expand(*size) if size else self


@operator("aten.expand_as")
def expand_as(self, other):
    return self.expand_as(other) if other.ndim else self


@operator("aten.broadcast_tensors")
def broadcast_tensors(tensors):
    return flow.broadcast_tensors(*tensors)


@operator("aten.transpose", "aten.swapaxes", "aten.swapdims", "aten.transpose_copy")
def transpose(self, dim0=0, dim1=0, axis0=None, axis1=None):
    if self.ndim == 0:
        return self
    if axis0 is not None:
        return self.transpose(axis0, axis1)
    return self.transpose(dim0, dim1)


@operator("aten.t", "aten.t_copy")
def t(self):
    if self.ndim < 2:
        return self
    return self.t()


@operator("aten.numpy_T", "aten.matrix_H")
def numpy_t(self):
    if self.ndim < 2:
        return self
    return self.permute(*range(self.ndim - 1, -1, -1))


@operator("aten.mT", "aten.adjoint", "aten.mH")
def matrix_transpose(self):
    return self.transpose(-2, -1)


@operator("aten.permute", "aten.permute_copy")
def permute(self, dims):
    if self.ndim == 0:
        return self
    return self.permute(*dims)


@operator("aten.movedim", "aten.moveaxis")
def movedim(self, source, destination):
    if self.ndim == 0:
        return self
    return flow.movedim(self, source, destination)


@operator("aten.flip")
def flip(self, dims):
    if not dims:
        return self
    return flow.flip(self, dims)


@operator("aten.fliplr")
def fliplr(self):
    return flow.flip(self, [1])


@operator("aten.flipud")
def flipud(self):
    return flow.flip(self, [0])


@operator("aten.roll")
def roll(self, shifts, dims=None, *, in_shape):
    if 0 in in_shape:
        return self
    if not dims:
        return flow.roll(self, shifts)
    # OneFlow 0.9.0 does not count from the end.
    return flow.roll(self, shifts, tuple(dim % self.ndim for dim in dims))


@operator("aten.rot90")
def rot90(self, k=1, dims=(0, 1)):
    if k % 2 == 0:
        return flow.flip(self, dims) if k % 4 else self
    return flow.flip(self, [dims[1 if k % 4 == 1 else 0]]).transpose(dims[0], dims[1])


@operator("aten.repeat")
def repeat(self, repeats, *, in_shape, out_shape, out_dtype):
    if 0 in in_shape or 0 in out_shape:
        return flow.zeros(out_shape, dtype=out_dtype, device=self.device)
    return self.repeat(*repeats)


@operator("aten.tile")
def tile(self, dims):
    return self.tile(*dims)


@operator("aten.repeat_interleave.self_int", "aten.repeat_interleave.self_Tensor")
def repeat_interleave(self, repeats, dim=None, output_size=None):
    if self.ndim == 0 and not isinstance(repeats, flow.Tensor):
        return self.reshape(1).repeat(repeats)
    if dim is None and isinstance(repeats, flow.Tensor):
        return self.reshape(-1).repeat_interleave(repeats, 0)
    if self.dtype == flow.uint8:
        return self.to(flow.int32).repeat_interleave(repeats, dim).to(flow.uint8)
    return self.repeat_interleave(repeats, dim)


@operator("aten.unfold", "aten.unfold_copy")
def unfold(self, dimension, size, step):
    return self.unfold(dimension % self.ndim, size, step)  # OneFlow 0.9.0 does not count from the end


@operator("aten.as_strided", "aten.as_strided_copy")
def as_strided(self, size, stride, storage_offset=None):
    if isinstance(stride, int):
        return flow.as_strided(self, size, (stride,) * len(size), storage_offset or 0)
    return flow.as_strided(self, size, stride, storage_offset or 0)


@operator("aten.cat", "aten.concat", "aten.concatenate", promotes=("tensors",))
def cat(tensors, dim=0):
    return flow.cat(tensors, dim=dim)


@operator("aten.stack", promotes=("tensors",))
def stack(tensors, dim=0):
    return flow.stack(tensors, dim=dim)


@operator("aten.hstack", "aten.vstack", "aten.row_stack", "aten.dstack", "aten.column_stack", promotes=("tensors",))
def stack_along(tensors, *, name):
    return getattr(flow, "vstack" if name == "row_stack" else name)(tensors)


@operator("aten.unbind", "aten.unbind_copy")
def unbind(self, dim=0):
    return self.unbind(dim)


@operator("aten.chunk", "aten.unsafe_chunk")
def chunk(self, chunks, dim=0):
    return self.chunk(chunks, dim)


@operator(
    "aten.split", "aten.unsafe_split", "aten.split_copy",
    "aten.split_with_sizes", "aten.split_with_sizes_copy", "aten.unsafe_split_with_sizes",
)  # fmt: skip
def split(self, split_size=None, dim=0, split_sizes=None):
    return self.split(split_size if split_sizes is None else split_sizes, dim)


@operator("aten.tensor_split.sections", "aten.tensor_split.indices")
def tensor_split(self, sections=None, indices=None, dim=0):
    return flow.tensor_split(self, sections if indices is None else indices, dim)


@operator(
    "aten.hsplit.int", "aten.hsplit.array", "aten.vsplit.int", "aten.vsplit.array", "aten.dsplit.int",
    "aten.dsplit.array",
)  # fmt: skip
def split_along(self, sections=None, indices=None, *, name):
    dim = {"hsplit": min(self.ndim - 1, 1), "vsplit": 0, "dsplit": 2}[name]
    return flow.tensor_split(self, sections if indices is None else indices, dim)


@operator("aten.meshgrid.indexing", "aten.meshgrid")
def meshgrid(tensors, indexing="ij"):
    return flow.meshgrid(*tensors, indexing=indexing)


@operator("aten.atleast_1d", "aten.atleast_2d", "aten.atleast_3d")
def atleast(self, *, name, out_shape):
    return self.reshape(*out_shape) if self.ndim < int(name[-2]) else self


@operator("aten.atleast_1d.Sequence", "aten.atleast_2d.Sequence", "aten.atleast_3d.Sequence")
def atleast_each(tensors, *, name):
    return getattr(flow, name)(tensors)


@operator("aten.sum_to_size")
def sum_to_size(self, size, *, out_dtype):
    return summed_to(self.to(out_dtype), size)


@helper
def summed_to(x, size):
    """PyTorch's `sum_to_size`: the reverse of `expand`."""
    outer = x.ndim - len(size)
    dims = [d for d in range(x.ndim) if d < outer or (size[d - outer] == 1 and x.shape[d] != 1)]
    return x.sum(dim=dims, keepdim=True).reshape(*size) if dims else x


@operator("aten.pixel_shuffle")
@helper
def pixel_shuffle(self, upscale_factor):
    """PyTorch's `pixel_shuffle`: channels become pixels, for any number of dimensions before them."""
    *outer, channels, height, width = self.shape
    self = self.reshape(*outer, channels // upscale_factor**2, upscale_factor, upscale_factor, height, width)
    first = len(outer)
    self = self.permute(*range(first + 1), first + 3, first + 1, first + 4, first + 2)
    return self.reshape(*outer, channels // upscale_factor**2, height * upscale_factor, width * upscale_factor)


@operator("aten.pixel_unshuffle")
@helper
def pixel_unshuffle(self, downscale_factor):
    """PyTorch's `pixel_unshuffle`: the reverse of `pixel_shuffle`."""
    *outer, channels, height, width = self.shape
    self = self.reshape(
        *outer, channels, height // downscale_factor, downscale_factor, width // downscale_factor, downscale_factor
    )
    first = len(outer)
    self = self.permute(*range(first + 1), first + 2, first + 4, first + 1, first + 3)
    return self.reshape(*outer, channels * downscale_factor**2, height // downscale_factor, width // downscale_factor)


@operator("aten.channel_shuffle", "aten.native_channel_shuffle")
def channel_shuffle(self, groups):
    return self.reshape(self.shape[0], groups, -1, *self.shape[2:]).transpose(1, 2).reshape(*self.shape)
