"""Families in which torchvision's and flowvision's models have the same names and compute the same."""

from torch2flow.checkpoints.names.templates import SAME, Keys
from torch2flow.zoo.twins import Twin

HEADS = {
    "alexnet": "classifier.6.weight",
    "densenet121 densenet161 densenet169 densenet201": "classifier.weight",
    "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6"
    " efficientnet_b7": "classifier.1.weight",
    "mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3": "classifier.1.weight",
    "mobilenet_v2": "classifier.1.weight",
    "mobilenet_v3_large mobilenet_v3_small": "classifier.3.weight",
    "resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d wide_resnet50_2 wide_resnet101_2":
    "fc.weight",
    "shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0": "fc.weight",
    "squeezenet1_0 squeezenet1_1": "classifier.1.weight",
    "vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn": "classifier.6.weight",
}  # fmt: skip
"""The weight of each model's last layer; its rows are the classes."""

DENSENET_FILES = Keys(
    ("features.denseblock{i}.denselayer{j}.norm.{k}.{name}", "features.denseblock{i}.denselayer{j}.norm{k}.{name}"),
    ("features.denseblock{i}.denselayer{j}.conv.{k}.{name}", "features.denseblock{i}.denselayer{j}.conv{k}.{name}"),
)
"""torchvision's `_load_state_dict` of densenet.py: its files are older than Python modules without dots in names."""

RESNEXT101_64X4D = Twin(
    "resnext101_64x4d",
    "ResNet",
    module="flowvision.models.resnet",
    imports=("Bottleneck",),
    arguments=("Bottleneck", "[3, 4, 23, 3]", "groups=64", "width_per_group=4"),
    head="fc.weight",
)
"""flowvision has no function for it, and the class can build it."""

TWINS = (
    *(
        Twin(name, name, head=head, older=DENSENET_FILES if name.startswith("densenet") else SAME)
        for names, head in HEADS.items()
        for name in names.split()
    ),
    RESNEXT101_64X4D,
)
