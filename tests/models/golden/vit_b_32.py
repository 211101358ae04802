"""VisionTransformer for OneFlow.

Written by torch2flow 0.1.0 from torchvision-vit_b_32-dynamic.pt2, which torch 2.13.0 wrote.
"""

from collections import OrderedDict

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class MultiheadAttention(nn.Module):
    """PyTorch's `nn.MultiheadAttention`, which OneFlow 0.9.0 lacks.

    Sequences are (length, batch, channels), or (batch, length, channels) with `batch_first`, or without a batch.
    In a mask of bools, True hides; a mask of numbers is added. A query that sees nothing gets zeros.
    """

    def __init__(self, embed_dim, num_heads, batch_first=False):
        super().__init__()
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.batch_first = batch_first
        self.in_proj_weight = nn.Parameter(flow.zeros(3 * embed_dim, embed_dim))
        nn.init.xavier_uniform_(self.in_proj_weight)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=True)
        self.in_proj_bias = nn.Parameter(flow.zeros(3 * embed_dim))
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query, key, value, need_weights):
        if self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        q, k, v = self._project(query, key, value)
        q, k, v = (
            x.reshape(x.shape[0], x.shape[1], self.num_heads, -1).permute(1, 2, 0, 3)
            for x in (q, k, v)
        )
        scores = flow.matmul(q * q.shape[-1] ** (-0.5), k.transpose(-2, -1))
        weights = F.softmax(scores, dim=-1)
        out = flow.matmul(weights, v).permute(2, 0, 1, 3)
        out = self.out_proj(out.reshape(out.shape[0], out.shape[1], self.embed_dim))
        if self.batch_first:
            out = out.transpose(0, 1)
        if not need_weights:
            return out, None
        return out, weights.mean(dim=1)

    def _project(self, query, key, value):
        weights = self.in_proj_weight.chunk(3)
        biases = self.in_proj_bias.chunk(3)
        return [F.linear(x, w, b) for (x, w, b) in zip((query, key, value), weights, biases)]


class MLPBlock(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Linear(768, 3072),
            nn.GELU(),
            nn.Dropout(p=0.0),
            nn.Linear(3072, 768),
            nn.Dropout(p=0.0),
        )


class EncoderBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1 = nn.LayerNorm(768, eps=1e-06)
        self.self_attention = MultiheadAttention(768, 12, batch_first=True)
        self.dropout = nn.Dropout(p=0.0)
        self.ln_2 = nn.LayerNorm(768, eps=1e-06)
        self.mlp = MLPBlock()

    def forward(self, input):
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x)
        x = x + input
        y = self.ln_2(x)
        y = self.mlp(y)
        return x + y


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.pos_embedding = nn.Parameter(flow.zeros(1, 5, 768))
        self.dropout = nn.Dropout(p=0.0)
        self.layers = nn.Sequential(
            OrderedDict([(f"encoder_layer_{i}", EncoderBlock()) for i in range(12)])
        )
        self.ln = nn.LayerNorm(768, eps=1e-06)

    def forward(self, input):
        input = input + self.pos_embedding
        return self.ln(self.layers(self.dropout(input)))


class VisionTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden_dim = 768
        self.class_token = nn.Parameter(flow.zeros(1, 1, 768))
        self.conv_proj = nn.Conv2d(3, 768, 32, stride=32)
        self.encoder = Encoder()
        self.heads = nn.Sequential(OrderedDict({"head": nn.Linear(768, 1000)}))

    def forward(self, x):
        x = self.conv_proj(x)
        x = x.reshape(x.shape[0], self.hidden_dim, 4)
        x = x.permute(0, 2, 1)
        batch_class_token = self.class_token.expand(x.shape[0], -1, -1)
        x = flow.cat((batch_class_token, x), dim=1)
        x = self.encoder(x)
        x = x[:, 0]
        x = self.heads(x)
        return x
