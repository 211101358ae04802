"""The tests under which one `forward` does what only some of its class's modules do.

if self.relative_attention_bias is not None:           a module that only they have
if position_bias is None:                              an argument that they are not given
if self.is_decoder:                                    a value that the original module held
if self.with_roll:                                     an argument of the constructor made for it
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from torch2flow.models.codegen.alignment import MergedBody, MergedStatement
from torch2flow.models.codegen.cells import Cell, cells_of
from torch2flow.models.codegen.drafts import ANY, Slot
from torch2flow.models.codegen.joining import Fact, Origins
from torch2flow.models.codegen.literals import Constant, attribute
from torch2flow.models.codegen.names import is_attribute, is_name

Variants = frozenset[int]

_PLAIN = {"reshape", "permute", "transpose", "to", "unsqueeze", "squeeze", "expand", "flatten", "append", "clone"}
"""Functions that say little of what a block is for."""


@dataclass(slots=True)
class Flags:
    """The arguments of the constructor that tell variants apart.

    Attributes:
        facts: for each plain value that the original modules hold, the variants in which all modules say yes by it
            (it is not 0, False or None), and those in which all say no.
        hints: the name that was chosen for each set of variants.
    """

    origins: Origins
    everyone: Variants
    facts: dict[str, tuple[Variants, Variants]]
    hints: dict[Variants, str] = field(default_factory=dict)
    kept: list[ast.expr] = field(default_factory=list)

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
        constant = Constant(True, hint, varies=True)
        self._fill(constant, variants, hint)
        return constant

    def _fact(self, variants: Variants) -> str:
        wanted = (variants, self.everyone - variants)
        return next((name for name, says in self.facts.items() if says == wanted and is_name(name)), "")

    def fact(self, name: str) -> ast.expr:
        """`self.is_decoder`: what a module holds under a name, kept by an argument of the constructor."""
        constant = Constant(True, name, varies=True)
        self.origins[id(constant)] = dict.fromkeys(self.everyone, Fact(name))
        self.kept.append(constant)
        return constant

    def _fill(self, cell: Cell, variants: Variants, hint: str) -> None:
        known = self.facts.get(hint) == (variants, self.everyone - variants)
        for number in self.everyone:
            value = Fact(hint) if known else Slot(number in variants, hint, False)
            self.origins.setdefault(id(cell), {})[number] = value


def plain_value(value: Any) -> Any:
    """The value of a fact as an argument: the one number of a list of equal ones; whether it says yes, of any other."""
    if isinstance(value, list | tuple) and value and all(item == value[0] for item in value):
        value = value[0]
    return value if isinstance(value, bool | int | float) else says_yes(value)


def says_yes(value: Any) -> bool:
    return any(map(says_yes, value)) if isinstance(value, list | tuple) else bool(value)


@dataclass(slots=True)
class Tests:
    """The tests that tell, in a `forward`, whose the statements are.

    Attributes:
        optional: the modules that only some variants have.
        forward: the parameters of the original's `forward`, in order.
    """

    body: MergedBody
    flags: Flags
    optional: dict[str, Variants]
    everyone: Variants
    forward: tuple[str, ...] = ()

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
        return self._with_fact(variants, choices) or self.flags.expression(variants, _subject(block))

    def _with_fact(self, variants: Variants, choices: list[tuple[Variants, ast.expr]]) -> ast.expr | None:
        """A test together with a value that the original modules held: `... is not None and not self.is_decoder`."""
        for present, test in choices:
            for name, (yes, no) in self.flags.facts.items():
                if is_name(name) and present & yes == variants and present - variants <= no:
                    return ast.BoolOp(ast.And(), [test, self.flags.fact(name)])
                if is_name(name) and present & no == variants and present - variants <= yes:
                    return ast.BoolOp(ast.And(), [test, ast.UnaryOp(ast.Not(), self.flags.fact(name))])
        return None

    def _known(self, assigned: set[str]) -> Iterator[tuple[Variants, ast.expr, ast.expr]]:
        """What needs no new argument: of which variants it is true, and how to say that it is or is not."""
        for name, present in self.optional.items():
            if is_attribute(name):
                yield present, _is_none(attribute("self", name), False), _is_none(attribute("self", name), True)
        for name, present in self.body.given.items():
            if name not in assigned and present != self.everyone and not self.body.sometimes[name]:
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


def merged_method(method: ast.FunctionDef, body: MergedBody, tests: Tests) -> ast.FunctionDef:
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
            statements += _conditional(tests.test(variants, block, assigned), block, other)
        assigned |= _assigned([*block, *other])
    read = {node.id for each in statements for node in ast.walk(each) if isinstance(node, ast.Name)}
    used = [name for name in body.parameters if name in read or body.given[name]]
    order = {name: place for place, name in enumerate(tests.forward)}
    if all(name in order for name in used):
        used.sort(key=order.__getitem__)
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


def _blocks(entries: list[MergedStatement]) -> list[tuple[Variants, list[ast.stmt]]]:
    """Neighbouring statements of the same variants."""
    blocks: list[tuple[Variants, list[ast.stmt]]] = []
    for entry in _united(entries):
        if blocks and blocks[-1][0] == entry.variants:
            blocks[-1][1].append(entry.statement)
        else:
            blocks.append((entry.variants, [entry.statement]))
    return blocks


def _united(entries: list[MergedStatement]) -> list[MergedStatement]:
    """The entries, where the same statement stands for several variants one after the other once for all of them."""
    united: list[MergedStatement] = []
    for entry in entries:
        last = united[-1] if united else None
        alike = last is not None and ast.dump(last.statement) == ast.dump(entry.statement)
        if last is not None and alike and not last.variants & entry.variants and not any(cells_of(entry.statement)):
            united[-1] = MergedStatement(last.statement, last.variants | entry.variants)
        else:
            united.append(entry)
    return united


def _conditional(test: ast.expr, block: list[ast.stmt], other: list[ast.stmt]) -> list[ast.stmt]:
    """An `if`; `identity = x if self.downsample is None else self.downsample(x)` where both assign one name."""
    if other and isinstance(test, ast.UnaryOp):
        test, block, other = test.operand, other, block
    match block, other:
        case [
            [ast.Assign(targets=[ast.Name(id=name) as target], value=first)],
            [ast.Assign(targets=[ast.Name(id=again)], value=second)],
        ] if name == again and (isinstance(first, ast.Name) or isinstance(second, ast.Name)):
            return [ast.Assign([target], _choice(test, first, second))]
        case [[ast.Return(value=ast.expr() as first)], [ast.Return(value=ast.expr() as second)]] if (
            isinstance(first, ast.Name) or isinstance(second, ast.Name)
        ):
            return [ast.Return(_choice(test, first, second))]
    if isinstance(block[-1], ast.Return):
        return [ast.If(test, block, []), *other]
    return [ast.If(test, block, other)]


def _choice(test: ast.expr, first: ast.expr, second: ast.expr) -> ast.expr:
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot):
        return ast.IfExp(ast.Compare(test.left, [ast.Is()], test.comparators), second, first)
    return ast.IfExp(test, first, second)
