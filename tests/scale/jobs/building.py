"""Builds and loads a model that is larger than what a rank may hold, and says how much memory that took."""

import json
import sys
from pathlib import Path

import torch2flow
from torch2flow.runtime import import_oneflow

flow = import_oneflow()


def private():
    flow._oneflow_internal.eager.Sync()
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon:")).split()[1]) * 1024


class Net(flow.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = flow.nn.ModuleList([flow.nn.Linear(2048, 2048, bias=False) for _ in range(16)])
        self.norm = flow.nn.LayerNorm(16)
        self.head = flow.nn.Linear(2048, 2048, bias=False)
        self.head.weight = self.layers[0].weight


flow.zeros(1)
before = private()
with torch2flow.without_values():
    model = Net()
built = private() - before
assert model.norm.weight.numpy().tolist() == [1.0] * 16
torch2flow.to_global(model, "zero")
assert model.head.weight is model.layers[0].weight
torch2flow.load_state_dict(model, sys.argv[1])
assert flow.nn.Linear(64, 64).weight.numpy().std() > 0  # as ever again
value = model.layers[3].weight.to_local()[0, 0].item()
print(json.dumps({"built": built, "loaded": private() - before, "values": value}))
