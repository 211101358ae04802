"""torchvision's models that are prepared for quantization and not yet quantized: float models under other names."""

from dataclasses import replace

from torch2flow.zoo.families import inception, plain
from torch2flow.zoo.twins import Repair, Twin

NAMES = """
mobilenet_v2 mobilenet_v3_large resnet18 resnet50 resnext101_32x8d resnext101_64x4d shufflenet_v2_x0_5
shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 googlenet inception_v3
"""

RELU = Repair(
    "for block in model.modules():\n"
    "        for name, child in list(block.named_children()):\n"
    "            if isinstance(child, nn.ReLU6):\n"
    "                setattr(block, name, nn.ReLU())",
    "the quantized MobileNetV2 has ReLU in place of ReLU6",
)


def _quantized(twin: Twin) -> Twin:
    repairs = (RELU,) if twin.name == "mobilenet_v2" else ()
    return replace(twin, name=f"quantized_{twin.name}", repairs=(*twin.repairs, *repairs))


TWINS = tuple(_quantized(twin) for twin in (*plain.TWINS, *inception.TWINS) if twin.name in NAMES.split())
