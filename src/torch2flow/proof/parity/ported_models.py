"""Verifies a model whose source was ported: both sources build it, with the same arguments, weights and inputs.

PyTorch runs in whichever interpreter has it, and OneFlow in a process of its own, in which there is no PyTorch.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pytorch import Checkpoint, TensorRef
from torch2flow.errors import UnsupportedError
from torch2flow.proof.capture.elsewhere import CONSTANTS, tensors_without_gradients
from torch2flow.proof.capture.factories import build_with_inputs
from torch2flow.proof.capture.inputs import Array, choose_sizes, make_inputs, parse_input, parse_sizes
from torch2flow.proof.parity.compared_models import Live
from torch2flow.proof.parity.comparison_run import Request
from torch2flow.proof.parity.fresh_recording import Original, record, write_pth
from torch2flow.proof.parity.isolated import compare_isolated
from torch2flow.proof.parity.ledger import Ledger
from torch2flow.proof.parity.reference import Reference
from torch2flow.proof.parity.verification import Verification, weights_described
from torch2flow.runtime.loading import load, load_state_dict
from torch2flow.runtime.nested import replaced

ROUNDING = 1e-4
"""By how much of the largest value a constant may be off that each side makes itself, such as a table of cosines."""


@dataclass(frozen=True, slots=True)
class PortedFactory:
    """What builds the ported model, by the names of the original's modules.

    Attributes:
        factory: `package.module:factory` in the ported code.
        path: folders in which its module is looked for first.
        original_path: the same for the original.
        kwargs: arguments for both factories, by keyword.
        places: files and folders that are imported by another name than their own.
    """

    factory: str
    path: Sequence[str]
    original_path: Sequence[str]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)


def verify_ported(
    original: Original,
    ported: PortedFactory,
    request: Request | None = None,
    *,
    weights: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Verification:
    """Compares a ported model with its original; neither PyTorch nor OneFlow is imported into this process.

    Args:
        original: the PyTorch model, and the interpreter that has PyTorch.
        ported: what builds the ported one.
        request: what is compared.
        weights: a checkpoint for both; by default, both get what the original begins with.
        say: is told what is being done.

    Raises:
        UsageError: the original can't be built, or does not run on these inputs.
        InstallationError: the interpreter is not there or lacks PyTorch, or OneFlow does not import.
        FormatError: the checkpoint is damaged.
    """
    started, request = time.monotonic(), request or Request()
    with tempfile.TemporaryDirectory(prefix="torch2flow-") as temporary:
        folder = Path(temporary)
        path, state = folder / "recording.safetensors", folder / "state.pth"
        given = write_pth(open_checkpoint(weights), folder) if weights is not None else ""
        notes = record(
            original, path, request, say, path=ported.original_path, kwargs=ported.kwargs, weights=given,
            state=str(state),
        )  # fmt: skip
        recording, ledger = Reference(path), Ledger()
        model = describe_state(open_checkpoint(state, "."), original.factory)
        repeat = f"torch2flow port ... --verify '{original.factory}'"
        found = Verification(ledger, recording, model, repeat, notes=notes, by_hand=True)
        job = {
            **asdict(ported), "weights": str(state), "inputs": list(original.inputs), "sizes": list(original.sizes),
            "seed": original.seed,
        }  # fmt: skip
        versions = compare_isolated({"ported": job}, recording, request, ledger, say)
        found.conclude(versions, time.monotonic() - started)
    return found


def describe_state(state: Checkpoint, factory: str) -> dict[str, Any]:
    """What a report says of the weights."""
    tensors = [tensor for tensor in state.values() if isinstance(tensor, TensorRef)]
    sizes = [(each.dtype.name, prod(each.shape), prod(each.shape) * each.dtype.itemsize) for each in tensors]
    return weights_described(factory.partition(":")[2], sizes)


def build_ported(flow: Any, job: dict[str, Any], reference: str, ledger: Ledger) -> tuple[Live, Reference]:
    """In the process of OneFlow: the ported model with the weights of its original, and the recording with its inputs.

    Args:
        flow: the module `oneflow`.
        job: how it is built.
        reference: the recording.
        ledger: is told of constants that both sides make.

    Raises:
        Exception: the ported code does not build it, or the weights do not fit.
    """
    PortedFinder.places = job["places"]
    sys.meta_path[:] = [PortedFinder if finder is PathFinder else finder for finder in sys.meta_path]
    sys.path[:0] = job["path"]
    flow.manual_seed(job["seed"])
    model, call = build_with_inputs(flow.nn.Module, job["factory"], job["kwargs"])
    try:
        load_state_dict(model, job["weights"], key=".")
    except UnsupportedError:  # a module loads its state by ported code of its own
        model.load_state_dict(load(job["weights"], key="."))
    constants = Path(f"{job['weights']}{CONSTANTS}")
    if constants.exists():
        _take_constants(flow, model, load(constants, key="."), ledger)
    if job["inputs"] or call is None:
        entries = [parse_input(text) for text in job["inputs"]]
        made = make_inputs(entries, choose_sizes(entries, parse_sizes(job["sizes"])), job["seed"])
        call = tuple(map(_values, made.args)), {name: _values(value) for name, value in made.kwargs.items()}
    model.forward = with_pairs(model.forward, call)
    return Live(model), Reference(reference, call=call)


def with_pairs(forward: Callable[..., Any], call: tuple[tuple[Any, ...], dict[str, Any]]) -> Callable[..., Any]:
    """`forward` of ported code, with pairs of real numbers for complex tensors, as a recording has them.

    Ported code has a class for complex tensors (`port/compat/complex_tensors.py`), which its own module holds.
    """
    complex_ones = {key for key, value in [*enumerate(call[0]), *call[1].items()] if np.iscomplexobj(value)}

    def given(key: int | str, value: Any) -> Any:
        if key not in complex_ones or value.shape[-1:] != (2,):
            return value
        holders = (vars(module).get("complex_tensor") for module in list(sys.modules.values()) if module)
        return next(holder for holder in holders if holder is not None)(value)

    def with_complex_tensors(*args: Any, **kwargs: Any) -> Any:
        found = forward(
            *(given(number, value) for number, value in enumerate(args)),
            **{name: given(name, value) for name, value in kwargs.items()},
        )
        return replaced(found, lambda leaf: getattr(leaf, "pair", leaf))

    return with_complex_tensors


def _take_constants(flow: Any, model: Any, constants: Mapping[str, Any], ledger: Ledger) -> None:
    """Gives the model PyTorch's tensors that are no part of its state dict, where they are the same but for rounding.

    Each side makes these itself, with its own `sin` and `pow`: their rounding would be that of every result.
    """
    own, worst = tensors_without_gradients(flow.Tensor, model), 0.0
    for name, theirs in constants.items():
        ours = own.get(name)
        if ours is None or ours.shape != theirs.shape or not (ours.dtype == theirs.dtype == flow.float32):
            continue
        before, wanted = ours.numpy().astype(np.float64), theirs.numpy().astype(np.float64)
        finite = np.isfinite(before) & np.isfinite(wanted)
        scale = float(np.abs(wanted[finite]).max(initial=0)) or 1.0
        off = float(np.abs(before - wanted)[finite].max(initial=0)) / scale
        if 0 < off <= ROUNDING and np.array_equal(before[~finite], wanted[~finite], equal_nan=True):
            worst = max(worst, off)
            with flow.no_grad():
                ours.copy_(theirs)
    if worst:
        ledger.remark(
            f"constants that each side makes differ by at most {worst:.0e} of the largest: PyTorch's were taken"
        )


def _values(value: Any) -> Any:
    return value.values if isinstance(value, Array) else value


class PortedFinder(PathFinder):
    """Finds what was ported by the original's names, and never PyTorch: code that imports it is not ported."""

    places: Mapping[str, str] = {}

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As Python's own."""
        if fullname in cls.places:
            place = Path(cls.places[fullname])
            inside = [str(place)] if place.is_dir() else None
            file = place / "__init__.py" if inside else place
            return spec_from_file_location(fullname, file, submodule_search_locations=inside)
        return None if fullname.partition(".")[0] == "torch" else super().find_spec(fullname, path, target)
