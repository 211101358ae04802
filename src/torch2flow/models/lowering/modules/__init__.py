"""The table of the classes of `torch.nn`: which OneFlow class stands for each, and with which arguments."""

from torch2flow.models.lowering.modules import (  # noqa: F401  the families, which fill the table
    convolution,
    normalization,
    recurrent,
    simple,
    transformer,
)
