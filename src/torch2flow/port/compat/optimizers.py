"""Optimizers."""

import math
from collections.abc import MutableMapping

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.registry import stands_for


class GroupOfParameters(flow.optim.optimizer.ParamGroup):
    """OneFlow's group of parameters, as the dictionary that PyTorch's is, with `group["params"]` too."""

    items, values, get = MutableMapping.items, MutableMapping.values, MutableMapping.get
    pop, update, setdefault = MutableMapping.pop, MutableMapping.update, MutableMapping.setdefault

    def __getitem__(self, key):
        return self._parameters if key == "params" else self._options[key]

    def __setitem__(self, key, value):
        if key == "params":
            self._parameters = list(value)
        else:
            self._options[key] = value

    def __delitem__(self, key):
        del self._options[key]

    def __iter__(self):
        return iter(["params", *self._options])

    def __len__(self):
        return 1 + len(self._options)

    def __contains__(self, key):
        return key == "params" or key in self._options

    def keys(self):
        return list(self)


def listed(params):
    """Parameters or groups of them as OneFlow takes them: each group with a list."""
    params = list(params)
    if not params or not isinstance(params[0], dict):
        return params
    return [
        {**group, "params": [group["params"]] if isinstance(group["params"], flow.Tensor) else list(group["params"])}
        for group in params
    ]


class OptimizerMethods:
    """What an optimizer of OneFlow's lacks of PyTorch's."""

    def complete(self, **defaults):
        self.defaults = defaults
        for group in self.param_groups:
            group.__class__ = GroupOfParameters

    def add_param_group(self, param_group):
        super().add_param_group(listed([param_group])[0])
        if hasattr(self, "defaults"):
            self.complete(**self.defaults)

    def state_dict(self):
        found = super().state_dict()
        for group in found["param_groups"]:
            group.update(group.get("_options", {}))
        return found

    def load_state_dict(self, state_dict):
        groups = [
            {
                "_options": {key: value for key, value in group.items() if key not in ("params", "_options")},
                "_enable_clip_grad": False,
                **group,
            }
            for group in state_dict["param_groups"]
        ]
        super().load_state_dict({**state_dict, "param_groups": groups})

    @property
    def state(self):
        return self._state

    def turn_gradients(self):
        """Where the aim is the largest value, the gradients point the other way; OneFlow ignores that."""
        if self.defaults["maximize"]:
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.grad = -parameter.grad


@stands_for("torch.optim.SGD", because="OneFlow's ignores `maximize`, and dampens the first step too.")
class SGD(OptimizerMethods, flow.optim.SGD):
    def __init__(
        self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False,
        foreach=None, differentiable=False, fused=None,
    ):  # fmt: skip
        super().__init__(listed(params), lr, momentum, dampening, weight_decay, nesterov)
        self.complete(
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
            maximize=maximize,
        )  # fmt: skip
        self.started = False

    def step(self, closure=None):
        loss = closure() if closure is not None else None
        self.turn_gradients()
        if not self.started:
            for group in self.param_groups:
                kept, decay = 1 - group["dampening"], group["weight_decay"]
                for parameter in group["params"] if group["momentum"] and kept != 1 else []:
                    if parameter.grad is not None:
                        decayed = decay * parameter.detach()
                        parameter.grad = (parameter.grad + decayed) / kept - decayed
        self.started = True
        super().step()
        return loss


@stands_for("torch.optim.Adam", because="OneFlow's has no `maximize`, no `defaults` and no group of dictionaries.")
class Adam(OptimizerMethods, flow.optim.Adam):
    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *, foreach=None,
        maximize=False, capturable=False, differentiable=False, fused=None,
    ):  # fmt: skip
        super().__init__(listed(params), lr, tuple(betas), eps, weight_decay, amsgrad)
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        self.complete(**options, maximize=maximize)

    def step(self, closure=None):
        loss = closure() if closure is not None else None
        self.turn_gradients()
        super().step()
        return loss


@stands_for("torch.optim.AdamW", because="OneFlow's decays weights by 0 where PyTorch's does by 0.01.")
class AdamW(OptimizerMethods, flow.optim.AdamW):
    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False,
        foreach=None, capturable=False, differentiable=False, fused=None,
    ):  # fmt: skip
        super().__init__(listed(params), lr, tuple(betas), eps, weight_decay, amsgrad)
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        self.complete(**options, maximize=maximize)

    def step(self, closure=None):
        loss = closure() if closure is not None else None
        self.turn_gradients()
        super().step()
        return loss


@stands_for(
    "torch.optim.Optimizer",
    "torch.optim.optimizer.Optimizer",
    because="OneFlow's keeps groups and state in other objects, so an optimizer of one's own does not work with it.",
)
class Optimizer(flow.optim.Optimizer):
    """PyTorch's base of optimizers: `param_groups` of dictionaries, and a `state` of each parameter."""

    def __init__(self, params, defaults):
        self.defaults, self.state, self.param_groups = defaults, StateOfParameters(), []
        for group in listed(params) if not isinstance(params, flow.Tensor) else [params]:
            if isinstance(group, dict):
                self.add_param_group(group)
            elif self.param_groups:
                self.param_groups[0]["params"].append(group)
            else:
                self.add_param_group({"params": [group]})

    def add_param_group(self, param_group):
        self.param_groups.append({**self.defaults, **listed([param_group])[0]})

    def zero_grad(self, set_to_none=True):
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad = None if set_to_none else parameter.grad * 0

    def step(self, closure=None):
        """One step: calls `update` for each parameter with a gradient."""
        loss = None
        if closure is not None:
            with flow.enable_grad():
                loss = closure()
        with flow.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self.state[parameter]["step"] = self.state[parameter].get("step", 0) + 1
                        gradient = -parameter.grad if group.get("maximize") else parameter.grad
                        self.update(parameter, gradient, self.state[parameter], group)
        return loss

    def state_dict(self):
        places = {id(each): place for place, each in enumerate(self.all_parameters())}
        groups = [{**group, "params": [places[id(each)] for each in group["params"]]} for group in self.param_groups]
        return {"state": {places[key]: value for key, value in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict):
        parameters = self.all_parameters()
        for place, value in state_dict["state"].items():
            self.state[parameters[place]].update(value)
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update({key: value for key, value in saved.items() if key != "params"})

    def all_parameters(self):
        return [each for group in self.param_groups for each in group["params"]]


class StateOfParameters(dict):  # type: ignore[type-arg]
    """A dictionary of each parameter, by the parameter itself; OneFlow's tensors compare by value."""

    def __getitem__(self, parameter):
        return self.setdefault(id(parameter), {})

    def __contains__(self, parameter):
        return bool(self.get(id(parameter)))


def kept(state, name, parameter):
    """A value of the state; zeros at first."""
    if name not in state:
        state[name] = flow.zeros_like(parameter)
    return state[name]


@stands_for("torch.optim.RMSprop", because="OneFlow's takes no momentum, and divides by the root of another sum.")
class RMSprop(Optimizer):
    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, *, maximize=False,
        foreach=None, differentiable=False, capturable=False,
    ):  # fmt: skip
        options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, {**options, "centered": centered, "maximize": maximize})

    def update(self, parameter, gradient, state, group):
        gradient = gradient + group["weight_decay"] * parameter if group["weight_decay"] else gradient
        alpha = group["alpha"]
        square = state["square_avg"] = alpha * kept(state, "square_avg", parameter) + (1 - alpha) * gradient**2
        if group["centered"]:
            mean = state["grad_avg"] = alpha * kept(state, "grad_avg", parameter) + (1 - alpha) * gradient
            square = square - mean**2
        move = gradient / (flow.sqrt(square) + group["eps"])
        if group["momentum"] > 0:
            move = state["momentum_buffer"] = group["momentum"] * kept(state, "momentum_buffer", parameter) + move
        parameter[...] = parameter - group["lr"] * move


@stands_for("torch.optim.Adamax", because="OneFlow has no `Adamax`.")
class Adamax(Optimizer):
    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=None, *, maximize=False,
        differentiable=False, capturable=False,
    ):  # fmt: skip
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, options)

    def update(self, parameter, gradient, state, group):
        gradient = gradient + group["weight_decay"] * parameter if group["weight_decay"] else gradient
        first, second = group["betas"]
        mean = state["exp_avg"] = first * kept(state, "exp_avg", parameter) + (1 - first) * gradient
        largest = second * kept(state, "exp_inf", parameter)
        largest = state["exp_inf"] = flow.maximum(largest, flow.abs(gradient) + group["eps"])
        parameter[...] = parameter - group["lr"] / (1 - first ** state["step"]) * mean / largest


@stands_for("torch.optim.NAdam", because="OneFlow has no `NAdam`.")
class NAdam(Optimizer):
    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
        decoupled_weight_decay=False, *, foreach=None, maximize=False, capturable=False, differentiable=False,
    ):  # fmt: skip
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        options["momentum_decay"], options["decoupled_weight_decay"] = momentum_decay, decoupled_weight_decay
        super().__init__(params, options)

    def update(self, parameter, gradient, state, group):
        if group["weight_decay"] and group["decoupled_weight_decay"]:
            parameter[...] = parameter * (1 - group["lr"] * group["weight_decay"])
        elif group["weight_decay"]:
            gradient = gradient + group["weight_decay"] * parameter
        (first, second), step = group["betas"], state["step"]
        share, later = (first * (1 - 0.5 * 0.96 ** ((step + more) * group["momentum_decay"])) for more in (0, 1))
        product = state["mu_product"] = state.get("mu_product", 1.0) * share
        mean = state["exp_avg"] = first * kept(state, "exp_avg", parameter) + (1 - first) * gradient
        square = state["exp_avg_sq"] = second * kept(state, "exp_avg_sq", parameter) + (1 - second) * gradient**2
        root = flow.sqrt(square / (1 - second**step)) + group["eps"]
        move = gradient * ((1 - share) / (1 - product)) + mean * (later / (1 - product * later))
        parameter[...] = parameter - group["lr"] * move / root


@stands_for("torch.optim.RAdam", because="OneFlow has no `RAdam`.")
class RAdam(Optimizer):
    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False, *,
        foreach=None, maximize=False, capturable=False, differentiable=False,
    ):  # fmt: skip
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, {**options, "decoupled_weight_decay": decoupled_weight_decay})

    def update(self, parameter, gradient, state, group):
        if group["weight_decay"] and group["decoupled_weight_decay"]:
            parameter[...] = parameter * (1 - group["lr"] * group["weight_decay"])
        elif group["weight_decay"]:
            gradient = gradient + group["weight_decay"] * parameter
        (first, second), step = group["betas"], state["step"]
        mean = state["exp_avg"] = first * kept(state, "exp_avg", parameter) + (1 - first) * gradient
        square = state["exp_avg_sq"] = second * kept(state, "exp_avg_sq", parameter) + (1 - second) * gradient**2
        move = mean / (1 - first**step)
        longest = 2 / (1 - second) - 1
        length = longest - 2 * step * second**step / (1 - second**step)
        if length > 5:
            ratio = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            move = move * (math.sqrt(ratio * (1 - second**step)) / (flow.sqrt(square) + group["eps"]))
        parameter[...] = parameter - group["lr"] * move
