"""Writes a blueprint as a class: its constructor, with the arguments that its modules differ in, and its methods."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable
from typing import Any

from torch2flow.models.codegen.cells import cells_of, key_of
from torch2flow.models.codegen.drafts import (
    ANY,
    EACH,
    REQUIRED,
    Blueprint,
    Choice,
    Code,
    Construct,
    ContainerCall,
    Draft,
    Instance,
    New,
    Repeated,
    Slot,
    blueprints_in,
)
from torch2flow.models.codegen.literals import attribute, literal
from torch2flow.models.codegen.names import is_attribute


def _conditional(statement: ast.stmt, test: ast.expr) -> ast.stmt:
    """A parameter, or None, as the test says; a buffer only where it says yes."""
    if isinstance(statement, ast.Assign):
        return ast.Assign(statement.targets, ast.IfExp(test, statement.value, ast.Constant(None)))
    return ast.If(test, [statement], [])


class ClassWriter:
    """Writes a blueprint as a class.

    Attributes:
        column: counts the cells, which are visited in their order.
        before: statements that the next construction needs before it.
        steps: in the item of a loop, the column and cell of what each cell grows by.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint
        self.column = 0
        self.before: list[ast.stmt] = []
        self.steps: dict[int, tuple[int, Slot]] = {}

    def write(self) -> ast.ClassDef:
        draft = copy.deepcopy(self.blueprint.draft, {id(each): each for each in blueprints_in(self.blueprint.draft)})
        body: list[ast.stmt] = []
        for own in draft.owns:
            test = self._column(own.presence) if own.presence is not None else None
            self._fill(own.statement, in_method=False)
            body.append(own.statement if test is None else _conditional(own.statement, test))
        made: list[ast.stmt] = []
        if draft.base == "nn.Sequential":
            items = self._items(draft.children, draft.presence, "layers")
        else:
            for name, child in draft.children.items():
                if isinstance(child, Repeated) and child.kind == EACH:
                    made.append(self._each(child))
                    continue
                expression = self._child(name, child)
                made += [*self.before, _set_child(name, expression)]
                self.before = []
        needed: set[str] = set()
        for method in draft.methods:
            needed |= self._fill(method, in_method=True)
        needed -= {own.attribute for own in draft.owns}
        kept = [argument.name for argument in self.blueprint.arguments if argument.name in needed]
        keep: list[ast.stmt] = [ast.Assign([attribute("self", name)], attribute(name)) for name in kept]
        start = ast.parse("super().__init__()").body[0]
        if draft.base == "nn.Sequential":
            start.value.args = items  # type: ignore[attr-defined]
        statements = [*self.before, start, *keep, *body, *made]
        methods: list[ast.stmt] = list(draft.methods)
        if len(statements) > 1 or draft.base == "nn.Sequential":
            methods.insert(0, self._constructor(statements))
        return ast.ClassDef(self.blueprint.name, [attribute(*draft.base.split("."))], [], methods, [])

    def _constructor(self, statements: list[ast.stmt]) -> ast.FunctionDef:
        names = self.blueprint.arguments
        defaults = [_value(argument.default) for argument in names if argument.default is not REQUIRED]
        arguments = ast.arguments(
            [], [ast.arg("self"), *(ast.arg(each.name) for each in names)], None, [], [], None, defaults
        )
        return ast.FunctionDef("__init__", arguments, statements, [])

    def _fill(self, tree: ast.AST, *, in_method: bool) -> set[str]:
        """Puts arguments in the place of the numbers that differ; returns those used."""
        used: set[str] = set()
        replaced: dict[int, ast.expr] = {}
        for cell in cells_of(tree):
            argument = self.blueprint.by_column.get(self.column)
            self.column += 1
            if argument is not None and argument.given is not None:
                name = argument.given.name
                used.add(name)
                replaced[id(cell)] = argument.test(attribute("self", name) if in_method else attribute(name))
            elif argument is not None:
                used.add(argument.name)
                replaced[id(cell)] = self._kept(argument.name) if in_method else attribute(argument.name)
            elif isinstance(cell.value, tuple):  # which could have differed
                replaced[id(cell)] = literal(cell.value)
        _Replace(replaced).visit(tree)
        return used

    def _kept(self, name: str) -> ast.expr:
        """An argument as a method reads it: the module may keep it as a tuple of equal numbers."""
        own = next((own for own in self.blueprint.draft.owns if own.attribute == name), None)
        is_tuple = (
            own is not None and isinstance(own.statement, ast.Assign) and isinstance(own.statement.value, ast.Tuple)
        )
        kept = attribute("self", name)
        return ast.Subscript(kept, ast.Constant(0), ast.Load()) if is_tuple else kept

    def construct(self, part: Construct) -> ast.expr:
        """A construction as an expression."""
        if isinstance(part, New):
            return self._new(part)
        if isinstance(part, Instance):
            return self._instance(part)
        if isinstance(part, Repeated):
            return self._repeated(part)
        if isinstance(part, Choice):
            test, first = self._column(part.test), self.construct(part.first)
            return ast.IfExp(test, first, ast.Constant(None) if part.other is None else self.construct(part.other))
        return self._container(part)

    def _child(self, name: str, child: Construct) -> ast.expr:
        """A child's construction; that of a sequence some items of which may be missing is prepared in a list."""
        if isinstance(child, ContainerCall) and child.presence and is_attribute(name):
            made = self._items(child.items, child.presence, name)
            if child.kind == "nn.ModuleList":
                made = [attribute(name)]
            return ast.Call(attribute(*child.kind.split(".")), made, [])
        return self.construct(child)

    def _items(self, items: dict[str, Construct], presence: dict[str, Slot], variable: str) -> list[ast.expr]:
        """The arguments of an `nn.Sequential`: its items, or a list to which they were appended before."""
        if not presence:
            made = {name: self.construct(item) for name, item in items.items()}
            return list(made.values()) if _is_counted(made) else [_ordered(made)]
        counted = _is_counted(items)
        nothing = ast.List([], ast.Load()) if counted else ast.Call(attribute("OrderedDict"), [], [])
        start = ast.Assign([ast.Name(variable, ast.Store())], nothing)
        statements: list[ast.stmt] = [start]
        for name, item in items.items():
            test = self._column(presence[name]) if name in presence else None
            value = self.construct(item)
            if counted:
                call = ast.Call(attribute(variable, "append"), [value], [])
                statement: ast.stmt = ast.Expr(call)
            else:
                target = ast.Subscript(attribute(variable), ast.Constant(name), ast.Store())
                statement = ast.Assign([target], value)
            if test is None and isinstance(statement, ast.Expr) and len(statements) == 1:
                start.value.elts.append(value)  # type: ignore[attr-defined]
            else:
                statements.append(statement if test is None else ast.If(test, [statement], []))
        self.before += statements
        return [ast.Starred(attribute(variable), ast.Load()) if counted else attribute(variable)]

    def _container(self, part: ContainerCall) -> ast.expr:
        items: dict[str, ast.expr] = {}
        for name, item in part.items.items():
            present = self._column(part.presence[name]) if name in part.presence else None
            made = self.construct(item)
            if present is not None:
                choice = ast.IfExp(present, ast.List([made], ast.Load()), ast.List([], ast.Load()))
                made = ast.Starred(choice, ast.Load())
            items[name] = made
        kind = attribute(*part.kind.split("."))
        if part.kind == "nn.Sequential":
            return ast.Call(kind, list(items.values()) if _is_counted(items) else [_ordered(items)], [])
        if part.kind == "nn.ModuleDict":
            return ast.Call(kind, [_dictionary(items)], [])
        return ast.Call(kind, [listed(list(items.values()))], [])

    def _repeated(self, part: Repeated) -> ast.expr:
        item, count = self._repeated_item(part)
        kind = attribute(*part.kind.split("."))
        loop = ast.parse(f"[0 for {'i' if part.names or part.steps else '_'} in range(0)]", mode="eval").body
        assert isinstance(loop, ast.ListComp)
        loop.generators[0].iter = count
        if part.names:
            loop.elt = ast.Tuple([_counting(part.names), item], ast.Load())
            return ast.Call(kind, [ast.Call(attribute("OrderedDict"), [loop], [])], [])
        loop.elt = item
        return ast.Call(kind, [ast.Starred(loop, ast.Load()) if part.kind == "nn.Sequential" else loop], [])

    def _each(self, part: Repeated) -> ast.stmt:
        """`for i in range(6): self.add_module(f"layer{i + 1}", Layer(64 + 32 * i))`."""
        item, count = self._repeated_item(part)
        add = ast.Expr(ast.Call(attribute("self", "add_module"), [_counting(part.names), item], []))
        return ast.For(ast.Name("i", ast.Store()), count, [add], [])

    def _repeated_item(self, part: Repeated) -> tuple[ast.expr, ast.expr]:
        """The item of a loop, and `range(count)`."""
        start = self.column
        size = len(list(cells_of(part.item)))
        columns = zip(part.steps, range(start + size + 1, start + size + 1 + len(part.steps)), strict=True)
        self.steps = {start + place: (column, part.steps[place]) for place, column in columns}
        item = self.construct(part.item)
        self.steps = {}
        count = ast.Call(attribute("range"), [self._column(part.count)], [])
        self.column += len(part.steps)
        return item, count

    def _column(self, slot: Slot) -> ast.expr:
        column, self.column = self.column, self.column + 1
        return self._cell(column, slot.value)

    def _cell(self, column: int, value: Any) -> ast.expr:
        """The number of a cell, the argument that stands for it, or how it grows from round to round of a loop."""
        argument = self.blueprint.by_column.get(column)
        expression = _value(value)
        if argument is not None:
            expression = argument.test(attribute(argument.given.name)) if argument.given else attribute(argument.name)
        if column not in self.steps:
            return expression
        step = self._cell(self.steps[column][0], self.steps[column][1].value)
        grown: ast.expr = attribute("i")
        if not (isinstance(step, ast.Constant) and step.value == 1):
            grown = ast.BinOp(step, ast.Mult(), grown)
        return ast.BinOp(expression, ast.Add(), grown)

    def _varies(self, column: int) -> bool:
        return column in self.blueprint.by_column or column in self.steps

    def _new(self, part: New) -> ast.expr:
        function = self._column(part.function)
        positional: list[ast.expr] = []
        keywords: list[ast.keyword] = []
        for name, slot in part.slots.items():
            varies = self._varies(self.column)
            value = self._column(slot)
            if slot.default is REQUIRED:
                positional.append(value)
            elif varies or key_of(slot.value) != key_of(slot.default):
                keywords.append(ast.keyword(name, value))
        return ast.Call(function, positional, keywords)

    def _instance(self, part: Instance) -> ast.expr:
        start = self.column
        self.column += len(part.row)
        positional: list[ast.expr] = []
        keywords: list[ast.keyword] = []
        for argument in part.blueprint.arguments:
            column = next((each for each in argument.columns if part.row[each].value is not ANY), argument.columns[0])
            value, varies = part.row[column].value, self._varies(start + column)
            if value is ANY and self.blueprint.rows:  # The first of the modules around has none; others may.
                value = self.blueprint.slot(start + column).value
            says_nothing = value is ANY or key_of(value) == key_of(argument.default)
            if says_nothing and not varies and argument.default is not REQUIRED:
                continue
            expression = self._cell(start + column, part.blueprint.slot(column).value if value is ANY else value)
            if argument.default is REQUIRED:
                positional.append(expression)
            else:
                keywords.append(ast.keyword(argument.name, expression))
        return ast.Call(attribute(part.blueprint.name), positional, keywords)


def expression(construct: Construct) -> ast.expr:
    """A construction as it is, outside of a class that gives it other numbers."""
    return ClassWriter(Blueprint(Draft("", "", [], {}, []))).construct(construct)


def subclass(name: str, construct: Construct, statements: list[ast.stmt]) -> ast.ClassDef:
    """A class whose modules are made as the construction says: `super().__init__(nn.Linear(4, 4), nn.ReLU())`.

    Args:
        name: of the class.
        construct: gives the base class and the arguments of its constructor.
        statements: what the class's own constructor does after the base's.
    """
    made = expression(construct)
    assert isinstance(made, ast.Call)
    base, made.func = made.func, ast.parse("super().__init__", mode="eval").body
    constructor = ClassWriter(Blueprint(Draft(name, "", [], {}, [])))._constructor([ast.Expr(made), *statements])
    return ast.ClassDef(name, [base], [], [constructor], [])


class _Replace(ast.NodeTransformer):
    def __init__(self, replaced: dict[int, ast.expr]) -> None:
        self.replaced = replaced

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return self.replaced.get(id(node), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.UnaryOp(ast.Not(), ast.Compare(left, [ast.Is() | ast.IsNot() as op], comparators)):
                return ast.Compare(left, [ast.IsNot() if isinstance(op, ast.Is) else ast.Is()], comparators)
        return node


def _value(value: Any) -> ast.expr:
    return ast.parse(value.text, mode="eval").body if isinstance(value, Code) else literal(value)


def _counting(names: str) -> ast.expr:
    """`f"layer{i + 1}"` of the text in it."""
    prefix, _, number = names.removesuffix("}").partition("{")
    _, _, start = number.partition(" + ")
    count = ast.BinOp(attribute("i"), ast.Add(), ast.Constant(int(start))) if start else attribute("i")
    return ast.JoinedStr([*([ast.Constant(prefix)] if prefix else []), ast.FormattedValue(count, -1)])


def listed(items: list[ast.expr]) -> ast.expr:
    """A list; three or more items that are made alike are made in a loop."""
    alike = len(items) > 2 and isinstance(items[0], ast.Call) and len(set(map(ast.dump, items))) == 1
    if not alike:
        return ast.List(items, ast.Load())
    loop = ast.parse(f"[0 for _ in range({len(items)})]", mode="eval").body
    assert isinstance(loop, ast.ListComp)
    loop.elt = items[0]
    return loop


def _is_counted(items: Iterable[str]) -> bool:
    return list(items) == [str(number) for number, _ in enumerate(items)]


def _dictionary(items: dict[str, ast.expr]) -> ast.expr:
    return ast.Dict([ast.Constant(name) for name in items], list(items.values()))


def _ordered(items: dict[str, ast.expr]) -> ast.expr:
    return ast.Call(attribute("OrderedDict"), [_dictionary(items)], [])


def _set_child(name: str, child: ast.expr) -> ast.stmt:
    if is_attribute(name):
        return ast.Assign([ast.Attribute(ast.Name("self", ast.Load()), name, ast.Store())], child)
    return ast.Expr(ast.Call(attribute("self", "add_module"), [ast.Constant(name), child], []))
