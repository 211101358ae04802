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
import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from torch2flow.models.codegen.alignment import CannotMergeError, MergedBody, MergedStatement, body_of, merge_body
from torch2flow.models.codegen.branches import Flags, Tests, Variants, merged_method, plain_value, says_yes
from torch2flow.models.codegen.cells import Cell, cells_of, hint_of, row_of, shape_of
from torch2flow.models.codegen.drafts import ANY, REQUIRED, Choice, Construct, Draft, New, Own, Slot
from torch2flow.models.codegen.joining import Fact, Joining, Origins
from torch2flow.models.codegen.literals import Constant, attribute

_SHARED = 0.5
"""The smallest part of the shorter `forward` that two variants must have in common to be one class."""


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
            _with({}, _held(draft), 0),
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
        joining = Joining(number, {key: dict(value) for key, value in self.origins.items()})
        joining.columns = {id(cell): column for column, cell in enumerate(cells_of(own))}
        bodies = [
            merge_body(body, method, number, own.forward) for body, method in zip(self.bodies, own.methods, strict=True)
        ]
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
            _with(self.owns, _held(own), number),
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
        flags = Flags(self.origins, everyone, _true_facts(self.variants))
        draft = replace(
            self.draft,
            owns=[self._own(own, flags, everyone) for own in self.draft.owns],
        )
        for body in self.bodies:
            for entry in body.entries:
                if entry.variants == self._with_module(_passed_through(entry.statement)):
                    entry.variants = everyone  # the others have nn.Identity() there
        optional = {
            own.attribute: self.owns[own.attribute]
            for own in draft.owns
            if own.presence is not None and isinstance(own.statement, ast.Assign)
        }
        if self.draft.base != "nn.Sequential":
            optional |= {name: present for name, present in self.children.items() if present != everyone}
            draft.children = {n: self._child(n, child, flags, everyone) for n, child in draft.children.items()}
        draft.methods = [
            merged_method(method, body, Tests(body, flags, optional, everyone, self.draft.forward))
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

    def _with_module(self, name: str) -> Variants | None:
        """The variants that have a module where the others have `nn.Identity()`; None where that is not so."""
        match self.draft.children.get(name):
            case Choice(test=test, other=New(function=function)) if function.value.text == "nn.Identity":
                values = self.origins[id(test)]
                return frozenset(n for n, value in values.items() if isinstance(value, Slot) and value.value is True)
        return None

    def _parameters(self, number: int, draft: Draft) -> list[dict[str, str]]:
        """What the methods of the class call the parameters of a draft's own."""
        first = self.variants[number].drafts[-1]
        found = []
        for body, own, method in zip(self.bodies, draft.methods, first.methods, strict=True):
            names = zip(_parameter_names(own), _parameter_names(method), strict=True)
            found.append({mine: body.renamed.get((number, theirs), theirs) for mine, theirs in names})
        return found

    def _own(self, own: Own, flags: Flags, everyone: Variants) -> Own:
        present = everyone if own.is_empty else self.owns[own.attribute]
        return own if present == everyone else replace(own, presence=flags.slot(present, own.attribute))

    def _child(self, name: str, child: Construct, flags: Flags, everyone: Variants) -> Construct:
        present = self.children[name]
        return child if present == everyone else Choice(flags.slot(present, name), child)

    def _value(self, cell: Cell, variant: int, own: list[Slot], facts: Mapping[str, Any]) -> Slot:
        origin = self.origins.get(id(cell), {}).get(variant)
        if isinstance(origin, int):
            return own[origin]
        if isinstance(origin, Fact):
            return Slot(plain_value(facts.get(origin.name)), origin.name, False)
        default = cell.default if isinstance(cell, Slot) else REQUIRED
        return replace(origin) if origin is not None else Slot(ANY, hint_of(cell), default)


def _passed_through(statement: ast.stmt) -> str:
    """The name of the module in `x = self.drop_path(x)`; "" for any other statement."""
    match statement:
        case ast.Assign(
            targets=[ast.Name(id=name)],
            value=ast.Call(func=ast.Attribute(ast.Name("self"), child), args=[ast.Name(id=given)], keywords=[]),
        ) if name == given:
            return child
    return ""


def _held(draft: Draft) -> Iterator[str]:
    return (own.attribute for own in draft.owns if not own.is_empty)


def _parameter_names(method: ast.FunctionDef) -> list[str]:
    return [argument.arg for argument in method.args.args[1:]]


def _with(present: dict[str, Variants], names: Iterable[str], number: int) -> dict[str, Variants]:
    result = dict(present)
    for name in names:
        result[name] = result.get(name, frozenset()) | {number}
    return result


def _true_facts(variants: list[Variant]) -> dict[str, tuple[Variants, Variants]]:
    """For each plain value that modules hold: the variants in which all say yes by it, and those where all say no."""
    names = dict.fromkeys(name for variant in variants for draft in variant.drafts for name in draft.facts)
    found: dict[str, tuple[Variants, Variants]] = {}
    for name in names:
        says = [{says_yes(draft.facts.get(name)) for draft in variant.drafts} for variant in variants]
        yes, no = (frozenset(n for n, each in enumerate(says) if each == {answer}) for answer in (True, False))
        if yes and no:
            found[name] = yes, no
    return found


def use_listed_facts(drafts: list[Draft]) -> None:
    """Writes the numbers of a call as the list that the original modules keep them in: `x.permute(*self.dims)`."""
    names = {name for draft in drafts for name, value in draft.facts.items() if isinstance(value, list | tuple)}
    for name in sorted(names):
        lists = [draft.facts.get(name) for draft in drafts]
        if any(not isinstance(each, list | tuple) or len(each) < 2 for each in lists) or lists.count(lists[0]) == len(
            lists
        ):
            continue
        calls = [
            [call for method in draft.methods for call in _calls_with(method, draft.facts[name])] for draft in drafts
        ]
        for found in calls if all(calls) else ():
            for call, values in found:
                call.args = [ast.Starred(Constant(values, name, varies=True), ast.Load())]


def _calls_with(method: ast.FunctionDef, values: Any) -> list[tuple[ast.Call, tuple[Any, ...]]]:
    """The calls whose arguments are just these numbers."""
    return [
        (node, tuple(values))
        for node in ast.walk(method)
        if isinstance(node, ast.Call) and [getattr(each, "value", None) for each in node.args] == list(values)
    ]


class _ModeTests(Tests):
    """The test that tells the two modes apart: variant 1 is train mode."""

    def test(self, variants: Variants, block: list[ast.stmt], assigned: set[str]) -> ast.expr:
        return training(1 in variants)


def training(yes: bool = True) -> ast.expr:
    """`self.training`, or `not self.training`."""
    test = attribute("self", "training")
    return test if yes else ast.UnaryOp(ast.Not(), test)


def merged_modes(
    evaluation: ast.FunctionDef, train: ast.FunctionDef, forward: tuple[str, ...]
) -> tuple[ast.FunctionDef, list[dict[str, str]]] | None:
    """One method for both modes: what only one of them does stands under `if self.training`; None where there is none.

    Args:
        evaluation: what the module does in eval mode.
        train: what it does in train mode.
        forward: the parameters of the original's `forward`.

    Returns:
        the method, and for each of those given, what it calls their parameters.
    """
    own = evaluation, train
    parameters = [_parameter_names(each) for each in own]
    for number, (method, other) in enumerate((own, own[::-1])):
        if _gives_back(method) and len(parameters[0]) == len(parameters[1]) == 1:
            (name,) = parameters[1 - number]
            back = ast.If(training(number == 1), [ast.Return(attribute(name))], [])
            merged = ast.FunctionDef(other.name, other.args, [back, *other.body], [])
            return merged, [{each: name for each in names} for names in parameters]
    try:
        body = merge_body(body_of(evaluation, 0), train, 1, forward)
    except CannotMergeError:
        if parameters[0] != parameters[1]:
            return None
        either: list[ast.stmt] = [ast.If(training(), train.body, []), *evaluation.body]
        return ast.FunctionDef(evaluation.name, evaluation.args, either, []), [{}, {}]
    everyone = frozenset([0, 1])
    body.entries = _train_first([each for entry in body.entries for each in _by_number(entry)])
    method = merged_method(evaluation, body, _ModeTests(body, _NoFlags({}, everyone, {}), {}, everyone, forward))
    return method, [{each: body.renamed.get((n, each), each) for each in names} for n, names in enumerate(parameters)]


def _train_first(entries: list[MergedStatement]) -> list[MergedStatement]:
    """Between two statements of both modes, those of train mode come before those of eval mode: one `if` for all."""
    ordered: list[MergedStatement] = []
    for _, group in groupby(entries, key=lambda entry: len(entry.variants) > 1):
        ordered += sorted(group, key=lambda entry: entry.variants == {0})
    return ordered


def _gives_back(method: ast.FunctionDef) -> bool:
    """Whether all that a method does is to give back what it is given."""
    held = {name: name for name in _parameter_names(method)}
    for statement in method.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=given)) if given in held:
                held[name] = held[given]
            case ast.Return(value=ast.Name(id=name)):
                return name in held
            case _:
                return False
    return False


def _by_number(entry: MergedStatement) -> list[MergedStatement]:
    """A statement of both modes; one for each where their numbers differ."""
    values = [[cell.value for cell in cells_of(each)] for each in entry.cells.values()]
    if values.count(values[0]) == len(values):
        return [entry]
    found = []
    for (variant, _), own in zip(entry.cells.items(), values, strict=True):
        statement = copy.deepcopy(entry.statement)
        for cell, value in zip(cells_of(statement), own, strict=True):
            cell.value = value
        found.append(MergedStatement(statement, frozenset([variant])))
    return found


class _NoFlags(Flags):
    """For calls of one module, which no argument of its constructor can tell apart."""

    def expression(self, variants: Variants, hint: str) -> ast.expr:
        raise CannotMergeError


def merged_calls(
    methods: list[ast.FunctionDef], forward: tuple[str, ...]
) -> tuple[ast.FunctionDef, list[dict[str, str]]] | None:
    """One method for all calls of a module, told apart by the arguments that they are given; None where there is none.

    Args:
        methods: what the module does in each of the calls that differ.
        forward: the parameters of the original's `forward`.

    Returns:
        the method, and for each of those given, what it calls their parameters.
    """
    ordered = sorted(range(len(methods)), key=lambda n: len(methods[n].args.defaults) - len(methods[n].args.args))
    try:
        body = body_of(methods[ordered[0]], ordered[0])
        for number in ordered[1:]:
            body = merge_body(body, methods[number], number, forward)
        everyone = frozenset(ordered)
        shared = [entry for entry in body.entries if entry.variants == everyone]
        values = [[[cell.value for cell in cells_of(each)] for each in entry.cells.values()] for entry in body.entries]
        if any(each.count(each[0]) != len(each) for each in values):
            return None
        if len(shared) < _SHARED * min(len(method.body) for method in methods):
            return None
        method = merged_method(
            methods[ordered[0]], body, Tests(body, _NoFlags({}, everyone, {}), {}, everyone, forward)
        )
    except CannotMergeError:
        return None
    names = [
        {each: body.renamed.get((n, each), each) for each in _parameter_names(methods[n])} for n in range(len(methods))
    ]
    return method, names
