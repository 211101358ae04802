"""T5Model for OneFlow.

Written by torch2flow 0.1.0 from transformers-t5-dynamic.pt2, which torch 2.13.0 wrote.
"""

from typing import NamedTuple

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def attention(query, key, value, bias, dropout_p, scale):
    """PyTorch's `scaled_dot_product_attention`, which OneFlow 0.9.0 lacks."""
    scores = flow.matmul(query * scale, key.transpose(-2, -1))
    scores = scores + bias
    weights = F.softmax(scores, dim=-1)
    if dropout_p > 0:
        weights = F.dropout(weights, p=dropout_p)
    return flow.matmul(weights, value)


class Seq2SeqModelOutput(NamedTuple):
    last_hidden_state: flow.Tensor = None
    encoder_last_hidden_state: flow.Tensor = None


class BaseModelOutputWithPastAndCrossAttentions(NamedTuple):
    last_hidden_state: flow.Tensor = None


class T5Attention(nn.Module):
    def __init__(
        self,
        has_relative_attention_bias=False,
        is_decoder=True,
        max_exact=None,
        other=None,
        fill_value=None,
    ):
        super().__init__()
        self.is_decoder = is_decoder
        self.max_exact = max_exact
        self.other = other
        self.fill_value = fill_value
        self.q = nn.Linear(32, 32, bias=False)
        self.k = nn.Linear(32, 32, bias=False)
        self.v = nn.Linear(32, 32, bias=False)
        self.o = nn.Linear(32, 32, bias=False)
        self.relative_attention_bias = nn.Embedding(32, 4) if has_relative_attention_bias else None

    def forward(self, hidden_states, mask, key_value_states=None, position_bias=None):
        query_states = (
            self.q(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        if key_value_states is None:
            key_value_states = hidden_states
        key_states = (
            self.k(key_value_states)
            .reshape(key_value_states.shape[0], key_value_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        value_states = (
            self.v(key_value_states)
            .reshape(key_value_states.shape[0], key_value_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        if self.relative_attention_bias is None and position_bias is None:
            position_bias = flow.zeros(
                (1, 4, hidden_states.shape[1], mask.shape[3]),
                dtype=flow.float32,
                device=hidden_states.device,
            )
        if self.relative_attention_bias is not None:
            context_position = flow.arange(
                hidden_states.shape[1], dtype=flow.int64, device=hidden_states.device
            ).unsqueeze(1)
            memory_position = flow.arange(
                hidden_states.shape[1], dtype=flow.int64, device=hidden_states.device
            ).unsqueeze(0)
            relative_position = memory_position - context_position
        if self.relative_attention_bias is not None and (not self.is_decoder):
            relative_buckets = (relative_position > 0).to(flow.int64) * 16
            relative_position = flow.abs(relative_position)
        if self.relative_attention_bias is not None and self.is_decoder:
            relative_position = 0 - flow.minimum(
                relative_position, flow.zeros_like(relative_position)
            )
        if self.relative_attention_bias is not None:
            is_small = relative_position < self.max_exact
            out = (
                flow.log(relative_position.to(flow.float32) / self.max_exact)
                / self.other
                * self.max_exact
            )
            relative_position_if_large = out.to(flow.int64) + self.max_exact
            relative_position_if_large = flow.minimum(
                relative_position_if_large,
                flow.full_like(relative_position_if_large, self.fill_value),
            )
        if self.relative_attention_bias is not None and (not self.is_decoder):
            relative_buckets = relative_buckets + flow.where(
                is_small, relative_position, relative_position_if_large
            )
        if self.relative_attention_bias is not None and self.is_decoder:
            relative_buckets = flow.where(is_small, relative_position, relative_position_if_large)
        if self.relative_attention_bias is not None:
            values = self.relative_attention_bias(relative_buckets)
            position_bias = values.permute(2, 0, 1).unsqueeze(0)
        attention_mask = flow.where(mask, position_bias, -3.4028234663852886e38).to(flow.float32)
        attn_output = attention(
            query_states,
            key_states,
            value_states,
            bias=attention_mask,
            dropout_p=0.1 if self.training else 0.0,
            scale=1.0,
        )
        attn_output = attn_output.reshape(attn_output.shape[0], -1, attn_output.shape[2], 8)
        attn_output = attn_output.transpose(1, 2)
        attn_output = attn_output.reshape(attn_output.shape[0], attn_output.shape[1], -1)
        attn_output = self.o(attn_output)
        return attn_output, position_bias, None


class T5LayerNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(32))

    def forward(self, hidden_states):
        variance = (hidden_states**2).mean(dim=(-1,), keepdim=True)
        hidden_states = hidden_states * flow.rsqrt(variance + 1e-06)
        return self.weight * hidden_states


class T5LayerSelfAttention(nn.Module):
    def __init__(
        self,
        has_relative_attention_bias=False,
        is_decoder=False,
        max_exact=None,
        other=None,
        fill_value=None,
    ):
        super().__init__()
        self.SelfAttention = T5Attention(
            has_relative_attention_bias=has_relative_attention_bias,
            is_decoder=is_decoder,
            max_exact=max_exact,
            other=other,
            fill_value=fill_value,
        )
        self.layer_norm = T5LayerNorm()
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, hidden_states, attention_mask, position_bias=None):
        normed_hidden_states = self.layer_norm(hidden_states)
        attention_output, position_bias, _ = self.SelfAttention(
            normed_hidden_states, attention_mask, position_bias=position_bias
        )
        attention_output = hidden_states + self.dropout(attention_output)
        return attention_output, position_bias, None


class T5LayerCrossAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.EncDecAttention = T5Attention()
        self.layer_norm = T5LayerNorm()
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, hidden_states, key_value_states, attention_mask, position_bias=None):
        normed_hidden_states = self.layer_norm(hidden_states)
        attention_output, position_bias, _ = self.EncDecAttention(
            normed_hidden_states, attention_mask, key_value_states, position_bias
        )
        layer_output = hidden_states + self.dropout(attention_output)
        return layer_output, position_bias, None


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
    def __init__(
        self,
        has_relative_attention_bias=False,
        is_decoder=False,
        max_exact=None,
        other=None,
        fill_value=None,
    ):
        super().__init__()
        self.has_relative_attention_bias = has_relative_attention_bias
        layer = [
            T5LayerSelfAttention(
                has_relative_attention_bias=has_relative_attention_bias,
                is_decoder=is_decoder,
                max_exact=max_exact,
                other=other,
                fill_value=fill_value,
            )
        ]
        if is_decoder:
            layer.append(T5LayerCrossAttention())
        layer.append(T5LayerFF())
        self.layer = nn.ModuleList(layer)

    def forward(
        self,
        hidden_states,
        attention_mask,
        position_bias=None,
        encoder_hidden_states=None,
        encoder_attention_mask=None,
        encoder_decoder_position_bias=None,
    ):
        hidden_states, self_attn_position_bias, _ = self.layer[0](
            hidden_states, attention_mask, position_bias
        )
        if encoder_hidden_states is not None:
            hidden_states, cross_attn_position_bias, _ = self.layer[1](
                hidden_states,
                encoder_hidden_states,
                encoder_attention_mask,
                encoder_decoder_position_bias,
            )
        hidden_states = self.layer[-1](hidden_states)
        if self.has_relative_attention_bias:
            position_bias = self_attn_position_bias
        if encoder_hidden_states is not None and encoder_decoder_position_bias is None:
            encoder_decoder_position_bias = cross_attn_position_bias
        if encoder_hidden_states is not None:
            return hidden_states, position_bias, encoder_decoder_position_bias
        return hidden_states, position_bias, None


class T5Stack(nn.Module):
    def __init__(self, max_exact, other, fill_value, value, is_decoder=False):
        super().__init__()
        self.value = value
        self.is_decoder = is_decoder
        self.embed_tokens = nn.Embedding(100, 32)
        self.block = nn.ModuleList(
            [
                T5Block(
                    has_relative_attention_bias=True,
                    is_decoder=is_decoder,
                    max_exact=max_exact,
                    other=other,
                    fill_value=fill_value,
                ),
                T5Block(is_decoder=is_decoder),
            ]
        )
        self.final_layer_norm = T5LayerNorm()
        self.dropout = nn.Dropout(p=0.1)

    def forward(
        self,
        input_ids,
        attention_mask=None,
        encoder_hidden_states=None,
        encoder_attention_mask=None,
    ):
        inputs_embeds = self.embed_tokens(input_ids)
        if encoder_hidden_states is not None:
            q_arange = flow.arange(input_ids.shape[1], dtype=flow.int64, device=input_ids.device)
            kv_arange = flow.arange(input_ids.shape[1], dtype=flow.int64, device=input_ids.device)
            q_indices = q_arange.unsqueeze(0)
            q_indices = q_indices.unsqueeze(1)
            q_indices = q_indices.unsqueeze(3)
            kv_indices = kv_arange.unsqueeze(0)
            kv_indices = kv_indices.unsqueeze(1)
            kv_indices = kv_indices.unsqueeze(2)
            attention_mask = (kv_indices <= q_indices).expand(
                input_ids.shape[0], -1, q_indices.shape[2], q_indices.shape[2]
            )
        else:
            encoder_attention_mask = attention_mask
        encoder_attention_mask = encoder_attention_mask.to(flow.bool)
        batch_arange = flow.arange(input_ids.shape[0], dtype=flow.int64, device=input_ids.device)
        q_arange = flow.arange(input_ids.shape[1], dtype=flow.int64, device=input_ids.device)
        if encoder_hidden_states is None:
            encoder_hidden_states = input_ids
        kv_arange = flow.arange(
            encoder_hidden_states.shape[1], dtype=flow.int64, device=input_ids.device
        )
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
            flow.logical_and(result, q_indices >= 0),
            encoder_attention_mask[batch_indices, kv_indices],
        )
        attention_mask_2 = result.expand(
            result.shape[0], -1, result.shape[2], result.shape[self.value]
        )
        hidden_states = self.dropout(inputs_embeds)
        if self.is_decoder:
            hidden_states, self_attention_position_bias, cross_attention_position_bias = self.block[
                0
            ](
                hidden_states,
                attention_mask,
                encoder_hidden_states=encoder_hidden_states,
                encoder_attention_mask=attention_mask_2,
            )
            hidden_states, self_attention_position_bias, cross_attention_position_bias = self.block[
                1
            ](
                hidden_states,
                attention_mask,
                self_attention_position_bias,
                encoder_hidden_states,
                attention_mask_2,
                cross_attention_position_bias,
            )
        else:
            hidden_states, self_attention_position_bias, _ = self.block[0](
                hidden_states, attention_mask_2
            )
            hidden_states, self_attention_position_bias, _ = self.block[1](
                hidden_states, attention_mask_2, self_attention_position_bias
            )
        hidden_states = self.final_layer_norm(hidden_states)
        hidden_states = self.dropout(hidden_states)
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden_states)


class T5Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(100, 32)
        self.encoder = T5Stack(8, 2.772588722239781, 15, 2)
        self.decoder = T5Stack(16, 2.0794415416798357, 31, 3, is_decoder=True)
        self.encoder.embed_tokens.weight = self.shared.weight
        self.decoder.embed_tokens.weight = self.shared.weight

    def forward(self, input_ids, attention_mask, decoder_input_ids):
        encoder_outputs = self.encoder(input_ids, attention_mask)
        decoder_outputs = self.decoder(
            decoder_input_ids,
            encoder_hidden_states=encoder_outputs.last_hidden_state,
            encoder_attention_mask=attention_mask,
        )
        return Seq2SeqModelOutput(
            last_hidden_state=decoder_outputs.last_hidden_state,
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
        )
