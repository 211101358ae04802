"""A size that takes another branch of the author's code is refused, and so is another size of a named axis on which
the code depends: the program holds one branch."""

from programs import program, x
from torch import Tensor, nn


@program(x(3, 4), dynamic={0: ("rows", "columns")})
class SizesOfAnotherBranch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).mean(0) if x.shape[0] > 8 else self.fc(x).sum(0)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class SizesOfAnotherBranch(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        if x.shape[0] > 8:
            raise ValueError(
                "x.shape[0] must be at most 8: PyTorch's code goes another way for other sizes"
            )
        if x.shape[1] != 4:
            raise ValueError(
                "x.shape[1] must be 4: PyTorch's code goes another way for other sizes"
            )
        return self.fc(x).sum(dim=(0,))
