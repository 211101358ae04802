"""Names that PyTorch 1.13 does not have: prints the numbers that each gives."""

import json

import torch
from torch.distributions import InverseGamma
from torch.func import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import clip_grads_with_norm_, get_total_norm


def f(x, y):
    return (x.sin() * y**2).sum()


def rows(x):
    return torch.stack([x.prod(), (x**2).sum()])


x, y = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([1.5, 0.25, -0.75])
found = [grad(f)(x, y), *grad(f, argnums=(0, 1))(x, y), *grad_and_value(f)(x, y)]
found += [grad(lambda a: grad(lambda b: (b**3).sum())(a).sum())(x)]
found += [grad(lambda named: (named["a"] * named["b"][0]).sum())({"a": x, "b": [y]})["b"][0]]
output, backwards = vjp(rows, x)
found += [output, *backwards(torch.tensor([1.0, 2.0])), *jvp(lambda a: a.sin() * a, (x,), (y,))]
found += [jacrev(rows)(x), jacfwd(rows)(x), hessian(lambda a: (a**3).sum() * a[0])(x), *jacrev(f, argnums=(0, 1))(x, y)]
weights = x.clone().requires_grad_()
(slope,) = torch.autograd.grad(grad(lambda a: (a**3).sum())(weights).sum(), weights)
found += [slope, torch.tensor(float(grad(f)(x, y).requires_grad))]
found += [torch.cond(x.sum() > 0, lambda a: a + 1, lambda a: a - 1, (x,))]
weights.grad = y.clone()
clip_grads_with_norm_([weights], 0.5, get_total_norm([y]))
found += [weights.grad, get_total_norm([x, y], 1.0)]
inverse = InverseGamma(x.abs() + 2.5, y.abs())
found += [inverse.log_prob(x.abs()), inverse.mean, inverse.variance, inverse.entropy()]
device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
with sdpa_kernel([SDPBackend.MATH, SDPBackend.FLASH_ATTENTION]):
    found += [torch.nn.functional.scaled_dot_product_attention(*[x.reshape(1, 1, 1, -1).to(device)] * 3)]
found += [torch.tensor(torch.accelerator.device_count() > 0), torch.tensor(SDPBackend.MATH.value)]
print(json.dumps([each.tolist() for each in found]))
