"""Names of LiBai's models and of the same models in PyTorch's transformers, a rule for each kind of weight.

Learned from LiBai's own loaders and models, which are named beside each family (the main branch of 2024); LiBai's own
loaders read everything on rank 0, turn bfloat16 into float16, and know only this direction.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch2flow.scale.libai.rules import LAYOUTS, WeightRule


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of model.

    Attributes:
        rules: in which the first that matches counts; `{last}` is the number of the last layer.
        prefix: names of PyTorch's without it are understood to have it: those of a model without a head.
        layers: template of the names in a layer, on LiBai's side and on PyTorch's, where `{last}` is needed.
        left_out: templates of names of PyTorch's that LiBai's model does not have, and need not.
        flow_only: templates of names of LiBai's that are constants, and that PyTorch's side does not have.
        tied: a name of PyTorch's that a file lacks where it is tied to the other; LiBai has both.
    """

    rules: tuple[WeightRule, ...]
    prefix: str = ""
    layers: tuple[str, str] = ("", "")
    left_out: tuple[str, ...] = ()
    flow_only: tuple[str, ...] = ()
    tied: tuple[str, str] | None = None

    @property
    def by_heads(self) -> bool:
        """Whether some rule needs the number of attention heads."""
        return any(LAYOUTS[rule.layout].heads for rule in self.rules)


def _rule(libai: str, *torch: str, layout: str = "") -> WeightRule:
    return WeightRule(libai, torch, layout)


def _encoder(prefix: str) -> tuple[WeightRule, ...]:
    """The rules of BERT. LiBai has the LayerNorm that ends a layer in PyTorch at the beginning of the next layer."""
    ours, theirs = f"{prefix}.encoders.{{i}}", f"{prefix}.encoder.layer.{{i}}"
    return (
        _rule(f"{prefix}.embeddings.vocab_embeddings.weight", f"{prefix}.embeddings.word_embeddings.weight",
              layout="vocabulary"),
        _rule(f"{prefix}.embeddings.position_embeddings.weight", f"{prefix}.embeddings.position_embeddings.weight"),
        _rule(f"{prefix}.embeddings.tokentype_embeddings.weight", f"{prefix}.embeddings.token_type_embeddings.weight"),
        _rule(f"{prefix}.encoders.0.input_layernorm.{{rest}}", f"{prefix}.embeddings.LayerNorm.{{rest}}"),
        _rule(f"{prefix}.final_layernorm.{{rest}}", f"{prefix}.encoder.layer.{{last}}.output.LayerNorm.{{rest}}"),
        _rule(f"{prefix}.encoders.{{i+1}}.input_layernorm.{{rest}}", f"{theirs}.output.LayerNorm.{{rest}}"),
        _rule(f"{ours}.self_attention.query_key_value.{{rest}}",
              *(f"{theirs}.attention.self.{name}.{{rest}}" for name in ("query", "key", "value")), layout="heads"),
        _rule(f"{ours}.self_attention.dense.{{rest}}", f"{theirs}.attention.output.dense.{{rest}}"),
        _rule(f"{ours}.post_attention_layernorm.{{rest}}", f"{theirs}.attention.output.LayerNorm.{{rest}}"),
        _rule(f"{ours}.mlp.dense_h_to_4h.{{rest}}", f"{theirs}.intermediate.dense.{{rest}}"),
        _rule(f"{ours}.mlp.dense_4h_to_h.{{rest}}", f"{theirs}.output.dense.{{rest}}"),
        _rule(f"{prefix}.pooler.dense.{{rest}}", f"{prefix}.pooler.dense.{{rest}}"),
    )  # fmt: skip


def _swin(prefix: str) -> tuple[WeightRule, ...]:
    """The rules that Swin and Swin v2 share."""
    ours, theirs = "layers.{i}.blocks.{j}", f"{prefix}.encoder.layers.{{i}}.blocks.{{j}}"
    return (
        _rule("patch_embed.proj.{rest}", f"{prefix}.embeddings.patch_embeddings.projection.{{rest}}"),
        _rule("patch_embed.norm.{rest}", f"{prefix}.embeddings.norm.{{rest}}"),
        _rule(f"{ours}.norm1.{{rest}}", f"{theirs}.layernorm_before.{{rest}}"),
        _rule(f"{ours}.norm2.{{rest}}", f"{theirs}.layernorm_after.{{rest}}"),
        _rule(f"{ours}.attn.proj.{{rest}}", f"{theirs}.attention.output.dense.{{rest}}"),
        _rule(f"{ours}.mlp.dense_h_to_4h.{{rest}}", f"{theirs}.intermediate.dense.{{rest}}"),
        _rule(f"{ours}.mlp.dense_4h_to_h.{{rest}}", f"{theirs}.output.dense.{{rest}}"),
        _rule("layers.{i}.downsample.{rest}", f"{prefix}.encoder.layers.{{i}}.downsample.{{rest}}"),
        _rule("norm.{rest}", f"{prefix}.layernorm.{{rest}}"),
        _rule("head.{rest}", "classifier.{rest}"),
    )


def _t5(*others: WeightRule, left_out: tuple[str, ...] = (), tied: tuple[str, str] | None = None) -> Family:
    """The rules of T5, after `projects/MT5/utils/mt5_loader.py` and `projects/T5/models/`."""
    rules = [
        _rule("embedding.word_embeddings.weight", "shared.weight", layout="vocabulary"),
    ]
    for side in ("encoder", "decoder"):
        ours, theirs = f"{side}.layers.{{i}}", f"{side}.block.{{i}}"
        rules += [
            _rule(f"{side}.layers.0.self_attention.relative_attention_bias.weight",
                  f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
            _rule(f"{ours}.self_attention.query_key_value.weight",
                  *(f"{theirs}.layer.0.SelfAttention.{name}.weight" for name in "qkv"), layout="heads"),
            _rule(f"{ours}.self_attention.dense.weight", f"{theirs}.layer.0.SelfAttention.o.weight"),
            _rule(f"{ours}.input_layernorm.weight", f"{theirs}.layer.0.layer_norm.weight"),
            _rule(f"{ours}.post_attention_layernorm.weight", f"{theirs}.layer.1.layer_norm.weight"),
            _rule(f"{side}.final_layernorm.weight", f"{side}.final_layer_norm.weight"),
        ]  # fmt: skip
    cross = "decoder.block.{i}.layer.1.EncDecAttention"
    rules += [
        _rule("decoder.layers.{i}.post_cross_attention_layernorm.weight",
              "decoder.block.{i}.layer.2.layer_norm.weight"),
        _rule("decoder.layers.{i}.cross_attention.query.weight", f"{cross}.q.weight"),
        _rule("decoder.layers.{i}.cross_attention.key_value.weight", f"{cross}.k.weight", f"{cross}.v.weight",
              layout="heads of two"),
        _rule("decoder.layers.{i}.cross_attention.dense.weight", f"{cross}.o.weight"),
    ]  # fmt: skip
    # Both embeddings are the shared one. What Google published has a bias that no T5 uses, and transformers ignores it
    # too: `_keys_to_ignore_on_load_unexpected` of its models/t5/modeling_t5.py and models/mt5/modeling_mt5.py (5.24).
    unused = (
        "encoder.embed_tokens.weight", "decoder.embed_tokens.weight",
        "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
    )  # fmt: skip
    return Family((*rules, *others), left_out=(*unused, *left_out), tied=tied)


def _wide(name: str, other: str) -> tuple[WeightRule, ...]:
    """The rule of one matrix of T5's feed-forward block, which is the second or the third part of a layer."""
    return (
        _rule(f"encoder.layers.{{i}}.mlp.{name}.weight", f"encoder.block.{{i}}.layer.1.DenseReluDense.{other}.weight"),
        _rule(f"decoder.layers.{{i}}.mlp.{name}.weight", f"decoder.block.{{i}}.layer.2.DenseReluDense.{other}.weight"),
    )


_GPT, _GPT_TORCH = "GPT_model.transformer.layers.{i}", "transformer.h.{i}"
_VIT, _VIT_TORCH = "blocks.{i}", "vit.encoder.layer.{i}"
_SWIN, _SWIN_TORCH = "layers.{i}.blocks.{j}", "swin.encoder.layers.{i}.blocks.{j}"
_SWIN2_TORCH = "swinv2.encoder.layers.{i}.blocks.{j}"

FAMILIES: dict[str, Family] = {
    # libai/models/gpt_model.py, libai/models/utils/model_loader/gpt_loader.py
    "gpt2": Family(
        (
            _rule("GPT_model.embeddings.token_embeddings.weight", "transformer.wte.weight", layout="vocabulary"),
            _rule("GPT_model.embeddings.position_embeddings.weight", "transformer.wpe.weight"),
            _rule(f"{_GPT}.input_layernorm.{{rest}}", f"{_GPT_TORCH}.ln_1.{{rest}}"),
            _rule(f"{_GPT}.post_attention_layernorm.{{rest}}", f"{_GPT_TORCH}.ln_2.{{rest}}"),
            _rule(f"{_GPT}.self_attention.query_key_value.{{rest}}", f"{_GPT_TORCH}.attn.c_attn.{{rest}}",
                  layout="heads, turned"),
            _rule(f"{_GPT}.self_attention.dense.{{rest}}", f"{_GPT_TORCH}.attn.c_proj.{{rest}}", layout="turned"),
            _rule(f"{_GPT}.mlp.dense_h_to_4h.{{rest}}", f"{_GPT_TORCH}.mlp.c_fc.{{rest}}", layout="turned"),
            _rule(f"{_GPT}.mlp.dense_4h_to_h.{{rest}}", f"{_GPT_TORCH}.mlp.c_proj.{{rest}}", layout="turned"),
            _rule("GPT_model.transformer.layernorm_f.{rest}", "transformer.ln_f.{rest}"),
        ),
        prefix="transformer.",
        # The head is the embedding; the masks are made anew.
        left_out=("lm_head.weight", "transformer.h.{i}.attn.bias", "transformer.h.{i}.attn.masked_bias"),
    ),
    # libai/models/bert_model.py, libai/models/utils/model_loader/bert_loader.py
    "bert": Family(
        (
            *_encoder("bert"),
            _rule("cls_head.lm_logits.bias", "cls.predictions.bias", layout="vocabulary"),
            _rule("cls_head.predictions.dense.{rest}", "cls.predictions.transform.dense.{rest}"),
            _rule("cls_head.predictions.layernorm.{rest}", "cls.predictions.transform.LayerNorm.{rest}"),
            _rule("cls_head.seq_relationship.{rest}", "cls.seq_relationship.{rest}"),
        ),
        prefix="bert.",
        layers=("bert.encoders.{i}.{rest}", "bert.encoder.layer.{i}.{rest}"),
        left_out=("bert.embeddings.position_ids", "cls.predictions.decoder.{rest}"),
    ),
    # libai/models/roberta_model.py, libai/models/utils/model_loader/roberta_loader.py
    "roberta": Family(
        (
            *_encoder("roberta"),
            _rule("lm_head.lm_logits.bias", "lm_head.bias", layout="vocabulary"),
            _rule("lm_head.dense.{rest}", "lm_head.dense.{rest}"),
            _rule("lm_head.layernorm.{rest}", "lm_head.layer_norm.{rest}"),
        ),
        prefix="roberta.",
        layers=("roberta.encoders.{i}.{rest}", "roberta.encoder.layer.{i}.{rest}"),
        left_out=("roberta.embeddings.position_ids", "lm_head.decoder.{rest}"),
    ),
    # projects/Llama/llama.py, projects/Llama/utils/llama_loader.py
    "llama": Family(
        (
            _rule("model.layers.{i}.self_attn.query_key_value.weight",
                  *(f"model.layers.{{i}}.self_attn.{name}_proj.weight" for name in "qkv"), layout="heads"),
            _rule("model.embed_tokens.weight", "model.embed_tokens.weight", layout="vocabulary"),
            _rule("lm_head.weight", "lm_head.weight", layout="vocabulary"),
            # No name for all: Qwen's biases and Mixtral's experts are beside the same names, and LiBai's has neither.
            *(_rule(f"model.layers.{{i}}.{name}.weight", f"model.layers.{{i}}.{name}.weight")
              for name in ("self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm",
                           "post_attention_layernorm")),
            _rule("model.norm.weight", "model.norm.weight"),
        ),
        left_out=("model.layers.{i}.self_attn.rotary_emb.inv_freq",),
        flow_only=("model.cos_cached", "model.sin_cached"),
        tied=("lm_head.weight", "model.embed_tokens.weight"),
    ),
    # In LiBai T5's head is the embedding, mT5's is not.
    "t5": _t5(*_wide("dense_h_to_4h", "wi"), *_wide("dense_4h_to_h", "wo"), left_out=("lm_head.weight",)),
    "mt5": _t5(*_wide("wi_0", "wi_0"), *_wide("wi_1", "wi_1"), *_wide("wo", "wo"),
               _rule("lm_head.weight", "lm_head.weight", layout="vocabulary"),
               tied=("lm_head.weight", "shared.weight")),
    # libai/models/vision_transformer.py, libai/models/utils/model_loader/vit_loader.py
    "vit": Family(
        (
            _rule("cls_token", "vit.embeddings.cls_token"),
            _rule("pos_embed", "vit.embeddings.position_embeddings"),
            _rule("patch_embed.proj.{rest}", "vit.embeddings.patch_embeddings.projection.{rest}"),
            _rule(f"{_VIT}.input_layernorm.{{rest}}", f"{_VIT_TORCH}.layernorm_before.{{rest}}"),
            _rule(f"{_VIT}.post_attention_layernorm.{{rest}}", f"{_VIT_TORCH}.layernorm_after.{{rest}}"),
            _rule(f"{_VIT}.self_attention.query_key_value.{{rest}}",
                  *(f"{_VIT_TORCH}.attention.attention.{name}.{{rest}}" for name in ("query", "key", "value")),
                  layout="heads"),
            _rule(f"{_VIT}.self_attention.dense.{{rest}}", f"{_VIT_TORCH}.attention.output.dense.{{rest}}"),
            _rule(f"{_VIT}.mlp.dense_h_to_4h.{{rest}}", f"{_VIT_TORCH}.intermediate.dense.{{rest}}"),
            _rule(f"{_VIT}.mlp.dense_4h_to_h.{{rest}}", f"{_VIT_TORCH}.output.dense.{{rest}}"),
            _rule("norm.{rest}", "vit.layernorm.{rest}"),
            _rule("head.{rest}", "classifier.{rest}"),
        ),
        prefix="vit.",
        left_out=("vit.pooler.dense.{rest}",),
    ),
    # libai/models/swin_transformer.py, libai/models/utils/model_loader/swin_loader.py
    "swin": Family(
        (
            *_swin("swin"),
            _rule(f"{_SWIN}.attn.relative_position_bias_table",
                  f"{_SWIN_TORCH}.attention.self.relative_position_bias_table"),
            _rule(f"{_SWIN}.attn.qkv.{{rest}}",
                  *(f"{_SWIN_TORCH}.attention.self.{name}.{{rest}}" for name in ("query", "key", "value")),
                  layout="one below the other"),
        ),
        prefix="swin.",
        left_out=(f"{_SWIN_TORCH}.attention.self.relative_position_index",),
        flow_only=(f"{_SWIN}.attn.relative_position_index", f"{_SWIN}.attn_mask"),
    ),
    # libai/models/swin_transformer_v2.py, libai/models/utils/model_loader/swinv2_loader.py
    "swinv2": Family(
        (
            *_swin("swinv2"),
            # Keys have no bias, so those of queries and values are not put together.
            _rule(f"{_SWIN}.attn.qkv.weight",
                  *(f"{_SWIN2_TORCH}.attention.self.{name}.weight" for name in ("query", "key", "value")),
                  layout="one below the other"),
            _rule(f"{_SWIN}.attn.q_bias", f"{_SWIN2_TORCH}.attention.self.query.bias"),
            _rule(f"{_SWIN}.attn.v_bias", f"{_SWIN2_TORCH}.attention.self.value.bias"),
            _rule(f"{_SWIN}.attn.logit_scale", f"{_SWIN2_TORCH}.attention.self.logit_scale", layout="for a batch"),
            _rule(f"{_SWIN}.attn.cpb_mlp.{{rest}}",
                  f"{_SWIN2_TORCH}.attention.self.continuous_position_bias_mlp.{{rest}}"),
        ),
        prefix="swinv2.",
        left_out=tuple(f"{_SWIN2_TORCH}.attention.self.relative_{name}" for name in ("coords_table", "position_index")),
        flow_only=(*(f"{_SWIN}.attn.relative_{name}" for name in ("coords_table", "position_index")),
                   f"{_SWIN}.attn_mask"),
    ),
}  # fmt: skip
