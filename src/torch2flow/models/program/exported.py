"""Reads the program of a `.pt2`: `model.json`, of every schema version from torch 2.1 (1) to 2.15 (8.20), as a `Graph`.

Follows `torch/_export/serde/schema.py` and `serialize.py`. Three things changed shape over the versions and are
read in all of them: a union was an object of all alternatives, one of them not null, and is a one-entry object since
2.3; the signature was a few dicts in 2.1 and is a list of specifications since; infinities are strings since 2.7.
Everything is read by key, so that what newer versions add is passed over.

Operators that only wrap a piece of the program (`wrap_with_set_grad_enabled`, `wrap_with_autocast`) are unfolded
here, decisions and loops in `control_flow.py`; calls that compute sizes are not kept, since every place that uses a
size names its expression.
"""

from __future__ import annotations

import contextlib
import json
import keyword
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch2flow.checkpoints.pytorch.pt2 import SCALAR_TYPES
from torch2flow.checkpoints.pytorch.tensor import TensorRef
from torch2flow.errors import FormatError
from torch2flow.guards.json_text import parse_object
from torch2flow.models.program.author_functions import read_functions
from torch2flow.models.program.budget import DEEPEST, HIGHEST_RANK, LONGEST_LIST, MOST_VALUES, Budget, reading
from torch2flow.models.program.control_flow import CONTROL_FLOW, unfolded
from torch2flow.models.program.facts import (
    OTHER_CONSTANT,
    is_class_name,
    read_attributes,
    read_borders,
    read_calls,
    read_constants,
    read_facts,
    read_other_mode,
    read_signatures,
    read_static,
)
from torch2flow.models.program.graph import Dtype, Frame, Graph, Line, Meta, Node, Ref, State, Symbol, Tree, refs
from torch2flow.models.program.symbols import SymInt, computed, parse
from torch2flow.models.program.traces import read_frames, read_lines
from torch2flow.models.program.train_mode import restore_other_mode

_FLOATS = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}
ASSERTION = "aten._assert_scalar"
"""Checks a condition that is no value of a program; `functional.py` leaves it out."""
_WRAPPERS = ("higher_order.wrap_with_set_grad_enabled", "higher_order.wrap_with_autocast")
_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//", "truediv": "/", "mod": "%", "pow": "**"}
_SIZES = (
    "aten.sym_size",
    "aten.sym_stride",
    "aten.sym_numel",
    "aten.sym_storage_offset",
    "math.",
    "_operator.",
    "torch.",
)
_UNKNOWN = 7
"""Stands for a size that depends on data: PyTorch recorded none. Not 0 or 1, which are special."""
_MEMORY_FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}


def read_program(
    text: bytes,
    where: str,
    tensors: Mapping[str, TensorRef] | None = None,
    facts: bytes = b"",
    other: bytes = b"",
) -> Graph:
    """The program in a `model.json`.

    Args:
        text: the record's bytes.
        where: the file and record, for errors.
        tensors: the program's weights and constants by name, to tell which of them are one tensor.
        facts: what `torch2flow capture` added to the file (`facts.py`).
        other: the `model.json` of the mode that was not captured.

    Raises:
        FormatError: the record is damaged, or of a kind that torch2flow does not know.
    """
    known = read_facts(facts, where)
    graph = _read(text, where, tensors or {}, known)
    inner = known.get("other")
    if other and isinstance(inner, dict):
        held = {name: known.get(name) for name in ("attributes", "signatures", "class")}
        with contextlib.suppress(FormatError):  # the model in the mode that was asked for is whole without it
            graph.other = _read(other, f"{where}, the other mode", tensors or {}, inner | held)
            _name_constants(graph.other, read_constants(inner))
    return graph


def _name_constants(graph: Graph, own: dict[str, TensorRef]) -> None:
    """Gives the constants that only the program of the other mode has names that none of the file has."""
    graph.constants = own
    for name, state in graph.states.items():
        if state.kind == "constant" and (key := f"{OTHER_CONSTANT}{state.key}") in own:
            graph.states[name] = replace(state, key=key)


def _read(text: bytes, where: str, tensors: Mapping[str, TensorRef], known: dict[str, Any]) -> Graph:
    """One program, with what is known of it."""
    budget = Budget(where)
    budget.check(sum(map(text.count, (b"{", b"[", b","))), MOST_VALUES, "values in the JSON")
    document = parse_object(text, where)
    with reading(where):
        reader = _Reader(document, budget)
        graph = reader.graph(_aliases(tensors))
        _mark_trainable(graph, tensors)
        graph.attributes, graph.signatures = read_attributes(known), read_signatures(known)
        graph.mode = known["mode"] if known.get("mode") in ("train", "eval") else ""
        _begin_at_root(graph, known.get("class"))
        restore_other_mode(graph, read_calls(known.get("dropout")), read_calls(known.get("norms")))
        graph.other_mode, backwards = read_other_mode(known)
        graph.functions, graph.backwards = read_functions(reader, known, backwards)
        graph.borders = read_borders(known, reader.final_name)
        graph.static = read_static(known, reader.final_name)
    return graph


def _begin_at_root(graph: Graph, class_name: Any) -> None:
    """Puts every call inside of one of the model, which PyTorch leaves out of what a `torch.fx.GraphModule` calls."""
    roots = {node.frames[0] for node in graph.nodes if node.frames}
    if all(_is_root(frame) for frame in roots):
        return
    root = next(filter(_is_root, roots), Frame("L__self__", "", "Model"))
    root = replace(root, class_name=str(class_name) if is_class_name(class_name) else "Model")
    for node in graph.nodes:
        if node.frames and _is_root(node.frames[0]):
            node.frames = (root, *node.frames[1:])
        elif node.frames:
            node.frames, node.lines = (root, *node.frames), ((), *node.lines)


def _is_root(frame: Frame) -> bool:
    return frame.path == "" and not frame.block


def _mark_trainable(graph: Graph, tensors: Mapping[str, TensorRef]) -> None:
    """Says of each parameter whether it is trained: as the weights say, not as the program does.

    torch 2.1 to 2.3 recorded False everywhere; where nothing is trained, nothing was said.
    """
    parameters = {name: tensors.get(state.path) for name, state in graph.states.items() if state.kind == "parameter"}
    trained = {name for name, tensor in parameters.items() if tensor is not None and tensor.requires_grad}
    for name in parameters:
        if name in graph.metas:
            graph.metas[name] = replace(graph.metas[name], requires_grad=not trained or name in trained)


def _aliases(tensors: Mapping[str, TensorRef]) -> dict[str, str]:
    """For each name that shares its whole tensor with others, one name that is the same for all of them."""
    places: dict[Any, list[str]] = {}
    for name, tensor in tensors.items():
        storage = getattr(tensor, "storage", None)
        if storage is not None and storage.nbytes:
            place = (id(storage), tensor.storage_offset, tensor.shape, tensor.stride)
            places.setdefault(place, []).append(name)
    return {name: names[0] for names in places.values() if len(names) > 1 for name in names}


def _union(value: Any) -> tuple[str, Any]:
    """The alternative that a union holds, and its content."""
    for kind, content in value.items():
        if content is not None and content is not False:
            return kind, content
    # as_bool: false, in the versions that write all alternatives beside it.
    return next(((kind, content) for kind, content in value.items() if content is False), ("as_none", True))


class _Reader:
    """Reads one document; knows the sizes and the values that stand for others."""

    def __init__(self, document: dict[str, Any], budget: Budget) -> None:
        self.document, self.budget, self.file = document, budget, budget.where
        self.module = document["graph_module"]
        self.metas: dict[str, Meta] = {}
        self.sizes: dict[str, Any] = {}
        self.known: dict[str, Any] = {}
        self.tests: dict[str, tuple[Any, ...]] = {}
        """For the name of each number that is computed from sizes: the operator, and what it is given."""
        self.wrapped = 0
        self.autocast: list[str] = []
        self.pieces = {"": ""}
        """For the suffix of each wrapped piece, the path of its graph: `submod_1.`."""

    def graph(self, aliases: dict[str, str]) -> Graph:
        body = self.module["graph"]
        nodes = list(self.nodes(body, "", no_grad=False))
        graph = Graph(nodes, self.metas, producer=f"torch {self.document.get('torch_version') or ''}".strip())
        graph.autocast = self.autocast
        self._signature(graph, body, aliases)
        self._calls(graph)
        _check_order(graph)
        for symbol, limits in (self.document.get("range_constraints") or {}).items():
            graph.ranges[self.budget.name(symbol)] = (limits.get("min_val"), limits.get("max_val"))
        return graph

    def final_name(self, name: str) -> str | None:
        """The name of a value in the graph that was read, of which `submod_1.add` may be inside a wrapped piece."""
        piece, _, inner = name.rpartition(".")
        for suffix, path in self.pieces.items():
            if path.rstrip(".") == piece and inner + suffix in self.metas:
                value = self.known.get(inner + suffix, Ref(inner + suffix))
                return value.name if isinstance(value, Ref) else None
        return None

    # The calls.

    def nodes(self, body: dict[str, Any], suffix: str, no_grad: bool) -> Iterator[Node]:
        """The calls of a graph; inside a wrapped piece every name carries a suffix that makes it unique."""
        for name, meta in (body.get("tensor_values") or {}).items():
            with reading(f"{self.file}, tensor {name[:100]!r}"):
                self.metas[self.budget.name(name) + suffix] = self._meta(meta)
        for table in ("sym_int_values", "sym_float_values"):
            for name, value in (body.get(table) or {}).items():
                size = self._size(value)
                if size is not None:
                    self.sizes[name + suffix] = size
        for entry in body["nodes"]:
            self.budget.nodes += 1
            self.budget.where = f"{self.file}, operator {self.budget.nodes}: {str(entry.get('target'))[:100]}"
            target = self.budget.text(entry["target"]).removeprefix("torch.ops.")
            if target in _WRAPPERS:
                yield from self._unfold(entry, target, suffix, no_grad)
                continue
            if target in CONTROL_FLOW:
                yield from unfolded(self, entry, target, suffix, no_grad)
                continue
            with reading(self.budget.where):
                node = self._node(entry, target, suffix, no_grad)
            if node is not None:
                yield node
        self.budget.where = self.file

    def _node(self, entry: dict[str, Any], target: str, suffix: str, no_grad: bool) -> Node | None:
        """A call; None where it only computes a size."""
        if target.startswith("torch2flow."):
            raise ValueError("the calls of that name are made here, and are in no file")
        given = self.budget.numbers(entry["inputs"])
        arguments = {
            _parameter(item["name"]) or f"arg{position}": self.argument(item["arg"], suffix)
            for position, item in enumerate(given)
        }
        outputs, is_list, symbolic = self.outputs(entry, suffix)
        if symbolic and target.startswith(_SIZES):
            self.tests.update((name, (target, *arguments.values())) for name in outputs)
            size = self._computed(target, list(arguments.values()))
            for name in outputs:
                if size is not None:
                    self.sizes.setdefault(name, size)
            return None
        if symbolic:
            # A number that a tensor holds: it has a symbol too, but is the result of this call.
            self.known.update({name: Ref(name) for name in outputs})
        return Node(target, arguments, outputs, *self.place(entry), no_grad, is_list)

    def place(self, entry: dict[str, Any]) -> tuple[tuple[Frame, ...], tuple[tuple[Line, ...], ...]]:
        """The module calls that a call lies in, and its lines in each of them."""
        metadata = entry.get("metadata") or {}
        frames = read_frames(metadata.get("nn_module_stack") or "", self.budget)
        return frames, read_lines(metadata.get("stack_trace") or "", len(frames))

    def outputs(self, entry: dict[str, Any], suffix: str) -> tuple[list[str], bool, bool]:
        names: list[str] = []
        is_list = symbolic = False
        for item in self.budget.numbers(entry["outputs"], LONGEST_LIST):
            kind, content = _union(item)
            if kind == "as_tensors":
                is_list = True
                names += [each["name"] + suffix for each in self.budget.numbers(content, LONGEST_LIST)]
            elif kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
                symbolic = True
                names.append(_union(content)[1] + suffix)
            elif kind == "as_tensor":
                names.append(content["name"] + suffix)
            elif kind == "as_optional_tensors":
                is_list = True
                names += [self._optional_name(each) + suffix for each in self.budget.numbers(content, LONGEST_LIST)]
            else:
                names.append("")
        return names, is_list, symbolic

    @staticmethod
    def _optional_name(item: dict[str, Any]) -> str:
        kind, content = _union(item)
        return "" if kind == "as_none" else str(content["name"])

    def _unfold(self, entry: dict[str, Any], target: str, suffix: str, no_grad: bool) -> Iterator[Node]:
        """The calls inside a wrapped piece, its inputs bound by position."""
        given = [item["arg"] for item in entry["inputs"]]
        place = [index for index, item in enumerate(given) if "as_graph" in item][0]  # noqa: RUF015  IndexError is told
        inner = given[place]["as_graph"]["graph"]
        settings = [_union(item) for item in given[:place]]
        if target.endswith("set_grad_enabled"):
            no_grad = not settings[0][1]
        elif len(settings) > 2 and settings[2][1]:
            dtype = SCALAR_TYPES.get(settings[1][1], "") if isinstance(settings[1][1], int) else ""
            self.autocast.append(f"{self.budget.text(settings[0][1])}{f', {dtype}' if dtype else ''}")
        inside = self.piece(given[place], suffix)
        self.bind(inner, inside, [self.argument(value, suffix) for value in given[place + 1 :]])
        yield from self.nodes(inner, inside, no_grad)
        outer, _, _ = self.outputs(entry, suffix)
        for name, value in zip(outer, self.results(inner, inside), strict=True):
            self.known[name] = value

    def piece(self, given: dict[str, Any], suffix: str) -> str:
        """The suffix of the names in a graph inside the graph."""
        self.wrapped += 1
        inside = f"__piece{self.wrapped}"  # PyTorch itself has `add__2`, the second of `add_`
        self.budget.check(self.pieces[suffix].count(".") + 1, DEEPEST, "programs in each other")
        self.pieces[inside] = f"{self.pieces[suffix]}{self.budget.name(given['as_graph'].get('name') or '')}."
        return inside

    def bind(self, inner: dict[str, Any], inside: str, values: list[Any]) -> None:
        """Says what the inputs of a graph inside the graph are."""
        self.known.update(zip(self.inputs(inner, inside), values, strict=True))

    def inputs(self, inner: dict[str, Any], inside: str) -> list[str]:
        """The names of the inputs of a graph inside the graph."""
        found = []
        for item in inner["inputs"]:
            kind, content = _union(item)
            found.append((_union(content)[1] if kind.startswith("as_sym") else content["name"]) + inside)
        return found

    def results(self, inner: dict[str, Any], inside: str) -> list[Any]:
        """What a graph inside the graph gives."""
        return [value for item in inner["outputs"] for value in self.listed(item, inside)]

    def listed(self, item: dict[str, Any], suffix: str) -> list[Any]:
        """An argument that is a list, or the list of it alone."""
        value = self.argument(item, suffix)
        return value if isinstance(value, list) else [value]

    # Arguments.

    def argument(self, union: dict[str, Any], suffix: str = "") -> Any:
        kind, content = _union(union)
        match kind:
            case "as_none":
                return None
            case "as_tensor":
                name = content["name"] if isinstance(content, dict) else content
                return self._ref(name + suffix)
            case "as_tensors":
                return [self._ref(item["name"] + suffix) for item in self.budget.numbers(content, LONGEST_LIST)]
            case "as_optional_tensors":
                return [self.argument(item, suffix) for item in self.budget.numbers(content, LONGEST_LIST)]
            case "as_nested_tensors":
                return [[self._ref(item["name"] + suffix) for item in self.budget.numbers(items)] for items in content]
            case "as_optional_tensor":
                return self.argument(content, suffix)
            case "as_int" | "as_bool":
                return self.budget.number(content)
            case "as_string":
                return self.budget.text(content)
            case "as_float":
                return self._number(content)
            case "as_strings":
                return list(map(self.budget.text, self.budget.numbers(content)))
            case "as_int_lists":
                return [list(map(self.budget.number, self.budget.numbers(items))) for items in content]
            case "as_ints" | "as_bools" | "as_floats":
                return list(map(self._number, self.budget.numbers(content)))
            case "as_complex":
                return complex(self._number(content["real"]), self._number(content["imag"]))
            case "as_sym_int" | "as_sym_float" | "as_sym_bool":
                return self._symbolic(content, suffix)
            case "as_sym_ints" | "as_sym_floats" | "as_sym_bools":
                return [self._symbolic(item, suffix) for item in self.budget.numbers(content)]
            case "as_scalar_type":
                return Dtype(SCALAR_TYPES.get(content, f"dtype {content}"))
            case "as_memory_format":
                return Symbol("memory_format", _MEMORY_FORMATS.get(content, str(content)))
            case "as_device":
                return Symbol("device", str(content.get("type")))
            case "as_layout":
                return Symbol("layout", str(content))
            case "as_operator":
                return Symbol("operator", str(content))
            case "as_custom_obj":
                return Symbol("custom object", str(content.get("class_fqn")))
            case "as_graph":
                return Symbol("graph", str(content.get("name")))
        return Symbol(kind, json.dumps(content)[:200])

    def _ref(self, name: str) -> Any:
        return self.known.get(name, Ref(name))

    def _number(self, value: Any) -> Any:
        return self.budget.number(_FLOATS.get(value, value) if isinstance(value, str) else value)

    def _symbolic(self, content: Any, suffix: str) -> Any:
        kind, value = _union(content)
        if kind != "as_name":
            return self._number(value)
        name = value + suffix
        known = self.known.get(name)
        if known is not None:
            return known
        return self.sizes.get(name, Ref(name))

    def _size(self, union: Any) -> Any:
        """A size: an `int`, or an expression with its value at capture; None where PyTorch's form is no integer."""
        if isinstance(union, int):
            return self.budget.number(union)
        kind, content = _union(union)
        if kind in ("as_int", "as_float"):
            return self._number(content)
        if kind != "as_expr":
            return None
        hint = content.get("hint")
        value = _union(hint)[1] if isinstance(hint, dict) else hint
        try:
            return parse(content["expr_str"], self.budget.number(value) if isinstance(value, int) else _UNKNOWN)
        except FormatError:
            return None

    def _computed(self, target: str, values: list[Any]) -> Any:
        """A size that PyTorch recorded no expression for, made from the call that computes it; None for conditions.

        The text goes into source: nothing from the file but numbers and expressions that were read as such.
        """
        name = target.rpartition(".")[2].lstrip("_").removeprefix("sym_")
        if not all(isinstance(value, int | float | SymInt) for value in values):
            return None
        match name, values:
            case _, [left, right] if name in _ARITHMETIC:
                return computed(f"({left} {_ARITHMETIC[name]} {right})")
            case "max" | "min", [left, right]:
                return computed(f"{name}({left}, {right})")
            case "float", [value]:
                return value
            case "sqrt", [value]:
                return computed(f"({value} ** 0.5)")
        return None

    def _meta(self, meta: dict[str, Any]) -> Meta:
        meta = meta.get("meta") or meta
        self.budget.check(max(len(meta["sizes"]), len(meta["strides"])), HIGHEST_RANK, "dimensions of a tensor")
        sizes = tuple(self._size(size) for size in meta["sizes"])
        strides = tuple(self._size(step) for step in meta["strides"])
        return Meta(SCALAR_TYPES.get(meta["dtype"], "unknown"), sizes, strides, bool(meta.get("requires_grad")))

    # The signature.

    def _signature(self, graph: Graph, body: dict[str, Any], aliases: dict[str, str]) -> None:
        signature = self.module["signature"]
        if "input_specs" not in signature:
            self._first_signature(graph, signature, aliases)
            return
        for spec in signature["input_specs"]:
            kind, content = _union(spec)
            if kind == "user_input":
                graph.inputs.append(self.argument(content["arg"]))
            elif kind == "constant_input":
                graph.inputs.append(self.argument(content["value"]))
            elif kind in ("parameter", "buffer", "tensor_constant"):
                path = self.budget.path(content[f"{kind}_name"])
                persistent = kind == "parameter" or (kind == "buffer" and content.get("persistent", True) is not False)
                alias = aliases.get(path, "")
                key, path = path, self._constant_path(graph, path) if kind == "tensor_constant" else path
                state = State(kind.removeprefix("tensor_"), path, persistent, alias, key)
                graph.states[content["arg"]["name"]] = state
        outputs = [value for item in body["outputs"] for value in [self.argument(item)]]
        for spec, value in zip(signature["output_specs"], outputs, strict=True):
            kind, content = _union(spec)
            if kind == "user_output":
                graph.outputs.append(value)
            elif kind == "buffer_mutation":
                graph.stores[_state_at(graph, content["buffer_name"])] = value.name
            elif kind == "user_input_mutation":
                graph.stores[content["user_input_name"]] = value.name

    @staticmethod
    def _constant_path(graph: Graph, path: str) -> str:
        """A constant's name, numbered within its module: equal modules then have equal names for theirs."""
        owner, _, name = path.rpartition(".")
        if not name.startswith("lifted_tensor_"):
            return path
        prefix = f"{owner}.constant" if owner else "constant"
        taken = {state.path for state in graph.states.values()}
        return next(each for n in range(len(taken) + 1) if (each := f"{prefix}_{n}") not in taken)

    def _first_signature(self, graph: Graph, signature: dict[str, Any], aliases: dict[str, str]) -> None:
        """Schema version 1 (torch 2.1): dicts of names."""
        for kind, table in (("parameter", "inputs_to_parameters"), ("buffer", "inputs_to_buffers")):
            for name, path in signature[table].items():
                graph.states[name] = State(kind, self.budget.path(path), True, aliases.get(path, ""))
        graph.inputs = [Ref(name) for name in signature["user_inputs"]]
        graph.outputs = [Ref(name) for name in signature["user_outputs"]]
        made = {*graph.states, *signature["user_inputs"], *(name for node in graph.nodes for name in node.outputs)}
        for name in [name for node in graph.nodes for name in node.refs()]:
            if name not in made:
                # A tensor literal: torch 2.1 has its name in the program, and no place for its values in the file.
                graph.states[name] = State("constant", name, False, "", name)
                self.metas.setdefault(name, Meta("float32", ()))
        mutated = signature.get("buffers_to_mutate") or {}
        for value, path in mutated.items():
            graph.stores[_state_at(graph, path)] = value

    def _calls(self, graph: Graph) -> None:
        """The shape of the inputs and outputs, and the names of all modules."""
        root = self.module.get("call_spec") or {}
        names = self.module.get("module_call_graph") or self.document.get("module_call_graph") or []
        for entry in names:
            if entry["fqn"] == "":
                root = entry["signature"] or root
            else:
                graph.modules.append(self.budget.path(entry["fqn"]))
        graph.argument_names = list(root.get("forward_arg_names") or [])
        flat = Tree("tuple", (), (Tree("leaf"),) * len(graph.inputs))
        graph.input_tree = self._tree(root.get("in_spec")) or Tree("tuple", (), (flat, Tree("dict")))
        outputs = Tree("leaf") if len(graph.outputs) == 1 else Tree("tuple", (), (Tree("leaf"),) * len(graph.outputs))
        graph.output_tree = self._tree(root.get("out_spec")) or outputs

    def _tree(self, text: str | None) -> Tree | None:
        """A `TreeSpec` as PyTorch dumps it: `[1, {"type": "builtins.dict", "context": ..., "children_spec": []}]`."""
        if not text:
            return None
        _, content = json.loads(text)
        return self._spec(content, 0)

    def _spec(self, content: dict[str, Any], depth: int) -> Tree:
        self.budget.check(depth, DEEPEST, "trees in trees")
        kind = content["type"]
        children = tuple(
            self._spec(child, depth + 1) for child in self.budget.numbers(content["children_spec"], LONGEST_LIST)
        )
        if kind is None:
            return Tree("leaf")
        context = content.get("context")
        if self.budget.name(kind).endswith("namedtuple"):
            # Its fields stand beside the tree, by the name that the author registered it under.
            fields = (self.module.get("treespec_namedtuple_fields") or {}).get(context) or {}
            return Tree(self.budget.name(str(context)), tuple(map(str, fields.get("field_names") or ())), children)
        if isinstance(context, str):
            context = json.loads(context)
        short = kind.removeprefix("builtins.")
        if short in ("tuple", "list"):
            return Tree(short, (), children)
        if short == "dict" or kind.endswith(("OrderedDict", "immutable_dict")):
            return Tree("dict", tuple(self.budget.name(str(key)) for key in context or ()), children)
        if kind.endswith("immutable_list"):
            return Tree("list", (), children)
        names = context if isinstance(context, list) else []
        if names and isinstance(names[0], list):
            names = names[0]
        return Tree(kind, tuple(map(str, names)), children)


def _parameter(name: str) -> str:
    """An argument's name as a Python function can have it: `from_` for `from`."""
    return f"{name}_" if keyword.iskeyword(name) else name


def _check_order(graph: Graph) -> None:
    """Refuses a program that makes a value twice, or uses one that nothing has made yet."""
    known = {*graph.states, *refs(graph.inputs)}
    for node in graph.nodes:
        made = [name for name in node.outputs if name]
        unknown = next((name for name in node.refs() if name not in known), None)
        if unknown is not None and node.operator != ASSERTION:
            raise ValueError(f"{node} uses {unknown[:100]!r}, which nothing has made")
        if len(set(made)) < len(made) or not known.isdisjoint(made):
            raise ValueError(f"{node} makes a value that is there already")
        known.update(made)
    unknown = next((name for name in [*refs(graph.outputs), *graph.stores.values()] if name not in known), None)
    if unknown is not None:
        raise ValueError(f"{unknown[:100]!r} is given back, and nothing has made it")


def _state_at(graph: Graph, path: str) -> str:
    """The name of the value that holds a tensor of the model."""
    found = [name for name, state in graph.states.items() if state.path == path]
    if not found:
        raise ValueError(f"the program writes into {str(path)[:100]!r}, which it does not have")
    return found[0]
