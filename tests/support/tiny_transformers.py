"""Runs in the environment with today's PyTorch: writes tiny models of transformers as folders, and captures them.

    python tiny_transformers.py OUT NAME...

For each name: OUT/NAME, the folder; and by what follows the name, OUT/NAME.pt2 with its weights (`whole`), without
(`without`), or of the step that takes keys and values (`step`), for which OUT/NAME.json has the tokens of `generate`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

nms = torch.library.Library("torchvision", "DEF")  # today's torchvision has no build for today's PyTorch here
nms.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import transformers  # noqa: E402

from torch2flow.proof.capture import without_weights  # noqa: E402
from torch2flow.proof.capture.request import capture_named  # noqa: E402

PROMPT = [[5, 17, 42, 3, 8], [9, 1, 30, 64, 2]]

SIZES: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "vocab_size": 96, "max_position_embeddings": 64,
}  # fmt: skip
HEADS: dict[str, Any] = {**SIZES, "num_key_value_heads": 2}
GPT2: dict[str, Any] = {"n_embd": 32, "n_layer": 3, "n_head": 4, "vocab_size": 96, "n_positions": 64}

MODELS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", {**HEADS, "tie_word_embeddings": False}, "float32"),
    "llama_half": ("LlamaForCausalLM", "LlamaConfig", {**HEADS, "tie_word_embeddings": True}, "bfloat16"),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", GPT2, "float32"),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", {**HEADS, "tie_word_embeddings": True}, "float32"),
    "mistral": ("MistralForCausalLM", "MistralConfig", {**HEADS, "sliding_window": 6}, "float32"),
    "bert": ("BertForSequenceClassification", "BertConfig", SIZES, "float32"),
    "vit": ("ViTForImageClassification", "ViTConfig", {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "image_size": 16, "patch_size": 8}, "float32"),
    "t5": ("T5ForConditionalGeneration", "T5Config", {
        "d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 2, "num_heads": 4, "vocab_size": 96}, "float32"),
}  # fmt: skip


def save(name: str, folder: Path) -> Any:
    """Writes the folder of a model with random weights, in several shards; returns the model."""
    kind, config, given, dtype = MODELS[name]
    torch.manual_seed(0)
    model = getattr(transformers, kind)(getattr(transformers, config)(**given))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)  # else every token is as likely as any other
    model = model.to(getattr(torch, dtype)).eval()
    model.save_pretrained(folder, max_shard_size="40KB")
    return model


def main() -> None:
    """Writes what the arguments ask for."""
    out = Path(sys.argv[1])
    without_weights.LIMIT = 6000  # several units in models as small as these
    for words in sys.argv[2:]:
        name, how = words.split(":")
        model, pt2 = save(name, out / name), out / f"{name}.pt2"
        if how == "step":
            with torch.no_grad():
                ids = model.generate(
                    torch.tensor(PROMPT), do_sample=False, max_new_tokens=12, eos_token_id=None, pad_token_id=0
                )
            (out / f"{name}.json").write_text(json.dumps(ids.tolist()))
        for each in ("whole", "without") if how == "both" else (how,):
            target = pt2.with_name(f"{name}_whole.pt2") if how == "both" and each == "whole" else pt2
            capture_named(str(out / name), [], target, cache=each == "step", without_weights=each == "without")


main()
