"""Which random functions a PyTorch model calls, and where; dropout among them is switched off.

A mode sees every call of PyTorch's own functions, from a module or from the author's code alike, so that
`nn.Dropout`, `F.dropout2d(x)`, attention with `dropout_p` and an LSTM's own dropout are one kind of thing.
"""

from __future__ import annotations

import inspect
from typing import Any

from torch2flow.proof.capture.exporting import fast_paths_off
from torch2flow.proof.capture.module_state import untouched
from torch2flow.proof.random_calls import RECURRENT, RandomCall, recurrent_rate
from torch2flow.proof.watching import CallStack, watched

DROPOUT = {
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout",
                     "dropout_", "alpha_dropout_", "feature_dropout", "feature_dropout_", "feature_alpha_dropout_",
                     "native_dropout"), ("input", "p", "training", "inplace")),
    "scaled_dot_product_attention": ("query", "key", "value", "attn_mask", "dropout_p"),
}  # fmt: skip
"""PyTorch's functions with dropout, whether written in Python or not, and the order of their parameters."""

RANDOM = (
    "bernoulli", "bernoulli_", "rand", "rand_like", "randn", "randn_like", "randint", "randint_like", "randperm",
    "normal", "normal_", "uniform_", "exponential_", "multinomial", "poisson", "gumbel_softmax", "random_", "rrelu",
    "rrelu_", "log_normal_", "cauchy_", "geometric_", "binomial", "fractional_max_pool2d", "fractional_max_pool3d",
)  # fmt: skip
"""Functions that draw random numbers for another purpose than dropout."""


def random_calls(
    torch: Any, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, train: bool
) -> list[RandomCall]:
    """The random functions that a module calls in one mode, dropout active; the module stays as it is.

    Args:
        torch: the module `torch`.
        module: what is run.
        args: positional inputs, which the module may write into.
        kwargs: keyword inputs.
        train: the mode.

    Raises:
        Exception: whatever the module raises.
    """
    calls: list[RandomCall] = []
    stack = CallStack()
    with torch.no_grad(), untouched(torch, module), fast_paths_off(torch), watched(module, stack):
        module.train(train)
        with _mode(torch, calls, stack, drop=True):
            module(*args, **kwargs)
    return calls


def nothing_dropped(torch: Any) -> Any:
    """A context in which no function of PyTorch drops anything, in whatever mode the model is."""
    return _mode(torch, [], CallStack(), drop=False)


def _mode(torch: Any, calls: list[RandomCall], stack: CallStack, *, drop: bool) -> Any:
    class RandomMode(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            rate, without = _dropout(func, args, kwargs)
            if without is not None:
                calls.append(RandomCall(stack.path, "dropout", rate, func.__name__))
                if rate and not drop:
                    args, kwargs = without
            elif getattr(func, "__name__", "") in RANDOM:
                calls.append(RandomCall(stack.path, func.__name__, 0.0))
            return func(*args, **kwargs)

    return RandomMode()


def _dropout(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[float, Any]:
    """The rate of a call of dropout, 0 if it is told not to drop, and the arguments with which it drops nothing.

    The arguments of any other call are None.
    """
    name = getattr(func, "__name__", "")
    if name in RECURRENT:
        at, rate = recurrent_rate(args)
        return rate, ((*args[:at], 0.0, *args[at + 1 :]), kwargs)
    if name == "multi_head_attention_forward":
        bound = inspect.signature(func).bind(*args, **kwargs)
        bound.apply_defaults()
        rate = bound.arguments["dropout_p"] if bound.arguments["training"] else 0.0
        bound.arguments["dropout_p"] = 0.0
        return rate, (bound.args, bound.kwargs)
    names = DROPOUT.get(name)
    if names is None:
        return 0.0, None
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    key = "dropout_p" if "dropout_p" in names else "p"
    active = given.get("training", given.get("train", True))
    rate = given.get(key, 0.0 if key == "dropout_p" else 0.5) if active else 0.0
    place = names.index(key)
    if place < len(args):
        return float(rate or 0.0), ((*args[:place], 0.0, *args[place + 1 :]), kwargs)
    return float(rate or 0.0), (args, {**kwargs, key: 0.0})
