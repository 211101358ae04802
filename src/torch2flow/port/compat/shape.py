"""The shape of a tensor, the order of its dimensions, and tensors put together or taken apart."""

from torch2flow.models.lowering.lazy import at, flow
from torch2flow.models.lowering.operators.shape import (
    channel_shuffle,
    fliplr,
    flipud,
    pixel_shuffle,
    pixel_unshuffle,
    ravel,
    rot90,
    summed_to,
    unflatten,
)
from torch2flow.port.compat.common import along, dtype_of, sized, stored
from torch2flow.port.compat.registry import stands_for


@stands_for(
    "torch.cat",
    "torch.concat",
    "torch.concatenate",
    because="OneFlow's takes no `axis=`, no `out=`, and refuses the empty tensor that PyTorch leaves out.",
    only_with=("tensors", "axis", "out"),
)
def cat(tensors, dim=0, *, axis=None, out=None):
    tensors = together(tensors)
    # PyTorch leaves out the tensor of one dimension that holds nothing.
    tensors = [x for x in tensors if x.ndim != 1 or x.shape[0]] or tensors[:1]
    if len(tensors) == 1:
        return stored(tensors[0].clone(), out)
    return stored(flow.cat(tensors, dim=along(dim, axis)), out)


@stands_for(
    "torch.stack",
    because="OneFlow's takes no `axis=`, no `out=`, and refuses tensors of two dtypes.",
    only_with=("tensors", "axis", "out"),
)
def stack(tensors, dim=0, *, axis=None, out=None):
    return stored(flow.stack(together(tensors), dim=along(dim, axis)), out)


def together(tensors):
    """A list of tensors, in PyTorch's common dtype."""
    tensors = list(tensors)
    if any(x.dtype != tensors[0].dtype for x in tensors):
        dtype = dtype_of(*tensors)
        tensors = [x.to(dtype) for x in tensors]
    return tensors


@stands_for(
    "torch.split",
    "torch.Tensor.split",
    because="OneFlow's knows the sizes and the tensor by other names.",
    only_with=("tensor", "split_size"),
)
def split(tensor, split_size_or_sections=None, dim=0, *, split_size=None):
    sizes = split_size if split_size_or_sections is None else split_size_or_sections
    return flow.split(tensor, sizes if isinstance(sizes, int) else list(sizes), dim)


@stands_for("torch.Tensor.split_with_sizes", because="OneFlow has no `split_with_sizes`.")
def split_with_sizes(self, split_sizes, dim=0):
    return flow.split(self, list(split_sizes), dim)


@stands_for("torch.tensor_split", "torch.Tensor.tensor_split", because="OneFlow's has no method and other names.")
def tensor_split(input, indices_or_sections, dim=0):
    given = indices_or_sections
    if isinstance(given, flow.Tensor):
        given = given.tolist()
    return tuple(flow.tensor_split(input, given if isinstance(given, int) else tuple(given), dim))


@stands_for("torch.dsplit", "torch.Tensor.dsplit", because="OneFlow has no `dsplit`.")
def dsplit(input, indices_or_sections):
    return tensor_split(input, indices_or_sections, 2)


@stands_for("torch.Tensor.reshape", because="OneFlow's takes no keyword `shape=`.", only_with=("shape",))
def reshape(self, *shape, **named):
    return flow.reshape(self, sized(shape or (named["shape"],)))


@stands_for("torch.flatten", "torch.Tensor.flatten", because="OneFlow's leaves a tensor without dimensions as it is.")
def flatten(input, start_dim=0, end_dim=-1):
    return flow.flatten(input, start_dim, end_dim) if input.ndim else flow.reshape(input, (1,))


stands_for("torch.ravel", "torch.Tensor.ravel", because="OneFlow has no `ravel`.")(ravel)
stands_for("torch.unflatten", "torch.Tensor.unflatten", because="OneFlow has no `unflatten`.")(unflatten)


@stands_for(
    "torch.squeeze", "torch.Tensor.squeeze", because="OneFlow's ends the process for a tensor without dimensions."
)
def squeeze(input, dim=None):
    if input.ndim == 0:
        return input
    if dim is None:
        return flow.squeeze(input)
    dims = [each for each in ([dim] if isinstance(dim, int) else dim) if input.shape[each] == 1]
    return flow.squeeze(input, dims) if dims else input


@stands_for(
    "torch.transpose", "torch.Tensor.transpose", because="OneFlow's ends the process for a tensor without dimensions."
)
def transpose(input, dim0, dim1):
    return flow.transpose(input, dim0, dim1) if input.ndim else input


@stands_for("torch.Tensor.permute", because="OneFlow's takes no keyword `dims=`.", only_with=("dims",))
def permute(self, *dims, **named):
    return flow.permute(self, sized(dims or (named["dims"],)))


@stands_for(
    "torch.movedim",
    "torch.moveaxis",
    "torch.Tensor.movedim",
    "torch.Tensor.moveaxis",
    because="OneFlow has `movedim` alone, and it as a function alone.",
)
def movedim(input, source, destination):
    return flow.movedim(input, source, destination)


@stands_for("torch.flip", "torch.Tensor.flip", because="OneFlow's takes no dimensions one by one.")
def flip(input, *dims, **named):
    dims = sized(dims or (named["dims"],))
    return flow.flip(input, list(dims)) if dims else input.clone()


stands_for("torch.fliplr", "torch.Tensor.fliplr", because="OneFlow has no `fliplr`.")(fliplr)
stands_for("torch.flipud", "torch.Tensor.flipud", because="OneFlow has no `flipud`.")(flipud)
stands_for("torch.rot90", "torch.Tensor.rot90", because="OneFlow has no `rot90`.")(rot90)


@stands_for(
    "torch.roll",
    "torch.Tensor.roll",
    because="OneFlow's rolls along a wrong dimension when it counts from the end, and ends the process for "
    "a tensor without elements.",
)
def roll(input, shifts, dims=None):
    if input.numel() == 0 or input.ndim == 0:
        return input.clone()
    if dims is None or dims == ():
        return flow.roll(input, shifts)
    dims = [dims] if isinstance(dims, int) else dims
    shifts = [shifts] if isinstance(shifts, int) else shifts
    return flow.roll(input, tuple(shifts), tuple(dim % input.ndim for dim in dims))


@stands_for("torch.Tensor.repeat", because="OneFlow's fails for a size of 0.")
def repeat(self, *sizes):
    sizes = sized(sizes)
    if 0 in sizes or self.numel() == 0:
        own = (*[1] * (len(sizes) - self.ndim), *self.shape)
        return flow.zeros([a * b for a, b in zip(own, sizes, strict=True)], dtype=self.dtype, device=self.device)
    return flow.repeat(self, sizes)


@stands_for(
    "torch.repeat_interleave",
    "torch.Tensor.repeat_interleave",
    because="OneFlow's takes no tensor of counts without a dimension, and no `output_size=`.",
)
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    if repeats is None:
        input, repeats = flow.arange(input.shape[0], device=input.device), input
    if input.ndim == 0:
        input = flow.reshape(input, (1,))
    if dim is None:
        input, dim = flow.reshape(input, (-1,)), 0
    if isinstance(repeats, flow.Tensor) and repeats.numel() == 1:
        repeats = repeats.item()
    return flow.repeat_interleave(input, repeats, dim % input.ndim)


@stands_for("torch.Tensor.unfold", because="OneFlow's does not count dimensions from the end.")
def unfold(self, dimension, size, step):
    return flow._C.unfold_tensor(self, dimension % self.ndim, size, step)


@stands_for("torch.Tensor.select", because="OneFlow has no method `select`.")
def select(self, dim, index):
    return self[at(dim, int(index))]


@stands_for("torch.select", because="OneFlow's fails inside `nn.Graph`.")
def selected(input, dim, index):
    return input[at(dim, int(index))]


@stands_for("torch.Tensor.narrow", "torch.narrow", because="OneFlow's takes no start that is a tensor.")
def narrow(input, dim, start, length):
    return flow.narrow(input, dim, int(start), int(length))


@stands_for("torch.Tensor.sum_to_size", because="OneFlow has no `sum_to_size`.")
def sum_to_size(self, *size):
    return summed_to(self, sized(size))


stands_for("torch.pixel_shuffle", "torch.nn.functional.pixel_shuffle", because="OneFlow has the module alone.")(
    pixel_shuffle
)
stands_for("torch.pixel_unshuffle", "torch.nn.functional.pixel_unshuffle", because="OneFlow has no `pixel_unshuffle`.")(
    pixel_unshuffle
)
stands_for("torch.channel_shuffle", "torch.nn.functional.channel_shuffle", because="OneFlow has no `channel_shuffle`.")(
    channel_shuffle
)


@stands_for(
    "torch.broadcast_to", "torch.Tensor.broadcast_to", because="OneFlow's fails for no dimensions.", only_with=("size",)
)
def broadcast_to(input, size):
    return input.expand(*size) if len(size) else input


@stands_for("torch.Tensor.expand_as", because="OneFlow's fails for no dimensions.", only_with=())
def expand_as(self, other):
    return flow.expand(self, *other.shape) if other.ndim else self
