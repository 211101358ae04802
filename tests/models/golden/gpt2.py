"""GPT2LMHeadModel for OneFlow.

Written by torch2flow 0.1.0 from transformers-gpt2-dynamic.pt2, which torch 2.13.0 wrote.
"""

from typing import NamedTuple

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def attention(query, key, value, mask, dropout_p, scale):
    """PyTorch's `scaled_dot_product_attention`, which OneFlow 0.9.0 lacks."""
    scores = flow.matmul(query * scale, key.transpose(-2, -1))
    hidden = flow.logical_not(mask).expand(*scores.shape)
    scores = scores.masked_fill(hidden, flow.finfo(scores.dtype).min)
    weights = F.softmax(scores, dim=-1)
    weights = weights.masked_fill(hidden, 0.0)
    if dropout_p > 0:
        weights = F.dropout(weights, p=dropout_p)
    return flow.matmul(weights, value)


class CausalLMOutputWithCrossAttentions(NamedTuple):
    logits: flow.Tensor = None


class BaseModelOutputWithPastAndCrossAttentions(NamedTuple):
    last_hidden_state: flow.Tensor = None


class Conv1D(nn.Module):
    def __init__(self, nx, nf):
        super().__init__()
        self.nx = nx
        self.nf = nf
        self.weight = nn.Parameter(flow.zeros(nx, nf))
        self.bias = nn.Parameter(flow.zeros(nf))

    def forward(self, x):
        x_2 = self.bias + flow.matmul(x.reshape(-1, self.nx), self.weight)
        x = x_2.reshape(x.shape[0], x.shape[1], self.nf)
        return x


class GPT2Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = Conv1D(32, 96)
        self.c_proj = Conv1D(32, 32)
        self.attn_dropout = nn.Identity()
        self.resid_dropout = nn.Dropout(p=0.1)

    def forward(self, hidden_states, attention_mask):
        query_states, key_states, value_states = self.c_attn(hidden_states).split(32, 2)
        key_states = key_states.reshape(key_states.shape[0], key_states.shape[1], -1, 8).transpose(
            1, 2
        )
        value_states = value_states.reshape(
            value_states.shape[0], value_states.shape[1], -1, 8
        ).transpose(1, 2)
        query_states = query_states.reshape(
            query_states.shape[0], query_states.shape[1], -1, 8
        ).transpose(1, 2)
        attn_output = attention(
            query_states,
            key_states,
            value_states,
            mask=attention_mask,
            dropout_p=0.1 if self.training else 0.0,
            scale=0.3535533905932738,
        )
        attn_output = attn_output.reshape(attn_output.shape[0], -1, attn_output.shape[2], 8)
        attn_output = attn_output.transpose(1, 2)
        attn_output = attn_output.reshape(attn_output.shape[0], attn_output.shape[1], -1)
        attn_output = self.c_proj(attn_output)
        attn_output = self.resid_dropout(attn_output)
        return attn_output, None


class NewGELUActivation(nn.Module):
    def forward(self, input):
        out = flow.tanh((input + input**3.0 * 0.044715) * 0.7978845608028654)
        return input * 0.5 * (out + 1.0)


class GPT2MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_fc = Conv1D(32, 64)
        self.c_proj = Conv1D(64, 32)
        self.act = NewGELUActivation()
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, hidden_states):
        hidden_states = self.c_fc(hidden_states)
        hidden_states = self.act(hidden_states)
        hidden_states = self.c_proj(hidden_states)
        hidden_states = self.dropout(hidden_states)
        return hidden_states


class GPT2Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1 = nn.LayerNorm(32)
        self.attn = GPT2Attention()
        self.ln_2 = nn.LayerNorm(32)
        self.mlp = GPT2MLP()

    def forward(self, hidden_states, attention_mask):
        residual = hidden_states
        hidden_states = self.ln_1(hidden_states)
        attn_output, _ = self.attn(hidden_states, attention_mask)
        hidden_states = attn_output + residual
        residual = hidden_states
        hidden_states = self.ln_2(residual)
        feed_forward_hidden_states = self.mlp(hidden_states)
        hidden_states = residual + feed_forward_hidden_states
        return hidden_states


class GPT2Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(100, 32)
        self.wpe = nn.Embedding(64, 32)
        self.drop = nn.Dropout(p=0.1)
        self.h = nn.ModuleList([GPT2Block() for _ in range(2)])
        self.ln_f = nn.LayerNorm(32)

    def forward(self, input_ids, attention_mask):
        input_ids = input_ids.reshape(-1, input_ids.shape[1])
        inputs_embeds = self.wte(input_ids)
        position_ids = flow.arange(
            attention_mask.shape[1], dtype=flow.int64, device=attention_mask.device
        )
        position_ids = position_ids.unsqueeze(0)
        position_embeds = self.wpe(position_ids)
        hidden_states = inputs_embeds + position_embeds
        attention_mask = attention_mask.reshape(attention_mask.shape[0], -1)
        attention_mask = attention_mask.to(flow.bool)
        batch_arange = flow.arange(
            hidden_states.shape[0], dtype=flow.int64, device=input_ids.device
        )
        q_arange = flow.arange(hidden_states.shape[1], dtype=flow.int64, device=input_ids.device)
        kv_arange = flow.arange(q_arange.shape[0], dtype=flow.int64, device=input_ids.device)
        batch_indices = batch_arange.unsqueeze(1)
        batch_indices = batch_indices.unsqueeze(2)
        batch_indices = batch_indices.unsqueeze(3)
        q_indices = q_arange.unsqueeze(0)
        q_indices = q_indices.unsqueeze(1)
        q_indices = q_indices.unsqueeze(3)
        kv_indices = kv_arange.unsqueeze(0)
        kv_indices = kv_indices.unsqueeze(1)
        kv_indices = kv_indices.unsqueeze(2)
        result = flow.ones((), dtype=flow.bool, device=q_indices.device)
        result = flow.logical_and(
            flow.logical_and(result, kv_indices <= q_indices),
            attention_mask[batch_indices, kv_indices],
        )
        attention_mask = result.expand(result.shape[0], -1, result.shape[2], result.shape[2])
        hidden_states = self.drop(hidden_states)
        for layer in self.h:
            hidden_states = layer(hidden_states, attention_mask)
        hidden_states = self.ln_f(hidden_states)
        hidden_states = hidden_states.reshape(-1, hidden_states.shape[1], 32)
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden_states)


class GPT2LMHeadModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer = GPT2Model()
        self.lm_head = nn.Linear(32, 100, bias=False)
        self.lm_head.weight = self.transformer.wte.weight

    def forward(self, input_ids, attention_mask):
        transformer_outputs = self.transformer(input_ids, attention_mask)
        logits = self.lm_head(transformer_outputs.last_hidden_state)
        return CausalLMOutputWithCrossAttentions(logits=logits)
