"""Runs a program call by call with the operator rules, in OneFlow, without writing source: what tests of rules use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch2flow.models.codegen.literals import UNIFORM, dtype_name
from torch2flow.models.lowering import operators  # noqa: F401 - registers the rules
from torch2flow.models.lowering.lazy import is_float
from torch2flow.models.lowering.promotion import common_dtype
from torch2flow.models.lowering.registry import FACTS, Rule, find
from torch2flow.models.lowering.renames import FLOAT_RENAMES, RENAMES
from torch2flow.models.program import Dtype, Graph, Node, Ref, Symbol
from torch2flow.models.program.functional import SETITEM, STORE, functionalize


class NoRuleError(Exception):
    """There is no rule for an operator; its text is the operator's name."""


def targets(graph: Graph) -> list[str]:
    """The operators that a program calls once it is functional, each once, in order."""
    return list(
        dict.fromkeys(node.target for node in functionalize(graph).nodes if node.operator not in (STORE, SETITEM))
    )


def run(graph: Graph, inputs: list[Any], constants: Mapping[str, Any], flow: Any) -> list[Any]:
    """What a program returns for these inputs; `constants` holds its own tensors by name.

    Raises:
        NoRuleError: there is no rule for one of its operators.
        NotImplementedError: a rule refuses a case.
    """
    graph = functionalize(graph)
    values: dict[str, Any] = {name: constants[state.key or state.path] for name, state in graph.states.items()}
    for value, tensor in zip(graph.inputs, inputs, strict=True):
        if isinstance(value, Ref):
            values[value.name] = tensor
    for node in graph.nodes:
        if node.operator == STORE:
            continue
        result = _call(graph, node, values, flow)
        if node.is_list or len(node.outputs) > 1:
            values.update(zip(node.outputs, result, strict=True))
        elif node.outputs:
            values[node.outputs[0]] = result[0] if isinstance(result, tuple) else result
    return [_argument(value, values, flow) for value in graph.outputs]


def _call(graph: Graph, node: Node, values: dict[str, Any], flow: Any) -> Any:
    given = {name: _uniform(name, _argument(value, values, flow)) for name, value in node.arguments.items()}
    if node.operator == SETITEM:
        return _with_item(**given)
    rename = RENAMES.get(node.operator) or FLOAT_RENAMES.get(node.operator)
    if rename:
        first = next(iter(given))
        if node.operator in FLOAT_RENAMES and not is_float(given[first].dtype):
            given[first] = given[first].to(flow.float32)
        return _named(rename, flow)(*given.values())
    rule = find(node.target)
    if rule is None:
        raise NoRuleError(node.target)
    _promote(rule, graph, node, given, flow)
    known = rule.function.__code__.co_varnames[: rule.function.__code__.co_argcount]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise NotImplementedError(f"the rule at {rule.place} takes no argument {unknown[0]!r}")
    facts = {name: value for name, value in _facts(graph, node, flow).items() if name in _wanted(rule)}
    return rule.function(**given, **facts)


def _with_item(self: Any, keys: Any, value: Any) -> Any:
    """`self` with `value` in one place; a key is (dimension, index) or (dimension, start, end, step)."""
    index: list[Any] = [slice(None)] * self.ndim
    for dim, *place in keys:
        index[dim] = place[0] if len(place) == 1 else slice(*place)
    result = self.clone()
    result[tuple(index)] = value
    return result


def _wanted(rule: Rule) -> tuple[str, ...]:
    code = rule.function.__code__
    return code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]


def _named(name: str, flow: Any) -> Any:
    value = flow
    for part in name.replace("F.", "flow.nn.functional.").split(".")[1:]:
        value = getattr(value, part)
    return value


def _argument(value: Any, values: dict[str, Any], flow: Any) -> Any:
    if isinstance(value, Ref):
        return values[value.name]
    if isinstance(value, list | tuple):
        return tuple(_argument(item, values, flow) for item in value)
    if isinstance(value, Dtype):
        return getattr(flow, dtype_name(value.name))
    return value.name if isinstance(value, Symbol) else value


def _uniform(name: str, value: Any) -> Any:
    """`(2, 2)` as 2, where generated source writes it so."""
    if name in UNIFORM and isinstance(value, tuple) and value and all(item == value[0] for item in value):
        return value[0]
    return value


def _facts(graph: Graph, node: Node, flow: Any) -> dict[str, Any]:
    facts = {}
    names = node.refs()
    for prefix, name in (("in", names[0] if names else ""), ("out", node.outputs[0] if node.outputs else "")):
        meta = graph.metas.get(name)
        if meta is not None:
            known = (meta.hint, len(meta.shape), getattr(flow, dtype_name(meta.dtype)))
            facts.update(zip((f"{prefix}_shape", f"{prefix}_ndim", f"{prefix}_dtype"), known, strict=True))
    assert set(facts) <= set(FACTS)
    return facts


def _promote(rule: Rule, graph: Graph, node: Node, given: dict[str, Any], flow: Any) -> None:
    if not rule.promotes:
        return
    operands: list[tuple[str, int | None]] = []
    for name in rule.promotes:
        value = node.arguments.get(name)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Ref):
                operands.append((graph.metas[item.name].dtype, len(graph.metas[item.name].shape)))
            elif isinstance(item, bool | int | float):
                operands.append((type(item).__name__, None))
    common = dtype_name(common_dtype(operands))
    if rule.floats and "float" not in common:
        common = "float32"
    dtype = getattr(flow, common)
    for name in rule.promotes:
        value = given.get(name)
        if isinstance(value, tuple):
            given[name] = tuple(_cast(item, dtype, flow) for item in value)
        elif value is not None:
            given[name] = _cast(value, dtype, flow)


def _cast(value: Any, dtype: Any, flow: Any) -> Any:
    return value.to(dtype) if isinstance(value, flow.Tensor) and value.dtype != dtype else value
