"""From a `.pt2` to a package: `model.py`, `__init__.py` with `load_model`, and the constants the source needs.

from out import load_model
model = load_model()
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch2flow.models.lowering.operators  # noqa: F401  registers the rules
from torch2flow.checkpoints.pytorch import Container
from torch2flow.checkpoints.pytorch.tensor import TensorRef
from torch2flow.checkpoints.writing.kernel_copy import write_file
from torch2flow.errors import UnsupportedError
from torch2flow.models.codegen.module_tree import module_tree
from torch2flow.models.codegen.writer import Source, write_source
from torch2flow.models.program import Graph
from torch2flow.models.program.calls import call_tree
from torch2flow.models.program.exported import read_program

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

        visit(module_tree(self.graph, call_tree(self.graph)))
        return order

    def retype(self, dtype: str) -> None:
        """Makes the model compute in another floating dtype, as `--dtype` turns its weights into it."""
        short = ("float16", "bfloat16")
        self.graph = self.graph.retyped({"float32": dtype} if dtype in short else dict.fromkeys(short, dtype))
        if dtype == "float64":
            self.graph = self.graph.retyped({"float32": dtype})

    def source(self) -> Source:
        """The model as OneFlow source.

        Raises:
            UnsupportedError: the program does something that no source is written for.
        """
        try:
            return write_source(self.graph, self.tensors, self.origin)
        except (
            LookupError,
            AssertionError,
            ValueError,
            TypeError,
            AttributeError,
            RecursionError,
            StopIteration,
        ) as error:
            raise UnsupportedError(
                f"The model's source could not be written: {type(error).__name__}: {str(error)[:200]}.",
                where=self.origin,
                maybe="the program does something torch2flow has not met: please report it",
                remedy="add --weights-only for the checkpoint alone",
            ) from error


def open_program(container: Container) -> Program | None:
    """The program of a container; None where it holds none.

    Raises:
        FormatError: the program is damaged.
    """
    if container.program is None:
        return None
    file = container.files[0]
    tensors = {**container.root.get("constants", {}), **container.root.get("state_dict", {})}
    dense = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, TensorRef)}
    facts = file.read(*container.facts) if container.facts is not None else b""
    graph = read_program(file.read(*container.program), str(file.path), dense, facts)
    return Program(graph, dense, file.path.name)


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
    write_file(path / MODEL, source.text.encode("utf-8"))
    folder = name if name.isidentifier() else "the_folder"
    package = _CUT_PACKAGE if cut else _PACKAGE
    write_file(path / PACKAGE, package.format(root=source.root, folder=folder).encode("utf-8"))
