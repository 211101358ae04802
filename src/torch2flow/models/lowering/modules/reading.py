"""Reads a module by the row of its class, and what the readers of the families are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch2flow.checkpoints.pickles import Global, label
from torch2flow.models.lowering.modules.library import library
from torch2flow.models.lowering.modules.table import (
    CLASSES,
    AnyModule,
    ClassRow,
    Code,
    Made,
    ModuleCall,
    RecordedModule,
    RefusedModuleError,
    Shape,
    UnknownClassError,
    signature,
)
from torch2flow.models.program.pickled import PickledModule


def construct(module: PickledModule) -> Made:
    """The constructor's call that makes such a module, without what was changed or added to it afterwards.

    Raises:
        UnknownClassError: the code of its class is not in the file.
        RefusedModuleError: OneFlow can't do what it does.
    """
    row = CLASSES.get(module.known_as)
    if row is None:
        raise UnknownClassError(f"{label(Global(module.class_name))} is no class whose forward is known")
    if "forward" in module.attributes:
        raise RefusedModuleError("its forward was replaced by another")
    for kind, name in module.hooks():
        raise RefusedModuleError(f"it has {kind}, {name}")
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
    except RefusedModuleError:
        return None
    ready = made.function.startswith("nn.") or made.function in library()
    return made if ready and module.shapes.keys() <= made.tensors.keys() else None


def construct_recorded(module: RecordedModule) -> Made | None:
    """The call of a constructor that makes a module as its attributes and tensors say; None where there is none."""
    try:
        made = _read(CLASSES[module.known_as], module)
    except RefusedModuleError:
        return None
    inner = {f"{name}.{own}": shape for name, each in made.children.items() for own, shape in each.tensors.items()}
    return made if module.shapes == made.tensors | inner else None


def _read(row: ClassRow, module: AnyModule) -> Made:
    try:
        made = row.read(module)
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
        raise RefusedModuleError("its attributes are not as its class makes them") from None
    made.arguments = {
        name: value if isinstance(value, Made | Code) else plain(value, name) for name, value in made.arguments.items()
    }
    for name, default in signature(made.function).items():
        value = made.arguments.get(name, default)
        # "same" and "valid" are the one text that a number's argument takes.
        unfit = value is not default and default is not None and isinstance(value, str) != isinstance(default, str)
        if unfit and not isinstance(value, Made | Code) and value not in ("same", "valid"):
            raise RefusedModuleError(f"its attribute {name!r} is not as its class makes it")
    return made


# What the readers of the families are made of.

_LONGEST = 16
"""Numbers in a tuple: a size has at most a few dimensions, and a file may hold anything."""


def plain(value: Any, name: str) -> Any:
    """An attribute as a literal: a number, a text, a flat tuple of them.

    Raises:
        RefusedModuleError: it is anything else.
    """
    if isinstance(value, list | tuple) and len(value) <= _LONGEST:
        if any(isinstance(item, list | tuple) for item in value):
            raise RefusedModuleError(f"its attribute {name!r} is nested")
        return tuple(plain(item, name) for item in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise RefusedModuleError(f"its attribute {name!r} is {label(value)}")


def make(
    function: str, module: AnyModule | dict[str, Any], tensors: Mapping[str, Shape] | None = None, **given: Any
) -> Made:
    """A call with the arguments that the signature names: as given, or else the attributes of these names.

    The module then has tensors of these shapes; it may lack the weight or the bias.
    """
    arguments = {}
    for name, default in signature(function).items():
        value = given[name] if name in given else module.get(name, default)
        if value is ...:
            raise RefusedModuleError(f"it has no attribute {name!r}")
        arguments[name] = plain(value, name)
    made = Made(function, arguments)
    for name, shape in (tensors or {}).items():
        if name not in ("weight", "bias") or (not isinstance(module, dict) and module.shape(name)):
            made.tensors[name] = shape
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
            raise RefusedModuleError(f"OneFlow has no {name}={plain(found, name)!r}")


def shape_of_tensor(module: AnyModule, name: str, dims: int = 0) -> Shape:
    """The shape of a tensor that the module must have, with so many dimensions."""
    shape = module.shape(name)
    if not shape or (dims and len(shape) != dims):
        raise RefusedModuleError(f"its {name} is not as its class makes it")
    return shape


def affine(module: AnyModule) -> tuple[str, ...]:
    """Which of the two tensors of a normalization it has."""
    own = tuple(name for name in ("weight", "bias") if module.shape(name))
    if own == ("bias",):
        raise RefusedModuleError("it has a bias alone")
    return own


def sizes(value: Any, count: int) -> Shape:
    """A size for each dimension."""
    value = plain(value, "size")
    return value if isinstance(value, tuple) else (value,) * count


def whole_number(module: AnyModule, name: str, default: int | None = 1) -> int:
    """An attribute that is a number."""
    value = module.get(name, default)
    if not isinstance(value, int):
        raise RefusedModuleError(f"its {name} is no number")
    return value
