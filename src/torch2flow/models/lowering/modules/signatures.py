"""The constructors of `oneflow.nn` modules (0.9.0) that stand for a `torch.nn` class of the same name.

A row gives the arguments that both sides have and that mean the same, with PyTorch's defaults.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import Any

_ROWS = """
Conv1d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True)
Conv2d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True)
Conv3d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True)
ConvTranspose1d(in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1)
ConvTranspose2d(in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1)
ConvTranspose3d(in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1)
Linear(in_features, out_features, bias=True)
Embedding(num_embeddings, embedding_dim, padding_idx=None, scale_grad_by_freq=False)
BatchNorm1d(num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
BatchNorm2d(num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
BatchNorm3d(num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
InstanceNorm1d(num_features, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)
InstanceNorm2d(num_features, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)
InstanceNorm3d(num_features, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)
LayerNorm(normalized_shape, eps=1e-05, elementwise_affine=True)
GroupNorm(num_groups, num_channels, eps=1e-05, affine=True)
Dropout(p=0.5, inplace=False)
Identity()
ReLU(inplace=False)
ReLU6()
GELU(approximate='none')
SiLU(inplace=False)
Mish(inplace=False)
Sigmoid()
Tanh()
Hardswish()
Hardsigmoid(inplace=False)
Hardtanh(min_val=-1.0, max_val=1.0)
LeakyReLU(negative_slope=0.01, inplace=False)
ELU(alpha=1.0)
SELU(inplace=False)
CELU(alpha=1.0, inplace=False)
PReLU(num_parameters=1)
Softplus(beta=1, threshold=20)
Softsign()
LogSigmoid()
Softmax(dim=None)
LogSoftmax(dim=None)
GLU(dim=-1)
Flatten(start_dim=1, end_dim=-1)
MaxPool1d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False)
MaxPool2d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False)
MaxPool3d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False)
AvgPool1d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)
AvgPool2d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=0)
AvgPool3d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=0)
AdaptiveAvgPool1d(output_size)
AdaptiveAvgPool2d(output_size)
AdaptiveAvgPool3d(output_size)
AdaptiveMaxPool1d(output_size, return_indices=False)
AdaptiveMaxPool2d(output_size, return_indices=False)
AdaptiveMaxPool3d(output_size, return_indices=False)
MaxUnpool1d(kernel_size, stride=None, padding=0)
MaxUnpool2d(kernel_size, stride=None, padding=0)
MaxUnpool3d(kernel_size, stride=None, padding=0)
PixelShuffle(upscale_factor)
ConstantPad1d(padding, value=0)
ConstantPad2d(padding, value=0)
ConstantPad3d(padding, value=0)
ReflectionPad1d(padding)
ReflectionPad2d(padding)
ReplicationPad1d(padding)
ReplicationPad2d(padding)
ZeroPad2d(padding)
Hardshrink(lambd=0.5)
Softshrink(lambd=0.5)
Threshold(threshold, value)
Fold(output_size, kernel_size, dilation=1, padding=0, stride=1)
Unfold(kernel_size, dilation=1, padding=0, stride=1)
Upsample(size=None, scale_factor=None, mode='nearest', align_corners=None)
CosineSimilarity(dim=1, eps=1e-08)
LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, proj_size=0)
GRU(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False)
RNN(input_size, hidden_size, num_layers=1, nonlinearity='tanh', bias=True, batch_first=False, dropout=0.0, bidirectional=False)
"""  # noqa: E501


@cache
def signatures() -> dict[str, dict[str, Any]]:
    """For each class, its arguments in order and their defaults; `...` for an argument without one."""
    found: dict[str, dict[str, Any]] = {}
    for row in _ROWS.split("\n"):
        if row:
            definition = ast.parse(f"def {row}: ...").body[0]
            assert isinstance(definition, ast.FunctionDef)
            names = [argument.arg for argument in definition.args.args]
            values = [ast.literal_eval(default) for default in definition.args.defaults]
            found[definition.name] = dict(zip(names, [...] * (len(names) - len(values)) + values, strict=True))
    return found
