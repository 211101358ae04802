"""A tuple `(cos, sin)` is made once and passed to every layer."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Rotary(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", 1.0 / 10 ** torch.arange(width).float(), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        angles = torch.arange(x.shape[1])[:, None] * self.frequencies
        return angles.cos(), angles.sin()


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(width, width)
        self.o_proj = nn.Linear(width, width)

    def forward(self, hidden_states: Tensor, position_embeddings: tuple[Tensor, Tensor]) -> Tensor:
        cos, sin = position_embeddings
        query = self.q_proj(hidden_states)
        query = query * cos + query.flip(-1) * sin
        return self.o_proj(query)


class Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.self_attn = Attention(width)
        self.norm = nn.LayerNorm(width)

    def forward(self, hidden_states: Tensor, position_embeddings: tuple[Tensor, Tensor]) -> Tensor:
        residual = hidden_states
        hidden_states = self.norm(hidden_states)
        hidden_states = self.self_attn(hidden_states, position_embeddings=position_embeddings)
        return residual + hidden_states


@program(x(2, 3, 4), dynamic=BATCH)
class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rotary_emb = Rotary(4)
        self.layers = nn.ModuleList(Layer(4) for _ in range(2))

    def forward(self, hidden_states: Tensor) -> Tensor:
        position_embeddings = self.rotary_emb(hidden_states)
        for layer in self.layers:
            hidden_states = layer(hidden_states, position_embeddings)
        return hidden_states


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Rotary(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer(
            "frequencies",
            flow.tensor(
                [1.0, 0.10000000149011612, 0.009999999776482582, 0.0010000000474974513],
                dtype=flow.float32,
            ),
            persistent=False,
        )

    def forward(self):
        angles = flow.arange(3, dtype=flow.int64).unsqueeze(1).to(flow.float32) * self.frequencies
        return flow.cos(angles), flow.sin(angles)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(4, 4)
        self.o_proj = nn.Linear(4, 4)

    def forward(self, hidden_states, position_embeddings):
        query = self.q_proj(hidden_states)
        query = query * position_embeddings[0] + flow.flip(query, (-1,)) * position_embeddings[1]
        return self.o_proj(query)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = Attention()
        self.norm = nn.LayerNorm(4)

    def forward(self, hidden_states, position_embeddings):
        residual = hidden_states
        hidden_states = self.norm(hidden_states)
        hidden_states = self.self_attn(hidden_states, position_embeddings)
        return residual + hidden_states


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.rotary_emb = Rotary()
        self.layers = nn.ModuleList([Layer() for _ in range(2)])

    def forward(self, hidden_states):
        position_embeddings = self.rotary_emb()
        for layer in self.layers:
            hidden_states = layer(hidden_states, position_embeddings)
        return hidden_states
