"""All models of torchvision 0.27: classification, segmentation, video, optical flow, and what exports of detection."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torchvision.models
from torch import Tensor, nn

from scripts.models.catalogue import Model

IMAGE = "float32[batch,3,64,64]"
LARGER = "float32[batch,3,96,96]"  # inception needs 75, efficientnet and regnet still have 3 x 3 in the end
CLIP = "float32[batch,3,8,64,64]"

CLASSIFIERS = """
alexnet convnext_tiny convnext_small convnext_base convnext_large densenet121 densenet161 densenet169 densenet201
efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
efficientnet_b7 efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3
mobilenet_v2 mobilenet_v3_small mobilenet_v3_large regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf
regnet_x_8gf regnet_x_16gf regnet_x_32gf regnet_y_400mf regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf
regnet_y_16gf regnet_y_32gf regnet_y_128gf resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d
resnext101_32x8d resnext101_64x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0
squeezenet1_0 squeezenet1_1 swin_t swin_s swin_b swin_v2_t swin_v2_s swin_v2_b vgg11 vgg11_bn vgg13 vgg13_bn vgg16
vgg16_bn vgg19 vgg19_bn wide_resnet50_2 wide_resnet101_2
quantized_mobilenet_v2 quantized_mobilenet_v3_large quantized_resnet18 quantized_resnet50 quantized_resnext101_32x8d
quantized_resnext101_64x4d quantized_shufflenet_v2_x0_5 quantized_shufflenet_v2_x1_0 quantized_shufflenet_v2_x1_5
quantized_shufflenet_v2_x2_0
"""
"""Those that take images of 64 x 64. The `quantized_` ones are the float models that quantisation starts from."""

OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "googlenet": ({"init_weights": False}, IMAGE),
    "inception_v3": ({"init_weights": False}, LARGER),
    "quantized_googlenet": ({"init_weights": False}, IMAGE),
    "quantized_inception_v3": ({"init_weights": False}, LARGER),
    "maxvit_t": ({}, "float32[batch,3,224,224]"),
    "vit_b_16": ({"image_size": 64}, IMAGE),
    "vit_b_32": ({"image_size": 64}, IMAGE),
    "vit_l_16": ({"image_size": 64}, IMAGE),
    "vit_l_32": ({"image_size": 64}, IMAGE),
    "vit_h_14": ({"image_size": 56}, "float32[batch,3,56,56]"),
    "r3d_18": ({}, CLIP),
    "mc3_18": ({}, CLIP),
    "r2plus1d_18": ({}, CLIP),
    "s3d": ({}, "float32[batch,3,16,224,224]"),
    "mvit_v1_b": ({}, "float32[batch,3,16,224,224]"),
    "mvit_v2_s": ({}, "float32[batch,3,16,224,224]"),
    "swin3d_t": ({}, CLIP),
    "swin3d_s": ({}, CLIP),
    "swin3d_b": ({}, CLIP),
    "deeplabv3_mobilenet_v3_large": ({}, IMAGE),
    "deeplabv3_resnet50": ({}, IMAGE),
    "deeplabv3_resnet101": ({}, IMAGE),
    "fcn_resnet50": ({"aux_loss": True}, IMAGE),
    "fcn_resnet101": ({}, IMAGE),
    "lraspp_mobilenet_v3_large": ({}, IMAGE),
}
"""Arguments and input of those that need other ones."""

FLOWS = ("raft_large", "raft_small")

DETECTORS = (
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
)

WHOLE_DETECTOR = "detection ends in nms, whose number of results depends on values, and the CPU build lacks it"


class Trunk(nn.Module):
    """A detector as far as its shapes do not depend on values: backbone and dense heads, without nms behind them."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.backbone = detector.backbone
        self.head = detector.rpn.head if hasattr(detector, "rpn") else detector.head

    def forward(self, images: Tensor) -> Any:
        features = self.backbone(images)
        return self.head([features] if isinstance(features, Tensor) else list(features.values()))


def models() -> Iterator[Model]:
    """All of them."""
    for name in CLASSIFIERS.split():
        yield _model(name, {"quantize": False} if name.startswith("quantized_") else {}, (IMAGE,))
    for name, (arguments, given) in OTHERS.items():
        quantized = {"quantize": False} if name.startswith("quantized_") else {}
        yield _model(name, {**arguments, **quantized}, (given,))
    for name in FLOWS:
        image = "float32[batch,3,128,128]:-1..1"
        yield _model(name, {}, (image, image, "num_flow_updates=3"))
    for name in DETECTORS:
        yield Model(f"torchvision/{name}", partial(_build, name), (IMAGE,), skip=WHOLE_DETECTOR)
        size = 300 if name == "ssd300_vgg16" else 128  # its last convolutions shrink 300 to 1
        yield Model(f"torchvision/{name}.trunk", partial(_trunk, name), (f"float32[batch,3,{size},{size}]",))


def _model(name: str, arguments: dict[str, Any], inputs: tuple[str, ...]) -> Model:
    return Model(f"torchvision/{name}", partial(_build, name, **arguments), inputs)


def _build(name: str, **arguments: Any) -> nn.Module:
    # A backbone of its own would be downloaded where weights=None alone is given.
    if "fcn" in name or "deeplab" in name or "lraspp" in name or name in DETECTORS:
        arguments["weights_backbone"] = None
    return torchvision.models.get_model(name, weights=None, **arguments)


def _trunk(name: str) -> nn.Module:
    return Trunk(_build(name))
