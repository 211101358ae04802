"""Hooks that a module calls when gradients have come through it."""

from __future__ import annotations

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.absent_modules import (
    HookOfModule,
    register_forward_hook,
    register_forward_pre_hook,
)
from torch2flow.port.compat.registry import stands_for


@stands_for(
    "torch.nn.Module.register_full_backward_hook",
    "torch.nn.Module.register_backward_hook",
    because="OneFlow has no hooks of a module's gradients.",
)
def register_full_backward_hook(self, hook, prepend=False):
    calls = []

    def before(module, inputs):
        calls.append(GradientsOfCall(module, hook))
        return calls[-1].watched_inputs(inputs)

    def after(module, inputs, output):
        return calls.pop().watched_outputs(output)

    first, second = register_forward_pre_hook(self, before), register_forward_hook(self, after)
    return PairOfHooks(first, second)


class PairOfHooks:
    """Two hooks that go together."""

    def __init__(self, first: HookOfModule, second: HookOfModule):
        self.hooks = (first, second)

    def remove(self):
        for each in self.hooks:
            each.remove()


class GradientsOfCall:
    """The gradients of one call of a module: those of its outputs come first, then those of its inputs."""

    def __init__(self, module, hook):
        self.module, self.hook = module, hook
        self.of_outputs, self.of_inputs, self.awaited = [], [], 0

    def watched_inputs(self, inputs):
        """The inputs as tensors of this call alone."""
        inputs, self.of_inputs = list(inputs), [None] * len(inputs)
        for place, each in enumerate(inputs):
            if isinstance(each, flow.Tensor) and each.requires_grad:
                inputs[place] = each * 1
                inputs[place].register_hook(lambda gradient, place=place: self.take_input(place, gradient))
                self.awaited += 1
        return tuple(inputs)

    def watched_outputs(self, output):
        many = isinstance(output, list | tuple)
        outputs = list(output) if many else [output]
        self.of_outputs = [None] * len(outputs)
        for place, each in enumerate(outputs):
            if isinstance(each, flow.Tensor) and each.requires_grad:
                outputs[place] = each * 1
                outputs[place].register_hook(lambda gradient, place=place: self.take_output(place, gradient))
        return type(output)(outputs) if many else outputs[0]

    def take_output(self, place, gradient):
        self.of_outputs[place] = gradient
        if not self.awaited:
            self.hook(self.module, tuple(self.of_inputs), tuple(self.of_outputs))

    def take_input(self, place, gradient):
        self.of_inputs[place] = gradient
        self.awaited -= 1
        if self.awaited:
            return None
        changed = self.hook(self.module, tuple(self.of_inputs), tuple(self.of_outputs))
        if changed is None:
            return None
        if self.of_inputs.count(None) < len(self.of_inputs) - 1:
            raise NotImplementedError("OneFlow can't take other gradients of several inputs from a hook of a module")
        return changed[place]
