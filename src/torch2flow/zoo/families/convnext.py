"""torchvision's ConvNeXt. flowvision uses the names of the original implementation."""

from torch2flow.checkpoints.names.templates import Keys
from torch2flow.zoo.twins import Twin

BLOCK, THERE = "features.{2*i+1}.{j}", "stages.{i}.{j}"

KEYS = Keys(
    (f"{BLOCK}.layer_scale", f"{THERE}.gamma", "trailing ones"),
    (f"{BLOCK}.block.0.{{name}}", f"{THERE}.dwconv.{{name}}"),
    (f"{BLOCK}.block.2.{{name}}", f"{THERE}.norm.{{name}}"),
    (f"{BLOCK}.block.3.{{name}}", f"{THERE}.pwconv1.{{name}}"),
    (f"{BLOCK}.block.5.{{name}}", f"{THERE}.pwconv2.{{name}}"),
    ("features.{2*i}.{j}.{name}", "downsample_layers.{i}.{j}.{name}"),
    ("classifier.0.{name}", "norm.{name}"),
    ("classifier.2.{name}", "head.{name}"),
)

TWINS = tuple(
    Twin(f"convnext_{size}", f"convnext_{size}_224", keys=KEYS, head="classifier.2.weight")
    for size in ("tiny", "small", "base", "large")
)
