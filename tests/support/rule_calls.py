"""Runs a program call by call in OneFlow, each by its operator's rule: the rule itself, and the expression recorded
of it. Both must give the same; the program goes on with what the expression gives, which is what users get."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from torch2flow.models.codegen.operators import Operators
from torch2flow.models.codegen.recording import given_to
from torch2flow.models.codegen.standins import StandIn, source
from torch2flow.models.lowering import operators  # noqa: F401 - registers the rules
from torch2flow.models.lowering.registry import find
from torch2flow.models.lowering.renames import FLOAT_RENAMES, RENAMES
from torch2flow.models.program import Graph, Node, Ref
from torch2flow.models.program.complex_numbers import without_complex_numbers
from torch2flow.models.program.functional import SETITEM, STORE, functionalize


class NoRuleError(Exception):
    """There is no rule for an operator; its text is the operator's name."""


class Values(dict[str, Any]):
    """The values of a program by name; also all that an expression needs to know of the body it stands in."""

    def kept_list(self, values: list[str]) -> str:
        return ""  # No list has a name here.

    def value(self, name: str) -> ast.expr:
        return ast.Name(f"v_{name}", ast.Load())

    def bind(self, expression: ast.expr) -> ast.expr:
        name = f"bound_{len(self)}"
        self[name] = self.computed(expression)
        return ast.Name(name, ast.Load())

    def computed(self, expression: ast.expr) -> Any:
        tree = ast.fix_missing_locations(ast.Expression(expression))
        return eval(compile(tree, "expression", "eval"), self)

    def real(self, value: Any) -> Any:
        """What a rule that runs gets for a stand-in."""
        if isinstance(value, tuple):
            return tuple(self.real(item) for item in value)
        return self.computed(source(value)) if isinstance(value, StandIn) else value


def targets(graph: Graph) -> list[str]:
    """The operators that a program calls once it is functional, each once, in order."""
    graph = functionalize(without_complex_numbers(graph))
    return list(dict.fromkeys(node.target for node in graph.nodes if node.operator not in (STORE, SETITEM)))


def run(graph: Graph, inputs: list[Any], constants: Mapping[str, Any], flow: Any, is_random: bool = False) -> list[Any]:
    """What a program returns for these inputs; `constants` holds its own tensors by name.

    Raises:
        NoRuleError: there is no rule for one of its operators.
        RefusedError: a rule refuses a case.
        AssertionError: a rule and its expression give different results; not asked where `is_random`.
    """
    graph = functionalize(without_complex_numbers(graph))
    values = Values(flow=flow, F=flow.nn.functional, nn=flow.nn, math=math)
    for name, state in graph.states.items():
        values[f"v_{name}"] = constants[state.key or state.path]
    for value, tensor in zip(graph.inputs, inputs, strict=True):
        if isinstance(value, Ref):
            values[f"v_{value.name}"] = tensor
    writer = Operators(graph)
    for node in graph.nodes:
        if node.operator == STORE:
            continue
        result = _call(writer, node, values, is_random)
        if node.is_list or len(node.outputs) > 1:
            values.update(zip([f"v_{name}" for name in node.outputs], result, strict=True))
        elif node.outputs:
            values[f"v_{node.outputs[0]}"] = result[0] if isinstance(result, tuple) else result
    return [values.real(writer.argument(value, "", values)) for value in graph.outputs]  # type: ignore[arg-type]


def _call(writer: Operators, node: Node, values: Values, is_random: bool) -> Any:
    arguments = {name: writer.argument(value, name, values) for name, value in node.arguments.items()}  # type: ignore[arg-type]
    if node.operator == SETITEM:
        return _with_item(**{name: values.real(value) for name, value in arguments.items()})
    rename = RENAMES.get(node.operator) or FLOAT_RENAMES.get(node.operator)
    if rename:
        return values.computed(writer.renamed(rename, arguments, node))
    rule = find(node.target)
    if rule is None:
        raise NoRuleError(node.target)
    writer.promote(rule, node, arguments)
    facts = writer.facts(node, values)  # type: ignore[arg-type]
    expression = writer.recorder.expression(rule, arguments, facts, values.bind)
    definitions = ast.fix_missing_locations(ast.Module(writer.recorder.helpers.definitions(), []))
    exec(compile(definitions, "helpers", "exec"), values)
    found = values.computed(expression)
    if not is_random:
        direct = rule.function(**{name: values.real(value) for name, value in given_to(rule, arguments, facts).items()})
        assert _same(found, direct), f"{node.target}: the rule at {rule.place} and {ast.unparse(expression)} differ"
    return found


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    if not hasattr(left, "numpy"):
        return bool(left == right)
    return left.dtype == right.dtype and np.array_equal(left.detach().numpy(), right.detach().numpy(), equal_nan=True)


def _with_item(self: Any, keys: Any, value: Any) -> Any:
    """`self` with `value` in one place; a key is (dimension, index) or (dimension, start, end, step)."""
    index: list[Any] = [slice(None)] * self.ndim
    for dim, *place in keys:
        index[dim] = place[0] if len(place) == 1 else slice(*place)
    result = self.clone()
    result[tuple(index)] = value
    return result
