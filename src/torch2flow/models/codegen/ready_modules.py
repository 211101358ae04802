"""From what a rule for a class of `torch.nn` says to the construction that makes such a module."""

from __future__ import annotations

import ast
from typing import Any

from torch2flow.models.codegen.classes import expression
from torch2flow.models.codegen.drafts import REQUIRED, Code, Construct, ContainerCall, New, Slot
from torch2flow.models.codegen.literals import UNIFORM
from torch2flow.models.codegen.numbered import repeated
from torch2flow.models.lowering.modules.library import KEYWORD
from torch2flow.models.lowering.modules.table import Made, signature


def construction(made: Made) -> Construct:
    """The construction of a module, and of those that are in it where it is a container."""
    if not made.is_container:
        return new_module(made)
    return container(made.function, {name: construction(child) for name, child in made.children.items()})


def container(kind: str, children: dict[str, Construct]) -> Construct:
    """The construction of a container; a loop where its modules are made alike."""
    loop = None if kind == "nn.ModuleDict" else repeated(kind, children)
    return loop or ContainerCall(kind, children)


def new_module(made: Made) -> New:
    """A constructor's call; arguments that OneFlow's signature gives another default keep theirs."""
    slots: dict[str, Slot] = {}
    for name, default in signature(made.function).items():
        value = made.arguments.get(name, default)
        if isinstance(value, Made):
            value = Code(ast.unparse(expression(construction(value))))
        elif name in UNIFORM and made.function.startswith(("nn.", "PaddedConv")):
            value = _single(value)
        after_module = any(isinstance(each.value, Code) for each in slots.values())
        slots[name] = Slot(value, name, KEYWORD if default is REQUIRED and after_module else default)
    return New(Slot(Code(made.function)), slots)


def _single(value: Any) -> Any:
    """One number for several equal ones: OneFlow's modules take either."""
    alike = isinstance(value, tuple) and value and all(item == value[0] for item in value)
    return value[0] if alike else value
