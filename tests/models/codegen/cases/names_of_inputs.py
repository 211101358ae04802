"""Inputs with the names of what the source imports, and with names that are none, get other names."""

import torch
from programs import program, x
from torch import Tensor, nn


@program({"inputs": x(2, 4), "flow": x(2, 4, seed=2), "a-b": x(2, 4, seed=3)}, x(2, 4, seed=4), gradients=False)
class NamesOfInputs(nn.Module):
    def forward(self, inputs: dict[str, Tensor], flow: Tensor) -> Tensor:
        return torch.cat([torch.relu(inputs["inputs"]), inputs["flow"], inputs["a-b"] - flow])


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class NamesOfInputs(nn.Module):
    def forward(self, inputs, flow_2):
        inputs_inputs = inputs["inputs"]
        inputs_flow = inputs["flow"]
        inputs_a_b = inputs["a-b"]
        return flow.cat((F.relu(inputs_inputs), inputs_flow, inputs_a_b - flow_2))
