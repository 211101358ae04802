"""Runs a model as a `flow.nn.Graph`, and finds the module whose code computes something else there than eagerly.

A Graph calls `forward` of the class, not of the instance, so it is the classes' methods that are wrapped for a while.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torch2flow.proof.parity.compared_models import untouched
from torch2flow.runtime.nested import leaves
from torch2flow.runtime.replaced_attributes import replaced_attributes

REFUSED = {
    "mutable_consumer": "OneFlow 0.9.0 takes no Graph that writes a buffer twice in a step, as a BatchNorm does that "
    "is called twice in train mode",
}
"""By a word of the error, what OneFlow refuses in any Graph, whatever the model computes."""

SAME = 1e-4
"""How much float32 results in graph mode may differ from eager ones, relative to the largest value."""


@dataclass
class Events:
    """What goes into modules and comes out of them, in the order in which it does.

    Attributes:
        paths: of modules, by their identity.
        inside: the modules under way.
        rows: of each event, the path of the module whose code has made the tensors, and the tensors.
    """

    flow: Any
    paths: dict[int, str]
    inside: list[str] = field(default_factory=lambda: [""])
    rows: list[tuple[str, list[Any]]] = field(default_factory=list)

    def tensors(self, value: Any) -> list[Any]:
        """The tensors of a nested value."""
        return [leaf for leaf in leaves(value) if isinstance(leaf, self.flow.Tensor)]

    def noted(self, model: Any) -> contextlib.AbstractContextManager[None]:
        """A context in which all calls of the model's modules are noted."""

        def wrap(forward: Callable[..., Any]) -> Callable[..., Any]:
            def noting(this: Any, *args: Any, **kwargs: Any) -> Any:
                origin = this if isinstance(this, self.flow.nn.Module) else this.to(self.flow.nn.Module)
                path = self.paths.get(id(origin))
                if path is None:
                    return forward(this, *args, **kwargs)
                self.rows.append((self.inside[-1], self.tensors((args, kwargs))))
                self.inside.append(path)
                try:
                    output = forward(this, *args, **kwargs)
                finally:
                    self.inside.pop()
                self.rows.append((path, self.tensors(output)))
                return output

            return noting

        classes = {type(part) for path, part in model.named_modules() if path}
        return replaced_attributes(*((cls, "forward", wrap(cls.forward)) for cls in classes))


Call = tuple[Any, dict[str, Any]]
"""Arguments, and those by keyword."""


def run_as_graph(
    flow: Any, model: Any, calls: Sequence[Call], noted: Callable[[Any], list[Any]] = lambda value: []
) -> tuple[list[int], list[Any], list[Any]]:
    """Runs a model as a Graph, which gives tensors only.

    Args:
        flow: the module `oneflow`.
        model: the model.
        calls: what it is called with, one call after the other: the first traces it, the last gives the result.
        noted: which tensors to give beside the outputs, asked when the model was traced.

    Returns:
        The places of the tensors among all leaves of the output; the tensors; those that were noted.
    """
    places: list[int] = []

    class ModelGraph(flow.nn.Graph):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def build(self, *args: Any, **kwargs: Any) -> Any:
            output = self.model(*args, **kwargs)
            found = [(n, leaf) for n, leaf in enumerate(leaves(output)) if isinstance(leaf, flow.Tensor)]
            places[:] = [place for place, _ in found]
            return tuple(leaf for _, leaf in found) + tuple(noted(output))

    graph, given = ModelGraph(), []
    for args, keywords in calls:
        given = graph(*args, **keywords)
    given = list(given) if isinstance(given, tuple | list) else [given]
    return places, given[: len(places)], given[len(places) :]


def train_as_graph(
    flow: Any, model: Any, call: Call, loss: Callable[[Any], Any], learning_rate: float
) -> dict[int, Any]:
    """Makes a step of SGD as a Graph, which changes the model; returns the tensors of the output by their places.

    Args:
        flow: the module `oneflow`.
        model: the model, in train mode.
        call: its inputs.
        loss: makes a loss of the output.
        learning_rate: of the step.
    """
    places: list[int] = []

    class TrainingGraph(flow.nn.Graph):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
            self.add_optimizer(flow.optim.SGD(trained, lr=learning_rate))

        def build(self, *args: Any, **kwargs: Any) -> Any:
            output = self.model(*args, **kwargs)
            loss(output).backward()
            found = [(n, leaf) for n, leaf in enumerate(leaves(output)) if isinstance(leaf, flow.Tensor)]
            places[:] = [place for place, _ in found]
            return tuple(leaf for _, leaf in found)

    args, keywords = call
    given = TrainingGraph()(*args, **keywords)
    return dict(zip(places, given if isinstance(given, tuple | list) else [given], strict=True))


def first_in_graph(flow: Any, model: Any, calls: Callable[[], list[Call]]) -> str | None:
    """The path of the first module whose code gives something else as a Graph than eagerly; None if there is none.

    Args:
        flow: the module `oneflow`.
        model: the model.
        calls: gives what it is called with, one call after the other, of which the last is compared.
    """
    paths = {id(part): path for path, part in model.named_modules() if path}
    eager, lazy = Events(flow, paths), Events(flow, paths)
    with flow.no_grad(), untouched(flow, model), eager.noted(model):
        for args, keywords in calls():
            eager.rows.clear()
            model(*args, **keywords)
    with untouched(flow, model), lazy.noted(model):
        rest = run_as_graph(flow, model, calls(), lambda output: [leaf for _, row in lazy.rows for leaf in row])[2]
    values = iter(rest)
    for (path, one), (other_path, other) in zip(eager.rows, lazy.rows, strict=False):
        found = [next(values).numpy() for _ in other]
        if path != other_path or len(found) != len(one):
            return path
        for leaf, array in zip(one, found, strict=True):
            wanted = leaf.numpy()
            if wanted.shape != array.shape:
                return path
            size = float(np.abs(wanted).max(initial=0))
            if wanted.size and float(np.abs(wanted.astype(np.float64) - array).max()) > SAME * size:
                return path
    return ""
