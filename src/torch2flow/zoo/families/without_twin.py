"""Models of torchvision that flowvision has no twin of: torch2flow writes them from a captured program."""

REASONS = {
    "efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l": "flowvision has no EfficientNetV2",
    "maxvit_t": "flowvision has no MaxViT",
    "swin_v2_t swin_v2_s swin_v2_b": "flowvision has no Swin V2",
    "mc3_18 r3d_18 r2plus1d_18 s3d mvit_v1_b mvit_v2_s swin3d_t swin3d_s swin3d_b": "flowvision has no video models",
    "raft_small raft_large": "flowvision has no optical flow models",
    "fasterrcnn_resnet50_fpn_v2 maskrcnn_resnet50_fpn_v2": "flowvision's pyramid and heads have no norms",
    "retinanet_resnet50_fpn_v2": "flowvision's RetinaNet has no norms in its heads",
    "keypointrcnn_resnet50_fpn": "flowvision has no keypoint head",
}

ALONE = {name: reason for names, reason in REASONS.items() for name in names.split()}
