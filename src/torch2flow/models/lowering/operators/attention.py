"""Attention, under the names that the versions of PyTorch give it."""

from __future__ import annotations

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


@operator("aten.scaled_dot_product_attention")
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    return attention(
        query, key, value, attn_mask=attn_mask, dropout_p=dropout_p, is_causal=is_causal, scale=scale,
        enable_gqa=enable_gqa,
    )  # fmt: skip


@helper
def attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    """PyTorch's `scaled_dot_product_attention`, which OneFlow 0.9.0 lacks."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = flow.matmul(query * scale, key.transpose(-2, -1))
    if is_causal:
        attn_mask = flow.tril(flow.ones(scores.shape[-2:], device=scores.device)) != 0
    if attn_mask is None:
        weights = F.softmax(scores, dim=-1)
    elif attn_mask.dtype == flow.bool:
        # A row that sees nothing gives zeros, as in PyTorch, and no NaN.
        hidden = flow.logical_not(attn_mask).expand(*scores.shape)
        scores = scores.masked_fill(hidden, flow.finfo(scores.dtype).min)
        weights = F.softmax(scores, dim=-1).masked_fill(hidden, 0.0)
    else:
        weights = F.softmax(scores + attn_mask, dim=-1)
    if dropout_p > 0:
        weights = F.dropout(weights, p=dropout_p)
    return flow.matmul(weights, value)


@operator("aten._scaled_dot_product_flash_attention_for_cpu")
def flash_attention_for_cpu(query, key, value, dropout_p=0.0, is_causal=False, attn_mask=None, scale=None):
    return (
        attention(query, key, value, attn_mask=attn_mask, dropout_p=dropout_p, is_causal=is_causal, scale=scale),
        log_of_scores(query, key, attn_mask=attn_mask, is_causal=is_causal, scale=scale),
    )


@helper
def log_of_scores(query, key, attn_mask=None, is_causal=False, scale=None):
    """The second result of PyTorch's attention operators, which only their backward uses."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = flow.matmul(query * scale, key.transpose(-2, -1))
    if is_causal:
        attn_mask = flow.tril(flow.ones(scores.shape[-2:], device=scores.device)) != 0
    if attn_mask is not None and attn_mask.dtype == flow.bool:
        scores = scores.masked_fill(flow.logical_not(attn_mask).expand(*scores.shape), flow.finfo(scores.dtype).min)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return flow.logsumexp(scores, dim=-1)


@operator("aten._scaled_dot_product_attention_math")
@helper
def attention_math(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, dropout_mask=None, scale=None, enable_gqa=False
):
    """Attention, and the weights that it gives each value."""
    size = key.shape[-2]
    one = flow.eye(size, dtype=query.dtype, device=query.device).expand(*value.shape[:-2], size, size)
    weights = attention(query, key, one, attn_mask, 0.0, is_causal, scale, enable_gqa)
    return attention(query, key, value, attn_mask, 0.0, is_causal, scale, enable_gqa), weights


@operator("aten._scaled_dot_product_flash_attention")
def flash_attention(query, key, value, dropout_p=0.0, is_causal=False, return_debug_mask=False, scale=None):
    return (
        attention(query, key, value, dropout_p=dropout_p, is_causal=is_causal, scale=scale),
        log_of_scores(query, key, is_causal=is_causal, scale=scale),
        None, None, None, None, None, None, None,
    )  # fmt: skip


@operator("aten._scaled_dot_product_efficient_attention")
def efficient_attention(query, key, value, attn_bias, compute_log_sumexp, dropout_p=0.0, is_causal=False, scale=None):
    return (
        attention(query, key, value, attn_mask=attn_bias, dropout_p=dropout_p, is_causal=is_causal, scale=scale),
        log_of_scores(query, key, attn_mask=attn_bias, is_causal=is_causal, scale=scale),
        None,
        None,
    )
