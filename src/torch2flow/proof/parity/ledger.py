"""Keeps the measures of all tensors, part by part, and never the values themselves."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from torch2flow.proof.parity.judge import (
    CLOSE,
    DIGITS,
    EXACT,
    FINE,
    KINKED_DIGITS,
    ROUNDING,
    TRAINED_DIGITS,
    Measure,
    distance_in_float64,
    measure,
    measure_draws,
    missing,
    summed,
    worst,
)
from torch2flow.proof.parity.known_differences import Known
from torch2flow.proof.parity.likely_causes import Evidence, likely_causes
from torch2flow.proof.parity.statistics import Statistics, statistics

Array = np.ndarray[Any, Any]

PARTS = {
    "weights": "weights and buffers",
    "form": "form of the outputs",
    "outputs": "outputs",
    "second": "outputs at other sizes",
    "third": "outputs at odd sizes",
    "large": "outputs of large inputs",
    "branch": "outputs of another branch",
    "branch_2": "outputs of a third branch",
    "again": "outputs of a second call",
    "eval_outputs": "outputs in eval mode",
    "other_mode": "outputs in the other mode at other sizes",
    "random": "random outputs",
    "graph": "outputs in graph mode",
    "own": "layers, one by one",
    "inputs": "inputs of layers",
    "dropout": "dropout",
    "trainable": "trainable parameters",
    "train_outputs": "outputs in train mode",
    "gradients": "gradients",
    "input_gradients": "gradients of inputs",
    "buffers": "buffers after a step",
    "later_buffers": "buffers after two steps",
    "sgd": "parameters after SGD",
    "adamw": "parameters after AdamW",
    "graph_training": "a step in graph mode",
}
"""What is judged, in the order in which it is shown. `modules`, the layers end to end, is shown and not judged."""

RUNS = {
    "outputs": "", "second": "second.", "third": "third.", "large": "large.", "again": "again.", "branch": "branch.",
    "branch_2": "branch_2.", "eval_outputs": "eval.", "other_mode": "other.",
}  # fmt: skip
"""The runs that are compared by their outputs alone, with the prefix of their names in a recording."""

TRAINED = (
    "train_outputs",
    "gradients",
    "input_gradients",
    "buffers",
    "later_buffers",
    "sgd",
    "adamw",
    "graph_training",
)
"""What is computed in train mode."""

FORWARD = ("train_outputs", "buffers")
"""What of it a forward pass computes."""

WITH_HISTOGRAM = ("outputs",)


@dataclass(frozen=True, slots=True)
class JudgedTensor:
    """The measure of one tensor, and what may be the cause.

    Attributes:
        measure: how far it is from PyTorch's.
        statistics: more about the difference.
        likely: what may be the cause, where it is not within noise.
    """

    measure: Measure
    statistics: Statistics | None = None
    likely: tuple[str, ...] = ()


class Ledger:
    """Judges tensors as they come.

    Args:
        emit: is called with each finding as plain data, of which `accept` makes the same ledger elsewhere.
    """

    def __init__(self, emit: Callable[[dict[str, Any]], None] = lambda row: None) -> None:
        self.parts: dict[str, dict[str, JudgedTensor]] = {}
        self.failures: dict[str, str] = {}
        self.failed_in: dict[str, str] = {}
        self.seen: list[str] = []
        self.call_pairs: dict[str, str] = {}
        self.random = False
        self.untrained = ""
        self.missing: list[str] = []
        self.in_train_mode = False
        self.remarks: list[str] = []
        self.backward: list[str] | None = None
        self.explained = ("", "", "")
        self.graph = ""
        self.left_out: list[tuple[int, int, str]] = []
        self.known: list[Known] = []
        self.emit = emit

    def judge(
        self, part: str, name: str, found: Array, single: Array, exact: Array, *, spread: float = 0.0, **origin: Any
    ) -> None:
        """Measures a tensor.

        Args:
            part: one of `PARTS`, or `modules`.
            name: of the tensor in this part.
            found: OneFlow's.
            single: PyTorch's in its own precision.
            exact: PyTorch's in float64.
            spread: how far PyTorch's float32 spreads around that.
            origin: what else is known of it, as `causes.Evidence` has it: `cls`, `given`, `before`.
        """
        mode = self.in_train_mode != (part == "other_mode")
        forward = part in FORWARD or (mode and part not in (*TRAINED, "eval_outputs"))
        digits = TRAINED_DIGITS if forward else KINKED_DIGITS if part in TRAINED else DIGITS
        made = replace(measure(found, exact, single, spread), digits=digits)
        if part == "own" and made.doubtful:
            made = replace(made, digits=max(digits, ROUNDING * summed(found, origin.get("given", tuple)())))
        shown = part in WITH_HISTOGRAM
        more = statistics(found, single, exact, histogram=shown) if shown or made.doubtful else None
        likely: tuple[str, ...] = ()
        if (made.doubtful or made.fault) and part != "modules":  # where errors of others accumulate
            likely = tuple(likely_causes(Evidence(part, name, found, exact, made, **origin)))
        self._put(part, name, JudgedTensor(made, more, likely))

    def judge_double(
        self,
        part: str,
        name: str,
        found: Array,
        exact: Array,
        scale: float = 0.0,
        *,
        single: Array | None = None,
        **origin: Any,
    ) -> None:
        """Adds the distance of both sides in float64 to a tensor that was measured."""
        entry = self.parts.get(part, {}).get(name)
        if entry is not None:
            distance = distance_in_float64(found, exact, scale, single)
            known = [each for each in self.known if part in each.parts and EXACT < distance <= each.allowed]
            allowed = max((each.allowed for each in known), default=EXACT)
            made = replace(entry.measure, double=distance, allowed=allowed)
            likely = entry.likely
            if not likely and made.verdict not in FINE:
                likely = tuple(likely_causes(Evidence(part, name, found, exact, made, **origin)))
            likely = (*(each.text for each in known), *likely)
            self._put(part, name, replace(entry, measure=made, likely=likely))

    def judge_again(self, part: str, name: str, found: Array, single: Array, exact: Array, spread: float) -> None:
        """Takes the measure of a tensor that was computed once more, where it is closer to PyTorch's."""
        entry = self.parts[part][name]
        again, before = measure(found, exact, single, spread), entry.measure
        if again.error < before.error:
            made = replace(again, double=before.double, allowed=before.allowed, digits=before.digits)
            self._put(part, name, replace(entry, measure=made, likely=() if made.verdict in FINE else entry.likely))

    def lost(self, *parts: str) -> list[str]:
        """The tensors of some parts that lose digits in float32."""
        return [
            name
            for part in parts
            for name, entry in self.parts.get(part, {}).items()
            if entry.measure.verdict == "loses digits"
        ]

    def allow(self, part: str, name: str, distance: float) -> None:
        """Allows a tensor a multiple of the distance that one rounding of the weights causes in float64."""
        entry = self.parts.get(part, {}).get(name)
        if entry is not None and entry.measure.double is not None:
            allowed = max(entry.measure.allowed, min(10 * distance, CLOSE))
            self._put(part, name, replace(entry, measure=replace(entry.measure, allowed=allowed)))

    def judge_draws(
        self, part: str, name: str, found: tuple[Array, Array], recorded: tuple[Array, Array], draws: int
    ) -> None:
        """Judges a random tensor by mean and deviation, each an array of its shape, over a number of runs."""
        self._put(part, name, JudgedTensor(measure_draws(found, recorded, draws)))

    def agree(self, part: str, name: str) -> None:
        """Notes what is the same on both sides and is no tensor."""
        self._put(part, name, JudgedTensor(Measure(0.0, 0.0, 0.0, identical=True)))

    def remark(self, text: str) -> None:
        """Notes a sentence for the reader, that changes no verdict."""
        self._note({"remark": text})

    def fault(self, part: str, name: str, text: str, likely: str = "") -> None:
        """Notes what can't be measured: a tensor, or something else that is not the same on both sides.

        Args:
            part: one of `PARTS`.
            name: of what it is.
            text: the difference.
            likely: the cause, where it is known.
        """
        made, nothing = missing(text), np.zeros(0, np.float32)
        causes = (likely,) if likely else tuple(likely_causes(Evidence(part, name, nothing, nothing, made)))
        self._put(part, name, JudgedTensor(made, likely=causes))

    def fail(self, where: str, text: str, path: str = "") -> None:
        """Notes that a part, or a module by the name of its call, could not be run, and in which module's code."""
        self._note({"failed": where, "text": text, "path": path})

    def see(self, paths: Iterable[str]) -> None:
        """Notes which modules were called."""
        self._note({"seen": sorted(paths)})

    def pair(self, pairs: dict[str, str], left: Iterable[str]) -> None:
        """Notes which recorded calls others are compared with than those of their names, and tensors not to compare."""
        self._note({"pairs": pairs, "left": list(left)})

    def leave(self, rows: Iterable[tuple[str, str]]) -> None:
        """Takes back what was judged of some tensors, each by its part and name."""
        self._note({"taken_back": [list(each) for each in rows]})

    def note_random(self) -> None:
        """Notes that two runs of the OneFlow model differ."""
        self._note({"random": True})

    def note_untrained(self, why: str) -> None:
        """Notes why training is not compared, although it was recorded."""
        self._note({"untrained": why})

    def note_missing(self, text: str) -> None:
        """Notes what was asked for and could not be compared, in a sentence."""
        self._note({"missing": text})

    def note_backward(self, names: list[str]) -> None:
        """Notes the calls whose gradient does not fit their own outputs, the innermost first."""
        self._note({"backward": names})

    def note_left_out(self, rows: Iterable[tuple[int, int, str]]) -> None:
        """Notes what of the code no run has used: first and last line, and a sentence."""
        self._note({"left_out": [list(each) for each in rows]})

    def note_graph(self, path: str | None) -> None:
        """Notes the module whose code computes something else in graph mode."""
        self._note({"graph": path})

    def explain(self, tensor: str, text: str, path: str) -> None:
        """Notes the cause of a tensor's difference, which was put right and then left none, and the module's path."""
        self.explained = (tensor, text, path)

    def doubtful(self, *parts: str) -> bool:
        """Whether something in these parts can be decided in float64 only."""
        entries = (entry for part in parts for entry in self.parts.get(part, {}).values())
        return any(entry.measure.doubtful for entry in entries)

    def fine(self, *parts: str) -> bool:
        """Whether everything in these parts is within noise."""
        return all(each.verdict in FINE for part in parts for each in self.measures(part))

    def without(self, *parts: str) -> Ledger:
        """A ledger in which these parts were not judged; nor, for layers, what could not be run of them."""
        other = copy.copy(self)
        other.parts = {part: entries for part, entries in self.parts.items() if part not in parts}
        other.failures = {at: text for at, text in self.failures.items() if at not in parts and "#" not in at}
        return other

    def measures(self, part: str) -> list[Measure]:
        """The measures of a part."""
        return [entry.measure for entry in self.parts.get(part, {}).values()]

    def verdict(self, part: str) -> str:
        """The worst of a part's tensors."""
        return worst(each.verdict for each in self.measures(part))

    def _put(self, part: str, name: str, entry: JudgedTensor) -> None:
        self.parts.setdefault(part, {})[name] = entry
        self.emit({"part": part, "name": name, **asdict(entry)})

    def _note(self, row: dict[str, Any]) -> None:
        self.accept(row)
        self.emit(row)

    def accept(self, row: dict[str, Any]) -> None:
        """Takes what another ledger emitted."""
        if "failed" in row:
            self.failures[row["failed"]] = row["text"]
            self.failed_in[row["failed"]] = row["path"]
        elif "seen" in row:
            self.seen = row["seen"]
        elif "pairs" in row:
            self.call_pairs = row["pairs"]
            for name in row["left"]:
                self.parts.get("modules", {}).pop(name, None)
        elif "remark" in row:
            self.remarks += [row["remark"]] if row["remark"] not in self.remarks else []
        elif "random" in row:
            self.random = row["random"]
        elif "taken_back" in row:
            for part, name in row["taken_back"]:
                self.parts.get(part, {}).pop(name, None)
        elif "missing" in row:
            self.missing += [row["missing"]] if row["missing"] not in self.missing else []
        elif "untrained" in row:
            self.untrained = row["untrained"]
        elif "left_out" in row:
            self.left_out = [tuple(each) for each in row["left_out"]]
        elif "graph" in row:
            self.graph = row["graph"]
        elif "backward" in row:
            self.backward = row["backward"]
        else:
            made = Measure(**{**row["measure"], "squares": tuple(row["measure"]["squares"])})
            more = Statistics(**row["statistics"]) if row["statistics"] else None
            self.parts.setdefault(row["part"], {})[row["name"]] = JudgedTensor(made, more, tuple(row["likely"]))
