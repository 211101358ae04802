"""The table of the classes of `torch.nn`, and how a module is read by it, from a pickle or from a program.

    Conv2d {stride: (2, 2), padding_mode: 'zeros', ...}, weight [128, 64, 3, 3], no bias      in a pickle
    aten.conv2d(x, weight [128, 64, 3, 3], None, [2, 2]), called in a Conv2d                  in a program
    ->  nn.Conv2d(64, 128, 3, stride=2, bias=False)

A row has the signature of OneFlow's class, the operators that a call of the module may be, and a reader, which takes
the module and gives a `Made`. Sizes come from the tensors, which the weights must fit, and everything else from the
attributes or from the operator's arguments: they have the same names. What neither OneFlow's class nor one of
`classes/` can do is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from torch2flow.checkpoints.pickles import Global, label
from torch2flow.models.lowering.modules.library import arguments_of, library
from torch2flow.models.program import Node
from torch2flow.models.program.pickled import PickledModule


class RefusedError(Exception):
    """No OneFlow module does what this one does; the text says why."""


class UnknownClassError(RefusedError):
    """The code of the class is not in the file."""


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
    tensors: dict[str, tuple[int, ...]] = field(default_factory=dict)
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
        rank: the number of dimensions of the input.
        in_place: the operator worked in place, and nothing else reads its input.
    """

    known_as: str
    node: Node
    shapes: dict[str, tuple[int, ...]]
    rank: int
    in_place: bool = False

    def get(self, name: str, default: Any = None) -> Any:
        """An argument of the operator."""
        return self.in_place if name == "inplace" else self.node.arguments.get(name, default)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor of the module; () where there is none."""
        return self.shapes.get(name, ())


AnyModule = PickledModule | ModuleCall


@dataclass(frozen=True, slots=True)
class ClassRow:
    """What is known of a class of `torch.nn`.

    Attributes:
        signature: the arguments of OneFlow's class of the same name that both have and that mean the same, in order,
            with PyTorch's defaults; `...` for one without. Empty where OneFlow 0.9.0 lacks the class.
        operators: those that a call of such a module may be.
        read: gives the constructor's call for a module.
    """

    signature: dict[str, Any]
    operators: tuple[str, ...]
    read: Callable[..., Made]


CLASSES: dict[str, ClassRow] = {}

Reader = TypeVar("Reader", bound=Callable[..., Made])


def torch_classes(text: str) -> Callable[[Reader], Reader]:
    """Registers the reader of some classes of `torch.nn`.

    Args:
        text: a line for each class: its name, OneFlow's signature if it has the class, and the operators that may be
            its call, as in `Linear(in_features, out_features, bias=True): linear`. A line with `{d}` in it is one for
            each of 1, 2 and 3 dimensions.
    """

    def register(read: Reader) -> Reader:
        for line in text.strip().split("\n"):
            for dims in "123" if "{d}" in line else "1":
                row, _, operators = line.strip().replace("{d}", dims).partition(": ")
                name = row.partition("(")[0]
                definition = ast.parse(f"def {row if '(' in row else row + '()'}: ...").body[0]
                assert isinstance(definition, ast.FunctionDef)
                names = tuple(f"aten.{operator}" for operator in operators.split())
                CLASSES[name] = ClassRow(arguments_of(definition), names, read)
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


# Reading a module.


def construct(module: PickledModule) -> Made:
    """The constructor's call that makes such a module, without what was changed or added to it afterwards.

    Raises:
        UnknownClassError: the code of its class is not in the file.
        RefusedError: OneFlow can't do what it does.
    """
    row = CLASSES.get(module.known_as)
    if row is None:
        raise UnknownClassError(f"{label(Global(module.class_name))} is no class whose forward is known")
    if "forward" in module.attributes:
        raise RefusedError("its forward was replaced by another")
    for kind, name in module.hooks():
        raise RefusedError(f"it has {kind}, {name}")
    return _read(row, module)


def construct_whole(module: PickledModule) -> Made:
    """The call for a module that is an argument of another's constructor, with the children it is to have."""
    made = construct(module)
    if made.is_container:
        made.children = {name: construct_whole(child) for name, child in module.children.items()}
    return made


def construct_called(module: ModuleCall) -> Made | None:
    """The call of a constructor of OneFlow's own that makes a module which does what this one did.

    None where there is no such module: then it is written out as a class.
    """
    row = CLASSES.get(module.known_as)
    if row is None or module.node.operator not in row.operators:
        return None
    try:
        made = _read(row, module)
    except RefusedError:
        return None
    return made if made.function.startswith("nn.") and module.shapes.keys() <= made.tensors.keys() else None


def _read(row: ClassRow, module: AnyModule) -> Made:
    try:
        made = row.read(module)
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
        raise RefusedError("its attributes are not as its class makes them") from None
    made.arguments = {
        name: value if isinstance(value, Made | Code) else plain(value, name) for name, value in made.arguments.items()
    }
    return made


# What readers are made of.

_LONGEST = 16
"""Numbers in a tuple: a size has at most a few dimensions, and a file may hold anything."""


def plain(value: Any, name: str) -> Any:
    """An attribute as a literal: a number, a text, a flat tuple of them.

    Raises:
        RefusedError: it is anything else.
    """
    if isinstance(value, list | tuple) and len(value) <= _LONGEST:
        if any(isinstance(item, list | tuple) for item in value):
            raise RefusedError(f"its attribute {name!r} is nested")
        return tuple(plain(item, name) for item in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise RefusedError(f"its attribute {name!r} is {label(value)}")


def make(function: str, module: AnyModule | dict[str, Any], **given: Any) -> Made:
    """A call with the arguments that the signature names: as given, or else the attributes of these names."""
    arguments = {}
    for name, default in signature(function).items():
        value = given[name] if name in given else module.get(name, default)
        if value is ...:
            raise RefusedError(f"it has no attribute {name!r}")
        arguments[name] = plain(value, name)
    return Made(function, arguments)


def make_with(function: str, module: AnyModule, tensors: Mapping[str, tuple[int, ...]], **given: Any) -> Made:
    """The same for a module with tensors of these shapes; it may lack a weight or a bias among them."""
    made = make(function, module, **given)
    made.tensors = {
        name: shape for name, shape in tensors.items() if module.shape(name) or name not in ("weight", "bias")
    }
    return made


def same_arguments(module: AnyModule) -> Made:
    """The reader of modules whose arguments are attributes of the same names, OneFlow's or one of `classes/`."""
    name = module.known_as
    return make(name if name in library() else f"nn.{name}", module)


def expect(module: AnyModule, **values: Any) -> None:
    """Refuses what OneFlow has no argument for, unless it is as these values say."""
    for name, value in values.items():
        found = module.get(name, value)
        if found != value and not (found is False and value is None):
            raise RefusedError(f"OneFlow has no {name}={plain(found, name)!r}")


def shape_of_tensor(module: AnyModule, name: str, dims: int = 0) -> tuple[int, ...]:
    """The shape of a tensor that the module must have, with so many dimensions."""
    shape = module.shape(name)
    if not shape or (dims and len(shape) != dims):
        raise RefusedError(f"its {name} is not as its class makes it")
    return shape


def affine(module: AnyModule) -> tuple[str, ...]:
    """Which of the two tensors of a normalization it has."""
    own = tuple(name for name in ("weight", "bias") if module.shape(name))
    if own == ("bias",):
        raise RefusedError("it has a bias alone")
    return own


def sizes(value: Any, count: int) -> tuple[int, ...]:
    """A size for each dimension."""
    value = plain(value, "size")
    return value if isinstance(value, tuple) else (value,) * count


def whole_number(module: AnyModule, name: str, default: int | None = 1) -> int:
    """An attribute that is a number."""
    value = module.get(name, default)
    if not isinstance(value, int):
        raise RefusedError(f"its {name} is no number")
    return value
