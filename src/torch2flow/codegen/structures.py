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
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Union

from torch2flow.codegen.literals import attribute, literal
from torch2flow.codegen.names import is_attribute, is_name

REQUIRED: Any = ...
"""The default of an argument that has none."""


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
    """A container of equal modules: `nn.ModuleList(Block(64) for _ in range(12))`."""

    kind: str
    item: Construct
    count: Slot


@dataclass(slots=True)
class Instance:
    """A module of a class that is written here."""

    structure: Structure
    row: list[Slot]


Construct = Union[New, Container, Repeated, Instance]


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

    def settle(self, reserved: set[str]) -> None:
        """Decides which columns become arguments, now that all rows are known."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for column, slot in enumerate(self.rows[0]):
            values = tuple(_key(row[column].value) for row in self.rows)
            if len(set(values)) > 1 and slot.hint != "_":
                groups.setdefault(values, []).append(column)
        taken = {"self", *reserved, *self.draft.children, *(own.attribute for own in self.draft.owns)}
        for columns in groups.values():
            slots = [self.rows[0][column] for column in columns]
            best = next((slot for slot in slots if slot.default is REQUIRED and slot.hint), None)
            best = best or next((slot for slot in slots if slot.hint), slots[0])
            name = _free(best.hint if is_name(best.hint) else "value", taken)
            taken.add(name)
            argument = Argument(name, columns, best.default)
            self.arguments.append(argument)
            self.by_column.update(dict.fromkeys(columns, argument))
        self.arguments.sort(key=lambda argument: argument.default is not REQUIRED)


def _key(value: Any) -> Any:
    return (type(value).__name__, value)


def _free(name: str, taken: set[str]) -> str:
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}_{count}"
    return candidate


class Structures:
    """All structures of a model, in the order in which the first draft of each came."""

    def __init__(self) -> None:
        self.found: dict[Any, Structure] = {}

    def add(self, draft: Draft) -> Instance:
        """Finds or makes the structure of a draft."""
        key = (draft.class_name, draft.base, _shape(draft))
        structure = self.found.setdefault(key, Structure(draft))
        # The first of several is often the odd one: what it is given has another name.
        structure.draft = draft
        row = list(slots_of(draft))
        structure.rows.append(row)
        return Instance(structure, row)


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


def constants(tree: ast.AST) -> Iterator[ast.Constant]:
    """The numbers in source; bools, strings and None belong to the structure."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and is_number(node):
            yield node


def is_number(node: ast.Constant) -> bool:
    return (isinstance(node.value, (int, float)) and not isinstance(node.value, bool)) or hasattr(node, "slot")


def _shape(part: Draft | Construct | ast.AST) -> Any:
    """Everything but the numbers, as something that can be compared."""
    if isinstance(part, Draft):
        owns = tuple(_shape(own.statement) for own in part.owns)
        children = tuple((name, _shape(child)) for name, child in part.children.items())
        return owns, children, tuple(_shape(method) for method in part.methods)
    if isinstance(part, New):
        return part.function, tuple(part.slots)
    if isinstance(part, Container):
        return part.kind, tuple((name, _shape(item)) for name, item in part.items.items())
    if isinstance(part, Repeated):
        return part.kind, "repeated", _shape(part.item)
    if isinstance(part, Instance):
        return id(part.structure)
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
    if _shape(left) != _shape(right):
        return False
    return [_key(slot.value) for slot in slots_of(left)] == [_key(slot.value) for slot in slots_of(right)]


# Writing.


class ClassWriter:
    """Writes a structure as a class."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.column = 0

    def write(self) -> ast.ClassDef:
        draft = copy.deepcopy(self.structure.draft, {id(s): s for s in _structures(self.structure.draft)})
        body: list[ast.stmt] = []
        for own in draft.owns:
            self._fill(own.statement, in_method=False)
            body.append(own.statement)
        children: dict[str, ast.expr] = {name: self.construct(child) for name, child in draft.children.items()}
        needed: set[str] = set()
        for method in draft.methods:
            needed |= self._fill(method, in_method=True)
        kept = [argument.name for argument in self.structure.arguments if argument.name in needed]
        keep: list[ast.stmt] = [ast.parse(f"self.{name} = {name}").body[0] for name in kept]
        if draft.base == "nn.Sequential":
            items = children.values() if _is_counted(children) else [_ordered(children)]
            start = ast.Expr(ast.Call(ast.parse("super().__init__").body[0].value, list(items), []))  # type: ignore[attr-defined]
            statements: list[ast.stmt] = [start, *keep, *body]
        else:
            start = ast.parse("super().__init__()").body[0]  # type: ignore[assignment]
            statements = [start, *keep, *body, *(_set_child(name, child) for name, child in children.items())]
        methods: list[ast.stmt] = list(draft.methods)
        if len(statements) > 1 or draft.base == "nn.Sequential":
            methods.insert(0, self._constructor(statements))
        return ast.ClassDef(self.structure.name, [ast.parse(draft.base, mode="eval").body], [], methods, [])

    def _constructor(self, statements: list[ast.stmt]) -> ast.FunctionDef:
        names = self.structure.arguments
        defaults = [literal(argument.default) for argument in names if argument.default is not REQUIRED]
        arguments = ast.arguments([], [ast.arg("self"), *(ast.arg(each.name) for each in names)], None, [], [], None, defaults)
        return ast.FunctionDef("__init__", arguments, statements, [])

    def _fill(self, tree: ast.AST, *, in_method: bool) -> set[str]:
        """Puts arguments in the place of the numbers that differ; returns those used."""
        used: set[str] = set()
        replaced: dict[int, ast.expr] = {}
        for constant in constants(tree):
            argument = self.structure.by_column.get(self.column)
            self.column += 1
            if argument is not None:
                used.add(argument.name)
                replaced[id(constant)] = attribute("self", argument.name) if in_method else attribute(argument.name)
        _Replace(replaced).visit(tree)
        return used

    def construct(self, part: Construct) -> ast.expr:
        """A construction as an expression."""
        if isinstance(part, New):
            return self._new(part)
        if isinstance(part, Instance):
            return self._instance(part)
        if isinstance(part, Repeated):
            item = self.construct(part.item)
            count = self._column(part.count)
            loop = ast.parse("[0 for _ in range(0)]", mode="eval").body
            assert isinstance(loop, ast.ListComp)
            loop.elt = item
            loop.generators[0].iter = ast.Call(attribute("range"), [count], [])
            argument: ast.expr = ast.Starred(loop, ast.Load()) if part.kind == "nn.Sequential" else loop
            return ast.Call(attribute(*part.kind.split(".")), [argument], [])
        items = {name: self.construct(item) for name, item in part.items.items()}
        kind = attribute(*part.kind.split("."))
        if part.kind == "nn.Sequential":
            return ast.Call(kind, list(items.values()) if _is_counted(items) else [_ordered(items)], [])
        if part.kind == "nn.ModuleDict":
            return ast.Call(kind, [_dictionary(items)], [])
        return ast.Call(kind, [ast.List(list(items.values()), ast.Load())], [])

    def _column(self, slot: Slot) -> ast.expr:
        argument = self.structure.by_column.get(self.column)
        self.column += 1
        return attribute(argument.name) if argument is not None else literal(slot.value)

    def _new(self, part: New) -> ast.expr:
        positional: list[ast.expr] = []
        keywords: list[ast.keyword] = []
        for name, slot in part.slots.items():
            varies = self.column in self.structure.by_column
            value = self._column(slot)
            if slot.default is REQUIRED:
                positional.append(value)
            elif varies or _key(slot.value) != _key(slot.default):
                keywords.append(ast.keyword(name, value))
        return ast.Call(attribute(*part.function.split(".")), positional, keywords)

    def _instance(self, part: Instance) -> ast.expr:
        start = self.column
        self.column += len(part.row)
        positional: list[ast.expr] = []
        keywords: list[ast.keyword] = []
        for argument in part.structure.arguments:
            column = argument.columns[0]
            outer = self.structure.by_column.get(start + column)
            value = part.row[column].value
            if outer is None and argument.default is not REQUIRED and _key(value) == _key(argument.default):
                continue
            expression = attribute(outer.name) if outer is not None else literal(value)
            if argument.default is REQUIRED:
                positional.append(expression)
            else:
                keywords.append(ast.keyword(argument.name, expression))
        return ast.Call(attribute(part.structure.name), positional, keywords)


class _Replace(ast.NodeTransformer):
    def __init__(self, replaced: dict[int, ast.expr]) -> None:
        self.replaced = replaced

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return self.replaced.get(id(node), node)


def _structures(part: Draft | Construct) -> Iterator[Structure]:
    if isinstance(part, Instance):
        yield part.structure
    elif isinstance(part, Draft):
        for child in part.children.values():
            yield from _structures(child)
    elif isinstance(part, Container):
        for item in part.items.values():
            yield from _structures(item)
    elif isinstance(part, Repeated):
        yield from _structures(part.item)


def _is_counted(items: dict[str, Any]) -> bool:
    return list(items) == [str(number) for number in range(len(items))]


def _dictionary(items: dict[str, ast.expr]) -> ast.expr:
    return ast.Dict([ast.Constant(name) for name in items], list(items.values()))


def _ordered(items: dict[str, ast.expr]) -> ast.expr:
    return ast.Call(attribute("OrderedDict"), [_dictionary(items)], [])


def _set_child(name: str, child: ast.expr) -> ast.stmt:
    if is_attribute(name):
        return ast.Assign([ast.Attribute(ast.Name("self", ast.Load()), name, ast.Store())], child)
    return ast.Expr(ast.Call(attribute("self", "add_module"), [ast.Constant(name), child], []))
