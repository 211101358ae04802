"""Writes a global state dict the way OneFlow itself does: gathered on rank 0."""

import sys

import numpy as np

import torch2flow
from torch2flow.runtime import import_oneflow

flow = import_oneflow()


class Net(flow.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = flow.nn.Parameter(flow.tensor(np.arange(35, dtype="f4").reshape(7, 5)))
        self.bias = flow.nn.Parameter(flow.tensor(np.arange(7, dtype="f4")))


model = torch2flow.to_global(Net(), sys.argv[2])
flow.save(model.state_dict(), sys.argv[1], global_dst_rank=0)
print("saved")
