"""Records what PyTorch's operators compute, as exported programs with inputs and outputs; run with .venv-torch.

    python record.py OUT.zip [--samples 3] [--dtypes float32,int64] [--decomposed 1] [--operators add,where]

The samples are those of PyTorch's own operator database (`torch.testing._internal.common_methods_invocations.op_db`),
and those of `extra_samples.py` for operators it lacks. For each one OUT.zip holds `N.json`, the program as a `.pt2`
has it, and `N.npz`, its tensors; `index.json` lists them.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import logging
import random
import sys
import time
import types
import unittest
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch._export.serde.serialize import serialize
from torch.utils import _pytree as pytree

# PyTorch's own test classes derive from one of this package, which nothing here needs.
sys.modules.setdefault("expecttest", types.SimpleNamespace(TestCase=unittest.TestCase))  # type: ignore[arg-type]
sys.path.insert(0, str(Path(__file__).parent))
from extra_samples import EXTRA_SAMPLES  # noqa: E402
from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402

SEED = 20240229
TRIED = 120
"""From how many samples of an operator those to record are picked, evenly."""


class Calling(torch.nn.Module):
    """A function of nested arguments as a module of its tensors."""

    def __init__(self, function: Callable[..., Any], arguments: Any) -> None:
        super().__init__()
        leaves, self.spec = pytree.tree_flatten(arguments)
        self.function = function
        self.leaves = [None if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        self.places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
        self.tensors = tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))

    def forward(self, *tensors: torch.Tensor) -> Any:
        leaves = list(self.leaves)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self.spec)
        result = self.function(*args, **kwargs)
        return tuple(result) if isinstance(result, tuple) else result


@dataclass
class Recording:
    """The zip file being written."""

    file: zipfile.ZipFile
    entries: list[dict[str, Any]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, dtype: str, number: int, function: Callable[..., Any], arguments: Any, form: str) -> None:
        """Records one call, or why it could not be."""
        try:
            self._add(name, dtype, number, function, arguments, form)
        except Exception as error:
            self.failed[f"{name} {dtype} {number} {form}"] = f"{type(error).__name__}: {str(error)[:200]}"

    def _add(self, name: str, dtype: str, number: int, function: Callable[..., Any], arguments: Any, form: str) -> None:
        module = Calling(function, arguments)
        inputs = [tensor.detach() for tensor in module.tensors]
        _seed()
        program = torch.export.export(module, tuple(_copies(inputs)), strict=False)
        if form == "decomposed":
            program = program.run_decompositions()
        _seed()
        outputs = _flat(module(*_copies(inputs)))
        exact = [tensor.to(_WIDE.get(tensor.dtype, tensor.dtype)) for tensor in inputs]
        noise = _noise(outputs, _tried(lambda: _flat(module(*_copies(exact)))))
        gradients = [] if form == "decomposed" else _tried(lambda: _gradients(module, inputs)) or []
        gradient_noise = _noise(gradients, _tried(lambda: _gradients(module, exact)) if gradients else None)
        arrays = {f"in{place}": _array(tensor) for place, tensor in enumerate(inputs)}
        arrays |= {f"out{place}": _array(value) for place, value in enumerate(outputs) if value is not None}
        arrays |= {f"grad{place}": _array(value) for place, value in enumerate(gradients) if value is not None}
        arrays |= {f"const {key}": _array(value) for key, value in program.constants.items()}
        arrays |= {f"const {key}": _array(value) for key, value in program.state_dict.items()}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        identity = len(self.entries)
        self.file.writestr(f"{identity}.json", serialize(program).exported_program)
        self.file.writestr(f"{identity}.npz", buffer.getvalue())
        self.entries.append(
            {"operator": name, "dtype": dtype, "sample": number, "form": form, "inputs": len(inputs),
             "outputs": [value is not None for value in outputs], "noise": noise, "gradient_noise": gradient_noise,
             "empty": any(array.size == 0 for array in arrays.values())}
        )  # fmt: skip


_WIDE = {torch.float16: torch.float64, torch.bfloat16: torch.float64, torch.float32: torch.float64,
         torch.complex64: torch.complex128}  # fmt: skip
_DIFFERENTIABLE = {*_WIDE, *_WIDE.values()}


def _seed() -> None:
    torch.manual_seed(SEED)
    random.seed(SEED)
    np.random.seed(SEED)


def _copies(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in tensors]


def _flat(result: Any) -> list[torch.Tensor | None]:
    return [leaf.detach() if isinstance(leaf, torch.Tensor) else None for leaf in pytree.tree_leaves(result)]


def _array(value: torch.Tensor) -> np.ndarray[Any, Any]:
    if value.layout != torch.strided:
        raise TypeError(f"{value.dtype} {value.layout}")
    return np.array(_pairs(value).resolve_neg().contiguous().numpy())


def _pairs(value: torch.Tensor) -> torch.Tensor:
    """A complex tensor with a last dimension of 2, as OneFlow gets it."""
    return torch.view_as_real(value.resolve_conj()) if value.is_complex() else value


def _tried(function: Callable[[], Any]) -> Any:
    """What a function returns, from the same random numbers each time; None where it fails."""
    _seed()
    try:
        return function()
    except Exception:
        return None


def _gradients(module: Calling, inputs: list[torch.Tensor]) -> list[torch.Tensor | None]:
    """The gradient of each input, from `cotangent` of each output that has one; see operator_samples.py."""
    leaves = [tensor.clone().requires_grad_(tensor.dtype in _DIFFERENTIABLE) for tensor in inputs]
    # A call may write to its inputs, which no leaf allows.
    results = pytree.tree_leaves(module(*[leaf.clone() for leaf in leaves]))
    results = [_pairs(value) for value in results if isinstance(value, torch.Tensor) and value.requires_grad]
    total = sum((value * _cotangent(value)).sum() for value in results)
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    found = iter(torch.autograd.grad(total, wanted, allow_unused=True) if results and wanted else [None] * len(wanted))
    return [next(found) if leaf.requires_grad else None for leaf in leaves]


def _cotangent(value: torch.Tensor) -> torch.Tensor:
    return torch.cos(torch.arange(value.numel(), dtype=torch.float64)).to(value.dtype).reshape(value.shape)


def _noise(values: list[torch.Tensor | None], exact: list[torch.Tensor | None] | None) -> list[float]:
    """For each value how far PyTorch's float32 lies from its own float64, at most."""
    noise = [0.0] * len(values)
    for place, (value, wide) in enumerate(zip(values, exact or [], strict=False)):
        if value is not None and wide is not None and value.dtype in _DIFFERENTIABLE and value.shape == wide.shape:
            distance = (_pairs(value).double() - _pairs(wide).double()).abs()
            finite = distance[torch.isfinite(distance)]
            noise[place] = float(finite.max()) if finite.numel() else 0.0
    return noise


def _samples(op: Any, dtype: torch.dtype, count: int) -> Iterator[Any]:
    _seed()
    tried = list(itertools.islice(op.sample_inputs("cpu", dtype, requires_grad=False), TRIED))
    # The middle of as many equal parts: the first samples are often 0-dim, the last without elements.
    picked = sorted({int((place + 0.5) * len(tried) / count) for place in range(count)}) if tried else []
    for place in picked:
        yield place, tried[place]


def _record_database(recording: Recording, options: argparse.Namespace) -> None:
    for op in op_db:
        name = f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name
        if options.only and op.name not in options.only and name not in options.only:
            continue
        if options.operators and (op.aten_name or op.name).rpartition(".")[2] not in options.operators:
            continue
        if op.name.startswith(("_refs.", "sparse.", "jiterator", "torch.ops.aten._flash")):
            continue
        for dtype_name in options.dtypes:
            dtype = getattr(torch, dtype_name)
            if dtype not in op.supported_dtypes("cpu"):
                continue
            try:
                samples = list(_samples(op, dtype, options.samples if dtype_name in ("float32", "complex64") else 1))
            except Exception as error:
                recording.failed[f"{name} {dtype_name}"] = f"samples: {str(error)[:200]}"
                continue
            for number, sample in samples:
                arguments = ((sample.input, *sample.args), sample.kwargs)
                recording.add(name, dtype_name, number, op.op, arguments, "training")
                if number == samples[-1][0] and dtype_name == "float32" and options.decomposed:
                    recording.add(name, dtype_name, number, op.op, arguments, "decomposed")


def _record_extra(recording: Recording, options: argparse.Namespace) -> None:
    for name, function, make in EXTRA_SAMPLES:
        if options.only and name not in options.only:
            continue
        _seed()
        for number, arguments in enumerate(make()):
            recording.add(name, "float32", number, function, (arguments, {}), "training")
            if options.decomposed:
                recording.add(name, "float32", number, function, (arguments, {}), "decomposed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--dtypes", type=lambda text: text.split(","), default=["float32", "int64"])
    parser.add_argument("--decomposed", type=int, default=0)
    parser.add_argument("--only", type=lambda text: set(text.split(",")), default=set())
    parser.add_argument("--operators", type=lambda text: set(text.split(",")), default=set(), help="ATen's names")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    started = time.time()
    with zipfile.ZipFile(options.out, "w", zipfile.ZIP_DEFLATED) as file:
        recording = Recording(file)
        _record_extra(recording, options)
        _record_database(recording, options)
        index = {"torch": torch.__version__, "entries": recording.entries, "failed": recording.failed}
        file.writestr("index.json", json.dumps(index))
    print(f"{len(recording.entries)} recorded, {len(recording.failed)} not, {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
