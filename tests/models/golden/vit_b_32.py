"""VisionTransformer for OneFlow.

Written by torch2flow 0.1.0 from torchvision-vit_b_32-dynamic.pt2, which torch 2.13.0 wrote.
"""

from collections import OrderedDict

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def attention(query, key, value):
    """PyTorch's `scaled_dot_product_attention`, which OneFlow 0.9.0 lacks."""
    scores = flow.matmul(query * query.shape[-1] ** (-0.5), key.transpose(-2, -1))
    weights = F.softmax(scores, dim=-1)
    return flow.matmul(weights, value)


class MultiheadAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_dim = 768
        self.num_heads = 12
        self.head_dim = 64
        self.in_proj_weight = nn.Parameter(flow.zeros(2304, 768))
        self.in_proj_bias = nn.Parameter(flow.zeros(2304))
        self.out_proj = nn.Linear(768, 768)

    def forward(self, query):
        query_2 = query.transpose(1, 0)
        proj = F.linear(query_2, self.in_proj_weight, self.in_proj_bias)
        out = proj.reshape(*proj.shape[:-1], 3, 768).unsqueeze(0).transpose(0, -2).squeeze(-2)
        q = out[0]
        k = out[1]
        v = out[2]
        q = q.reshape(5, 12 * q.shape[1], self.head_dim).transpose(0, 1)
        k = k.reshape(5, q.shape[0], self.head_dim).transpose(0, 1)
        v = v.reshape(5, k.shape[0], self.head_dim).transpose(0, 1)
        q = q.reshape(query.shape[0], self.num_heads, 5, self.head_dim)
        k = k.reshape(query.shape[0], self.num_heads, 5, self.head_dim)
        v = v.reshape(query.shape[0], self.num_heads, 5, self.head_dim)
        attn_output = attention(q, k, v)
        attn_output = attn_output.permute(2, 0, 1, 3).reshape(
            5 * attn_output.shape[0], self.embed_dim
        )
        attn_output = self.out_proj(attn_output)
        attn_output = attn_output.reshape(5, query.shape[0], 768)
        attn_output = attn_output.transpose(1, 0)
        return attn_output, None


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
        self.self_attention = MultiheadAttention()
        self.dropout = nn.Dropout(p=0.0)
        self.ln_2 = nn.LayerNorm(768, eps=1e-06)
        self.mlp = MLPBlock()

    def forward(self, input):
        x = self.ln_1(input)
        x, _ = self.self_attention(x)
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
