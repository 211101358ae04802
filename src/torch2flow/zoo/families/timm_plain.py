"""timm's models whose tensors have the same names in flowvision, and that compute the same."""

from torch2flow.zoo.twins import Twin

SAME_NAME = """
gmlp_ti16_224 gmlp_s16_224 gmlp_b16_224 res2net50_26w_4s res2net101_26w_4s res2net50_26w_6s res2net50_26w_8s
res2net50_48w_2s res2net50_14w_8s vit_tiny_patch16_224 vit_tiny_patch16_384 vit_small_patch32_224 vit_small_patch32_384
vit_small_patch16_224 vit_small_patch16_384 vit_base_patch32_224 vit_base_patch32_384 vit_base_patch16_224
vit_base_patch16_384 vit_base_patch8_224 vit_large_patch32_224 vit_large_patch32_384 vit_large_patch16_224
vit_large_patch16_384 deit_tiny_patch16_224 deit_small_patch16_224 deit_base_patch16_224 deit_base_patch16_384
deit_tiny_distilled_patch16_224 deit_small_distilled_patch16_224 deit_base_distilled_patch16_224
deit_base_distilled_patch16_384 hrnet_w18_small hrnet_w18_small_v2 hrnet_w18 hrnet_w30 hrnet_w32 hrnet_w40 hrnet_w44
hrnet_w48 hrnet_w64
"""

OTHER_NAME = {
    "mixer_s16_224": "mlp_mixer_s16_224",
    "mixer_s32_224": "mlp_mixer_s32_224",
    "mixer_b16_224": "mlp_mixer_b16_224",
    "mixer_b32_224": "mlp_mixer_b32_224",
    "mixer_l16_224": "mlp_mixer_l16_224",
    "mixer_l32_224": "mlp_mixer_l32_224",
    "ghostnet_100": "ghostnet",
    "legacy_senet154": "senet154",
    "legacy_seresnet50": "se_resnet50",
    "legacy_seresnet101": "se_resnet101",
    "legacy_seresnet152": "se_resnet152",
    "legacy_seresnext50_32x4d": "se_resnext50_32x4d",
    "legacy_seresnext101_32x4d": "se_resnext101_32x4d",
    "cait_xs24_384": "cait_XS24_384",
    "cait_s24_224": "cait_S24_224",
    "cait_s24_384": "cait_S24_384",
    "cait_s36_384": "cait_S36_384",
    "cait_m36_384": "cait_M36_384",
    "cait_m48_448": "cait_M48_448",
}

HEADS = {"res2net": "fc.weight", "hrnet": "classifier.weight", "ghostnet": "classifier.weight",
         "legacy": "last_linear.weight"}  # fmt: skip
"""The last layer's weight, by the first word of the name; `head.weight` elsewhere."""

TWINS = tuple(
    Twin(
        name,
        twin,
        library="timm",
        head=next((head for word, head in HEADS.items() if name.startswith(word)), "head.weight"),
    )  # fmt: skip
    for name, twin in {**dict.fromkeys(SAME_NAME.split(), ""), **OTHER_NAME}.items()
    for twin in [twin or name]
)
