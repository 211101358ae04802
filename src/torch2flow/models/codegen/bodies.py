"""Writes one call of a module as a `forward`: its items as statements, nested as the author nested them.

Three decisions, in this order: which values are written inside the expression that uses them (those used once, by
the same source line, or nameless in the source); which names the others get (the author's, as long as no other
value of that name is still needed); and then each statement's expression, when all its operands have names.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

from torch2flow.models.codegen.literals import literal, slice_of
from torch2flow.models.codegen.names import (
    call_arguments,
    is_name,
    is_return,
    operations,
    read_names,
    singular,
    statement_targets,
    targets,
)
from torch2flow.models.program import Frame, Graph, Line, Node, Ref, SymInt
from torch2flow.models.program.calls import Call, line_of, lines_of
from torch2flow.models.program.functional import CREATIONS, SETITEM

_DEPTH, _DEPTH_OPAQUE = 5, 3
"""How many calls may be nested in one statement; and where the source does not tell."""


class Context(Protocol):
    """What a body needs to know of the rest of the model."""

    graph: Graph

    def operator(self, node: Node, body: Body) -> ast.expr: ...

    def state(self, name: str, path: str) -> ast.expr | None: ...

    def child(self, call: Call, path: str) -> ast.expr: ...

    def results(self, call: Call) -> list[str]: ...

    def inputs(self, call: Call) -> list[str]: ...

    def is_reserved(self, name: str) -> bool: ...

    def producer(self, name: str) -> Node | None: ...

    def input_name(self, name: str) -> str: ...

    def frames(self, call: Call) -> tuple[Frame, ...]: ...


@dataclass(slots=True)
class Step:
    """One item of a body, and what was decided about it."""

    item: Node | Call
    inputs: list[str]
    outputs: list[str]
    line: Line | None
    targets: tuple[str, ...]
    nested_in: int = -1
    depth: int = 1
    round: int = 0
    """Which round of a loop in the source it belongs to, where one line was run several times in a row."""
    opaque: bool = False
    """The line only calls a function that does all this: it says nothing of how the steps hang together."""


@dataclass(slots=True)
class Body:
    """The statements of one call.

    Attributes:
        names: the local name of each value that has one now.
        parameters: the names of `forward`'s parameters, one for each input of the call.
    """

    context: Context
    call: Call
    parameters: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    bound: dict[str, str] = field(default_factory=dict)
    last_use: dict[str, int] = field(default_factory=dict)
    producer: dict[str, int] = field(default_factory=dict)
    temporary: dict[str, int] = field(default_factory=dict)
    statements: list[ast.stmt] = field(default_factory=list)
    now: int = -1

    # What there is to write.

    def read(self, results: list[str]) -> None:
        """Collects the steps and decides which are nested in others."""
        for item in self.call.items:
            node_lines = lines_of(item, self.call.depth)
            inputs = item.refs() if isinstance(item, Node) else self.context.inputs(item)
            inputs = [name for name in inputs if self._is_local(name)]
            outputs = [name for name in item.outputs if name] if isinstance(item, Node) else self.context.results(item)
            line = line_of(item, self.call.depth)
            names = statement_targets(node_lines)
            if _is_setitem(item) and line is not None:
                names = read_names(line.text)[:1] or names
            self.steps.append(Step(item, inputs, outputs, line, names))
        for number, step in enumerate(self.steps):
            for name in step.outputs:
                self.producer[name] = number
        self._count_rounds()
        self._nest(results)
        self._lifetimes(results)

    def _is_local(self, name: str) -> bool:
        return name not in self.context.graph.states or name in self.call.inputs

    def _count_rounds(self) -> None:
        """Tells the rounds of a loop apart (`x = layer(x)`: the same steps again and again from one line), and marks
        the lines that stand for more steps than they can say."""
        for line, items in groupby(self.steps, key=lambda step: step.line):
            group = list(items)
            if line is None or len(group) < 2:
                continue
            keys = [_kind(step.item) for step in group]
            size = _period(keys)
            listed = all(isinstance(step.item, Call) and step.item.path.rpartition(".")[2].isdigit() for step in group)
            if listed or (set(targets(line.text)) & set(read_names(line.text)) and size <= operations(line.text)):
                for position, step in enumerate(group):
                    step.round = position // size
            elif len(group) > operations(line.text):
                for step in group[:-1]:
                    step.opaque, step.targets = True, ()
                group[-1].opaque = True

    def _nest(self, results: list[str]) -> None:
        uses: dict[str, list[int]] = {}
        for number, step in enumerate(self.steps):
            for name in step.inputs:
                uses.setdefault(name, []).append(number)
        for name in results:
            uses.setdefault(name, []).append(len(self.steps))
        end = len(self.steps)
        for number, step in enumerate(self.steps):
            if len(step.outputs) != 1 or _is_list(step.item) or _is_setitem(step.item):
                continue
            users = uses.get(step.outputs[0], [])
            if len(users) != 1:
                continue
            user = users[0]
            if user < end and _is_setitem(self.steps[user].item) and self.steps[user].inputs[0] == step.outputs[0]:
                continue
            if user == end:
                continue
            other = self.steps[user]
            same_line = step.line is not None and step.line == other.line and step.round == other.round
            nameless = not step.targets or (step.line is not None and is_return(step.line.text))
            if not (same_line or (nameless and step.line is not None and user == number + 1)):
                continue
            if no_grad(step.item) != no_grad(other.item) or step.depth >= (_DEPTH_OPAQUE if step.opaque else _DEPTH):
                continue
            if step.opaque and isinstance(step.item, Call):
                continue
            if any(s.nested_in < 0 and _changes(s.item) for s in self.steps[number + 1 : user]):
                continue
            step.nested_in = user
            other.depth = max(other.depth, step.depth + 1)
        for step in reversed(self.steps):
            # What the source returns without a name goes into the `return`, as far as nothing else comes between.
            if step.nested_in >= 0:
                continue
            if step.targets or len(step.outputs) != 1 or uses.get(step.outputs[0]) != [end] or self._guarded(step.item):
                break
            if _is_list(step.item) or _is_setitem(step.item):
                break
            step.nested_in = end

    def root(self, number: int) -> int:
        """The statement a step ends up in."""
        while number < len(self.steps) and self.steps[number].nested_in >= 0:
            number = self.steps[number].nested_in
        return number

    def _lifetimes(self, results: list[str]) -> None:
        for number, step in enumerate(self.steps):
            for name in step.inputs:
                self.last_use[name] = max(self.last_use.get(name, -1), self.root(number))
        for name in results:
            self.last_use[name] = len(self.steps)
        for number, step in enumerate(self.steps):
            if isinstance(step.item, Node):
                self._keep_sizes(list(sizes_in(step.item.arguments)), number)

    def _keep_sizes(self, needed: list[SymInt], number: int) -> None:
        """Keeps a tensor that has a dynamic size of this statement under its name until then."""
        root = self.root(number)
        for size in needed:
            for text in [size.text] if self._donors(size.text, root) else size.symbols:
                donors = self._donors(text, root)
                if donors and not any(self.last_use.get(name, -1) >= root for name in donors):
                    self.last_use[donors[0]] = root

    def _donors(self, text: str, before: int) -> list[str]:
        """The tensors with a name that have a dynamic size, the inputs first."""
        made = [name for step in self.steps[:before] if step.nested_in < 0 for name in step.outputs]
        metas = self.context.graph.metas
        return [
            name
            for name in [*self.call.inputs, *made]
            if name in metas and any(isinstance(size, SymInt) and size.text == text for size in metas[name].shape)
        ]

    # Names.

    def name_parameters(self) -> None:
        """Names the inputs by what the first line that uses each calls it."""
        for name in self.call.inputs:
            if name in self.names:
                continue
            found = self._seen_as(name) or ("x" if len(self.call.inputs) == 1 else "")
            self.names[name] = self._free(
                found or self._made_as(name) or self._fallback(name), set(self.names.values())
            )
        self.parameters = [self.names[name] for name in self.call.inputs]
        self.bound = {self.names[name]: name for name in self.call.inputs}

    def _made_as(self, name: str) -> str:
        """What the value is called where it is made, deep inside another module."""
        node = self.context.producer(name)
        found = next((f for lines in reversed(node.lines) if (f := statement_targets(lines))), ()) if node else ()
        return found[0] if len(found) == 1 and is_name(found[0]) else ""

    def _fallback(self, name: str) -> str:
        position = self.call.inputs.index(name)
        return "x" if position == 0 else f"x{position + 1}"

    def _seen_as(self, name: str) -> str:
        """What this body, or its caller, calls a value from outside; the surest sign first."""
        users = [step for step in self.steps if name in step.inputs and step.line is not None]
        for find in (self._passed_on_as, self._alone_as):
            for step in users:
                found = find(step, name)
                if is_name(found):
                    return found
        passed = self._passed_as(name)
        if is_name(passed):
            return passed
        return next((found for step in users if is_name(found := self._ordered_as(step, name))), "")

    def _passed_on_as(self, step: Step, name: str) -> str:
        """`self.fc1(hidden)`."""
        if not isinstance(step.item, Call) or step.line is None:
            return ""
        passed = call_arguments(step.line.text, step.item.path.rpartition(".")[2])
        return passed[step.inputs.index(name)] if len(passed) == len(step.inputs) else ""

    def _alone_as(self, step: Step, name: str) -> str:
        """`F.relu(hidden)`: one variable, and one operand."""
        seen = read_names(step.line.text) if step.line is not None else ()
        return seen[0] if len(seen) == 1 and set(step.inputs) == {name} and not step.opaque else ""

    def _ordered_as(self, step: Step, name: str) -> str:
        """`q @ k`: as many variables as operands."""
        seen = read_names(step.line.text) if step.line is not None else ()
        distinct = list(dict.fromkeys(step.inputs))
        return seen[distinct.index(name)] if len(seen) == len(distinct) and not step.opaque else ""

    def _passed_as(self, name: str) -> str:
        """What a caller calls a value that it passes: as what it was assigned, or the input of the whole model."""
        node = self.context.producer(name)
        if node is None:
            return self.context.input_name(name)
        shared = 0
        for made, used in zip(node.frames, self.context.frames(self.call), strict=False):
            if made.key != used.key:
                break
            shared += 1
        lines = node.lines[shared - 1] if 0 < shared <= len(node.lines) else ()
        found = statement_targets(lines)
        if len(found) == 1:
            return found[0]
        return found[node.outputs.index(name)] if len(found) == len(node.outputs) else ""

    def _assign_names(self, step: Step, number: int) -> list[str]:
        """The names for what a statement makes; `_` for what nobody uses."""
        needed = [name for name in step.outputs if name in self.last_use]
        wanted = list(step.targets)
        named = [name for name in wanted if name != "_"]
        if len(named) < len(wanted) and len(named) == len(needed) > 1:
            names = dict(zip(self._as_read_later(needed, named, number), named, strict=True))
        elif len(step.outputs) > 1 and len(wanted) == len(step.outputs) == len(named):
            names = dict(zip(step.outputs, wanted, strict=True))
        elif wanted and len(wanted) == 1:
            names = dict.fromkeys(needed, wanted[0])
        else:
            names = dict(zip(needed, self._group_targets(step, number), strict=False)) if wanted else {}
        given = []
        for output in step.outputs:
            if output not in self.last_use and len(step.outputs) > 1:
                given.append("_")
                continue
            name = names.get(output, "_")
            if name in ("", "_"):
                name = self._reused(step, number) or _short(step.item)
            taken = {n for n, value in self.bound.items() if self.last_use.get(value, -1) > number}
            name = self._free(name, taken | set(given))
            given.append(name)
        for output, name in zip(step.outputs, given, strict=True):
            if name != "_":
                self.names[output] = name
                self.bound[name] = output
        return given

    def _as_read_later(self, values: list[str], names: list[str], number: int) -> list[str]:
        """The values in the order of their names, as far as later lines tell: `_, x, h = stage(x)`."""
        found: dict[str, str] = {}
        for value in values:
            for step in self.steps[number + 1 :]:
                seen = self._alone_as(step, value) if value in step.inputs else ""
                if seen in names:
                    found.setdefault(seen, value)
        rest = iter([value for value in values if value not in found.values()])
        return [found[name] if name in found else next(rest) for name in names]

    def _keep_for_later(self, step: Step, number: int) -> None:
        """`residual = x` before `x = self.norm(x)`, where the source reads the old `x` by another name later."""
        if len(step.targets) != 1 or no_grad(step.item):
            return
        wanted = step.targets[0]
        old = self.bound.get(wanted, "")
        if self.last_use.get(old, -1) <= number:
            return
        alias = self._read_later_as(old, number)
        if alias and not self.context.is_reserved(alias):
            # What was written for this statement already says the old name, and still means the same.
            self.statements.append(ast.Assign([ast.Name(alias, ast.Store())], ast.Name(wanted, ast.Load())))
            self.names[old], self.bound[alias] = alias, old
            del self.bound[wanted]

    def _read_later_as(self, value: str, number: int) -> str:
        """The name by which later lines read a value, where that is the only one that fits; "" otherwise."""
        for step in self.steps[number + 1 :]:
            if value not in step.inputs or step.line is None or step.opaque:
                continue
            others = {name for other in step.inputs if other != value for name in self._called(other)}
            # The new name is given before the statement, which still reads its own operands.
            taken = {name for name, bound in self.bound.items() if self.last_use.get(bound, -1) >= number}
            fitting = [name for name in read_names(step.line.text) if name not in others | taken]
            if len(fitting) == 1 and is_name(fitting[0]):
                return fitting[0]
        return ""

    def _called(self, value: str) -> list[str]:
        """What a value is or will be called here."""
        producer = self.producer.get(value)
        named = [self.names[value]] if value in self.names else []
        return [*named, *(self.steps[producer].targets if producer is not None else ())]

    def _group_targets(self, step: Step, number: int) -> Iterator[str]:
        """For `q, k = self.q(x), self.k(x)`: the target that belongs to this one of the line's values."""
        group = [
            each
            for position, each in enumerate(self.steps)
            if each.line == step.line and each.nested_in < 0 and any(name in self.last_use for name in each.outputs)
        ]
        if len(group) == len(step.targets):
            yield step.targets[group.index(step)]
        elif len(step.targets) == 1:
            yield step.targets[0]

    def _reused(self, step: Step, number: int) -> str:
        """`x = f(x)`: the name of the first operand, where that is not needed any more."""
        for name in step.inputs:
            if name in self.names and self.last_use.get(name, -1) <= number:
                return self.names[name]
        return ""

    def _free(self, name: str, taken: set[str]) -> str:
        candidate, count = name, 1
        while candidate in taken or self.context.is_reserved(candidate):
            count += 1
            candidate = f"{name}_{count}"
        return candidate

    # Statements.

    def write(self, results: list[str], returned: Callable[[], ast.expr] | None = None) -> list[ast.stmt]:
        """All statements, the `return` included; `returned` gives its expression where it is no plain tuple."""
        for number, step in enumerate(self.steps):
            if step.nested_in >= 0:
                continue
            self.now = number
            if _is_setitem(step.item):
                self._set_item(step, number)
                continue
            expression = self.expression(number)
            if _is_store(step.item):
                statement: ast.stmt = ast.Expr(expression)
            else:
                self._keep_for_later(step, number)
                names = self._assign_names(step, number)
                target: ast.expr = ast.Name(names[0], ast.Store())
                if len(names) > 1 or _is_list(step.item):
                    target = ast.Tuple([ast.Name(name, ast.Store()) for name in names], ast.Store())
                statement = ast.Assign([target], expression)
            self._append(statement, step.item)
        self.now = len(self.steps)
        if returned is not None:
            result = returned()
        else:
            values = [self.value(name) for name in results]
            result = values[0] if len(values) == 1 else ast.Tuple(values, ast.Load())
        self.statements.append(ast.Return(result))
        return self.statements

    def _set_item(self, step: Step, number: int) -> None:
        """`x[1:3] = value`, on a copy where something else may look into the same memory."""
        node = step.item
        assert isinstance(node, Node)
        base, keys, value = node.arguments["self"], node.arguments["keys"], node.arguments["value"]
        producer = self.producer.get(base.name)
        made = self.steps[producer].item if producer is not None else None
        fresh = isinstance(made, Node) and made.operator in CREATIONS
        source = self.value(base.name)
        written = self.argument(value, "value")
        if fresh and self.last_use.get(base.name, -1) <= number:
            name = self.names[base.name]
            self.names[step.outputs[0]], self.bound[name] = name, step.outputs[0]
        else:
            # Two statements: what the second reads must not lose its name in the first.
            for other, nested in enumerate(self.steps):
                for operand in nested.inputs if self.root(other) == number else []:
                    if operand != base.name:
                        self.last_use[operand] = max(self.last_use.get(operand, -1), number + 1)
            name = self._assign_names(step, number)[0]
            copied = ast.Call(ast.Attribute(source, "clone", ast.Load()), [], [])
            self._append(ast.Assign([ast.Name(name, ast.Store())], copied), node)
        target = ast.Subscript(ast.Name(name, ast.Load()), self._subscript(keys), ast.Store())
        self._append(ast.Assign([target], written), node)

    def _subscript(self, keys: list[list[Any]]) -> ast.expr:
        """`:, 1:3, 0` for the keys `[[1, 1, 3, 1], [2, 0]]`."""
        parts: list[ast.expr] = [ast.Slice() for _ in range(keys[-1][0] + 1)]
        for dim, *key in keys:
            if len(key) == 1:
                parts[dim] = self.argument(key[0], "index")
            else:
                parts[dim] = slice_of(*[self.argument(each, "index") for each in key])
        return parts[0] if len(parts) == 1 else ast.Tuple(parts, ast.Load())

    def _append(self, statement: ast.stmt, item: Node | Call) -> None:
        if not self._guarded(item):
            self.statements.append(statement)
            return
        last = self.statements[-1] if self.statements else None
        if isinstance(last, ast.With):
            last.body.append(statement)
        else:
            manager = ast.parse("flow.no_grad()", mode="eval").body
            self.statements.append(ast.With([ast.withitem(manager)], [statement]))

    def _guarded(self, item: Node | Call) -> bool:
        """Whether an item needs `with flow.no_grad()` here: a call wholly under it is put there by its caller."""
        return no_grad(item) and not (self.call.depth and no_grad(self.call))

    def expression(self, number: int) -> ast.expr:
        """The expression of a step, with those nested in it."""
        item = self.steps[number].item
        if isinstance(item, Node):
            return self.context.operator(item, self)
        function = self.context.child(item, self.call.path)
        return ast.Call(function, [self.value(name) for name in self.context.inputs(item)], [])

    def value(self, name: str) -> ast.expr:
        """A value as an expression: a local name, a parameter of the model, or what is nested here."""
        if name in self.producer and self.root(self.producer[name]) != self.producer[name]:
            return self.expression(self.producer[name])
        if name in self.names:
            return ast.Name(self.names[name], ast.Load())
        state = self.context.state(name, self.call.path) if name in self.context.graph.states else None
        if state is None:
            raise KeyError(f"{name} is not known in {self.call.path or 'the model'}")
        return state

    def argument(self, value: Any, hint: str = "") -> ast.expr:
        """An operator's argument as an expression."""
        if isinstance(value, Ref):
            return self.value(value.name)
        if isinstance(value, SymInt):
            return self.size(value)
        if isinstance(value, list) and any(isinstance(item, Ref | SymInt | list) for item in value):
            return ast.Tuple([self.argument(item, hint) for item in value], ast.Load())
        if isinstance(value, list) and value and all(item is None for item in value):
            return ast.Tuple([literal(None) for _ in value], ast.Load())
        return literal(value, hint)

    def size(self, size: SymInt) -> ast.expr:
        """A dynamic size, read off a tensor that has a name here: `x.shape[0]`, or arithmetic on such."""
        found = self._dimension(size.text)
        if found is not None:
            return found
        return _Sizes(self).visit(size.expression)  # type: ignore[no-any-return]

    def _dimension(self, text: str) -> ast.expr | None:
        metas = self.context.graph.metas
        for name, value in self._named_tensors():
            meta = metas.get(value)
            for position, size in enumerate(meta.shape if meta else ()):
                if isinstance(size, SymInt) and size.text == text:
                    shape = ast.Attribute(ast.Name(name, ast.Load()), "shape", ast.Load())
                    return ast.Subscript(shape, ast.Constant(position), ast.Load())
        return None

    def _named_tensors(self) -> list[tuple[str, str]]:
        """The tensors that have a name now: those the statement works on first, then parameters, then the latest."""
        bound = list(self.bound.items())
        inputs = {name for n, step in enumerate(self.steps) if self.root(n) == self.now for name in step.inputs}
        first = [pair for pair in bound if pair[1] in inputs]
        given = [pair for pair in bound if pair[1] in self.call.inputs]
        return [*first, *given, *reversed(bound)]

    def bind(self, expression: ast.expr) -> ast.expr:
        """Gives an expression that a rule needs twice a name, in a statement before this one."""
        taken = {name for name, value in self.bound.items() if self.last_use.get(value, -1) >= self.now}
        name = self._free("value", taken | {name for name, at in self.temporary.items() if at == self.now})
        self.temporary[name] = self.now
        self.bound[name] = ""
        self.statements.append(ast.Assign([ast.Name(name, ast.Store())], expression))
        return ast.Name(name, ast.Load())


class _Sizes(ast.NodeTransformer):
    """Replaces the symbols of a size by dimensions of tensors."""

    def __init__(self, body: Body) -> None:
        self.body = body

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in ("max", "min"):
            return node
        found = self.body._dimension(node.id)
        if found is None:
            found = self._solved(node.id)
        if found is None:
            raise KeyError(f"the size {node.id} is not known in {self.body.call.path or 'the model'}")
        return found

    def _solved(self, symbol: str) -> ast.expr | None:
        """A symbol of which only a multiple or a sum is the size of something here: `x.shape[0] // 49`."""
        for name, value in self.body._named_tensors():
            meta = self.body.context.graph.metas.get(value)
            for position, size in enumerate(meta.shape if meta else ()):
                if not isinstance(size, SymInt) or size.symbols != [symbol]:
                    continue
                shape = ast.parse(f"{name}.shape[{position}]", mode="eval").body
                match size.expression:
                    case ast.BinOp(left=ast.Constant() as factor, op=ast.Mult(), right=ast.Name()):
                        return ast.BinOp(shape, ast.FloorDiv(), factor)
                    case ast.BinOp(left=ast.Name(), op=ast.Mult(), right=ast.Constant() as factor):
                        return ast.BinOp(shape, ast.FloorDiv(), factor)
                    case ast.BinOp(left=ast.Name(), op=ast.Add(), right=ast.Constant() as term):
                        return ast.BinOp(shape, ast.Sub(), term)
                    case ast.BinOp(left=ast.Name(), op=ast.Sub(), right=ast.Constant() as term):
                        return ast.BinOp(shape, ast.Add(), term)
        return None


def sizes_in(value: Any) -> Iterator[SymInt]:
    """The dynamic sizes in an operator's arguments."""
    if isinstance(value, SymInt):
        yield value
    elif isinstance(value, dict):
        yield from sizes_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from sizes_in(item)


def _short(item: Node | Call) -> str:
    """A name for a value that has none in the source: after the operator or the module that makes it."""
    if isinstance(item, Call):
        owner, _, last = item.path.rpartition(".")
        name = singular(owner.rpartition(".")[2]) if last.isdigit() else last
        return name if is_name(name) else "x"
    return "out"


def _period(keys: list[str]) -> int:
    """The length of the shortest piece that the list repeats; its own length where it repeats none."""
    return next(n for n in range(1, len(keys) + 1) if len(keys) % n == 0 and keys == keys[:n] * (len(keys) // n))


def _kind(item: Node | Call) -> str:
    """What tells one step of a loop's round from another."""
    return item.target if isinstance(item, Node) else f"{item.path.rpartition('.')[0]} {item.frame.class_name}"


def _is_store(item: Node | Call) -> bool:
    return isinstance(item, Node) and not item.outputs


def _is_setitem(item: Node | Call) -> bool:
    return isinstance(item, Node) and item.operator == SETITEM


def _is_list(item: Node | Call) -> bool:
    return isinstance(item, Node) and item.is_list


def no_grad(item: Node | Call) -> bool:
    """Whether all of it is made under `torch.no_grad()`."""
    return item.no_grad if isinstance(item, Node) else all(node.no_grad for node in item.nodes())


def _changes(item: Node | Call) -> bool:
    """Whether something else may be seen to change between two places: a buffer that is written."""
    return _is_store(item)
