"""One class for all modules that differ only in numbers: which numbers those are, and what they are called.

A *draft* is what one module of the model would look like as a class. Drafts that are equal but for their numbers are
one *structure*; a number that is not the same in all of them becomes an argument of the constructor, and numbers that
always change together are one argument:

    layer1.0:  nn.Conv2d(64, 64, 3, stride=1)    nn.BatchNorm2d(64)
    layer2.0:  nn.Conv2d(64, 128, 3, stride=2)   nn.BatchNorm2d(128)
    ->  __init__(self, in_channels, out_channels, stride=1)
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

from torch2flow.models.codegen.names import is_name

if TYPE_CHECKING:
    from torch2flow.models.codegen.optional import OptionalChild

REQUIRED: Any = ...
"""The default of an argument that has none."""
ANY: Any = "any value"
"""A number of a module that is not there."""


@dataclass(slots=True)
class Slot:
    """A number (or tuple, or bool) that may differ between the modules of a structure.

    Attributes:
        hint: what it is: the name of the constructor's argument it would become.
        default: the argument's default where it is left out; `REQUIRED` where it can't be.
    """

    value: Any
    hint: str = ""
    default: Any = REQUIRED


@dataclass(slots=True)
class New:
    """A call of a OneFlow module's constructor: `nn.Conv2d(64, 128, 3)`."""

    function: str
    slots: dict[str, Slot]


@dataclass(slots=True)
class Container:
    """`nn.Sequential`, `nn.ModuleList` or `nn.ModuleDict` of other constructions."""

    kind: str
    items: dict[str, Construct]


@dataclass(slots=True)
class Repeated:
    """A container of equal modules: `nn.ModuleList(Block(64) for _ in range(12))`.

    Attributes:
        names: how the modules are called, `{i}` for the number; "" where they are only numbered.
    """

    kind: str
    item: Construct
    count: Slot
    names: str = ""


@dataclass(slots=True)
class Instance:
    """A module of a class that is written here."""

    structure: Structure
    row: list[Slot]


Construct = Union[New, Container, Repeated, Instance]  # noqa: UP007  read before the classes are there


@dataclass(slots=True)
class Own:
    """A parameter or buffer of a module: the statement that makes it, its numbers marked by `literals.literal`."""

    attribute: str
    statement: ast.stmt


@dataclass(slots=True)
class Draft:
    """One module as a class.

    Attributes:
        class_name: what the class was called.
        base: `nn.Module` or `nn.Sequential`.
        owns: its parameters and buffers.
        children: its modules; all of them, in order.
        methods: `forward`, and one more for each call of the module that differs.
    """

    class_name: str
    base: str
    owns: list[Own]
    children: dict[str, Construct]
    methods: list[ast.FunctionDef]


@dataclass(slots=True)
class Argument:
    """An argument of a structure's constructor, and the columns it stands for."""

    name: str
    columns: list[int]
    default: Any = REQUIRED


@dataclass(slots=True, eq=False)
class Structure:
    """All drafts that are equal but for their numbers."""

    draft: Draft
    name: str = ""
    rows: list[list[Slot]] = field(default_factory=list)
    arguments: list[Argument] = field(default_factory=list)
    by_column: dict[int, Argument] = field(default_factory=dict)
    key: str = ""
    optional: str = ""
    """The name of the module that only some of these modules have."""

    def settle(self, reserved: set[str]) -> None:
        """Decides which columns become arguments, now that all rows are known."""
        groups: list[tuple[list[Any], list[int]]] = []
        for column in range(len(self.rows[0])):
            values = [key_of(row[column].value) for row in self.rows]
            if len({value for value in values if value != key_of(ANY)}) > 1:
                group = next((columns for known, columns in groups if _fit(known, values)), None)
                if group is None:
                    groups.append((values, group := []))
                group.append(column)
        taken = {"self", *reserved, *(own.attribute for own in self.draft.owns)}
        for _, columns in groups:
            slots = [self.slot(column) for column in columns]
            telling = [slot for slot in slots if slot.hint] or slots
            best = next((slot for slot in telling if slot.default is REQUIRED), telling[0])
            name = best.hint if is_name(best.hint) else "value"
            if name in taken:
                name = self._qualified(columns[slots.index(best)], name)
            name = _free(name, taken)
            taken.add(name)
            default = False if self.optional and columns == [len(self.rows[0]) - 1] else best.default
            argument = Argument(name, columns, default)
            self.arguments.append(argument)
            self.by_column.update(dict.fromkeys(columns, argument))
        self.arguments.sort(key=lambda argument: argument.default is not REQUIRED)

    def arguments_for(self, column: int) -> Argument:
        """The argument a column became."""
        return self.by_column[column]

    def slot(self, column: int) -> Slot:
        """A column's number in the first row that has it."""
        return next((row[column] for row in self.rows if row[column].value is not ANY), self.rows[0][column])

    def _qualified(self, column: int, name: str) -> str:
        """`mlp_out_features`: a name that is taken, with the module it is for before it."""
        start = sum(len(list(slots_of(own.statement))) for own in self.draft.owns)
        for child, construct in self.draft.children.items():
            count = len(list(slots_of(construct)))
            if start <= column < start + count:
                return f"{child}_{name}" if is_name(child) else name
            start += count
        return name


def _fit(known: list[Any], values: list[Any]) -> bool:
    """Whether two columns say the same wherever both say something; if so `known` takes over what it lacks."""
    nothing = key_of(ANY)
    if any(left not in (right, nothing) and right != nothing for left, right in zip(known, values, strict=True)):
        return False
    known[:] = [right if left == nothing else left for left, right in zip(known, values, strict=True)]
    return True


def key_of(value: Any) -> Any:
    return (type(value).__name__, value)


def _free(name: str, taken: set[str]) -> str:
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}_{count}"
    return candidate


class Structures:
    """All structures of a model, in the order in which the first draft of each came.

    Args:
        optional: which structures are others without one module; see `optional.py`.
    """

    def __init__(self, optional: Mapping[str, OptionalChild] | None = None) -> None:
        self.found: dict[str, Structure] = {}
        self.optional = optional or {}
        self.met: set[str] = set()

    def add(self, draft: Draft) -> Instance:
        """Finds or makes the structure of a draft."""
        key = digest((draft.class_name, draft.base, shape_of(draft)))
        row = list(slots_of(draft))
        self.met.add(key)
        case = self.optional.get(key)
        if case is not None:
            has_child = case.full == key
            if not has_child:
                row[case.start : case.start] = [Slot(ANY)] * case.count
            row.append(Slot(has_child, case.child, False))
            key = digest((case.full, "optional"))
        structure = self.found.setdefault(key, Structure(draft, key=key))
        if case is None:
            # The first of several is often the odd one: what it is given has another name.
            structure.draft = draft
        elif has_child:
            structure.draft, structure.optional = draft, case.child
        structure.rows.append(row)
        return Instance(structure, row)


def digest(value: Any) -> str:
    """A short text that is the same for equal values."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:32]


# What is equal, and what may differ.


def slots_of(part: Draft | Construct | ast.AST) -> Iterator[Slot]:
    """All numbers of a draft or construction, always in the same order."""
    if isinstance(part, Draft):
        for own in part.owns:
            yield from slots_of(own.statement)
        for child in part.children.values():
            yield from slots_of(child)
        for method in part.methods:
            yield from slots_of(method)
    elif isinstance(part, New):
        yield from part.slots.values()
    elif isinstance(part, Container):
        for item in part.items.values():
            yield from slots_of(item)
    elif isinstance(part, Repeated):
        yield from slots_of(part.item)
        yield part.count
    elif isinstance(part, Instance):
        yield from part.row
    else:
        for constant in constants(part):
            yield Slot(constant.value, getattr(constant, "hint", ""))


def structures_in(part: Draft | Construct) -> Iterator[Structure]:
    """The structures that a draft or construction makes modules of."""
    if isinstance(part, Instance):
        yield part.structure
    elif isinstance(part, Draft):
        for child in part.children.values():
            yield from structures_in(child)
    elif isinstance(part, Container):
        for item in part.items.values():
            yield from structures_in(item)
    elif isinstance(part, Repeated):
        yield from structures_in(part.item)


def constants(tree: ast.AST) -> Iterator[ast.Constant]:
    """The numbers in source; bools, strings and None belong to the structure."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and is_number(node):
            yield node


def is_number(node: ast.Constant) -> bool:
    return (isinstance(node.value, int | float) and not isinstance(node.value, bool)) or hasattr(node, "slot")


def shape_of(part: Draft | Construct | ast.AST) -> Any:
    """Everything but the numbers, as something that can be compared."""
    if isinstance(part, Draft):
        owns = tuple(shape_of(own.statement) for own in part.owns)
        children = tuple((name, shape_of(child)) for name, child in part.children.items())
        return owns, children, tuple(shape_of(method) for method in part.methods)
    if isinstance(part, New):
        return part.function, tuple(part.slots)
    if isinstance(part, Container):
        return part.kind, tuple((name, shape_of(item)) for name, item in part.items.items())
    if isinstance(part, Repeated):
        return part.kind, "repeated", part.names, shape_of(part.item)
    if isinstance(part, Instance):
        return part.structure.key
    blank = copy.deepcopy(part)
    for node in constants(blank):
        node.value = 0
    local = _Anonymous()
    return ast.dump(local.visit(blank) if isinstance(blank, ast.FunctionDef) else blank)


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
    return [key_of(slot.value) for slot in slots_of(left)] == [key_of(slot.value) for slot in slots_of(right)]
