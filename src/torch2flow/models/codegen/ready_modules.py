"""Modules that OneFlow has ready: which of a program's they are, and the construction that makes such a module."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from torch2flow.models.codegen.attention_calls import MULTIHEAD, attention_border, rate_of
from torch2flow.models.codegen.borders import leaf, loose
from torch2flow.models.codegen.classes import expression, listed
from torch2flow.models.codegen.drafts import REQUIRED, Code, Construct, ContainerCall, New, Slot
from torch2flow.models.codegen.literals import UNIFORM
from torch2flow.models.codegen.module_tree import Module
from torch2flow.models.codegen.numbered import repeated
from torch2flow.models.codegen.operators import is_usual
from torch2flow.models.codegen.recurrent_calls import frozen, recurrent_border, recurrent_node
from torch2flow.models.codegen.steps import Given
from torch2flow.models.lowering.modules.library import KEYWORD
from torch2flow.models.lowering.modules.reading import construct_called, construct_recorded
from torch2flow.models.lowering.modules.table import CLASSES, Made, ModuleCall, RecordedModule, signature
from torch2flow.models.program import Graph, Node, State
from torch2flow.models.program.calls import Call
from torch2flow.models.program.functional import STORE
from torch2flow.models.program.pickled import known_as


@dataclass(frozen=True, slots=True)
class ReadyModules:
    """Finds the modules of a program that OneFlow has ready.

    Args:
        graph: the program.
        modules: all its modules, by path.
        in_place: the calls that may work in place, by their `id`.
    """

    graph: Graph
    modules: dict[str, Module]
    in_place: set[int]

    def of(self, module: Module) -> New | None:
        """The `oneflow.nn` module that stands for this one, where the table has one."""
        name = known_as(module.original_class)
        if name == MULTIHEAD:
            return self._attention(module)
        if name not in CLASSES or module.children:
            return None
        found: Made | None = None
        for call in module.calls:
            recurrent = recurrent_node(call, module, self.graph)
            node = frozen(recurrent, self.graph) if recurrent else self._only_node(module, call)
            if node is None or not is_usual(node, self.graph):
                return self._recorded(module)
            shapes = {name: self.graph.metas[value].hint for name, (value, _) in module.states.items()}
            first = self.graph.metas.get(call.inputs[0])
            shape = first.hint if first else ()
            made = construct_called(ModuleCall(name, node, shapes, shape, id(node) in self.in_place))
            if made is None or (found is not None and made != found):
                return self._recorded(module)
            found = made
        return None if found is None else new_module(found)

    def border(self, call: Call) -> Given:
        """What a call of a ready module is given, and gives."""
        if known_as(call.frame.class_name) == MULTIHEAD and (border := attention_border(call, self.graph)):
            return border
        return recurrent_border(call) or ([("", leaf(value)) for value in call.inputs], loose(call.outputs))

    def holder(self, module: Module) -> New | None:
        """A module that is never called and only keeps a weight, as `out_proj` of a MultiheadAttention."""
        weight, bias = (module.states.get(name) for name in ("weight", "bias"))
        if weight is None or len(module.states) > (2 if bias else 1):
            return None
        for other in self._tied(weight[1]):
            ready = self.of(other) if other.calls and other.states.keys() == module.states.keys() else None
            if ready is not None and not bias:
                return ready
        shape = self.graph.metas[weight[0]].hint
        if len(shape) != 2 or (bias and self.graph.metas[bias[0]].hint != shape[:1]):
            return None
        sizes = {"in_features": shape[1], "out_features": shape[0], "bias": bias is not None}
        return new_module(Made("nn.Linear", sizes))

    def _attention(self, module: Module) -> New | None:
        """The class that stands for an `nn.MultiheadAttention`, where its attributes and all arguments are known."""
        if not all(attention_border(call, self.graph) for call in module.calls):
            return None
        rates = {rate_of(call, self.graph) for call in module.calls}
        if None in rates or len(rates) != 1:
            return None
        found = [each for part in module.walk() for each in part.states.values()]
        start = len(module.path) + 1 if module.path else 0
        shapes = {state.path[start:]: self.graph.metas[value].hint for value, state in found}
        held = {**self.graph.attributes.get(module.path, {}), "dropout": rates.pop()}
        made = construct_recorded(RecordedModule(MULTIHEAD, held, shapes))
        return None if made is None or not module.calls else new_module(made)

    def _recorded(self, module: Module) -> New | None:
        """The class that stands for a module as its attributes say, where each call is what that class computes."""
        name = known_as(module.original_class)
        held = self.graph.attributes.get(module.path, {})
        if module.states or not all(self._is_body(name, call) for call in module.calls):
            return None
        # The program has a value of its own for what is written in place.
        made = construct_recorded(RecordedModule(name, {**held, "inplace": False}, {}))
        is_told = made is not None and (held or not made.arguments.keys() - {"inplace"})
        return new_module(made) if made is not None and is_told else None

    def _is_body(self, name: str, call: Call) -> bool:
        """Whether a call is the operators of its class, on numbers and of a rank that OneFlow's class takes."""
        nodes = [item for item in call.items if isinstance(item, Node)]
        body = CLASSES[name].body
        first = self.graph.metas.get(call.inputs[0]) if len(call.inputs) == len(call.outputs) == 1 else None
        if first is None or not body or len(body) != len(nodes) or len(nodes) != len(call.items):
            return False
        dims = re.search(r"([123])d$", name)
        fits = first.dtype in ("float32", "float64") and (dims is None or len(first.shape) == int(dims[1]) + 2)
        return fits and all(fnmatch(node.operator, each) for node, each in zip(nodes, body, strict=True))

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

    def _tied(self, state: State) -> list[Module]:
        """The other modules that own the same tensor."""
        if not state.alias:
            return []
        owners = [each.path.rpartition(".")[0] for each in self.graph.states.values() if each.alias == state.alias]
        return [self.modules[owner] for owner in owners if owner != state.path.rpartition(".")[0]]


def construction(made: Made) -> Construct:
    """The construction of a module, and of those that are in it where it is a container."""
    if not made.is_container:
        return new_module(made)
    return container(made.function, {name: construction(child) for name, child in made.children.items()})


def container(kind: str, children: dict[str, Construct]) -> Construct:
    """The construction of a container; a loop where its modules are made alike."""
    loop = None if kind == "nn.ModuleDict" else repeated(kind, children)
    return loop or ContainerCall(kind, children)


PAIRS = {"nn.Fold": ("output_size",)}
"""Arguments of OneFlow's modules that are two numbers, also where both are equal."""


def list_of_parameters(shapes: list[tuple[int, ...]]) -> New:
    """An `nn.ParameterList`, whose parameters are cast, frozen and tied as those of OneFlow's modules are."""
    made = [
        ast.parse(f"nn.Parameter(flow.zeros({', '.join(map(str, shape)) or '()'}))", mode="eval").body
        for shape in shapes
    ]
    text = Code(ast.unparse(listed(made)))
    return New(Slot(Code("nn.ParameterList")), {"parameters": Slot(text, "parameters", REQUIRED)})


def new_module(made: Made) -> New:
    """A constructor's call; arguments that OneFlow's signature gives another default keep theirs."""
    slots: dict[str, Slot] = {}
    for name, default in signature(made.function).items():
        value = made.arguments.get(name, default)
        if isinstance(value, Made):
            value = Code(ast.unparse(expression(construction(value))))
        elif (
            name in UNIFORM
            and made.function.startswith(("nn.", "PaddedConv"))
            and name not in PAIRS.get(made.function, ())
        ):
            value = _single(value)
        after_module = any(isinstance(each.value, Code) for each in slots.values())
        slots[name] = Slot(value, name, KEYWORD if default is REQUIRED and after_module else default)
    return New(Slot(Code(made.function)), slots)


def _single(value: Any) -> Any:
    """One number for several equal ones: OneFlow's modules take either."""
    alike = isinstance(value, tuple) and value and all(item == value[0] for item in value)
    return value[0] if alike else value
