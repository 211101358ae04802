"""What a module of the model looks like as a class, before its class is written: parts of its constructor, its methods.

Draft("Block", ..., children={"conv": New(nn.Conv2d, 64, 128, 3)}, methods=[forward])
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from torch2flow.models.lowering.modules.table import Code as Code

REQUIRED: Any = ...
"""The default of an argument that has none."""
ANY: Any = "any value"
"""A number of a module that is not there."""

VAGUE = {"", "size", "value", "shape", "end", "pad", "start", "dims", "index", "step", "other", "alpha", "scale"}
"""Names of operators' arguments that say little of what a number is to the module."""


@dataclass(slots=True)
class Slot:
    """A number (or tuple, bool, or class) that may differ between the modules of a blueprint.

    Attributes:
        hint: what it is: the name of the constructor's argument it would become.
        default: the argument's default where it is left out; `REQUIRED` where it can't be.
        is_implied: it says whether another argument is given, and is none itself.
    """

    value: Any
    hint: str = ""
    default: Any = REQUIRED
    is_implied: bool = False


@dataclass(slots=True)
class New:
    """A call of a OneFlow module's constructor: `nn.Conv2d(64, 128, 3)`."""

    function: Slot
    slots: dict[str, Slot]


@dataclass(slots=True)
class ContainerCall:
    """`nn.Sequential`, `nn.ModuleList` or `nn.ModuleDict` of other constructions.

    Attributes:
        presence: for an item that only some of the modules have: whether it is there.
    """

    kind: str
    items: dict[str, Construct]
    presence: dict[str, Slot] = field(default_factory=dict)


@dataclass(slots=True)
class Repeated:
    """A container of equal modules: `nn.ModuleList(Block(64) for _ in range(12))`.

    Attributes:
        names: how the modules are called, with the number as in an f-string: `layer{i + 1}`; "" where they are only
            numbered from 0.
        steps: what is added to a number of the item for each next module: `Block(64 + 32 * i)`; by the cell's place.
    """

    kind: str
    item: Construct
    count: Slot
    names: str = ""
    steps: dict[int, Slot] = field(default_factory=dict)


EACH = "self.add_module"
"""The kind of a `Repeated` whose modules are children of the module itself: `layer1`, `layer2`, ..."""


@dataclass(slots=True)
class Instance:
    """A module of a class that is written here."""

    blueprint: Blueprint
    row: list[Slot]


@dataclass(slots=True)
class Choice:
    """The first construction, or another, or none: it differs between the modules of a blueprint.

    Attributes:
        test: whether it is the first.
        other: the second; None where there is no module then.
    """

    test: Slot
    first: Construct
    other: Construct | None = None


Construct = Union[New, ContainerCall, Repeated, Instance, Choice]  # noqa: UP007  read before the classes are there


@dataclass(slots=True)
class Own:
    """A parameter or buffer of a module.

    Attributes:
        statement: makes it; its numbers are marked by `literals.literal`.
        presence: whether a module has it, where not all have.
        is_fact: it is a plain value that the original module held.
    """

    attribute: str
    statement: ast.stmt
    presence: Slot | None = None
    is_fact: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it is `self.bias = None`, as other modules of the class have one."""
        value = self.statement.value if isinstance(self.statement, ast.Assign) else None
        return isinstance(value, ast.Constant) and value.value is None


@dataclass(slots=True)
class Draft:
    """One module as a class.

    Attributes:
        class_name: what the class was called.
        base: `nn.Module` or `nn.Sequential`.
        owns: its parameters and buffers.
        children: its modules; all of them, in order.
        methods: `forward`, and one more for each call of the module that differs.
        facts: the plain values that the original module held, by name.
        presence: for a child of an `nn.Sequential` that only some of the modules have: whether it is there.
        forward: the names of the parameters of the original's `forward`, in order, as far as they are known.
    """

    class_name: str
    base: str
    owns: list[Own]
    children: dict[str, Construct]
    methods: list[ast.FunctionDef]
    facts: Mapping[str, Any] = field(default_factory=dict)
    presence: dict[str, Slot] = field(default_factory=dict)
    forward: tuple[str, ...] = ()


@dataclass(slots=True)
class Argument:
    """An argument of a blueprint's constructor, and the columns it stands for.

    Attributes:
        given: another argument, where this one only says whether that is given: it is no argument then, but a test.
        is_given: whether it is True where that is given, or where it is not.
    """

    name: str
    columns: list[int]
    default: Any = REQUIRED
    given: Argument | None = None
    is_given: bool = True

    def test(self, expression: ast.expr) -> ast.expr:
        """`groups is not None`: the test that stands for the argument, of the one that is given."""
        return ast.Compare(expression, [ast.IsNot() if self.is_given else ast.Is()], [ast.Constant(None)])


@dataclass(slots=True, eq=False)
class Blueprint:
    """A class to be written.

    Attributes:
        draft: one of its modules; the numbers of the others are in `rows`.
        rows: a row for each module.
        facts: the plain values of the original module of each row.
        parameters: the names of the constructor's parameters in the original, as far as they are known.
        name: of the class, once all classes are known.
        arguments: of the constructor, once all modules are known; `by_column` finds them.
    """

    draft: Draft
    rows: list[list[Slot]] = field(default_factory=list)
    facts: list[Mapping[str, Any]] = field(default_factory=list)
    parameters: tuple[str, ...] = ()
    name: str = ""
    arguments: list[Argument] = field(default_factory=list)
    by_column: dict[int, Argument] = field(default_factory=dict)

    def slot(self, column: int) -> Slot:
        """A column's number in the first row that has it."""
        return next((row[column] for row in self.rows if row[column].value is not ANY), self.rows[0][column])


def blueprints_in(part: Draft | Construct | None) -> Iterator[Blueprint]:
    """The blueprints that a draft or construction makes modules of."""
    if isinstance(part, Instance):
        yield part.blueprint
    elif isinstance(part, Draft):
        for child in part.children.values():
            yield from blueprints_in(child)
    elif isinstance(part, ContainerCall):
        for item in part.items.values():
            yield from blueprints_in(item)
    elif isinstance(part, Repeated):
        yield from blueprints_in(part.item)
    elif isinstance(part, Choice):
        yield from blueprints_in(part.first)
        yield from blueprints_in(part.other)
