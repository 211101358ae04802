"""Attention as PyTorch's module computes it."""
# mypy: ignore-errors
# ruff: noqa: B905 - a generated model may run in a Python that lacks it

from torch2flow.models.lowering.lazy import F, flow, nn


class MultiheadAttention(nn.Module):
    """PyTorch's `nn.MultiheadAttention`, which OneFlow 0.9.0 lacks.

    Sequences are (length, batch, channels), or (batch, length, channels) with `batch_first`, or without a batch.
    In a mask of bools, True hides; a mask of numbers is added. A query that sees nothing gets zeros.
    """

    def __init__(
        self, embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False,
        kdim=None, vdim=None, batch_first=False,
    ):  # fmt: skip
        super().__init__()
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn
        self.same_dims = (kdim is None or kdim == embed_dim) and (vdim is None or vdim == embed_dim)
        if self.same_dims:
            self.in_proj_weight = nn.Parameter(flow.zeros(3 * embed_dim, embed_dim))
            nn.init.xavier_uniform_(self.in_proj_weight)
        else:
            self.q_proj_weight = nn.Parameter(flow.zeros(embed_dim, embed_dim))
            self.k_proj_weight = nn.Parameter(flow.zeros(embed_dim, kdim or embed_dim))
            self.v_proj_weight = nn.Parameter(flow.zeros(embed_dim, vdim or embed_dim))
            for weight in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
                nn.init.xavier_uniform_(weight)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        if bias:
            self.in_proj_bias = nn.Parameter(flow.zeros(3 * embed_dim))
            nn.init.zeros_(self.out_proj.bias)
        else:
            self.in_proj_bias = None
        if add_bias_kv:
            self.bias_k = nn.Parameter(flow.zeros(1, 1, embed_dim))
            self.bias_v = nn.Parameter(flow.zeros(1, 1, embed_dim))
            nn.init.xavier_normal_(self.bias_k)
            nn.init.xavier_normal_(self.bias_v)
        else:
            self.bias_k = self.bias_v = None

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None,
        average_attn_weights=True, is_causal=False,
    ):  # fmt: skip
        if query.ndim == 2:
            options = need_weights, attn_mask, average_attn_weights
            return self._without_batch(query, key, value, key_padding_mask, *options)
        if self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        q, k, v = self._project(query, key, value)
        if self.bias_k is not None:
            k = flow.cat([k, self.bias_k.expand(1, k.shape[1], -1)])
            v = flow.cat([v, self.bias_v.expand(1, v.shape[1], -1)])
        # (length, batch, channels) -> (batch, heads, length, channels of a head)
        q, k, v = (x.reshape(x.shape[0], x.shape[1], self.num_heads, -1).permute(1, 2, 0, 3) for x in (q, k, v))
        if self.add_zero_attn:
            zeros = flow.zeros(k.shape[0], k.shape[1], 1, k.shape[3], dtype=k.dtype, device=k.device)
            k, v = flow.cat([k, zeros], dim=2), flow.cat([v, zeros], dim=2)

        scores = flow.matmul(q * q.shape[-1] ** -0.5, k.transpose(-2, -1))
        if attn_mask is not None:
            scores = self._masked(scores, attn_mask if attn_mask.ndim == 2 else self._by_head(attn_mask))
        if key_padding_mask is not None:
            scores = self._masked(scores, key_padding_mask.unsqueeze(1).unsqueeze(1))
        if attn_mask is not None or key_padding_mask is not None:
            weights = self._softmax(scores)
        else:
            weights = F.softmax(scores, dim=-1)
        if self.dropout > 0 and self.training:
            weights = F.dropout(weights, p=self.dropout)

        out = flow.matmul(weights, v).permute(2, 0, 1, 3)
        out = self.out_proj(out.reshape(out.shape[0], out.shape[1], self.embed_dim))
        if self.batch_first:
            out = out.transpose(0, 1)
        if not need_weights:
            return out, None
        return out, weights.mean(dim=1) if average_attn_weights else weights

    def _without_batch(self, query, key, value, key_padding_mask, *options):
        """The same of a batch of one."""
        axis = 0 if self.batch_first else 1
        mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        out, weights = self.forward(*(x.unsqueeze(axis) for x in (query, key, value)), mask, *options)
        return out.squeeze(axis), None if weights is None else weights.squeeze(0)

    def _project(self, query, key, value):
        if self.same_dims:
            weights = self.in_proj_weight.chunk(3)
        else:
            weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases)]

    def _by_head(self, mask):
        """(batch * heads, queries, keys) -> (batch, heads, queries, keys)."""
        return mask.reshape(-1, self.num_heads, *mask.shape[1:])

    def _masked(self, scores, mask):
        if not mask.is_floating_point():
            mask = flow.zeros(*mask.shape, dtype=scores.dtype, device=mask.device).masked_fill(mask, float("-inf"))
        if self.add_zero_attn or self.bias_k is not None:  # the keys that were appended are seen by all
            mask = F.pad(mask, (0, scores.shape[-1] - mask.shape[-1]))
        return scores + mask

    @staticmethod
    def _softmax(scores):
        """Where a query sees nothing, 0; a softmax alone gives NaN."""
        hidden = scores == float("-inf")
        weights = F.softmax(scores.masked_fill(hidden, flow.finfo(scores.dtype).min), dim=-1)
        return weights.masked_fill(hidden, 0.0)
