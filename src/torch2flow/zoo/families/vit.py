"""torchvision's VisionTransformer. flowvision has the same layers under timm's names."""

import math
from dataclasses import replace

from torch2flow.checkpoints.names.templates import Keys
from torch2flow.zoo.twins import Tensors, Twin

BLOCK = "encoder.layers.encoder_layer_{i}"

KEYS = Keys(
    ("class_token", "cls_token"),
    ("encoder.pos_embedding", "pos_embed"),
    ("conv_proj.{name}", "patch_embed.proj.{name}"),
    (f"{BLOCK}.ln_1.{{name}}", "blocks.{i}.norm1.{name}"),
    (f"{BLOCK}.ln_2.{{name}}", "blocks.{i}.norm2.{name}"),
    (f"{BLOCK}.self_attention.in_proj_{{name}}", "blocks.{i}.attn.qkv.{name}"),
    (f"{BLOCK}.self_attention.out_proj.{{name}}", "blocks.{i}.attn.proj.{name}"),
    (f"{BLOCK}.mlp.0.{{name}}", "blocks.{i}.mlp.fc1.{name}"),
    (f"{BLOCK}.mlp.3.{{name}}", "blocks.{i}.mlp.fc2.{name}"),
    ("encoder.ln.{name}", "norm.{name}"),
    ("heads.head.{name}", "head.{name}"),
)

FILES = Keys(
    (f"{BLOCK}.mlp.linear_1.{{name}}", f"{BLOCK}.mlp.0.{{name}}"),
    (f"{BLOCK}.mlp.linear_2.{{name}}", f"{BLOCK}.mlp.3.{{name}}"),
)
"""`MLPBlock._load_from_state_dict`: files of version 1."""


SIZES = {
    "vit_b_16": (16, 768, 12, 12),
    "vit_b_32": (32, 768, 12, 12),
    "vit_l_16": (16, 1024, 24, 16),
    "vit_l_32": (32, 1024, 24, 16),
    "vit_h_14": (14, 1280, 32, 16),
}
"""Patch size, width, depth and number of heads of each model."""


def fitted(twin: Twin, tensors: Tensors, weights: str) -> Twin:
    """The twin for the image size of the checkpoint: flowvision's class, since its functions do not take a size."""
    patch, width, depth, heads = SIZES[twin.name]
    embedding = tensors.get("encoder.pos_embedding")
    places = embedding.shape[1] - 1 if embedding is not None else (224 // patch) ** 2
    size = math.isqrt(places) * patch
    if size == 224 and twin.name != "vit_h_14":
        return twin
    arguments = (f"img_size={size}", f"patch_size={patch}", f"embed_dim={width}", f"depth={depth}")
    return replace(
        twin,
        twin="VisionTransformer",
        module="flowvision.models.vision_transformer",
        arguments=(*arguments, f"num_heads={heads}"),
    )


NAMES = {
    "vit_b_16": "vit_base_patch16_224",
    "vit_b_32": "vit_base_patch32_224",
    "vit_l_16": "vit_large_patch16_224",
    "vit_l_32": "vit_large_patch32_224",
    "vit_h_14": "VisionTransformer",  # vit_huge_patch14_224 is built for images of 384
}

TWINS = tuple(
    Twin(name, twin, keys=KEYS, older=FILES, settle=fitted, head="heads.head.weight") for name, twin in NAMES.items()
)
