"""MobileNetV3 for OneFlow.

Written by torch2flow 0.1.0 from torchvision-mobilenet_v3_small-dynamic.pt2, which torch 2.13.0 wrote.
"""

import oneflow.nn as nn


class Conv2dNormActivation(nn.Sequential):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, groups=1):
        super().__init__(
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
            nn.Hardswish(),
        )


class Conv2dNormActivation2(nn.Sequential):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, groups=1):
        super().__init__(
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
            nn.ReLU(inplace=True),
        )


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


class Conv2dNormActivation3(nn.Sequential):
    def __init__(self, in_channels, out_channels):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels, eps=0.001, momentum=0.01),
        )


class InvertedResidual(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(
            Conv2dNormActivation2(16, 16, 3, stride=2, padding=1, groups=16),
            SqueezeExcitation(16, 8),
            Conv2dNormActivation3(16, 16),
        )

    def forward(self, input):
        result = self.block(input)
        return result


class InvertedResidual2(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(
            Conv2dNormActivation2(16, 72, 1),
            Conv2dNormActivation2(72, 72, 3, stride=2, padding=1, groups=72),
            Conv2dNormActivation3(72, 24),
        )

    def forward(self, input):
        result = self.block(input)
        return result


class InvertedResidual3(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(
            Conv2dNormActivation2(24, 88, 1),
            Conv2dNormActivation2(88, 88, 3, padding=1, groups=88),
            Conv2dNormActivation3(88, 24),
        )

    def forward(self, input):
        result = self.block(input)
        result = result + input
        return result


class InvertedResidual4(nn.Module):
    def __init__(
        self, in_channels, out_channels, block_out_channels, block_out_channels_2, stride=1
    ):
        super().__init__()
        self.block = nn.Sequential(
            Conv2dNormActivation(in_channels, out_channels, 1),
            Conv2dNormActivation(
                out_channels, out_channels, 5, stride=stride, padding=2, groups=out_channels
            ),
            SqueezeExcitation(out_channels, block_out_channels),
            Conv2dNormActivation3(out_channels, block_out_channels_2),
        )

    def forward(self, input):
        result = self.block(input)
        return result


class InvertedResidual5(nn.Module):
    def __init__(self, in_channels, out_channels, block_out_channels):
        super().__init__()
        self.block = nn.Sequential(
            Conv2dNormActivation(in_channels, out_channels, 1),
            Conv2dNormActivation(out_channels, out_channels, 5, padding=2, groups=out_channels),
            SqueezeExcitation(out_channels, block_out_channels),
            Conv2dNormActivation3(out_channels, in_channels),
        )

    def forward(self, input):
        result = self.block(input)
        result = result + input
        return result


class MobileNetV3(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 16, 3, stride=2, padding=1),
            InvertedResidual(),
            InvertedResidual2(),
            InvertedResidual3(),
            InvertedResidual4(24, 96, 24, 40, stride=2),
            InvertedResidual5(40, 240, 64),
            InvertedResidual5(40, 240, 64),
            InvertedResidual4(40, 120, 32, 48),
            InvertedResidual5(48, 144, 40),
            InvertedResidual4(48, 288, 72, 96, stride=2),
            InvertedResidual5(96, 576, 144),
            InvertedResidual5(96, 576, 144),
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
        x = x.flatten(1, -1)
        x = self.classifier(x)
        return x
