"""Order: what is largest, what is sorted, what is unique, where a value would stand."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.operators.ordering import (
    kth_value,
    most_frequent,
    searchsorted_of_one,
    stable_sort,
)
from torch2flow.port.compat.common import ValuesAndIndices
from torch2flow.port.compat.registry import stands_for


@stands_for(
    "torch.topk", "torch.Tensor.topk", because="OneFlow's ends the process for a scalar, and its method wants `dim`."
)
def topk(input, k, dim=-1, largest=True, sorted=True, *, out=None):
    if input.ndim == 0:
        return ValuesAndIndices(input, flow.zeros_like(input, dtype=flow.int64))
    dim = -1 if dim is None else dim
    if not input.dtype.is_floating_point:
        values, indices = stable_sort(input, dim, largest)
        return ValuesAndIndices(values.narrow(dim, 0, k), indices.narrow(dim, 0, k))
    return ValuesAndIndices(*flow.topk(input, k, dim=dim, largest=largest, sorted=sorted))


@stands_for(
    "torch.sort",
    "torch.Tensor.sort",
    because="OneFlow's gives indices of int32, takes no `stable=`, and puts equal integers in any order.",
)
def sort(input, dim=-1, descending=False, stable=False, *, out=None):
    if input.ndim == 0:
        return ValuesAndIndices(input, flow.zeros_like(input, dtype=flow.int64))
    if input.dtype == flow.bool or not input.dtype.is_floating_point:
        return ValuesAndIndices(*stable_sort(input, dim, descending))
    values, indices = flow.sort(input, dim, descending)
    return ValuesAndIndices(values, indices.to(flow.int64))


@stands_for(
    "torch.argsort",
    "torch.Tensor.argsort",
    because="OneFlow's gives int32, takes no `stable=`, and puts equal integers in any order.",
)
def argsort(input, dim=-1, descending=False, stable=False):
    return sort(input, dim, descending)[1]


@stands_for("torch.msort", "torch.Tensor.msort", because="OneFlow has no `msort`.")
def msort(input):
    return sort(input, 0)[0]


@stands_for("torch.kthvalue", "torch.Tensor.kthvalue", because="OneFlow has no `kthvalue`.")
def kthvalue(input, k, dim=-1, keepdim=False):
    if input.ndim == 0:
        return ValuesAndIndices(input, flow.zeros_like(input, dtype=flow.int64))
    return ValuesAndIndices(*kth_value(input, k, dim, keepdim))


@stands_for("torch.mode", "torch.Tensor.mode", because="OneFlow has no `mode`.")
def mode(input, dim=-1, keepdim=False):
    return ValuesAndIndices(*most_frequent(input, dim, keepdim))


@stands_for("torch.unique", "torch.Tensor.unique", because="OneFlow's takes no `dim=`, and counts in int32.")
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    if dim is not None:
        rows = flow.movedim(input, dim, 0)
        flat = rows.reshape(rows.shape[0], -1).tolist()
        kept = [list(each) for each in dict.fromkeys(map(tuple, flat))]
        kept.sort()
        places = {tuple(row): place for place, row in enumerate(kept)}
        inverse = flow.tensor([places[tuple(row)] for row in flat], dtype=flow.int64, device=input.device)
        values = flow.tensor(kept, dtype=input.dtype, device=input.device).reshape(len(kept), *rows.shape[1:])
        values = flow.movedim(values, 0, dim)
        counts = flow.bincount(inverse, minlength=len(kept))
    else:
        values, inverse, counts = flow.unique(input, sorted=True, return_inverse=True, return_counts=True)
    found = (values, inverse.to(flow.int64), counts.to(flow.int64))
    found = tuple(each for each, kept in zip(found, (True, return_inverse, return_counts), strict=True) if kept)
    return found if len(found) > 1 else values


@stands_for(
    "torch.unique_consecutive", "torch.Tensor.unique_consecutive", because="OneFlow has no `unique_consecutive`."
)
def unique_consecutive(input, return_inverse=False, return_counts=False):
    x = input.reshape(-1)
    starts = flow.cat([flow.ones(1, dtype=flow.bool, device=x.device), x[1:] != x[:-1]])
    inverse = flow.cumsum(starts.to(flow.int64), 0) - 1
    found = (x[starts], inverse.reshape(*input.shape), flow.bincount(inverse))
    found = tuple(each for each, kept in zip(found, (True, return_inverse, return_counts), strict=True) if kept)
    return found if len(found) > 1 else found[0]


@stands_for("torch.searchsorted", because="OneFlow's takes no `side=`, no `sorter=`, and no tensor without dimensions.")
def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    right = right or side == "right"
    if not isinstance(input, flow.Tensor):
        input = flow.tensor(input, dtype=sorted_sequence.dtype, device=sorted_sequence.device)
    if input.dtype != sorted_sequence.dtype:
        input, sorted_sequence = input.to(flow.float64), sorted_sequence.to(flow.float64)
    if input.ndim == 0:
        return searchsorted_of_one(sorted_sequence, input, out_int32, right, sorter)
    if sorter is not None:
        sorted_sequence = flow.gather(sorted_sequence, -1, sorter)
    return flow.searchsorted(sorted_sequence, input, out_int32=out_int32, right=right)


@stands_for("torch.bucketize", because="OneFlow has no `bucketize`.")
def bucketize(input, boundaries, *, out_int32=False, right=False):
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)
