"""Reads what `tests/models/lowering/record.py` recorded, and tries the samples with the operator rules.

    python operator_samples.py RECORDING [FIRST]

prints what comes of each sample, one JSON list a line. A sample can end the process, so `try_all` runs this script,
and runs it again from the sample after.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from comparison import difference
from rule_calls import NoRuleError, run, targets

from torch2flow.errors import Torch2FlowError
from torch2flow.models.lowering.registry import RefusedError
from torch2flow.models.program import Graph
from torch2flow.models.program.exported import read_program

_HELD = {"int16": "int32", "uint16": "int32", "uint32": "int64", "uint64": "int64"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One call of an operator, recorded in PyTorch."""

    number: int
    operator: str
    dtype: str
    sample: int
    form: str
    inputs: int
    outputs: tuple[bool, ...]
    noise: tuple[float, ...]
    gradient_noise: tuple[float, ...]
    empty: bool

    def __str__(self) -> str:
        return f"{self.operator} {self.dtype} {self.sample} {self.form}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a sample: same, differs, gradient, no rule, refused, raises or aborts; and the details."""

    kind: str
    detail: str = ""
    targets: tuple[str, ...] = ()


def samples(path: Path) -> list[Sample]:
    """All samples in a recording."""
    with zipfile.ZipFile(path) as file:
        index = json.loads(file.read("index.json"))
    return [
        Sample(number, *[tuple(value) if isinstance(value, list) else value for value in entry.values()])
        for number, entry in enumerate(index["entries"])
    ]


def try_sample(file: zipfile.ZipFile, sample: Sample, flow: Any) -> Outcome:
    """Runs a sample with the operator rules, and compares."""
    arrays = dict(np.load(io.BytesIO(file.read(f"{sample.number}.npz"))))
    called: tuple[str, ...] = ()
    try:
        graph = read_program(file.read(f"{sample.number}.json"), str(sample))
        called, random = tuple(targets(graph)), _is_random(graph)
        inputs = [_tensor(arrays[f"in{place}"], flow) for place in range(sample.inputs)]
        for place, tensor in enumerate(inputs):
            tensor.requires_grad_(f"grad{place}" in arrays)
        constants = {
            key.removeprefix("const "): _tensor(value, flow)
            for key, value in arrays.items()
            if key.startswith("const ")
        }
        outputs = run(graph, inputs, constants, flow, random)
    except NoRuleError as error:
        return Outcome("no rule", str(error), called)
    except (RefusedError, NotImplementedError, Torch2FlowError) as error:
        return Outcome("refused", str(error), called)
    except Exception as error:
        return Outcome("raises", f"{type(error).__name__}: {_short(str(error))}", called)
    for place, (output, is_tensor) in enumerate(zip(outputs, sample.outputs, strict=True)):
        if is_tensor and output is None:
            return Outcome("differs", f"output {place} is missing", called)
        if is_tensor:
            expected = arrays[f"out{place}"]
            expected = expected.astype(_HELD.get(str(expected.dtype), expected.dtype))
            found = np.asarray(output.detach().numpy())
            if random:  # shape and dtype alone, and that what was drawn is a number
                unset = any("empty" in name or "resize" in name for name in called)
                wrong = difference(np.zeros_like(found) if unset else found * 0, np.zeros_like(expected))
            else:
                wrong = difference(found, expected, sample.noise[place])
            if wrong:
                return Outcome("differs", f"output {place}: {wrong}", called)
    wrong = "" if random else _gradients(sample, arrays, inputs, outputs, flow)
    return Outcome("gradient" if wrong else "same", wrong, called)


RANDOM = (
    "aten.rand", "aten.randn", "aten.rand_like", "aten.randn_like", "aten.randint", "aten.randint_like",
    "aten.randperm", "aten.bernoulli", "aten.multinomial", "aten.normal", "aten.normal_functional", "aten.empty",
    "aten.empty_like", "aten.empty_strided", "aten.empty_permuted", "aten.new_empty", "aten.new_empty_strided",
    "aten.resize", "aten.cauchy", "aten.exponential", "aten.geometric", "aten.log_normal", "aten.uniform",
)  # fmt: skip
"""Operators whose numbers are nobody's business: drawn from another generator, or never set."""


def _is_random(graph: Graph) -> bool:
    return any(
        node.operator.rstrip("_") in RANDOM
        or node.arguments.get("dropout_p")
        or ("dropout" in node.operator and node.arguments.get("train"))
        or ("rrelu" in node.operator and node.arguments.get("training"))
        for node in graph.nodes
    )


def _gradients(sample: Sample, arrays: dict[str, Any], inputs: list[Any], outputs: list[Any], flow: Any) -> str:
    """How gradients differ from PyTorch's; the same numbers go backwards as in record.py: cos(0), cos(1), ..."""
    wanted = [place for place in range(sample.inputs) if f"grad{place}" in arrays]
    results = [value for value in outputs if isinstance(value, flow.Tensor) and value.requires_grad]
    if not wanted:
        return ""
    try:
        for value in results:
            numbers = np.cos(np.arange(value.numel(), dtype=np.float64)).astype(np.float32).reshape(value.shape)
            value.backward(flow.tensor(numbers).to(value.dtype), retain_graph=True)
    except Exception as error:
        return f"{type(error).__name__}: {_short(str(error))}"
    for place in wanted:
        expected = arrays[f"grad{place}"]
        found = inputs[place].grad
        found = np.zeros_like(expected) if found is None else found.numpy()
        wrong = difference(found, expected, sample.gradient_noise[place])
        if wrong:
            return f"of input {place}: {wrong}"
    return ""


def _tensor(array: np.ndarray[Any, Any], flow: Any) -> Any:
    held = _HELD.get(str(array.dtype))
    return flow.tensor(array.astype(held) if held else array)


def _short(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else "")[:200]


def try_all(python: str | Path, recording: Path) -> dict[int, Outcome]:
    """What comes of every sample, by its number."""
    found: dict[int, Outcome] = {}
    first: int | None = 0
    while first is not None:
        command = [str(python), __file__, str(recording), str(first)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        started = None
        for line in done.stdout.splitlines():
            if not line.startswith("["):
                continue
            number, *outcome = json.loads(line)
            started = number if not outcome else None
            if outcome:
                found[number] = Outcome(outcome[0], outcome[1], tuple(outcome[2]))
        if started is None and done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr[-2000:]}")
        if started is not None:
            found[started] = Outcome("aborts", f"the process ended with {done.returncode}")
        first = None if started is None else started + 1
    return found


def called_by(recording: Path, sample: Sample, outcome: Outcome) -> list[str]:
    """The operators that a sample calls, also where the process ended before it could say."""
    if outcome.targets:
        return list(outcome.targets)
    with zipfile.ZipFile(recording) as file, contextlib.suppress(Torch2FlowError):
        return targets(read_program(file.read(f"{sample.number}.json"), str(sample)))
    return []


def main() -> None:
    from torch2flow.runtime import import_oneflow

    flow = import_oneflow()
    recording, first = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with zipfile.ZipFile(recording) as file:
        for sample in samples(recording)[first:]:
            print(json.dumps([sample.number]), flush=True)
            outcome = try_sample(file, sample, flow)
            print(json.dumps([sample.number, outcome.kind, outcome.detail, outcome.targets]), flush=True)


if __name__ == "__main__":
    main()
