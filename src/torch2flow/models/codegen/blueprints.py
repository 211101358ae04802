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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch2flow.models.codegen.cells import cells_of, key_of
from torch2flow.models.codegen.drafts import (
    ANY,
    REQUIRED,
    VAGUE,
    Argument,
    Blueprint,
    Choice,
    ContainerCall,
    Draft,
    Slot,
)
from torch2flow.models.codegen.names import OF_EVERY_MODULE, free_name, is_name


def settle(blueprint: Blueprint, reserved: set[str]) -> None:
    """Decides which numbers of a class become arguments of its constructor, and what those are called.

    Args:
        blueprint: whose rows are all known; it is given its arguments.
        reserved: names that no argument may have.
    """
    _Settling(
        blueprint, blueprint.draft, blueprint.rows, blueprint.facts, blueprint.arguments, blueprint.by_column
    ).run(reserved)


@dataclass(slots=True)
class _Settling:
    """Settles the arguments of a blueprint; what it holds is the blueprint's own."""

    blueprint: Blueprint
    draft: Draft
    rows: list[list[Slot]]
    facts: list[Mapping[str, Any]]
    arguments: list[Argument]
    by_column: dict[int, Argument]

    def run(self, reserved: set[str]) -> None:
        """Decides which columns become arguments, now that all rows are known, and what they are called.

        The rows' slots take over the names, which those of the modules around are then called by too.
        """
        taken = {"self", *reserved, *OF_EVERY_MODULE}
        own = {each.attribute for each in self.draft.owns if not each.is_fact}
        in_methods = sum(len(list(cells_of(method))) for method in self.draft.methods)
        first_of_methods = len(self.rows[0]) - in_methods
        for values, columns in self._varying():
            slot, name = self._named(values, columns)
            default = slot.default if slot.default is not REQUIRED or self._filled(columns, slot.hint) else None
            if default is REQUIRED and any(row[column].value is None for row in self.rows for column in columns):
                default = None
            is_kept = columns[-1] >= first_of_methods  # a method reads it as an attribute
            attributes = own if is_kept else set()
            if type(default) is bool:  # what most modules are given
                said = [value for row in self.rows if type(value := row[columns[0]].value) is bool]
                if said.count(True) != said.count(False):
                    default = said.count(True) > said.count(False)
            if name in taken | attributes:
                name = self._qualified(columns[0], name)
            if is_kept and name in self.draft.children:
                name = f"with_{name}"  # the module is one already
            name = free_name(name, (taken | attributes).__contains__)
            taken.add(name)
            argument = Argument(name, columns, default)
            self.arguments.append(argument)
            self.by_column.update(dict.fromkeys(columns, argument))
        self._follow(first_of_methods)
        self._imply()
        self.arguments.sort(key=lambda argument: argument.default is not REQUIRED)
        for argument in self.arguments:
            for row in self.rows:
                slots = [row[column] for column in argument.columns]
                value = next((slot.value for slot in slots if slot.value is not ANY), ANY)
                for slot in slots:  # The columns of an argument say the same, also where a module lacks some of them.
                    slot.value, slot.hint = value, argument.name

    def _follow(self, first_of_methods: int) -> None:
        """Has numbers of a child that not all modules have follow the argument of their name that says the same there.

        The `stride` of a block is that of its `downsample` too, wherever there is one.
        """
        by_name = {argument.name: argument for argument in self.arguments}
        for column in range(first_of_methods):
            there = [(n, row[column]) for n, row in enumerate(self.rows) if row[column].value is not ANY]
            if column in self.by_column or not 0 < len(there) < len(self.rows):
                continue
            slot, argument = there[0][1], by_name.get(there[0][1].hint)
            if argument is None or slot.hint in VAGUE or slot.is_implied or slot.value == slot.default:
                continue
            if all(key_of(self._value(argument, n)) == key_of(each.value) for n, each in there):
                argument.columns.append(column)
                self.by_column[column] = argument

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
        slots = [self.blueprint.slot(column) for column in columns]
        telling = [slot for slot in slots if slot.hint not in VAGUE] or [slot for slot in slots if slot.hint] or slots
        best = next((slot for slot in telling if slot.default is REQUIRED), telling[0])
        kept = [name for name in self._kept_as(values) if is_name(name)]
        given = next((name for name in kept if name in self.blueprint.parameters), "")
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


def _key_of_fact(value: Any) -> Any:
    """The same for an attribute; `[7, 7]` is kept for what `7` says."""
    if isinstance(value, list | tuple) and value and all(item == value[0] for item in value):
        value = value[0]
    return key_of(tuple(value) if isinstance(value, list) else value)
