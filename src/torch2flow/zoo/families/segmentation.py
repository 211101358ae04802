"""Segmentation models. The names are equal; flowvision downloads a backbone unless it is told not to."""

from dataclasses import replace

from torch2flow.zoo.twins import Tensors, Twin

OFFLINE = "pretrained_backbone=False"


def fitted(twin: Twin, tensors: Tensors, weights: str) -> Twin:
    """The twin with the auxiliary head if the checkpoint has it."""
    if not any(name.startswith("aux_classifier.") for name in tensors):
        return twin
    return replace(twin, arguments=(*twin.arguments, "aux_loss=True"))


HEADS = {
    "fcn_resnet50 fcn_resnet101": "classifier.4.weight",
    "deeplabv3_resnet50 deeplabv3_resnet101 deeplabv3_mobilenet_v3_large": "classifier.4.weight",
    "lraspp_mobilenet_v3_large": "classifier.low_classifier.weight",
}

TWINS = tuple(
    Twin(
        name,
        f"{name}_coco",
        module="flowvision.models.segmentation",
        arguments=(OFFLINE,),
        settle=fitted,
        head=head,
        classes=21,
    )
    for names, head in HEADS.items()
    for name in names.split()
)
