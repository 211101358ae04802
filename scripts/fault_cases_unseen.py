"""More faults, in other models, written when the judge was finished: nothing in it was fitted to them.

What `FAULTS` measures, the judge was made better with; these say what it does with what it has not seen.
"""

from __future__ import annotations

import numpy as np

from scripts.fault_kinds import Array, Built, Fault, Source, Weight, bit

SHUFFLENET, EDGENEXT, STARNET = "torchvision/shufflenet_v2_x0_5", "timm/edgenext", "timm/starnet"
BLOOM, DISTILBERT, GEMMA, OPT, SEGFORMER, VIT = (
    f"transformers/{name}" for name in ("bloom", "distilbert", "gemma", "opt", "segformer", "vit")
)


def first_left_out(values: Array) -> Array:
    """One element that is 0."""
    return values * (np.arange(values.size) > 0).reshape(values.shape)


UNSEEN = (
    Fault(SHUFFLENET, "channels not shuffled", Source("InvertedResidual2", "x = x.transpose(1, 2)\n", "x = x\n"),
          ("stage2.1",), "order"),
    Fault(SHUFFLENET, "two branches in another order",
          Source("InvertedResidual", "(self.branch1(x), self.branch2(x))", "(self.branch2(x), self.branch1(x))"),
          ("stage2.0",), "order"),
    Fault(SHUFFLENET, "one weight of a BatchNorm 0", Weight("conv5.1.weight", first_left_out), ("conv5.1",), "weight"),
    Fault(SHUFFLENET, "momentum of a BatchNorm 0.9 for 0.1", Built("model.stage3[2].branch2[1].momentum = 0.9"),
          ("stage3.2.branch2.1",), "momentum"),
    Fault(OPT, "positions from 1 for 2",
          Source("OPTLearnedPositionalEmbedding", "position_ids + 2", "position_ids + 1"),
          ("model.decoder.embed_positions",), "position|indices"),
    Fault(OPT, "dropout active in eval",
          Source("OPTDecoderLayer", "residual + F.dropout(hidden_states, p=0.1, training=self.training)",
                 "residual + F.dropout(hidden_states, p=0.1, training=True)"),
          ("model.decoder.layers.0",), "dropout"),
    Fault(OPT, "gelu for relu", Source("OPTDecoderLayer", "nn.ReLU()", "nn.GELU()"),
          ("model.decoder.layers.0.activation_fn",), "activation"),
    Fault(OPT, "attention scaled twice", Source("OPTAttention", "scale=1.0", "scale=None"),
          ("model.decoder.layers.0.self_attn",), "scale"),
    Fault(BLOOM, "other slopes of the distance", Source("BloomModel", "flow.tensor(0.25", "flow.tensor(0.5"),
          ("",), "position|constant|scale"),
    Fault(BLOOM, "values for keys", Source("BloomAttention", "fused_qkv[:, :, :, 1]", "fused_qkv[:, :, :, 2]"),
          ("h.0.self_attention",), "order"),
    Fault(BLOOM, "a constant of gelu with its last digits cut off", Source("BloomGelu", "0.79788456", "0.79788"),
          ("h.0.mlp.gelu_impl",), "constant"),
    Fault(DISTILBERT, "a residual left out",
          Source("TransformerBlock", "self.sa_layer_norm(attention_mask + hidden_states)",
                 "self.sa_layer_norm(attention_mask)"),
          ("transformer.layer.0",), "residual"),
    Fault(DISTILBERT, "positions without gradient",
          Source("Embeddings", "inputs_embeds + position_embeddings", "inputs_embeds + position_embeddings.detach()"),
          ("embeddings",), "detach"),
    Fault(DISTILBERT, "the sign of one weight flipped", Weight("transformer.layer.1.ffn.lin1.weight", bit(31, 99)),
          ("transformer.layer.1.ffn.lin1",), "weight"),
    Fault(EDGENEXT, "eps of all LayerNorm2d 1e-5 for 1e-6", Source("LayerNorm2d", "eps=1e-06", "eps=1e-05"),
          ("stem.1",), "eps"),
    Fault(EDGENEXT, "silu for gelu", Source("Mlp", "nn.GELU()", "nn.SiLU()"),
          ("stages.0.blocks.0.mlp.act",), "activation"),
    Fault(EDGENEXT, "rows and columns of positions exchanged",
          Source("PositionalEncodingFourier", "flow.cat((pos_y.flatten(3, -1), pos_x), dim=3)",
                 "flow.cat((pos_x, pos_y.flatten(3, -1)), dim=3)"),
          ("stages.1.blocks.1.pos_embd",), "order|position"),
    Fault(EDGENEXT, "the temperature of an attention left out",
          Source("CrossCovarianceAttn", " * self.temperature", ""),
          ("stages.1.blocks.1.xca",), "scale"),
    Fault(STARNET, "an activation left out", Source("Block", "self.act(x1) * x2", "x1 * x2"),
          ("stages.0.1",), "activation"),
    Fault(STARNET, "a residual taken off",
          Source("Block", "residual + x", "x - residual"), ("stages.0.1",), "residual"),
    Fault(VIT, "the mean for the first token", Source("ViTForImageClassification", "outputs[:, 0]", "outputs.mean(1)"),
          ("",), "index|pool|mean|slice"),
    Fault(VIT, "the first token at the end",
          Source("ViTEmbeddings", "(cls_tokens, embeddings)", "(embeddings, cls_tokens)"),
          ("vit.embeddings",), "order"),
    Fault(VIT, "a norm called twice instead of the other",
          Source("ViTLayer", "self.layernorm_after(hidden_states)", "self.layernorm_before(hidden_states)"),
          ("vit.layers.0",), "never called"),
    Fault(GEMMA, "RMSNorm's weight not counted from 1", Source("GemmaRMSNorm", "(self.weight + 1.0)", "self.weight"),
          ("layers.0.input_layernorm",), "weight"),
    Fault(GEMMA, "the scale of an embedding left out",
          Source("GemmaTextScaledWordEmbedding", " * self.embed_scale", ""),
          ("embed_tokens",), "scale"),
    Fault(GEMMA, "gelu by erf for tanh", Source("GELUTanh", ', approximate="tanh"', ""),
          ("layers.0.mlp.act_fn",), "gelu"),
    Fault(SEGFORMER, "channels read as rows",
          Source("SegformerDepthWiseConv", "hidden_states.transpose(1, 2).reshape(", "hidden_states.reshape("),
          ("stages.0.blocks.0.mlp.dwconv",), "order"),
    Fault(SEGFORMER, "a norm left out",
          Source("SegformerSequenceReduction", "        hidden_states = self.layer_norm(hidden_states)\n", ""),
          ("stages.0.blocks.0.attention.sequence_reduction",), "never called"),
)  # fmt: skip
