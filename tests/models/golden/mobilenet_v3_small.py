"""MobileNetV3 for OneFlow.

Written by torch2flow 0.1.0 from torchvision-mobilenet_v3_small-dynamic.pt2, which torch 2.13.0 wrote.
"""

import oneflow.nn as nn


class Conv2dNormActivation(nn.Sequential):
    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        groups=1,
        hardswish=True,
        relu=False,
    ):
        layers = [
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel_size,
                stride=stride,
                padding=padding,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(out_channels, eps=0.001, momentum=0.01),
        ]
        if hardswish:
            layers.append(nn.Hardswish())
        if relu:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class SqueezeExcitation(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(in_channels, out_channels, 1)
        self.fc2 = nn.Conv2d(out_channels, in_channels, 1)
        self.activation = nn.ReLU()
        self.scale_activation = nn.Hardsigmoid()

    def forward(self, input):
        scale = self.avgpool(input)
        scale = self.fc1(scale)
        scale = self.activation(scale)
        scale = self.fc2(scale)
        return self.scale_activation(scale) * input


class InvertedResidual(nn.Module):
    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        block2_out_channels,
        block3_out_channels,
        conv2d_norm_activation=True,
        hardswish=True,
        relu=False,
        stride=1,
        padding=0,
        squeeze_excitation=True,
        use_res_connect=True,
    ):
        super().__init__()
        self.use_res_connect = use_res_connect
        block = []
        if conv2d_norm_activation:
            block.append(
                Conv2dNormActivation(in_channels, out_channels, 1, hardswish=hardswish, relu=relu)
            )
        block.append(
            Conv2dNormActivation(
                out_channels,
                out_channels,
                kernel_size,
                stride=stride,
                padding=padding,
                groups=out_channels,
                hardswish=hardswish,
                relu=relu,
            )
        )
        if squeeze_excitation:
            block.append(SqueezeExcitation(out_channels, block2_out_channels))
        block.append(Conv2dNormActivation(out_channels, block3_out_channels, 1, hardswish=False))
        self.block = nn.Sequential(*block)

    def forward(self, input):
        result = self.block(input)
        if self.use_res_connect:
            result = result + input
        return result


class MobileNetV3(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 16, 3, stride=2, padding=1),
            InvertedResidual(
                16,
                16,
                3,
                8,
                16,
                conv2d_norm_activation=False,
                hardswish=False,
                relu=True,
                stride=2,
                padding=1,
                use_res_connect=False,
            ),
            InvertedResidual(
                16,
                72,
                3,
                72,
                24,
                hardswish=False,
                relu=True,
                stride=2,
                padding=1,
                squeeze_excitation=False,
                use_res_connect=False,
            ),
            InvertedResidual(
                24, 88, 3, 88, 24, hardswish=False, relu=True, padding=1, squeeze_excitation=False
            ),
            InvertedResidual(24, 96, 5, 24, 40, stride=2, padding=2, use_res_connect=False),
            InvertedResidual(40, 240, 5, 64, 40, padding=2),
            InvertedResidual(40, 240, 5, 64, 40, padding=2),
            InvertedResidual(40, 120, 5, 32, 48, padding=2, use_res_connect=False),
            InvertedResidual(48, 144, 5, 40, 48, padding=2),
            InvertedResidual(48, 288, 5, 72, 96, stride=2, padding=2, use_res_connect=False),
            InvertedResidual(96, 576, 5, 144, 96, padding=2),
            InvertedResidual(96, 576, 5, 144, 96, padding=2),
            Conv2dNormActivation(96, 576, 1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(576, 1024),
            nn.Hardswish(),
            nn.Dropout(p=0.2, inplace=True),
            nn.Linear(1024, 1000),
        )

    def forward(self, x):
        x = self.features(x)
        x = self.avgpool(x)
        x = x.flatten(1)
        x = self.classifier(x)
        return x
