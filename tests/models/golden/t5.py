"""T5Model for OneFlow.

Written by torch2flow 0.1.0 from transformers-t5-dynamic.pt2, which torch 2.13.0 wrote.
"""

from typing import NamedTuple

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def attention(query, key, value, bias, scale):
    """PyTorch's `scaled_dot_product_attention`, which OneFlow 0.9.0 lacks."""
    scores = flow.matmul(query * scale, key.transpose(-2, -1))
    scores = scores + bias
    weights = F.softmax(scores, dim=-1)
    return flow.matmul(weights, value)


class Seq2SeqModelOutput(NamedTuple):
    last_hidden_state: flow.Tensor = None
    encoder_last_hidden_state: flow.Tensor = None


class T5Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(32, 32, bias=False)
        self.k = nn.Linear(32, 32, bias=False)
        self.v = nn.Linear(32, 32, bias=False)
        self.o = nn.Linear(32, 32, bias=False)
        self.relative_attention_bias = nn.Embedding(32, 4)

    def forward(self, hidden_states, attention_mask):
        query_states = (
            self.q(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        key_states = (
            self.k(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        value_states = (
            self.v(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        context_position = flow.arange(
            hidden_states.shape[1], dtype=flow.int64, device=hidden_states.device
        ).unsqueeze(1)
        memory_position = flow.arange(
            hidden_states.shape[1], dtype=flow.int64, device=hidden_states.device
        ).unsqueeze(0)
        relative_position = memory_position - context_position
        relative_buckets = (relative_position > 0).to(flow.int64) * 16
        relative_position = flow.abs(relative_position)
        is_small = relative_position < 8
        out = flow.log(relative_position.to(flow.float32) / 8) / 2.772588722239781 * 8
        relative_position_if_large = out.to(flow.int64) + 8
        relative_position_if_large = flow.minimum(
            relative_position_if_large, flow.full_like(relative_position_if_large, 15)
        )
        relative_buckets = relative_buckets + flow.where(
            is_small, relative_position, relative_position_if_large
        )
        values = self.relative_attention_bias(relative_buckets)
        values = values.permute(2, 0, 1).unsqueeze(0)
        position_bias_mask = flow.where(attention_mask, values, -3.4028234663852886e38).to(
            flow.float32
        )
        attn_output = attention(
            query_states, key_states, value_states, bias=position_bias_mask, scale=1.0
        )
        attn_output = attn_output.reshape(attn_output.shape[0], -1, attn_output.shape[2], 8)
        attn_output = attn_output.transpose(1, 2)
        attn_output = attn_output.reshape(attn_output.shape[0], attn_output.shape[1], -1)
        attn_output = self.o(attn_output)
        return attn_output, values


class T5LayerNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(32))

    def forward(self, hidden_states):
        variance = (hidden_states**2).mean(dim=(-1,), keepdim=True)
        hidden_states = hidden_states * flow.rsqrt(variance + 1e-06)
        return self.weight * hidden_states


class T5LayerSelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.SelfAttention = T5Attention()
        self.layer_norm = T5LayerNorm()
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, hidden_states, attention_mask):
        normed_hidden_states = self.layer_norm(hidden_states)
        normed_hidden_states, normed_hidden_states_2 = self.SelfAttention(
            normed_hidden_states, attention_mask
        )
        attention_output = hidden_states + self.dropout(normed_hidden_states)
        return attention_output, normed_hidden_states_2


class T5DenseActDense(nn.Module):
    def __init__(self):
        super().__init__()
        self.wi = nn.Linear(32, 64, bias=False)
        self.wo = nn.Linear(64, 32, bias=False)
        self.dropout = nn.Dropout(p=0.1)
        self.act = nn.ReLU()

    def forward(self, hidden_states):
        hidden_states = self.wi(hidden_states)
        hidden_states = self.act(hidden_states)
        hidden_states = self.dropout(hidden_states)
        hidden_states = self.wo(hidden_states)
        return hidden_states


class T5LayerFF(nn.Module):
    def __init__(self):
        super().__init__()
        self.DenseReluDense = T5DenseActDense()
        self.layer_norm = T5LayerNorm()
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, hidden_states):
        forwarded_states = self.layer_norm(hidden_states)
        forwarded_states = self.DenseReluDense(forwarded_states)
        hidden_states = hidden_states + self.dropout(forwarded_states)
        return hidden_states


class T5Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.ModuleList([T5LayerSelfAttention(), T5LayerFF()])

    def forward(self, hidden_states, attention_mask):
        hidden_states, self_attn_position_bias = self.layer[0](hidden_states, attention_mask)
        hidden_states = self.layer[1](hidden_states)
        return hidden_states, self_attn_position_bias


class T5Attention2(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(32, 32, bias=False)
        self.k = nn.Linear(32, 32, bias=False)
        self.v = nn.Linear(32, 32, bias=False)
        self.o = nn.Linear(32, 32, bias=False)

    def forward(self, hidden_states, attention_mask, values):
        query_states = (
            self.q(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        key_states = (
            self.k(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        value_states = (
            self.v(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        position_bias_mask = flow.where(attention_mask, values, -3.4028234663852886e38).to(
            flow.float32
        )
        attn_output = attention(
            query_states, key_states, value_states, bias=position_bias_mask, scale=1.0
        )
        attn_output = attn_output.reshape(attn_output.shape[0], -1, attn_output.shape[2], 8)
        attn_output = attn_output.transpose(1, 2)
        attn_output = attn_output.reshape(attn_output.shape[0], attn_output.shape[1], -1)
        attn_output = self.o(attn_output)
        return attn_output


class T5LayerSelfAttention2(nn.Module):
    def __init__(self):
        super().__init__()
        self.SelfAttention = T5Attention2()
        self.layer_norm = T5LayerNorm()
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, hidden_states, attention_mask, values):
        normed_hidden_states = self.layer_norm(hidden_states)
        normed_hidden_states = self.SelfAttention(normed_hidden_states, attention_mask, values)
        attention_output = hidden_states + self.dropout(normed_hidden_states)
        return attention_output


class T5Block2(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.ModuleList([T5LayerSelfAttention2(), T5LayerFF()])

    def forward(self, hidden_states, attention_mask, values):
        hidden_states = self.layer[0](hidden_states, attention_mask, values)
        hidden_states = self.layer[1](hidden_states)
        return hidden_states


class T5Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(100, 32)
        self.block = nn.ModuleList([T5Block(), T5Block2()])
        self.final_layer_norm = T5LayerNorm()
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, input_ids, attention_mask):
        inputs_embeds = self.embed_tokens(input_ids)
        attention_mask = attention_mask.to(flow.bool)
        batch_arange = flow.arange(input_ids.shape[0], dtype=flow.int64, device=input_ids.device)
        q_arange = flow.arange(input_ids.shape[1], dtype=flow.int64, device=input_ids.device)
        kv_arange = flow.arange(input_ids.shape[1], dtype=flow.int64, device=input_ids.device)
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
            flow.logical_and(result, q_indices >= 0), attention_mask[batch_indices, kv_indices]
        )
        attention_mask = result.expand(result.shape[0], -1, result.shape[2], result.shape[2])
        hidden_states = self.dropout(inputs_embeds)
        hidden_states, hidden_states_2 = self.block[0](hidden_states, attention_mask)
        hidden_states = self.block[1](hidden_states, attention_mask, hidden_states_2)
        hidden_states = self.final_layer_norm(hidden_states)
        hidden_states = self.dropout(hidden_states)
        return hidden_states


class T5Attention3(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(32, 32, bias=False)
        self.k = nn.Linear(32, 32, bias=False)
        self.v = nn.Linear(32, 32, bias=False)
        self.o = nn.Linear(32, 32, bias=False)
        self.relative_attention_bias = nn.Embedding(32, 4)

    def forward(self, hidden_states, attention_mask):
        query_states = (
            self.q(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        key_states = (
            self.k(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        value_states = (
            self.v(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        context_position = flow.arange(
            hidden_states.shape[1], dtype=flow.int64, device=hidden_states.device
        ).unsqueeze(1)
        memory_position = flow.arange(
            hidden_states.shape[1], dtype=flow.int64, device=hidden_states.device
        ).unsqueeze(0)
        relative_position = memory_position - context_position
        relative_position = 0 - flow.minimum(relative_position, flow.zeros_like(relative_position))
        is_small = relative_position < 16
        out = flow.log(relative_position.to(flow.float32) / 16) / 2.0794415416798357 * 16
        relative_position_if_large = out.to(flow.int64) + 16
        relative_position_if_large = flow.minimum(
            relative_position_if_large, flow.full_like(relative_position_if_large, 31)
        )
        relative_buckets = flow.where(is_small, relative_position, relative_position_if_large)
        values = self.relative_attention_bias(relative_buckets)
        values = values.permute(2, 0, 1).unsqueeze(0)
        position_bias_mask = flow.where(attention_mask, values, -3.4028234663852886e38).to(
            flow.float32
        )
        attn_output = attention(
            query_states, key_states, value_states, bias=position_bias_mask, scale=1.0
        )
        attn_output = attn_output.reshape(attn_output.shape[0], -1, attn_output.shape[2], 8)
        attn_output = attn_output.transpose(1, 2)
        attn_output = attn_output.reshape(attn_output.shape[0], attn_output.shape[1], -1)
        attn_output = self.o(attn_output)
        return attn_output, values


class T5LayerSelfAttention3(nn.Module):
    def __init__(self):
        super().__init__()
        self.SelfAttention = T5Attention3()
        self.layer_norm = T5LayerNorm()
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, hidden_states, attention_mask):
        normed_hidden_states = self.layer_norm(hidden_states)
        normed_hidden_states, normed_hidden_states_2 = self.SelfAttention(
            normed_hidden_states, attention_mask
        )
        attention_output = hidden_states + self.dropout(normed_hidden_states)
        return attention_output, normed_hidden_states_2


class T5Attention4(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(32, 32, bias=False)
        self.k = nn.Linear(32, 32, bias=False)
        self.v = nn.Linear(32, 32, bias=False)
        self.o = nn.Linear(32, 32, bias=False)

    def forward(self, hidden_states, current_states, attention_mask):
        query_states = (
            self.q(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        key_states = (
            self.k(current_states)
            .reshape(current_states.shape[0], current_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        value_states = (
            self.v(current_states)
            .reshape(current_states.shape[0], current_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        position_bias = flow.zeros(
            (1, 4, hidden_states.shape[1], current_states.shape[1]),
            dtype=flow.float32,
            device=hidden_states.device,
        )
        position_bias_mask = flow.where(attention_mask, position_bias, -3.4028234663852886e38).to(
            flow.float32
        )
        attn_output = attention(
            query_states, key_states, value_states, bias=position_bias_mask, scale=1.0
        )
        attn_output = attn_output.reshape(attn_output.shape[0], -1, attn_output.shape[2], 8)
        attn_output = attn_output.transpose(1, 2)
        attn_output = attn_output.reshape(attn_output.shape[0], attn_output.shape[1], -1)
        attn_output = self.o(attn_output)
        return attn_output, position_bias


class T5LayerCrossAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.EncDecAttention = T5Attention4()
        self.layer_norm = T5LayerNorm()
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, hidden_states, encoder_outputs, attention_mask):
        normed_hidden_states = self.layer_norm(hidden_states)
        normed_hidden_states, normed_hidden_states_2 = self.EncDecAttention(
            normed_hidden_states, encoder_outputs, attention_mask
        )
        layer_output = hidden_states + self.dropout(normed_hidden_states)
        return layer_output, normed_hidden_states_2


class T5Block3(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.ModuleList([T5LayerSelfAttention3(), T5LayerCrossAttention(), T5LayerFF()])

    def forward(self, hidden_states, attention_mask, encoder_outputs, attention_mask_2):
        hidden_states, self_attn_position_bias = self.layer[0](hidden_states, attention_mask)
        hidden_states, cross_attn_position_bias = self.layer[1](
            hidden_states, encoder_outputs, attention_mask_2
        )
        hidden_states = self.layer[2](hidden_states)
        return hidden_states, self_attn_position_bias, cross_attn_position_bias


class T5Attention5(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(32, 32, bias=False)
        self.k = nn.Linear(32, 32, bias=False)
        self.v = nn.Linear(32, 32, bias=False)
        self.o = nn.Linear(32, 32, bias=False)

    def forward(self, hidden_states, current_states, attention_mask, position_bias):
        query_states = (
            self.q(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        key_states = (
            self.k(current_states)
            .reshape(current_states.shape[0], current_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        value_states = (
            self.v(current_states)
            .reshape(current_states.shape[0], current_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        position_bias_mask = flow.where(attention_mask, position_bias, -3.4028234663852886e38).to(
            flow.float32
        )
        attn_output = attention(
            query_states, key_states, value_states, bias=position_bias_mask, scale=1.0
        )
        attn_output = attn_output.reshape(attn_output.shape[0], -1, attn_output.shape[2], 8)
        attn_output = attn_output.transpose(1, 2)
        attn_output = attn_output.reshape(attn_output.shape[0], attn_output.shape[1], -1)
        attn_output = self.o(attn_output)
        return attn_output


class T5LayerCrossAttention2(nn.Module):
    def __init__(self):
        super().__init__()
        self.EncDecAttention = T5Attention5()
        self.layer_norm = T5LayerNorm()
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, hidden_states, encoder_outputs, attention_mask, position_bias):
        normed_hidden_states = self.layer_norm(hidden_states)
        normed_hidden_states = self.EncDecAttention(
            normed_hidden_states, encoder_outputs, attention_mask, position_bias
        )
        layer_output = hidden_states + self.dropout(normed_hidden_states)
        return layer_output


class T5Block4(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.ModuleList([T5LayerSelfAttention2(), T5LayerCrossAttention2(), T5LayerFF()])

    def forward(
        self,
        hidden_states,
        attention_mask,
        values,
        encoder_outputs,
        attention_mask_2,
        position_bias,
    ):
        hidden_states = self.layer[0](hidden_states, attention_mask, values)
        hidden_states = self.layer[1](
            hidden_states, encoder_outputs, attention_mask_2, position_bias
        )
        hidden_states = self.layer[2](hidden_states)
        return hidden_states


class T5Stack2(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(100, 32)
        self.block = nn.ModuleList([T5Block3(), T5Block4()])
        self.final_layer_norm = T5LayerNorm()
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, input_ids, attention_mask, encoder_outputs):
        inputs_embeds = self.embed_tokens(input_ids)
        q_arange = flow.arange(input_ids.shape[1], dtype=flow.int64, device=input_ids.device)
        kv_arange = flow.arange(input_ids.shape[1], dtype=flow.int64, device=input_ids.device)
        q_indices = q_arange.unsqueeze(0)
        q_indices = q_indices.unsqueeze(1)
        q_indices = q_indices.unsqueeze(3)
        kv_indices = kv_arange.unsqueeze(0)
        kv_indices = kv_indices.unsqueeze(1)
        kv_indices = kv_indices.unsqueeze(2)
        attention_mask_2 = (kv_indices <= q_indices).expand(
            input_ids.shape[0], -1, q_indices.shape[2], q_indices.shape[2]
        )
        attention_mask = attention_mask.to(flow.bool)
        batch_arange = flow.arange(input_ids.shape[0], dtype=flow.int64, device=input_ids.device)
        q_arange = flow.arange(input_ids.shape[1], dtype=flow.int64, device=input_ids.device)
        kv_arange = flow.arange(encoder_outputs.shape[1], dtype=flow.int64, device=input_ids.device)
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
            flow.logical_and(result, q_indices >= 0), attention_mask[batch_indices, kv_indices]
        )
        attention_mask = result.expand(result.shape[0], -1, result.shape[2], result.shape[3])
        hidden_states = self.dropout(inputs_embeds)
        hidden_states, self_attention_position_bias, cross_attention_position_bias = self.block[0](
            hidden_states, attention_mask_2, encoder_outputs, attention_mask
        )
        hidden_states = self.block[1](
            hidden_states,
            attention_mask_2,
            self_attention_position_bias,
            encoder_outputs,
            attention_mask,
            cross_attention_position_bias,
        )
        hidden_states = self.final_layer_norm(hidden_states)
        hidden_states = self.dropout(hidden_states)
        return hidden_states


class T5Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(100, 32)
        self.encoder = T5Stack()
        self.decoder = T5Stack2()
        self.encoder.embed_tokens.weight = self.shared.weight
        self.decoder.embed_tokens.weight = self.shared.weight

    def forward(self, input_ids, attention_mask, decoder_input_ids):
        encoder_outputs = self.encoder(input_ids, attention_mask)
        decoder_outputs = self.decoder(decoder_input_ids, attention_mask, encoder_outputs)
        return Seq2SeqModelOutput(
            last_hidden_state=decoder_outputs, encoder_last_hidden_state=encoder_outputs
        )
