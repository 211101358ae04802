"""PyTorch's attention and transformer layers keep their constructors and their calls; masks and rates are as given."""

from programs import program, x
from torch import Tensor, nn


class Frozen(nn.Module):
    """Its attention never drops anything."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.5, bias=False)

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        self.attention.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


@program(x(2, 5, 8), x(2, 3, 6), dynamic={0: ("batch", "steps"), 1: ("batch", "words")})
class AttentionLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.cross = nn.MultiheadAttention(8, 4, kdim=6, vdim=6, add_zero_attn=True, batch_first=True)
        self.frozen = Frozen()

    def forward(self, source: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        mask = nn.Transformer.generate_square_subsequent_mask(source.shape[1])
        padding = other[..., 0] > 0.5
        memory = self.encoder(source, mask)
        output, weights = self.cross(memory, other, other, key_padding_mask=padding, average_attn_weights=False)
        return self.frozen(output), weights


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class MultiheadAttention(nn.Module):
    """PyTorch's `nn.MultiheadAttention`, which OneFlow 0.9.0 lacks.

    Sequences are (length, batch, channels), or (batch, length, channels) with `batch_first`, or without a batch.
    In a mask of bools, True hides; a mask of numbers is added. A query that sees nothing gets zeros.
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        dropout=0.0,
        bias=True,
        add_zero_attn=False,
        kdim=None,
        vdim=None,
        batch_first=False,
    ):
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

    def forward(
        self,
        query,
        key,
        value,
        key_padding_mask=None,
        need_weights=True,
        attn_mask=None,
        average_attn_weights=True,
    ):
        if self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        q, k, v = self._project(query, key, value)
        q, k, v = (
            x.reshape(x.shape[0], x.shape[1], self.num_heads, -1).permute(1, 2, 0, 3)
            for x in (q, k, v)
        )
        if self.add_zero_attn:
            zeros = flow.zeros(
                k.shape[0], k.shape[1], 1, k.shape[3], dtype=k.dtype, device=k.device
            )
            k, v = (flow.cat([k, zeros], dim=2), flow.cat([v, zeros], dim=2))
        scores = flow.matmul(q * q.shape[-1] ** (-0.5), k.transpose(-2, -1))
        if attn_mask is not None:
            scores = self._masked(scores, attn_mask)
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

    def _project(self, query, key, value):
        if self.same_dims:
            weights = self.in_proj_weight.chunk(3)
        else:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        return [F.linear(x, w, b) for (x, w, b) in zip((query, key, value), weights, biases)]

    def _masked(self, scores, mask):
        if not mask.is_floating_point():
            mask = flow.zeros(*mask.shape, dtype=scores.dtype, device=mask.device).masked_fill(
                mask, float("-inf")
            )
        if self.add_zero_attn:
            mask = F.pad(mask, (0, scores.shape[-1] - mask.shape[-1]))
        return scores + mask

    @staticmethod
    def _softmax(scores):
        """Where a query sees nothing, 0; a softmax alone gives NaN."""
        hidden = scores == float("-inf")
        weights = F.softmax(scores.masked_fill(hidden, flow.finfo(scores.dtype).min), dim=-1)
        return weights.masked_fill(hidden, 0.0)


class TransformerEncoderLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        self.linear1 = nn.Linear(8, 16)
        self.dropout = nn.Dropout(p=0.1)
        self.linear2 = nn.Linear(16, 8)
        self.norm1 = nn.LayerNorm(8)
        self.norm2 = nn.LayerNorm(8)
        self.dropout1 = nn.Dropout(p=0.1)
        self.dropout2 = nn.Dropout(p=0.1)

    def forward(self, src, src_mask):
        x = self.self_attn(src, src, src, need_weights=False, attn_mask=src_mask)
        x = self.norm1(src + self.dropout1(x[0]))
        x_2 = self.linear2(self.dropout(F.relu(self.linear1(x))))
        x = self.norm2(x + self.dropout2(x_2))
        return x


class TransformerEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([TransformerEncoderLayer() for _ in range(2)])

    def forward(self, src, mask):
        output = src
        for layer in self.layers:
            output = layer(output, mask)
        return output


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = MultiheadAttention(8, 2, bias=False)

    def forward(self, x):
        return self.attention(x, x, x)[0]


class AttentionLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = TransformerEncoder()
        self.cross = MultiheadAttention(8, 4, add_zero_attn=True, kdim=6, vdim=6, batch_first=True)
        self.frozen = Frozen()

    def forward(self, source, other):
        mask = flow.triu(
            flow.full(
                (source.shape[1], source.shape[1]),
                float("-inf"),
                dtype=flow.float32,
                device=source.device,
            ),
            1,
        )
        padding = other[:, :, 0] > 0.5
        memory = self.encoder(source, mask)
        output, weights = self.cross(
            memory, other, other, key_padding_mask=padding, average_attn_weights=False
        )
        return self.frozen(output), weights
