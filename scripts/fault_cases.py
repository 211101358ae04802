"""The faults that the judge is tested with, and was made better with: one row each.

Each is one a converter or a person makes: another default, two weights that change places, a branch that gets no
gradient. `scripts/faults.py` applies it to a copy of the converted folder.
"""

from __future__ import annotations

import numpy as np

from scripts.fault_kinds import (
    Built,
    Fault,
    Optimizer,
    Source,
    Swapped,
    Weight,
    bit,
    rounded,
    transposed,
    turned,
    without,
)

RESNET, MOBILENET, SQUEEZENET = (f"torchvision/{name}" for name in ("resnet18", "mobilenet_v3_small", "squeezenet1_1"))
LRASPP, SWIN = "torchvision/lraspp_mobilenet_v3_large", "torchvision/swin_t"
CONVNEXT, LEVIT = "timm/convnext", "timm/levit"
BERT, GPT2, LLAMA, T5 = (f"transformers/{name}" for name in ("bert", "gpt2", "llama", "t5"))

WEIGHT = r"weight"
PADDING = r"padding"
EPS = r"\beps\b"
GELU = r"gelu"
ACTIVATION = r"activation"
MASK = r"mask"
RESIDUAL = r"residual"
GRADIENT = r"detach|frozen"
OPTIMIZER = r"optimizer"

CAUSAL = "PyTorch's own layers get no mask here, but a flag: the first that both have is what attention gives"

FAULTS = (
    # -- weights -----------------------------------------------------------------------------------------------
    Fault(
        RESNET,
        "two convolutions' weights swapped",
        Swapped("layer2.1.conv1.weight", "layer2.1.conv2.weight"),
        ("layer2.1.conv1",),
        WEIGHT,
    ),
    Fault(
        RESNET,
        "an exponent bit of one weight flipped",
        Weight("layer3.1.conv2.weight", bit(23, 4321)),
        ("layer3.1.conv2",),
        WEIGHT,
    ),
    Fault(RESNET, "a mantissa bit of one weight flipped", Weight("fc.weight", bit(19, 77)), ("fc",), WEIGHT),
    Fault(RESNET, "a kernel read backwards", Weight("layer1.0.conv2.weight", turned), ("layer1.0.conv2",), WEIGHT),
    Fault(
        MOBILENET,
        "weights rounded to bfloat16",
        Weight("features.4.block.0.0.weight", rounded(7)),
        ("features.4.block.0.0",),
        "bfloat16|weight",
    ),
    Fault(MOBILENET, "a bias left out", Weight("classifier.3.bias", without), ("classifier.3",), "bias"),
    Fault(
        MOBILENET,
        "running mean and variance swapped",
        Swapped("features.2.block.1.1.running_mean", "features.2.block.1.1.running_var"),
        ("features.2.block.1.1",),
        "statistics",
    ),
    Fault(
        SQUEEZENET,
        "two biases swapped",
        Swapped("features.4.expand1x1.bias", "features.4.expand3x3.bias"),
        ("features.4.expand1x1",),
        "bias",
    ),
    Fault(
        CONVNEXT,
        "one element of a bias off by 1e-4",
        Weight("stages.2.blocks.1.conv_dw.bias", lambda values: values + 1e-4 * (np.arange(values.size) == 5)),
        ("stages.2.blocks.1.conv_dw",),
        "bias",
    ),
    Fault(
        CONVNEXT,
        "the scale of a layer 1 throughout",
        Weight("stages.1.blocks.0.gamma", np.ones_like),
        ("stages.1.blocks.0",),
        "scale|weight",
    ),
    Fault(
        BERT,
        "a square weight transposed",
        Weight("bert.encoder.layer.1.attention.self.key.weight", transposed),
        ("bert.encoder.layer.1.attention.self.key",),
        WEIGHT,
    ),
    Fault(
        BERT,
        "the weights of query and key swapped",
        Swapped("bert.encoder.layer.0.attention.self.query.weight", "bert.encoder.layer.0.attention.self.key.weight"),
        ("bert.encoder.layer.0.attention.self.query",),
        WEIGHT,
    ),
    Fault(
        BERT,
        "the table of positions one row off",
        Weight("bert.embeddings.position_embeddings.weight", lambda values: np.roll(values, 1, 0)),
        ("bert.embeddings.position_embeddings",),
        "weight",
    ),
    Fault(
        GPT2,
        "query, key and value in another order",
        Weight("transformer.h.1.attn.c_attn.weight", lambda values: np.roll(values, 32, 1)),
        ("transformer.h.1.attn.c_attn",),
        WEIGHT,
    ),
    Fault(
        GPT2,
        "one element of a weight changed by a thousandth",
        Weight(
            "transformer.h.0.mlp.c_fc.weight",
            lambda values: values * (1 + 1e-3 * (np.indices(values.shape).sum(0) == 9)),
        ),
        ("transformer.h.0.mlp.c_fc",),
        WEIGHT,
    ),
    Fault(
        LLAMA,
        "the weights of gate and up swapped",
        Swapped("model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.up_proj.weight"),
        ("model.layers.1.mlp.gate_proj",),
        WEIGHT,
    ),
    Fault(
        LLAMA,
        "RMSNorm's weight counted from 1",
        Weight("model.norm.weight", lambda values: values + 1),
        ("model.norm",),
        "weight",
    ),
    Fault(
        T5,
        "the table of relative positions of the other stack",
        Swapped(
            "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
            "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        ),
        ("encoder.block.0.layer.0.SelfAttention.relative_attention_bias",),
        WEIGHT,
    ),
    # -- constants of layers -----------------------------------------------------------------------------------
    Fault(RESNET, "eps of a BatchNorm 1e-6 for 1e-5", Built("model.layer3[0].bn2.eps = 1e-6"), ("layer3.0.bn2",), EPS),
    Fault(
        MOBILENET,
        "eps of a BatchNorm 1e-5 for 1e-3",
        Built("model.features[3].block[0][1].eps = 1e-5"),
        ("features.3.block.0.1",),
        EPS,
    ),
    Fault(
        BERT,
        "eps of a LayerNorm 1e-5 for 1e-12",
        Source("BertEmbeddings", "nn.LayerNorm(32, eps=1e-12)", "nn.LayerNorm(32)"),
        ("bert.embeddings.LayerNorm",),
        EPS,
    ),
    Fault(
        CONVNEXT,
        "eps of all LayerNorm2d 1e-6 for 1e-5",
        Source("LayerNorm2d", "bias=self.bias)", "bias=self.bias, eps=1e-06)"),
        ("stem.1",),
        EPS,
    ),
    Fault(
        LLAMA,
        "eps of all RMSNorm 1e-5 for 1e-6",
        Source("LlamaRMSNorm", "1e-06", "1e-05"),
        ("model.layers.0.input_layernorm",),
        EPS,
    ),
    Fault(
        T5,
        "eps of all RMSNorm left out",
        Source("T5LayerNorm", "variance + 1e-06", "variance"),
        ("encoder.block.0.layer.0.layer_norm",),
        EPS,
    ),
    Fault(
        GPT2,
        "a constant of gelu with its last digits cut off",
        Source("NewGELUActivation", "0.044715", "0.0447"),
        ("transformer.h.0.mlp.act",),
        GELU,
    ),
    Fault(
        GPT2,
        "a constant of gelu off by a millionth",
        Source("NewGELUActivation", "0.7978845608028654", "0.7978853586874262"),
        ("transformer.h.0.mlp.act",),
        "constant",
    ),
    Fault(
        BERT,
        "the scale of an attention with its last digits cut off",
        Source("BertSelfAttention", "scale=0.3535533905932738", "scale=0.35355"),
        ("bert.encoder.layer.0.attention.self",),
        "constant|scale",
    ),
    Fault(
        T5,
        "attention scaled, which T5 does not",
        Source(
            "T5Attention",
            "scale=1.0",
            "scale=8**-0.5 if self.is_decoder and self.relative_attention_bias is not None else 1.0",
        ),
        ("decoder.block.0.layer.0.SelfAttention",),
        "scale",
    ),
    Fault(
        LLAMA,
        "a frequency of the rotation off",
        Source(
            "LlamaRotaryEmbedding",
            '"inv_freq",\n            flow.tensor(\n                [1.0, 0.10000000149011612',
            '"inv_freq",\n            flow.tensor(\n                [1.0, 0.1000100',
        ),
        ("model.rotary_emb",),
        "constant|position",
    ),
    # -- activations -------------------------------------------------------------------------------------------
    Fault(
        BERT,
        "gelu by tanh for erf",
        Source("GELUActivation", "F.gelu(input)", 'F.gelu(input, approximate="tanh")'),
        ("bert.encoder.layer.0.intermediate.intermediate_act_fn",),
        GELU,
    ),
    Fault(
        CONVNEXT,
        "gelu by erf for tanh",
        Source("GELUTanh", ', approximate="tanh"', ""),
        ("stages.0.blocks.0.mlp.act",),
        GELU,
    ),
    Fault(
        LLAMA, "gelu for silu", Source("SiLUActivation", "F.silu", "F.gelu"), ("model.layers.0.mlp.act_fn",), ACTIVATION
    ),
    Fault(
        MOBILENET,
        "silu for hardswish",
        Source("Conv2dNormActivation", "nn.Hardswish()", "nn.SiLU()"),
        ("features.0.2",),
        ACTIVATION,
    ),
    Fault(
        MOBILENET,
        "sigmoid for hardsigmoid",
        Source("SqueezeExcitation", "nn.Hardsigmoid()", "nn.Sigmoid()"),
        ("features.1.block.1.scale_activation",),
        ACTIVATION,
    ),
    Fault(
        T5,
        "silu for relu",
        Source("T5DenseActDense", "nn.ReLU()", "nn.SiLU()"),
        ("encoder.block.0.layer.1.DenseReluDense.act",),
        ACTIVATION,
    ),
    Fault(
        RESNET,
        "the relu after the residual left out",
        Source("BasicBlock", "out = out + identity\n        out = self.relu(out)", "out = out + identity"),
        ("layer1.0",),
        "left out",
    ),
    # -- shapes of convolutions, pooling and resampling --------------------------------------------------------
    Fault(RESNET, "ceil_mode in a pooling", Built("model.maxpool.ceil_mode = True"), ("maxpool",), "ceil_mode"),
    Fault(
        RESNET,
        "the stride of a shortcut 1 for 2",
        Source("BasicBlock", "out_channels, 1, stride=2", "out_channels, 1"),
        ("layer2.0.downsample.0",),
        "stride",
    ),
    Fault(
        SQUEEZENET,
        "edges repeated in a padding",
        Source(
            "Fire",
            "self.expand3x3_activation(self.expand3x3(x))",
            "self.expand3x3_activation(flow.nn.functional.conv2d(\n            flow.nn.functional.pad(x, (1, 1, 1, 1),"
            ' mode="replicate"), self.expand3x3.weight, self.expand3x3.bias))',
        ),
        ("features.3.expand3x3", "features.3"),
        PADDING,
        "the code that replaces the convolution is its parent's",
    ),
    Fault(
        SQUEEZENET,
        "no padding in a convolution",
        Source("Fire", ", 3, padding=1)", ", 3)"),
        ("features.3.expand3x3",),
        PADDING,
    ),
    Fault(
        SQUEEZENET,
        "the halves of a concatenation in another order",
        Source(
            "Fire",
            "flow.cat((expand1x1_activation, self.expand3x3_activation(self.expand3x3(x))), dim=1)",
            "flow.cat((self.expand3x3_activation(self.expand3x3(x)), expand1x1_activation), dim=1)",
        ),
        ("features.3",),
        "order",
    ),
    Fault(
        CONVNEXT,
        "height and width exchanged",
        Source("ConvNeXtBlock", "x.permute(0, 3, 1, 2)", "x.permute(0, 3, 2, 1)"),
        ("stages.0.blocks.0",),
        "order",
    ),
    Fault(
        LRASPP,
        "align_corners within the head",
        Source("LRASPPHead", "align_corners=False", "align_corners=True"),
        ("classifier",),
        "align_corners",
    ),
    Fault(
        LRASPP,
        "align_corners at the end",
        Source("LRASPP", "align_corners=False", "align_corners=True"),
        ("",),
        "align_corners",
    ),
    Fault(
        LRASPP,
        "nearest for bilinear",
        Source("LRASPPHead", 'mode="bilinear", align_corners=False', 'mode="nearest"'),
        ("classifier",),
        "resampling",
    ),
    Fault(
        LRASPP,
        "no dilation in a convolution",
        Source(
            "IntermediateLayerGetter",
            "InvertedResidual8(112, 672, 5, 168, 160, padding=4, dilation=2)",
            "InvertedResidual8(112, 672, 5, 168, 160, padding=2)",
        ),
        ("backbone.13.block.1.0",),
        "dilation",
    ),
    # -- attention ---------------------------------------------------------------------------------------------
    Fault(
        BERT,
        "the mask of an attention dropped",
        Source("BertSelfAttention", "mask=attention_mask,", "mask=flow.ones_like(attention_mask),"),
        ("bert.encoder.layer.0.attention.self",),
        MASK,
    ),
    Fault(
        BERT,
        "the mask inverted",
        Source("BertModel", "attention_mask.to(flow.bool)", "attention_mask == 0"),
        ("bert",),
        MASK,
    ),
    Fault(
        BERT,
        "heads in another order",
        Source(
            "BertSelfAttention",
            "self.query(hidden_states)\n            .reshape(hidden_states.shape[0], hidden_states.shape[1], -1, 8)\n"
            "            .transpose(1, 2)",
            "self.query(hidden_states)\n            .reshape(hidden_states.shape[0], hidden_states.shape[1], 8, -1)\n"
            "            .permute(0, 3, 1, 2)",
        ),
        ("bert.encoder.layer.0.attention.self",),
        "order",
    ),
    Fault(
        BERT,
        "softmax over queries",
        Source("", "weights = F.softmax(scores, dim=-1)", "weights = F.softmax(scores, dim=-2)"),
        ("bert.encoder.layer.0.attention.self",),
        "softmax",
    ),
    Fault(
        GPT2,
        "the future not masked",
        Source("GPT2Model", "kv_indices <= q_indices", "kv_indices >= 0 * q_indices"),
        ("transformer", "transformer.h.0.attn"),
        MASK,
        CAUSAL,
    ),
    Fault(
        GPT2,
        "attention not scaled",
        Source("GPT2Attention", "scale=0.3535533905932738", "scale=1.0"),
        ("transformer.h.0.attn",),
        "scale",
    ),
    Fault(
        LLAMA,
        "the rotation turned the other way",
        Source(
            "LlamaAttention",
            "flow.cat((-x2, x1), dim=-1) * sin\n        x1 = key",
            "flow.cat((x2, -x1), dim=-1) * sin\n        x1 = key",
        ),
        ("model.layers.0.self_attn",),
        "position|order",
    ),
    Fault(
        LLAMA,
        "heads of keys repeated in another order",
        Source(
            "LlamaAttention",
            "k_embed.unsqueeze(2).expand(k_embed.shape[0], 2, 2,",
            "k_embed.unsqueeze(1).expand(k_embed.shape[0], 2, 2,",
        ),
        ("model.layers.0.self_attn",),
        "order",
    ),
    Fault(
        T5,
        "relative positions with the other sign",
        Source("T5Attention", "memory_position - context_position", "context_position - memory_position"),
        ("encoder.block.0.layer.0.SelfAttention",),
        "indices",
    ),
    Fault(
        T5,
        "the decoder masked by the encoder's rule",
        Source("T5Stack", "(kv_indices <= q_indices)", "(kv_indices >= 0 * q_indices)"),
        ("decoder", "decoder.block.0.layer.0.SelfAttention"),
        MASK,
        CAUSAL,
    ),
    Fault(
        SWIN,
        "windows shifted the other way",
        Source("ShiftedWindowAttention2", "(-3, -3), (1, 2)", "(3, 3), (1, 2)"),
        ("features.1.1.attn",),
        "order",
    ),
    Fault(
        SWIN,
        "shifted windows not masked",
        Source("ShiftedWindowAttention2", "attn_mask != 0, -100.0", "attn_mask != 0, 0.0"),
        ("features.1.1.attn",),
        MASK,
    ),
    Fault(
        SWIN,
        "patches merged in another order",
        Source("PatchMerging", "flow.cat((x0, x1, x2, x3), dim=-1)", "flow.cat((x0, x2, x1, x3), dim=-1)"),
        ("features.2",),
        "order",
    ),
    # -- the code between layers -------------------------------------------------------------------------------
    Fault(
        BERT,
        "positions from 1",
        Source(
            "BertEmbeddings",
            "self.position_ids[:, : input_ids.shape[1]]",
            "self.position_ids[:, 1 : input_ids.shape[1] + 1]",
        ),
        ("bert.embeddings",),
        "indices",
    ),
    Fault(
        BERT,
        "token types 1 for 0",
        Source("BertEmbeddings", "flow.zeros((1, 64)", "flow.ones((1, 64)"),
        ("bert.embeddings",),
        "indices",
    ),
    Fault(
        BERT,
        "dropout active in eval",
        Source("BertSelfOutput", "self.dropout(hidden_states)", "F.dropout(hidden_states, p=0.1, training=True)"),
        ("bert.encoder.layer.0.attention.output",),
        "dropout",
    ),
    Fault(
        GPT2,
        "the residual taken after the norm",
        Source(
            "GPT2Block",
            "residual = hidden_states\n        hidden_states = self.ln_2(residual)",
            "hidden_states = self.ln_2(hidden_states)\n        residual = hidden_states",
        ),
        ("transformer.h.0",),
        RESIDUAL,
    ),
    Fault(
        LLAMA,
        "a residual left out",
        Source("LlamaDecoderLayer", "hidden_states = residual + hidden_states\n        residual", "residual"),
        ("model.layers.0",),
        "left out",
    ),
    Fault(
        LLAMA,
        "a layer called twice instead of the next",
        Source("LlamaModel", "for layer in self.layers", "for layer in [self.layers[0], self.layers[0]]"),
        ("model",),
        "never called",
    ),
    Fault(
        CONVNEXT,
        "a block called twice instead of the next",
        Source(
            "ConvNeXtStage",
            "x = self.blocks(x)",
            "for n in range(len(self.blocks)):\n            x = self.blocks[0 if self.sequence else n](x)",
        ),
        ("stages.1",),
        "never called",
    ),
    Fault(
        CONVNEXT,
        "a shortcut left out",
        Source("ConvNeXtBlock", "x = x + shortcut", "x = x"),
        ("stages.0.blocks.0",),
        "left out",
    ),
    Fault(
        T5,
        "the encoder's output not given to the decoder's second block",
        Source(
            "T5Stack",
            "self_attention_position_bias,\n                encoder_hidden_states,",
            "self_attention_position_bias,\n                encoder_hidden_states.flip(1),",
        ),
        ("decoder",),
        "order",
    ),
    Fault(
        GPT2,
        "a layer in bfloat16",
        Source(
            "GPT2MLP",
            "hidden_states = self.c_proj(hidden_states)",
            "hidden_states = self.c_proj(hidden_states).to(flow.bfloat16).to(hidden_states.dtype)",
        ),
        ("transformer.h.0.mlp",),
        "bfloat16",
    ),
    Fault(
        T5,
        "the input of a layer in bfloat16",
        Source(
            "T5DenseActDense",
            "self.wo(hidden_states)",
            "self.wo(hidden_states.to(flow.bfloat16).to(hidden_states.dtype))",
        ),
        ("encoder.block.0.layer.1.DenseReluDense",),
        "bfloat16",
    ),
    Fault(
        CONVNEXT,
        "a norm in float16",
        Source(
            "LayerNorm",
            "weight=self.weight, bias=self.bias)",
            "weight=self.weight, bias=self.bias).to(flow.float16).to(x.dtype)",
        ),
        ("stages.0.blocks.0.norm",),
        "float16",
    ),
    Fault(
        LEVIT,
        "the mean of both heads not halved",
        Source("LevitDistilled", "(x_2 + x_dist) / 2", "x_2 + x_dist"),
        ("",),
        "scale",
    ),
    Fault(
        LEVIT,
        "every second row from the second on",
        Source("Downsample", "x[:, ::2]\n", "x[:, 1::2]\n"),
        ("stages.1.downsample.attn_downsample.q.down",),
        "order",
    ),
    Fault(
        LEVIT,
        "an attention scaled by its square",
        Source("Attention2", "* 0.25", "* 0.0625"),
        ("stages.1.blocks.0.attn",),
        "scale",
        beyond="in eval mode, in which layers were recorded, it changes what the attention gives by 5e-10; in training "
        "it shows in the statistics of the next batch norm",
    ),
    Fault(
        LEVIT,
        "biases of an attention at other positions",
        Source("Attention2", "[:, self.attention_bias_idxs]", "[:, 3 - self.attention_bias_idxs]"),
        ("stages.1.blocks.0.attn",),
        "order|axis",
    ),
    Fault(
        LEVIT,
        "relu for hardswish",
        Source("Stem16", "self.act1 = nn.Hardswish()", "self.act1 = nn.ReLU()"),
        ("stem.act1",),
        ACTIVATION,
    ),
    Fault(
        LEVIT,
        "the eps of a BatchNorm 1e-3 for 1e-5",
        Source("NormLinear", "nn.BatchNorm1d(384)", "nn.BatchNorm1d(384, eps=0.001)"),
        ("head.bn",),
        EPS,
    ),
    # -- training ----------------------------------------------------------------------------------------------
    Fault(
        RESNET,
        "momentum of a BatchNorm 0.01 for 0.1",
        Built("model.layer4[1].bn1.momentum = 0.01"),
        ("layer4.1.bn1",),
        "momentum",
    ),
    Fault(
        MOBILENET,
        "momentum of all BatchNorm 0.1 for 0.01",
        Source("Conv2dNormActivation3", ", momentum=0.01", ""),
        ("features.1.block.2.1",),
        "momentum",
    ),
    Fault(
        MOBILENET,
        "a frozen BatchNorm",
        Built("model.features[5].block[1][1].eval().train = lambda mode=True: None"),
        ("features.5.block.1.1",),
        "frozen",
    ),
    Fault(
        CONVNEXT,
        "a shortcut detached",
        Source("ConvNeXtBlock", "x + shortcut", "x + shortcut.detach()"),
        ("stages.0.blocks.0",),
        GRADIENT,
    ),
    Fault(
        BERT,
        "an attention without gradient",
        Source(
            "BertAttention",
            "self.self(hidden_states, attention_mask)",
            "self.self(hidden_states, attention_mask).detach()",
        ),
        ("bert.encoder.layer.0.attention",),
        GRADIENT,
    ),
    Fault(
        LLAMA,
        "a parameter without gradient",
        Built("model.model.layers[1].input_layernorm.weight.requires_grad_(False)"),
        ("model.layers.1.input_layernorm",),
        "frozen",
    ),
    Fault(
        GPT2,
        "tied weights that are not tied",
        Source("GPT2LMHeadModel", "self.lm_head.weight = self.transformer.wte.weight", "pass"),
        ("transformer.wte", "lm_head", ""),
        "tied",
        "the weight has two owners, and the model ties them",
    ),
    Fault(
        BERT,
        "a gradient halved in the residual",
        Source(
            "BertOutput",
            "hidden_states + input_tensor",
            "hidden_states + input_tensor * 0.5 + input_tensor.detach() * 0.5",
        ),
        ("bert.encoder.layer.0.output",),
        GRADIENT,
    ),
    Fault(GPT2, "AdamW without weight decay", Optimizer("AdamW", "weight_decay=0.0"), ("",), OPTIMIZER),
    Fault(BERT, "AdamW with another eps", Optimizer("AdamW", "eps=1e-8"), ("",), OPTIMIZER),
    Fault(LLAMA, "AdamW with another learning rate", Optimizer("AdamW", "lr=2.0**-10 * 1.001"), ("",), OPTIMIZER),
    Fault(
        T5,
        "AdamW with other betas and no correction of the first step",
        Optimizer("AdamW", "betas=(0.9, 0.999), do_bias_correction=False"),
        ("",),
        OPTIMIZER,
    ),
    Fault(CONVNEXT, "Adam for AdamW", Optimizer("AdamW", "", "Adam"), ("",), OPTIMIZER),
    Fault(SQUEEZENET, "SGD with another learning rate", Optimizer("SGD", "lr=0.01"), ("",), OPTIMIZER),
    Fault(BERT, "SGD with weight decay", Optimizer("SGD", "weight_decay=1e-4"), ("",), OPTIMIZER),
)
