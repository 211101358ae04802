"""Runs a converted model in OneFlow on the inputs of a recording, and judges everything that was recorded."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from torch2flow.oneflow.runtime import import_oneflow
from torch2flow.parity.judge import EXACT, LIMIT, Measure, agrees_in_float64, measure, together
from torch2flow.parity.reference import Reference


@dataclass(slots=True)
class Parity:
    """What a comparison found.

    Attributes:
        outputs: a measure for each output.
        second: the same at other sizes; empty where none were recorded.
        gradients: a measure for each parameter's gradient; empty where none were recorded.
        step: a measure for each parameter and buffer after one step of SGD.
        double: the relative distance in float64, of outputs and of gradients; None where it was not needed.
        failure: why a part could not be compared.
    """

    outputs: dict[str, Measure] = field(default_factory=dict)
    second: dict[str, Measure] = field(default_factory=dict)
    gradients: dict[str, Measure] = field(default_factory=dict)
    step: dict[str, Measure] = field(default_factory=dict)
    double: float | None = None
    double_gradients: float | None = None
    failure: str = ""

    @property
    def faithful(self) -> bool:
        """Whether everything is within noise, or agrees in float64 where noise is too large to tell."""
        parts = (together(self.outputs.values()), together(self.second.values()))
        fine = all(part.verdict != "different" for part in parts if part.error or part.fault)
        fine = fine or (self.double is not None and self.double <= EXACT)
        trained = [together(part.values()) for part in (self.gradients, self.step) if part]
        learns = all(part.verdict != "different" for part in trained)
        learns = learns or (self.double_gradients is not None and self.double_gradients <= GRADIENT_EXACT)
        return fine and learns and not self.failure


GRADIENT_EXACT = 1e-5
"""What gradients in float64 may differ by: OneFlow 0.9.0 keeps BatchNorm's eps in float32 (2e-6 of it)."""


def load_package(folder: Path, *, double: bool = False) -> ModuleType:
    """Imports a converted model's package from wherever it lies.

    Args:
        folder: the output of a conversion.
        double: turn every float32 in its source into float64, for a comparison without noise.
    """
    name = f"torch2flow_converted_{abs(hash(str(folder)))}{'_double' if double else ''}"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules.pop(f"{name}.model", None)
    sys.modules[name] = package
    if double:
        source = (folder / "model.py").read_text("utf-8").replace("flow.float32", "flow.float64")
        model = ModuleType(f"{name}.model")
        model.__file__ = str(folder / "model.py")
        sys.modules[model.__name__] = model
        exec(compile(source, str(folder / "model.py"), "exec"), model.__dict__)
    spec.loader.exec_module(package)
    return package


def compare(folder: Path, reference: Reference, *, say: Callable[[str], None] = lambda text: None) -> Parity:
    """Compares a converted model with a recording.

    Raises:
        InstallationError: OneFlow does not import.
    """
    flow = import_oneflow()
    found = Parity()
    say("running in float32")
    found.outputs = _outputs(flow, _as_captured(load_package(folder), reference), reference, "")
    if reference.names("second.output."):
        found.second = _outputs(flow, _as_captured(load_package(folder), reference), reference, "second.")
    if reference.names("train.gradient."):
        say("training")
        try:
            found.gradients, found.step = _train(flow, _without_dropout(load_package(folder)), reference)
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            found.failure = f"training fails: {type(error).__name__}: {str(error)[:300]}"
            return found
    outputs, trained = together([*found.outputs.values(), *found.second.values()]), together(found.gradients.values())
    if outputs.ratio > LIMIT or trained.ratio > LIMIT or together(found.step.values()).ratio > LIMIT:
        say("running in float64")
        found.double, found.double_gradients = _double(flow, folder, reference)
    return found


def _as_captured(package: ModuleType, reference: Reference) -> Any:
    """The model in the mode that was captured. Each run gets its own: in train mode a run changes buffers."""
    return package.load_model().train(reference.metadata.get("mode") == "train")


def _leaves(flow: Any, value: Any) -> Iterator[Any]:
    """The tensors of a nested output, in PyTorch's order; what is no tensor keeps its number."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(flow, item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(flow, item)
    else:
        yield value


def _numbered(flow: Any, output: Any) -> dict[str, Any]:
    leaves = enumerate(_leaves(flow, output))
    return {str(number): leaf for number, leaf in leaves if isinstance(leaf, flow.Tensor)}


def _outputs(flow: Any, model: Any, reference: Reference, prefix: str) -> dict[str, Measure]:
    args, keywords = reference.inputs(flow.tensor, prefix)
    with flow.no_grad():
        given = _numbered(flow, model(*args, **keywords))
    return _judged(given, reference, f"{prefix}output.")


def _judged(given: dict[str, Any], reference: Reference, prefix: str) -> dict[str, Measure]:
    measures = {}
    for name, single, exact in reference.pairs(prefix):
        value = given.get(name)
        if value is None:
            measures[name] = Measure(float("inf"), 0, 0, (float("inf"), 0), fault="it is not there")
        else:
            measures[name] = measure(value.detach().numpy(), exact, single)
    return measures


class _NoDropout:
    """`oneflow.nn.functional` with a dropout that drops nothing, as the recording was made."""

    def __init__(self, functional: Any) -> None:
        self._functional = functional

    def __getattr__(self, name: str) -> Any:
        return (lambda x, *args, **options: x) if name.startswith("dropout") else getattr(self._functional, name)


def _without_dropout(package: ModuleType) -> Any:
    """The model with every dropout probability at 0: numbers can't be compared where some are random."""
    source = sys.modules[f"{package.__name__}.model"]
    if hasattr(source, "F"):
        source.__dict__["F"] = _NoDropout(source.F)
    model = package.load_model()
    for module in model.modules():
        if type(module).__name__.startswith("Dropout"):
            module.p = 0.0
    return model


def _train(flow: Any, model: Any, reference: Reference, *, double: bool = False) -> tuple[Any, Any]:
    """Gradients of the recorded loss, and the parameters and buffers after one step."""
    gradients, after = _one_step(flow, model, reference, double=double)
    return _judged(gradients, reference, "train.gradient."), _judged(after, reference, "train.step.")


def _one_step(flow: Any, model: Any, reference: Reference, *, double: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    def tensor(array: np.ndarray[Any, Any]) -> Any:
        return flow.tensor(array.astype(np.float64) if double and array.dtype == np.float32 else array)

    model.train()
    args, keywords = reference.inputs(tensor)
    leaves = _numbered(flow, model(*args, **keywords))
    loss = sum(
        (leaves[name] * tensor(reference.array(f"train.loss.weight.{name}"))).sum()
        for name in reference.names("train.loss.weight.")
    )
    loss.backward()
    named = dict(model.named_parameters())
    gradients = {name: parameter.grad for name, parameter in named.items() if parameter.grad is not None}
    optimizer = flow.optim.SGD(list(named.values()), lr=float(reference.metadata.get("lr", 0.01)))
    kept = {name: gradient.clone() for name, gradient in gradients.items()}
    optimizer.step()
    return kept, {**named, **dict(model.named_buffers())}


def _double(flow: Any, folder: Path, reference: Reference) -> tuple[float, float | None]:
    """The distance of both sides in float64: of outputs, and of gradients where those were recorded."""

    def tensor(array: np.ndarray[Any, Any]) -> Any:
        return flow.tensor(array.astype(np.float64) if array.dtype == np.float32 else array)

    distance = 0.0
    for prefix in ("", "second."):
        if reference.names(f"{prefix}output."):
            model = _as_captured(load_package(folder, double=True), reference).to(flow.float64)
            args, keywords = reference.inputs(tensor, prefix)
            with flow.no_grad():
                given = _numbered(flow, model(*args, **keywords))
            distance = max([distance, *_distances(given, reference, f"{prefix}output.")])
    if not reference.names("train.gradient."):
        return distance, None
    model = _without_dropout(load_package(folder, double=True)).to(flow.float64)
    gradients, after = _one_step(flow, model, reference, double=True)
    for name, _, exact in reference.pairs("train.gradient."):
        gradients.setdefault(name, flow.zeros(*exact.shape, dtype=flow.float64))  # What gets no gradient gets none.
    trained = [*_distances(gradients, reference, "train.gradient."), *_distances(after, reference, "train.step.")]
    return distance, max(trained, default=0.0)


def _distances(given: dict[str, Any], reference: Reference, prefix: str) -> Iterator[float]:
    largest = max((float(np.abs(exact).max(initial=0)) for _, _, exact in reference.pairs(prefix)), default=0.0)
    for name, _, exact in reference.pairs(prefix):
        value = given[name].detach().numpy() if name in given else None
        if value is None or value.dtype.kind != exact.dtype.kind:
            yield np.inf
        elif exact.dtype.kind != "f":
            yield 0.0 if np.array_equal(value, exact) else np.inf
        else:
            distance = agrees_in_float64(value, exact)
            scale = float(np.abs(exact).max(initial=0))
            # A gradient that is mathematically zero is noise against the others, in float64 too.
            yield (
                distance * scale / max(scale, 1e-6 * largest)
                if scale
                else min(distance, distance / max(largest, 1e-30))
            )
