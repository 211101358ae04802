"""Compares a step of training: what is trained, outputs in train mode, gradients, buffers, parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from torch2flow.errors import DifferenceError
from torch2flow.proof.parity.backward import Backward
from torch2flow.proof.parity.graph_mode import first_in_graph, train_as_graph
from torch2flow.proof.parity.judge import FINE, distance_in_float64
from torch2flow.proof.parity.runner import Array, Runner
from torch2flow.proof.sample import sample
from torch2flow.proof.watching import watched

KINKED = ("gradients", "input_gradients", "sgd")
"""The parts in which one ReLU or maximum changes much whose inputs round to another order."""

IN_GRAPH = "training in graph mode"
"""What is said before a step is made as a Graph, which some code ends the process by."""

UNCOUNTED = "num_batches_tracked"
"""What the names of buffers end with that OneFlow 0.9.0 does not count in graph mode."""

AGAIN = 5
"""How often gradients that lose digits are computed again."""


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """The result of one step of training: values by their names, and the names of what is trained.

    Attributes:
        outputs: in train mode.
        gradients: of parameters.
        inputs: gradients of inputs.
        buffers: after the forward pass.
        later: buffers after another forward pass, with the parameters that PyTorch's own gradients give: what they
            differ by is then theirs alone.
        before: buffers before.
        parameters: elements of them after the step.
    """

    outputs: dict[str, Any]
    gradients: dict[str, Any]
    inputs: dict[str, Any]
    buffers: dict[str, Any]
    later: dict[str, Any]
    before: dict[str, Array]
    parameters: dict[str, Any]


def compare_training(runner: Runner) -> None:
    """Compares one step of training in float32."""
    runner.say("training")
    step = _step(runner)
    _judge_gradients_of(runner, step)
    runner.judge("train_outputs", step.outputs, "train.output.")
    runner.judge("gradients", step.gradients, "train.gradient.")
    runner.judge("input_gradients", step.inputs, "train.input_gradient.")
    leave = _of_the_original_alone(runner, step)
    runner.judge("buffers", step.buffers, "train.step.", step.before, leave)
    runner.judge("later_buffers", step.later, "train.second_step.", leave=leave)
    runner.judge("sgd", step.parameters, "train.sgd.")
    if "adamw" in runner.reference.notes:
        runner.judge("adamw", _adamw(runner), "train.adamw.")


def _of_the_original_alone(runner: Runner, step: TrainingStep) -> set[str]:
    """What is recorded of buffers that no checkpoint holds, and that a port by hand computes or keeps otherwise."""
    if runner.reference.call is None:
        return set()
    prefixes, held = ("train.step.", "train.second_step."), {*runner.reference.state, *step.buffers}
    return {prefix + name for prefix in prefixes for name in runner.reference.names(prefix) if name not in held}


def compare_training_in_float64(runner: Runner) -> None:
    """Compares the same in float64."""
    runner.say("training in float64")
    step = _step(runner, double=True)
    runner.judge_double("train_outputs", step.outputs, "train.output.")
    runner.judge_double("gradients", step.gradients, "train.gradient.")
    runner.judge_double("input_gradients", step.inputs, "train.input_gradient.")
    runner.judge_double("buffers", step.buffers, "train.step.")
    runner.judge_double("later_buffers", step.later, "train.second_step.")
    runner.judge_double("sgd", step.parameters, "train.sgd.")
    if "adamw" in runner.ledger.parts:
        runner.judge_double("adamw", _adamw(runner, double=True), "train.adamw.")
    if not runner.ledger.fine(*KINKED):
        _allow_rounding(runner, step)
        _look_again(runner)


def compare_training_in_graph(runner: Runner, *, doubles: bool) -> None:
    """Compares a step of training as a `flow.nn.Graph` with the eager one, which is compared with PyTorch's.

    It is compared in float32 alone: OneFlow 0.9.0 has no optimizer of a Graph for float64.

    Args:
        runner: has the model and the recording.
        doubles: whether the model runs in float64, which tells the noise of the eager step.
    """
    runner.say(IN_GRAPH)
    flow, part, eager = runner.flow, "graph_training", _named(_step(runner))
    exact = _named(_step(runner, double=True)) if doubles else eager
    model = runner.subject.build(flow).train()
    loss, rate = partial(_loss, runner, False), runner.reference.learning_rate
    with runner.nothing_dropped(model):
        found = train_as_graph(flow, model, runner.inputs(), loss, rate)
    stepped = {name: sample(parameter.detach()) for name, parameter in model.named_parameters()}
    outputs = {str(place): value for place, value in found.items()}
    for name, value in _named(TrainingStep(outputs, {}, {}, dict(model.named_buffers()), {}, {}, stepped)).items():
        spread = 10 * float(np.abs(eager[name] - exact[name]).max(initial=0))  # which float64 would have decided
        runner.ledger.judge(part, name, value, eager[name], exact[name], spread=spread)
    bad = [name for name, each in runner.ledger.parts[part].items() if each.measure.verdict not in FINE]
    if any(name.startswith("output.") for name in bad):
        model = runner.subject.build(flow).train()
        with runner.nothing_dropped(model):
            runner.ledger.note_graph(first_in_graph(flow, model, lambda: [runner.inputs()]))


def _named(step: TrainingStep) -> dict[str, Array]:
    """Outputs, buffers and parameters after a step by one name each, but for what OneFlow's Graphs do not count."""
    outputs = {f"output.{name}": value for name, value in step.outputs.items()}
    values = {**outputs, **step.buffers, **step.parameters}
    return {name: value.detach().numpy() for name, value in values.items() if not name.endswith(UNCOUNTED)}


def locate_in_backward(runner: Runner) -> None:
    """Notes the calls whose gradient does not fit what they compute."""
    runner.say("comparing each layer's gradient with its slope")
    model = runner.subject.build(runner.flow, double=True).train()
    args, keywords = runner.inputs(double=True)
    backward = Backward(runner.flow, set(runner.reference.names("train.gradient.")))
    with runner.nothing_dropped(model), runner.flow.no_grad():
        with watched(model, backward):
            model(*args, **keywords)
        if not backward.failed and not backward.agrees("", model, model, tuple(args), keywords):
            backward.failed.append("")
    runner.ledger.note_backward(backward.failed)


def compare_trainable(runner: Runner, model: Any) -> None:
    """The same parameters must be trained: none more, none less."""
    reference, ledger = runner.reference, runner.ledger
    wanted = reference.trainable
    if wanted is None or reference.twin:
        return
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    for name in sorted({*wanted, *trainable}):
        if name not in trainable:
            text = "it is frozen, and PyTorch trains it"
            ledger.fault("trainable", name, text, "the parameter is frozen here: requires_grad is False")
        elif name not in wanted:
            text = "it is trained, and PyTorch's is frozen"
            ledger.fault("trainable", name, text, "the parameter is frozen in PyTorch: requires_grad is False there")
        else:
            ledger.agree("trainable", name)


def _judge_gradients_of(runner: Runner, step: TrainingStep) -> None:
    """The same parameters must get a gradient, and most of them one that is not zero."""
    reference, ledger = runner.reference, runner.ledger
    wanted = reference.trainable
    if wanted is None or reference.twin:
        return
    recorded = set(reference.names("train.gradient."))
    for name in set(wanted) - recorded:
        if name in step.gradients and step.gradients[name].numpy().any():
            text = "it gets a gradient, and PyTorch's gets none"
            ledger.fault("trainable", name, text, "PyTorch has a detach or no_grad that is left out here")
    still = sum(not reference.array(f"train.gradient.{name}").any() for name in recorded)
    if still * 2 > len(wanted):
        ledger.remark(
            f"{still} of {len(wanted)} parameters have a gradient of zero, so the outputs do not depend on them and "
            "this comparison says little of them: compare once more with weights that were trained or drawn at random"
        )


def _allow_rounding(runner: Runner, step: TrainingStep) -> None:
    """Measures what one rounding of the weights changes in float64, where float32 is nothing but noise."""
    runner.say("measuring what one rounding makes in float64")
    shaken = _step(runner, double=True, shaken=0)
    for (part, prefix, found), (_, _, other) in zip(_with_kinks(step), _with_kinks(shaken), strict=True):
        scale = runner.least(prefix)
        for name, tensor in found.items():
            one, two = (each.detach().numpy() for each in (other[name], tensor))
            runner.ledger.allow(part, name, distance_in_float64(one, two, scale))


def _look_again(runner: Runner) -> None:
    """Computes gradients that lose digits again, with every weight one rounding off.

    A ReLU or a maximum whose inputs round to another order makes another gradient, and does so in few such runs. A
    layer that loses digits loses them in each.
    """
    for seed in range(AGAIN):
        if not runner.ledger.lost(*KINKED):
            return
        runner.say("computing gradients again with weights that are one rounding off")
        for part, prefix, found in _with_kinks(_step(runner, shaken=seed)):
            for name in runner.ledger.lost(part):
                if name in found:
                    runner.judge_again(part, name, found[name], prefix)


def _with_kinks(step: TrainingStep) -> list[tuple[str, str, dict[str, Any]]]:
    """What one ReLU at zero changes: the part, the prefix of what was recorded of it, and the values."""
    values = step.gradients, step.inputs, step.parameters
    prefixes = "train.gradient.", "train.input_gradient.", "train.sgd."
    return list(zip(KINKED, prefixes, values, strict=True))


def _step(runner: Runner, *, double: bool = False, shaken: int | None = None) -> TrainingStep:
    """One step of SGD on the recorded loss.

    Args:
        runner: has the model and the recording.
        double: computes in float64.
        shaken: moves every weight by up to one rounding of that precision; the seed for the directions.
    """
    flow, reference, model = runner.flow, runner.reference, runner.subject.build(runner.flow, double=double).train()
    if shaken is not None:
        rng, rounding = np.random.default_rng(shaken), 2.0**-52 if double else 2.0**-23
        for parameter in model.parameters():
            values = parameter.numpy()
            moved = values * (1 + rounding * rng.choice([-1.0, 0.0, 1.0], values.shape))
            parameter.data.copy_(flow.tensor(moved.astype(values.dtype)))
    recorded, twice = set(reference.names("train.step.")), bool(reference.names("train.second_step."))
    held = {name: sample(p.detach()) for name, p in model.named_parameters() if name in recorded}
    before = {name: each.numpy().copy() for name, each in (*held.items(), *model.named_buffers())}
    inputs: dict[str, Any] = {}
    args, keywords = runner.inputs(double=double, track=inputs)
    with runner.nothing_dropped(model):
        output = model(*args, **keywords)
    outputs, loss = runner.numbered(output), _loss(runner, double, output)
    if loss.requires_grad:  # else all gradients are missing, and each of them is told
        loss.backward()
    named = dict(model.named_parameters())
    at_first = {name: parameter.detach().clone() for name, parameter in named.items()} if twice else {}
    outputs = {name: output.clone() for name, output in outputs.items()}  # one may be a parameter, or a view of one
    gradients = {name: parameter.grad.clone() for name, parameter in named.items() if parameter.grad is not None}
    flow.optim.SGD(list(named.values()), lr=reference.learning_rate).step()
    stepped = {name: sample(parameter.detach()).clone() for name, parameter in named.items()}
    got = {name: tensor.grad for name, tensor in inputs.items() if tensor.grad is not None}
    held = {name: sample(named[name].detach()) for name in held}
    buffers = {name: each.clone() for name, each in (*held.items(), *model.named_buffers())}
    if twice:
        again, keywords = runner.inputs(double=double)
        with runner.nothing_dropped(model), flow.no_grad():
            for name, value in at_first.items():
                if f"train.gradient.{name}" in reference:
                    value = value - reference.learning_rate * _recorded_gradient(runner, name, double)
                    named[name].data.copy_(value)
            model(*again, **keywords)
    return TrainingStep(outputs, gradients, got, buffers, dict(model.named_buffers()), before, stepped)


def _loss(runner: Runner, double: bool, output: Any) -> Any:
    """The recorded loss."""
    outputs = runner.numbered(output)
    names = runner.reference.names("train.loss.weight.")
    missing = [name for name in names if name not in outputs]
    if missing:
        raise DifferenceError(
            f"PyTorch's model gives more in train mode than this one, output {missing[0]} for one: it was captured "
            "in eval mode, and 'torch2flow capture --train' captures what it is in train mode"
        )
    weights = {name: runner.tensor(runner.reference.array(f"train.loss.weight.{name}"), double) for name in names}
    return sum((outputs[name] * weight).sum() for name, weight in weights.items())


def _recorded_gradient(runner: Runner, name: str, double: bool) -> Any:
    """PyTorch's own gradient of a parameter, in the precision of a run."""
    read = runner.reference.exact if double else runner.reference.array
    return runner.tensor(read(f"train.gradient.{name}"), double)


def _adamw(runner: Runner, *, double: bool = False) -> dict[str, Any]:
    """Elements of the parameters after AdamW with PyTorch's own gradients: an error is the optimizer's alone."""
    runner.say(f"a step of AdamW{' in float64' if double else ''}")
    model = runner.subject.build(runner.flow, double=double).train()
    named = dict(model.named_parameters())
    for name in runner.reference.names("train.gradient."):
        if name in named:
            named[name].grad = runner.tensor(runner.reference.array(f"train.gradient.{name}"), double)
    settings = runner.reference.notes["adamw"]
    runner.flow.optim.AdamW(
        [parameter for parameter in named.values() if parameter.grad is not None],
        lr=settings["lr"],
        betas=tuple(settings["betas"]),
        eps=settings["eps"],
        weight_decay=settings["weight_decay"],
    ).step()
    return {name: sample(parameter.detach()) for name, parameter in named.items()}
