"""Runs a OneFlow model on the inputs of a recording, and judges everything that was recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from torch2flow.errors import DifferenceError
from torch2flow.proof.parity.backward import Backward
from torch2flow.proof.parity.compared_models import Subject, nothing_dropped, untouched
from torch2flow.proof.parity.judge import distance_in_float64
from torch2flow.proof.parity.known_differences import MISSING, known_deviations
from torch2flow.proof.parity.layers import EndToEnd, OneByOne, first_line
from torch2flow.proof.parity.ledger import Ledger
from torch2flow.proof.parity.reference import Reference
from torch2flow.proof.watching import watched
from torch2flow.runtime.nested import leaves

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be compared, beside the outputs.

    Attributes:
        layers: every layer, as far as it was recorded.
        training: gradients and steps, as far as they were recorded.
        graph: the outputs once more, of a `flow.nn.Graph`.
        modules: a regular expression; only layers whose path it matches are judged.
        crashed: names of calls that end the process, and are not run.
    """

    layers: bool = True
    training: bool = True
    graph: bool = False
    modules: str = ""
    crashed: tuple[str, ...] = ()


@dataclass
class Run:
    """A comparison under way.

    Attributes:
        flow: the module `oneflow`.
        subject: builds the model.
        reference: the recording.
        request: what is compared.
        ledger: judges.
        say: is told what is being done.
        enter: is told of each layer's call before it runs, and `leave` after it.
    """

    flow: Any
    subject: Subject
    reference: Reference
    request: Request
    ledger: Ledger
    say: Callable[[str], None] = lambda text: None
    enter: Callable[[str], None] = lambda name: None
    leave: Callable[[str], None] = lambda name: None

    def __call__(self) -> None:
        """Compares everything."""
        layers = self.request.layers and bool(self.reference.calls)
        training = self.request.training and bool(self.reference.names("train.gradient."))
        try:
            model = self.model()
        except Exception as error:
            self.ledger.fail("building the model", first_line(error))
            return
        self.ledger.known = known_deviations(model)
        self._try("outputs", self._outputs, model, layers)
        if layers:
            self._try("own", self._one_by_one, model)
        if self.reference.names("second.output."):
            self._try("second", self._second, model)
        if self.request.graph:
            self._try("graph", self._graph, model)
        if self.ledger.doubtful("outputs", "second", "graph", "own", "inputs") and self.doubles:
            del model
            self._try("float64", self._in_float64, layers)
        if training:
            self._try("training", self._training)
            if self.ledger.doubtful("gradients", "input_gradients", "buffers", "sgd", "adamw") and self.doubles:
                self._try("training in float64", self._training_in_float64)
            if not self.ledger.fine("gradients"):
                self._try("locating in float64", self._locate, layers)

    @property
    def doubles(self) -> bool:
        """Whether the recording has float64 values of everything."""
        return self.reference.metadata.get("float64", "recorded") == "recorded"

    def model(self, *, double: bool = False) -> Any:
        """The model in the mode that was captured."""
        model = self.subject.build(self.flow, double=double)
        return model.train(self.reference.metadata.get("mode") == "train")

    def _try(self, part: str, run: Callable[..., None], *arguments: Any) -> None:
        """Runs one part of the comparison. A failure is noted, and the other parts go on."""
        try:
            run(*arguments)
        except Exception as error:
            self.ledger.fail(part, first_line(error))

    # -- outputs and layers ----------------------------------------------------------------------------------

    def _outputs(self, model: Any, layers: bool) -> None:
        self.say("running the model")
        comparison = EndToEnd(
            self.flow, self.reference, self.ledger, self.request.modules, self.enter, self.leave, self.request.crashed
        )
        if layers:
            with watched(model, comparison):
                given = self.forward(model)
            self.ledger.see(comparison.seen)
            if {call.path for call in self.reference.calls.values() if not call.passes} - comparison.seen:
                self.ledger.known.append(MISSING)
        else:
            given = self.forward(model)
        self._judge("outputs", given, "output.")
        if self.ledger.doubtful("outputs"):
            again = self.forward(model)
            if any(not np.array_equal(given[name].numpy(), again[name].numpy(), equal_nan=True) for name in given):
                self.ledger.note_random()

    def _one_by_one(self, model: Any, *, double: bool = False) -> None:
        self.say(f"comparing layer by layer{' in float64' if double else ''}")
        comparison = OneByOne(
            self.flow, self.reference, self.ledger, self.request.modules, self.enter, self.leave, self.request.crashed,
            double=double, model=model,
        )  # fmt: skip
        with watched(model, comparison):
            outputs = self.forward(model, double=double)
        for name in self.reference.names("output."):  # what the model's own code makes of its layers
            if name in outputs and not self.request.modules:
                comparison.judge("own", f"output.{name}", outputs[name].numpy())

    def _second(self, model: Any) -> None:
        self.say("running at other sizes")
        self._judge("second", self.forward(model, "second."), "second.output.")

    def _graph(self, model: Any) -> None:
        self.say("running in graph mode")

        class ModelGraph(self.flow.nn.Graph):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def build(self, *args: Any, **kwargs: Any) -> Any:
                return self.model(*args, **kwargs)

        args, keywords = self.inputs()
        with untouched(self.flow, model):
            self._judge("graph", self._numbered(ModelGraph()(*args, **keywords)), "output.")

    def _in_float64(self, layers: bool) -> None:
        self.say("running in float64")
        model = self.model(double=True)
        for part, prefix in (("outputs", ""), ("graph", ""), ("second", "second.")):
            if part in self.ledger.parts:
                self._judge_double(part, self.forward(model, prefix, double=True), f"{prefix}output.")
        if layers and self.ledger.doubtful("own", "inputs"):
            self._one_by_one(model, double=True)

    def forward(self, model: Any, prefix: str = "", *, double: bool = False) -> dict[str, Any]:
        """The outputs by their numbers."""
        args, keywords = self.inputs(prefix, double=double)
        with self.flow.no_grad(), untouched(self.flow, model):
            return self._numbered(model(*args, **keywords))

    # -- training --------------------------------------------------------------------------------------------

    def _training(self) -> None:
        self.say("training")
        step = self._step()
        self._judge("gradients", step.gradients, "train.gradient.")
        self._judge("input_gradients", step.inputs, "train.input_gradient.")
        self._judge("buffers", step.buffers, "train.step.", step.before)
        self._judge("sgd", step.parameters, "train.step.")
        if "adamw" in self.reference.notes:
            self._judge("adamw", self._adamw(), "train.adamw.")

    def _training_in_float64(self) -> None:
        self.say("training in float64")
        step = self._step(double=True)
        self._judge_double("gradients", step.gradients, "train.gradient.")
        self._judge_double("input_gradients", step.inputs, "train.input_gradient.")
        self._judge_double("buffers", step.buffers, "train.step.")
        self._judge_double("sgd", step.parameters, "train.step.")
        if "adamw" in self.ledger.parts:
            self._judge_double("adamw", self._adamw(double=True), "train.adamw.")
        if not self.ledger.fine("gradients", "input_gradients", "sgd"):
            self._allow_rounding(step)

    def _allow_rounding(self, step: TrainingStep) -> None:
        """Measures what one rounding of the weights changes in float64, where float32 is nothing but noise."""
        self.say("measuring what one rounding makes in float64")
        shaken = self._step(double=True, shaken=True)
        for part, prefix, found, other in (
            ("gradients", "train.gradient.", step.gradients, shaken.gradients),
            ("input_gradients", "train.input_gradient.", step.inputs, shaken.inputs),
            ("sgd", "train.step.", step.parameters, shaken.parameters),
        ):
            scale = self._least(prefix)
            for name, tensor in found.items():
                one, two = (each.detach().numpy() for each in (other[name], tensor))
                self.ledger.allow(part, name, distance_in_float64(one, two, scale))

    def _locate(self, layers: bool) -> None:
        """Finds where gradients go wrong: in a layer whose outputs differ too, or whose backward pass differs."""
        if layers and self.doubles:
            self._one_by_one(self.model(double=True), double=True)
        if not self.ledger.fine("outputs", "own", "inputs"):
            return
        self.say("comparing each layer's gradient with its slope")
        model = self.subject.build(self.flow, double=True).train()
        args, keywords = self.inputs(double=True)
        backward = Backward(self.flow, set(self.reference.names("train.gradient.")))
        with nothing_dropped(self.flow, model), self.flow.no_grad():
            with watched(model, backward):
                model(*args, **keywords)
            if not backward.failed and not backward.agrees("", model, model, tuple(args), keywords):
                backward.failed.append("")
        self.ledger.note_backward(backward.failed)

    def _step(self, *, double: bool = False, shaken: bool = False) -> TrainingStep:
        """One step of SGD on the recorded loss. With `shaken`, every weight is off by up to one rounding of float64."""
        flow, model = self.flow, self.subject.build(self.flow, double=double).train()
        if shaken:
            rng = np.random.default_rng(0)
            for parameter in model.parameters():
                values = parameter.numpy()
                parameter.data.copy_(flow.tensor(values * (1 + 2.0**-52 * rng.choice([-1.0, 0.0, 1.0], values.shape))))
        before = {name: buffer.numpy().copy() for name, buffer in model.named_buffers()}
        inputs: dict[str, Any] = {}
        args, keywords = self.inputs(double=double, track=inputs)
        with nothing_dropped(flow, model):
            outputs = self._numbered(model(*args, **keywords))
        names = self.reference.names("train.loss.weight.")
        missing = [name for name in names if name not in outputs]
        if missing:
            raise DifferenceError(
                f"PyTorch's model gives more in train mode than this one, output {missing[0]} for one: it was captured "
                "in eval mode, and 'torch2flow capture --train' captures what it is in train mode"
            )
        weights = {name: self.tensor(self.reference.array(f"train.loss.weight.{name}"), double) for name in names}
        loss = sum((outputs[name] * weight).sum() for name, weight in weights.items())
        loss.backward()
        named = dict(model.named_parameters())
        gradients = {name: parameter.grad.clone() for name, parameter in named.items() if parameter.grad is not None}
        flow.optim.SGD(list(named.values()), lr=self.reference.learning_rate).step()
        got = {name: tensor.grad for name, tensor in inputs.items() if tensor.grad is not None}
        return TrainingStep(gradients, got, dict(model.named_buffers()), before, named)

    def _adamw(self, *, double: bool = False) -> dict[str, Any]:
        """Parameters after a step of AdamW with PyTorch's own gradients: an error is the optimizer's alone."""
        self.say(f"a step of AdamW{' in float64' if double else ''}")
        model = self.subject.build(self.flow, double=double).train()
        named = dict(model.named_parameters())
        for name in self.reference.names("train.gradient."):
            if name in named:
                named[name].grad = self.tensor(self.reference.array(f"train.gradient.{name}"), double)
        settings = self.reference.notes["adamw"]
        self.flow.optim.AdamW(
            [p for p in named.values() if p.grad is not None],
            lr=settings["lr"], betas=tuple(settings["betas"]), eps=settings["eps"],
            weight_decay=settings["weight_decay"],
        ).step()  # fmt: skip
        return named

    # -- values ----------------------------------------------------------------------------------------------

    def tensor(self, array: Array, double: bool = False) -> Any:
        """A OneFlow tensor of recorded values."""
        return self.flow.tensor(array.astype(np.float64) if double and array.dtype == np.float32 else array)

    def inputs(self, prefix: str = "", *, double: bool = False, track: dict[str, Any] | None = None) -> Any:
        """The recorded inputs; those of floating type are put into `track`, and get gradients."""

        names = iter(self.reference.names(f"{prefix}input."))  # `convert` is called in their order

        def convert(array: Array) -> Any:
            name, tensor = next(names), self.tensor(array, double)
            if track is None or array.dtype.kind != "f":
                return tensor
            track[name] = tensor.requires_grad_()
            return tensor * 1  # a leaf may not be changed in place

        return self.reference.inputs(convert, prefix)

    def _numbered(self, output: Any) -> dict[str, Any]:
        return {str(n): leaf for n, leaf in enumerate(leaves(output)) if isinstance(leaf, self.flow.Tensor)}

    def _judge(self, part: str, given: dict[str, Any], prefix: str, before: dict[str, Array] | None = None) -> None:
        for name, single, exact in self.reference.pairs(prefix):
            if name in given:
                found = given[name].detach().numpy()
                self.ledger.judge(part, name, found, single, exact, before=(before or {}).get(name))
            elif prefix != "train.step.":  # which holds parameters and buffers
                self.ledger.fault(part, name, "it is not there")

    def _least(self, prefix: str) -> float:
        """The smallest scale for a tensor: a gradient that is mathematically zero is measured against the largest."""
        if not prefix.startswith("train."):
            return 0.0
        return 1e-6 * max(
            (float(np.abs(exact).max(initial=0)) for _, _, exact in self.reference.pairs(prefix)), default=0
        )

    def _judge_double(self, part: str, given: dict[str, Any], prefix: str) -> None:
        scale = self._least(prefix)
        for name, _, exact in self.reference.pairs(prefix):
            if name in given:
                self.ledger.judge_double(part, name, given[name].detach().numpy(), exact, scale)


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """The result of one step of training: gradients, buffers before and after, parameters after."""

    gradients: dict[str, Any]
    inputs: dict[str, Any]
    buffers: dict[str, Any]
    before: dict[str, Array]
    parameters: dict[str, Any]
