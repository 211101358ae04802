"""Models made global by a plan and loaded rank by rank: outputs, gradients and a step equal the local ones."""

import importlib.util
import inspect
import json
import sys

import numpy as np

import torch2flow
from torch2flow.runtime import import_oneflow

flow = import_oneflow()
world = flow.env.get_world_size()
everyone = flow.placement("cpu", list(range(world)))


def build(path, source, plan=None):
    spec = importlib.util.spec_from_file_location("model", path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    model = [kind for kind in vars(found).values() if isinstance(kind, type) and kind.__module__ == "model"][
        -1
    ]().eval()
    if plan is not None:
        assert torch2flow.to_global(model, plan) is model
    report = torch2flow.load_state_dict(model, source)
    return model, report


def inputs(model):
    numbers = np.random.default_rng(2)
    for name, each in inspect.signature(type(model).forward).parameters.items():
        if name == "self" or each.default is not inspect.Parameter.empty:
            continue
        if "mask" in name:
            yield np.ones((4, 16), "i8")
        else:
            ids = numbers.integers(0, 50, (4, 16))
            yield ids if "ids" in name else numbers.standard_normal((4, 3, 64, 64)).astype("f4")


def leaves(value):
    if isinstance(value, flow.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)


def whole(tensor):
    tensor = tensor.detach()
    if tensor.is_global:
        tensor = tensor.to_global(placement=everyone, sbp=flow.sbp.broadcast).to_local()
    return tensor.numpy()


def trained(model, arguments):
    """Outputs, gradients, and parameters after a step of SGD."""
    outputs = list(leaves(model(*arguments)))
    loss = (outputs[0] ** 2).mean()
    optimizer = flow.optim.SGD(model.parameters(), lr=0.1)
    loss.backward()
    found = {f"output {n}": whole(each) for n, each in enumerate(outputs)}
    found |= {f"gradient {n}": whole(p.grad) for n, p in model.named_parameters() if p.grad is not None}
    optimizer.step()
    return found | {f"step {n}": whole(p) for n, p in model.named_parameters()}


for path, source, plan in json.loads(sys.argv[1]):
    local, _ = build(path, source)
    expected = trained(local, [flow.tensor(array) for array in inputs(local)])
    model, report = build(path, source, plan)
    place = torch2flow.input_placement(model)
    whole_place = {**place, "sbp": [flow.sbp.broadcast] * len(place["sbp"])}
    arguments = [flow.tensor(array).to_global(**whole_place).to_global(**place) for array in inputs(model)]
    found = trained(model, arguments)
    assert list(found) == list(expected), set(found) ^ set(expected)
    worst, largest = {}, {}
    for name, array in expected.items():
        part = name.partition(" ")[0]
        largest[part] = max(largest.get(part, 0.0), float(np.abs(array).max()))
    for name, array in expected.items():
        part = name.partition(" ")[0]
        # A gradient can be nothing but noise: that of a bias of keys, which a softmax takes out again.
        scale = max(float(np.abs(array).max()), largest[part] / 100)
        worst[part] = max(worst.get(part, 0.0), float(np.abs(found[name] - array).max()) / scale)
    print(json.dumps({"plan": plan, "worst": worst, "nbytes": report.nbytes, "tensors": len(found)}))
