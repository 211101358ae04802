"""Lays the bodies of two modules of one class side by side, so that one `forward` serves both.

    with downsample:  identity = self.downsample(x)        without:  out = self.conv(x)
                      out = self.conv(x)                             return out + x
                      return out + identity

    together:         identity = self.downsample(x)        with
                      identity = x                         without
                      out = self.conv(x)                   both
                      return out + identity                both

What is right is not guessed: the statements of the second body are carried out one after the other under the names of
the first, and it is known at each place which value each name holds. Where a statement of both reads a name that holds
another value, the second body assigns it before; where that can't be done, the statement is not shared.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch2flow.models.codegen.cells import blanked
from torch2flow.models.codegen.names import free_name
from torch2flow.models.codegen.pairing import best_pairs, merged_order

_NONE = -1_000_000
"""The version of every parameter that is None: one None is as good as another."""

_LARGEST = 250_000
"""Up to so many pairs of statements are compared."""


@dataclass(slots=True)
class MergedStatement:
    """A statement of a merged body, and the variants that run it.

    Attributes:
        cells: for each variant, its own statement: the numbers of both are in the same order.
    """

    statement: ast.stmt
    variants: frozenset[int]
    cells: dict[int, ast.stmt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.cells:
            self.cells = dict.fromkeys(self.variants, self.statement)


@dataclass(slots=True)
class MergedBody:
    """The statements of several variants.

    Attributes:
        parameters: of their `forward`, each with the variants that have it.
        given: for each parameter, the variants in which it is given and not None.
        sometimes: for each parameter, the variants in which some calls give it and others do not.
        renamed: for a variant and one of its own parameters, the name here where that is another.
    """

    parameters: dict[str, frozenset[int]]
    defaults: dict[str, ast.expr]
    entries: list[MergedStatement]
    given: dict[str, frozenset[int]]
    sometimes: dict[str, frozenset[int]]
    renamed: dict[tuple[int, str], str] = field(default_factory=dict)


def body_of(method: ast.FunctionDef, variant: int) -> MergedBody:
    """The body of the first variant."""
    names = [argument.arg for argument in method.args.args[1:]]
    defaults = dict(zip(names[::-1], method.args.defaults[::-1], strict=False))
    only = frozenset([variant])
    given = {name: frozenset() if name in defaults else only for name in names}
    sometimes = {name: only for name in defaults if _is_read(name, method.body)}
    entries = [MergedStatement(each, only) for each in method.body]
    return MergedBody(dict.fromkeys(names, only), defaults, entries, given, sometimes)


def _is_read(name: str, statements: list[ast.stmt]) -> bool:
    """Whether the value that a method is given under a name is read: not only what it assigns to that name."""
    for statement in statements:
        if name in _names(statement, ast.Load):
            return True
        if name in _names(statement, ast.Store):
            return False
    return False


class CannotMergeError(Exception):
    """The bodies have no form in common."""


def merge_body(merged: MergedBody, method: ast.FunctionDef, variant: int, forward: tuple[str, ...] = ()) -> MergedBody:
    """The merged body with one more variant.

    Args:
        merged: the variants there are.
        method: what the new one does.
        variant: its number.
        forward: the names of parameters that are the author's: they are never given to another parameter.

    Raises:
        CannotMergeError: they are too long, or a value of the variant has no name in the merged body.
    """
    other = body_of(method, variant)
    if len(merged.entries) * len(other.entries) > _LARGEST:
        raise CannotMergeError
    local = _locals(merged) | _locals(other)
    return _Merging(merged, other, variant, local).run(forward)


def _locals(body: MergedBody) -> set[str]:
    stored = {name for entry in body.entries for name in _names(entry.statement, ast.Store)}
    return {*body.parameters, *stored}


def _names(tree: ast.AST, context: type) -> Iterator[str]:
    return (node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, context))


class _Merging:
    """Carries out the statements of a variant under the names of the merged body.

    Attributes:
        held: the version of the variant's values that each name holds; a version is the number of an assignment.
    """

    def __init__(self, merged: MergedBody, other: MergedBody, variant: int, local: set[str]) -> None:
        self.merged, self.other, self.variant, self.local = merged, other, variant, local
        self.only = frozenset([variant])
        self.held: dict[str, int] = {}
        self.entries: list[MergedStatement] = []
        self.reads, self.writes, self.last_read = _versions(other, local)
        self.pairs: list[tuple[int, int]] = []

    def run(self, forward: tuple[str, ...]) -> MergedBody:
        renamed = _renamed_parameters(list(self.merged.parameters), list(self.other.parameters))
        if any(name in forward for pair in renamed.items() for name in pair):
            renamed = {}
        mine = [renamed.get(name, name) for name in self.other.parameters]
        parameters = merged_order(list(self.merged.parameters), mine)
        self.held = dict(zip(mine, _given(self.other).values(), strict=True))
        self.pairs = self._pairs()
        matched = dict(self.pairs)
        position = 0
        for number, entry in enumerate(self.merged.entries):
            if number not in matched:
                end = next((each for later, each in self.pairs if later > number), len(self.other.entries))
                starts = number == 0 or number - 1 in matched
                if starts and position < end and self._is_before(position, entry):
                    for each in range(position, end):
                        self._own(each)
                    position = end
                self.entries.append(entry)
                continue
            while position < matched[number]:
                self._own(position)
                position += 1
            if not self._shared(entry, position):
                self.entries.append(entry)
                self._own(position)
            position += 1
        while position < len(self.other.entries):
            self._own(position)
            position += 1
        none: frozenset[int] = frozenset()
        own = dict.fromkeys(mine, self.only)
        sets = {name: self.merged.parameters.get(name, none) | own.get(name, none) for name in parameters}
        theirs = {renamed.get(name, name): variants for name, variants in self.other.given.items()}
        given = {name: self.merged.given.get(name, none) | theirs.get(name, none) for name in parameters}
        both = {renamed.get(name, name): variants for name, variants in self.other.sometimes.items()}
        sometimes = {name: self.merged.sometimes.get(name, none) | both.get(name, none) for name in parameters}
        names = {**self.merged.renamed, **{(self.variant, old): new for old, new in renamed.items()}}
        return MergedBody(sets, {**self.other.defaults, **self.merged.defaults}, self.entries, given, sometimes, names)

    def _is_before(self, position: int, entry: MergedStatement) -> bool:
        """Whether the author wrote what only the variant does before what it does not do."""
        lines = [getattr(each, "lineno", 0) for each in (self.other.entries[position].statement, entry.statement)]
        return 0 < lines[0] < lines[1]

    def _pairs(self) -> list[tuple[int, int]]:
        """The statements that say the same, as many as there can be; those with the same names are better."""
        left, right = (
            [(*_keys(entry.statement, self.local), ast.dump(entry.statement)) for entry in body.entries]
            for body in (self.merged, self.other)
        )

        def gain(i: int, j: int) -> int:
            if left[i][0] != right[j][0]:
                return 0
            return 2 + (left[i][1] == right[j][1]) + (left[i][2] == right[j][2])

        return best_pairs(len(left), len(right), gain)

    def _is_needed(self, name: str, after: int) -> bool:
        version = self.held.get(name)
        return version is not None and self.last_read.get(version, -1) > after

    def _holder(self, version: int, wanted: str) -> str:
        if self.held.get(wanted) == version:
            return wanted
        found = next((name for name, held in self.held.items() if held == version), None)
        if found is None:
            raise CannotMergeError
        return found

    def _shared(self, entry: MergedStatement, position: int) -> bool:
        """Runs a statement of the merged body in place of the variant's own; False where that would be another one."""
        own = self.other.entries[position]
        reads, writes = self.reads[position], self.writes[position]
        wanted: dict[str, int] = {}
        stored: dict[str, int] = {}
        changed = mutated(own.statement)
        for name, theirs, is_stored in _occurrences(own.statement, entry.statement, self.local):
            if not is_stored and name in reads and wanted.setdefault(theirs, reads[name]) != reads[name]:
                return False
            if (is_stored or name in changed) and stored.setdefault(theirs, writes[name]) != writes[name]:
                return False
        aliases = []
        for name, version in wanted.items():
            if self.held.get(name) == version:
                continue
            if self._is_needed(name, position) or self.held.get(name) in wanted.values():
                return False
            aliases.append((name, self._holder(version, name)))
        for name in stored:
            kept = wanted[name] if name in wanted else self.held.get(name)
            if kept is not None and self.last_read.get(kept, -1) > position:
                return False
        for name, holder in aliases:
            self._assign(name, holder)
        variants = entry.variants | self.only
        self.entries.append(MergedStatement(entry.statement, variants, {**entry.cells, self.variant: own.statement}))
        self.held.update(stored)
        return True

    def _assign(self, name: str, holder: str) -> None:
        """`identity = x`, for this variant alone: beside what the others assign to that name, where that can be."""
        statement = ast.Assign([ast.Name(name, ast.Store())], ast.Name(holder, ast.Load()))
        self.entries.insert(self._place(name, holder), MergedStatement(statement, self.only))
        self.held[name] = self.held[holder]

    def _place(self, name: str, holder: str) -> int:
        end = len(self.entries)
        for position in range(end - 1, -1, -1):
            entry = self.entries[position]
            if self.variant in entry.variants:
                read, written = _read_and_written(entry.statement, self.local)
                if name in read or name in written or holder in written:
                    return end
            elif name in _names(entry.statement, ast.Store):
                return position + 1
        return end

    def _own(self, position: int) -> None:
        """Runs a statement that only the variant has."""
        own = self.other.entries[position].statement
        reads, writes = self.reads[position], self.writes[position]
        loads = {name: self._holder(version, name) for name, version in reads.items()}
        stores = {name: loads[name] for name in mutated(own) if name in loads}
        for name, version in writes.items():
            if name not in stores:
                wanted = self._shared_name(version, position) or name
                busy = {each for each in self.held if self._is_needed(each, position)} | set(stores.values())
                stores[name] = free_name(wanted, busy.__contains__)
                self.local.add(stores[name])
        if hasattr(own, "body"):
            for name in loads.keys() & stores.keys():  # A loop reads in its next round what it wrote.
                if loads[name] != stores[name]:
                    if self.held.get(stores[name]) in reads.values():
                        raise CannotMergeError
                    self._assign(stores[name], loads[name])
                    loads[name] = stores[name]
            loads = {**stores, **loads}  # what it writes first and reads then
        statement = _Rename(loads, stores).visit(copy.deepcopy(own))
        self.entries.append(MergedStatement(statement, self.only, {self.variant: own}))
        self.held.update({stores[name]: version for name, version in writes.items()})

    def _shared_name(self, version: int, position: int) -> str:
        """The name by which the next shared statement reads a value, unless the variant needs that name meanwhile."""
        for number, later in self.pairs:
            if later <= position:
                continue
            pairs = list(
                _occurrences(self.other.entries[later].statement, self.merged.entries[number].statement, self.local)
            )
            found = next(
                (theirs for name, theirs, stored in pairs if not stored and self.reads[later].get(name) == version), ""
            )
            if found:
                return "" if self._is_needed(found, position) else found
        return ""


def _given(body: MergedBody) -> dict[str, int]:
    """The versions of the parameters."""
    return {name: _NONE if name in body.defaults else -1 - position for position, name in enumerate(body.parameters)}


def _versions(body: MergedBody, local: set[str]) -> tuple[list[dict[str, int]], list[dict[str, int]], dict[int, int]]:
    """For each statement the version of each name that it reads and writes; and where each version is read last."""
    held = _given(body)
    reads: list[dict[str, int]] = []
    writes: list[dict[str, int]] = []
    last: dict[int, int] = {}
    count = 0
    for position, entry in enumerate(body.entries):
        read, written = _read_and_written(entry.statement, local)
        reads.append({name: held[name] for name in read if name in held})
        last.update(dict.fromkeys(reads[-1].values(), position))
        writes.append({})
        for name in written:
            held[name] = writes[-1][name] = count
            count += 1
    return reads, writes, last


def _read_and_written(statement: ast.stmt, local: set[str]) -> tuple[list[str], list[str]]:
    """The names that a statement reads before it writes them, and those it writes: what is changed in place is both."""
    if isinstance(statement, ast.For):
        read, written = list(_names(statement.iter, ast.Load)), list(_names(statement.target, ast.Store))
    elif isinstance(statement, ast.If | ast.While):
        read, written = list(_names(statement.test, ast.Load)), []
    elif isinstance(statement, ast.With):
        read, written = [], []
    else:
        read = list(_names(statement, ast.Load))
        written = [*_names(statement, ast.Store), *mutated(statement)]
    before = list(written)
    for block in (getattr(statement, "body", ()), getattr(statement, "orelse", ())):
        here = list(before)
        for inner in block:
            inner_read, inner_written = _read_and_written(inner, local)
            read += [name for name in inner_read if name not in here]
            here += inner_written
        written += here
    return [n for n in dict.fromkeys(read) if n in local], [n for n in dict.fromkeys(written) if n in local]


def mutated(statement: ast.stmt) -> list[str]:
    """The variables that a statement changes in place: `x[0] = 1`, `features.append(x)`."""
    match statement:
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name))]):
            return [name]
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return [name]
    return []


def _occurrences(own: ast.stmt, other: ast.stmt, local: set[str]) -> Iterator[tuple[str, str, bool]]:
    """The local names of a statement, each beside the one in its place in another that says the same; and whether the
    statement assigns to it there."""
    for left, right in zip(ast.walk(own), ast.walk(other), strict=True):
        if isinstance(left, ast.Name) and isinstance(right, ast.Name) and left.id in local:
            yield left.id, right.id, isinstance(left.ctx, ast.Store)


def _keys(statement: ast.stmt, local: set[str]) -> tuple[str, str]:
    """What a statement says, whatever its numbers are and its local names: without the names, and with a number for
    each different one. Where one is read for two in a simple statement, both can still be one statement."""
    found = dict.fromkeys(node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and node.id in local)
    numbered = {name: f"v{number}" for number, name in enumerate(found)}
    strict = ast.dump(_Rename(numbered, numbered).visit(blanked(statement)))
    if hasattr(statement, "body"):
        return strict, strict
    alike = dict.fromkeys(found, "v")
    return ast.dump(_Rename(alike, alike).visit(blanked(statement))), strict


def _renamed_parameters(left: list[str], right: list[str]) -> dict[str, str]:
    """The parameters of the second that are those of the first under another name: as many, in the same place."""
    if len(left) != len(right):
        return {}
    return {other: one for one, other in zip(left, right, strict=True) if other not in left and one not in right}


class _Rename(ast.NodeTransformer):
    """Other names for the variables that are read, and for those that are written."""

    def __init__(self, loads: dict[str, str], stores: dict[str, str]) -> None:
        self.loads, self.stores = loads, stores

    def visit_Name(self, node: ast.Name) -> ast.Name:
        names = self.loads if isinstance(node.ctx, ast.Load) else self.stores
        node.id = names.get(node.id, node.id)
        return node
