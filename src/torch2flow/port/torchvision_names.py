"""The names of torchvision that flowvision 0.2.1 has under the same signatures, and where."""

from __future__ import annotations

from torch2flow.port.api import Api

HOMES = {
    "torchvision": "flowvision",
    "torchvision.datasets": "flowvision.datasets",
    "torchvision.datasets.folder": "flowvision.datasets.folder",
    "torchvision.datasets.utils": "flowvision.datasets.utils",
    "torchvision.models": "flowvision.models",
    "torchvision.ops": "flowvision.layers",
    "torchvision.transforms": "flowvision.transforms",
    "torchvision.transforms.functional": "flowvision.transforms.functional",
    "torchvision.transforms.transforms": "flowvision.transforms.transforms",
    "torchvision.utils": "flowvision.utils",
}
"""The modules, each with the one of flowvision that has its names."""

_NAMES = {
    "torchvision.transforms": """CenterCrop ColorJitter Compose ConvertImageDtype FiveCrop GaussianBlur Grayscale
        InterpolationMode Lambda Normalize PILToTensor Pad RandomAffine RandomApply RandomChoice RandomCrop
        RandomGrayscale RandomHorizontalFlip RandomOrder RandomResizedCrop RandomRotation RandomVerticalFlip Resize
        TenCrop ToPILImage ToTensor""",
    "torchvision.transforms.functional": """InterpolationMode adjust_brightness adjust_contrast adjust_hue
        adjust_saturation affine center_crop convert_image_dtype crop five_crop gaussian_blur get_dimensions hflip
        normalize pad pil_to_tensor resize resized_crop rgb_to_grayscale rotate ten_crop to_pil_image to_tensor
        vflip""",
    "torchvision.datasets": """CIFAR10 CIFAR100 CLEVRClassification Caltech101 Caltech256 CelebA Cityscapes
        CocoCaptions CocoDetection Country211 DTD DatasetFolder EuroSAT FER2013 FGVCAircraft FakeData FashionMNIST
        Flickr30k Flickr8k Flowers102 Food101 GTSRB INaturalist ImageFolder ImageNet Kitti LFWPairs LFWPeople LSUN
        LSUNClass MNIST Omniglot OxfordIIITPet PCAM PhotoTour Places365 RenderedSST2 SBDataset SBU SEMEION STL10
        SUN397 SVHN StanfordCars USPS VOCDetection VOCSegmentation VisionDataset WIDERFace""",
    "torchvision.datasets.folder": """IMG_EXTENSIONS accimage_loader default_loader find_classes
        has_file_allowed_extension is_image_file make_dataset pil_loader""",
    "torchvision.datasets.utils": """calculate_md5 check_integrity check_md5 download_and_extract_archive
        download_file_from_google_drive download_url extract_archive iterable_to_str list_dir list_files
        verify_str_arg""",
    "torchvision.models": """alexnet densenet121 densenet161 densenet169 densenet201 efficientnet_b0 efficientnet_b1
        efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6 efficientnet_b7 googlenet
        inception_v3 mnasnet0_5 mnasnet1_0 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small resnet101 resnet152
        resnet18 resnet34 resnet50 resnext101_32x8d resnext50_32x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0
        squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn wide_resnet101_2
        wide_resnet50_2""",
    "torchvision.utils": "draw_bounding_boxes make_grid save_image",
    "torchvision.ops": """FeaturePyramidNetwork FrozenBatchNorm2d MultiScaleRoIAlign StochasticDepth batched_nms
        box_iou generalized_box_iou_loss nms roi_align sigmoid_focal_loss stochastic_depth""",
}
_OTHER_HOMES = {
    "torchvision.transforms.transforms": "torchvision.transforms",
    "torchvision.datasets.folder": "torchvision.datasets",
    "torchvision.datasets.mnist": "torchvision.datasets",
    "torchvision.datasets.vision": "torchvision.datasets",
    "torchvision.models.resnet": "torchvision.models",
    "torchvision.models.vgg": "torchvision.models",
    "torchvision.ops.boxes": "torchvision.ops",
}
_TWINS = {f"{home}.{name}": f"{HOMES[home]}.{name}" for home, names in _NAMES.items() for name in names.split()}
_MODELS = "builders take `pretrained=`, not `weights=`, and load flowvision's weights; `torch2flow zoo` has yours"


def find_in_flowvision(path: str) -> Api:
    """What flowvision has for a name of torchvision's."""
    home, _, name = path.rpartition(".")
    if path not in _TWINS:
        path = f"{_OTHER_HOMES.get(home, home)}.{name}"
    twin = _TWINS.get(path, "")
    if twin and home in HOMES:
        twin = f"{HOMES[home]}.{name}"
    if not twin:
        return Api(path, "cannot", note=f"flowvision 0.2.1 has no {path.removeprefix('torchvision.')}.")
    if path.startswith("torchvision.models."):
        return Api(path, "part", twin, ("weights", "weights_backbone"), {}, f"Flowvision's {_MODELS}.")
    return Api(path, "equal", twin)
