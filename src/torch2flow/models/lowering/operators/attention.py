"""Attention, under the names that the versions of PyTorch give it."""

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


@operator("aten.scaled_dot_product_attention")
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    masks = masks_of(query, key, attn_mask, is_causal)
    return attention(query, key, value, **masks, dropout_p=dropout_p, scale=scale)


def masks_of(query, key, attn_mask=None, is_causal=False):
    """PyTorch's mask as the helpers below take it: what is added to the scores, or what may be seen."""
    if is_causal:
        return {"mask": flow.tril(flow.ones(query.shape[-2], key.shape[-2], device=query.device)) != 0}
    if attn_mask is None:
        return {}
    return {"mask" if attn_mask.dtype == flow.bool else "bias": attn_mask}


@helper
def attention(query, key, value, bias=None, mask=None, dropout_p=0.0, scale=None):
    """PyTorch's `scaled_dot_product_attention`, which OneFlow 0.9.0 lacks."""
    scores = flow.matmul(query * (query.shape[-1] ** -0.5 if scale is None else scale), key.transpose(-2, -1))
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        hidden = flow.logical_not(mask).expand(*scores.shape)
        scores = scores.masked_fill(hidden, flow.finfo(scores.dtype).min)
    weights = F.softmax(scores, dim=-1)
    if mask is not None:
        weights = weights.masked_fill(hidden, 0.0)  # A row that sees nothing gives zeros, and no NaN.
    if dropout_p > 0:
        weights = F.dropout(weights, p=dropout_p)
    return flow.matmul(weights, value)


@helper
def log_of_scores(query, key, bias=None, mask=None, scale=None):
    """The second result of PyTorch's attention operators, which only their backward uses."""
    scores = flow.matmul(query * (query.shape[-1] ** -0.5 if scale is None else scale), key.transpose(-2, -1))
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores.masked_fill(flow.logical_not(mask).expand(*scores.shape), flow.finfo(scores.dtype).min)
    return flow.logsumexp(scores, dim=-1)


@operator("aten._scaled_dot_product_attention_math")
def attention_math(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, dropout_mask=None, scale=None, enable_gqa=False
):
    size = key.shape[-2]
    one = flow.eye(size, dtype=query.dtype, device=query.device).expand(*value.shape[:-2], size, size)
    given = {"attn_mask": attn_mask, "is_causal": is_causal, "scale": scale, "enable_gqa": enable_gqa}
    results = [scaled_dot_product_attention(query, key, each, **given) for each in (value, one)]
    return tuple(results)


@operator("aten._scaled_dot_product_flash_attention_for_cpu", "aten._scaled_dot_product_flash_attention")
def flash_attention(
    query, key, value, dropout_p=0.0, is_causal=False, return_debug_mask=False, attn_mask=None, scale=None, *, name
):
    masks = masks_of(query, key, attn_mask, is_causal)
    result = attention(query, key, value, **masks, dropout_p=dropout_p, scale=scale)
    return result, log_of_scores(query, key, **masks, scale=scale), *[None] * (0 if name.endswith("cpu") else 7)


@operator("aten._scaled_dot_product_efficient_attention")
def efficient_attention(query, key, value, attn_bias, compute_log_sumexp, dropout_p=0.0, is_causal=False, scale=None):
    masks = masks_of(query, key, attn_bias, is_causal)
    result = attention(query, key, value, **masks, dropout_p=dropout_p, scale=scale)
    return result, log_of_scores(query, key, **masks, scale=scale), None, None
