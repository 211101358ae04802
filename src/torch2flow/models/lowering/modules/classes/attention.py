"""Attention as PyTorch's module computes it."""
# mypy: ignore-errors
# ruff: noqa: B905, RUF007 - a generated model may run in a Python that has neither

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
        self.add_zero_attn = add_zero_attn
        self.batch_first = batch_first
        kdim = embed_dim if kdim is None else kdim
        vdim = embed_dim if vdim is None else vdim
        self.same_dims = kdim == vdim == embed_dim
        if self.same_dims:
            self.in_proj_weight = nn.Parameter(flow.empty(3 * embed_dim, embed_dim))
        else:
            self.q_proj_weight = nn.Parameter(flow.empty(embed_dim, embed_dim))
            self.k_proj_weight = nn.Parameter(flow.empty(embed_dim, kdim))
            self.v_proj_weight = nn.Parameter(flow.empty(embed_dim, vdim))
        self.register_parameter("in_proj_bias", nn.Parameter(flow.zeros(3 * embed_dim)) if bias else None)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.register_parameter("bias_k", nn.Parameter(flow.empty(1, 1, embed_dim)) if add_bias_kv else None)
        self.register_parameter("bias_v", nn.Parameter(flow.empty(1, 1, embed_dim)) if add_bias_kv else None)
        for name, parameter in self.named_parameters():
            if name == "out_proj.bias":
                nn.init.zeros_(parameter)
            elif name in ("bias_k", "bias_v"):
                nn.init.xavier_normal_(parameter)
            elif name.endswith("proj_weight"):
                nn.init.xavier_uniform_(parameter)

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None,
        average_attn_weights=True, is_causal=False,
    ):  # fmt: skip
        batched = query.ndim == 3
        if not batched:
            query, key, value = self._each(query, key, value, lambda x: x.unsqueeze(1))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif self.batch_first:
            query, key, value = self._each(query, key, value, lambda x: x.transpose(0, 1))
        if is_causal and attn_mask is None:
            hidden = flow.ones(query.shape[0], key.shape[0], device=query.device)
            attn_mask = flow.triu(hidden, 1) != 0

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
            if attn_mask.ndim == 3:  # (batch * heads, queries, keys)
                attn_mask = attn_mask.reshape(-1, self.num_heads, *attn_mask.shape[1:])
            scores = self._masked(scores, attn_mask)
        if key_padding_mask is not None:
            scores = self._masked(scores, key_padding_mask.unsqueeze(1).unsqueeze(1))
        if attn_mask is not None or key_padding_mask is not None:
            hidden = scores == float("-inf")
            scores = scores.masked_fill(hidden, flow.finfo(scores.dtype).min)
            weights = F.softmax(scores, dim=-1).masked_fill(hidden, 0.0)
        else:
            weights = F.softmax(scores, dim=-1)
        if self.training and self.dropout > 0:
            weights = F.dropout(weights, p=self.dropout)

        out = flow.matmul(weights, v).permute(2, 0, 1, 3)
        out = self.out_proj(out.reshape(out.shape[0], out.shape[1], self.embed_dim))
        if not batched:
            out = out.squeeze(1)
        elif self.batch_first:
            out = out.transpose(0, 1)
        if not need_weights:
            return out, None
        weights = weights.mean(dim=1) if average_attn_weights else weights
        return out, weights if batched else weights.squeeze(0)

    @staticmethod
    def _each(query, key, value, change):
        """Changes all three; what was one tensor stays one."""
        changed = change(query)
        new_key = changed if key is query else change(key)
        return changed, new_key, new_key if value is key else change(value)

    def _project(self, query, key, value):
        if self.same_dims and query is key and key is value:
            return F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        if self.same_dims:
            weights = self.in_proj_weight.chunk(3)
        else:
            weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases)]

    @staticmethod
    def _masked(scores, mask):
        extra = scores.shape[-1] - mask.shape[-1]
        if extra:  # the keys that `add_bias_kv` and `add_zero_attn` append are seen by all
            seen = flow.zeros(*mask.shape[:-1], extra, device=mask.device).to(mask.dtype)
            mask = flow.cat([mask, seen], dim=-1)
        if mask.is_floating_point():
            return scores + mask
        return scores.masked_fill(mask.to(flow.bool).expand(*scores.shape), float("-inf"))
