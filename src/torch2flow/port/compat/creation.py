"""New tensors: constants, ranges, random numbers, and tensors like another."""

import itertools

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.operators.indexing import diag_embed, diagflat
from torch2flow.models.lowering.operators.linear_algebra import block_diag, cartesian_prod
from torch2flow.port.compat.common import dtype_of, number, sized, stored
from torch2flow.port.compat.registry import stands_for


@stands_for(
    "torch.zeros",
    because="OneFlow's takes no `size=`, `out=`, `layout=` or `pin_memory=`.",
    only_with=("size", "out", "layout", "pin_memory"),
)
def zeros(*size, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, **named):
    result = flow.zeros(sized(size or (named["size"],)), dtype=dtype, device=device, requires_grad=requires_grad)
    return result if out is None else out.copy_(result)


@stands_for(
    "torch.ones",
    because="OneFlow's takes no `size=`, `out=`, `layout=` or `pin_memory=`.",
    only_with=("size", "out", "layout", "pin_memory"),
)
def ones(*size, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, **named):
    result = flow.ones(sized(size or (named["size"],)), dtype=dtype, device=device, requires_grad=requires_grad)
    return result if out is None else out.copy_(result)


@stands_for(
    "torch.empty",
    because="OneFlow's takes no `size=`, `out=`, `layout=` or `memory_format=`.",
    only_with=("size", "out", "layout", "memory_format"),
)
def empty(
    *size, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None,
    **named,
):  # fmt: skip
    return zeros(*size, out=out, dtype=dtype, device=device, requires_grad=requires_grad, **named)


@stands_for("torch.full", because="OneFlow's fails without dimensions.")
def full(size, fill_value, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    fill_value = number(fill_value)
    if isinstance(fill_value, flow.Tensor):
        fill_value = fill_value.item()
    dtype = dtype_of(fill_value) if dtype is None else dtype
    size = sized((size,)) if isinstance(size, int) else sized(tuple(size))
    if not size:
        return flow.tensor(fill_value, dtype=dtype, device=device, requires_grad=requires_grad)
    return flow.full(size, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)


@stands_for("torch.eye", because="OneFlow's takes no `dtype=None`.", only_with=("dtype=None", "out", "layout"))
def eye(n, m=None, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    dtype = dtype or flow.get_default_dtype()
    return stored(flow.eye(n, m, dtype=dtype, device=device, requires_grad=requires_grad), out)


@stands_for("torch.randperm", because="OneFlow's takes no `dtype=None`.", only_with=("dtype=None", "out", "layout"))
def randperm(n, *, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    return stored(flow.randperm(n, generator=generator, dtype=dtype or flow.int64, device=device), out)


@stands_for(
    "torch.zeros_like",
    because="OneFlow's takes no `memory_format=` or `layout=`, and no keyword `input=`.",
    only_with=("input", "layout", "memory_format"),
)
def zeros_like(input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
    return flow.zeros_like(input, dtype=dtype, device=device, requires_grad=requires_grad)


@stands_for(
    "torch.ones_like",
    because="OneFlow's takes no `memory_format=` or `layout=`, and no keyword `input=`.",
    only_with=("input", "layout", "memory_format"),
)
def ones_like(input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
    return flow.ones_like(input, dtype=dtype, device=device, requires_grad=requires_grad)


@stands_for(
    "torch.empty_like",
    because="OneFlow's fails for a tensor without dimensions.",
    only_with=("input", "layout", "memory_format"),
)
def empty_like(input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
    if input.ndim == 0:
        return flow.zeros_like(input, dtype=dtype, device=device, requires_grad=requires_grad)
    return flow.empty_like(input, dtype=dtype, device=device, requires_grad=requires_grad)


@stands_for("torch.tensor", because="OneFlow's makes float32 of float64 numbers of NumPy's, and of lists of them.")
def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    if (hasattr(data, "item") and not hasattr(data, "__setitem__")) or (
        isinstance(data, list | tuple) and data and hasattr(data[0], "tobytes") and not isinstance(data[0], flow.Tensor)
    ):
        import numpy as np

        data = np.asarray(data)
    elif isinstance(data, range):
        data = list(data)
    return flow.tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)


@stands_for("torch.scalar_tensor", because="OneFlow has no `scalar_tensor`.")
def scalar_tensor(s, *, dtype=None, device=None):
    return flow.tensor(s, dtype=flow.float32 if dtype is None else dtype, device=device)


@stands_for("torch.linspace", because="OneFlow's gives one number too many for integers, and takes no `layout=`.")
def linspace(start, end, steps=100, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    start, end = (float(number(each)) for each in (start, end))
    dtype = flow.float32 if dtype is None else dtype
    if steps < 2 or start == end:
        return flow.full((steps,), start, dtype=dtype, device=device, requires_grad=requires_grad)
    if not dtype.is_floating_point:
        return flow.linspace(start, end, steps, dtype=flow.float64, device=device).to(dtype)
    return flow.linspace(start, end, steps, dtype=dtype, device=device, requires_grad=requires_grad)


@stands_for("torch.logspace", because="OneFlow's computes in float32 for every dtype.")
def logspace(start, end, steps=100, base=10.0, *, dtype=None, device=None, requires_grad=False):
    result = flow.pow(base, linspace(start, end, steps, dtype=flow.float64, device=device))
    return result.to(flow.float32 if dtype is None else dtype).requires_grad_(requires_grad)


@stands_for("torch.tril_indices", because="OneFlow has no `tril_indices`.")
def tril_indices(row, col, offset=0, *, dtype=None, device=None, layout=None):
    found = flow.nonzero(flow.tril(flow.ones(row, col, device=device), offset)).t()
    return found.to(flow.int64 if dtype is None else dtype)


@stands_for("torch.triu_indices", because="OneFlow has no `triu_indices`.")
def triu_indices(row, col, offset=0, *, dtype=None, device=None, layout=None):
    found = flow.nonzero(flow.triu(flow.ones(row, col, device=device), offset)).t()
    return found.to(flow.int64 if dtype is None else dtype)


@stands_for("torch.cartesian_prod", because="OneFlow has no `cartesian_prod`.")
def product_of_tensors(*tensors):
    return cartesian_prod(tensors)


@stands_for("torch.combinations", because="OneFlow has no `combinations`.")
def combinations(input, r=2, with_replacement=False):
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    return input[flow.tensor(list(choose(range(input.shape[0]), r)), dtype=flow.int64, device=input.device)]


@stands_for("torch.block_diag", because="OneFlow has no `block_diag`.")
def diagonal_of_blocks(*tensors):
    return block_diag(tensors)


stands_for("torch.diag_embed", "torch.Tensor.diag_embed", because="OneFlow has no `diag_embed`.")(diag_embed)
stands_for("torch.diagflat", "torch.Tensor.diagflat", because="OneFlow has no `diagflat`.")(diagflat)


@stands_for("torch.vander", because="OneFlow has no `vander`.")
def vander(x, N=None, increasing=False):
    columns = [x**power for power in range(x.shape[0] if N is None else N)]
    return flow.stack(columns if increasing else columns[::-1], dim=1)


@stands_for("torch.linalg.vander", because="OneFlow has no `vander`.")
def powers_of_each(x, *, N=None):
    return flow.stack([x**power for power in range(x.shape[-1] if N is None else N)], dim=-1)


@stands_for("torch.rand_like", because="OneFlow has no `rand_like`.")
def rand_like(input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
    dtype, device = dtype or input.dtype, device or input.device
    return flow.rand(tuple(input.shape), dtype=dtype, device=device, requires_grad=requires_grad)


@stands_for(
    "torch.randn_like",
    because="OneFlow's takes no `memory_format=` or `layout=`, and no keyword `input=`.",
    only_with=("input", "layout", "memory_format"),
)
def randn_like(input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
    dtype, device = dtype or input.dtype, device or input.device
    return flow.randn(tuple(input.shape), dtype=dtype, device=device, requires_grad=requires_grad)


@stands_for("torch.randint_like", because="OneFlow's gives int64, whatever the dtype of the tensor.")
def randint_like(input, low=0, high=None, *, dtype=None, layout=None, device=None, memory_format=None):
    low, high = (0, low) if high is None else (low, high)
    found = flow.randint(low, high, tuple(input.shape), device=device or input.device)
    return found.to(dtype or input.dtype)


@stands_for("torch.normal", because="OneFlow's takes numbers alone, no tensors of means and deviations.")
def normal(mean=0.0, std=1.0, size=None, *, generator=None, out=None, dtype=None, device=None, requires_grad=False):
    if size is not None:
        drawn = flow.randn(tuple(size), dtype=dtype, device=device, generator=generator) * std + mean
    else:
        like = (mean if isinstance(mean, flow.Tensor) else flow.zeros_like(std)) + std
        drawn = flow.randn(tuple(like.shape), dtype=like.dtype, device=like.device, generator=generator) * std + mean
    drawn = drawn.detach().requires_grad_() if requires_grad else drawn.detach()
    return drawn if out is None else out.copy_(drawn)


@stands_for("torch.poisson", because="OneFlow has no `poisson`.")
def poisson(input, generator=None):
    import numpy as np

    drawn = np.random.default_rng().poisson(input.detach().cpu().numpy())
    return flow.tensor(drawn, dtype=input.dtype, device=input.device)


@stands_for(
    "torch.Tensor.new_zeros",
    because="OneFlow's takes no keyword `size=` or `layout=`.",
    only_with=("size", "layout", "pin_memory"),
)
def new_zeros(self, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, **named):
    size = sized(size or (named["size"],))
    return flow.zeros(size, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)


@stands_for("torch.Tensor.new_ones", because="OneFlow's gives the shape of the tensor where it is asked for `()`.")
def new_ones(self, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, **named):
    size = sized(size or (named["size"],))
    return flow.ones(size, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)


@stands_for("torch.Tensor.new_empty", because="OneFlow's takes no keyword `size=`, and fails for `()`.")
def new_empty(self, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, **named):
    size = sized(size or (named["size"],))
    return flow.zeros(size, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)


@stands_for("torch.Tensor.new_full", because="OneFlow's fails for `()`.")
def new_full(self, size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    dtype, device = dtype or self.dtype, device or self.device
    return full(size, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)


@stands_for("torch.Tensor.new", because="OneFlow has no `new`.")
def new(self, *data, device=None):
    device = device or self.device
    if len(data) == 1 and not isinstance(data[0], int | flow.Size):
        return flow.tensor(data[0], dtype=self.dtype, device=device)
    return flow.zeros(sized(data) if data else (0,), dtype=self.dtype, device=device)


@stands_for("torch.clone", because="OneFlow has the method alone.")
def clone_of(input, *, memory_format=None):
    return input.clone()


@stands_for("torch.detach", because="OneFlow has the method alone.")
def detached(input):
    return input.detach()


@stands_for("torch.frombuffer", because="OneFlow has no `frombuffer`.")
def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    import numpy as np

    found = np.frombuffer(buffer, dtype=str(dtype).rpartition(".")[2], count=count, offset=offset)
    return flow.tensor(found.copy(), requires_grad=requires_grad)


@stands_for("torch.range", because="OneFlow has no `range`, whose end is one of its numbers.")
def range_with_end(start=0, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    start, end = (0, start) if end is None else (start, end)
    count = int((end - start) / step) + 1
    result = (flow.arange(count, device=device) * step + start).to(dtype or flow.get_default_dtype())
    return result.requires_grad_() if requires_grad else result
