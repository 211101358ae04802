"""Records a PyTorch model on the spot, in another interpreter: PyTorch and OneFlow seldom fit into one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.names.renamed_checkpoint import renamed
from torch2flow.checkpoints.names.templates import Keys
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pytorch import Checkpoint, TensorRef
from torch2flow.checkpoints.writing import Options, make_plan
from torch2flow.checkpoints.writing.manifest_reading import manifest_keys, read_manifest
from torch2flow.conversion import FORMATS, deliver
from torch2flow.errors import DifferenceError, InstallationError, UsageError
from torch2flow.guards.child_python import not_started, other_python
from torch2flow.proof.child_process import ask
from torch2flow.proof.digests import digest
from torch2flow.proof.parity.comparison_run import Request
from torch2flow.proof.parity.reference import Reference

RECORDER = "torch2flow.proof.capture.elsewhere"


@dataclass(frozen=True, slots=True)
class Original:
    """The PyTorch model to compare with.

    Attributes:
        factory: `package.module:factory`, as for `torch2flow capture`.
        python: an interpreter that has PyTorch and what the model needs.
        inputs: as for `torch2flow capture --input`; a recording's name stands for its inputs.
        sizes: of named axes, as for `--size`.
        load_weights: put the converted weights into the PyTorch model.
        seed: of weights and inputs that are drawn.
        train: compare in train mode.
    """

    factory: str
    python: str
    inputs: Sequence[str]
    sizes: Sequence[str] = ()
    load_weights: bool = False
    seed: int = 0
    train: bool = False


def record_against(
    folder: Path, original: Original, out: Path, request: Request, say: Callable[[str], None]
) -> list[str]:
    """Writes the recording of a PyTorch model; returns what a user should know.

    Args:
        folder: the converted model.
        original: what to record.
        out: the recording to write.
        request: what will be compared.
        say: is told what is being done.

    Raises:
        UsageError: the interpreter is not there, the model can't be built or run, or there are no inputs.
        InstallationError: the interpreter lacks PyTorch.
        DifferenceError: the PyTorch model has other weights than the converted one.
    """
    if not original.inputs:
        raise UsageError(
            "There are no inputs to run the PyTorch model on.",
            remedy="--input 'float32[2,3,224,224]' or the like, as for torch2flow capture; --reference FILE takes those"
            " of a recording",
        )
    keys = manifest_keys(read_manifest(folder), str(folder))
    with tempfile.TemporaryDirectory(prefix="torch2flow-") as temporary:
        weights = ""
        if original.load_weights:
            weights = write_pth(renamed(open_checkpoint(folder, "."), keys, back=True), Path(temporary))
        notes = record(original, out, request, say, weights=weights)
    check_weights(folder, keys, Reference(out), original.factory)
    return notes


def write_pth(checkpoint: Checkpoint, folder: Path) -> str:
    """Writes a checkpoint as a `.pth` that PyTorch itself reads; returns its path."""
    path = folder / "weights.pth"
    deliver(make_plan(checkpoint, Options(key="."), FORMATS["pth"].target), path, "pth")
    return str(path)


def record(
    original: Original,
    out: Path,
    request: Request,
    say: Callable[[str], None],
    *,
    path: Sequence[str] = (),
    kwargs: Mapping[str, Any] | None = None,
    weights: str = "",
    state: str = "",
) -> list[str]:
    """Records a PyTorch model in the interpreter that has it; returns what a user should know.

    Args:
        original: what to record.
        out: the recording to write.
        request: what will be compared.
        say: is told what is being done.
        path: folders in which the model's module is looked for first.
        kwargs: more arguments for the factory.
        weights: a `.pth` that is loaded into the model first.
        state: a `.pth` to write, with the model's weights; a file beside it has buffers that are none.

    Raises:
        UsageError: the interpreter is not there, or the model can't be built or run.
        InstallationError: the interpreter lacks PyTorch.
    """
    job = {
        "model": original.factory, "inputs": list(original.inputs), "sizes": list(original.sizes), "out": str(out),
        "weights": weights, "seed": original.seed, "train": original.train, "gradients": request.training,
        "layers": request.layers, "path": list(path), "kwargs": dict(kwargs or {}), "state": state,
    }  # fmt: skip
    notes: list[list[str]] = []

    def take(row: dict[str, Any]) -> None:
        if "say" in row:
            say(row["say"])
        else:
            notes.append(row["done"])

    try:
        code, printed = ask(other_python(original.python, RECORDER), job, take)
    except OSError as error:
        raise not_started(original.python, error) from None
    if notes:
        return notes[0]
    said = printed.splitlines()
    raise InstallationError(
        f"The other interpreter ended with {code} before anything was recorded"
        f"{': ' + said[-1].strip() if said else ''}.",
        where=original.python,
        remedy="it needs PyTorch 1.13 or newer and numpy, Python 3.10 or newer, and what the model imports",
    )


def check_weights(folder: Path, keys: Keys, recording: Reference, factory: str) -> None:
    """Refuses a PyTorch model whose weights are not the converted ones.

    Raises:
        DifferenceError: they are not.
    """
    recorded = recording.notes.get("weights", {})
    stored = renamed(open_checkpoint(folder, "."), keys, back=True)
    different = [
        name
        for name, tensor in stored.items()
        if isinstance(tensor, TensorRef) and recorded.get(name) != digest(tensor.numpy())
    ]
    if different:
        raise DifferenceError(
            f"{factory} has other weights: {len(different)} of {len(stored)} tensors are not those of {folder},"
            f" such as {different[0]}.",
            maybe="the factory draws its weights anew, or loads another checkpoint",
            remedy="--load-weights puts the converted weights into it",
        )
