"""timm's models whose layers have other names in flowvision: ConvMixer, DeiT III, ResMLP, ConvNeXt, MobileViT."""

from torch2flow.checkpoints.names.templates import Keys
from torch2flow.zoo.twins import Twin

CONVMIXER = Keys(
    ("stem.{i}.{name}", "{i}.{name}"),
    ("blocks.{i}.0.fn.{rest}", "{i+3}.0.fn.{rest}"),
    ("blocks.{i}.{j}.{name}", "{i+3}.{j}.{name}"),
)


def convmixer(depth: int) -> Keys:
    """Rules for ConvMixer. In flowvision all layers are one sequence: stem, blocks, pool, flatten, classifier."""
    return Keys(("head.{name}", f"{depth + 5}.{{name}}"), *((r.torch, r.flow) for r in CONVMIXER.rules))


DEIT3 = Keys(("blocks.{i}.ls{j}.gamma", "blocks.{i}.gamma_{j}"))

RESMLP = Keys(
    ("stem.proj.{name}", "patch_embed.proj.{name}"),
    ("blocks.{i}.ls{j}", "blocks.{i}.gamma_{j}"),
    ("blocks.{i}.norm{j}.{name}", "blocks.{i}.norm{j}.{name}", "leading ones"),
    ("norm.{name}", "norm.{name}", "leading ones"),
    ("blocks.{i}.linear_tokens.{name}", "blocks.{i}.attn.{name}"),
    ("blocks.{i}.mlp_channels.{rest}", "blocks.{i}.mlp.{rest}"),
)

CONVNEXT = Keys(
    ("stem.{j}.{name}", "downsample_layers.0.{j}.{name}"),
    ("stages.{i}.downsample.{j}.{name}", "downsample_layers.{i}.{j}.{name}"),
    ("stages.{i}.blocks.{j}.gamma", "stages.{i}.{j}.gamma"),
    ("stages.{i}.blocks.{j}.conv_dw.{name}", "stages.{i}.{j}.dwconv.{name}"),
    ("stages.{i}.blocks.{j}.norm.{name}", "stages.{i}.{j}.norm.{name}"),
    ("stages.{i}.blocks.{j}.mlp.fc{k}.{name}", "stages.{i}.{j}.pwconv{k}.{name}"),
    ("head.norm.{name}", "norm.{name}"),
    ("head.fc.{name}", "head.{name}"),
)

BLOCK, LAYER = "stages.{i}.{j}", "layer_{i+1}.{j}"

MOBILEVIT = Keys(
    ("stem.conv.{name}", "conv_1.block.conv.{name}"),
    ("stem.bn.{name}", "conv_1.block.norm.{name}"),
    *(
        rule
        for torch, flow in (("conv1_1x1", "exp_1x1"), ("conv2_kxk", "conv_3x3"), ("conv3_1x1", "red_1x1"))
        for rule in (
            (f"{BLOCK}.{torch}.conv.{{name}}", f"{LAYER}.block.{flow}.block.conv.{{name}}"),
            (f"{BLOCK}.{torch}.bn.{{name}}", f"{LAYER}.block.{flow}.block.norm.{{name}}"),
        )
    ),
    (f"{BLOCK}.conv_kxk.conv.{{name}}", f"{LAYER}.local_rep.conv_3x3.block.conv.{{name}}"),
    (f"{BLOCK}.conv_kxk.bn.{{name}}", f"{LAYER}.local_rep.conv_3x3.block.norm.{{name}}"),
    (f"{BLOCK}.conv_1x1.{{name}}", f"{LAYER}.local_rep.conv_1x1.block.conv.{{name}}"),
    *(
        (f"{BLOCK}.transformer.{{k}}.{torch}.{{name}}", f"{LAYER}.global_rep.{{k}}.{flow}.{{name}}")
        for torch, flow in (
            ("norm1", "pre_norm_mha.0"),
            ("attn.qkv", "pre_norm_mha.1.qkv_proj"),
            ("attn.proj", "pre_norm_mha.1.out_proj"),
            ("norm2", "pre_norm_ffn.0"),
            ("mlp.fc1", "pre_norm_ffn.1"),
            ("mlp.fc2", "pre_norm_ffn.4"),
        )
    ),
    # the norm comes after all blocks of a stage: 2, 4 and 3
    *((f"stages.{i}.1.norm.{{name}}", f"layer_{i + 1}.1.global_rep.{n}.{{name}}") for i, n in ((2, 2), (3, 4), (4, 3))),
    (f"{BLOCK}.conv_proj.conv.{{name}}", f"{LAYER}.conv_proj.block.conv.{{name}}"),
    (f"{BLOCK}.conv_proj.bn.{{name}}", f"{LAYER}.conv_proj.block.norm.{{name}}"),
    (f"{BLOCK}.conv_fusion.conv.{{name}}", f"{LAYER}.fusion.block.conv.{{name}}"),
    (f"{BLOCK}.conv_fusion.bn.{{name}}", f"{LAYER}.fusion.block.norm.{{name}}"),
    ("final_conv.conv.{name}", "conv_1x1_exp.block.conv.{name}"),
    ("final_conv.bn.{name}", "conv_1x1_exp.block.norm.{name}"),
    ("head.fc.{name}", "classifier.fc.{name}"),
)

FAMILIES: dict[str, tuple[Keys, str]] = {
    "convmixer_1536_20=convmixer_1536_20": (convmixer(20), "head.weight"),
    "convmixer_768_32=convmixer_768_32_relu": (convmixer(32), "head.weight"),
    "convmixer_1024_20_ks9_p14=convmixer_1024_20": (convmixer(20), "head.weight"),
    **dict.fromkeys(
        (
            f"deit3_{size}_patch{patch}_{pixels}=deit_{size}_patch{patch}_LS_{pixels}"
            for size, patch, pixels in (
                ("small", 16, 224), ("small", 16, 384), ("base", 16, 224), ("base", 16, 384), ("large", 16, 224),
                ("large", 16, 384), ("huge", 14, 224),
            )
        ),
        (DEIT3, "head.weight"),
    ),
    **dict.fromkeys(
        ("resmlp_12_224=resmlp_12_224", "resmlp_24_224=resmlp_24_224", "resmlp_36_224=resmlp_36_224",
         "resmlp_big_24_224=resmlp_big_24_224"), (RESMLP, "head.weight"),
    ),
    **dict.fromkeys(
        ("convnext_base=convnext_base_224", "convnext_large=convnext_large_224",
         "convnext_xlarge=convnext_xlarge_224_22k_to_1k"), (CONVNEXT, "head.fc.weight"),
    ),
    **dict.fromkeys(
        ("mobilevit_s=mobilevit_small", "mobilevit_xs=mobilevit_x_small", "mobilevit_xxs=mobilevit_xx_small"),
        (MOBILEVIT, "head.fc.weight"),
    ),
}  # fmt: skip

TWINS = tuple(
    Twin(names.partition("=")[0], names.partition("=")[2], library="timm", keys=keys, head=head)
    for names, (keys, head) in FAMILIES.items()
)
