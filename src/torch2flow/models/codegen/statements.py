"""The statements of a `forward`: each step's expression, with those that are nested in it, under settled names."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch2flow.models.codegen.author_functions import function_call
from torch2flow.models.codegen.borders import at, is_leaf, parts, same_content
from torch2flow.models.codegen.control_flow import control_statements
from torch2flow.models.codegen.drafts import VAGUE
from torch2flow.models.codegen.environment import Environment, find, find_list, find_whole
from torch2flow.models.codegen.literals import attribute, literal, slice_of
from torch2flow.models.codegen.local_names import Named, Names
from torch2flow.models.codegen.names import free_name, record_name
from torch2flow.models.codegen.number_names import end_name, explained, items, method_names, name_of, operand_names
from torch2flow.models.codegen.steps import Step, Steps, is_guarded
from torch2flow.models.program import Graph, Node, Ref, Structure, SymInt
from torch2flow.models.program.calls import Call, lent, lent_path

Finish = Callable[["Body"], list[ast.stmt]]
"""The last statements of a block, from its body."""

_TAKES_SIZES = {"aten.view", "aten.reshape", "aten._unsafe_view", "aten.expand"}


class Context(Protocol):
    """What a body needs to know of the rest of the model to write its expressions."""

    graph: Graph

    def operator(self, node: Node, body: Body) -> ast.expr: ...

    def state(self, name: str, path: str) -> ast.expr | None: ...

    def on_device(self, expression: ast.expr, body: Body) -> ast.expr: ...

    def child(self, call: Call, path: str, module: ast.expr | None) -> ast.expr: ...

    def access(self, start: str, path: str) -> ast.expr: ...

    def block(
        self, call: Call, values: list[Any], environment: Environment, kept: set[str], finish: Finish
    ) -> list[ast.stmt]: ...

    def linear(self, owner: str, path: str, *, has_bias: bool) -> ast.expr | None: ...

    def author_function(self, made: ast.ClassDef) -> str: ...

    def parameters(self, call: Call) -> list[str]: ...

    def keywords(self, call: Call) -> tuple[str, ...]: ...

    def is_reserved(self, name: str) -> bool: ...


@dataclass(slots=True)
class Body:
    """The statements of one call, as far as they are written.

    Attributes:
        environment: the names that hold where the next expression stands.
        now: the number of the statement that is being written.
        temporary: the statement each name of `bind` was given for.
        held: what the module must keep of what the original held, for the statements to read.
    """

    context: Context
    plan: Steps
    names: Names
    environment: Environment = field(default_factory=dict)
    statements: list[ast.stmt] = field(default_factory=list)
    temporary: dict[str, int] = field(default_factory=dict)
    now: int = -1
    held: set[str] = field(default_factory=set)

    @property
    def call(self) -> Call:
        return self.plan.call

    @property
    def steps(self) -> list[Step]:
        return self.plan.steps

    @property
    def bound(self) -> dict[str, str]:
        """The value that each name stands for, as far as it is a single one."""
        return {name: held.value for name, held in self.environment.items() if held.kind == "value"}

    def write(self, returned: Callable[[Body], ast.expr] | None = None) -> list[ast.stmt]:
        """All statements, the `return` included; `returned` gives what that returns, where the author's result is
        put together elsewhere."""
        for names, parameter in self.names.unpacked:
            self.statements.append(ast.Assign([_target(names, unpacks=True)], ast.Name(parameter, ast.Load())))
        self._write_steps()
        result = returned(self) if returned is not None else self._returned()
        if result is not None:
            self.statements.append(ast.Return(result))
        return self.statements

    def write_block(self, finish: Finish) -> list[ast.stmt]:
        """All statements of a block; `finish` gives those that do something with its results."""
        self._write_steps()
        self.statements += finish(self)
        return self.statements

    def _write_steps(self) -> None:
        for number, step in self.plan.statements():
            self._statement(step, self._begin(number))
        self._begin(len(self.steps))

    def _begin(self, number: int) -> Named:
        """Writes what comes before a statement, and takes over its names."""
        self.now = number
        named = self.names.statements[number]
        for each in named.before:
            self.environment = each.environment
            held = self.structure(each.structure)
            if each.is_append:
                call = ast.Call(ast.Attribute(ast.Name(each.name, ast.Load()), "append", ast.Load()), [held], [])
                self.statements.append(ast.Expr(call))
            else:
                self.statements.append(ast.Assign([ast.Name(each.name, ast.Store())], held))
        self.environment = dict(named.environment)
        return named

    def _statement(self, step: Step, named: Named) -> None:
        if step.is_setitem:
            self._set_item(step, named)
            return
        if step.is_control:
            for statement in control_statements(self, self.now, named.targets):
                self._append(statement, step)
            return
        expression = self.expression(self.now)
        if named.selection and step.result is not None:
            expression = at(expression, step.result, named.selection)
        if not named.targets:
            self._append(ast.Expr(expression), step)
        else:
            self._append(ast.Assign([_target(named.targets, named.unpacks, named.nesting)], expression), step)

    def _set_item(self, step: Step, named: Named) -> None:
        """`x[1:3] = value`, on a copy where something else may look into the same memory."""
        assert isinstance(step.item, Node)
        arguments = step.item.arguments
        source, written = self.value(arguments["self"].name), self.argument(arguments["value"], "value")
        keys = self._subscript(arguments["keys"])
        (name,) = named.targets
        if named.is_copy:
            copied = ast.Call(ast.Attribute(source, "clone", ast.Load()), [], [])
            self._append(ast.Assign([ast.Name(name, ast.Store())], copied), step)
        target = ast.Subscript(ast.Name(name, ast.Load()), keys, ast.Store())
        self._append(ast.Assign([target], written), step)

    def _subscript(self, keys: list[list[Any]]) -> ast.expr:
        """`:, 1:3, 0` for the keys `[[1, 1, 3, 1], [2, 0]]`."""
        subscripts: list[ast.expr] = [ast.Slice() for _ in range(keys[-1][0] + 1)]
        for dim, *key in keys:
            if len(key) == 1:
                subscripts[dim] = self.argument(key[0], "index")
            else:
                subscripts[dim] = slice_of(*[self.argument(each, "index") for each in key])
        return subscripts[0] if len(subscripts) == 1 else ast.Tuple(subscripts, ast.Load())

    def _append(self, statement: ast.stmt, step: Step) -> None:
        statement.lineno = step.place  # Tells the order of what only some modules of a class do.
        if not is_guarded(step.item, self.call):
            self.statements.append(statement)
            return
        last = self.statements[-1] if self.statements else None
        if isinstance(last, ast.With):
            last.body.append(statement)
        else:
            manager = ast.parse("flow.no_grad()", mode="eval").body
            self.statements.append(ast.With([ast.withitem(manager)], [statement]))

    def _returned(self) -> ast.expr | None:
        result = self.plan.result
        for number, step in enumerate(self.steps):
            if step.nested_in == len(self.steps) and not is_leaf(result) and step.result is not None:
                return self.expression(number) if same_content(step.result, result) else self.structure(result)
        return self.structure(result)

    # Expressions.

    def expression(self, number: int) -> ast.expr:
        """The expression of a step, with those nested in it."""
        step = self.steps[number]
        if step.is_function:
            return function_call(self, number)
        if isinstance(step.item, Node):
            return self.context.operator(step.item, self)
        given = dict(step.arguments)
        positional: list[ast.expr] = []
        keywords: list[ast.keyword] = []
        parameters, by_keyword = self.context.parameters(step.item), self.context.keywords(step.item)
        for position, name in enumerate(parameters):
            if name not in given or (given[name].kind == "none" and not self._is_none(name)):
                continue
            passed = attribute(name) if given[name].kind == "none" else self.structure(given[name])
            if position == len(positional) and name not in by_keyword:
                positional.append(passed)
            else:
                keywords.append(ast.keyword(name, passed))
        given_module = lent(step.item, self.call.path)
        function = self.context.child(step.item, self.call.path, self.value(given_module) if given_module else None)
        if isinstance(function, ast.Subscript) and step.line is not None and "[-1](" in step.line.text:
            function.slice = ast.UnaryOp(ast.USub(), ast.Constant(1))  # As the author names the last one.
        return ast.Call(function, positional, keywords)

    def _is_none(self, name: str) -> bool:
        """Whether there is a parameter of this name here that is None, to be passed on."""
        return name in self.environment and self.environment[name].kind == "none"

    def structure(self, structure: Structure) -> ast.expr:
        """A value, or a tuple, list, dict or object of values, as an expression."""
        if structure.kind == "value":
            return self.value(structure.value)
        if structure.kind == "constant":
            return self.argument(structure.value)
        if is_leaf(structure):
            return ast.Constant(None)
        found = find_whole(self.environment, structure)
        if found is not None:
            name, held, path = found
            return at(ast.Name(name, ast.Load()), held, path)
        items = [self._item(child) for child in structure.children]
        if structure.kind == "tuple":
            return ast.Tuple(items, ast.Load())
        if structure.kind == "list":
            return ast.List(items, ast.Load())
        if structure.kind == "dict":
            return ast.Dict([ast.Constant(name) for name in structure.names], items)
        fields = [
            ast.keyword(name, item)
            for name, item in zip(structure.names, items, strict=True)
            if not (isinstance(item, ast.Constant) and item.value is None)
        ]
        return ast.Call(attribute(record_name(structure.kind)), [], fields)

    def _item(self, structure: Structure) -> ast.expr:
        """A part of a structure that is put together here; None for what this body does not have."""
        if structure.kind == "value" and not self._is_at_hand(structure.value):
            return ast.Constant(None)
        if structure.kind == "constant" and isinstance(structure.value, SymInt) and not self._has_size(structure.value):
            return ast.Constant(None)
        return self.structure(structure)

    def _has_size(self, size: SymInt) -> bool:
        known = {
            text for _, _, each in self.dynamic_sizes() for text in (each.text, *each.symbols[: len(each.symbols) == 1])
        }
        return size.text in known or set(size.symbols) <= known

    def _is_at_hand(self, value: str) -> bool:
        return (
            self.plan.is_nested(value)
            or find(self.environment, value) is not None
            or (value in self.context.graph.states and self.context.state(value, self.call.path) is not None)
        )

    def value(self, name: str) -> ast.expr:
        """A value as an expression: a local name, a parameter of the model, or what is nested here."""
        if self.plan.is_nested(name):
            number = self.plan.producer[name]
            expression, result = self.expression(number), self.steps[number].result
            if result is not None and not is_leaf(result):
                path = next(path for path, part in parts(result) if part.kind == "value" and part.value == name)
                expression = at(expression, result, path)
            return expression
        found = find(self.environment, name)
        if found is not None:
            local, held, path = found
            return at(ast.Name(local, ast.Load()), held, path)
        module = lent_path(name)
        if module is not None:
            return self.context.access(self.call.path, module)
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

    def kept_list(self, values: list[str]) -> str:
        """The name of a list that holds just these values; "" where there is none."""
        return find_list(self.environment, values)

    def explained(self, node: Node) -> list[ast.expr | None]:
        """For each size that `view` is given: the author's expression, where it is what the module holds."""
        step = self.plan.step_of(node)
        sizes = node.arguments.get("size", node.arguments.get("shape"))
        if node.operator not in _TAKES_SIZES or step.line is None or not isinstance(sizes, list):
            return []
        facts = self.context.graph.attributes.get(self.call.path, {})
        found = [
            explained(each, size, facts) if type(size) is int and size > 1 else None
            for each, size in zip(items(step.line.text, len(sizes)), sizes, strict=False)
        ]
        for each in found:
            self.held.update(n.attr for n in ast.walk(each or ast.Pass()) if isinstance(n, ast.Attribute))
        return found

    def number_names(self, node: Node) -> dict[str, str | tuple[str, ...]]:
        """What the author's line calls the numbers that an operator is given, by argument, as far as it says so."""
        step = self.plan.step_of(node)
        if step.line is None or step.opaque:
            return {}
        text, operator = step.line.text, node.operator.rpartition(".")[2]
        names: dict[str, str | tuple[str, ...]] = {}
        given = dict(zip(list(node.arguments)[1:], method_names(text, operator), strict=False))
        for key, value in node.arguments.items():
            if isinstance(value, list) and len(value) > 1:
                names[key] = tuple(map(name_of, items(text, len(value))))
            elif isinstance(value, int | float) and key == "other":
                alike = [each.item for each in self.steps if each.line == step.line and _is_alike(each.item, node)]
                tensors = {*self.environment, *(name for each in self.steps for name in each.targets)}
                found = operand_names(text, operator, frozenset(tensors))
                names[key] = found[alike.index(node)] if len(found) == len(alike) else ""
            elif isinstance(value, int | float) and given.get(key) and (key == "p" or key in VAGUE):
                names[key] = given[key]
        if operator == "slice" and isinstance(dim := node.arguments.get("dim", 0), int):
            names["end"] = end_name(text, dim)
        return names

    def bind(self, expression: ast.expr) -> ast.expr:
        """Gives an expression that a rule needs twice a name, in a statement before this one."""
        taken = {
            name
            for name, held in self.environment.items()
            if held.kind != "value" or self.plan.last_use.get(held.value, -1) >= self.now
        }
        taken |= {name for name, at_ in self.temporary.items() if at_ == self.now}
        name = free_name("value", lambda each: each in taken or self.context.is_reserved(each))
        self.temporary[name] = self.now
        self.environment.pop(name, None)
        self.statements.append(ast.Assign([ast.Name(name, ast.Store())], expression))
        return ast.Name(name, ast.Load())

    # Sizes.

    def size(self, size: SymInt) -> ast.expr:
        """A dynamic size, read off a tensor that has a name here: `x.shape[0]`, or arithmetic on such."""
        found = self.dimension(size.text)
        if found is not None:
            return found
        return _Sizes(self).visit(size.expression)  # type: ignore[no-any-return]

    def dimension(self, text: str) -> ast.expr | None:
        """`x.shape[1]`, where a tensor with a name has just this size."""
        for expression, position, size in self.dynamic_sizes():
            if size.text == text:
                return ast.Subscript(ast.Attribute(expression, "shape", ast.Load()), ast.Constant(position), ast.Load())
        return None

    def dynamic_sizes(self) -> Iterator[tuple[ast.expr, int, SymInt]]:
        """The dynamic sizes of tensors at hand: each tensor, the dimension, and the size."""
        for expression, value in self._tensors():
            meta = self.context.graph.metas.get(value)
            for position, size in enumerate(meta.shape if meta else ()):
                if isinstance(size, SymInt):
                    yield expression, position, size

    def _tensors(self) -> Iterator[tuple[ast.expr, str]]:
        """The tensors that have a name now: those the statement works on first, then parameters, then the latest, and
        at last those that lie in a structure."""
        bound = list(self.bound.items())
        inputs = {name for n, step in enumerate(self.steps) if self.plan.root(n) == self.now for name in step.inputs}
        first = [pair for pair in bound if pair[1] in inputs]
        given = [pair for pair in bound if pair[1] in self.call.inputs]
        for name, value in [*first, *given, *reversed(bound)]:
            yield ast.Name(name, ast.Load()), value
        for name, held in self.environment.items():
            for path, part in parts(held):
                if path and part.kind == "value":
                    yield at(ast.Name(name, ast.Load()), held, path), part.value


class _Sizes(ast.NodeTransformer):
    """Replaces the symbols of a size by dimensions of tensors."""

    def __init__(self, body: Body) -> None:
        self.body = body

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in ("max", "min"):
            return node
        found = self.body.dimension(node.id)
        if found is None:
            found = self._solved(node.id)
        if found is None:
            raise KeyError(f"the size {node.id} is not known in {self.body.call.path or 'the model'}")
        return found

    def _solved(self, symbol: str) -> ast.expr | None:
        """A symbol of which only a multiple or a sum is the size of something here: `x.shape[0] // 49`."""
        for expression, position, size in self.body.dynamic_sizes():
            if size.symbols != [symbol]:
                continue
            shape = ast.Subscript(ast.Attribute(expression, "shape", ast.Load()), ast.Constant(position), ast.Load())
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


def _is_alike(item: Node | Call, node: Node) -> bool:
    """Whether an item is a call of the same operator, and is given a number too."""
    return (
        isinstance(item, Node)
        and item.operator == node.operator
        and isinstance(item.arguments.get("other"), int | float)
    )


def _target(names: list[str], unpacks: bool, nesting: Structure | None = None) -> ast.expr:
    if nesting is not None:
        return _nested_target(iter(names), nesting)
    targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in names]
    return ast.Tuple(targets, ast.Store()) if unpacks else targets[0]


def _nested_target(names: Iterator[str], structure: Structure) -> ast.expr:
    if is_leaf(structure):
        return ast.Name(next(names), ast.Store())
    targets = [_nested_target(names, child) for child in structure.children]
    if all(isinstance(target, ast.Name) and target.id == "_" for target in targets):
        return ast.Name("_", ast.Store())
    return ast.Tuple(targets, ast.Store())
