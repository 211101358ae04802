"""Optimizer states: what PyTorch's `state_dict()` holds, as OneFlow's `load_state_dict` takes it, and back.

    PyTorch   {"state": {0: {"step": 3, "exp_avg": ...}},
               "param_groups": [{"lr": 0.1, ..., "params": [0]}]}
    OneFlow   {"state": {0: {"exp_avg": ...}, "step": 3},
               "param_groups": [{"_options": {"lr": 0.1, ...}, "_enable_clip_grad": False, "params": [0]}]}

Sources: `torch/optim/optimizer.py` (1.0.1, 1.13.1 and 2.13.0) and `oneflow/optim/optimizer.py` (0.9.0); what
differs from one optimizer to the next is a row in `optimizer_rules.py`. Options that OneFlow does not know
stay in its groups, where it ignores them, so that the way back loses nothing; those that would have changed
the numbers are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch2flow.checkpoints.oneflow.optimizer_rules import (
    CLIPPING,
    COMMON,
    IMPLEMENTATION,
    ONEFLOW_ONLY,
    RULES,
    OptimizerRule,
    Options,
)
from torch2flow.checkpoints.pytorch import CompositeTensor, TensorRef
from torch2flow.checkpoints.pytorch.arrays import NumpyArray


def to_oneflow(state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A state that OneFlow's optimizer of the same name resumes from.

    Args:
        state: what `torch.optim.Optimizer.state_dict()` gave: `{"state": ..., "param_groups": ...}` with
            `TensorRef` or plain numbers as leaves. It is not changed.

    Returns:
        the new tree, its tensors the same objects, and a sentence for everything without a counterpart. The
        state of an optimizer that is not known comes back as it is.
    """
    rule, notes = _find(state, [group for group in state["param_groups"] if isinstance(group, dict)])
    if rule is None:
        return state, notes
    groups: list[dict[str, Any]] = []
    negated: set[Any] = set()
    for group in state["param_groups"]:
        options = {key: _number(value) for key, value in group.items() if key != "params"}
        if rule.negated(options):
            negated.update(group["params"])
        notes += _remarks(rule, options)
        for key, (there, _) in rule.changed.items():
            options[key] = there(options[key])
        for key, value in rule.added.items():
            options.setdefault(key, value)
        if options.get("fused"):
            options["fused"] = False
            notes.append(f"{rule.name}: fused is off: OneFlow's needs every parameter on a GPU")
        groups.append({"_options": options, "_enable_clip_grad": False, "params": list(group["params"])})
    # OneFlow looks every parameter up, also one that was never updated.
    new: dict[Any, Any] = {name: {} for group in groups for name in group["params"]}
    steps: dict[Any, float] = {}
    for name, kept in state["state"].items():
        if name not in new or not isinstance(kept, dict):
            new[name] = kept
            continue
        if kept.get("step") is not None:
            steps[name] = _number(kept["step"])
        values = {key: value for key, value in kept.items() if key != "step" and value is not None}
        tensors = {rule.state.get(key) or key: value for key, value in values.items() if _is_tensor(value)}
        new[name] = _negative(tensors) if name in negated else tensors
        # Anything else fails in OneFlow 0.9.0 on Python 3.10 and newer: it asks for collections.Iterable.
        lost = [str(key) for key, value in values.items() if not _is_tensor(value)]
        if lost:
            notes.append(f"{rule.name}: {', '.join(lost)} of parameter {name} is no tensor and is left out")
    new["step"] = int(max(steps.values(), default=0))
    notes += _state_remarks(rule, groups, new, steps)
    return {**state, "state": new, "param_groups": groups}, list(dict.fromkeys(notes))


def to_pytorch(state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The reverse: a state that PyTorch's optimizer of the same name resumes from, in any version.

    Args:
        state: what OneFlow's `state_dict()` gave, or `to_oneflow`. It is not changed.

    Returns:
        the new tree and a sentence for everything without a counterpart. Options that PyTorch has and the
        state lacks are left to PyTorch, which fills in its defaults.
    """
    rule, notes = _find(state, [group.get("_options", {}) for group in state["param_groups"]])
    if rule is None:
        return state, notes
    groups: list[dict[str, Any]] = []
    negated: set[Any] = set()
    for group in state["param_groups"]:
        options = {**rule.returned, **{key: _number(value) for key, value in group["_options"].items()}}
        if rule.negated(options):
            negated.update(group["params"])
        if options.get("do_bias_correction") is False:
            notes.append(f"{rule.name}: do_bias_correction=False: PyTorch always corrects")
        if group.get("_enable_clip_grad"):
            notes.append(f"{rule.name}: clip_grad: call torch.nn.utils.clip_grad_norm_ in the training loop")
        for key, (_, back) in rule.changed.items():
            options[key] = back(options[key])
        if isinstance(options.get("fused"), bool):
            del options["fused"]  # it speaks of OneFlow's kernels; PyTorch sets its own default
        own = {key: value for key, value in options.items() if key not in ONEFLOW_ONLY | {*CLIPPING}}
        groups.append({**own, "params": list(group["params"])})
    names = {there: here for here, there in rule.state.items() if there}
    step = int(_number(state["state"].get("step", 0)))
    new: dict[Any, Any] = {}
    for name, kept in state["state"].items():
        if not isinstance(kept, dict):
            if name != "step":
                new[name] = kept
        elif kept:
            tensors = {names.get(key, key): value for key, value in kept.items()}
            tensors = _negative(tensors) if name in negated else tensors
            new[name] = {"step": step, **tensors} if rule.counts_steps else tensors
    return {**state, "state": new, "param_groups": groups}, list(dict.fromkeys(notes))


def is_pytorch_state(value: Any) -> bool:
    """Whether a part of a tree is a state of PyTorch's."""
    return _is_state(value) and all("_options" not in group for group in value["param_groups"])


def is_oneflow_state(value: Any) -> bool:
    """Whether a part of a tree is a state of OneFlow's."""
    groups = value["param_groups"] if _is_state(value) else []
    return bool(groups) and all(isinstance(group.get("_options"), dict) for group in groups)


def _is_state(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("state"), dict):
        return False
    groups = value.get("param_groups")
    return isinstance(groups, list) and all(
        isinstance(group, dict) and isinstance(group.get("params"), list | tuple) for group in groups
    )


def _find(state: dict[str, Any], groups: list[Options]) -> tuple[OptimizerRule | None, list[str]]:
    """Finds the rule that fits these options and tensors."""
    options = set(groups[0]) if groups else set()
    tensors = {key for kept in state["state"].values() if isinstance(kept, dict) for key in kept} - {"step"}
    for rule in RULES:
        if rule.keys <= options and not rule.unlike & options and tensors <= {*rule.state, *rule.state.values()}:
            known = COMMON | rule.keys | rule.other | rule.added.keys() | ONEFLOW_ONLY | {*CLIPPING}
            own = sorted(map(str, {key for group in groups for key in group} - known))
            return rule, [f"{rule.name}: {', '.join(own)}: not known; kept in its group"] if own else []
    shown = ", ".join(sorted(map(str, options | tensors))) or "no groups"
    return None, [f"an optimizer state is left as it is: no optimizer that both sides have goes by {shown}"]


def _remarks(rule: OptimizerRule, options: Options) -> Iterator[str]:
    yield from (f"{rule.name}: {text}" for when, text in rule.remarks if when(options))
    chosen = [f"{key}={options[key]}" for key in IMPLEMENTATION if options.get(key)]
    if chosen:
        yield f"{rule.name}: {', '.join(chosen)}: how PyTorch computes, not what; OneFlow ignores it"


def _state_remarks(
    rule: OptimizerRule, groups: list[dict[str, Any]], new: dict[Any, Any], steps: dict[Any, float]
) -> Iterator[str]:
    bare = [str(name) for group in groups for name in group["params"] if not new[name]]
    shown = ", ".join(bare[:8]) + (", ..." if len(bare) > 8 else "")
    options = [group["_options"] for group in groups]
    fewest = 0.0 if bare else min(steps.values(), default=0.0)
    if steps and fewest != new["step"] and any(rule.uses_steps(o) for o in options):
        yield (
            f"{rule.name}: parameters took from {fewest:.0f} to {new['step']} steps; OneFlow has one count "
            f"for all and goes on from {new['step']}"
        )
    if bare and rule.created:
        yield (
            f"{rule.name}: parameter {shown} was never updated; OneFlow makes {' and '.join(rule.created)} "
            "only in its constructor: put zeros into optimizer._state before it steps"
        )
    if bare and any(o.get("dampening") and o.get("momentum") for o in options):
        yield f"{rule.name}: dampening: OneFlow dampens a parameter's first step too, PyTorch does not"


def _negative(tensors: dict[str, Any]) -> dict[str, Any]:
    return {
        key: replace(value, neg=not value.neg) if isinstance(value, TensorRef) else -value
        for key, value in tensors.items()
    }


def _is_tensor(value: Any) -> bool:
    return isinstance(value, TensorRef | CompositeTensor)


def _number(value: Any) -> Any:
    """A number that was saved as a tensor of one element or a NumPy scalar; anything else as it is."""
    if isinstance(value, NumpyArray) and value.scalar and value.dtype.code[0] in "biuf":
        value = value.as_tensor()
    if isinstance(value, TensorRef) and value.numel == 1:
        return next(value.chunks())[0].item()
    if isinstance(value, list | tuple):
        return type(value)(_number(item) for item in value)
    return value
