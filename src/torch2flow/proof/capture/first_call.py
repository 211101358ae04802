"""A model that sets itself up in its first call: an ActNorm takes its parameters from the first inputs.

A program has one call for ever: it would set the parameters anew each time. So what is captured is the model after such
a call, as all later ones find it. Afterwards it is again what it was.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from torch2flow.proof.capture.axes import Call
from torch2flow.proof.capture.capture_job import CaptureJob, copies
from torch2flow.proof.capture.control_flow import plain_control_flow
from torch2flow.proof.capture.module_state import untouched
from torch2flow.proof.capture.references import halved
from torch2flow.proof.watching import HOOKS

PLAIN = (bool, int, float, str, type(None))
"""The types of attributes by which a module notes that it was called."""

TABLES = (*HOOKS, "_modules")
"""A first call may take away the hook that began it, or make a part that has the size of its inputs."""

SHOWN = 3
"""How many parameters a note names."""


@dataclass
class FirstCall:
    """What a first call sets, and a second one leaves as it is.

    Attributes:
        parameters: by name, their values after the first call; and those of buffers that it makes, or computes from its
            inputs.
        flags: buffers of one element that it sets too.
        attributes: plain ones, as the path of the module, the name and the value.
        trained: the names of all parameters after it.
    """

    parameters: dict[str, Any] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    attributes: list[tuple[str, str, Any]] = field(default_factory=list)
    trained: set[str] = field(default_factory=set)


def set_up_by_a_call(job: CaptureJob) -> bool:
    """Leaves the module as its first call does, if that one alone sets parameters. Returns whether it does.

    Of a call in the mode that is not captured, only plain attributes stay: the values that are captured are those
    before it.
    """
    if job.weights is not None:
        return False
    for train in (job.train, not job.train):
        found = _first_call(job, train)
        if not found.parameters:
            continue
        job.afterwards.enter_context(untouched(job.torch, job.module))
        parts = dict(job.module.named_modules())
        for path, name, value in found.attributes:
            if path in parts:  # what is in a new part is in it already
                setattr(parts[path], name, value)
        names = sorted(found.parameters)
        first = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        told = f"in its first call in {'train' if train else 'eval'} mode the model sets {first}"
        if train == job.train:
            _put(job, {**found.parameters, **found.flags}, found.trained)
            job.first_call = f"{told}: it was captured as such a call, with the inputs that were given, leaves it"
        else:
            job.first_call = f"{told}, which the converted model does not: it keeps the values that it was given"
            job.untrained = "" if job.train or not _first_call(job, train).parameters else told
        return True
    return False


def _first_call(job: CaptureJob, train: bool) -> FirstCall:
    """What the first call in a mode sets, and calls functions for that the second does not call."""
    torch, module, found = job.torch, job.module, FirstCall()
    other = halved(torch, job.call)
    with untouched(torch, module):
        module.train(train)
        states, plain, counts = [_state(module)], _plain(module), []
        for call in (job.call, other):
            try:
                counts.append(_functions(job, call))
            except Exception:  # the module does not run in this mode, which others tell
                return found
            states.append(_state(module))
        found.attributes = [
            (path, name, value) for path, name, value in _plain(module) if (path, name, value) not in plain
        ]
    before, first, second = states
    settled = {
        name: value for name, value in first.items()
        if not _same(torch, value, before.get(name)) and _same(torch, value, second.get(name))
    }  # fmt: skip
    if not settled or not counts[0] - counts[1]:
        return FirstCall()
    with untouched(torch, module):
        module.train(train)
        _functions(job, other)
        others, found.trained = _state(module), {name for name, _ in module.named_parameters()}
    found.parameters = {
        name: value
        for name, value in settled.items()
        if name in found.trained
        or name not in before
        or before[name].shape != value.shape
        or not _same(torch, value, others.get(name))
    }
    found.flags = {name: value for name, value in settled.items() if value.numel() == 1}
    return found


def _functions(job: CaptureJob, call: Call) -> Counter[str]:
    """Calls the module, and counts the functions that it calls."""
    torch, counts = job.torch, Counter[str]()

    class Counting(torch.overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            counts[getattr(func, "__name__", "")] += 1
            return func(*args, **(kwargs or {}))

    torch.manual_seed(job.seed)
    args, kwargs = copies(torch, call)
    with torch.no_grad(), plain_control_flow(torch), Counting():
        job.module(*args, **kwargs)
    return counts


def _state(module: Any) -> dict[str, Any]:
    """Copies of all parameters and buffers, by name."""
    return {name: value.detach().clone() for name, value in (*module.named_parameters(), *module.named_buffers())}


def _plain(module: Any) -> list[tuple[str, str, Any]]:
    """The plain attributes of all modules but for the mode, and dictionaries of such; and their hooks and parts."""
    found = []
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            table = isinstance(value, dict) and all(type(each) in PLAIN for each in value.values())
            if (type(value) in PLAIN or table or name in TABLES) and name != "training":
                found.append((path, name, copy.copy(value)))
    return found


def _put(job: CaptureJob, values: dict[str, Any], trained: set[str]) -> None:
    """Puts values into parameters and buffers, and makes those that the first call makes; parameters are `trained`."""
    parts = dict(job.module.named_modules())
    for name, value in values.items():
        path, _, last = name.rpartition(".")
        held = getattr(parts[path], last, None)
        if isinstance(held, job.torch.Tensor) and held.shape == value.shape:
            with job.torch.no_grad():
                held.copy_(value)
            continue
        parts[path].__dict__.pop(last, None)  # what the first call makes may be None before
        if name in trained:
            parts[path].register_parameter(last, job.torch.nn.Parameter(value))
        else:
            parts[path].register_buffer(last, value, persistent=False)


def _same(torch: Any, one: Any, other: Any) -> bool:
    return other is not None and one.shape == other.shape and bool(torch.equal(one, other))
