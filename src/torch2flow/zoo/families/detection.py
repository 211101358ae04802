"""Detection: pyramids, heads and masks under older names of torchvision's."""

from dataclasses import replace

from torch2flow.checkpoints.names.templates import Keys
from torch2flow.zoo.twins import Repair, Tensors, Twin

PYRAMID = (
    ("backbone.fpn.inner_blocks.{i}.0.{name}", "backbone.fpn.inner_blocks.{i}.{name}"),
    ("backbone.fpn.layer_blocks.{i}.0.{name}", "backbone.fpn.layer_blocks.{i}.{name}"),
)
PROPOSALS = (("rpn.head.conv.0.0.{name}", "rpn.head.conv.{name}"),)
MASKS = (("roi_heads.mask_head.{i}.0.{name}", "roi_heads.mask_head.mask_fcn{i+1}.{name}"),)
RETINA = tuple(
    (f"head.{head}.conv.{{i}}.0.{{name}}", f"head.{head}.conv.{{2*i}}.{{name}}")
    for head in ("classification_head", "regression_head")
)
NO_EPS = Repair("overwrite_eps(model, 0.0)", "torchvision builds its COCO_V1 weights with frozen norms without eps")
WITHOUT_NMS = "OneFlow 0.9.0 has nms and roi_align on a GPU alone"


def from_older(rules: Keys) -> Keys:
    """Files written before torchvision 0.13 have the same names as flowvision."""
    return Keys(*((rule.flow, rule.torch) for rule in rules.rules))


def fitted(twin: Twin, tensors: Tensors, weights: str) -> Twin:
    """The twin with an eps of 0 in its frozen norms, as torchvision has it for its COCO_V1 weights."""
    if weights != "COCO_V1" or "resnet50" not in twin.name or twin.name.startswith("fcos"):
        return twin
    return replace(twin, repairs=(*twin.repairs, NO_EPS), imports=("det_utils.overwrite_eps",))


def detector(name: str, *rules: tuple[str, str], head: str = "", differs: str = "") -> Twin:
    """A pair of detectors with these rules for names."""
    return Twin(
        name,
        name,
        module="flowvision.models.detection",
        arguments=("pretrained_backbone=False",),
        keys=Keys(*rules),
        older=from_older(Keys(*rules)),
        settle=fitted,
        head=head,
        classes=91,
        stages=WITHOUT_NMS,
        differs=differs,
    )


BOXES = "roi_heads.box_predictor.cls_score.weight"

TWINS = (
    detector("fasterrcnn_resnet50_fpn", *PYRAMID, *PROPOSALS, head=BOXES),
    detector("fasterrcnn_mobilenet_v3_large_fpn", *PYRAMID, *PROPOSALS, head=BOXES),
    detector("fasterrcnn_mobilenet_v3_large_320_fpn", *PYRAMID, *PROPOSALS, head=BOXES),
    detector("maskrcnn_resnet50_fpn", *PYRAMID, *PROPOSALS, *MASKS, head=BOXES),
    detector("retinanet_resnet50_fpn", *PYRAMID, *RETINA),
    detector("fcos_resnet50_fpn", *PYRAMID),
    detector("ssd300_vgg16"),
    detector("ssdlite320_mobilenet_v3_large"),
)
