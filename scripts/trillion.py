"""A Llama of a trillion parameters: its names and shapes, for the plans of docs/scale.md and their test."""

from __future__ import annotations

HIDDEN, INNER, VOCABULARY, LAYERS = 25600, 87040, 128256, 122


def layer(number: int) -> dict[str, tuple[int, ...]]:
    """The weights of one layer; a key and a value head for every eight heads."""
    kinds: dict[str, tuple[int, ...]] = {
        "input_layernorm.weight": (HIDDEN,),
        "post_attention_layernorm.weight": (HIDDEN,),
        **{f"self_attn.{name}_proj.weight": (HIDDEN, HIDDEN) for name in "qo"},
        **{f"self_attn.{name}_proj.weight": (HIDDEN // 8, HIDDEN) for name in "kv"},
        **{f"mlp.{name}_proj.weight": (INNER, HIDDEN) for name in ("gate", "up")},
        "mlp.down_proj.weight": (HIDDEN, INNER),
    }
    return {f"model.layers.{number}.{name}": shape for name, shape in kinds.items()}


def embeddings() -> dict[str, tuple[int, ...]]:
    """What is not in a layer."""
    return {name: (VOCABULARY, HIDDEN) for name in ("model.embed_tokens.weight", "lm_head.weight")}
