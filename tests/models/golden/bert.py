"""BertForMaskedLM for OneFlow.

Written by torch2flow 0.1.0 from transformers-bert-dynamic.pt2, which torch 2.13.0 wrote.
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


class MaskedLMOutput(NamedTuple):
    logits: flow.Tensor = None


class BaseModelOutputWithPastAndCrossAttentions(NamedTuple):
    last_hidden_state: flow.Tensor = None


class BaseModelOutputWithPoolingAndCrossAttentions(NamedTuple):
    last_hidden_state: flow.Tensor = None


class BertEmbeddings(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("position_ids", flow.arange(64).reshape(1, 64), persistent=False)
        self.register_buffer(
            "token_type_ids", flow.zeros((1, 64), dtype=flow.int64), persistent=False
        )
        self.word_embeddings = nn.Embedding(100, 32, padding_idx=1)
        self.position_embeddings = nn.Embedding(64, 32)
        self.token_type_embeddings = nn.Embedding(2, 32)
        self.LayerNorm = nn.LayerNorm(32, eps=1e-12)
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, input_ids):
        position_ids = self.position_ids[:, : input_ids.shape[1]]
        buffered_token_type_ids = self.token_type_ids.expand(1, -1)
        buffered_token_type_ids = flow.gather(buffered_token_type_ids, 1, position_ids)
        token_type_ids = buffered_token_type_ids.expand(
            input_ids.shape[0], buffered_token_type_ids.shape[1]
        )
        inputs_embeds = self.word_embeddings(input_ids)
        token_type_embeddings = self.token_type_embeddings(token_type_ids)
        embeddings = inputs_embeds + token_type_embeddings
        position_embeddings = self.position_embeddings(position_ids)
        embeddings = embeddings + position_embeddings
        embeddings = self.LayerNorm(embeddings)
        embeddings = self.dropout(embeddings)
        return embeddings


class BertSelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(32, 32)
        self.key = nn.Linear(32, 32)
        self.value = nn.Linear(32, 32)
        self.dropout = nn.Identity()

    def forward(self, hidden_states, attention_mask):
        query_layer = (
            self.query(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        key_layer = (
            self.key(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        value_layer = (
            self.value(hidden_states)
            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)
            .transpose(1, 2)
        )
        attn_output = attention(
            query_layer,
            key_layer,
            value_layer,
            mask=attention_mask,
            dropout_p=0.1 if self.training else 0.0,
            scale=0.3535533905932738,
        )
        attn_output = attn_output.reshape(attn_output.shape[0], -1, attn_output.shape[2], 8)
        attn_output = attn_output.transpose(1, 2)
        attn_output = attn_output.reshape(attn_output.shape[0], attn_output.shape[1], -1)
        return attn_output, None


class BertSelfOutput(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(32, 32)
        self.LayerNorm = nn.LayerNorm(32, eps=1e-12)
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, hidden_states, input_tensor):
        hidden_states = self.dense(hidden_states)
        hidden_states = self.dropout(hidden_states)
        hidden_states = self.LayerNorm(hidden_states + input_tensor)
        return hidden_states


class BertAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.self = BertSelfAttention()
        self.output = BertSelfOutput()

    def forward(self, hidden_states, attention_mask):
        attention_output, _ = self.self(hidden_states, attention_mask)
        attention_output = self.output(attention_output, hidden_states)
        return attention_output, None


class GELUActivation(nn.Module):
    def forward(self, input):
        return F.gelu(input)


class BertIntermediate(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(32, 64)
        self.intermediate_act_fn = GELUActivation()

    def forward(self, hidden_states):
        hidden_states = self.dense(hidden_states)
        hidden_states = self.intermediate_act_fn(hidden_states)
        return hidden_states


class BertOutput(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(64, 32)
        self.LayerNorm = nn.LayerNorm(32, eps=1e-12)
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, hidden_states, input_tensor):
        hidden_states = self.dense(hidden_states)
        hidden_states = self.dropout(hidden_states)
        hidden_states = self.LayerNorm(hidden_states + input_tensor)
        return hidden_states


class BertLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = BertAttention()
        self.intermediate = BertIntermediate()
        self.output = BertOutput()

    def forward(self, hidden_states, attention_mask):
        self_attention_output, _ = self.attention(hidden_states, attention_mask)
        intermediate_output = self.intermediate(self_attention_output)
        layer_output = self.output(intermediate_output, self_attention_output)
        return layer_output


class BertEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.ModuleList([BertLayer() for _ in range(2)])

    def forward(self, hidden_states, attention_mask):
        for block in self.layer:
            hidden_states = block(hidden_states, attention_mask)
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden_states)


class BertModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = BertEmbeddings()
        self.encoder = BertEncoder()

    def forward(self, input_ids, attention_mask):
        embedding_output = self.embeddings(input_ids)
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
        encoder_outputs = self.encoder(embedding_output, attention_mask)
        return BaseModelOutputWithPoolingAndCrossAttentions(
            last_hidden_state=encoder_outputs.last_hidden_state
        )


class BertPredictionHeadTransform(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(32, 32)
        self.transform_act_fn = GELUActivation()
        self.LayerNorm = nn.LayerNorm(32, eps=1e-12)

    def forward(self, hidden_states):
        hidden_states = self.dense(hidden_states)
        hidden_states = self.transform_act_fn(hidden_states)
        hidden_states = self.LayerNorm(hidden_states)
        return hidden_states


class BertLMPredictionHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(flow.zeros(100))
        self.transform = BertPredictionHeadTransform()
        self.decoder = nn.Linear(32, 100)

    def forward(self, hidden_states):
        hidden_states = self.transform(hidden_states)
        hidden_states = self.decoder(hidden_states)
        return hidden_states


class BertOnlyMLMHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.predictions = BertLMPredictionHead()

    def forward(self, sequence_output):
        prediction_scores = self.predictions(sequence_output)
        return prediction_scores


class BertForMaskedLM(nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = BertModel()
        self.cls = BertOnlyMLMHead()
        self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight
        self.cls.predictions.decoder.bias = self.cls.predictions.bias

    def forward(self, input_ids, attention_mask):
        if input_ids.shape[1] > 64:
            raise ValueError(
                "input_ids.shape[1] must be at most 64: PyTorch's code goes another way for other sizes"
            )
        outputs = self.bert(input_ids, attention_mask)
        prediction_scores = self.cls(outputs.last_hidden_state)
        return MaskedLMOutput(logits=prediction_scores)
