"""One construction for the modules of several variants: of one class, of alike classes, or on demand.

nn.Conv2d(64, 128, 3) and nn.Conv2d(64, 64, 1)         nn.Conv2d(64, out_channels, kernel_size)
nn.ReLU() and nn.GELU()                                activation_layer()
[expand, conv, project] and [conv, project]            a list to which `expand` is appended on demand
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from torch2flow.models.codegen.alignment import CannotMergeError, MergedStatement
from torch2flow.models.codegen.cells import Cell, cells_of, shape_of
from torch2flow.models.codegen.drafts import (
    ANY,
    EACH,
    REQUIRED,
    Choice,
    Construct,
    ContainerCall,
    Instance,
    New,
    Own,
    Repeated,
    Slot,
)
from torch2flow.models.codegen.pairing import best_pairs, merged_order

Origins = dict[int, "dict[int, int | Slot | Fact]"]
"""For each cell of a merged draft, by its `id`: its column in each variant's own row, or its value there."""

_MOST_MISSING = 3
"""So many items of a sequence may be there in only some of the modules of a class."""


@dataclass(frozen=True, slots=True)
class Fact:
    """The value of a cell: what the original module held under this name."""

    name: str


@dataclass(slots=True)
class Joining:
    """Puts the constructions of one more variant into those of a group.

    Attributes:
        number: the variant's.
        columns: the column of each of its cells, by the cell's `id`.
    """

    number: int
    origins: Origins
    columns: dict[int, int] = field(default_factory=dict)

    def unify(self, cell: Cell, own: Cell) -> None:
        self.origins.setdefault(id(cell), {})[self.number] = self.columns[id(own)]

    def unify_statement(self, entry: MergedStatement, number: int) -> None:
        for cell, own in zip(cells_of(entry.statement), cells_of(entry.cells[number]), strict=True):
            if id(own) in self.columns:
                self.unify(cell, own)

    def adopt(self, part: Construct | Own) -> None:
        """Takes over what only the variant has."""
        for cell in cells_of(part):
            self.unify(cell, cell)

    def children(self, left: dict[str, Construct], right: dict[str, Construct]) -> dict[str, Construct]:
        """The children of both, in an order that is that of both.

        Raises:
            CannotMergeError: they are in another order, or of another kind.
        """
        result: dict[str, Construct] = {}
        for name in _common_order(list(left), list(right)):
            if name in left and name in right:
                result[name] = self.join(left[name], right[name], name)
            else:
                only = result[name] = left.get(name) or right[name]
                if isinstance(only, Repeated) and only.kind == EACH:
                    raise CannotMergeError  # A loop that adds modules can't be None.
                if name in right:
                    self.adopt(right[name])
        return result

    def owns(self, left: list[Own], right: list[Own]) -> list[Own]:
        mine, theirs = ({own.attribute: own for own in each} for each in (left, right))
        result = []
        for name in _common_order(list(mine), list(theirs)):
            own = theirs[name] if name not in mine or (mine[name].is_empty and name in theirs) else mine[name]
            if name in mine and name in theirs and mine[name].is_empty == theirs[name].is_empty:
                if shape_of(mine[name].statement) != shape_of(theirs[name].statement):
                    raise CannotMergeError
                for cell, other in zip(cells_of(mine[name]), cells_of(theirs[name]), strict=True):
                    self.unify(cell, other)
            elif own is theirs.get(name):
                self.adopt(own)
            result.append(own)
        return result

    def join(self, left: Construct, right: Construct, name: str) -> Construct:
        """One construction for both.

        Raises:
            CannotMergeError: there is none.
        """
        if isinstance(left, New) and isinstance(right, New) and (joined := self._join_new(left, right, name)):
            return joined
        if shape_of(left) == shape_of(right):
            for cell, own in zip(cells_of(left), cells_of(right), strict=True):
                self.unify(cell, own)
            return left
        if isinstance(left, ContainerCall) and isinstance(right, ContainerCall) and left.kind == right.kind:
            return self._join_containers(left, right)
        if isinstance(left, Repeated) and isinstance(right, ContainerCall) and self._is_one_of(left, right):
            return self._join_single(left, right)
        return self._choose(left, right, name)

    def _choose(self, left: Construct, right: Construct, name: str) -> Construct:
        if isinstance(right, Choice):
            raise CannotMergeError
        if isinstance(left, Choice):
            return self._one_of(left, right, name)
        self.adopt(right)
        test = Slot(ANY, f"{_snake(left)}", REQUIRED)
        self.origins[id(test)] = {number: Slot(True, test.hint, True) for number in range(self.number)}
        self.origins[id(test)][self.number] = Slot(False, test.hint, True)
        return Choice(test, left, right)

    def _one_of(self, left: Choice, right: Construct, name: str) -> Choice:
        """The choice, of which a further variant has one side."""
        for side, is_first in ((left.first, True), (left.other, False)):
            if side is not None and type(side) is type(right) and shape_of(side) == shape_of(right):
                self.join(side, right, name)
                self.origins[id(left.test)][self.number] = Slot(is_first, left.test.hint, True)
                return left
        raise CannotMergeError

    def _join_new(self, left: New, right: New, name: str) -> New | None:
        """A call of one class, or of one of several that are called alike: `activation_layer()`."""
        same_class = left.function.value == right.function.value
        names = list(dict.fromkeys([*left.slots, *right.slots]))
        if not same_class and not all(_may_differ(each) for each in (left, right)):
            return None
        if not same_class:
            names = []
            if any(slot.default is REQUIRED for each in (left, right) for slot in each.slots.values()):
                if list(left.slots) != list(right.slots):
                    return None
                names = list(left.slots)
        slots: dict[str, Slot] = {}
        for each in names:
            if each in left.slots and each in right.slots:
                self.unify(left.slots[each], right.slots[each])
                slots[each] = left.slots[each]
            else:
                return None
        self.unify(left.function, right.function)
        hint = left.function.hint if same_class else _kind_of_layer(left.function.value.text)
        left.function.hint = hint
        return replace(left, slots=slots)

    def _is_one_of(self, left: Repeated, right: ContainerCall) -> bool:
        """Whether a container holds a single module, of which the other holds several."""
        alike = [shape_of(item) == shape_of(left.item) for item in right.items.values()]
        return left.kind == right.kind and not left.names and alike == [True]

    def _join_single(self, left: Repeated, right: ContainerCall) -> Repeated:
        (item,) = right.items.values()
        for cell, own in zip(cells_of(left.item), cells_of(item), strict=True):
            self.unify(cell, own)
        self.origins.setdefault(id(left.count), {})[self.number] = Slot(1, left.count.hint)
        return left

    def _join_containers(self, left: ContainerCall, right: ContainerCall) -> ContainerCall:
        if left.kind != "nn.ModuleDict":
            return replace(self.items(left.items, left.presence, right.items), kind=left.kind)
        if list(left.items) != list(right.items):
            raise CannotMergeError
        return replace(left, items={n: self.join(left.items[n], right.items[n], n) for n in left.items})

    def items(
        self, left: dict[str, Construct], presence: dict[str, Slot], right: dict[str, Construct]
    ) -> ContainerCall:
        """The items of two sequences; those that only some have are there on demand.

        Raises:
            CannotMergeError: they have too little in common.
        """
        if not (_is_counted(left) and _is_counted(right)):
            return self._named_items(left, presence, right)
        mine, theirs = list(left.values()), list(right.values())
        pairs = best_pairs(len(mine), len(theirs), lambda i, j: _likeness(mine[i], theirs[j]))
        merged: list[tuple[Construct, Slot | None]] = []
        i = j = 0
        for at, other in [*pairs, (len(mine), len(theirs))]:
            while i < at:
                merged.append((mine[i], self._absent(presence.get(str(i)), mine[i])))
                i += 1
            while j < other:
                self.adopt(theirs[j])
                merged.append((theirs[j], self._only_here(theirs[j])))
                j += 1
            if i < len(mine):
                slot = presence.get(str(i))
                if slot is not None:
                    self.origins[id(slot)][self.number] = Slot(True, slot.hint, False)
                merged.append((self.join(mine[i], theirs[j], ""), slot))
                i, j = i + 1, j + 1
        if 2 * len(pairs) < max(len(mine), len(theirs)) or sum(slot is not None for _, slot in merged) > _MOST_MISSING:
            raise CannotMergeError
        items = {str(n): item for n, (item, _) in enumerate(merged)}
        return ContainerCall("nn.Sequential", items, {str(n): s for n, (_, s) in enumerate(merged) if s is not None})

    def _named_items(
        self, left: dict[str, Construct], presence: dict[str, Slot], right: dict[str, Construct]
    ) -> ContainerCall:
        slots: dict[str, Slot] = {}
        for name in dict.fromkeys([*left, *right]):
            if name not in right:
                slots[name] = self._absent(presence.get(name), left[name])
            elif name not in left:
                slots[name] = self._only_here(right[name])
            elif name in presence:
                slots[name] = presence[name]
                self.origins[id(slots[name])][self.number] = Slot(True, slots[name].hint, False)
        if len(slots) > _MOST_MISSING:
            raise CannotMergeError
        items = self.children(left, right)
        return ContainerCall("nn.Sequential", items, {name: slots[name] for name in items if name in slots})

    def _absent(self, slot: Slot | None, item: Construct) -> Slot:
        """The cell that says that this variant lacks an item of the others."""
        if slot is None:
            slot = Slot(ANY, _snake(item), False)
            self.origins[id(slot)] = {number: Slot(True, slot.hint, False) for number in range(self.number)}
        self.origins[id(slot)][self.number] = Slot(False, slot.hint, False)
        return slot

    def _only_here(self, item: Construct) -> Slot:
        """The cell that says that the others lack an item of this variant."""
        slot = Slot(ANY, _snake(item), False)
        self.origins[id(slot)] = {number: Slot(False, slot.hint, False) for number in range(self.number)}
        self.origins[id(slot)][self.number] = Slot(True, slot.hint, False)
        return slot


def _is_counted(items: dict[str, Construct]) -> bool:
    return list(items) == [str(number) for number in range(len(items))]


def _likeness(left: Construct, right: Construct) -> int:
    """How much two constructions are alike: 0 where they can't be one."""
    if shape_of(left) == shape_of(right):
        values = zip(cells_of(left), cells_of(right), strict=True)
        return 4 + sum(bool(one.value == other.value) for one, other in values)
    if isinstance(left, New) and isinstance(right, New):
        return int(_may_differ(left) and _may_differ(right))
    return 2 if isinstance(left, ContainerCall) and isinstance(right, ContainerCall) and left.kind == right.kind else 0


def _may_differ(new: New) -> bool:
    """Whether another class may stand in its place: it is called with nothing that says more than the default."""
    return all(slot.default is REQUIRED or slot.value == slot.default for slot in new.slots.values())


def _kind_of_layer(function: str) -> str:
    name = function.rpartition(".")[2]
    kinds = {"Norm": "norm_layer", "Pool": "pool_layer", "Conv": "conv_layer", "Linear": "layer", "Dropout": "dropout"}
    return next((hint for part, hint in kinds.items() if part in name), "activation_layer")


def _snake(construct: Construct) -> str:
    if isinstance(construct, Instance):
        name = construct.blueprint.draft.class_name
    elif isinstance(construct, New):
        name = construct.function.value.text.rpartition(".")[2]
    else:
        name = "sequence"
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name).lower()


def _common_order(left: list[str], right: list[str]) -> list[str]:
    """All names, in an order that is that of both lists.

    Raises:
        CannotMergeError: there is none.
    """
    if [name for name in left if name in right] != [name for name in right if name in left]:
        raise CannotMergeError
    return merged_order(left, right)
