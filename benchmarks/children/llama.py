"""A Llama of about a billion parameters with random weights, for today's PyTorch: `llama.py:llama(layers=18)`."""

from torch import Tensor, dtype, library, nn
from torch import float32 as single

# Only where torchvision comes without its C++ part: it wants this operator declared.
nms = library.Library("torchvision", "FRAGMENT")
nms.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import torch  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402


class Llama(nn.Module):
    """Tokens in, logits out."""

    def __init__(self, layers: int, kind: dtype = single) -> None:
        super().__init__()
        config = LlamaConfig(
            vocab_size=32000, hidden_size=2048, intermediate_size=5504, num_hidden_layers=layers,
            num_attention_heads=16, num_key_value_heads=16, use_cache=False, tie_word_embeddings=False,
        )  # fmt: skip
        self.model = LlamaForCausalLM(config).to(kind)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits for each token."""
        return self.model(input_ids=tokens).logits  # type: ignore[no-any-return]


def llama(layers: int = 18, kind: str = "float32") -> Llama:
    """The model; 18 layers are 1.04 billion parameters."""
    return Llama(layers, getattr(torch, kind))
