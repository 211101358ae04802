"""Height and width are dynamic."""

from programs import program, x
from torch import Tensor, nn
from torch.nn import functional as F


@program(x(2, 3, 8, 8), dynamic={0: ("batch", None, "height", "width")})
class Resizes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        small = self.conv(x)
        b, c, h, w = small.shape
        tokens = small.flatten(2).transpose(1, 2)
        back = tokens.transpose(1, 2).reshape(b, c, h, w)
        return F.interpolate(back, size=x.shape[2:], mode="nearest") + x


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class Resizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, stride=2, padding=1)

    def forward(self, x):
        small = self.conv(x)
        tokens = small.flatten(2).transpose(1, 2)
        back = tokens.transpose(1, 2).reshape(tokens.shape[0], 3, small.shape[2], small.shape[3])
        return F.interpolate(back, size=(x.shape[2], x.shape[3]), mode="nearest") + x
