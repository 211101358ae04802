"""The whole model as source: walks the module tree from the leaves up and makes a draft of each module."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch2flow.models.codegen.bodies import Body, no_grad
from torch2flow.models.codegen.literals import UNIFORM, attribute, literal
from torch2flow.models.codegen.loops import roll
from torch2flow.models.codegen.names import RESERVED, class_name, is_attribute
from torch2flow.models.codegen.operators import Operators
from torch2flow.models.codegen.optional import OptionalChild
from torch2flow.models.codegen.signature import InputNames, returned
from torch2flow.models.codegen.structures import (
    REQUIRED,
    Construct,
    Container,
    Draft,
    Instance,
    New,
    Own,
    Repeated,
    Slot,
    Structures,
    same,
)
from torch2flow.models.lowering.modules import MODULES, Leaf, signatures
from torch2flow.models.program import Frame, Graph, Node, Ref, State
from torch2flow.models.program.calls import Call, call_tree, reachable
from torch2flow.models.program.functional import STORE


@dataclass(slots=True)
class Module:
    """One module of the original: what it owns, what it contains, and every call of it."""

    path: str
    states: dict[str, tuple[str, State]] = field(default_factory=dict)
    children: dict[str, Module] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def original_class(self) -> str:
        return self.calls[0].frame.class_name if self.calls else ""

    @property
    def short_class(self) -> str:
        return self.original_class.rpartition(".")[2]

    @property
    def is_counted(self) -> bool:
        """Whether its children are called 0, 1, 2, ..."""
        return bool(self.children) and list(self.children) == [str(number) for number in range(len(self.children))]


def module_tree(graph: Graph, root: Call) -> Module:
    """The modules of a program, called or not, in the order in which the original registered them."""
    tree = Module("")

    def at(path: str) -> Module:
        module = tree
        for part in path.split(".") if path else []:
            inner = f"{module.path}.{part}" if module.path else part
            module = module.children.setdefault(part, Module(inner))
        return module

    for path in graph.modules:
        at(path)
    for name, state in graph.states.items():
        if state.kind != "constant" or "." in state.path:
            owner, _, own = state.path.rpartition(".")
            at(owner).states[own] = (name, state)
        else:
            tree.states[state.path] = (name, state)
    for call in root.calls():
        at(call.path).calls.append(call)
    return tree


class ModelWriter:
    """Makes the drafts of all modules of a program.

    Args:
        graph: a functional program.
        values: gives the expression for a tensor that is not in the `state_dict()`, in the dtype it is used in.
        optional: which classes are others without one module.
    """

    def __init__(
        self,
        graph: Graph,
        values: Callable[[State, str], ast.expr],
        optional: Mapping[str, OptionalChild] | None = None,
    ) -> None:
        self.graph, self.values = graph, values
        self.root = call_tree(graph)
        self.tree = module_tree(graph, self.root)
        self.structures = Structures(optional)
        self.operators = Operators(graph)
        self.modules: dict[str, Module] = {}
        self.constructs: dict[str, Construct] = {}
        self.methods: dict[str, str] = {}
        self.inputs_tree = InputNames(graph)
        self.in_place = _in_place(graph)
        self.producers = {name: node for node in graph.nodes for name in node.outputs}
        self._index(self.tree)

    def _index(self, module: Module) -> None:
        self.modules[module.path] = module
        for child in module.children.values():
            self._index(child)

    def write(self) -> Instance:
        """Makes every draft; the root's is returned."""
        construct = self._module(self.tree)
        assert isinstance(construct, Instance)
        return construct

    # Modules.

    def _module(self, module: Module) -> Construct:
        children = {name: self._module(child) for name, child in module.children.items()}
        construct = self._construct(module, children)
        self.constructs[module.path] = construct
        return construct

    def _construct(self, module: Module, children: dict[str, Construct]) -> Construct:
        if module.path:
            leaf = self._leaf(module)
            if leaf is not None:
                return leaf
            if not module.calls and not module.states:
                return self._uncalled(module, children)
            if not module.calls and not children:
                holder = self._holder(module)
                if holder is not None:
                    return holder
            if module.short_class in ("Sequential", "ModuleList") and self._is_chain(module):
                return self._container("nn.Sequential", children)
        return self.structures.add(self._draft(module, children))

    def _uncalled(self, module: Module, children: dict[str, Construct]) -> Construct:
        if not children:
            return New("nn.Identity", {})
        if module.is_counted:
            return self._container("nn.ModuleList", children)
        return Container("nn.ModuleDict", children)

    def is_gone(self, module: Module) -> bool:
        """Whether a module left no trace in the program: an Identity, a DropPath in eval mode."""
        return bool(module.path) and not (module.calls or module.states or module.children)

    def _container(self, kind: str, children: dict[str, Construct]) -> Construct:
        items = list(children.values())
        equal = len(items) > 1 and all(same(items[0], item) for item in items[1:])
        if equal and not isinstance(items[0], New):
            names = _numbered(list(children))
            if names is not None and (kind == "nn.Sequential" or not names):
                return Repeated(kind, items[0], Slot(len(items), "depth"), names)
        return Container(kind, children)

    def _is_chain(self, module: Module) -> bool:
        """Whether each call only passes one value through the children, in their order."""
        order = list(module.children)
        for call in module.calls:
            if len(call.inputs) != 1 or len(call.outputs) != 1 or not call.items:
                return False
            value, position = call.inputs[0], -1
            for item in call.items:
                if isinstance(item, Node) or item.inputs != [value] or len(item.outputs) != 1:
                    return False
                owner, _, name = item.path.rpartition(".")
                if owner != module.path or order.index(name) <= position or self._method(item) != "forward":
                    return False
                value, position = item.outputs[0], order.index(name)
            if value != call.outputs[0]:
                return False
            if len({no_grad(item) for item in call.items}) > 1:
                return False
            called = {item.path for item in call.items if isinstance(item, Call)}
            skipped = [child for child in module.children.values() if child.path not in called]
            if any(child.states or child.children for child in skipped):
                return False
        return True

    def _leaf(self, module: Module) -> New | None:
        """The `oneflow.nn` module that stands for this one, where a rule says so."""
        rule = MODULES.get(module.short_class)
        if rule is None or not module.original_class.startswith("torch.nn.") or module.children:
            return None
        found: dict[str, Any] | None = None
        for call in module.calls:
            node = self._only_node(module, call)
            if node is None or node.operator not in rule.operators or not set(module.states) <= set(rule.owns):
                return None
            shapes = {name: self.graph.metas[value].hint for name, (value, _) in module.states.items()}
            first = self.graph.metas.get(call.inputs[0])
            leaf = Leaf(node, shapes, len(first.shape) if first else 0, id(node) in self.in_place)
            arguments = rule.arguments(leaf)
            if arguments is None or (found is not None and arguments != found):
                return None
            found = arguments
        if found is None:
            return None
        name = "Linear" if module.short_class == "NonDynamicallyQuantizableLinear" else module.short_class
        return _new(name, found)

    def _only_node(self, module: Module, call: Call) -> Node | None:
        """The one call that is not about the module's own counters; None where there are more."""
        counted = {
            item.arguments["value"].name for item in call.items if isinstance(item, Node) and item.operator == STORE
        }
        nodes = [
            item
            for item in call.items
            if not (isinstance(item, Node) and (item.operator == STORE or counted.intersection(item.outputs)))
        ]
        if len(nodes) != 1 or not isinstance(nodes[0], Node) or len(call.inputs) != 1 or len(call.outputs) != 1:
            return None
        node = nodes[0]
        own = {value for value, _ in module.states.values()}
        aliases = {state.alias for _, state in module.states.values() if state.alias}
        own |= {name for name, state in self.graph.states.items() if state.alias and state.alias in aliases}
        given = [name for name in node.refs() if name not in own]
        if not node.outputs or call.outputs != [node.outputs[0]] or given != call.inputs:
            return None
        return node

    def _holder(self, module: Module) -> New | None:
        """A module that is never called and only keeps a weight, as `out_proj` of a MultiheadAttention."""
        weight, bias = (module.states.get(name) for name in ("weight", "bias"))
        if weight is None or len(module.states) > (2 if bias else 1):
            return None
        for other in self._tied(weight[1]):
            leaf = self._leaf(other) if other.calls else None
            if leaf is not None and not bias:
                return leaf
        shape = self.graph.metas[weight[0]].hint
        if len(shape) != 2 or (bias and self.graph.metas[bias[0]].hint != shape[:1]):
            return None
        return _new("Linear", {"in_features": shape[1], "out_features": shape[0], "bias": bias is not None})

    def _tied(self, state: State) -> list[Module]:
        """The other modules that own the same tensor."""
        if not state.alias:
            return []
        owners = [each.path.rpartition(".")[0] for each in self.graph.states.values() if each.alias == state.alias]
        return [self.modules[owner] for owner in owners if owner != state.path.rpartition(".")[0]]

    def _draft(self, module: Module, children: dict[str, Construct]) -> Draft:
        chain = bool(module.calls) and module.is_counted and not module.states and self._is_chain(module)
        base = "nn.Sequential" if module.is_counted else "nn.Module"
        methods = [] if chain else self._methods(module)
        name = module.short_class or class_name(module.name or "Model")
        owns = [own for attr, (value, state) in module.states.items() for own in self._own(attr, value, state)]
        return Draft(class_name(name), base, owns, children, methods)

    def _own(self, attr: str, value: str, state: State) -> list[Own]:
        """The statement that makes a parameter or buffer."""
        meta = self.graph.metas[value]
        if state.kind == "constant" and meta.shape == ():
            return []
        zeros: ast.expr = ast.Call(
            attribute("flow", "zeros"), [literal(size, "size") for size in meta.hint] or [literal(())], []
        )
        if meta.dtype not in ("float32",):
            zeros.keywords = [ast.keyword("dtype", attribute("flow", meta.dtype))]  # type: ignore[attr-defined]
        if state.kind == "parameter":
            keywords = [] if meta.requires_grad else [ast.keyword("requires_grad", ast.Constant(False))]
            parameter = ast.Call(attribute("nn", "Parameter"), [zeros], keywords)
            if is_attribute(attr):
                target = ast.Attribute(ast.Name("self", ast.Load()), attr, ast.Store())
                return [Own(attr, ast.Assign([target], parameter))]
            return [Own(attr, _call("register_parameter", ast.Constant(attr), parameter))]
        if state.persistent:
            return [Own(attr, _call("register_buffer", ast.Constant(attr), zeros))]
        statement = _call("register_buffer", ast.Constant(attr), self.values(state, meta.dtype))
        statement.value.keywords = [ast.keyword("persistent", ast.Constant(False))]  # type: ignore[attr-defined]
        return [Own(attr, statement)]

    # Bodies.

    def _methods(self, module: Module) -> list[ast.FunctionDef]:
        """`forward`, and another method for each call of the module that differs from those before."""
        found: dict[str, ast.FunctionDef] = {}
        for call in module.calls:
            method = self._method_of(call)
            key = ast.dump(method)
            if key not in found:
                found[key] = method
                method.name = "forward" if len(found) == 1 else f"forward_{len(found)}"
            self.methods[call.frame.key + str(id(call))] = found[key].name
        return list(found.values())

    def _method_of(self, call: Call) -> ast.FunctionDef:
        body = Body(self, call)
        if call is self.root:
            return self._root_method(body)
        body.read(call.outputs)
        body.name_parameters()
        statements = roll(body.write(call.outputs), self._length_in(call.path))
        arguments = [ast.arg(name) for name in ["self", *body.parameters]]
        return ast.FunctionDef("forward", ast.arguments([], arguments, None, [], [], None, []), statements, [])

    def _root_method(self, body: Body) -> ast.FunctionDef:
        names = self.inputs_tree
        body.call.inputs = list(names.values)
        results = [name for value in self.graph.outputs for name in ([value.name] if isinstance(value, Ref) else [])]
        body.names.update(names.values)
        body.read(results)
        body.parameters = list(names.values.values())
        body.bound = {name: value for value, name in names.values.items()}
        for statement in names.unpacking:
            body.statements.append(statement)

        def result() -> ast.expr:
            return returned(self.graph.output_tree, [body.argument(value) for value in self.graph.outputs])

        statements = roll(body.write(results, result), self._length_in(""))
        return ast.FunctionDef("forward", names.arguments, statements, [])

    def _length_in(self, path: str) -> Callable[[str], int]:
        """How many modules a numbered container has, as the module at `path` names it: `self.layers[0].blocks`."""

        def length(text: str) -> int:
            parts: list[str] = []
            node = ast.parse(text, mode="eval").body
            while isinstance(node, ast.Attribute | ast.Subscript):
                parts.insert(0, node.attr if isinstance(node, ast.Attribute) else ast.unparse(node.slice).strip("'"))
                node = node.value
            if not isinstance(node, ast.Name):
                return 0
            module = self.modules.get(".".join([*([path] if path else []), *parts]))
            return len(module.children) if module is not None and module.is_counted else 0

        return length

    # What bodies ask (`bodies.Context`).

    def operator(self, node: Node, body: Body) -> ast.expr:
        return self.operators.expression(node, body)

    def state(self, name: str, path: str) -> ast.expr | None:
        state = self.graph.states[name]
        if state.kind == "constant" and self.graph.metas[name].shape == ():
            return self.values(state, self.graph.metas[name].dtype)
        state = reachable(self.graph, name, path)  # type: ignore[assignment]
        return None if state is None else self.access(path, state.path)

    def child(self, call: Call, path: str) -> ast.expr:
        function = self.access(path, call.path)
        method = self._method(call)
        return function if method == "forward" else ast.Attribute(function, method, ast.Load())

    def _method(self, call: Call) -> str:
        return self.methods.get(call.frame.key + str(id(call)), "forward")

    def results(self, call: Call) -> list[str]:
        return call.outputs

    def inputs(self, call: Call) -> list[str]:
        return call.inputs

    def is_reserved(self, name: str) -> bool:
        return name in RESERVED or name in self.operators.recorder.helpers

    def producer(self, name: str) -> Node | None:
        return self.producers.get(name)

    def input_name(self, name: str) -> str:
        return self.inputs_tree.values.get(name, "")

    def frames(self, call: Call) -> tuple[Frame, ...]:
        first = next(call.nodes(), None)
        return first.frames if first is not None else ()

    def access(self, start: str, path: str) -> ast.expr:
        """`self.layers[0].weight`, seen from the module at `start`."""
        expression: ast.expr = ast.Name("self", ast.Load())
        here = self.modules[start]
        rest = path[len(start) :].lstrip(".")
        for part in rest.split(".") if rest else []:
            construct = self.constructs.get(here.path)
            if part.isdigit() and here.is_counted:
                expression = ast.Subscript(expression, ast.Constant(int(part)), ast.Load())
            elif isinstance(construct, Container) and construct.kind == "nn.ModuleDict":
                expression = ast.Subscript(expression, ast.Constant(part), ast.Load())
            elif is_attribute(part):
                expression = ast.Attribute(expression, part, ast.Load())
            else:
                expression = ast.Call(attribute("getattr"), [expression, ast.Constant(part)], [])
            here = here.children.get(part, here)
        return expression


def _numbered(names: list[str]) -> str | None:
    """`layer_{i}` for `layer_0`, `layer_1`, ...; "" for plain numbers, None where they are not numbered from 0."""
    prefix = names[0].rstrip("0")
    if names != [f"{prefix}{number}" for number in range(len(names))] or not re.fullmatch(r"[\w.-]*", prefix):
        return None
    return f"{prefix}{{i}}" if prefix else ""


def _new(name: str, arguments: dict[str, Any]) -> New:
    """A constructor's call; arguments that OneFlow's signature gives another default keep theirs."""
    defaults = signatures()[name]
    slots = {}
    for argument, default in defaults.items():
        value = arguments.get(argument, default)
        if argument in UNIFORM and isinstance(value, tuple) and value and all(item == value[0] for item in value):
            value = value[0]
        slots[argument] = Slot(value, argument, REQUIRED if default is ... else default)
    return New(f"nn.{name}", slots)


def _call(method: str, *arguments: ast.expr) -> ast.Expr:
    return ast.Expr(ast.Call(attribute("self", method), list(arguments), []))


def _in_place(graph: Graph) -> set[int]:
    """The calls that may work in place: the original did, and nothing else reads what goes in."""
    uses = graph.uses()
    return {id(node) for node in graph.nodes if node.in_place and uses.get(node.refs()[0], 0) == 1}
