"""The class of an author's own function with a backward: one of OneFlow's `flow.autograd.Function`.

class Reverse(flow.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view(x.shape)

    @staticmethod
    def backward(ctx, grad_output):
        return -grad_output

OneFlow's takes tensors alone: what else the author gave it is a number in the class. It gives no gradient through a
result that is what was given, and takes no None for the gradient of a tensor that needs one.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from torch2flow.errors import UnsupportedError
from torch2flow.models.codegen.borders import leaf
from torch2flow.models.codegen.control_flow import Writing
from torch2flow.models.codegen.literals import attribute
from torch2flow.models.codegen.names import free_name
from torch2flow.models.codegen.steps import sizes_in
from torch2flow.models.program import Node, Ref, Structure
from torch2flow.models.program.calls import Call

Block = Callable[[Call, list[Any], dict[str, Structure], set[str], Any], list[ast.stmt]]


def function_call(body: Writing, number: int) -> ast.expr:
    """`Reverse.apply(x)`, of a class that is made here; `number` is that of the step."""
    steps = body.plan.steps
    node: Node = steps[number].item
    blocks = {
        step.item.frame.key: step.item
        for step in steps[:number]
        if step.nested_in == number and isinstance(step.item, Call)
    }
    writing = _Function(body, node, blocks)
    name = body.context.author_function(writing.definition())
    given = [_passed(body.argument(value), gradient, body, value) for value, gradient in writing.inputs]
    return ast.Call(attribute(name, "apply"), given, [])


def _passed(expression: ast.expr, gradient: Any, body: Writing, value: Ref) -> ast.expr:
    """What the function is given: without its gradient, where the author gives none back."""
    meta = body.context.graph.metas.get(value.name)
    if gradient is not None or meta is None or not meta.dtype.startswith(("float", "bfloat")):
        return expression
    return ast.Call(ast.Attribute(expression, "detach", ast.Load()), [], [])


class _Function:
    """Writes the class of one call."""

    def __init__(self, body: Writing, node: Node, blocks: dict[str, Call]) -> None:
        self.body, self.node, self.given = body, node, node.arguments
        self.calls = [blocks.get(key) for key in self.given["blocks"]]
        self.inputs = list(zip(self.given["given"], self.given["following"], strict=True))
        self.kept: list[tuple[str, str]] = []
        """What is saved: its name, and the value of `backward` that it is."""

    def definition(self) -> ast.ClassDef:
        """The class.

        Raises:
            UnsupportedError: it reads what it is not given.
        """
        methods: list[ast.stmt] = [self._forward(), self._backward()]
        if any(isinstance(n, ast.Name) and n.id == "self" for each in methods for n in ast.walk(each)):
            raise UnsupportedError(f"{self.given['name']} reads what the module holds.", where=str(self.node))
        return ast.ClassDef(self.given["name"], [attribute("flow", "autograd", "Function")], [], methods, [])

    def _names(self, wanted: list[str], count: int, default: str) -> list[str]:
        names: list[str] = []
        wanted = wanted if len(wanted) == count else [default] * count
        for each in wanted:
            names.append(free_name(each, lambda name: name in ("ctx", "self", *names) or self._is_reserved(name)))
        return names

    def _is_reserved(self, name: str) -> bool:
        return bool(self.body.context.is_reserved(name))

    def _forward(self) -> ast.FunctionDef:
        parameters = self._names(self.given["parameters"], len(self.inputs), "x")
        environment = {name: leaf(value.name) for name, (value, _) in zip(parameters, self.inputs, strict=True)}
        used = self._used()
        received = self.given["received"][len(self.given["results"]) :]
        saved = [pair for pair in zip(self.given["saved"], received, strict=True) if pair[1].name in used]

        def finish(inner: Any) -> list[ast.stmt]:
            results = [_as_view(inner.argument(value), parameters) for value in self.given["results"]]
            held = [(inner.argument(value), other) for value, other in saved]
            statements: list[ast.stmt] = []
            if held:
                statements.append(_context_call("save_for_backward", [each for each, _ in held]))
            names: list[str] = []
            for each, other in held:
                wanted = each.id if isinstance(each, ast.Name) else "saved"
                names.append(free_name(wanted, lambda name: name in names or self._is_reserved(name)))
                self.kept.append((names[-1], other.name))
            plain = zip(results, self.given["results"], self.given["differentiable"], strict=True)
            without = [each for each, value, has_one in plain if not has_one and self._is_float(value)]
            if without:
                if not all(isinstance(each, ast.Name) for each in without):
                    raise UnsupportedError("A result without a gradient has no name.", where=str(self.node))
                statements.append(_context_call("mark_non_differentiable", without))
            result = results[0] if len(results) == 1 else ast.Tuple(results, ast.Load())
            return [*statements, ast.Return(result)]

        values = [*self.given["results"], *(value for value, _ in saved)]
        return _method("forward", parameters, self._block(0, values, environment, finish))

    def _used(self) -> set[str]:
        """What `backward` reads of what it is given; what it only takes a size of, where nothing else has that size."""
        call, metas = self.calls[1], self.body.context.graph.metas
        used = {value.name for value in self.given["following"] if isinstance(value, Ref)}
        used |= set(call.inputs if call is not None else ())
        missing = {
            s for node in (call.nodes() if call else ()) for size in sizes_in(node.arguments) for s in size.symbols
        }
        received = [value.name for value in self.given["received"]]
        gradients = received[: len(self.given["results"])]
        for name in (*gradients, *(each for each in received if each in used), *received):
            found = missing & {size.text for size in sizes_in(list(metas[name].shape))}
            used |= {name} if found and name not in gradients else set()
            missing -= found
        return used

    def _backward(self) -> ast.FunctionDef:
        count = len(self.given["results"])
        gradients, used = self.given["received"][:count], self._used()
        for value, has_one in zip(gradients, self.given["differentiable"], strict=True):
            if value.name in used and not has_one:
                raise UnsupportedError("The backward reads the gradient of what has none.", where=str(self.node))
        parameters = self._names(self.given["gradients"], count, "grad_output")
        taken: list[str] = list(parameters)
        names: list[str] = []
        for name, _ in self.kept:
            names.append(free_name(name, lambda each: each in taken))
            taken.append(names[-1])
        environment = {name: leaf(value.name) for name, value in zip(parameters, gradients, strict=True)}
        environment |= {name: leaf(value) for name, (_, value) in zip(names, self.kept, strict=True)}
        targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in names]
        statements: list[ast.stmt] = []
        if targets:
            statements.append(ast.Assign([ast.Tuple(targets, ast.Store())], attribute("ctx", "saved_tensors")))

        def finish(inner: Any) -> list[ast.stmt]:
            found = [ast.Constant(None) if each is None else inner.argument(each) for each in self.given["following"]]
            return [ast.Return(found[0] if len(found) == 1 else ast.Tuple(found, ast.Load()))]

        values = [value for value in self.given["following"] if value is not None]
        return _method("backward", parameters, [*statements, *self._block(1, values, environment, finish)])

    def _block(self, place: int, values: list[Any], environment: dict[str, Structure], finish: Any) -> list[ast.stmt]:
        call = self.calls[place]
        if call is None:  # it gives back what it is given
            frame = self.body.plan.call.frame
            call = Call(type(frame)(self.given["blocks"][place], frame.path, "", "function"), 1)
        statements: list[ast.stmt] = self.body.context.block(call, values, environment, set(), finish)
        return statements

    def _is_float(self, value: Ref) -> bool:
        return bool(self.body.context.graph.metas[value.name].dtype.startswith(("float", "bfloat")))


def _as_view(result: ast.expr, parameters: list[str]) -> ast.expr:
    """`x.view(x.shape)` for `x`: OneFlow gives no gradient through a result that is what was given."""
    if not isinstance(result, ast.Name) or result.id not in parameters:
        return result
    return ast.Call(ast.Attribute(result, "view", ast.Load()), [attribute(result.id, "shape")], [])


def _context_call(name: str, given: list[ast.expr]) -> ast.stmt:
    return ast.Expr(ast.Call(attribute("ctx", name), given, []))


def _method(name: str, parameters: list[str], statements: list[ast.stmt]) -> ast.FunctionDef:
    arguments = ast.arguments([], [ast.arg(each) for each in ("ctx", *parameters)], None, [], [], None, [])
    return ast.FunctionDef(name, arguments, statements, [attribute("staticmethod")])
