"""Look-ups in tables."""

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


@operator("aten.embedding")
def embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    if padding_idx < 0:
        return F.embedding(indices, weight)
    return F.embedding(indices, weight, padding_idx=padding_idx)


@operator("aten.embedding_bag.padding_idx")
def embedding_bag_with_padding(
    weight,
    indices,
    offsets,
    scale_grad_by_freq=False,
    mode=0,
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
):
    padding = -1 if padding_idx is None else padding_idx % weight.shape[0]
    options = scale_grad_by_freq, mode, sparse, per_sample_weights, include_last_offset
    return embedding_bag(weight, indices, offsets, *options, padding)


@operator("aten._embedding_bag", "aten._embedding_bag_forward_only", "aten.embedding_bag")
def embedding_bag(
    weight,
    indices,
    offsets,
    scale_grad_by_freq=False,
    mode=0,
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=-1,
):
    if mode == 2:
        found = largest_of_bags(weight, indices, offsets, include_last_offset, padding_idx)
    else:
        found = sum_of_bags(weight, indices, offsets, mode, per_sample_weights, include_last_offset, padding_idx)
    return found, None, None, None


@helper
def sum_of_bags(weight, indices, offsets, mode=0, factors=None, include_last=False, padding=-1):
    """PyTorch's `embedding_bag`: the sum (mode 0) or mean (mode 1) of the rows of each bag."""
    member = members_of_bags(indices, offsets, include_last, padding).to(weight.dtype)
    share = member if factors is None else member * factors
    total = flow.matmul(share, F.embedding(indices, weight))
    return total / flow.clamp(member.sum(dim=1, keepdim=True), min=1) if mode == 1 else total


@helper
def largest_of_bags(weight, indices, offsets, include_last=False, padding=-1):
    """PyTorch's `embedding_bag` with mode max: the largest value of each column in each bag, and 0 in an empty one."""
    member = members_of_bags(indices, offsets, include_last, padding).unsqueeze(2)
    rows = F.embedding(indices, weight).unsqueeze(0)
    lowest = flow.full((1,), -float("inf"), dtype=weight.dtype, device=weight.device)
    found = flow.where(member, rows, lowest).max(dim=1)[0]
    return found.masked_fill((member.to(flow.int64).sum(dim=1) == 0).expand_as(found), 0)


@helper
def members_of_bags(indices, offsets, include_last=False, padding=-1):
    """Which index is in which bag: a row for each bag, without the indices that are padding."""
    starts = offsets.narrow(0, 0, offsets.shape[0] - 1) if include_last else offsets
    bags = (flow.arange(indices.shape[0], device=indices.device).unsqueeze(0) >= starts.unsqueeze(1)).to(flow.int64)
    # Column j of `member` is 1 in the last bag that starts at or before index j.
    last = bags.sum(dim=0) - 1
    member = flow.arange(starts.shape[0], device=indices.device).unsqueeze(1) == last.unsqueeze(0)
    return flow.logical_and(member, indices != padding) if padding is not None and padding >= 0 else member
