"""One class for all modules that differ only in numbers: which numbers those are, and what they are called.

A *draft* is what one module of the model would look like as a class. Drafts that are equal but for their numbers have
one *blueprint*; a number that is not the same in all of them becomes an argument of the constructor, and numbers that
always change together are one argument:

    layer1.0:  nn.Conv2d(64, 64, 3, stride=1)    nn.BatchNorm2d(64)
    layer2.0:  nn.Conv2d(64, 128, 3, stride=2)   nn.BatchNorm2d(128)
    ->  __init__(self, in_channels, out_channels, stride=1)

Every number of a draft is a *cell*: the `Slot` of a construction, or a constant of a statement. The cells of a draft
are counted in the order of `cells_of`; a module's *row* has its value for each of them.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from torch2flow.models.codegen.literals import Constant
from torch2flow.models.codegen.names import OF_EVERY_MODULE, free_name, is_name
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

    def settle(self, reserved: set[str]) -> None:
        """Decides which columns become arguments, now that all rows are known, and what they are called.

        The rows' slots take over the names, which those of the modules around are then called by too.
        """
        taken = {"self", *reserved, *OF_EVERY_MODULE, *(own.attribute for own in self.draft.owns if not own.is_fact)}
        in_methods = sum(len(list(cells_of(method))) for method in self.draft.methods)
        first_of_methods = len(self.rows[0]) - in_methods
        for values, columns in self._varying():
            slot, name = self._named(values, columns)
            default = slot.default if slot.default is not REQUIRED or self._filled(columns, slot.hint) else None
            if default is REQUIRED and any(row[column].value is None for row in self.rows for column in columns):
                default = None
            if name in taken:
                name = self._qualified(columns[0], name)
            if name in self.draft.children and columns[-1] >= first_of_methods:
                name = f"with_{name}"  # a method reads it as an attribute, and the module is one already
            name = free_name(name, taken.__contains__)
            taken.add(name)
            argument = Argument(name, columns, default)
            self.arguments.append(argument)
            self.by_column.update(dict.fromkeys(columns, argument))
        self._imply()
        self.arguments.sort(key=lambda argument: argument.default is not REQUIRED)
        for argument in self.arguments:
            for row in self.rows:
                slots = [row[column] for column in argument.columns]
                value = next((slot.value for slot in slots if slot.value is not ANY), ANY)
                for slot in slots:  # The columns of an argument say the same, also where a module lacks some of them.
                    slot.value, slot.hint = value, argument.name

    def _imply(self) -> None:
        """Takes away the arguments that only say whether another is given."""
        places = self._places()
        optional: dict[frozenset[int], Argument] = {}
        for argument in self.arguments:
            rows = frozenset(n for n, _ in enumerate(self.rows) if self._value(argument, n) is ANY)
            if rows and argument.default is None:
                optional.setdefault(rows, argument)
        everyone = frozenset(range(len(self.rows)))
        for argument in list(self.arguments):
            values = [self._value(argument, n) for n in everyone]
            yes = frozenset(n for n in everyone if values[n] is True)
            other = optional.get(yes) or optional.get(everyone - yes)
            if other is None or other is argument or any(type(value) is not bool for value in values):
                continue
            argument.is_given = yes not in optional
            if not self._decides(argument, other, places):
                continue  # that both are alike is chance
            argument.given = other
            self.arguments.remove(argument)
            for row in self.rows:
                for column in argument.columns:
                    row[column].is_implied = True
            for n in yes if yes in optional else everyone - yes:
                for column in other.columns:
                    self.rows[n][column].value = None  # and not any number

    def _decides(self, flag: Argument, other: Argument, places: list[str]) -> bool:
        """Whether a flag decides on just what another argument is for: a child, or a block of a method."""
        of_children = [n for n in flag.columns if places[n]]
        chosen = {name for name, child in self.draft.children.items() if isinstance(child, Choice)}
        if any(places[n] not in chosen or places[n] == places[n - 1] for n in of_children):
            return False  # it is no test of which module is made, and only handed on
        if {places[n] for n in flag.columns} - {places[n] for n in other.columns}:
            return False
        cells = list(cells_of(self.draft))
        tests, numbers = ({id(cells[n]) for n in each.columns if not places[n]} for each in (flag, other))
        if not tests:
            return True
        blocks = [node for method in self.draft.methods for node in ast.walk(method) if isinstance(node, ast.If)]
        return flag.is_given and any(
            tests & set(map(id, ast.walk(block.test)))
            and numbers & {id(each) for statement in block.body for each in ast.walk(statement)}
            for block in blocks
        )

    def _places(self) -> list[str]:
        """For each column the child that it belongs to; "" for those of parameters and of methods."""
        owns = sum(len(list(cells_of(own))) for own in self.draft.owns)
        places = [""] * owns
        for name, construct in self.draft.children.items():
            places += [name] * (len(list(cells_of(construct))) + (name in self.draft.presence))
        return places + [""] * (len(self.rows[0]) - len(places))

    def _value(self, argument: Argument, row: int) -> Any:
        slots = (self.rows[row][column] for column in argument.columns)
        return next((slot.value for slot in slots if slot.value is not ANY), ANY)

    def _varying(self) -> Iterator[tuple[list[Any], list[int]]]:
        """The columns that are not the same in all rows; those that change together are one group."""
        groups: list[tuple[list[Any], list[int]]] = []
        for column in range(len(self.rows[0])):
            if all(row[column].is_implied for row in self.rows):
                continue
            values = [key_of(row[column].value) for row in self.rows]
            if len({value for value in values if value != key_of(ANY)}) > 1:
                group = next((columns for known, columns in groups if _fit(known, values)), None)
                if group is None:
                    groups.append((values, group := []))
                group.append(column)
        yield from groups

    def _filled(self, columns: list[int], hint: str) -> bool:
        """Whether every module has a number for an argument; one that is not there takes over the first of its kind."""
        for row in self.rows:
            if all(row[column].value is ANY for column in columns):
                alike = next((slot for slot in row if slot.value is not ANY and slot.hint == hint), None)
                if alike is None or hint in VAGUE:
                    return False
                row[columns[0]].value = alike.value
        return True

    def _named(self, values: list[Any], columns: list[int]) -> tuple[Slot, str]:
        """The slot that stands for a group of columns, and the name of the argument.

        It is that of the original constructor's parameter, of the layer's argument that it feeds, or of the attribute
        in which the original module kept it.
        """
        slots = [self.slot(column) for column in columns]
        telling = [slot for slot in slots if slot.hint not in VAGUE] or [slot for slot in slots if slot.hint] or slots
        best = next((slot for slot in telling if slot.default is REQUIRED), telling[0])
        kept = [name for name in self._kept_as(values) if is_name(name)]
        given = next((name for name in kept if name in self.parameters), "")
        name = given or (best.hint if best.hint not in VAGUE else "") or next(iter(kept), "") or best.hint
        return best, name if is_name(name) else "value"

    def _kept_as(self, values: list[Any]) -> list[str]:
        """The attributes in which the original modules held these values."""
        if len(self.facts) != len(values):
            return []
        names = dict.fromkeys(name for facts in self.facts for name in facts)
        nothing = key_of(ANY)
        return [
            name
            for name in names
            if all(
                value == nothing or value == _key_of_fact(facts.get(name))
                for value, facts in zip(values, self.facts, strict=True)
            )
        ]

    def slot(self, column: int) -> Slot:
        """A column's number in the first row that has it."""
        return next((row[column] for row in self.rows if row[column].value is not ANY), self.rows[0][column])

    def _qualified(self, column: int, name: str) -> str:
        """`mlp_out_features`, `block2_out_channels`: a name that is taken, with the module it is for before it."""
        start = sum(len(list(cells_of(own))) for own in self.draft.owns)
        for child, construct in self.draft.children.items():
            size = len(list(cells_of(construct)))
            if start <= column < start + size:
                if isinstance(construct, ContainerCall) and child.isidentifier():
                    child += _item_at(construct, column - start)
                return f"{child}_{name}" if is_name(child) and not name.startswith(f"{child}_") else name
            start += size
        return name


def _item_at(container: ContainerCall, cell: int) -> str:
    """The name of the item of a container that a cell belongs to."""
    end = 0
    for name, item in container.items.items():
        end += len(list(cells_of(item))) + (name in container.presence)
        if cell < end:
            return name
    return ""


def _fit(known: list[Any], values: list[Any]) -> bool:
    """Whether two columns say the same wherever both say something; if so `known` takes over what it lacks."""
    nothing = key_of(ANY)
    if any(left not in (right, nothing) and right != nothing for left, right in zip(known, values, strict=True)):
        return False
    known[:] = [right if left == nothing else left for left, right in zip(known, values, strict=True)]
    return True


def key_of(value: Any) -> Any:
    """A value and its type, which `==` confuses: 1, 1.0 and True are three values."""
    return (type(value).__name__, value)


def _key_of_fact(value: Any) -> Any:
    """The same for an attribute; `[7, 7]` is kept for what `7` says."""
    if isinstance(value, list | tuple) and value and all(item == value[0] for item in value):
        value = value[0]
    return key_of(tuple(value) if isinstance(value, list) else value)


# The cells of a draft.

Cell = Union[Slot, ast.Constant]  # noqa: UP007


def cells_of(part: Draft | Construct | Own | ast.AST) -> Iterator[Cell]:
    """All numbers of a draft or a part of one, always in the same order."""
    if isinstance(part, Draft):
        for own in part.owns:
            yield from cells_of(own)
        yield from _cells_of_items(part.children, part.presence)
        for method in part.methods:
            yield from cells_of(method)
    elif isinstance(part, Own):
        if part.presence is not None:
            yield part.presence
        yield from cells_of(part.statement)
    elif isinstance(part, New):
        yield part.function
        yield from part.slots.values()
    elif isinstance(part, ContainerCall):
        yield from _cells_of_items(part.items, part.presence)
    elif isinstance(part, Repeated):
        yield from cells_of(part.item)
        yield part.count
        yield from part.steps.values()
    elif isinstance(part, Instance):
        yield from part.row
    elif isinstance(part, Choice):
        yield part.test
        yield from cells_of(part.first)
        if part.other is not None:
            yield from cells_of(part.other)
    else:
        for node in ast.walk(part):
            if isinstance(node, ast.Constant) and is_number(node):
                yield node


def _cells_of_items(items: Mapping[str, Construct], presence: Mapping[str, Slot]) -> Iterator[Cell]:
    for name, item in items.items():
        if name in presence:
            yield presence[name]
        yield from cells_of(item)


def row_of(draft: Draft) -> list[Slot]:
    """The numbers of one module."""
    return [cell if isinstance(cell, Slot) else Slot(cell.value, hint_of(cell)) for cell in cells_of(draft)]


def hint_of(cell: Cell) -> str:
    """What a cell's number is: the name of the argument that it may become."""
    return cell.hint if isinstance(cell, Slot | Constant) else ""


def is_number(node: ast.Constant) -> bool:
    """Whether a constant may differ between modules of one class: a bool, a string or None is part of the class."""
    number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    return number or (isinstance(node, Constant) and node.varies)


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


# What is equal.


def shape_of(part: Draft | Construct | Own | ast.AST | None) -> Any:
    """Everything but the numbers, as something that can be compared."""
    if isinstance(part, Draft):
        children = tuple((name, shape_of(child)) for name, child in part.children.items())
        named = tuple(
            tuple(argument.arg for argument in method.args.args if argument.arg in part.forward)
            for method in part.methods
        )
        return part.base, tuple(map(shape_of, part.owns)), children, tuple(map(shape_of, part.methods)), named
    if isinstance(part, Own):
        return part.attribute, part.presence is not None, shape_of(part.statement)
    if isinstance(part, New):
        return part.function.value.text, tuple(part.slots)
    if isinstance(part, ContainerCall):
        return part.kind, tuple((name, name in part.presence, shape_of(item)) for name, item in part.items.items())
    if isinstance(part, Repeated):
        return part.kind, "repeated", part.names, tuple(part.steps), shape_of(part.item)
    if isinstance(part, Instance):
        return id(part.blueprint)
    if isinstance(part, Choice):
        return "choice", shape_of(part.first), shape_of(part.other)
    if part is None:
        return None
    blank = blanked(part)
    return ast.dump(_Anonymous().visit(blank) if isinstance(blank, ast.FunctionDef) else blank)


def blanked(tree: ast.AST) -> ast.AST:
    """A copy in which every number is 0."""
    blank = copy.deepcopy(tree)
    for node in cells_of(blank):
        node.value = 0
    return blank


class _Anonymous(ast.NodeTransformer):
    """Numbers local variables by their first appearance: names are no difference."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for name in [*(argument.arg for argument in node.args.args[1:]), *stored]:
            self.names.setdefault(name, "")
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self._number(node.arg)
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._number(node.id)
        return node

    def _number(self, name: str) -> str:
        if name not in self.names:
            return name
        if not self.names[name]:
            self.names[name] = f"v{sum(map(bool, self.names.values()))}"
        return self.names[name]


def same(left: Construct, right: Construct) -> bool:
    """Whether two constructions are equal, numbers included."""
    if shape_of(left) != shape_of(right):
        return False
    return [key_of(cell.value) for cell in cells_of(left)] == [key_of(cell.value) for cell in cells_of(right)]
