"""What is recorded in float64 is float64 all the way, also where a model's own backward asks for float32."""

from __future__ import annotations

from typing import Any

from torch2flow.proof.capture.module_state import double_mode, doubled


def test_a_backward_of_the_authors_own_is_in_float64(torch: Any) -> None:
    class Again(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, run: Any, x: Any) -> Any:
            ctx.run, ctx.x = run, x
            with torch.no_grad():
                return run(x)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            with torch.enable_grad():
                x = ctx.x.detach().requires_grad_()
                return None, torch.autograd.grad(ctx.run(x), x, gradient)[0]

    norm = torch.nn.GroupNorm(1, 4)
    x = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(2, 4).requires_grad_()
    weights = torch.arange(8.0, dtype=torch.float64).reshape(2, 4)
    with doubled(torch, norm):
        with double_mode(torch):
            y = Again.apply(lambda each: norm(each.float()), x)
        (y * weights).sum().backward()
        (wanted,) = torch.autograd.grad((norm(x) * weights).sum(), x)
    assert x.grad.dtype == torch.float64 and torch.equal(x.grad, wanted)
    assert norm.weight.dtype == torch.float32
