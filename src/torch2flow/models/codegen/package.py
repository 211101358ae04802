"""From a `.pt2` to a package: `model.py`, `__init__.py` with `load_model`, and the constants the source needs.

from out import load_model
model = load_model()
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch2flow.models.lowering.operators  # noqa: F401  registers the rules
from torch2flow.checkpoints.pytorch import Container
from torch2flow.checkpoints.pytorch.tensor import TensorRef
from torch2flow.errors import UnsupportedError
from torch2flow.models.codegen.module_tree import module_tree
from torch2flow.models.codegen.source_text import filled, identifier, write_python
from torch2flow.models.codegen.writer import Source, write_source
from torch2flow.models.program import Graph
from torch2flow.models.program.budget import reading, writing
from torch2flow.models.program.calls import call_tree
from torch2flow.models.program.exported import read_program
from torch2flow.models.program.identifiers import is_identifier

MODEL, PACKAGE, CONSTANTS = "model.py", "__init__.py", "constants"

_PACKAGE = '''"""A OneFlow model and its weights: `from {folder} import load_model`."""

from pathlib import Path

import oneflow as flow

from .model import {root}

__all__ = ["{root}", "load_model"]


def load_model():
    """The model with its weights, in eval mode; call `.train()` to train it."""
    model = {root}()
    model.load_state_dict(flow.load(str(Path(__file__).parent)))
    return model.eval()
'''

_CUT_PACKAGE = '''"""A OneFlow model, whose weights lie beside it in a folder for each rank of a job."""

from .model import {root}

__all__ = ["{root}"]
'''


@dataclass(slots=True)
class Program:
    """The program in a `.pt2`, and the tensors beside it.

    Attributes:
        graph: as it was read.
        tensors: weights, buffers and constants, by name.
        origin: the file's name.
    """

    graph: Graph
    tensors: dict[str, TensorRef]
    origin: str

    def key_order(self) -> list[str]:
        """The names of the `state_dict()` in the original's order, which the file itself does not keep."""
        order: list[str] = []

        def visit(module: Any) -> None:
            for name, (_, state) in module.states.items():
                if state.persistent:
                    order.append(f"{module.path}.{name}" if module.path else name)
            for child in module.children.values():
                visit(child)

        with writing(self.origin):
            visit(module_tree(self.graph, call_tree(self.graph).calls()))
        return order

    def retype(self, dtype: str) -> None:
        """Makes the model compute in another floating dtype, as `--dtype` turns its weights into it."""
        self.graph = self.graph.retyped(retyping(dtype))

    def source(self) -> Source:
        """The model as OneFlow source.

        Raises:
            UnsupportedError: the program does something that no source is written for.
        """
        with writing(self.origin):
            return write_source(self.graph, self.tensors, self.origin)


def retyping(dtype: str) -> dict[str, str]:
    """What `--dtype` makes of the floating dtypes that a program computes in."""
    short = ("float16", "bfloat16")
    if dtype in short:
        return {"float32": dtype}
    return dict.fromkeys((*short, "float32") if dtype == "float64" else short, dtype)


def open_program(container: Container) -> Program | None:
    """The program of a container; None where it holds none.

    Raises:
        FormatError: the program is damaged, or is not that of the weights beside it.
    """
    if container.program is None:
        return None
    file = container.files[0]
    tensors = {**container.root.get("constants", {}), **container.root.get("state_dict", {})}
    dense = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, TensorRef)}
    facts = file.read(*container.facts) if container.facts is not None else b""
    other = file.read(*container.other_program) if container.other_program is not None else b""
    graph = read_program(file.read(*container.program), str(file.path), dense, facts, other)
    with reading(str(file.path)):
        _check_weights(graph, container.root.get("state_dict", {}))
    if graph.other is not None:
        dense |= graph.other.constants
    return Program(graph, dense, file.path.name)


def _check_weights(graph: Graph, weights: Mapping[str, Any]) -> None:
    """Refuses a program whose model could not load the weights beside it."""
    named = {state.path: name for name, state in graph.states.items() if state.persistent}
    for path, tensor in weights.items():
        if path not in named:
            raise ValueError(f"the weights have {path[:100]!r}, which the program has not")
        if tuple(tensor.shape) != graph.metas[named[path]].hint:
            raise ValueError(f"{path[:100]!r} is of another shape in the weights than in the program")
    missing = [path for path in named if path not in weights]
    if missing:
        raise ValueError(f"the program has {missing[0][:100]!r}, which the weights have not")


def check_complete(source: Source, origin: str) -> None:
    """Refuses source in which an operator is missing, and names them all at once.

    Raises:
        UnsupportedError: an operator has no rule.
    """
    if not source.missing:
        return
    count = len({each.target for each in source.missing})
    raise UnsupportedError(
        f"{count} operator{'s have' if count > 1 else ' has'} no OneFlow equivalent yet:\n"
        + "\n".join(f"  {line}" for line in source.missing_lines()),
        where=origin,
        remedy="write a rule (docs/lowering.md), or add --partial for source with a stub in each of these places,"
        " or --weights-only",
    )


def write_package(source: Source, path: Path, name: str, *, cut: bool = False) -> None:
    """Writes the Python files of a converted model into its folder; without `load_model` where the weights are cut."""
    root, folder = identifier(source.root), identifier(name if is_identifier(name) else "the_folder")
    write_python(path / MODEL, source.text)
    write_python(path / PACKAGE, filled(_CUT_PACKAGE if cut else _PACKAGE, root=root, folder=folder))
