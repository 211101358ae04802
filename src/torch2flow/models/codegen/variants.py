"""One class for modules whose drafts differ in more than numbers: an absent child, another branch of `forward`.

    self.downsample = nn.Sequential(...) if downsample else None
    ...
    if self.relative_attention_bias is not None:
        values = self.relative_attention_bias(relative_buckets)

The drafts of one original class that are equal but for their numbers are a *variant*. Variants are merged where they
have most of their statements in common (`alignment.py`); what only some do stands under an `if`, whose test is, in
this order: whether a module is there, whether an argument was passed, an argument of the constructor.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from torch2flow.models.codegen.alignment import CannotMergeError, Entry, MergedBody, body_of, merge_body
from torch2flow.models.codegen.blueprints import (
    ANY,
    REQUIRED,
    Cell,
    Choice,
    Construct,
    Container,
    Draft,
    Instance,
    New,
    Own,
    Repeated,
    Slot,
    cells_of,
    row_of,
    shape_of,
)
from torch2flow.models.codegen.literals import attribute
from torch2flow.models.codegen.names import is_attribute, is_name

Variants = frozenset[int]
Origins = dict[int, "dict[int, int | Slot | Fact]"]
"""For each cell of a merged draft, by its `id`: its column in each variant's own row, or its value there."""

_SHARED = 0.5
"""The smallest part of the shorter `forward` that two variants must have in common to be one class."""


_PLAIN = {"reshape", "permute", "transpose", "to", "unsqueeze", "squeeze", "expand", "flatten", "append", "clone"}
"""Functions that say little of what a block is for."""

_MOST_MISSING = 3
"""So many items of a sequence may be there in only some of the modules of a class."""


@dataclass(slots=True)
class Variant:
    """Drafts that are equal but for their numbers.

    Attributes:
        members: the place of each draft among those of the class.
    """

    drafts: list[Draft] = field(default_factory=list)
    members: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Member:
    """A module of a merged class.

    Attributes:
        number: its draft's place among those of the original class.
        row: its numbers, in the order of the merged draft's cells.
        parameters: for each method, what the merged method calls each parameter of its own.
    """

    number: int
    row: list[Slot]
    parameters: list[dict[str, str]]


def merged_classes(drafts: list[Draft]) -> list[tuple[Draft, list[Member]]]:
    """The classes that serve the drafts of one original class: each as a draft, with the modules it is for."""
    variants: dict[Any, Variant] = {}
    for number, draft in enumerate(drafts):
        variant = variants.setdefault(shape_of(draft), Variant())
        variant.drafts.append(draft)
        variant.members.append(number)
    # The first of several is often the odd one: what it is given has another name.
    ordered = sorted(variants.values(), key=lambda each: _order(each.drafts[-1]))
    groups: list[_Group] = []
    for variant in ordered:
        for position, group in enumerate(groups):
            try:
                groups[position] = group.with_variant(variant)
                break
            except CannotMergeError:
                continue
        else:
            groups.append(_Group.of(variant))
    return sorted((group.finished() for group in groups), key=lambda each: min(m.number for m in each[1]))


def _order(draft: Draft) -> tuple[int, int]:
    """Those that are given the most come first, then the longest: the others have fewer values under fewer names."""
    parameters = sum(len(method.args.args) - len(method.args.defaults) for method in draft.methods)
    return -parameters, -sum(len(method.body) for method in draft.methods) - len(draft.children)


@dataclass(slots=True)
class _Group:
    """Variants that become one class.

    Attributes:
        draft: with all that any of them has; the statements of the methods are in `bodies`.
        origins: for each cell, by its `id`: its column in each variant's own row, or its value there.
        owns, children: which variants have them.
    """

    variants: list[Variant]
    draft: Draft
    bodies: list[MergedBody]
    origins: Origins
    owns: dict[str, Variants]
    children: dict[str, Variants]

    @classmethod
    def of(cls, variant: Variant) -> _Group:
        draft = variant.drafts[-1]
        only = frozenset([0])
        origins: Origins = {id(c): {0: n} for n, c in enumerate(cells_of(draft))}
        return cls(
            [variant],
            draft,
            [body_of(method, 0) for method in draft.methods],
            origins,
            {own.attribute: only for own in draft.owns},
            dict.fromkeys(draft.children, only),
        )

    def with_variant(self, variant: Variant) -> _Group:
        """The group with one more variant.

        Raises:
            CannotMergeError: it has too little in common with those there are.
        """
        own = variant.drafts[-1]
        number = len(self.variants)
        if own.base != self.draft.base or len(own.methods) != len(self.draft.methods):
            raise CannotMergeError
        joining = _Joining(number, {key: dict(value) for key, value in self.origins.items()})
        joining.columns = {id(cell): column for column, cell in enumerate(cells_of(own))}
        bodies = [merge_body(body, method, number) for body, method in zip(self.bodies, own.methods, strict=True)]
        for body, method in zip(bodies, own.methods, strict=True):
            shared = sum(len(entry.variants) > 1 and number in entry.variants for entry in body.entries)
            shortest = min(sum(each in entry.variants for entry in body.entries) for each in range(number))
            if shared < _SHARED * min(len(method.body), shortest):
                raise CannotMergeError
            for entry in body.entries:
                if number in entry.variants:
                    joining.unify_statement(entry, number)
        fewer = min(len(own.children), len(self.draft.children))
        if own.base == "nn.Module" and 2 * len(own.children.keys() & self.draft.children.keys()) < fewer:
            raise CannotMergeError
        owns = joining.owns(self.draft.owns, own.owns)
        if self.draft.base == "nn.Sequential":
            joined = joining.items(self.draft.children, self.draft.presence, own.children)
            draft = replace(self.draft, owns=owns, children=joined.items, presence=joined.presence)
        else:
            draft = replace(self.draft, owns=owns, children=joining.children(self.draft.children, own.children))
        return _Group(
            [*self.variants, variant],
            draft,
            bodies,
            joining.origins,
            _with(self.owns, (each.attribute for each in own.owns), number),
            _with(self.children, own.children, number),
        )

    # The finished class.

    def finished(self) -> tuple[Draft, list[Member]]:
        """The draft of the class, and its modules."""
        if len(self.variants) == 1:
            (variant,) = self.variants
            pairs = zip(variant.members, variant.drafts, strict=True)
            return self.draft, [Member(n, row_of(draft), self._parameters(0, draft)) for n, draft in pairs]
        everyone = frozenset(range(len(self.variants)))
        flags = _Flags(self.origins, everyone, _true_facts(self.variants))
        draft = replace(
            self.draft,
            owns=[self._own(own, flags, everyone) for own in self.draft.owns],
        )
        optional: dict[str, Variants] = {}
        if self.draft.base != "nn.Sequential":
            optional = {name: present for name, present in self.children.items() if present != everyone}
            draft.children = {n: self._child(n, child, flags, everyone) for n, child in draft.children.items()}
        draft.methods = [
            _written(method, body, _Tests(body, flags, optional, everyone))
            for method, body in zip(self.draft.methods, self.bodies, strict=True)
        ]
        cells = list(cells_of(draft))
        members = []
        for number, variant in enumerate(self.variants):
            for member, each in zip(variant.members, variant.drafts, strict=True):
                own = row_of(each)
                row = [self._value(cell, number, own, each.facts) for cell in cells]
                members.append(Member(member, row, self._parameters(number, each)))
        return draft, members

    def _parameters(self, number: int, draft: Draft) -> list[dict[str, str]]:
        """What the methods of the class call the parameters of a draft's own."""
        first = self.variants[number].drafts[-1]
        found = []
        for body, own, method in zip(self.bodies, draft.methods, first.methods, strict=True):
            names = zip(_parameter_names(own), _parameter_names(method), strict=True)
            found.append({mine: body.renamed.get((number, theirs), theirs) for mine, theirs in names})
        return found

    def _own(self, own: Own, flags: _Flags, everyone: Variants) -> Own:
        present = self.owns[own.attribute]
        return own if present == everyone else replace(own, presence=flags.slot(present, own.attribute))

    def _child(self, name: str, child: Construct, flags: _Flags, everyone: Variants) -> Construct:
        present = self.children[name]
        return child if present == everyone else Choice(flags.slot(present, name), child)

    def _value(self, cell: Cell, variant: int, own: list[Slot], facts: Mapping[str, Any]) -> Slot:
        origin = self.origins.get(id(cell), {}).get(variant)
        if isinstance(origin, int):
            return own[origin]
        if isinstance(origin, Fact):
            return Slot(_plain(facts.get(origin.name)), origin.name, False)
        hint, default = (cell.hint, cell.default) if isinstance(cell, Slot) else (getattr(cell, "hint", ""), REQUIRED)
        return replace(origin) if origin is not None else Slot(ANY, hint, default)


def _plain(value: Any) -> Any:
    """The value of a fact as an argument: the one number of a list of equal ones; whether it says yes, of any other."""
    if isinstance(value, list | tuple) and value and all(item == value[0] for item in value):
        value = value[0]
    return value if isinstance(value, bool | int | float) else _says_yes(value)


def _parameter_names(method: ast.FunctionDef) -> list[str]:
    return [argument.arg for argument in method.args.args[1:]]


def _with(present: dict[str, Variants], names: Iterable[str], number: int) -> dict[str, Variants]:
    result = dict(present)
    for name in names:
        result[name] = result.get(name, frozenset()) | {number}
    return result


# Constructions.


@dataclass(slots=True)
class _Joining:
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

    def unify_statement(self, entry: Entry, number: int) -> None:
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
                result[name] = left.get(name) or right[name]
                if name in right:
                    self.adopt(right[name])
        return result

    def owns(self, left: list[Own], right: list[Own]) -> list[Own]:
        mine, theirs = ({own.attribute: own for own in each} for each in (left, right))
        result = []
        for name in _common_order(list(mine), list(theirs)):
            own = mine.get(name) or theirs[name]
            if name in mine and name in theirs:
                if shape_of(mine[name].statement) != shape_of(theirs[name].statement):
                    raise CannotMergeError
                for cell, other in zip(cells_of(mine[name]), cells_of(theirs[name]), strict=True):
                    self.unify(cell, other)
            elif name in theirs:
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
        if isinstance(left, Container) and isinstance(right, Container) and left.kind == right.kind:
            return self._join_containers(left, right)
        if isinstance(left, Repeated) and isinstance(right, Container) and self._is_one_of(left, right):
            return self._join_single(left, right)
        return self._choose(left, right, name)

    def _choose(self, left: Construct, right: Construct, name: str) -> Construct:
        if isinstance(left, Choice) or isinstance(right, Choice):
            raise CannotMergeError
        self.adopt(right)
        test = Slot(ANY, f"{_snake(left)}", REQUIRED)
        self.origins[id(test)] = {number: Slot(True, test.hint, True) for number in range(self.number)}
        self.origins[id(test)][self.number] = Slot(False, test.hint, True)
        return Choice(test, left, right)

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

    def _is_one_of(self, left: Repeated, right: Container) -> bool:
        """Whether a container holds a single module, of which the other holds several."""
        alike = [shape_of(item) == shape_of(left.item) for item in right.items.values()]
        return left.kind == right.kind and not left.names and alike == [True]

    def _join_single(self, left: Repeated, right: Container) -> Repeated:
        (item,) = right.items.values()
        for cell, own in zip(cells_of(left.item), cells_of(item), strict=True):
            self.unify(cell, own)
        self.origins.setdefault(id(left.count), {})[self.number] = Slot(1, left.count.hint)
        return left

    def _join_containers(self, left: Container, right: Container) -> Container:
        if left.kind != "nn.ModuleDict":
            return replace(self.items(left.items, left.presence, right.items), kind=left.kind)
        if list(left.items) != list(right.items):
            raise CannotMergeError
        return replace(left, items={n: self.join(left.items[n], right.items[n], n) for n in left.items})

    def items(self, left: dict[str, Construct], presence: dict[str, Slot], right: dict[str, Construct]) -> Container:
        """The items of two sequences; those that only some have are there on demand.

        Raises:
            CannotMergeError: they have too little in common.
        """
        if not (_is_counted(left) and _is_counted(right)):
            return self._named_items(left, presence, right)
        mine, theirs = list(left.values()), list(right.values())
        pairs = _align(mine, theirs)
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
        return Container("nn.Sequential", items, {str(n): s for n, (_, s) in enumerate(merged) if s is not None})

    def _named_items(
        self, left: dict[str, Construct], presence: dict[str, Slot], right: dict[str, Construct]
    ) -> Container:
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
        return Container("nn.Sequential", items, {name: slots[name] for name in items if name in slots})

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


def _align(left: list[Construct], right: list[Construct]) -> list[tuple[int, int]]:
    """The pairs of items that can be one, in order, the most alike."""
    best = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    gain = [[_likeness(one, other) for other in right] for one in left]
    for i in range(len(left) - 1, -1, -1):
        for j in range(len(right) - 1, -1, -1):
            paired = best[i + 1][j + 1] + gain[i][j] if gain[i][j] else 0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], paired)
    pairs, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if gain[i][j] and best[i][j] == best[i + 1][j + 1] + gain[i][j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _likeness(left: Construct, right: Construct) -> int:
    """How much two constructions are alike: 0 where they can't be one."""
    if shape_of(left) == shape_of(right):
        values = zip(cells_of(left), cells_of(right), strict=True)
        return 4 + sum(one.value == other.value for one, other in values)
    if isinstance(left, New) and isinstance(right, New):
        return int(_may_differ(left) and _may_differ(right))
    return 2 if isinstance(left, Container) and isinstance(right, Container) and left.kind == right.kind else 0


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
    result: list[str] = []
    position = 0
    for name in right:
        if name in left:
            found = left.index(name)
            if found < position:
                raise CannotMergeError
            result += [each for each in left[position:found] if each not in right]
            position = found + 1
        result.append(name)
    return result + left[position:]


# Statements.


@dataclass(frozen=True, slots=True)
class Fact:
    """The value of a cell: what the original module held under this name."""

    name: str


@dataclass(slots=True)
class _Flags:
    """The arguments of the constructor that tell variants apart.

    Attributes:
        facts: for each plain value that the original modules hold, the variants in which it is not 0, False or None.
        hints: the name that was chosen for each set of variants.
    """

    origins: Origins
    everyone: Variants
    facts: dict[str, Variants]
    hints: dict[Variants, str] = field(default_factory=dict)

    def slot(self, variants: Variants, hint: str) -> Slot:
        """A cell that is True for these variants."""
        fact = self._fact(variants)
        hint = self.hints.setdefault(variants, re.sub(r"\W", "_", fact or hint))
        slot = Slot(ANY, hint, False)
        self._fill(slot, variants, hint)
        return slot

    def expression(self, variants: Variants, hint: str) -> ast.expr:
        """The same as an expression."""
        others = self.everyone - variants
        if variants not in self.hints and (others in self.hints or (self._fact(others) and not self._fact(variants))):
            return ast.UnaryOp(ast.Not(), self.expression(others, hint))
        hint = self.hints.setdefault(variants, self._fact(variants) or hint)
        constant = ast.Constant(True)
        constant.slot, constant.hint = True, hint  # type: ignore[attr-defined]
        self._fill(constant, variants, hint)
        return constant

    def _fact(self, variants: Variants) -> str:
        return next((name for name, true in self.facts.items() if true == variants and is_name(name)), "")

    def _fill(self, cell: Cell, variants: Variants, hint: str) -> None:
        known = self.facts.get(hint) == variants
        for number in self.everyone:
            value = Fact(hint) if known else Slot(number in variants, hint, False)
            self.origins.setdefault(id(cell), {})[number] = value


def _true_facts(variants: list[Variant]) -> dict[str, Variants]:
    """For each plain value that the modules of all variants hold: the variants in which it says yes."""
    names = dict.fromkeys(name for variant in variants for draft in variant.drafts for name in draft.facts)
    found: dict[str, Variants] = {}
    for name in names:
        says = [{_says_yes(draft.facts.get(name)) for draft in variant.drafts} for variant in variants]
        if all(len(each) == 1 for each in says):
            found[name] = frozenset(number for number, each in enumerate(says) if True in each)
    return found


def _says_yes(value: Any) -> bool:
    return any(map(_says_yes, value)) if isinstance(value, list | tuple) else bool(value)


@dataclass(slots=True)
class _Tests:
    """The tests that tell, in a `forward`, whose the statements are.

    Attributes:
        optional: the modules that only some variants have.
    """

    body: MergedBody
    flags: _Flags
    optional: dict[str, Variants]
    everyone: Variants

    def test(self, variants: Variants, block: list[ast.stmt], assigned: set[str]) -> ast.expr:
        """The test of a block, before which these names were assigned to."""
        known = list(self._known(assigned))
        for present, expression, absent in known:
            if variants in (present, self.everyone - present):
                return expression if variants == present else absent
        choices = [pair for present, yes, no in known for pair in ((present, yes), (self.everyone - present, no))]
        for left, right in combinations(choices, 2):
            if left[0] & right[0] == variants:
                return ast.BoolOp(ast.And(), [left[1], right[1]])
            if left[0] | right[0] == variants:
                return ast.BoolOp(ast.Or(), [left[1], right[1]])
        return self.flags.expression(variants, _subject(block))

    def _known(self, assigned: set[str]) -> Iterator[tuple[Variants, ast.expr, ast.expr]]:
        """What can be tested without a new argument: which variants it is true of, and how to say that it is and is not."""
        for name, present in self.optional.items():
            if is_attribute(name):
                yield present, _is_none(attribute("self", name), False), _is_none(attribute("self", name), True)
        for name, present in self.body.given.items():
            if name not in assigned and present != self.everyone:
                yield present, _is_none(attribute(name), False), _is_none(attribute(name), True)


def _is_none(value: ast.expr, yes: bool) -> ast.expr:
    return ast.Compare(value, [ast.Is() if yes else ast.IsNot()], [ast.Constant(None)])


def _subject(block: list[ast.stmt]) -> str:
    """A name for an argument that only decides whether a block is run: after what the block calls, or makes."""
    for node in (node for each in block for node in ast.walk(each)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr not in _PLAIN:
            return f"with_{node.func.attr.strip('_')}"
    stored = [
        n.id for each in block for n in ast.walk(each) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    ]
    return f"with_{stored[0].rstrip('_0123456789')}" if stored else "with_result"


def _written(method: ast.FunctionDef, body: MergedBody, tests: _Tests) -> ast.FunctionDef:
    """A method with the statements of all variants, each under the test that tells whose it is."""
    statements: list[ast.stmt] = []
    blocks = _blocks(body.entries)
    assigned: set[str] = set()
    position = 0
    while position < len(blocks):
        variants, block = blocks[position]
        position += 1
        other: list[ast.stmt] = []
        if variants == tests.everyone:
            statements += block
        else:
            if position < len(blocks) and blocks[position][0] == tests.everyone - variants:
                other = blocks[position][1]
                position += 1
            statements.append(_conditional(tests.test(variants, block, assigned), block, other))
        assigned |= _assigned([*block, *other])
    read = {node.id for each in statements for node in ast.walk(each) if isinstance(node, ast.Name)}
    used = [name for name in body.parameters if name in read or body.given[name]]
    required = [name for name in used if body.parameters[name] == tests.everyone and name not in body.defaults]
    optional = [name for name in used if name not in required]
    defaults: list[ast.expr] = [body.defaults.get(name, ast.Constant(None)) for name in optional]
    names = [ast.arg(name) for name in ("self", *required, *optional)]
    return ast.FunctionDef(method.name, ast.arguments([], names, None, [], [], None, defaults), statements, [])


def _assigned(block: list[ast.stmt]) -> set[str]:
    return {
        node.id
        for each in block
        for node in ast.walk(each)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _blocks(entries: list[Entry]) -> list[tuple[Variants, list[ast.stmt]]]:
    """Neighbouring statements of the same variants."""
    blocks: list[tuple[Variants, list[ast.stmt]]] = []
    for entry in _united(entries):
        if blocks and blocks[-1][0] == entry.variants:
            blocks[-1][1].append(entry.statement)
        else:
            blocks.append((entry.variants, [entry.statement]))
    return blocks


def _united(entries: list[Entry]) -> list[Entry]:
    """The entries, where the same statement stands for several variants one after the other once for all of them."""
    united: list[Entry] = []
    for entry in entries:
        last = united[-1] if united else None
        alike = last is not None and ast.dump(last.statement) == ast.dump(entry.statement)
        if last is not None and alike and not last.variants & entry.variants and not any(cells_of(entry.statement)):
            united[-1] = Entry(last.statement, last.variants | entry.variants)
        else:
            united.append(entry)
    return united


def _conditional(test: ast.expr, block: list[ast.stmt], other: list[ast.stmt]) -> ast.stmt:
    """An `if`; `identity = x if self.downsample is None else self.downsample(x)` where both assign one name."""
    match block, other:
        case [
            [ast.Assign(targets=[ast.Name(id=name) as target], value=first)],
            [ast.Assign(targets=[ast.Name(id=again)], value=second)],
        ] if name == again and (isinstance(first, ast.Name) or isinstance(second, ast.Name)):
            return ast.Assign([target], _choice(test, first, second))
        case [[ast.Return(value=ast.expr() as first)], [ast.Return(value=ast.expr() as second)]] if (
            isinstance(first, ast.Name) or isinstance(second, ast.Name)
        ):
            return ast.Return(_choice(test, first, second))
    return ast.If(test, block, other)


def _choice(test: ast.expr, first: ast.expr, second: ast.expr) -> ast.expr:
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot):
        return ast.IfExp(ast.Compare(test.left, [ast.Is()], test.comparators), second, first)
    return ast.IfExp(test, first, second)
