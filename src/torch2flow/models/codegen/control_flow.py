"""The statements of a decision or a loop in a program: Python's own `if`, `while` and `for`.

if x.sum() > 0:                 h = flow.zeros(4)
    y = self.one(x)             ys = []
else:                           for x_t in x:
    y = self.other(x)               h = flow.tanh(self.cell(x_t) + h)
                                    ys.append(h)
                                ys = flow.stack(ys)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch2flow.models.codegen.borders import leaf
from torch2flow.models.codegen.names import free_name
from torch2flow.models.program import Node, Ref, Structure
from torch2flow.models.program.calls import Call
from torch2flow.models.program.control_flow import CARRY, COND, SLICES, WHILE

_NAME = re.compile(r"(?!arg\d)([a-z][a-z_]*\d?)__piece\d+$")
"""What an author calls what a loop carries, as a parameter of the body: a capture says so."""


class Writing(Protocol):
    """The body that a decision or loop stands in (`statements.Body`)."""

    context: Any
    plan: Any
    environment: dict[str, Structure]
    names: Any

    def argument(self, value: Any, hint: str = "") -> ast.expr: ...


def comparison(node: Node, body: Writing) -> ast.expr:
    """`x.shape[0] > 4`."""
    left, right = (body.argument(node.arguments[side]) for side in ("left", "right"))
    sign: Any = ast.parse(f"a {node.arguments['sign']} b", mode="eval").body
    return ast.Compare(left, sign.ops, [right])


def control_statements(body: Writing, number: int, targets: list[str]) -> list[ast.stmt]:
    """The statements of one decision or loop.

    Args:
        body: where it stands.
        number: its step.
        targets: what its results are called; `_` for one that nobody reads.
    """
    writing = _Control(body, number, targets)
    match writing.node.operator:
        case operator if operator == COND:
            return writing.decision()
        case operator if operator == WHILE:
            return writing.while_loop()
    return writing.for_loop()


class _Control:
    """Writes one decision or loop."""

    def __init__(self, body: Writing, number: int, targets: list[str]) -> None:
        self.body, self.number, self.targets = body, number, targets
        steps = body.plan.steps
        self.node: Node = steps[number].item
        self.given = self.node.arguments
        self.parts: dict[str, Node] = {}
        self.blocks: dict[str, Call] = {}
        for step in steps[:number]:
            if step.nested_in == number and isinstance(step.item, Call):
                self.blocks[step.item.frame.key] = step.item
            elif step.nested_in == number and step.is_part:
                self.parts[step.item.operator] = step.item
        self.kept = {
            name
            for name, held in body.environment.items()
            if held.kind != "value" or any(body.plan.is_needed(value, number) for value in held.values())
        }

    # Decisions.

    def decision(self) -> list[ast.stmt]:
        yes, no = (self._branch(place, self.given[key]) for place, key in enumerate(("yes", "no")))
        test = self.body.argument(self.given["test"])
        if not yes and not no:
            return []
        if not yes:
            return [ast.If(ast.UnaryOp(ast.Not(), test), no, [])]
        return [ast.If(test, yes, no)]

    def _branch(self, place: int, values: list[Any]) -> list[ast.stmt]:
        return self._block(place, values, self.body.environment, self.kept, lambda inner: self._assigned(inner, values))

    def _assigned(self, body: Writing, values: Sequence[Any]) -> list[ast.stmt]:
        return assigned(self.targets, [self._value(value, body) for value in values])

    def _block(
        self,
        place: int,
        values: list[Any],
        environment: dict[str, Structure],
        kept: set[str],
        finish: Callable[[Any], list[ast.stmt]],
    ) -> list[ast.stmt]:
        """The statements of one block, where there is any."""
        call = self.blocks.get(self.given["blocks"][place])
        if call is None:  # it gives back what is there
            frame = self.body.plan.call.frame
            call = Call(
                type(frame)(self.given["blocks"][place], frame.path, "", "branch"), self.body.plan.call.depth + 1
            )
        kept = {name for name in kept if name in environment} | self.body.names.kept
        return _shortened(self.body.context.block(call, values, environment, kept, finish), set(environment))

    # Loops.

    def while_loop(self) -> list[ast.stmt]:
        before, environment, names = self._carry()
        tests: list[ast.expr] = []

        def tested(inner: Any) -> list[ast.stmt]:
            tests.append(inner.argument(self.given["test"]))
            return []

        flag = self.given["test"]
        statements = self._block(0, [flag], environment, set(environment), tested)
        body = self._round(1, environment, names, [])
        (test,) = tests
        if statements:
            leave = ast.If(ast.UnaryOp(ast.Not(), test), [ast.Break()], [])
            return [*before, ast.While(ast.Constant(True), [*statements, leave, *body], [])]
        return [*before, ast.While(test, body, [])]

    def for_loop(self) -> list[ast.stmt]:
        before, environment, names = self._carry()
        count = len(self.given["carried"])
        lists: list[tuple[str, Any]] = []
        for number, (name, value) in enumerate(zip(self.targets[count:], self.given["stacked"], strict=True)):
            if name == "_":
                continue
            first: list[ast.expr] = [ast.Name(names[number], ast.Load())] if self.given["begins"] else []
            before.append(ast.Assign([ast.Name(name, ast.Store())], ast.List(first, ast.Load())))
            environment.pop(name, None)
            lists.append((name, value))
        taken = {*environment, *(name for name, _ in lists)}
        over = [self.body.argument(value) for value in self.parts[SLICES].arguments["values"]]
        each: list[str] = []
        for expression, value in zip(over, self.given["sliced"], strict=True):
            base = next((n.id for n in ast.walk(expression) if isinstance(n, ast.Name)), "x")
            wanted = f"{'x' if base in ('self', 'flow') else base}_t"
            each.append(self._free(wanted, {*taken, *each}))
            environment[each[-1]] = leaf(value.name)
        body = self._round(0, environment, names, lists)
        target, iterated = target_of(each), over[0]
        if len(over) > 1:
            iterated = ast.Call(ast.Name("zip", ast.Load()), over, [])
        after: list[ast.stmt] = [
            ast.Assign([ast.Name(name, ast.Store())], ast.parse(f"flow.stack({name})", mode="eval").body)
            for name, _ in lists
        ]
        return [*before, ast.For(target, iterated, body, []), *after]

    def _carry(self) -> tuple[list[ast.stmt], dict[str, Structure], list[str]]:
        """What is assigned before the first round; the names that hold in a round; and those that are carried."""
        part = self.parts.get(CARRY)
        carried, environment = self.given["carried"], dict(self.body.environment)
        if part is None:
            return [], environment, []
        first = [self._value(value, self.body) for value in part.arguments["values"]]
        names: list[str] = []
        for number, name in enumerate(self.targets[: len(carried)]):
            if name == "_":
                value, known = first[number], _NAME.match(carried[number].name)
                wanted = known[1] if known else value.id if isinstance(value, ast.Name) else "state"
                name = self._free(wanted, {*self.kept, *names})
            names.append(name)
        environment |= {name: leaf(value.name) for name, value in zip(names, carried, strict=True)}
        return assigned(names, first), environment, names

    def _round(
        self, place: int, environment: dict[str, Structure], names: list[str], lists: list[tuple[str, Any]]
    ) -> list[ast.stmt]:
        """What is done in each round of a loop."""

        def finish(inner: Any) -> list[ast.stmt]:
            appended: list[ast.stmt] = [
                ast.Expr(ast.Call(ast.Attribute(ast.Name(name, ast.Load()), "append", ast.Load()), [made], []))
                for name, made in [(name, self._value(value, inner)) for name, value in lists]
            ]
            return [*appended, *assigned(names, [self._value(value, inner) for value in self.given["following"]])]

        values = [*self.given["following"], *(value for _, value in lists)]
        kept = self.kept - set(names)
        body = self._block(
            place,
            values,
            environment | {name: leaf("") for name, _ in lists},
            kept | {name for name, _ in lists},
            finish,
        )
        return body or [ast.Pass()]

    def _value(self, value: Any, body: Writing) -> ast.expr:
        """A value; one that is written out is made where the inputs are, since it goes on with what is made of them."""
        expression = body.argument(value)
        is_state = isinstance(value, Ref) and value.name in self.body.context.graph.states
        return self.body.context.on_device(expression, body) if is_state else expression

    def _free(self, wanted: str, taken: set[str]) -> str:
        taken = {*taken, *self.targets, *self.body.names.kept}
        return free_name(wanted, lambda name: name in taken or bool(self.body.context.is_reserved(name)))


def assigned(names: Sequence[str], values: Sequence[ast.expr]) -> list[ast.stmt]:
    """`a, b = x, y`, without what is there already and what nobody reads."""
    pairs = [
        (name, value)
        for name, value in zip(names, values, strict=True)
        if name != "_" and not (isinstance(value, ast.Name) and value.id == name)
    ]
    read = [{node.id for node in ast.walk(value) if isinstance(node, ast.Name)} for _, value in pairs]
    if not any(name in later for number, (name, _) in enumerate(pairs) for later in read[number + 1 :]):
        return [ast.Assign([target_of([name])], value) for name, value in pairs]
    return [ast.Assign([target_of([name for name, _ in pairs])], ast.Tuple([value for _, value in pairs], ast.Load()))]


def target_of(names: Sequence[str]) -> ast.expr:
    """What is assigned to: a name, or several."""
    targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in names]
    return targets[0] if len(targets) == 1 else ast.Tuple(targets, ast.Store())


def _shortened(statements: list[ast.stmt], outside: set[str]) -> list[ast.stmt]:
    """`y = f(x)` for `h = f(x)` and `y = h` at the end of a block."""
    match statements:
        case [*_, ast.Assign(targets=[ast.Name(id=made)]) as first, ast.Assign(value=ast.Name(id=read)) as last]:
            if made == read and made not in outside and isinstance(last.targets[0], ast.Name):
                first.targets = last.targets
                return statements[:-1]
    return statements
