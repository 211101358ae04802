"""What the values of a body are called: the author's names, as long as no other value of that name is still needed.

    residual = x                       `x` is read by another name later, and gets that before `x` is written anew
    x = self.norm(x)
    attn, _ = self.attn(x, mask)       what nobody reads is `_`
    features.append(new_features)      a list that the author fills between two calls

The names that hold before a statement are an *environment*: from each name to the value or structure it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field

from torch2flow.models.codegen.authors_names import AuthorsNames, Surroundings
from torch2flow.models.codegen.borders import is_leaf, leaf, parts, same_content
from torch2flow.models.codegen.environment import Environment, Path, find, find_whole
from torch2flow.models.codegen.names import (
    call_arguments,
    free_name,
    is_name,
    read_names,
    selected,
    singular,
)
from torch2flow.models.codegen.steps import Step, Steps, no_grad
from torch2flow.models.program import Node, Ref, Structure
from torch2flow.models.program.budget import LIVE
from torch2flow.models.program.calls import Call
from torch2flow.models.program.functional import CREATIONS

PARTS = {
    **dict.fromkeys(
        ("max", "min", "topk", "sort", "median", "nanmedian", "kthvalue", "mode", "cummax", "cummin"),
        ("values", "indices"),
    ),
    "aminmax": ("min", "max"),
    "var_mean": ("var", "mean"),
    "std_mean": ("std", "mean"),
}
"""What PyTorch calls the two results of an operator."""

MANY = 300
"""With more names, those that nothing reads any more are forgotten."""


@dataclass(slots=True)
class Preparation:
    """A statement before that of a step: `name = structure`, or `name.append(structure)`."""

    name: str
    structure: Structure
    environment: Environment
    is_append: bool = False


@dataclass(slots=True)
class Named:
    """The names of one statement.

    Attributes:
        before: statements to write first.
        environment: the names that hold when its expression is evaluated.
        targets: what it assigns to; none for a statement that assigns nothing.
        unpacks: whether the targets stand for the parts of what it gives.
        nesting: what it gives, where the targets stand for the leaves of it: `output, (hidden, cell) = ...`.
        selection: the part of what it gives that is assigned: `[0]`.
        is_copy: a part of a tensor is written: into a copy, since something else may look at the tensor.
    """

    before: list[Preparation] = field(default_factory=list)
    environment: Environment = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)
    unpacks: bool = False
    nesting: Structure | None = None
    selection: Path = ()
    is_copy: bool = False


@dataclass(slots=True)
class Names:
    """The names of a body.

    Attributes:
        parameters: those of `forward`.
        unpacked: parameters that are taken apart first: `cos, sin = position_embeddings`.
        statements: by the number of the step; `len(steps)` for the `return`.
        kept: names that stand for the same when the body ends.
    """

    parameters: list[str]
    unpacked: list[tuple[list[str], str]]
    statements: dict[int, Named]
    kept: Set[str] = frozenset()


def name_values(
    steps: Steps,
    arguments: list[tuple[str, Structure]],
    around: Surroundings,
    given: Environment | None = None,
    kept: Set[str] = frozenset(),
) -> Names:
    """The names of a body.

    Args:
        steps: what the body does.
        arguments: of `forward`; those without a name get one.
        around: the rest of the model.
        given: names that hold already, where the parameters are settled elsewhere.
        kept: names of those that stand for the same when the body ends.
    """
    naming = _Naming(steps, around, kept=kept)
    if given is None:
        naming.name_parameters(arguments)
    else:
        naming.environment = dict(given)
    statements = {number: naming.name_statement(number, step) for number, step in steps.statements()}
    statements[len(steps.steps)] = naming.name_return()
    return Names(naming.parameters, naming.unpacked, statements, kept)


@dataclass(slots=True)
class _Naming:
    """Names statement after statement; `environment` holds the names of now."""

    steps: Steps
    around: Surroundings
    environment: Environment = field(default_factory=dict)
    parameters: list[str] = field(default_factory=list)
    unpacked: list[tuple[list[str], str]] = field(default_factory=list)
    before: list[Preparation] = field(default_factory=list)
    live: int = 0
    kept: Set[str] = frozenset()

    @property
    def authors(self) -> AuthorsNames:
        return AuthorsNames(self.steps, self.around)

    # Parameters.

    def name_parameters(self, arguments: list[tuple[str, Structure]]) -> None:
        for wanted, structure in arguments:
            if not wanted:
                found = self.authors.seen_as(structure.value) or ("x" if len(arguments) == 1 else "")
                position = len(self.parameters)
                wanted = (
                    found or self.authors.made_as(structure.value) or ("x" if position == 0 else f"x{position + 1}")
                )
            name = self._free(wanted, self.environment.__contains__)
            self.parameters.append(name)
            self.environment[name] = structure
        for name, structure in list(self.environment.items()):
            if structure.kind == "tuple":
                self._take_apart(name, structure)

    def _take_apart(self, name: str, structure: Structure) -> None:
        """`cos, sin = position_embeddings`, where the parts are used one by one and the author's lines name them."""
        alone = set(self._used_alone(structure))
        if not alone or not all(is_leaf(child) for child in structure.children):
            return
        names = []
        for child in structure.children:
            wanted = self.authors.seen_as(child.value) if child.kind == "value" and child.value in alone else "_"
            if not wanted or (wanted != "_" and (wanted in names or wanted in self.environment)):
                return
            names.append(wanted)
        self.unpacked.append((names, name))
        self.environment.update(
            {each: child for each, child in zip(names, structure.children, strict=True) if each != "_"}
        )

    def _used_alone(self, structure: Structure) -> Iterator[str]:
        """The values of a structure that are used by themselves, and not only as parts of it."""
        values = list(structure.values())
        for step in self.steps.steps:
            if isinstance(step.item, Node):
                lists = [_values_of(each) for each in step.item.arguments.values()]
                inside = set(values) if values in lists else set()
            else:
                inside = {
                    value
                    for _, each in step.arguments
                    for _, part in parts(each)
                    if part.children and same_content(part, structure)
                    for value in part.values()
                }
            yield from (value for value in step.inputs if value in values and value not in inside)
        if not same_content(self.steps.result, structure):
            yield from (value for value in self.steps.result.values() if value in values)

    # Statements.

    def name_statement(self, number: int, step: Step) -> Named:
        self.before = []
        for each, nested in enumerate(self.steps.steps):
            if self.steps.root(each) == number:
                self._collect_lists(nested, number)
        if step.is_store:
            return self._named(number)
        if step.is_setitem:
            return self._name_written(step, number)
        kept = self._keep_for_later(step, number)
        named = self._named(number)
        self.environment.pop(kept, None)  # the statement itself still reads it by this name
        if step.result is not None and not is_leaf(step.result):
            self._name_parts(step, step.result, number, named)
        else:
            items = [leaf(value) for value in step.outputs]
            unread = not step.targets and not any(self.steps.is_needed(value, number) for value in step.outputs)
            if isinstance(step.item, Call) and unread:
                return named
            named.targets = self._assign(items, step, number)
            named.unpacks = len(items) > 1 or step.is_list
        return named

    def name_return(self) -> Named:
        self.before = []
        end = len(self.steps.steps)
        for number, step in enumerate(self.steps.steps):
            if self.steps.root(number) == end:
                self._collect_lists(step, end)
        return self._named(end)

    def _named(self, number: int) -> Named:
        if len(self.environment) > MANY:
            parameters = set(self.parameters)
            self.environment = {
                name: bound
                for name, bound in self.environment.items()
                if name in parameters or any(self.steps.last_use.get(each, -1) >= number for each in bound.values())
            }
        self.live += len(self.environment)
        if self.live > LIVE:
            raise ValueError(f"too many values have a name at one time in {self.steps.call.path or 'the model itself'}")
        return Named(self.before, dict(self.environment))

    def _name_parts(self, step: Step, result: Structure, number: int, named: Named) -> None:
        """Names what a module gives: the whole of it, a part of it, or each part."""
        path = selected(step.line.text) if step.line is not None else ()
        part = next((part for way, part in parts(result) if way == path), None) if path else None
        if len(step.targets) == 1 and path and part is not None:
            named.selection = path
            named.targets = self._assign([part], step, number)
        elif len(step.targets) == 1 and isinstance(step.item, Call) and step.item.border is not None:
            named.targets = self._assign([result], step, number)
        elif result.kind in ("tuple", "list"):
            leaves = [part for _, part in parts(result) if is_leaf(part)]
            nested = len(step.targets) == len(leaves) > len(result.children)
            named.targets = self._assign(leaves if nested else list(result.children), step, number)
            named.unpacks, named.nesting = True, result if nested else None
        else:
            named.targets = self._assign([result], step, number)

    def _name_written(self, step: Step, number: int) -> Named:
        """Names the result of `x[1:3] = value`: as `x`, or as a copy where something else may look at `x`."""
        assert isinstance(step.item, Node)
        base: str = step.item.arguments["self"].name
        made = self.steps.producer.get(base)
        maker = self.steps.steps[made].item if made is not None else None
        fresh = isinstance(maker, Node) and maker.operator in CREATIONS
        held = find(self.environment, base)
        if fresh and not self.steps.is_needed(base, number) and held is not None and not held[2]:
            named = self._named(number)
            named.targets = [held[0]]
            self.environment[held[0]] = leaf(step.outputs[0])
            return named
        # Two statements: what the second reads must not lose its name in the first.
        for each, nested in enumerate(self.steps.steps):
            if self.steps.root(each) == number:
                for operand in nested.inputs:
                    if operand != base:
                        self.steps.last_use[operand] = max(self.steps.last_use.get(operand, -1), number + 1)
        named = self._named(number)
        named.is_copy = True
        named.targets = self._assign([leaf(step.outputs[0])], step, number)
        return named

    # Lists that the author keeps.

    def _collect_lists(self, step: Step, number: int) -> None:
        """Gives the lists that a step reads the author's names, and appends to them what was added meanwhile."""
        if isinstance(step.item, Node):
            for value in step.item.arguments.values() if not (step.is_control or step.is_function) else ():
                self._extend(_values_of(value))
            return
        passed = call_arguments(step.line.text, step.child) if step.line is not None else ()
        border = step.item.border
        for name, structure in step.arguments:
            if structure.kind != "list" or not structure.children:
                continue
            values = [part.value if part.kind == "value" else "" for part in structure.children]
            if "" in values or self._extend(values) or find_whole(self.environment, structure):
                continue
            given = [each for each, _ in border.arguments] if border is not None else []
            called = passed[given.index(name)] if len(passed) == len(given) and name in given else ""
            if is_name(called) and self._is_read_again(structure, number):
                called = self._free(called, self._busy(number))
                self.before.append(Preparation(called, structure, dict(self.environment)))
                self.environment[called] = structure

    def _is_read_again(self, structure: Structure, number: int) -> bool:
        """Whether a later step reads the same list, or one that goes on from it."""
        values = [part.value for part in structure.children]
        for each, step in enumerate(self.steps.steps):
            if self.steps.root(each) <= number:
                continue
            lists = [[part.value for part in given.children] for _, given in step.arguments if given.kind == "list"]
            if isinstance(step.item, Node):
                lists += [_values_of(value) for value in step.item.arguments.values()]
            if any(found[: len(values)] == values for found in lists):
                return True
        return False

    def _extend(self, values: list[str]) -> bool:
        """Appends what a kept list lacks of these values; whether there is such a list."""
        for name, held in self.environment.items():
            have = [part.value for part in held.children]
            if held.kind != "list" or name in self.kept or not have or values[: len(have)] != have or len(values) == 1:
                continue
            for value in values[len(have) :]:
                self.before.append(Preparation(name, leaf(value), dict(self.environment), is_append=True))
            children = tuple(map(leaf, values))
            self.environment[name] = Structure("list", children=children, identity=held.identity)
            return True
        return False

    # Names for what a statement makes.

    def _assign(self, items: list[Structure], step: Step, number: int) -> list[str]:
        """The names for what a statement makes; `_` for what nobody uses."""
        needed = [index for index, item in enumerate(items) if self._is_used(item)]
        wanted = self._wanted(items, needed, step, number)
        given: list[str] = []
        is_busy = self._busy(number)
        for index, item in enumerate(items):
            if index not in needed and len(items) > 1:
                given.append("_")
                continue
            name = wanted.get(index, "_")
            if name in ("", "_"):
                name = self._unnamed(item, step, number)
            held = self.environment.get(name)
            if held is not None and same_content(held, item) and name not in given:
                given.append(name)  # The module gives back what it was given.
                continue
            given.append(self._free(name, lambda each: each in given or is_busy(each)))
            self.environment[given[-1]] = item
        return given

    def _is_used(self, item: Structure) -> bool:
        return any(value in self.steps.last_use for value in item.values())

    def _wanted(self, items: list[Structure], needed: list[int], step: Step, number: int) -> dict[int, str]:
        """The author's names for the parts of what a statement makes."""
        targets = list(step.targets)
        named = [name for name in targets if name not in ("_", "")]
        if len(targets) == len(items) and (step.result is not None or len(named) == len(targets)):
            return dict(enumerate(targets))
        if len(named) < len(targets) and len(named) == len(needed) > 1:
            return dict(
                zip(self._as_read_later([(n, items[n].value) for n in needed], named, number), named, strict=True)
            )
        if len(targets) == 1:
            return dict.fromkeys(needed, targets[0])
        return dict(zip(needed, self._group_targets(step), strict=False)) if targets else {}

    def _as_read_later(self, values: list[tuple[int, str]], names: list[str], number: int) -> list[int]:
        """The values in the order of their names, as far as later lines tell: `_, x, h = stage(x)`."""
        found: dict[str, int] = {}
        for index, value in values:
            for step in self.steps.steps[number + 1 :]:
                seen = self.authors.alone_as(step, value) if value in step.inputs else ""
                if seen in names:
                    found.setdefault(seen, index)
        rest = iter([index for index, _ in values if index not in found.values()])
        return [found[name] if name in found else next(rest) for name in names]

    def _group_targets(self, step: Step) -> Iterator[str]:
        """For `q, k = self.q(x), self.k(x)`: the target that belongs to this one of the line's values."""
        group = [
            each
            for each in self.steps.steps
            if each.line == step.line
            and each.nested_in < 0
            and any(name in self.steps.last_use for name in each.outputs)
        ]
        if len(group) == len(step.targets):
            yield step.targets[group.index(step)]

    def _unnamed(self, item: Structure, step: Step, number: int) -> str:
        """A name for what the author gave none: as later lines call it, as the module that makes it calls it, as
        PyTorch calls this part of what the operator gives, that of the one operand that it replaces, or `out`."""
        if item.kind == "value" and (later := self._read_later_as(item.value, number)):
            return later
        if isinstance(step.item, Call):
            called = self.around.returned_name(step.item)
            name = (
                singular(step.item.path.split(".")[-2])
                if step.child.isdigit() and "." in step.item.path
                else step.child
            )
            return called if is_name(called) else name if is_name(name) else "x"
        made = step.item.outputs if isinstance(step.item, Node) else []
        if len(made) == 2 and item.kind == "value" and (names := PARTS.get(step.item.operator.split(".")[1])):
            return names[made.index(item.value)]
        operands = [
            found[0]
            for value in dict.fromkeys(step.inputs)
            if (found := find(self.environment, value)) and not found[2]
        ]
        if operands and not self.steps.is_needed(step.inputs[0], number):
            return operands[0]
        return "out"

    def _keep_for_later(self, step: Step, number: int) -> str:
        """`residual = x` before `x = self.norm(x)`, where the source reads the old `x` by another name later.

        Returns:
            the name that the value had; "" if it is not kept.
        """
        if len(step.targets) != 1 or no_grad(step.item):
            return ""
        wanted = step.targets[0]
        old = self.environment.get(wanted)
        if old is None or old.kind != "value" or not self.steps.is_needed(old.value, number):
            return ""
        alias = self._read_later_as(old.value, number)
        if not alias or self.around.is_reserved(alias) or not self.kept.isdisjoint((alias, wanted)):
            return ""
        self.before.append(Preparation(alias, old, dict(self.environment)))
        self.environment[alias] = old
        return wanted

    def _read_later_as(self, value: str, number: int) -> str:
        """The name by which later lines read a value, where that is the only one that fits; "" otherwise."""
        for step in self.steps.steps[number + 1 :]:
            if value not in step.inputs or step.line is None or step.opaque:
                continue
            others = {name for other in self._read_in(step) if other != value for name in self._called(other)}
            # The new name is given before the statement, which still reads its own operands.
            taken = {
                name
                for name, bound in self.environment.items()
                if any(self.steps.last_use.get(each, -1) >= number for each in bound.values())
            }
            read = (name for name in read_names(step.line.text) if name not in others | taken)
            fitting = [name for name in read if not self.around.is_reserved(name)]
            if len(fitting) == 1 and is_name(fitting[0]):
                return fitting[0]
        return ""

    def _read_in(self, step: Step) -> set[str]:
        """The values that the steps of one line read."""
        return {value for other in self.steps.steps if other.line == step.line for value in other.inputs}

    def _called(self, value: str) -> list[str]:
        """What a value is or will be called here."""
        named = [name for name, bound in self.environment.items() if value in bound.values()]
        maker = self.steps.producer.get(value)
        return [*named, *(self.steps.steps[maker].targets if maker is not None else ())]

    def _busy(self, number: int) -> Callable[[str], bool]:
        """Tells the names that may not be given anew by a statement: something after it reads what they stand for."""
        kept: set[str] = set()
        names: dict[str, list[str]] = {}
        for name, bound in self.environment.items():
            if bound.children:
                kept.update(bound.values())
            elif bound.kind == "value":
                names.setdefault(bound.value, []).append(name)

        def is_busy(name: str) -> bool:
            bound = self.environment.get(name)
            return bound is not None and any(
                self.steps.is_needed(value, number)
                and (
                    bound.children or not (value in kept or self._is_read_by(names.get(value, []), value, name, number))
                )
                for value in bound.values()
            )

        return is_busy

    def _is_read_by(self, names: list[str], value: str, name: str, number: int) -> bool:
        """Whether the author's later lines read a value by another of its names."""
        others = {other for other in names if other != name}
        later = [step for step in self.steps.steps[number + 1 :] if value in step.inputs] if others else []
        return bool(later) and all(step.line is not None and others & set(read_names(step.line.text)) for step in later)

    def _free(self, name: str, is_taken: Callable[[str], bool]) -> str:
        return free_name(
            name,
            lambda candidate: is_taken(candidate) or candidate in self.kept or self.around.is_reserved(candidate),
        )


def _values_of(value: object) -> list[str]:
    """The values of an operator's argument that is a list of tensors; none for any other."""
    if isinstance(value, list) and value and all(isinstance(item, Ref) for item in value):
        return [item.name for item in value]
    return []
