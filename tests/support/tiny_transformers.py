"""Runs in the environment with today's PyTorch: writes tiny models of transformers as folders, and captures them.

    python tiny_transformers.py OUT NAME...

For each name: OUT/NAME, the folder; and by what follows the name, OUT/NAME.pt2 with its weights (`whole`), without
(`without`), or of the step that takes keys and values (`step`), for which OUT/NAME.json has the tokens of `generate`.
Where there is an encoder, OUT/NAME_encoder.pt2 is that, and OUT/NAME.npy what it reads.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

nms = torch.library.Library("torchvision", "DEF")  # today's torchvision has no build for today's PyTorch here
nms.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import numpy as np  # noqa: E402
import transformers  # noqa: E402

from torch2flow.proof.capture import without_weights  # noqa: E402
from torch2flow.proof.capture.request import capture_named  # noqa: E402

PROMPT = [[5, 17, 42, 3, 8], [9, 1, 30, 64, 2]]

SIZES: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "vocab_size": 96, "max_position_embeddings": 64,
}  # fmt: skip
HEADS: dict[str, Any] = {**SIZES, "num_key_value_heads": 2}
SEQ2SEQ: dict[str, Any] = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "vocab_size": 96,
    "forced_eos_token_id": None,
}  # fmt: skip
SPEECH = {"num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 64, "suppress_tokens": None,
          "begin_suppress_tokens": None, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
          "decoder_start_token_id": 3}  # fmt: skip
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
        "d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 2, "num_heads": 4, "vocab_size": 96,
        "decoder_start_token_id": 0}, "float32"),
    "bart": ("BartForConditionalGeneration", "BartConfig", {**SEQ2SEQ, "max_position_embeddings": 64}, "float32"),
    "whisper": ("WhisperForConditionalGeneration", "WhisperConfig", {**SEQ2SEQ, **SPEECH}, "float32"),
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
            read = torch.randn(2, 8, 40) if name == "whisper" else torch.tensor(PROMPT)
            with torch.no_grad():  # Whisper's own `generate` listens to pieces of half a minute
                ids = transformers.GenerationMixin.generate(
                    model, read, do_sample=False, max_new_tokens=12, eos_token_id=None, pad_token_id=0
                )
            (out / f"{name}.json").write_text(json.dumps(ids.tolist()))
            if model.config.is_encoder_decoder:
                np.save(out / f"{name}.npy", read.numpy())
                part = "encoder" if name == "t5" else "model.encoder"
                capture_named(str(out / name), [], out / f"{name}_encoder.pt2", part=part)
        for each in ("whole", "without") if how == "both" else (how,):
            target = pt2.with_name(f"{name}_whole.pt2") if how == "both" and each == "whole" else pt2
            capture_named(str(out / name), [], target, cache=each == "step", without_weights=each == "without")


main()
