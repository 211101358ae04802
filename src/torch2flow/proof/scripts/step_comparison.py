"""Compares the losses of a script on both sides, step by step, by how much rounding alone makes of them.

What rounding makes is measured: the script runs on PyTorch once more, from weights that differ in their last bit. What
OneFlow's losses may differ by is a few times that, and a little for the order in which it adds up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

TIMES_NOISE = 16.0
"""How many times the noise so far a loss may be off: other kernels round in more places than the weights."""

ORDER = 1e-5
"""What a loss may be off by another order of adding up, relative to its size."""

HIDING = 0.05
"""Where noise allows more than this part of the loss, a difference says nothing any more."""


@dataclass(frozen=True, slots=True)
class LossStep:
    """One step.

    Attributes:
        number: from 1.
        torch: the loss on PyTorch; None where that side has no such step.
        flow: the loss on OneFlow.
        allowed: by how much they may differ.
        verdict: `within noise`, `different`, or `undecided`, where noise hides whatever there is.
    """

    number: int
    torch: float | None
    flow: float | None
    allowed: float
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class ScriptComparison:
    """What was found.

    Attributes:
        steps: of rank 0, and after them those of the other ranks.
        notes: what could not be made equal.
        failure: what the OneFlow side said when it ended by an error; "" where it did not.
    """

    steps: list[LossStep] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failure: str = ""

    @property
    def is_same(self) -> bool:
        """Whether every step that can be judged is within noise, and there is one."""
        verdicts = {step.verdict for step in self.steps}
        return not self.failure and "different" not in verdicts and "within noise" in verdicts

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        first = next((step for step in self.steps if step.verdict == "different"), None)
        judged = sum(step.verdict == "within noise" for step in self.steps)
        hidden = sum(step.verdict == "undecided" for step in self.steps)
        if self.failure:
            return f"OneFlow's side ended by an error after {sum(step.flow is not None for step in self.steps)} steps."
        if first is not None and (first.torch is None or first.flow is None):
            side = "OneFlow" if first.flow is None else "PyTorch"
            return f"The losses are equal for {judged} steps; then {side} has no step {first.number}."
        if first is not None:
            return f"The losses differ from step {first.number} on: {first.torch:.7g} and {first.flow:.7g}."
        if not judged:
            return "Rounding alone changes the losses so much that nothing can be said."
        more = f"; in {hidden} later ones rounding alone hides whatever there is" if hidden else ""
        return f"The losses of {judged} steps are the same within the noise of rounding{more}."

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "same": self.is_same,
            "sentence": self.sentence,
            "steps": [step.to_json() for step in self.steps],
            "notes": self.notes,
            "failure": self.failure,
        }


def compare_losses(torch: Sequence[float], shaken: Sequence[float], flow: Sequence[float]) -> list[LossStep]:
    """Judges each step.

    Args:
        torch: the losses on PyTorch.
        shaken: the same from weights that differ in their last bit.
        flow: the losses on OneFlow.
    """
    steps, noise, size = [], 0.0, 0.0
    for place in range(max(len(torch), len(flow))):
        expected, other, found = (each[place] if place < len(each) else None for each in (torch, shaken, flow))
        if expected is None or found is None:
            steps.append(LossStep(place + 1, expected, found, 0.0, "different"))
            break
        size = max(size, abs(expected)) if math.isfinite(expected) else size
        noise = max(noise, abs(expected - other) if other is not None else 0.0)
        allowed = TIMES_NOISE * noise + ORDER * abs(expected) if math.isfinite(expected) else 0.0
        equal = abs(expected - found) <= allowed or (math.isnan(expected) and math.isnan(found)) or expected == found
        hidden = not math.isfinite(noise) or allowed > HIDING * max(abs(expected), HIDING * size)
        verdict = "undecided" if hidden and steps else "within noise" if equal else "different"
        steps.append(LossStep(place + 1, expected, found, allowed, verdict))
    return steps
