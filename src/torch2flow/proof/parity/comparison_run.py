"""Compares a OneFlow model with a recording: weights, outputs, layers, graph mode, randomness, training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from torch2flow.checkpoints.names.templates import CHANGES
from torch2flow.checkpoints.oneflow.dtypes import WIDENED_TO
from torch2flow.proof.digests import digest
from torch2flow.proof.outline import first_difference, outline
from torch2flow.proof.parity.compared_models import Subject
from torch2flow.proof.parity.graph_mode import REFUSED, first_in_graph
from torch2flow.proof.parity.judge import FINE
from torch2flow.proof.parity.known_differences import LITERALS, MISSING, known_deviations
from torch2flow.proof.parity.layers import EndToEnd, OneByOne, first_line, module_of
from torch2flow.proof.parity.ledger import PARTS, RUNS, TRAINED, Ledger
from torch2flow.proof.parity.random_comparison import compare_draws, compare_dropout, random_outputs
from torch2flow.proof.parity.reference import Reference
from torch2flow.proof.parity.runner import Runner
from torch2flow.proof.parity.stored_values import another_weight
from torch2flow.proof.parity.training import (
    IN_GRAPH,
    compare_trainable,
    compare_training,
    compare_training_in_float64,
    compare_training_in_graph,
    locate_in_backward,
)
from torch2flow.proof.watching import watched

OTHER_MODE = "other_mode"
"""What is run after it is known whether the model draws, in train mode, what PyTorch drops."""


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
        self.runner = Runner(self.flow, self.subject, self.reference, self.ledger, self.say)
        layers = self.request.layers and bool(self.reference.calls)
        doubles = self.reference.metadata.get("float64", "recorded") == "recorded"
        try:
            model = self.runner.model()
        except Exception as error:
            self.ledger.fail("building the model", first_line(error))
            return
        self.ledger.known = known_deviations(model)
        self.ledger.in_train_mode = self.reference.metadata.get("mode") == "train"
        if self.reference.call is not None and "literals" in self.reference.metadata:
            self.ledger.known.append(LITERALS)
        self._try("weights", self._weights, model)
        self._try("outputs", self._outputs, model, layers)
        if layers:
            self._try("own", self._one_by_one, model)
        for part, prefix in RUNS.items():
            if prefix and part != OTHER_MODE and self.reference.names(f"{prefix}output."):
                self._try(part, self._run_more, model, part, prefix)
        if self.request.graph:
            self._try("graph", self._graph, model)
        if self.request.training:
            self._try("dropout", compare_dropout, self.runner, model)
            if self.reference.names("train.gradient.") or self.reference.metadata.get("training"):
                self._try("trainable", compare_trainable, self.runner, model)
        if self.reference.names(f"{RUNS[OTHER_MODE]}output.") and not self.ledger.untrained:
            self._try(OTHER_MODE, self._run_more, model, OTHER_MODE, RUNS[OTHER_MODE])
        del model
        if doubles:
            self._try("float64", self._in_float64, layers)
        if self.request.training and self.reference.names("train.gradient.") and not self.ledger.untrained:
            self._try("training", compare_training, self.runner)
            if self.ledger.doubtful(*TRAINED) and doubles:
                self._try("training in float64", compare_training_in_float64, self.runner)
            if not self.ledger.fine("gradients"):
                self._try("locating in float64", self._locate, layers and doubles)
            if self.request.graph and "graph" in self.ledger.parts:
                self._graph_training(doubles)
        self._leave_ties()
        self.ledger.note_left_out(self.subject.exercised.left_out())

    def _try(self, part: str, run: Callable[..., None], *arguments: Any) -> None:
        """Runs one part of the comparison. A failure is noted, and the other parts go on."""
        try:
            run(*arguments)
        except Exception as error:
            self.ledger.fail(part, first_line(error), module_of(error, self.flow))

    def _weights(self, model: Any) -> None:
        """Every parameter and buffer must hold PyTorch's values, bit for bit, before anything else means much."""
        recorded, state = self.reference.notes.get("weights", {}), self.subject.state(model)
        rounded = self.subject.rounded
        for old, new, change in self.reference.keys.pairs(recorded):
            if new not in state:
                continue  # which loading the weights has told
            if change is not CHANGES[""] or new in rounded:
                continue  # the same values in another shape, or other values that were asked for
            if digest(state[new].numpy()) == recorded[old]:
                self.ledger.agree("weights", new)
            else:
                cause = another_weight(new, state[new].numpy(), recorded, old)
                self.ledger.fault("weights", new, "it does not hold PyTorch's values", cause)

    def _outputs(self, model: Any, layers: bool) -> None:
        self.say("running the model")
        comparison = EndToEnd(
            self.flow, self.reference, self.ledger, self.request.modules, self.enter, self.leave, self.request.crashed
        )
        if layers:
            with watched(model, comparison, self.reference.other_names):
                output = self.runner.run(model)
            self.ledger.see(comparison.seen)
            missing = {call.path for call in self.reference.calls.values() if not call.passes} - comparison.seen
            if missing | self._pair(model, comparison):
                self.ledger.known.append(MISSING)
        else:
            output = self.runner.run(model)
        self._form(output)
        if self.reference.draws:
            compare_draws(self.runner, model)
            return
        given = self.runner.numbered(output)
        self.runner.judge("outputs", given, "output.")
        if self.ledger.doubtful("outputs"):
            again = self.runner.forward(model)
            if any(not np.array_equal(given[name].numpy(), again[name].numpy(), equal_nan=True) for name in given):
                self.ledger.note_random()

    def _pair(self, model: Any, comparison: EndToEnd) -> set[str]:
        """Pairs the calls of modules that one side calls more often, and compares once more with these pairs.

        Returns:
            The names of the calls that have no counterpart here.
        """
        pairs, reference = comparison.traces.pairs(self.reference), self.reference
        if not pairs:
            return set()
        reference.call_pairs = pairs
        paths = {name.rpartition("#")[0] for name in pairs}
        rows = [row for row in reference.calls.values() if row.path in paths]
        self.ledger.pair(pairs, [name for row in rows for name in row.outputs])
        with watched(model, comparison, reference.other_names):
            self.runner.run(model)
        alone = {row.name for row in rows if not row.passes} - {*pairs.values()}
        mine = sum(not name for name in pairs.values())
        if (alone or mine) and not reference.twin:
            first = sorted(paths)[0]
            others = f", and {len(paths) - 1} modules more," if len(paths) > 1 else ""
            self.ledger.remark(
                f"PyTorch calls `{first}`{others} another number of times: calls were paired by their values, and "
                f"{len(alone)} of PyTorch's and {mine} of OneFlow's, which have no counterpart, were not compared"
            )
        return alone

    def _form(self, output: Any) -> None:
        """Compares what a caller sees: nesting, keys, fields, dtypes."""
        expected = self.reference.notes.get("outline")
        if expected is None or self.reference.twin:
            return
        found = outline(output, lambda leaf: _dtype_name(leaf) if isinstance(leaf, self.flow.Tensor) else None)
        difference = first_difference(self._as_oneflow(expected), found)
        if difference:
            cause = "another form: a nesting, a key, a field or the order of what is returned"
            if difference.count("a tensor of") == 2:
                cause = "another dtype of what is returned"
            self.ledger.fault("form", "the output", difference, cause)
        else:
            self.ledger.agree("form", "the output")

    def _as_oneflow(self, expected: Any) -> Any:
        """An outline of PyTorch's with the dtypes that OneFlow has for its own."""
        if isinstance(expected, list) and len(expected) == 2 and expected[0] == "tensor":
            dtype = WIDENED_TO.get(expected[1], expected[1])
            return ["tensor", self.subject.dtype_for(self.flow, dtype)]
        return [self._as_oneflow(part) for part in expected] if isinstance(expected, list) else expected

    def _one_by_one(self, model: Any, *, double: bool = False) -> None:
        self.say(f"comparing layer by layer{' in float64' if double else ''}")
        comparison = OneByOne(
            self.flow, self.reference, self.ledger, self.request.modules, self.enter, self.leave, self.request.crashed,
            double=double, model=model,
        )  # fmt: skip
        with watched(model, comparison, self.reference.other_names):
            outputs = self.runner.forward(model, double=double)
        for name in self.reference.names("output."):  # what the model's own code makes of its layers
            if name in outputs and not self.request.modules and f"output.{name}" not in self.reference.random:
                comparison.judge("own", f"output.{name}", outputs[name].numpy())

    def _run_more(self, model: Any, part: str, prefix: str) -> None:
        self.say(f"comparing {PARTS[part]}")
        self.runner.judge(part, self.runner.forward(model, prefix), f"{prefix}output.")
        evaluated = part == "eval_outputs" or (part == "again" and not model.training)
        if evaluated and "moved_in_eval" in self.reference.notes:
            known = {new for _, new, _ in self.reference.keys.pairs(self.reference.notes["moved_in_eval"])}
            for name in sorted(self.runner.moved ^ known):
                text = (
                    "PyTorch changes it in eval mode"
                    if name in known
                    else "it changes in eval mode, and PyTorch's stays"
                )
                self.ledger.fault(part, name, text, "a buffer is updated in another mode: a test of `self.training`")

    def _graph(self, model: Any) -> None:
        self.say("running in graph mode")
        random = random_outputs(self.reference)
        if random:
            self.ledger.remark("in graph mode only what is not random was compared")
        try:
            found = self.runner.in_graph_mode(model)
        except Exception as error:
            why = first_line(error)
            if _refused(why) == why:
                raise
            self.ledger.note_missing(f"Graph mode was not compared: {_refused(why)}.")
            return
        self.runner.judge("graph", found, self.runner.in_graph, leave=random)
        if self.ledger.verdict("graph") == "different":
            with self.runner.nothing_dropped(model):
                self.ledger.note_graph(first_in_graph(self.flow, model, self.runner.calls))

    def _graph_training(self, doubles: bool) -> None:
        """Compares a step of training in graph mode, in which OneFlow can't run some code that it runs eagerly."""
        why = "OneFlow ends the process" if IN_GRAPH in self.request.crashed else ""
        try:
            if not why:
                compare_training_in_graph(self.runner, doubles=doubles)
        except Exception as error:
            why = first_line(error)
        if why:
            self.ledger.note_missing(f"Training in graph mode was not compared: {_refused(why)}.")

    def _leave_ties(self) -> None:
        """Leaves out what differs and depends on which of equal values comes first, as neither library says."""
        ties = self.reference.notes.get("ties")
        if ties is None:
            return
        tied, parts = set(ties["tensors"]), self.ledger.parts
        places = {**{part: f"{prefix}output." for part, prefix in RUNS.items()}, "train_outputs": "output.",
                  "graph": self.runner.in_graph}  # fmt: skip
        trained = any(name.startswith("output.") and self.reference.array(name).dtype.kind == "f" for name in tied)
        left = [
            (part, name)
            for part, entries in parts.items()
            for name in entries
            if not self.ledger.fine(part)
            and entries[name].measure.verdict not in FINE
            and (places.get(part, "") + name in tied or (trained and part in TRAINED))
        ]
        if left:
            self.ledger.leave(left)
            self.ledger.remark(
                f"`{ties['function']}` meets equal values, and neither library says which of them comes first: "
                f"{len(left)} tensors that depend on it differ, and were not compared"
            )

    def _in_float64(self, layers: bool) -> None:
        self.say("running in float64")
        model = self.runner.model(double=True)
        for part, prefix in RUNS.items():
            if part in self.ledger.parts and (part == "outputs" or self.ledger.doubtful(part)):
                self.runner.judge_double(part, self.runner.forward(model, prefix, double=True), f"{prefix}output.")
        if "graph" in self.ledger.parts:
            self.runner.judge_double("graph", self.runner.in_graph_mode(model, double=True), self.runner.in_graph)
        if layers and self.ledger.doubtful("own", "inputs"):
            self._one_by_one(model, double=True)

    def _locate(self, layers: bool) -> None:
        """Finds where gradients go wrong: in a layer whose outputs differ too, or whose backward pass differs."""
        if layers:
            self._one_by_one(self.runner.model(double=True), double=True)
        if self.ledger.fine("outputs", "own", "inputs"):
            locate_in_backward(self.runner)


def _refused(error: str) -> str:
    """What OneFlow refuses in any Graph, in words; any other error as it is."""
    return next((text for word, text in REFUSED.items() if word in error), error)


def _dtype_name(tensor: Any) -> str:
    return str(tensor.dtype).rpartition(".")[2]
