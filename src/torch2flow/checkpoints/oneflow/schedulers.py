"""States of learning rate schedulers: PyTorch's `state_dict()`, as OneFlow's `load_state_dict` takes it, and back.

    PyTorch   {"step_size": 3, "gamma": 0.1, "base_lrs": [0.1], "last_epoch": 7, "_step_count": 8, ...}
    OneFlow   {"step_size": 3, "gamma": 0.1, "base_lrs": [0.1], "last_step": 7, ...}

OneFlow's `load_state_dict` takes any dictionary for its attributes, so a state of PyTorch's loads without a word, and
its scheduler starts anew. Sources: `torch/optim/lr_scheduler.py` (1.13.1 and 2.13.0), `oneflow/nn/optimizer/*_lr.py`
and their neighbours (0.9.0). That both go on alike was measured (`tests/checkpoints/oneflow/test_schedulers.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

State = dict[str, Any]

STEP, EPOCH = "last_step", "last_epoch"

OF_PYTORCH = frozenset({"_step_count", "_get_lr_called_within_step", "_is_initial", "T_i", "T_cur", "default_min_lr"})
"""What PyTorch's schedulers keep and OneFlow's compute or do without."""


@dataclass(frozen=True, slots=True)
class SchedulerRule:
    """One scheduler that both sides have.

    Attributes:
        name: the class on both sides.
        keys: attributes that tell it from all others on PyTorch's side.
        unlike: attributes of others that have all of `keys` too.
        renamed: attributes that OneFlow calls otherwise.
        added: attributes that OneFlow reads and PyTorch has not, as PyTorch behaves.
        remark: what has no counterpart.
    """

    name: str
    keys: frozenset[str]
    unlike: frozenset[str] = frozenset()
    renamed: dict[str, str] = field(default_factory=dict)
    added: dict[str, Any] = field(default_factory=dict)
    remark: str = ""


RULES = (
    SchedulerRule("StepLR", frozenset({"step_size", "gamma"})),
    SchedulerRule("MultiStepLR", frozenset({"milestones", "gamma"})),
    SchedulerRule("ExponentialLR", frozenset({"gamma"}), unlike=frozenset({"step_size", "milestones", "max_lrs"})),
    SchedulerRule(
        "LambdaLR",
        frozenset({"lr_lambdas"}),
        remark="MultiplicativeLR has the same state, and OneFlow has no such scheduler: this is for a LambdaLR",
    ),
    SchedulerRule("LinearLR", frozenset({"start_factor", "end_factor", "total_iters"})),
    SchedulerRule("ConstantLR", frozenset({"factor", "total_iters"})),
    SchedulerRule(
        "PolynomialLR",
        frozenset({"total_iters", "power"}),
        renamed={"total_iters": "max_decay_steps"},
        added={"end_learning_rate": 0.0, "cycle": False},
    ),
    SchedulerRule("CosineAnnealingLR", frozenset({"T_max", "eta_min"})),
    SchedulerRule(
        "CosineAnnealingWarmRestarts",
        frozenset({"T_0", "T_mult", "eta_min"}),
        added={"decay_rate": 1.0, "restart_limit": 0},
    ),
    SchedulerRule(
        "ReduceLROnPlateau",
        frozenset({"patience", "num_bad_epochs"}),
        renamed={"num_bad_epochs": "num_bad_steps"},
    ),
    SchedulerRule(
        "SequentialLR",
        frozenset({"_milestones", "_schedulers"}),
        renamed={"_milestones": "milestones", "_schedulers": "schedulers"},
    ),
    SchedulerRule(
        "ChainedScheduler",
        frozenset({"_schedulers"}),
        unlike=frozenset({"_milestones"}),
        renamed={"_schedulers": "schedulers"},
    ),
)

ABSENT = {
    "OneCycleLR": frozenset({"total_steps", "_schedule_phases"}),
    "CyclicLR": frozenset({"max_lrs", "step_ratio"}),
}
"""Schedulers that OneFlow 0.9.0 lacks."""

GRAD_SCALER = frozenset({"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"})
"""The state of PyTorch's `GradScaler`."""


def is_pytorch_state(value: Any) -> bool:
    """Whether a part of a tree is a scheduler's state of PyTorch's: with `last_epoch`, or made of such."""
    if not isinstance(value, dict):
        return False
    inner = value.get("_schedulers")
    return EPOCH in value or (isinstance(inner, list) and bool(inner) and all(is_pytorch_state(each) for each in inner))


def is_oneflow_state(value: Any) -> bool:
    """Whether a part of a tree is a scheduler's state of OneFlow's."""
    return isinstance(value, dict) and STEP in value and _rule(value, _flow_keys) is not None


def to_oneflow(state: State) -> tuple[State, list[str]]:
    """A state that OneFlow's scheduler of the same name goes on from, and what has no counterpart."""
    rule = _rule(state, lambda rule: rule.keys)
    if rule is None:
        return state, _unknown(state)
    new = {rule.renamed.get(key, key): value for key, value in state.items() if key not in OF_PYTORCH | {EPOCH}}
    notes = [f"{rule.name}: {rule.remark}"] if rule.remark else []
    if "schedulers" in new:
        mapped = [to_oneflow(inner) for inner in new["schedulers"]]
        new["schedulers"] = [inner for inner, _ in mapped]
        notes += [note for _, said in mapped for note in said]
        new["base_lrs"] = list(mapped[0][0].get("base_lrs", ()))
    if "milestones" in new:
        new["milestones"] = _expanded(new["milestones"])
    if rule.name == "SequentialLR":  # PyTorch starts each scheduler at 0; OneFlow can let it go on, and does by default
        new["interval_rescaling"] = [True] * len(new["milestones"])
    step = state.get(EPOCH)
    new[STEP] = new["schedulers"][0][STEP] if step is None else step
    return {**rule.added, **new}, notes


def to_pytorch(state: State) -> tuple[State, list[str]]:
    """The reverse."""
    rule = _rule(state, _flow_keys)
    if rule is None:
        return state, []
    back = {there: here for here, there in rule.renamed.items()}
    left_out = {STEP, "interval_rescaling", *rule.added}
    new = {back.get(key, key): value for key, value in state.items() if key not in left_out}
    notes: list[str] = []
    for key, usual in rule.added.items():
        if state.get(key, usual) != usual:
            notes.append(f"{rule.name}: {key}={state[key]!r}: PyTorch has none here")
    if "_schedulers" in new:
        mapped = [to_pytorch(inner) for inner in new["_schedulers"]]
        new["_schedulers"] = [inner for inner, _ in mapped]
        notes += [note for _, said in mapped for note in said]
        del new["base_lrs"]
        if rule.name == "SequentialLR" and not all(state.get("interval_rescaling", ())):
            notes.append("SequentialLR: interval_rescaling=False: PyTorch starts each scheduler at 0")
    if rule.name == "MultiStepLR":
        from collections import Counter

        new["milestones"] = Counter(new["milestones"])
    if rule.name != "ChainedScheduler":
        new[EPOCH] = state[STEP]
    if rule.name == "CosineAnnealingWarmRestarts":
        new["T_cur"], new["T_i"] = _restart(state[STEP], new["T_0"], new["T_mult"])
    if "base_lrs" in new:
        new["_step_count"] = state[STEP] + 1
    return new, notes


def _flow_keys(rule: SchedulerRule) -> frozenset[str]:
    return frozenset({rule.renamed.get(key, key) for key in rule.keys} | rule.added.keys())


def _rule(state: State, keys_of: Callable[[SchedulerRule], frozenset[str]]) -> SchedulerRule | None:
    """The rule with the most keys of those that the state has all of."""
    found = [rule for rule in RULES if keys_of(rule) <= state.keys() and not rule.unlike & state.keys()]
    return max(found, key=lambda rule: len(keys_of(rule))) if found else None


def _unknown(state: State) -> list[str]:
    name = next((name for name, keys in ABSENT.items() if keys <= state.keys()), "")
    known = (
        f"{name}: OneFlow 0.9.0 has no such scheduler"
        if name
        else "no scheduler that both sides have keeps such a state"
    )
    return [f"{known}; it is left as it is, and OneFlow does not go on from it"]


def _expanded(milestones: Any) -> list[int]:
    """PyTorch counts how often a milestone is named; OneFlow has a sorted list."""
    if isinstance(milestones, dict):
        return sorted(number for number, count in milestones.items() for _ in range(min(int(count), 1 << 10)))
    return list(milestones)


def _restart(step: int, first: int, factor: int) -> tuple[int, int]:
    """How far the period is in which a step lies, and how long that is."""
    length, at = first, step
    while at >= length:
        at, length = at - length, length * factor
    return at, length
