"""Completes the graphs of branches and loops in an exported program, which are graphs inside the graph.

PyTorch's tracer begins anew in each: a call there does not say in which modules it lies, and a tensor that is written
out in a branch (`x * torch.tensor(2.0)`) stays inside, where `torch.export.save` has no place for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from torch2flow.proof.capture.traced_control_flow import NAME

_ROOT = "_export_root"
"""What PyTorch calls the module while it traces."""

_WRAPPERS = ("wrap_with_set_grad_enabled", "wrap_with_autocast")
"""What PyTorch cut out of a graph that was complete."""


def complete_inner_graphs(torch: Any, program: Any) -> None:
    """Says of each call in a branch or a loop in which modules it lies, and makes literals there inputs."""
    counts: dict[str, int] = {}
    for node in program.graph_module.graph.nodes:
        for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
            counts[path] = max(counts.get(path, 0), _number(key) + 1)
    _complete(program.graph_module, None, counts)
    for node, graphs in list(_controls(program.graph_module)):
        for value in _lifted(torch, graphs):
            _add_operand(node, _constant(torch, program, value))
    program.graph_module.recompile()


def _controls(module: Any) -> Iterator[tuple[Any, list[Any]]]:
    """The decisions and loops of a graph, each with its own graphs."""
    for node in module.graph.nodes:
        names = [each.target for each in node.args if getattr(each, "op", "") == "get_attr"]
        graphs = [each for name in names if hasattr(each := getattr(module, name, None), "graph")]
        if graphs:
            yield node, graphs


def _number(key: str) -> int:
    """Which call of a module it is."""
    number = key.rpartition("@")[2] if "@" in key else ""
    return int(number) if number.isdecimal() else 0


def _complete(module: Any, stack: dict[str, Any] | None, counts: dict[str, int]) -> None:
    """Puts the calls of an inner graph into the modules around it; what is called there is called once more."""
    keys: dict[str, str] = {}
    for node in list(module.graph.nodes):
        if (name := node.meta.pop(NAME, None)) is not None:
            node._rename(name)
        inner = node.meta.get("nn_module_stack")
        if stack is None or node.op != "call_function":
            continue
        node.meta["nn_module_stack"] = dict(stack)
        for key, (path, kind) in (inner or {}).items():
            if path in ("", _ROOT):
                continue
            path = path.removeprefix(f"{_ROOT}.")
            if key not in keys:
                counts[path] = counts.get(path, 0) + 1
                keys[key] = f"L__self__{path}@{counts[path] - 1}"
            node.meta["nn_module_stack"][keys[key]] = (path, kind)
    for node, graphs in _controls(module):
        wraps = str(node.target).startswith(_WRAPPERS)
        for graph in graphs:
            _complete(graph, stack if wraps else node.meta.get("nn_module_stack") or {}, counts)


def _lifted(torch: Any, graphs: list[Any]) -> list[Any]:
    """The literals of one operator's graphs, which are inputs of each of them now."""
    values: list[Any] = []
    for graph in graphs:
        for node, inner in list(_controls(graph)):
            for value in _lifted(torch, inner):
                with graph.graph.inserting_before(node):
                    name = f"_literal_{node.name}_{len(node.args[-1])}"
                    setattr(graph, name, value)
                    made = graph.graph.get_attr(name)
                made.meta["val"] = _fake(graph, value)
                _add_operand(node, made)
        for node in [node for node in graph.graph.nodes if node.op == "get_attr"]:
            value = getattr(graph, node.target)
            if not isinstance(value, torch.Tensor) or hasattr(value, "fake_mode"):
                continue
            for each in graphs:
                last = [other for other in each.graph.nodes if other.op == "placeholder"][-1]
                with each.graph.inserting_after(last):
                    given = each.graph.placeholder(f"literal_{len(values)}")
                given.meta["val"] = node.meta.get("val", _fake(each, value))
                if each is graph:
                    node.replace_all_uses_with(given)
                    each.graph.erase_node(node)
            values.append(value)
    for graph in graphs:
        graph.recompile()
    return values


def _add_operand(node: Any, value: Any) -> None:
    """The last argument of each operator of control flow is what its functions read from outside."""
    *others, operands = node.args
    node.args = (*others, type(operands)((*operands, value)))


def _constant(torch: Any, program: Any, value: Any) -> Any:
    """A tensor as an input of the whole program, as PyTorch makes one of a literal there."""
    specs, graph = program.graph_signature.input_specs, program.graph_module.graph
    number = next(n for n in range(len(specs) + 1) if f"lifted_tensor_{n}" not in program.constants)
    signature = import_module(f"{torch.__name__}.export.graph_signature")
    users = {spec.arg.name for spec in specs if spec.kind == signature.InputKind.USER_INPUT}
    places = [node for node in graph.nodes if node.op == "placeholder"]
    at = next((n for n, node in enumerate(places) if node.name in users), len(places))
    with graph.inserting_before(places[at] if at < len(places) else next(iter(graph.nodes))):
        made = graph.placeholder(f"c_lifted_tensor_{number}")
    made.meta["val"] = _fake(program.graph_module, value)
    argument = signature.TensorArgument(name=made.name)
    specs.insert(at, signature.InputSpec(signature.InputKind.CONSTANT_TENSOR, argument, f"lifted_tensor_{number}"))
    program.constants[f"lifted_tensor_{number}"] = value
    return made


def _fake(module: Any, value: Any) -> Any:
    """The tensor as PyTorch describes one in a graph."""
    described = (node.meta.get("val") for node in module.graph.nodes)
    mode = next((each.fake_mode for each in described if hasattr(each, "fake_mode")), None)
    return value if mode is None else mode.from_tensor(value, static_shapes=True)
