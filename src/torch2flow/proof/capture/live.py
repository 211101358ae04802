"""From a live PyTorch module to a `.pt2`, and beside it a recording of what the module computes.

    captured = torch2flow.capture(model, (images,), out="model.pt2", dynamic={0: ("batch",)})

`model.pt2` is a plain file of `torch.export.save`; `model.reference.safetensors` is described in
docs/capturing.md. Both appear under their names when they are complete, or not at all.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch2flow._version import __version__
from torch2flow.checkpoints.opening import open_container
from torch2flow.checkpoints.writing.kernel_copy import write_all
from torch2flow.checkpoints.writing.staging import Entries, Output, Staging, output_error
from torch2flow.errors import FormatError, OutputError, Torch2FlowError, UnsupportedError, UsageError
from torch2flow.guards.regular_files import file_digest
from torch2flow.models.program.train_mode import mode_notes
from torch2flow.proof.capture.axes import Call, Dynamic, Names, named_axes, resizer, sample_sizes
from torch2flow.proof.capture.control_flow import DECISIONS, plain_control_flow
from torch2flow.proof.capture.exporting import Axis, Exported, bind, export, leave_out_values, program_alone
from torch2flow.proof.capture.factories import in_words, place_of, raised, unwrapped
from torch2flow.proof.capture.facts import FILE, OTHER_FILE, describe_modules, to_text
from torch2flow.proof.capture.mode_calls import ModeCalls, calls_by_mode, draws_in_python, facts_of_modes
from torch2flow.proof.capture.module_state import untouched
from torch2flow.proof.capture.more_runs import more_runs
from torch2flow.proof.capture.reasons import essence, refusal
from torch2flow.proof.capture.recording import Recording
from torch2flow.proof.capture.recording_size import check_recording
from torch2flow.proof.capture.records import register_named_tuples, register_records
from torch2flow.proof.capture.references import ReferenceRecorder, Say, input_leaves, leaves_of
from torch2flow.proof.capture.runtime import import_torch, quiet
from torch2flow.proof.capture.without_weights import CheckpointWeights, without_computing
from torch2flow.proof.dropout import dropout_off
from torch2flow.runtime.nested import replaced

SUFFIX = ".reference.safetensors"
REFERENCES = ("all", "outputs", "none")

AGREES = 1e-3
"""Largest relative difference between the module and its exported program that passes without a note."""


@dataclass
class Captured:
    """What a capture made.

    Attributes:
        out: the `.pt2`.
        reference: the recording beside it, or None.
        axes: the named axes, with what became of each.
        second: sizes of the named axes in the second inputs; empty where there are none.
        notes: what a user should know.
    """

    out: Path
    reference: Path | None
    torch: str
    nbytes: int
    reference_nbytes: int
    recorded: int
    nodes: int
    parameters: int
    axes: dict[str, Axis]
    second: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "out": str(self.out), "reference": self.reference and str(self.reference)}


@dataclass
class CaptureJob:
    """Everything that was asked for."""

    torch: Any
    module: Any
    call: Call
    dynamic: Dynamic
    sizes: dict[str, int]
    second: Callable[[dict[str, int]], Call]
    model: str
    train: bool
    gradients: bool
    reference: str
    seed: int
    say: Say
    weights: CheckpointWeights | None = None
    tell: Say = lambda text: None
    folder: Path = Path()

    def laid_out(self) -> Any:
        """A context in which the module can be exported."""
        return contextlib.nullcontext() if self.weights is None else self.weights.laid_out()

    def given(self) -> Any:
        """A context in which the module can be called."""
        return contextlib.nullcontext() if self.weights is None else self.weights.given()


def capture(
    module: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    out: str | os.PathLike[str],
    dynamic: Mapping[int | str, Names] | None = None,
    train: bool = False,
    dropout: bool = True,
    gradients: bool = False,
    reference: str = "all",
    seed: int = 0,
    overwrite: bool = False,
    model: str = "",
    second: Callable[[dict[str, int]], Call] | None = None,
    say: Say | None = None,
    weights: CheckpointWeights | None = None,
    tell: Say | None = None,
) -> Captured:
    """Exports a module, and records what it computes.

    Args:
        module: a `torch.nn.Module`. Its parameters, buffers and modes are afterwards what they were.
        args: positional inputs of `forward`.
        kwargs: keyword inputs.
        out: the `.pt2` to write; the recording gets the same stem.
        dynamic: by position or keyword, names for the axes that are to stay dynamic, such as
            `{0: ("batch", None), "mask": {0: "batch"}}`. The same name means the same size.
        train: captures in train mode; the default is eval mode, whatever mode the module is in.
        dropout: False sets every dropout probability to 0 before exporting.
        gradients: records gradients and one step of SGD too.
        reference: "all", "outputs" (no submodules), or "none".
        seed: of the random numbers, where the module draws some.
        overwrite: an existing output is replaced.
        model: what the recording says it is of.
        second: makes inputs for other sizes of the named axes; by default the given ones are resized.
        say: is called with what is being done.
        weights: where the weights of a module lie that was built without them; the `.pt2` then has none.
        tell: is called with what a person should know before the work goes on: that a recording will be large.

    Raises:
        InstallationError: PyTorch is missing or older than 2.1.
        UsageError: `forward` does not take these inputs, or raises.
        UnsupportedError: PyTorch can't export the module.
        OutputError: the output exists or can't be written.
    """
    started = time.monotonic()
    out = Path(out)
    beside = check_request(out, reference, gradients, overwrite)
    torch = import_torch()
    if not isinstance(module, torch.nn.Module):
        raise UsageError(
            f"What is to be captured is a {type(module).__module__}.{type(module).__qualname__}, no torch.nn.Module.",
            where=model,
            remedy="name a function or class that returns a module",
        )
    inside = unwrapped(module)
    wrapper, module = type(module).__name__ if inside is not module else "", inside
    call = (tuple(args), dict(kwargs or {}))
    names = named_axes(torch, call, dynamic or {})
    job = CaptureJob(
        torch, module, call, names, sample_sizes(call, names), second or resizer(torch, call, names),
        model or type(module).__name__, train, gradients, reference, seed, say or (lambda text: None), weights,
        tell or (lambda text: None), out.parent,
    )  # fmt: skip
    outputs = (Output(out, _objection_to_program), Output(beside, _objection_to_recording))
    with quiet(), untouched(torch, module, parameters=False), Staging(*outputs, overwrite=overwrite) as staging:
        with contextlib.nullcontext([]) if dropout else dropout_off(module) as switched_off:
            captured = _write(job, out, beside, staging.paths)
        if wrapper:
            captured.notes.append(f"the {type(module).__name__} inside the {wrapper} is what was captured")
        if switched_off:
            captured.notes.append(f"no dropout in the program: {', '.join(switched_off)} set to 0")
        staging.commit()
    if staging.left:
        captured.notes.append(staging.left)
    captured.seconds = time.monotonic() - started
    return captured


def check_request(out: Path, reference: str, gradients: bool, overwrite: bool) -> Path:
    """Refuses what can be refused before any work; returns the name of the recording.

    Raises:
        UsageError: options that exclude one another, or a name that is none of a `.pt2`.
        OutputError: an output exists.
    """
    if reference not in REFERENCES:
        raise UsageError(f"There is no reference {reference!r}.", remedy=f"one of {', '.join(REFERENCES)}")
    if gradients and reference == "none":
        raise UsageError("Gradients are part of the reference.", remedy="take another reference than none")
    if out.suffix != ".pt2":
        raise UsageError("The output is a .pt2 file.", where=str(out), remedy=f"such as -o {out.stem or 'model'}.pt2")
    beside = out.with_name(out.name.removesuffix(".pt2") + SUFFIX)
    for path in (out, beside):
        if os.path.lexists(path) and not overwrite:
            raise OutputError("The output exists.", where=str(path), remedy="choose another -o, or add --overwrite")
    return beside


def _objection_to_program(path: Path, entries: Entries) -> str:
    try:
        return "" if open_container(path).format == "pt2" else "it is no .pt2"
    except FormatError:
        return "it is no .pt2"


def _objection_to_recording(path: Path, entries: Entries) -> str:
    try:
        carried = open_container(path).metadata.get("__metadata__", {})
    except FormatError:
        carried = {}
    return "" if "torch2flow" in carried else "it is no recording"


# -- the work ------------------------------------------------------------------------------------------------


def _write(job: CaptureJob, out: Path, beside: Path, paths: list[Path]) -> Captured:
    """Writes both files under other names, those of `paths`."""
    torch, module = job.torch, job.module
    try:
        module.train(job.train)
    except Exception as error:  # the module of an exported program has one mode
        raise raised(f"{'train()' if job.train else 'eval()'} of the model raised", error, job.model) from None
    with job.laid_out():
        exported, facts, files, modes = _program(job)
    path, target = paths
    job.say("writing")
    try:
        with Sink(path) as sink:
            torch.export.save(exported.program, sink, extra_files={FILE: to_text(facts), **files})
    except Exception as error:
        if sink.error is not None:
            raise output_error(sink.error, out) from None
        raise refusal("PyTorch exports the model but can't save it", error, job.model, job.train) from None
    if sink.error is not None:
        raise output_error(sink.error, out)
    captured = Captured(
        out=out,
        reference=None,
        torch=str(torch.__version__),
        nbytes=path.stat().st_size,
        reference_nbytes=0,
        recorded=0,
        nodes=sum(node.op == "call_function" for node in exported.program.graph.nodes),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        axes=exported.axes,
        notes=exported.notes,
    )
    if job.reference != "none":
        try:
            with Recording(out.parent) as recording, job.given():
                metadata = _record(job, exported, modes, recording, captured, both=bool(files))
                metadata["pt2"], metadata["pt2.sha256"] = out.name, file_digest(path)
                captured.reference_nbytes = recording.save(target, metadata)
                captured.recorded = len(recording)
        except OSError as error:
            raise output_error(error, beside) from None
        except (Torch2FlowError, MemoryError):
            raise
        except Exception as error:
            raise _not_recorded(job, error) from None
        captured.reference = beside
    return captured


def _program(job: CaptureJob) -> tuple[Exported, dict[str, Any], dict[str, str], dict[str, ModeCalls]]:
    """The program, what else there is to know of the model, more files for the `.pt2`, and what each mode calls."""
    torch, module = job.torch, job.module
    _make_exportable(job)
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
    facts["borders"] = exported.borders
    facts["static"] = [place for axis in exported.axes.values() if not axis.dynamic for place in axis.values]
    register_named_tuples(torch, exported.program.call_spec.out_spec)
    # Only now: a first call makes lazy layers, and what a module keeps from call to call.
    with contextlib.nullcontext() if job.weights is None else without_computing(torch):
        modes = calls_by_mode(torch, module, lambda: _copies(torch, job.call), job.seed)
    facts |= facts_of_modes(module, modes, train=job.train)
    if draws_in_python(modes.get(facts["mode"])):
        exported.notes.append(
            f"in {facts['mode']} mode the model draws by Python or NumPy: the program has one draw for ever"
        )
    files = {}
    if facts["other_mode"] and (other := _other_mode(job, exported, modes)) is not None:
        files[OTHER_FILE], facts["other"] = other
        exported.notes.append(f"{facts['other']['mode']} mode computes something else: its program is in the file too")
    exported.notes += mode_notes(facts["mode"], () if files else facts["other_mode"], facts["backwards"])
    if job.weights is not None:
        leave_out_values(torch, exported.program)
    return exported, facts, files, modes


class Sink(io.FileIO):
    """A file that takes everything and remembers the first refusal of the disk: PyTorch's writer would abort."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self.error is None:
            try:
                write_all(self.fileno(), view)
            except OSError as error:
                self.error = error
        return view.nbytes


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
        _run(job, job.call)
    register_records(job.torch, job.call)


def _export(job: CaptureJob) -> Exported:
    try:
        return _export_once(job)
    except UnsupportedError:
        # An output of a class that PyTorch does not know: now it does.
        with contextlib.suppress(Exception), job.torch.no_grad(), untouched(job.torch, job.module):
            args, kwargs = _copies(job.torch, job.call)
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
        _run(job, job.call)  # where forward itself raises, that is what to tell
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
    return text, {"mode": "eval" if job.train else "train", "borders": other.borders, **known}


def _not_recorded(job: CaptureJob, error: Exception) -> UnsupportedError:
    """That a model which PyTorch exports does not run outside of an export, or not as it must for a recording."""
    less = {"all": "--reference outputs or none"}.get(job.reference, "--reference none")
    return UnsupportedError(
        f"PyTorch exports the model, but what it computes can't be recorded: {in_words(error)}",
        where=f"{job.model}{place_of(error)}",
        maybe="the model does not run a second time, in float64, or with its modules watched",
        remedy=f"{less}{', or without --gradients' if job.gradients else ''}: the .pt2 is the same",
    )


def _copies(torch: Any, call: Call) -> Call:
    """The inputs, so that what is written into them is lost."""
    copies: Call = replaced(call, lambda x: x.clone() if isinstance(x, torch.Tensor) else x)
    return copies


def _run(job: CaptureJob, call: Call) -> None:
    bind(job.module, *call)
    call = _copies(job.torch, call)
    try:
        with job.torch.no_grad(), untouched(job.torch, job.module), plain_control_flow(job.torch):
            job.module(*call[0], **call[1])
    except Exception as error:
        fault = raised("forward raised", error, job.model)
        shapes = [
            f"{name}: {str(leaf.dtype).removeprefix('torch.')}{list(leaf.shape)}"
            for name, leaf in input_leaves(*call)
            if isinstance(leaf, job.torch.Tensor)
        ]
        fault.maybe = f"the inputs ({', '.join(shapes)}) are not what the model takes"
        fault.remedy = "change --input (and --size for named axes), or the model"
        raise UsageError(fault.what, where=fault.where, maybe=fault.maybe, remedy=fault.remedy) from None


def _record(
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
    if job.gradients:
        notes.append(reference.training(args, kwargs))
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
