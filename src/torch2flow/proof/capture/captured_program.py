"""The programs of a capture: that of the mode which was asked for, and that of the other where it differs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from torch2flow.errors import Torch2FlowError, UnsupportedError
from torch2flow.models.program.train_mode import mode_notes
from torch2flow.proof.capture.capture_job import CaptureJob, copies, run_module
from torch2flow.proof.capture.exporting import Exported, export, leave_out_values, program_alone
from torch2flow.proof.capture.facts import OTHER_FILE, describe_modules
from torch2flow.proof.capture.first_call import set_up_by_a_call
from torch2flow.proof.capture.mode_calls import ModeCalls, calls_by_mode, draws_in_python, facts_of_modes
from torch2flow.proof.capture.module_state import untouched
from torch2flow.proof.capture.reasons import essence, refusal
from torch2flow.proof.capture.recording_size import check_recording
from torch2flow.proof.capture.records import register_named_tuples, register_records
from torch2flow.proof.capture.without_weights import without_computing

Found = tuple[Exported, dict[str, Any], dict[str, str], dict[str, ModeCalls]]


def captured_program(job: CaptureJob) -> Found:
    """The program, what else there is to know of the model, more files for the `.pt2`, and what each mode calls."""
    _make_exportable(job)
    try:
        found = _captured_program(job)
    except UnsupportedError:
        if set_up_by_a_call(job):
            return _captured_program(job)
        raise
    if any(calls.writes for calls in found[3].values()) and set_up_by_a_call(job):
        found = _captured_program(job)
    return found


def _captured_program(job: CaptureJob) -> Found:
    torch, module = job.torch, job.module
    job.say("exporting")
    facts = {
        "class": type(module).__name__,
        "mode": "train" if job.train else "eval",
        **describe_modules(torch, module),
    }
    if job.weights is not None:
        facts |= job.weights.facts
    exported = _export(job)
    check_recording(torch, exported.program, job.reference, job.folder, job.tell)
    facts["borders"], facts["functions"] = exported.borders, exported.functions
    facts["static"] = [place for axis in exported.axes.values() if not axis.dynamic for place in axis.values]
    register_named_tuples(torch, exported.program.call_spec.out_spec)
    # Only now: a first call makes lazy layers, and what a module keeps from call to call.
    with contextlib.nullcontext() if job.weights is None else without_computing(torch):
        modes = calls_by_mode(torch, module, lambda: copies(torch, job.call), job.seed)
    facts |= facts_of_modes(module, modes, train=job.train)
    if draws_in_python(modes.get(facts["mode"])):
        exported.notes.append(
            f"in {facts['mode']} mode the model draws by Python or NumPy: the program has one draw for ever"
        )
    files = {}
    if facts["other_mode"] and (other := _other_mode(job, exported, modes)) is not None:
        files[OTHER_FILE], facts["other"] = other
        exported.notes.append(f"{facts['other']['mode']} mode computes something else: its program is in the file too")
    kept = {(each["path"], each["name"]) for each in exported.functions if "backward" in each}
    kept -= {(each["path"], each["name"]) for each in exported.functions if "backward" not in each}
    lost = [each for each in facts["backwards"] if tuple(each) not in kept]
    exported.notes += mode_notes(facts["mode"], () if files else facts["other_mode"], lost)
    exported.notes += filter(None, [job.first_call])
    if job.weights is not None:
        leave_out_values(torch, exported.program)
    return exported, facts, files, modes


def _make_exportable(job: CaptureJob) -> None:
    """Makes lazy layers by a run, and tells PyTorch of the dataclasses among the inputs.

    Raises:
        UnsupportedError: a part of the model is no Python.
    """
    scripted = [path for path, part in job.module.named_modules() if isinstance(part, job.torch.jit.ScriptModule)]
    if scripted:
        raise UnsupportedError(
            f"{scripted[0] or 'The model'} is TorchScript, which PyTorch can't export.",
            where=job.model,
            remedy="build the model from its own class, without torch.jit, and load its weights; 'torch2flow convert' "
            "takes the weights out of a file of TorchScript",
        )
    lazy = job.torch.nn.parameter.UninitializedTensorMixin
    if any(isinstance(tensor, lazy) for tensor in (*job.module.parameters(), *job.module.buffers())):
        run_module(job, job.call)
    register_records(job.torch, job.call)


def _export(job: CaptureJob) -> Exported:
    try:
        return _export_once(job)
    except UnsupportedError:
        # An output of a class that PyTorch does not know: now it does.
        with contextlib.suppress(Exception), job.torch.no_grad(), untouched(job.torch, job.module):
            args, kwargs = copies(job.torch, job.call)
            if register_records(job.torch, job.module(*args, **kwargs)):
                return _export_once(job)
        raise


def _export_once(job: CaptureJob) -> Exported:
    args, kwargs = job.call
    try:
        job.torch.manual_seed(job.seed)
        with untouched(job.torch, job.module):  # what the module keeps from an export has no values
            return export(job.torch, job.module, args, kwargs, job.dynamic)
    except Torch2FlowError:
        raise
    except Exception as error:
        run_module(job, job.call)  # where forward itself raises, that is what to tell
        raise refusal("PyTorch can't export the model", error, job.model, job.train) from None


def _other_mode(
    job: CaptureJob, exported: Exported, modes: Mapping[str, ModeCalls]
) -> tuple[str, dict[str, Any]] | None:
    """The program of the other mode as JSON, and what it does not say itself; None where there is no faithful one."""
    if any(map(draws_in_python, modes.values())):
        return None  # a program would hold one draw for ever
    job.say("exporting the other mode")
    args, kwargs = job.call
    try:
        with untouched(job.torch, job.module):
            job.module.train(not job.train)
            job.torch.manual_seed(job.seed)
            other = export(job.torch, job.module, args, kwargs, job.dynamic)
        register_named_tuples(job.torch, other.program.call_spec.out_spec)
        text, constants = program_alone(job.torch, other.program, exported.program)
    except Exception as error:  # that there is no such program is told by `mode_notes`
        mode = "eval" if job.train else "train"
        exported.notes.append(f"PyTorch exports no program of {mode} mode: {' '.join(essence(error).split())}")
        return None
    facts = facts_of_modes(job.module, modes, train=not job.train)
    known = {name: facts[name] for name in ("dropout", "norms")} | {"constants": constants}
    return text, {
        "mode": "eval" if job.train else "train",
        "borders": other.borders,
        "functions": other.functions,
        **known,
    }
