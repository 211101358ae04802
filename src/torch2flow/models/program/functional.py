"""Makes a program functional: in-place calls become calls that make a new value, and every later use sees it.

    y = x.view(2, 3); y.mul_(2); return x      becomes      y = x.reshape(2, 3) * 2; return y.reshape(6)

OneFlow 0.9.0 gives wrong gradients through in-place calls on views, and `torch.export` keeps such calls since 2.6.
A value here is a *handle* on a storage, as in PyTorch: writing through one handle makes the others of the same
storage outdated, and an outdated view is taken again, from its base, where it is next read. What is written to a
buffer or a parameter of the model stays as a `store` call. A write through `detach()`, which `tensor.data` is too,
changes numbers and no gradients: a parameter is read again after it, and other tensors become a `with_data` call.

Calls that compute nothing (assertions, `alias`, `contiguous`) and those whose result nobody uses go away too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch2flow.errors import UnsupportedError
from torch2flow.models.program.budget import writing
from torch2flow.models.program.graph import Border, Dtype, Frame, Graph, Meta, Node, Ref, Structure, map_refs, refs
from torch2flow.models.program.old_values import with_old_values
from torch2flow.models.program.promotion import common_dtype
from torch2flow.models.program.train_mode import NORMS
from torch2flow.models.program.views import VIEWS, is_contiguous, is_view, subscript_of

STORE = "torch2flow.store"
"""Our own call, `store(state, value)`: the buffer or parameter `state` holds `value` from here on."""
WITH_DATA = "torch2flow.with_data"
"""Our own call, `with_data(self, value)`: the numbers of `value` with the gradient of `self`."""
SETITEM = "torch2flow.setitem"
"""Our own call, `setitem(self, keys, value)`: `self` with `value` in one place; a key is `[dim, index]` or
`[dim, start, end, step]`."""
CREATIONS = {
    "aten.zeros", "aten.ones", "aten.full", "aten.empty", "aten.new_zeros", "aten.new_ones", "aten.new_full",
    "aten.new_empty", "aten.zeros_like", "aten.ones_like", "aten.full_like", "aten.empty_like", SETITEM,
}  # fmt: skip
"""Calls whose result is new memory that nothing else looks into."""

_NOTHING = (
    "aten._assert_tensor_metadata", "aten._assert_scalar", "aten._assert_async", "aten.sym_constrain_range",
    "aten.sym_constrain_range_for_size", "aten._functional_assert_async", "aten._print", "aten.record_stream",
)  # fmt: skip
_SAME_VALUE = (
    "aten.alias", "aten.lift", "aten.lift_fresh", "aten.lift_fresh_copy", "aten.detach_", "aten.requires_grad_",
    "aten.contiguous", "aten.clone", "aten.resolve_conj", "aten.resolve_neg", "aten.alias_copy", "aten.view_of",
    "aten._conj_physical", "aten.positive",
)  # fmt: skip
_COPIES = {
    "aten.lift_fresh_copy", "aten.clone", "aten.alias_copy", "aten.add", "aten.sub", "aten.mul", "aten.div",
    "aten._to_copy",
}  # fmt: skip
_OF_FIRST_DTYPE = ("aten.copy", "aten.fill", "aten.index_", "aten.masked_", "aten.scatter")
"""Beginnings of the operators whose result has the dtype of the first operand, whatever that of an index is."""

_RENAMED = {"aten.zero_": "aten.zeros_like", "aten.true_divide_": "aten.div"}
_VIEWS_IN_PLACE = {"aten.squeeze_", "aten.unsqueeze_", "aten.transpose_", "aten.t_", "aten.swapaxes_", "aten.swapdims_"}


@dataclass(slots=True)
class _Storage:
    """A piece of memory: how often it was written, the value that had it first, and the module calls in which it was
    written last, where that value has no gradient."""

    version: int = 0
    owner: str = ""
    writers: tuple[Frame, ...] = ()


@dataclass(slots=True)
class _Handle:
    """A value of the original program: what holds it now, and as of which version of its storage."""

    storage: _Storage
    name: str
    version: int = 0
    base: str = ""
    view: Node | None = None
    index: int = 0


@dataclass(slots=True)
class _Block:
    """A branch or a loop's body that is being read.

    Attributes:
        before: what handles stood for before it took a view of theirs again.
        stored: the buffers that it writes.
    """

    key: str
    before: dict[str, tuple[str, int]] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)


def functionalize(graph: Graph, numbers: Mapping[str, float] | None = None) -> Graph:
    """The program without in-place calls and without calls that compute nothing.

    Args:
        graph: the program as it was read.
        numbers: the values of constants that are single numbers, by the name of their value.

    Returns:
        The program; its `stores` are the inputs that the original writes into, which nothing here does any more.

    Raises:
        UnsupportedError: a write goes through a view that torch2flow can't write through.
    """
    return prune(_Functionalizer(graph, numbers or {}).run())


class _Functionalizer:
    def __init__(self, graph: Graph, numbers: Mapping[str, float]) -> None:
        self.graph, self.numbers = graph, numbers
        self.nodes: list[Node] = []
        self.handles: dict[str, _Handle] = {}
        self.metas = graph.metas
        self.inputs = set(refs(graph.inputs))
        self.written: dict[str, str] = {}
        self.fresh = 0
        self.blocks: list[_Block] = []
        self.home = {name: node.blocks for node in graph.nodes if node.blocks for name in node.outputs}

    def run(self) -> Graph:
        borders = _Borders(self)
        for number, node in enumerate(self.graph.nodes):
            borders.begin(number)
            self._enter(node.blocks)
            with writing(str(node)):
                self._node(node)
            borders.end(number)
        self._enter(())
        outputs = map_refs(self.graph.outputs, lambda name: self._read(name, None))
        for state, value in self.graph.stores.items():
            self._store(state, self._read(value, None), None)
        graph = replace(self.graph, nodes=self.nodes, outputs=outputs, stores=self.written, borders=borders.found())
        graph = self._without_copies(graph)
        return with_old_values(graph, STORE, lambda node: is_view(node, self.metas), self._name)

    def _enter(self, keys: tuple[str, ...]) -> None:
        """Leaves the blocks that have ended and enters those that begin.

        What a block makes is not there behind it: handles then stand for what they stood for before, and a buffer that
        it may have written for what it holds then.
        """
        while self.blocks and self.blocks[-1].key not in keys:
            block = self.blocks.pop()
            for name, held in block.before.items():
                self.handles[name].name, self.handles[name].version = held
            for name in block.stored:
                self.handles[name].name, self.handles[name].version = name, self.handles[name].storage.version
        self.blocks += map(_Block, keys[len(self.blocks) :])

    def _check_home(self, name: str, node: Node) -> None:
        """Refuses to write in a block into what lies outside of it, but for buffers, which are written in place.

        Raises:
            UnsupportedError: the call does.
        """
        self._read(name, node)
        owner = self.handles[name].storage.owner
        if self.blocks and self._is_held(owner):
            self.blocks[-1].stored.add(owner)
        elif node.blocks != self.home.get(owner, ()):
            raise UnsupportedError(
                "A branch of torch.cond, or a loop's body, writes into a tensor from outside of it, which torch2flow "
                "can't follow.",
                where=f"{node.path or 'the model itself'}, {node.line or 'unknown line'}",
                remedy="return the new value from the branch, and write it behind",
            )

    def _node(self, node: Node) -> None:
        operator = node.operator
        if operator in _NOTHING:
            return
        first = next(iter(node.arguments.values()), None)
        if (operator in _SAME_VALUE or self._keeps(node)) and isinstance(first, Ref):
            self._same_value(node, first)
        elif operator in _VIEWS_IN_PLACE and isinstance(first, Ref):
            self._check_home(first.name, node)
            self._view(replace(node, target=f"{operator[:-1]}.{node.overload}"), first)
            self.handles[first.name] = self.handles[node.outputs[0]]
        elif (functional := functional_name(node.target)) and isinstance(first, Ref):
            self._write(node, functional, first)
        elif "out" in node.overload and isinstance(target := node.arguments.get("out"), Ref):
            others = {name: value for name, value in node.arguments.items() if name != "out"}
            self._read(target.name, node)
            self._write(replace(node, arguments=others), f"{operator}.{_without_out(node)}", target)
        elif is_view(node, self.metas) and isinstance(first, Ref):
            self._view(node, first)
        else:
            self._emit(node.renamed(lambda name: self._read(name, node)))

    def _same_value(self, node: Node, first: Ref) -> None:
        name = self._read(first.name, node)
        source = self.handles[first.name]
        if node.operator in _COPIES or (node.operator == "aten.contiguous" and not self._contiguous(first.name)):
            if self._is_held(name):
                # What the model holds now: it may be written before the copy is read.
                self._emit(replace(node, target="aten.clone.default", arguments={"self": Ref(name)}))
                name = node.outputs[0]
            self.handles[node.outputs[0]] = _Handle(_Storage(owner=node.outputs[0]), name)
        else:
            self.handles[node.outputs[0]] = _Handle(source.storage, name, source.version, first.name, node)

    def _is_held(self, name: str, kinds: tuple[str, ...] = ("buffer", "parameter")) -> bool:
        state = self.graph.states.get(name)
        return state is not None and state.kind in kinds

    def _without_copies(self, graph: Graph) -> Graph:
        """Takes away the copies of buffers and parameters that nothing is written to."""
        stored = {node.arguments["state"].name for node in graph.nodes if node.operator == STORE}
        same: dict[str, str] = {}
        for node in graph.nodes:
            source = node.arguments.get("self") if node.operator == "aten.clone" else None
            kinds = ("buffer",) if node.no_grad else ("buffer", "parameter")  # a copy without the parameter's gradient
            if isinstance(source, Ref) and self._is_held(source.name, kinds) and source.name not in stored:
                same[node.outputs[0]] = source.name

        def name(value: str) -> str:
            return same.get(value, value)

        nodes = [node.renamed(name) for node in graph.nodes if not same.keys() & set(node.outputs)]
        borders = {place: border.renamed(name) for place, border in graph.borders.items()}
        return replace(graph, nodes=nodes, outputs=map_refs(graph.outputs, name), borders=borders)

    def _keeps(self, node: Node) -> bool:
        """Whether a call gives back what it is given: a slice of everything, a cast to the dtype it has, `+ 0`."""
        given = node.arguments
        match node.operator:
            case "aten.slice":
                whole = given.get("start") in (None, 0) and given.get("end") in (None, 2**63 - 1)
                return whole and given.get("step", 1) == 1
            case "aten.to" | "aten.type_as" | "aten._to_copy":
                return self._keeps_dtype(node)
            case "aten.add" | "aten.sub":
                return given.get("other") == 0 and self._keeps_dtype(node)
            case "aten.mul" | "aten.div":
                return given.get("other") == 1 and given.get("rounding_mode") is None and self._keeps_dtype(node)
            case "aten.dropout":
                # The module stays in the tree with its p; only the function is left out.
                module = node.frames[-1].class_name if node.frames else ""
                return given.get("p") == 0 and not module.startswith("torch.nn.")
        return False

    def _keeps_dtype(self, node: Node) -> bool:
        names = node.refs()
        source, result = self.metas.get(names[0]), self.metas.get(node.outputs[0])
        return source is not None and result is not None and source.dtype == result.dtype

    def _is_floating(self, name: str) -> bool:
        meta = self.metas.get(name)
        return meta is None or meta.dtype.startswith(("float", "bfloat", "complex"))

    def _contiguous(self, name: str) -> bool:
        meta = self.metas.get(name)
        return meta is not None and is_contiguous(meta)

    def _view(self, node: Node, first: Ref) -> None:
        self._emit(node.renamed(lambda name: self._read(name, node)))
        base = self.handles[first.name]
        for index, output in enumerate(node.outputs):
            self.handles[output] = _Handle(base.storage, output, base.storage.version, first.name, node, index)

    def _write(self, node: Node, functional: str, first: Ref) -> None:
        self._check_home(first.name, node)
        output = node.outputs[0] if node.outputs and node.outputs[0] else self._name(node)
        if functional == "aten.copy.default" and self._is_same_place(node, first, node.arguments["src"]):
            self.handles[output] = self.handles[first.name]
            return
        if functional == "aten.copy.default":
            node = self._of_now(node)
        if functional == "aten.copy.default" and (whole := self._whole_copy(node, first)):
            self._assign(first.name, whole, node)
            self.handles[output] = self.handles[first.name]
            return
        in_place = first == next(iter(node.arguments.values()), None)  # and no result of `div(x, y, out=first)`
        made = replace(node, target=functional, outputs=[output, *node.outputs[1:]], in_place=in_place)
        made = made.renamed(lambda name: self._read(name, node))
        if functional.startswith("aten.zeros_like"):
            made.arguments = {"self": made.arguments["self"]}
        meta = self.metas.get(first.name)
        if meta is not None:
            self.metas[output] = meta
        if meta is not None and self._widens(made, meta):
            wide = self._name(node)
            self.metas[wide] = replace(meta, dtype=self._common_dtype(made))
            made.outputs[0] = wide
            self._emit(made)
            made = replace(
                made,
                target="aten.to.dtype",
                arguments={"self": Ref(wide), "dtype": Dtype(meta.dtype)},
                outputs=[output],
            )
        self._emit(made)
        if not self._set_item(first.name, made, node):
            self._assign(first.name, output, node)
        self.handles[output] = self.handles[first.name]

    def _of_now(self, node: Node) -> Node:
        """A copy of what the model holds, or of a part of it, takes the values of now: it may be written afterwards."""
        source = node.arguments["src"]
        if not isinstance(source, Ref):
            return node
        value = self._read(source.name, node)
        if not self._is_held(self.handles[source.name].storage.owner):
            return node
        name = self._name(node)
        self.metas[name] = self.metas[source.name]
        self._emit(replace(node, target="aten.clone.default", arguments={"self": Ref(value)}, outputs=[name]))
        return replace(node, arguments={**node.arguments, "src": Ref(name)})

    def _whole_copy(self, node: Node, target: Ref) -> str:
        """The value that a copy puts in the place of all of a tensor, if nothing has to be computed for that."""
        source, handle = node.arguments["src"], self.handles[target.name]
        while handle.view is not None:
            if not (handle.view.operator in (*_SAME_VALUE, "aten.detach") or self._keeps(handle.view)):
                return ""
            handle = self.handles[handle.base]
        one, other = self.metas.get(target.name), self.metas.get(source.name) if isinstance(source, Ref) else None
        if one is None or other is None or (one.dtype, one.shape) != (other.dtype, other.shape):
            return ""
        value = self._read(source.name, node)
        maker = next((made for made in reversed(self.nodes) if value in made.outputs), None)
        if maker is None or maker.frames != node.frames or maker.operator in CREATIONS:
            return ""  # what the model is given or holds, which may be written before it is read here
        return value if maker.no_grad or not (node.no_grad or self._is_detached(target)) else ""

    def _is_detached(self, target: Ref) -> bool:
        """Whether a write reaches the values of a tensor alone, without their gradient."""
        handle = self.handles[target.name]
        while handle.view is not None:
            if handle.view.operator == "aten.detach":
                return True
            handle = self.handles[handle.base]
        return False

    def _is_same_place(self, node: Node, target: Ref, source: object) -> bool:
        """Whether a copy would write what is there: `x[0] += 1` ends with one of `x[0]` onto itself."""
        if not isinstance(source, Ref):
            return False
        self._read(target.name, node)
        left, right = self.handles[target.name], self.handles.get(source.name)
        if right is None or left is right:
            return right is not None
        if left.view is None or right.view is None or left.base != right.base or left.index != right.index:
            return False
        return left.view.target == right.view.target and left.view.arguments == right.view.arguments

    def _set_item(self, name: str, made: Node, node: Node) -> bool:
        """Writes `x[1:3, 0] = value` where the handle is such a piece of a tensor; False where it is not."""
        chain: list[Node] = []
        handle, at = self.handles[name], name
        while handle.view is not None:
            if handle.view.operator not in ("aten.slice", "aten.select"):
                if not (handle.view.operator in _SAME_VALUE or self._keeps(handle.view)):
                    return False
            elif not self._keeps(handle.view):
                chain.insert(0, handle.view)
            at = handle.base
            handle = self.handles[at]
        keys = subscript_of(chain, self.metas.get(at))
        if not keys:
            return False
        value: object = Ref(made.outputs[0])
        if made.operator in ("aten.fill", "aten.copy"):
            value = made.arguments["value" if made.operator == "aten.fill" else "src"]
        elif node.operator == "aten.zero_":
            value = 0
        if isinstance(value, Ref):
            value = self.numbers.get(value.name, value)
        base, output = self._read(at, node), self._name(node)
        meta = self.metas[at]
        if isinstance(value, Ref) and value.name in self.metas and self.metas[value.name].dtype != meta.dtype:
            value = Ref(made.outputs[0])
        self.metas[output] = meta
        arguments = {"self": Ref(base), "keys": keys, "value": value}
        self._emit(replace(node, target=f"{SETITEM}.default", arguments=arguments, outputs=[output], is_list=False))
        handle.storage.version += 1
        handle.name, handle.version = output, handle.storage.version
        self._store(handle.storage.owner, output, node)
        written = self.handles[name]
        written.name, written.version = made.outputs[0], handle.storage.version
        return True

    def _widens(self, node: Node, meta: Meta) -> bool:
        """Whether another operand's dtype would make the result wider than what it is written into."""
        if node.operator.startswith(_OF_FIRST_DTYPE):
            return False
        others = [self.metas.get(name) for name in node.refs()[1:]]
        return any(other is not None and other.dtype != meta.dtype and other.dtype != "bool" for other in others)

    def _common_dtype(self, node: Node) -> str:
        """The dtype in which PyTorch computes with the operands of a call."""
        operands = [self.metas[name] for name in node.refs() if name in self.metas]
        return common_dtype((each.dtype, len(each.shape)) for each in operands)

    def _read(self, name: str, reader: Node | None) -> str:
        """The value that this handle stands for now."""
        handle = self.handles.setdefault(name, _Handle(_Storage(owner=name), name))
        if handle.version != handle.storage.version and handle.view is not None:
            if self.blocks:
                self.blocks[-1].before.setdefault(name, (handle.name, handle.version))
            base = self._read(handle.base, reader)
            if handle.view.operator in _SAME_VALUE or self._keeps(handle.view):
                handle.name = base
            else:
                again = replace(handle.view, outputs=[self._name(handle.view) for _ in handle.view.outputs])
                again.arguments = {**again.arguments, next(iter(again.arguments)): Ref(base)}
                if reader is not None:
                    again.frames, again.lines = reader.frames, reader.lines
                for old, new in zip(handle.view.outputs, again.outputs, strict=True):
                    self.metas[new] = self.metas[old]
                self._emit(again)
                handle.name = again.outputs[handle.index]
            handle.version = handle.storage.version
        if handle.view is None and reader is not None and self._is_of_another_call(handle.storage, reader):
            return handle.storage.owner
        return handle.name

    def _is_of_another_call(self, storage: _Storage, reader: Node) -> bool:
        """Whether an earlier call of a module wrote its buffer, which a later call of that module reads anew."""
        owner = self.graph.states[storage.owner].path if storage.writers else ""
        pairs = zip(storage.writers, reader.frames, strict=False)
        return any(one.path == two.path != "" and one != two and owner.startswith(f"{one.path}.") for one, two in pairs)

    def held(self, name: str) -> str | None:
        """The value that this handle stands for now, if no call is needed to make it."""
        handle = self.handles.get(name)
        if handle is None:
            return name
        if handle.version == handle.storage.version or handle.view is None:
            return handle.name
        return self.held(handle.base) if handle.view.operator in _SAME_VALUE or self._keeps(handle.view) else None

    def was_written(self, name: str) -> bool:
        """Whether anything wrote into the memory of a value."""
        return name in self.handles and self.handles[name].storage.version > 0

    def _assign(self, name: str, value: str, node: Node, *, detached: bool = False) -> None:
        """Makes `value` what the handle `name` stands for, and carries the change to the base of a view."""
        handle = self.handles[name]
        if handle.view is not None:
            base = self._read(handle.base, node)
            meta = self.metas[handle.base]
            if handle.view.operator in _SAME_VALUE or self._keeps(handle.view):
                self._assign(handle.base, value, node, detached=detached)
            elif handle.view.operator == "aten.detach":
                self._assign(handle.base, self._with_data(handle, base, value, node), node, detached=True)
            else:
                write = VIEWS[handle.view.operator]
                if write is None:
                    raise UnsupportedError(
                        f"The model writes in place through {handle.view.target}, which torch2flow can't follow.",
                        where=f"{node.path or 'the model itself'}, {node.line or 'unknown line'}",
                        remedy="write the result to a new tensor in the model's code, and capture it again",
                    )
                target, arguments = write(Ref(base), meta, handle.view, handle.index, Ref(value))
                merged = self._name(node)
                self.metas[merged] = meta
                if target == "aten.alias.default":
                    merged = value
                else:
                    self._emit(replace(node, target=target, arguments=arguments, outputs=[merged], is_list=False))
                self._assign(handle.base, merged, node, detached=detached)
        else:
            handle.storage.version += 1
            plain = node.no_grad or detached or not self._is_floating(handle.storage.owner)
            handle.storage.writers = node.frames if plain and self._is_held(handle.storage.owner) else ()
            self._store(handle.storage.owner, value, node)
            if self._is_held(handle.storage.owner, ("parameter",)):
                value = handle.storage.owner  # which gets the gradient of what comes after
        handle.name, handle.version = value, handle.storage.version

    def _with_data(self, handle: _Handle, base: str, value: str, node: Node) -> str:
        """The base of a detached tensor, once that is written: as far as it may have a gradient, it keeps it."""
        meta = self.metas[handle.base]
        if node.no_grad or self._is_held(handle.storage.owner) or not self._is_floating(handle.base):
            return value
        merged = self._name(node)
        self.metas[merged] = meta
        arguments: dict[str, object] = {"self": Ref(base), "value": Ref(value)}
        self._emit(replace(node, target=f"{WITH_DATA}.default", arguments=arguments, outputs=[merged], is_list=False))
        return merged

    def _store(self, name: str, value: str, node: Node | None) -> None:
        if self._is_held(name):
            last = self._within_reach(name, node or next(made for made in self.nodes if value in made.outputs))
            arguments: dict[str, object] = {"state": Ref(name), "value": Ref(value)}
            no_grad = last.no_grad or self._is_held(name, ("parameter",))
            self._emit(replace(last, target=f"{STORE}.default", arguments=arguments, outputs=[], no_grad=no_grad))
        elif name in self.inputs:
            self.written[name] = value

    def _within_reach(self, name: str, maker: Node) -> Node:
        """The call that made a value, as if it stood in the innermost module that holds what is written."""
        owner = self.graph.states[name].path.rpartition(".")[0]
        frames = [each for each in maker.frames if not each.path or f"{owner}.".startswith(f"{each.path}.")]
        return replace(maker, frames=tuple(frames)) if frames else maker

    def _emit(self, node: Node) -> None:
        self.nodes.append(node)

    def _name(self, node: Node) -> str:
        self.fresh += 1
        return f"{node.operator.rpartition('.')[2].strip('_')}__f{self.fresh}"


class _Borders:
    """Follows what crosses the borders of calls: arguments as they were when the call began, results when it ended.

    A call in which nothing happens has no time; what goes through it is known if nothing is ever written into it.
    """

    def __init__(self, program: _Functionalizer) -> None:
        self.program, self.borders = program, program.graph.borders
        self.first: dict[tuple[str, int], int] = {}
        self.last: dict[tuple[str, int], int] = {}
        for number, node in enumerate(program.graph.nodes if self.borders else ()):
            for frame in node.frames:
                self.first.setdefault((frame.path, frame.number), number)
                self.last[frame.path, frame.number] = number
        self.arguments: dict[tuple[str, int], tuple[tuple[str, Structure], ...]] = {}
        self.results: dict[tuple[str, int], Structure] = {}

    def begin(self, number: int) -> None:
        """Reads the arguments of the calls that begin with this node."""
        for frame in self.program.graph.nodes[number].frames:
            place = frame.path, frame.number
            if self.first.get(place) == number and place in self.borders:
                given = self.borders[place].arguments
                self.arguments[place] = tuple((name, each.renamed(self.program.held)) for name, each in given)

    def end(self, number: int) -> None:
        """Reads the results of the calls that end with this node."""
        for frame in self.program.graph.nodes[number].frames:
            place = frame.path, frame.number
            if self.last.get(place) == number and place in self.borders:
                self.results[place] = self.borders[place].result.renamed(self.program.held)

    def found(self) -> dict[tuple[str, int], Border]:
        """The borders, in the names of the functional program."""

        def name(value: str) -> str | None:
            return None if self.program.was_written(value) else self.program.held(value)

        return {
            place: replace(border, arguments=self.arguments[place], result=self.results[place])
            if place in self.results
            else border.renamed(name)
            for place, border in self.borders.items()
        }


def functional_name(target: str) -> str:
    """What an in-place call computes: `aten.add` for `aten.add_`; "" for a call that is not in place."""
    operator, _, overload = target.rpartition(".")
    space, _, name = operator.rpartition(".")
    if operator in _RENAMED:
        return f"{_RENAMED[operator]}.default"
    if name.startswith("__i") and name not in ("__invert__", "__index__"):
        return f"{space}.__{name[3:]}.{overload}"
    if name.endswith("_") and not name.endswith("__") and space in ("aten", "complex"):
        return f"{space}.{name[:-1]}.{overload}"
    return ""


def _without_out(node: Node) -> str:
    """The overload that computes what one with `out=` writes: `IntList` for `IntList_out`."""
    if node.operator in ("aten.add", "aten.sub", "aten.mul", "aten.div"):
        return node.overload.replace("out", "Tensor")
    return node.overload.removesuffix("out").rstrip("_") or "default"


def prune(graph: Graph) -> Graph:
    """Drops calls whose results nobody uses; in the borders of modules, those results are unknown.

    A norm with running statistics stays, since it writes them in train mode: it, and what its author makes of it.
    """
    kept = _kept(graph, set(refs(graph.outputs)))
    alive = set(map(id, kept))
    unread: set[str] = set()
    for node in graph.nodes:
        norm = node.operator in NORMS and isinstance(node.arguments.get("running_mean"), Ref)
        if id(node) not in alive and (norm or not unread.isdisjoint(node.refs())):
            unread.update(node.outputs)
    if unread:
        kept = _kept(graph, {*refs(graph.outputs), *unread})
    if not graph.borders:
        return replace(graph, nodes=kept)
    there = {*graph.states, *refs(graph.inputs), *(name for node in kept for name in node.outputs)}
    borders = {
        place: border.renamed(lambda name: name if name in there else None) for place, border in graph.borders.items()
    }
    return replace(graph, nodes=kept, borders=borders)


def _kept(graph: Graph, needed: set[str]) -> list[Node]:
    """The calls that make these values, and those that write."""
    kept = []
    storing = {key for node in graph.nodes if node.operator == STORE for key in node.blocks}
    for node in reversed(graph.nodes):
        stores = node.operator == STORE or not storing.isdisjoint(node.arguments.get("blocks", ()))
        if stores or needed.intersection(node.outputs):
            needed.update(node.refs())
            kept.append(node)
    return kept[::-1]
