"""Runs a OneFlow model on the inputs of a recording, in one precision or the other, and hands results to the judge."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from torch2flow.proof.parity.compared_models import DEFAULT_DTYPE, Subject, untouched
from torch2flow.proof.parity.graph_mode import run_as_graph
from torch2flow.proof.parity.ledger import RUNS, Ledger
from torch2flow.proof.parity.random_calls import fixed_draws, nothing_dropped
from torch2flow.proof.parity.reference import Reference
from torch2flow.runtime.nested import leaves

Array = np.ndarray[Any, Any]

EVAL = RUNS["eval_outputs"]
"""The run in eval mode of a model that was captured in train mode."""

OTHER = RUNS["other_mode"]
"""The run in the mode that was not captured, with the inputs of other sizes."""

TWICE = ("again.", EVAL)
"""The runs whose inputs are those of the first."""


@dataclass
class Runner:
    """A model and its recording.

    Attributes:
        flow: the module `oneflow`.
        subject: builds the model.
        reference: the recording.
        ledger: judges.
        say: is told what is being done.
        moved: the buffers that the last run in eval mode, or the last second call, has changed.
    """

    flow: Any
    subject: Subject
    reference: Reference
    ledger: Ledger
    say: Callable[[str], None] = lambda text: None
    moved: set[str] = field(default_factory=set)

    def model(self, *, double: bool = False) -> Any:
        """The model in the mode that was captured."""
        model = self.subject.build(self.flow, double=double)
        return model.train(self.reference.metadata.get("mode") == "train")

    @contextlib.contextmanager
    def nothing_dropped(self, model: Any) -> Iterator[None]:
        """A context in which nothing is random that was not in the recording, and the model has its default dtype."""
        attributes, default = self.reference.metadata.get("dropout") != "functions", self.flow.get_default_dtype()
        self.flow.set_default_dtype(vars(model).get(DEFAULT_DTYPE, default))
        try:
            fixed = fixed_draws(self.flow) if self.reference.metadata.get("draws") else contextlib.nullcontext()
            with nothing_dropped(self.flow, model, attributes=attributes), fixed:
                yield
        finally:
            self.flow.set_default_dtype(default)

    def run(self, model: Any, prefix: str = "", *, double: bool = False) -> Any:
        """What the model gives for the inputs under a prefix, such as `second.`."""
        with self.flow.no_grad(), untouched(self.flow, model), self.nothing_dropped(model):
            if prefix == "again.":  # the first of two calls
                half = self.reference.metadata.get("again") == "halved"
                args, keywords = self.inputs(double=double, scale=0.5 if half else 1.0)
                model(*args, **keywords)
            if prefix in (EVAL, OTHER):
                model.train(prefix == OTHER and not model.training)
            args, keywords = self.inputs(prefix, double=double)
            before = {name: value.numpy().copy() for name, value in model.named_buffers()} if prefix in TWICE else {}
            output = model(*args, **keywords)
            after = {name: value.numpy() for name, value in model.named_buffers() if name in before}
            self.moved = {name for name in after if not np.array_equal(after[name], before[name], equal_nan=True)}
            return output

    def forward(self, model: Any, prefix: str = "", *, double: bool = False) -> dict[str, Any]:
        """The tensors that the model gives, by their numbers among all leaves."""
        return self.numbered(self.run(model, prefix, double=double))

    def in_graph_mode(self, model: Any, *, double: bool = False) -> dict[str, Any]:
        """The same of a `flow.nn.Graph`; of its second call, if one was recorded, which shows what the first froze."""
        with untouched(self.flow, model), self.nothing_dropped(model):
            places, tensors, _ = run_as_graph(self.flow, model, self.calls(double=double))
        return {str(place): tensor for place, tensor in zip(places, tensors, strict=True)}

    def calls(self, *, double: bool = False) -> list[Any]:
        """The inputs of the calls of a Graph: those of the first of two are half as large."""
        twice = self.reference.names("again.output.") and self.reference.metadata.get("again") == "halved"
        first = [self.inputs(double=double, scale=0.5)] if twice else []
        return [*first, self.inputs(double=double)]

    @property
    def in_graph(self) -> str:
        """The prefix of what was recorded of the last call of a Graph: that of the first where both gave the same."""
        names = self.reference.names("again.output.")
        pairs = [[self.reference.array(f"{prefix}output.{name}") for prefix in ("", "again.")] for name in names]
        same = all(np.array_equal(one, two, equal_nan=one.dtype.kind == "f") for one, two in pairs)
        return "output." if same else "again.output."

    def tensor(self, array: Array, double: bool = False) -> Any:
        """A OneFlow tensor of recorded values."""
        return self.flow.tensor(array.astype(np.float64) if double and array.dtype == np.float32 else array)

    def inputs(
        self, prefix: str = "", *, double: bool = False, track: dict[str, Any] | None = None, scale: float = 1.0
    ) -> Any:
        """The recorded inputs; those of floating type times `scale`. They are put into `track`, and get gradients."""
        prefix = "" if prefix in TWICE else RUNS["second"] if prefix == OTHER else prefix

        def convert(name: str, array: Array) -> Any:
            tensor = self.tensor(
                array if array.dtype.kind != "f" or scale == 1 else array * array.dtype.type(scale), double
            )
            if track is None or array.dtype.kind != "f":
                return tensor
            track[name] = tensor.requires_grad_()
            return tensor * 1  # a leaf may not be changed in place

        return self.reference.inputs(convert, prefix)

    def numbered(self, output: Any) -> dict[str, Any]:
        """The tensors of a nested value by their numbers among all leaves."""
        return {str(n): leaf for n, leaf in enumerate(leaves(output)) if isinstance(leaf, self.flow.Tensor)}

    # -- judging ---------------------------------------------------------------------------------------------

    def judge(
        self,
        part: str,
        given: dict[str, Any],
        prefix: str,
        before: dict[str, Array] | None = None,
        leave: Collection[str] = (),
    ) -> None:
        """Judges the values of a part by the recorded ones under a prefix, but for some that are left out."""
        for name, single, exact in self.reference.pairs(prefix):
            if prefix + name in leave:
                continue
            if name in given:
                found, spread = given[name].detach().numpy(), self.reference.spread.get(prefix + name, 0.0)
                others = partial(self._others, prefix, part)
                self.ledger.judge(
                    part, name, found, single, exact, spread=spread, before=(before or {}).get(name), others=others
                )
            elif np.size(single):
                self.ledger.fault(part, name, "it is not there")

    def _others(self, prefix: str, part: str) -> dict[str, Array]:
        """What may have been swapped with a value of this part: another output."""
        return {name: exact for name, _, exact in self.reference.pairs(prefix)} if part in RUNS else {}

    def judge_double(self, part: str, given: dict[str, Any], prefix: str) -> None:
        """Adds how far float64 is from the recorded float64."""
        scale = self.least(prefix)
        for name, single, exact in self.reference.pairs(prefix):
            if name in given:
                self.ledger.judge_double(part, name, given[name].detach().numpy(), exact, scale, single=single)

    def judge_again(self, part: str, name: str, tensor: Any, prefix: str) -> None:
        """Judges a value that was computed once more, where it is closer to the recorded one."""
        for recorded, single, exact in self.reference.pairs(prefix):
            if recorded == name:
                spread = self.reference.spread.get(prefix + name, 0.0)
                self.ledger.judge_again(part, name, tensor.detach().numpy(), single, exact, spread)

    def least(self, prefix: str) -> float:
        """The smallest scale for a tensor: a gradient that is mathematically zero is measured against the largest."""
        if not prefix.startswith("train."):
            return 0.0
        return 1e-6 * max(
            (float(np.abs(exact).max(initial=0)) for _, _, exact in self.reference.pairs(prefix)), default=0
        )
