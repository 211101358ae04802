"""Writes small random models of PyTorch's transformers as their library publishes them: `make_checkpoints.py FOLDER`.

Beside each of models.json's lies what it computes: the inputs and outputs of a forward, for scripts/libai_forward.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import transformers as t

import scripts.models  # noqa: F401 - without it, torchvision does not import where its operators are missing

HEADS, HIDDEN, INNER, LAYERS, VOCABULARY = 4, 32, 64, 2, 50
BERT = {
    "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "intermediate_size": INNER, "max_position_embeddings": 64, "layer_norm_eps": 1e-5,
}  # fmt: skip
T5 = {"vocab_size": VOCABULARY, "d_model": HIDDEN, "d_kv": 8, "d_ff": INNER, "num_layers": LAYERS, "num_heads": HEADS}
WINDOWS = {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}


def build() -> dict[str, Any]:
    """The models, in eval mode."""
    labels = {"num_labels": 10}
    models = {
        "gpt2": t.GPT2LMHeadModel(
            t.GPT2Config(
                n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS, vocab_size=VOCABULARY, n_positions=64,
                activation_function="gelu",  # LiBai's
            )
        ),
        "bert": t.BertForPreTraining(t.BertConfig(**BERT)),
        "roberta": t.RobertaForMaskedLM(t.RobertaConfig(**BERT, type_vocab_size=1)),
        "llama": t.LlamaForCausalLM(
            t.LlamaConfig(
                hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                vocab_size=VOCABULARY, max_position_embeddings=64, rms_norm_eps=1e-5,
            )
        ),
        "t5": t.T5ForConditionalGeneration(t.T5Config(**T5)),
        "mt5": t.MT5ForConditionalGeneration(t.MT5Config(**T5, tie_word_embeddings=False)),
        "vit": t.ViTForImageClassification(
            t.ViTConfig(
                hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=INNER,
                image_size=32, patch_size=8, layer_norm_eps=1e-6, **labels,
            )
        ),
        "swin": t.SwinForImageClassification(t.SwinConfig(**WINDOWS, **labels)),
        "swinv2": t.Swinv2ForImageClassification(t.Swinv2Config(**WINDOWS, **labels)),
    }  # fmt: skip
    return {name: model.eval() for name, model in models.items()}


def main(folder: str) -> None:
    """Writes them."""
    torch.manual_seed(0)
    ids = torch.randint(1, VOCABULARY, (2, 12))
    for name, model in build().items():
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, 0.3)
            model.save_pretrained(Path(folder) / name)
            if name in ("vit", "swin", "swinv2"):
                given = {"pixel_values": torch.randn(2, 3, 32, 32)}
            else:
                given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            if name in ("t5", "mt5"):
                given["decoder_input_ids"] = ids.flip(0)
            found = model(**given)
        logits = found[0] if name != "bert" else found.prediction_logits
        torch.save({**given, "logits": logits}, Path(folder) / f"{name}.forward.pth")


if __name__ == "__main__":
    main(sys.argv[1])
