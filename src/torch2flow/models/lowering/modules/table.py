"""The table of the classes of `torch.nn`, and how a module is read by it, from a pickle or from a program.

    Conv2d {stride: (2, 2), padding_mode: 'zeros', ...}, weight [128, 64, 3, 3], no bias      in a pickle
    aten.conv2d(x, weight [128, 64, 3, 3], None, [2, 2]), called in a Conv2d                  in a program
    ->  nn.Conv2d(64, 128, 3, stride=2, bias=False)

A row has the signature of OneFlow's class, the operators that a call of the module may be, and a reader, which takes
the module and gives a `Made`. Sizes come from the tensors, which the weights must fit, and everything else from the
attributes or from the operator's arguments: they have the same names. For a class that is several operators, or one of
other arguments, the row has those (`= abs add div`), and the attributes are those that were recorded. What neither
OneFlow's class nor one of `classes/` can do is refused.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from torch2flow.models.lowering.modules.library import arguments_of, library
from torch2flow.models.program import Node
from torch2flow.models.program.pickled import PickledModule


class RefusedModuleError(Exception):
    """No OneFlow module does what this one does; the text says why."""


class UnknownClassError(RefusedModuleError):
    """The code of the class is not in the file."""


Shape = tuple[int, ...]


@dataclass(slots=True)
class Made:
    """A constructor's call, and what the module then holds.

    Attributes:
        function: `nn.Conv2d`, or the name of a definition of `classes/`.
        arguments: by name; numbers, texts, tuples of them, `Code`, or other calls.
        tensors: its parameters and buffers by name, with their shapes.
        children: its modules by name: those that the constructor makes, or for a container those it is given.
    """

    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Shape] = field(default_factory=dict, compare=False)
    children: dict[str, Made] = field(default_factory=dict)

    @property
    def is_container(self) -> bool:
        return self.function in ("nn.Sequential", "nn.ModuleList", "nn.ModuleDict")


@dataclass(frozen=True, slots=True)
class Code:
    """An expression as a value: `nn.ReLU`, `F.silu`."""

    text: str


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """One call of a module whose body is one operator.

    Attributes:
        known_as: the name of the class in `torch.nn`.
        node: the operator's call.
        shapes: the shape of each tensor the module owns, by attribute.
        input: the shape of the input.
        in_place: the operator worked in place, and nothing else reads its input.
    """

    known_as: str
    node: Node
    shapes: dict[str, Shape]
    input: Shape
    in_place: bool = False

    def get(self, name: str, default: Any = None) -> Any:
        """An argument of the operator."""
        return self.in_place if name == "inplace" else self.node.arguments.get(name, default)

    def shape(self, name: str) -> Shape:
        """The shape of a tensor of the module; () where there is none."""
        return self.shapes.get(name, ())


@dataclass(frozen=True, slots=True)
class RecordedModule:
    """A module that is read by its attributes, which were recorded, and not by its operators.

    Attributes:
        known_as: the name of the class in `torch.nn`.
        attributes: its plain values.
        shapes: the shape of each tensor in it and its modules, by name.
    """

    known_as: str
    attributes: Mapping[str, Any]
    shapes: dict[str, Shape]

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def shape(self, name: str) -> Shape:
        """The shape of a tensor; () where there is none."""
        return self.shapes.get(name, ())


AnyModule = PickledModule | ModuleCall | RecordedModule


@dataclass(frozen=True, slots=True)
class ClassRow:
    """What is known of a class of `torch.nn`.

    Attributes:
        signature: the arguments of OneFlow's class of the same name that both have and that mean the same, in order,
            with PyTorch's defaults; `...` for one without. Empty where OneFlow 0.9.0 lacks the class.
        operators: those that a call of such a module may be, with the class's arguments.
        body: those of a call, in order, where they don't have the class's arguments; `*` stands for any letters.
        read: gives the constructor's call for a module.
    """

    signature: dict[str, Any]
    operators: tuple[str, ...]
    body: tuple[str, ...]
    read: Callable[..., Made]


CLASSES: dict[str, ClassRow] = {}

Reader = TypeVar("Reader", bound=Callable[..., Made])


def torch_classes(text: str) -> Callable[[Reader], Reader]:
    """Registers the reader of some classes of `torch.nn`.

    Args:
        text: a line for each class, or a semicolon between two: its name, OneFlow's signature if it has the class, and
            the operators that may be its call, as in `Linear(in_features, out_features, bias=True): linear`; or all
            those of its body, as in `Softsign() = abs add div`. One with `{d}` in it is one for each of 1, 2 and 3
            dimensions.
    """

    def register(read: Reader) -> Reader:
        for line in re.split("[;\n]", text.strip()):
            for dims in "123" if "{d}" in line else "1":
                row, _, operators = line.strip().replace("{d}", dims).partition(": ")
                row, _, body = row.partition(" = ")
                name = row.partition("(")[0]
                assert name not in CLASSES, f"{name} has two rows"
                definition = ast.parse(f"def {row if '(' in row else row + '()'}: ...").body[0]
                assert isinstance(definition, ast.FunctionDef)
                names, parts = [tuple(f"aten.{each}" for each in part.split()) for part in (operators, body)]
                CLASSES[name] = ClassRow(arguments_of(definition), names, parts, read)
        return read

    return register


@cache
def signature(function: str) -> dict[str, Any]:
    """A constructor's arguments in order, and their defaults; `...` for one without.

    What a constructor of `classes/` passes on by `*args, **kwargs` are its base's.
    """
    if function.startswith("nn."):
        row = CLASSES.get(function.removeprefix("nn."))
        return row.signature if row is not None else {}
    tree = library()[function].tree
    assert isinstance(tree, ast.ClassDef)
    constructor = next((f for f in tree.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
    if constructor is None or constructor.args.vararg is not None:
        base = signature(ast.unparse(tree.bases[0]))
        return base if constructor is None else base | arguments_of(constructor)
    return arguments_of(constructor)
