"""Wrote models.json: the names and shapes of LiBai's own models, small ones, built with OneFlow 0.9.0 on a CPU.

    PYTHONPATH=LIBAI .venv/bin/python tests/scale/libai/make_models.py > tests/scale/libai/models.json

LIBAI is a checkout of LiBai (its main branch), beside which omegaconf, hydra-core, termcolor, dill, scipy, nltk, boto3,
regex, sentencepiece, wget, cloudpickle, portalocker and what they need are installed.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from torch2flow.runtime import import_oneflow

HEADS, HIDDEN, INNER, LAYERS, VOCABULARY = 4, 32, 64, 2, 50
COMMON = {
    "hidden_layers": LAYERS, "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "num_attention_heads": HEADS,
    "layernorm_eps": 1e-5, "layernorm_epsilon": 1e-5, "initializer_range": 0.02, "amp_enabled": False,
    "use_scaled_init_for_output_weights": False, "bias_gelu_fusion": False, "bias_dropout_fusion": False,
    "scale_mask_softmax_fusion": False, "apply_query_key_layer_scaling": False, "apply_residual_post_layernorm": False,
    "embedding_dropout_prob": 0.0, "attention_dropout_prob": 0.0, "output_dropout_prob": 0.0,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "max_position_embeddings": 64,
    "intermediate_size": INNER,
}  # fmt: skip


def build(name: str) -> Any:
    """One of LiBai's models."""
    from libai.models import bert_model, gpt_model, roberta_model, vision_transformer
    from libai.models.swin_transformer import SwinTransformer
    from libai.models.swin_transformer_v2 import SwinTransformerV2
    from omegaconf import DictConfig
    from projects.Llama.llama import LlamaForCausalLM
    from projects.T5.models.t5_model import T5Model

    def cfg(**more: Any) -> Any:
        return DictConfig({**COMMON, **more})

    t5 = {
        "head_size": 8,
        "layernorm_eps": 1e-6,
        "relative_attention_num_buckets": 32,
        "padding_idx": 0,
        "is_encoder_decoder": True,
    }
    bert = {"num_tokentypes": 2, "add_pooling_layer": True, "add_binary_head": True}
    bert["apply_residual_post_layernorm"] = True
    if name == "gpt2":
        # Without the fusion, LiBai's GPT has no causal mask.
        causal = {"scale_mask_softmax_fusion": True, "apply_query_key_layer_scaling": True}
        return gpt_model.GPTForPreTraining(cfg(ffn_hidden_size=4 * HIDDEN, max_seq_length=64, **causal))
    if name == "bert":
        return bert_model.BertForPreTraining(cfg(**bert))
    if name == "roberta":
        return roberta_model.RobertaForPreTraining(
            cfg(**{**bert, "num_tokentypes": 1, "add_pooling_layer": False}, pad_token_id=1)
        )
    if name == "llama":
        return LlamaForCausalLM(cfg(rms_norm_eps=1e-5, hidden_act="silu"))
    if name in ("t5", "mt5"):
        return T5Model(cfg(**t5, model_type=name, tie_word_embeddings=name == "t5"))
    if name == "vit":
        return vision_transformer.VisionTransformer(
            img_size=32, patch_size=8, embed_dim=HIDDEN, depth=LAYERS, num_heads=HEADS, mlp_ratio=2.0, num_classes=10
        )
    return {"swin": SwinTransformer, "swinv2": SwinTransformerV2}[name](
        img_size=32, patch_size=2, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4, num_classes=10
    )


def main() -> None:
    """Prints all."""
    import_oneflow()
    from libai.utils import distributed
    from omegaconf import DictConfig

    distributed.setup_dist_util(
        DictConfig(
            {"data_parallel_size": 1, "tensor_parallel_size": 1, "pipeline_parallel_size": 1, "device_type": "cpu"}
        )
    )
    found = {}
    for name in ("gpt2", "bert", "roberta", "llama", "t5", "mt5", "vit", "swin", "swinv2"):
        try:
            state = build(name).state_dict()
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        found[name] = {key: list(tensor.shape) for key, tensor in state.items()}
    print(json.dumps(found, indent=0))


if __name__ == "__main__":
    main()
