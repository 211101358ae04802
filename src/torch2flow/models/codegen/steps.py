"""The items of a module's call as steps, and which of them are written inside the expression that uses them.

    out = self.relu(self.bn1(self.conv1(x)))       three steps, one statement

A step is nested in the one that uses what it makes where the author wrote both in one line, or gave it no name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from torch2flow.models.codegen.borders import same_content
from torch2flow.models.codegen.names import is_return, operations, puts_together, read_names, statement_targets, targets
from torch2flow.models.program import Graph, Line, Meta, Node, Structure, SymInt
from torch2flow.models.program.calls import Call, lent, lines_of
from torch2flow.models.program.control_flow import CONTROLS, FUNCTION, FUNCTION_BLOCKS, PARTS, SLICES
from torch2flow.models.program.functional import SETITEM

Given = tuple[list[tuple[str, Structure]], Structure]
"""What a module call is given, parameter by parameter, and what it gives."""

_DEPTH, _DEPTH_OPAQUE = 5, 3
"""How many calls may be nested in one statement; and where the source does not tell."""


@dataclass(slots=True)
class Step:
    """One item of a body.

    Attributes:
        item: the call of an operator or of a module.
        arguments: what a module is given, parameter by parameter; empty for operators.
        result: what a module gives; None for operators.
        inputs, outputs: the values it reads and makes.
        line: the author's line it comes from.
        place: the number of the line in the `forward` itself, from which `line` was reached; 0 where it is not known.
        targets: the names that the author's line assigns to.
        nested_in: the number of the step whose expression it is written in; -1 where it is a statement.
        depth: how many calls are nested in each other up to it.
        round: which round of a loop in the source it belongs to, where one line was run several times in a row.
        opaque: the line only calls a function that does all this: it does not say how the steps hang together.
    """

    item: Node | Call
    arguments: list[tuple[str, Structure]]
    result: Structure | None
    inputs: list[str]
    outputs: list[str]
    line: Line | None
    targets: tuple[str, ...]
    nested_in: int = -1
    depth: int = 1
    round: int = 0
    opaque: bool = False
    place: int = 0

    @property
    def is_store(self) -> bool:
        """Whether it writes a buffer or a parameter."""
        return isinstance(self.item, Node) and not self.item.outputs

    @property
    def writes(self) -> bool:
        """Whether it writes a buffer, or may do so in a branch."""
        return self.is_store or self.is_control

    @property
    def is_setitem(self) -> bool:
        """Whether it writes into a part of a tensor."""
        return isinstance(self.item, Node) and self.item.operator == SETITEM

    @property
    def is_control(self) -> bool:
        """Whether it is a decision or a loop."""
        return isinstance(self.item, Node) and self.item.operator in CONTROLS and not self.is_function

    @property
    def is_function(self) -> bool:
        """Whether it is a function of the author's with a backward of its own."""
        return isinstance(self.item, Node) and self.item.operator == FUNCTION

    @property
    def is_part(self) -> bool:
        """Whether it is written as a part of the decision, loop or function that follows."""
        return self.item.is_block if isinstance(self.item, Call) else self.item.operator in PARTS

    @property
    def is_list(self) -> bool:
        """Whether it is an operator that gives a list."""
        return isinstance(self.item, Node) and self.item.is_list

    @property
    def child(self) -> str:
        """The name of the module that is called; "" for operators."""
        return self.item.path.rpartition(".")[2] if isinstance(self.item, Call) and not self.item.is_block else ""


@dataclass(slots=True)
class Steps:
    """The steps of one call, and how long each value is needed.

    Attributes:
        result: what the call gives.
        steps: in the order of the program.
        producer: the step that makes each value.
        last_use: the last statement that reads each value; `len(steps)` for what the call gives.
        by_item: the step of each item, by its `id`.
    """

    call: Call
    result: Structure
    steps: list[Step]
    producer: dict[str, int] = field(default_factory=dict)
    last_use: dict[str, int] = field(default_factory=dict)
    by_item: dict[int, Step] = field(default_factory=dict)

    def step_of(self, item: Node | Call) -> Step:
        """The step of an item."""
        return self.by_item[id(item)]

    def root(self, number: int) -> int:
        """The statement a step ends up in; `len(steps)` for the `return`."""
        while number < len(self.steps) and self.steps[number].nested_in >= 0:
            number = self.steps[number].nested_in
        return number

    def is_nested(self, value: str) -> bool:
        """Whether a value is written inside the expression that uses it, and has no name."""
        number = self.producer.get(value)
        return number is not None and self.steps[number].nested_in >= 0

    def statements(self) -> Iterator[tuple[int, Step]]:
        """The steps that are statements."""
        return ((number, step) for number, step in enumerate(self.steps) if step.nested_in < 0)

    def is_needed(self, value: str, after: int) -> bool:
        """Whether a statement after this one still reads a value."""
        return self.last_use.get(value, -1) > after


def read_steps(call: Call, graph: Graph, result: Structure, given: dict[int, Given]) -> Steps:
    """The steps of a call.

    Args:
        call: the call to write.
        graph: its program.
        result: what the call gives, as the author returns it.
        given: by the `id` of each module call inside: its arguments, and its result.
    """
    lines = _lines(call)
    steps = Steps(
        call, result, [_step(item, call, graph, given, lines[number]) for number, item in enumerate(call.items)]
    )
    for number, step in enumerate(steps.steps):
        steps.producer.update(dict.fromkeys(step.outputs, number))
        steps.by_item[id(step.item)] = step
    _count_rounds(steps.steps)
    _nest(steps)
    _find_last_uses(steps, graph.metas)
    return steps


def _lines(call: Call) -> list[tuple[Line, ...]]:
    """The source lines of each item, without those of functions that do nothing else: `F.relu(x)` is its caller's."""
    found = [(), *(lines_of(item, call.depth) for item in call.items), ()]
    return [
        lines[: 1 + max(_depth_in_common(lines, before), _depth_in_common(lines, after))]
        for before, lines, after in zip(found, found[1:], found[2:], strict=False)
    ]


def _depth_in_common(lines: tuple[Line, ...], others: tuple[Line, ...]) -> int:
    """How many functions deep two items lie in the same calls of functions."""
    same = next((n for n, pair in enumerate(zip(lines, others, strict=False)) if pair[0] != pair[1]), len(lines))
    return max(min(same, len(lines) - 1, len(others) - 1), 0)


def _step(item: Node | Call, call: Call, graph: Graph, given: dict[int, Given], lines: tuple[Line, ...]) -> Step:
    arguments: list[tuple[str, Structure]] = []
    result: Structure | None = None
    if isinstance(item, Node):
        inputs, outputs = item.refs(), [name for name in item.outputs if name]
        if item.operator == FUNCTION:  # what its blocks read are parameters of their own
            inputs = [value.name for value in item.arguments["given"]]
    elif item.is_block:
        inputs, outputs = [] if item.frame.block in FUNCTION_BLOCKS else item.inputs, item.outputs
    else:
        arguments, result = given[id(item)]
        needed = set(item.inputs)
        inputs = [value for _, each in arguments for value in each.values() if value in needed]
        inputs = [name for name in (lent(item, call.path), *inputs) if name]
        made = {value for node in item.nodes() for value in node.outputs}
        outputs = [value for value in dict.fromkeys(result.values()) if value in made]
    inputs = [value for value in inputs if value not in graph.states or value in call.inputs]
    line = lines[-1] if lines else None
    names = () if line is not None and puts_together(line.text) else statement_targets(lines)
    if isinstance(item, Node) and item.operator == SETITEM and line is not None:
        names = read_names(line.text)[:1] or names
    return Step(item, arguments, result, inputs, outputs, line, names, place=lines[0].number if lines else 0)


def _count_rounds(steps: list[Step]) -> None:
    """Tells the rounds of a loop apart (`x = layer(x)`: the same steps again and again from one line), and marks
    the lines that stand for more steps than they can say."""
    for line, items in groupby(steps, key=lambda step: step.line):
        group = list(items)
        if line is None or len(group) < 2:
            continue
        keys = [_kind(step.item) for step in group]
        size = _period(keys)
        listed = all(step.child.isdigit() for step in group)
        if listed or (set(targets(line.text)) & set(read_names(line.text)) and size <= operations(line.text)):
            for position, step in enumerate(group):
                step.round = position // size
        elif len(group) > operations(line.text):
            for step in group[:-1]:
                step.opaque, step.targets = True, ()
            group[-1].opaque = True


def _kind(item: Node | Call) -> str:
    """What tells one step of a loop's round from another."""
    if isinstance(item, Node):
        return item.target
    parent, _, child = item.path.rpartition(".")
    return f"{parent} {'' if child.isdigit() else item.frame.class_name}"  # the modules of a list may be of any class


def _period(keys: list[str]) -> int:
    """The length of the shortest piece that the list repeats; its own length where it repeats none."""
    return next(n for n in range(1, len(keys) + 1) if len(keys) % n == 0 and keys == keys[:n] * (len(keys) // n))


def _nest(steps: Steps) -> None:
    uses: dict[str, list[int]] = {}
    end = len(steps.steps)
    control = -1
    for number in reversed(range(end)):
        if steps.steps[number].is_control or steps.steps[number].is_function:
            control = number
        elif steps.steps[number].is_part:
            steps.steps[number].nested_in = control
    for number, step in enumerate(steps.steps):
        for name in step.inputs:
            uses.setdefault(name, []).append(number)
    for name in steps.result.values():
        uses.setdefault(name, []).append(end)
    for number, step in enumerate(steps.steps):
        used = [name for name in step.outputs if name in uses]
        if step.is_control or step.is_part:
            continue
        if step.is_list or step.is_setitem or len(used) != 1 or (isinstance(step.item, Node) and len(step.outputs) > 1):
            continue
        users = uses[used[0]]
        if len(users) == 1 and users[0] < end and _may_nest(steps, number, users[0], used[0]):
            step.nested_in = users[0]
            steps.steps[users[0]].depth = max(steps.steps[users[0]].depth, step.depth + 1)
    for step in reversed(steps.steps):
        # What the source returns without a name goes into the `return`, as far as nothing else comes between.
        if step.nested_in >= 0:
            continue
        if step.is_control:
            break
        used = [name for name in step.outputs if name in uses]
        whole = step.result is not None and same_content(step.result, steps.result)
        if step.targets or not used or any(uses[name] != [end] for name in used) or is_guarded(step.item, steps.call):
            break
        if step.is_list or step.is_setitem or not (whole or len(step.outputs) == 1):
            break
        step.nested_in = end


def _may_nest(steps: Steps, number: int, user: int, value: str) -> bool:
    """Whether a step may be written inside the only step that uses what it makes."""
    step, other = steps.steps[number], steps.steps[user]
    if other.is_setitem and other.inputs[0] == value:
        return False
    if isinstance(other.item, Call) and other.item.is_block:
        return False  # It would be computed in one branch alone, or in each round.
    same_line = step.line is not None and step.line == other.line and step.round == other.round
    nameless = not step.targets or (step.line is not None and is_return(step.line.text))
    if not (same_line or (nameless and step.line is not None and user == number + 1)):
        return False
    if no_grad(step.item) != no_grad(other.item) or step.depth >= (_DEPTH_OPAQUE if step.opaque else _DEPTH):
        return False
    if step.opaque and isinstance(step.item, Call):
        return False
    # A buffer that is written between the two places may be what the step reads.
    return not any(each.nested_in < 0 and each.writes for each in steps.steps[number + 1 : user])


def _find_last_uses(steps: Steps, metas: dict[str, Meta]) -> None:
    for number, step in enumerate(steps.steps):
        for name in step.inputs:
            steps.last_use[name] = max(steps.last_use.get(name, -1), steps.root(number) + _is_looped(steps, number))
    for name in steps.result.values():
        steps.last_use[name] = len(steps.steps)
    for number, step in enumerate(steps.steps):
        if isinstance(step.item, Node):
            _keep_sizes(steps, metas, list(sizes_in(step.item.arguments)), steps.root(number))
        elif step.item.is_block and step.item.frame.block not in FUNCTION_BLOCKS:
            for node in step.item.nodes():
                _keep_sizes(steps, metas, list(sizes_in(node.arguments)), steps.root(number), 1)


def _is_looped(steps: Steps, number: int) -> bool:
    """Whether a step is read by the rounds of a loop: what it reads is not lost when the loop's results get names."""
    while number < len(steps.steps) and number >= 0:
        item = steps.steps[number].item
        if item.frame.block in ("test", "body") if isinstance(item, Call) else item.operator == SLICES:
            return True
        number = steps.steps[number].nested_in
    return False


def _keep_sizes(steps: Steps, metas: dict[str, Meta], needed: list[SymInt], root: int, longer: int = 0) -> None:
    """Keeps a tensor that has a dynamic size of this statement under its name until then."""
    for size in needed:
        for text in [size.text] if _with_size(steps, metas, size.text, root) else size.symbols:
            found = _with_size(steps, metas, text, root)
            if found and not any(steps.last_use.get(name, -1) >= root + longer for name in found):
                steps.last_use[found[0]] = root + longer


def _with_size(steps: Steps, metas: dict[str, Meta], text: str, before: int) -> list[str]:
    """The values with a name that have a dynamic size, the inputs first."""
    made = [name for step in steps.steps[:before] if step.nested_in < 0 for name in step.outputs]
    return [
        name
        for name in [*steps.call.inputs, *made]
        if name in metas and any(isinstance(size, SymInt) and size.text == text for size in metas[name].shape)
    ]


def sizes_in(value: Any) -> Iterator[SymInt]:
    """The dynamic sizes in an operator's arguments."""
    if isinstance(value, SymInt):
        yield value
    elif isinstance(value, dict):
        yield from sizes_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from sizes_in(item)


def no_grad(item: Node | Call) -> bool:
    """Whether all of it is made under `torch.no_grad()`."""
    return item.no_grad if isinstance(item, Node) else all(node.no_grad for node in item.nodes())


def is_guarded(item: Node | Call, call: Call) -> bool:
    """Whether an item needs `with flow.no_grad()` here: a call wholly under it is put there by its caller."""
    return no_grad(item) and not (call.frame.no_grad if call.is_block else call.depth and no_grad(call))
