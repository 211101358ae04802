"""`torch.vmap` and parametrizations: prints the numbers that each gives."""

import json

import torch
from torch import nn

m = torch.linspace(-1, 1, 12).reshape(3, 4)
x = torch.linspace(-2, 2, 24).reshape(2, 3, 4)
found = [torch.vmap(torch.dot)(m, m), torch.vmap(lambda a, b: a * b.sum(), in_dims=(0, None))(m, m[0])]
found += torch.vmap(lambda a: (a * 2, a.sum()), out_dims=(1, 0))(x)
found += [torch.vmap(lambda t: (t["a"] * t["b"]).sum(), in_dims=({"a": 0, "b": None},))({"a": m, "b": m})]
w = torch.linspace(-1, 1, 18).reshape(2, 3, 3)
conv = nn.Conv1d(3, 2, 3)
conv.weight.data.copy_(w)
conv.bias.data.zero_()
conv = nn.utils.parametrizations.weight_norm(conv)
y = conv(x.transpose(0, 1).reshape(1, 3, 8))
y.pow(2).sum().backward()
p = conv.parametrizations.weight
found += [y, conv.weight - w, p.original0, p.original1, p.original0.grad, p.original1.grad]
names = sorted(conv.state_dict())
nn.utils.parametrize.remove_parametrizations(conv, "weight")
found += [conv.weight - w]
print(json.dumps([[each.tolist() for each in found], names, sorted(conv.state_dict())]))
