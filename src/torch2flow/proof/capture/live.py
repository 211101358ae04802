"""From a live PyTorch module to a `.pt2`, and beside it a recording of what the module computes.

    captured = torch2flow.capture(model, (images,), out="model.pt2", dynamic={0: ("batch",)})

`model.pt2` is a plain file of `torch.export.save`; `model.reference.safetensors` is described in
docs/capturing.md. Both appear under their names when they are complete, or not at all.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.opening import open_container
from torch2flow.checkpoints.writing.kernel_copy import write_all
from torch2flow.checkpoints.writing.staging import Entries, Output, Staging, output_error
from torch2flow.errors import FormatError, OutputError, Torch2FlowError, UnsupportedError, UsageError
from torch2flow.guards.regular_files import file_digest
from torch2flow.proof.capture.axes import Call, Names, named_axes, resizer, sample_sizes
from torch2flow.proof.capture.capture_job import Captured, CaptureJob
from torch2flow.proof.capture.captured_program import captured_program
from torch2flow.proof.capture.factories import in_words, place_of, raised, unwrapped
from torch2flow.proof.capture.facts import FILE, to_text
from torch2flow.proof.capture.module_state import untouched
from torch2flow.proof.capture.reasons import refusal
from torch2flow.proof.capture.recorded_runs import recorded_runs
from torch2flow.proof.capture.recording import Recording
from torch2flow.proof.capture.references import Say
from torch2flow.proof.capture.runtime import import_torch, quiet
from torch2flow.proof.capture.without_weights import CheckpointWeights
from torch2flow.proof.dropout import dropout_off

SUFFIX = ".reference.safetensors"
REFERENCES = ("all", "outputs", "none")


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
    whole = untouched(torch, module, parameters=False)
    with quiet(), whole, job.afterwards, Staging(*outputs, overwrite=overwrite) as staging:
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
        exported, facts, files, modes = captured_program(job)
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
                metadata = recorded_runs(job, exported, modes, recording, captured, both=bool(files))
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


def _not_recorded(job: CaptureJob, error: Exception) -> UnsupportedError:
    """That a model which PyTorch exports does not run outside of an export, or not as it must for a recording."""
    less = {"all": "--reference outputs or none"}.get(job.reference, "--reference none")
    return UnsupportedError(
        f"PyTorch exports the model, but what it computes can't be recorded: {in_words(error)}",
        where=f"{job.model}{place_of(error)}",
        maybe="the model does not run a second time, in float64, or with its modules watched",
        remedy=f"{less}{', or without --gradients' if job.gradients else ''}: the .pt2 is the same",
    )
