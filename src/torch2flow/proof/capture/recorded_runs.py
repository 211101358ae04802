"""The runs of a module that a recording holds, beside the exported program that must compute the same."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch2flow._version import __version__
from torch2flow.proof.capture.axes import Call
from torch2flow.proof.capture.capture_job import Captured, CaptureJob
from torch2flow.proof.capture.control_flow import DECISIONS
from torch2flow.proof.capture.exporting import Exported
from torch2flow.proof.capture.factories import in_words
from torch2flow.proof.capture.mode_calls import ModeCalls, differences
from torch2flow.proof.capture.module_state import untouched
from torch2flow.proof.capture.more_runs import more_runs, other_mode
from torch2flow.proof.capture.recording import Recording
from torch2flow.proof.capture.references import EVAL, ReferenceRecorder, input_leaves, leaves_of

AGREES = 1e-3
"""Largest relative difference between the module and its exported program that passes without a note."""


def recorded_runs(
    job: CaptureJob,
    exported: Exported,
    modes: Mapping[str, ModeCalls],
    recording: Recording,
    captured: Captured,
    *,
    both: bool,
) -> dict[str, str]:
    """Runs the module, and returns the metadata of the recording; `both` says that both modes have a program."""
    attributes = not job.train and not both
    reference = ReferenceRecorder(
        job.torch, job.module, recording, job.seed, job.say, attributes=attributes, weights=job.weights
    )
    if not DECISIONS:  # a run takes one branch of a decision, and the program has both
        reference.calls |= {mode: calls.random for mode, calls in modes.items()}
    args, kwargs = job.call
    layers = job.reference == "all"
    reference.inputs("input", args, kwargs)
    outputs = reference.forward(args, kwargs, layers=layers)
    notes = [reference.random_calls(args, kwargs, train=train) for train in dict.fromkeys((job.train, True))]
    runs: dict[str, Call] = {}
    if reference.stays_random(args, kwargs, train=job.train):
        reference.draws(args, kwargs)
        notes.append("the model draws random numbers beside dropout: outputs are compared by mean and deviation")
    else:
        program = None
        try:
            program = exported.program.module() if job.weights is None else None
            if not reference.is_random(train=job.train):
                _compare(job, _run_program(job, program, reference.copies(*job.call)), outputs, captured)
        except Exception as error:
            notes.append(f"the exported program itself does not run: {in_words(error, 300)}")
        runs = _more_runs(job, exported, program, reference, captured)
        notes.append(_kept_between_calls(reference, outputs))
        if job.train and {"train", "eval"} <= modes.keys() and (both or not differences(modes["train"], modes["eval"])):
            reference.forward(args, kwargs, EVAL, layers=False)
            runs[EVAL] = job.call
    if job.gradients and job.untrained:
        reference.metadata["training"] = job.untrained
        notes.append(f"training is not compared: {job.untrained}")
    elif job.gradients:
        notes.append(reference.training(args, kwargs))
    if EVAL in runs or not job.train:
        notes.append(other_mode(reference, runs))
    notes.append(reference.everything_in_float64(job.call, runs, layers=layers))
    captured.notes += filter(None, notes)
    return {**_metadata(job, captured), **reference.metadata}


def _more_runs(
    job: CaptureJob, exported: Exported, program: Any, reference: ReferenceRecorder, captured: Captured
) -> dict[str, Call]:
    """Records outputs of what one sample does not try, as far as the program takes it too."""
    free = {name: job.sizes[name] for name, axis in exported.axes.items() if axis.dynamic}

    def compare(call: Call, outputs: list[Any]) -> None:
        found = _run_program(job, program, reference.copies(*call))  # whether it takes these sizes
        if not reference.is_random(train=job.train):
            _compare(job, found, outputs, captured, " at other sizes")

    def resized(sizes: dict[str, int]) -> Call:
        if program is None:  # which could not say so itself
            _check_sizes(exported, sizes)
        return job.second({**job.sizes, **sizes})

    runs, captured.second = more_runs(reference, job.call, free, resized, compare)
    captured.second = {**job.sizes, **captured.second} if captured.second else {}
    if free and "second." not in runs:
        captured.notes.append(
            "the model takes none of the other sizes that were tried: dynamic axes are not in the reference"
        )
    return runs


def _kept_between_calls(reference: ReferenceRecorder, first: list[Any]) -> str:
    """What the model keeps of one call for the next in attributes that no program has, as a note; "" for nothing.

    Args:
        reference: has recorded a second call.
        first: what the first call gave.
    """
    torch, names = reference.torch, [f"again.output.{number}" for number in range(len(first))]
    pairs = [
        (value.detach().cpu(), reference.recorded(name))
        for value, name in zip(first, names, strict=True)
        if reference.changed and isinstance(value, torch.Tensor) and name in reference.recording.names
    ]
    same = (one.dtype is not two.dtype or torch.equal(one.nan_to_num(), two.nan_to_num()) for one, two in pairs)
    if all(same):
        return ""
    return (
        f"a second call gives something else: the model keeps {', '.join(reference.changed[:3])}, and in the program "
        "each call begins anew, since it keeps nothing but buffers (register_buffer makes one)"
    )


def _check_sizes(exported: Exported, sizes: dict[str, int]) -> None:
    """Raises a `ValueError` for sizes that the program may not take."""
    for name, size in sizes.items():
        axis = exported.axes[name]
        if axis.relation or size < (axis.low or 0) or (axis.high is not None and size > axis.high):
            raise ValueError(f"the axis {name} can't be {size}")


def _run_program(job: CaptureJob, program: Any, call: Call) -> list[Any] | None:
    """What the exported program gives; None in train mode, where it would change the buffers that both share.

    None too where there is no such program: PyTorch makes none of a module that is called by a keyword of Python's.
    """
    if job.train or program is None:
        return None
    with job.torch.no_grad(), untouched(job.torch, job.module):
        return leaves_of(job.torch, program(*call[0], **call[1]))


def _compare(job: CaptureJob, found: list[Any] | None, outputs: list[Any], captured: Captured, where: str = "") -> None:
    """Adds a note where the exported program does not compute what the module computes."""
    torch, worst = job.torch, 0.0
    for mine, its in zip(outputs, found or [], strict=False):
        if isinstance(mine, torch.Tensor) and isinstance(its, torch.Tensor) and mine.shape == its.shape:
            mine, its = mine.double().nan_to_num(), its.double().nan_to_num()
            scale = float(mine.abs().max()) if mine.numel() else 0.0
            worst = max(worst, float((mine - its).abs().max()) / scale if scale else 0.0)
        elif isinstance(mine, torch.Tensor):
            worst = float("inf")
    if worst > AGREES:
        captured.notes.append(
            f"the exported program computes something else than the module{where} (relative difference {worst:.1g}): "
            "it draws random numbers, or decides in Python by what is fixed in the program"
        )


def _metadata(job: CaptureJob, captured: Captured) -> dict[str, str]:
    """What a reader of the recording needs to know; everything that is no word is JSON."""
    return {
        "torch2flow": __version__,
        "torch": str(job.torch.__version__),
        "python": platform.python_version(),
        "model": job.model,
        "mode": "train" if job.train else "eval",
        "seed": str(job.seed),
        "inputs": json.dumps([name for name, _ in input_leaves(*job.call)]),
        "axes": json.dumps({name: asdict(axis) for name, axis in captured.axes.items()}),
        "second": json.dumps(captured.second),
        "notes": json.dumps(captured.notes),
    }
