"""Optimizers that both sides have: one row each, with what is named, meant or kept differently.

Sources: `torch/optim/*.py` (1.0.1, 1.13.1 and 2.13.0) and `oneflow/nn/optimizer/*.py` (0.9.0); how steps
differ was measured (`tests/checkpoints/oneflow/test_optimizers.py`). `optimizers.py` applies the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Options = dict[str, Any]
Convert = Callable[[float], float]
Remark = tuple[Callable[[Options], Any], str]
"""A test of a group's options that says whether something is lost, and the sentence to tell."""


@dataclass(frozen=True, slots=True)
class OptimizerRule:
    """One optimizer that both sides have.

    Attributes:
        name: OneFlow's class; PyTorch's has the same name.
        keys: options that tell it from all others.
        unlike: options of another optimizer that has all of `keys` too.
        other: options of its own that older versions lack.
        state: PyTorch's name of each tensor it keeps per parameter, and OneFlow's; None where there is none.
        added: options OneFlow's step reads that PyTorch may not have written, as PyTorch behaves.
        changed: options that mean the same with another value: there, and back.
        created: OneFlow's tensors that only its constructor makes, so a parameter without state can't step.
        counts_steps: PyTorch keeps the number of steps.
        uses_steps: whether OneFlow's update depends on it, by a group's options.
        negated: whether the tensors have the other sign on OneFlow's side, by a group's options.
        returned: options that the way back sets where they are missing.
        remarks: what has no counterpart.
    """

    name: str
    keys: frozenset[str]
    state: dict[str, str | None]
    unlike: frozenset[str] = frozenset()
    other: frozenset[str] = frozenset()
    added: Options = field(default_factory=dict)
    changed: dict[str, tuple[Convert, Convert]] = field(default_factory=dict)
    created: tuple[str, ...] = ()
    counts_steps: bool = True
    uses_steps: Callable[[Options], Any] = lambda options: True
    negated: Callable[[Options], Any] = lambda options: False
    returned: Options = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


def _maximizes(options: Options) -> bool:
    return bool(options.get("maximize"))


NO_MAXIMIZE: Remark = (_maximizes, "maximize: OneFlow has none here and will minimize; negate the loss")

RULES = (
    OptimizerRule(
        "SGD",
        frozenset({"momentum", "dampening", "nesterov"}),
        {"momentum_buffer": "momentum_buf"},
        added={"maximize": False, "fused": False},
        counts_steps=False,
        uses_steps=lambda o: False,
        # PyTorch negates the gradient since 1.13, which brought `differentiable`; before, it negated the step
        # as OneFlow does.
        negated=lambda o: _maximizes(o) and "differentiable" in o,
        returned={"differentiable": False},
        remarks=(
            (
                lambda o: True,
                "PyTorch counts no steps here; OneFlow's counter, which its update does not use, starts at 0",
            ),
            (
                lambda o: _maximizes(o) and not o["momentum"],
                "maximize: OneFlow heeds it only with momentum; negate the loss",
            ),
            (
                lambda o: _maximizes(o) and o.get("weight_decay") and "differentiable" in o,
                "maximize: OneFlow turns the sign of weight_decay too; negate the loss instead",
            ),
        ),
    ),
    # AdamW's options and state are Adam's: the user's own script says which class takes them.
    OptimizerRule(
        "Adam",
        frozenset({"betas", "eps", "amsgrad"}),
        {"exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq", "max_exp_avg_sq": "max_exp_avg_sq"},
        unlike=frozenset({"adam_w_mode"}),  # OneFlow's LAMB; PyTorch has none
        other=frozenset({"decoupled_weight_decay"}),
        added={"bias_correction1": 1.0, "bias_correction2": 1.0, "do_bias_correction": True, "fused": False},
        remarks=(
            (
                lambda o: o.get("decoupled_weight_decay"),
                "its weight decay is decoupled: load it into oneflow.optim.AdamW",
            ),
            NO_MAXIMIZE,
        ),
    ),
    OptimizerRule(
        "Adagrad",
        frozenset({"lr_decay"}),
        {"sum": "sum"},
        other=frozenset({"initial_accumulator_value", "eps"}),
        added={"initial_accumulator_value": 0.0, "eps": 1e-10},
        created=("sum",),
        uses_steps=lambda o: o["lr_decay"],
        remarks=(NO_MAXIMIZE,),
    ),
    OptimizerRule(
        "Adadelta",
        frozenset({"rho", "eps"}),
        {"square_avg": "square_avgs", "acc_delta": "acc_deltas"},
        added={"maximize": False},
        created=("square_avgs", "acc_deltas"),
        uses_steps=lambda o: False,
    ),
    OptimizerRule(
        "RMSprop",
        frozenset({"alpha", "eps", "centered"}),
        {"square_avg": "square_avg", "grad_avg": "grad_avg", "momentum_buffer": None},
        other=frozenset({"momentum"}),
        # PyTorch divides by sqrt(v) + eps, OneFlow by sqrt(v + eps). With eps squared both divide by eps at
        # v = 0 and by sqrt(v) at v >> eps**2; unchanged, OneFlow divides by 1e-4 where PyTorch has 1e-8.
        changed={"eps": (lambda eps: eps * eps, math.sqrt)},
        uses_steps=lambda o: False,
        remarks=(
            (
                lambda o: o["eps"],
                "eps became its square, as OneFlow adds it under the root; "
                "steps still differ where gradients are as small as eps",
            ),
            (lambda o: o.get("momentum"), "momentum: OneFlow 0.9.0 has none here and goes on without"),
            NO_MAXIMIZE,
        ),
    ),
)

IMPLEMENTATION = ("foreach", "capturable", "differentiable")
"""Options that choose how PyTorch computes a step, but not its result."""

SCHEDULING = frozenset({"initial_lr", "swa_lr", "max_lr", "min_lr", "max_momentum", "base_momentum", "lr_scale"})
"""What learning rate schedulers leave in a group; OneFlow's read `initial_lr` by the same name."""

COMMON = SCHEDULING | {"params", "param_names", "lr", "weight_decay", "maximize", "fused", *IMPLEMENTATION}

ONEFLOW_ONLY = frozenset({"bias_correction1", "bias_correction2", "do_bias_correction"})
"""Options that OneFlow's optimizers have and PyTorch's do not."""

CLIPPING = ("clip_grad_max_norm", "clip_grad_norm_type")
