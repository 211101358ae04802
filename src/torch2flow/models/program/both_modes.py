"""The programs of both modes over one set of values.

    program of eval mode         program of train mode          the module's `forward`
    y = block(x)                 y = block(x)                   y = self.block(x)
                                 z = drop_path(y)               y = self.drop_path(y)
    return x + y                 return x + z                   return x + y

`drop_path` does nothing in eval mode, so PyTorch's program does not have it. Here it is called in both modes, as the
author calls it, and gives back what it is given in one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from torch2flow.models.program.calls import Call, call_tree
from torch2flow.models.program.functional import STORE, prune
from torch2flow.models.program.graph import Frame, Graph, Node, Ref, State, Structure, map_refs, refs
from torch2flow.models.program.symbols import SymInt
from torch2flow.models.program.train_mode import FLAGS, NORMS, acts_by_mode

_MARK = "__train"
"""Ends the names of values that the program of train mode makes."""

_IDLE = "__same"
"""Ends the names of values that come out of a module that gives back what it is given."""

_IDENTITY = "torch.nn.modules.linear.Identity"
"""The class of a module that does nothing in either mode, whatever it is in the original."""


def joined(evaluation: Graph, training: Graph) -> Graph | None:
    """The program of eval mode, its `other` that of train mode, with the same names for the same inputs and weights.

    Args:
        evaluation: a functional program.
        training: another.

    Returns:
        None where the two are not of one model, called with the same inputs.
    """
    names = _common_names(evaluation, training)
    if names is None:
        return None

    def name(value: str) -> str:
        return names.get(value) or value + _MARK

    training = _without_counters(training)
    theirs = {mine: other for other, mine in names.items()}
    idle = {
        call.path.rpartition(".")[2]
        for pair in ((evaluation, training), (training, evaluation))
        for call in _idle(*pair)
    }
    evaluation, training = _with_idle_calls(evaluation, training, names), _with_idle_calls(training, evaluation, theirs)
    evaluation, training = _with_identities(evaluation, idle), _with_identities(training, idle)
    made = {name(output) for node in training.nodes for output in node.outputs if output}
    if made & evaluation.metas.keys():
        return None
    nodes = [
        replace(node.renamed(name), outputs=[output and name(output) for output in node.outputs])
        for node in training.nodes
    ]
    by_mode = {name(node.outputs[0]): acts_by_mode(node, training) for node in training.nodes if node.operator in FLAGS}
    attention = {name(node.outputs[0]) for node in training.nodes if node.arguments.get("dropout_p")}
    metas = {name(value): meta for value, meta in training.metas.items() if value not in names}
    shared: dict[str, Any] = {
        "metas": metas | evaluation.metas,
        "by_mode": by_mode | evaluation.by_mode,
        "restored": attention | evaluation.restored,
        "states": evaluation.states | _own_constants(evaluation, training, name),
        "train_sizes": _train_sizes(evaluation, training, names),
        "inputs": evaluation.inputs,
        "attributes": evaluation.attributes,
        "ranges": _narrowest(evaluation, training),
    }
    other = replace(
        training,
        nodes=nodes,
        outputs=map_refs(training.outputs, name),
        stores={name(place): name(value) for place, value in training.stores.items()},
        borders={place: border.renamed(name) for place, border in training.borders.items()},
        **shared,
    )
    return replace(evaluation, other=other, other_mode=[], **shared)


def _common_names(evaluation: Graph, training: Graph) -> dict[str, str] | None:
    """What the program of eval mode calls the inputs and weights of the other; None where it lacks one."""
    if evaluation.input_tree != training.input_tree or len(evaluation.inputs) != len(training.inputs):
        return None
    held = {(state.kind, state.key or state.path): name for name, state in evaluation.states.items()}
    names: dict[str, str] = {}
    for theirs, state in training.states.items():
        mine = held.get((state.kind, state.key or state.path))
        if mine is None and state.kind == "constant":
            continue
        if mine is None or not _is_alike(evaluation, mine, training, theirs):
            return None
        names[theirs] = mine
    for one, other in zip(evaluation.inputs, training.inputs, strict=True):
        if isinstance(one, Ref) and isinstance(other, Ref):
            if not _is_alike(evaluation, one.name, training, other.name):
                return None
            names[other.name] = one.name
        elif one != other:
            return None
    return names


def _is_alike(evaluation: Graph, mine: str, training: Graph, theirs: str) -> bool:
    """Whether both are of one dtype and one shape, in which train mode may have one size where eval mode has any."""
    one, other = evaluation.metas[mine], training.metas[theirs]
    pairs = zip(one.shape, other.shape, strict=False)
    alike = all(left == right or (isinstance(left, SymInt) and left.hint == right) for left, right in pairs)
    return one.dtype == other.dtype and len(one.shape) == len(other.shape) and alike


def _train_sizes(evaluation: Graph, training: Graph, names: dict[str, str]) -> list[tuple[str, int, int]]:
    """The axes of inputs that have one size in the program of train mode, and any in that of eval mode."""
    return [
        (names[value.name], axis, size)
        for value in training.inputs
        if isinstance(value, Ref)
        for axis, size in enumerate(training.metas[value.name].shape)
        if isinstance(size, int) and isinstance(evaluation.metas[names[value.name]].shape[axis], SymInt)
    ]


def _own_constants(evaluation: Graph, training: Graph, name: Callable[[str], str]) -> dict[str, State]:
    """The constants that only the program of train mode has, under names of their own."""
    found = {each: state for each, state in training.states.items() if name(each) not in evaluation.states}
    return {
        name(each): replace(state, path=f"{state.path}_in_train_mode", key=state.key) for each, state in found.items()
    }


def _without_counters(graph: Graph) -> Graph:
    """Leaves out that a norm counts its batches: one that acts by mode is written so that it does."""
    by_mode = [node for node in graph.nodes if node.operator in NORMS and acts_by_mode(node, graph)]
    means = [node.arguments["running_mean"] for node in by_mode]
    owners = {graph.states[each.name].path.rpartition(".")[0] for each in means if each.name in graph.states}

    def counts(node: Node) -> bool:
        if node.operator != STORE:
            return False
        owner, _, name = graph.states[node.arguments["state"].name].path.rpartition(".")
        return name == "num_batches_tracked" and owner in owners

    return prune(replace(graph, nodes=[node for node in graph.nodes if not counts(node)]))


def _narrowest(evaluation: Graph, training: Graph) -> dict[str, tuple[int | None, int | None]]:
    """The sizes that both programs take, by symbol."""
    ranges = dict(evaluation.ranges)
    for symbol, (low, high) in training.ranges.items():
        least, most = ranges.get(symbol, (None, None))
        lows = [each for each in (low, least) if each is not None]
        highs = [each for each in (high, most) if each is not None]
        ranges[symbol] = max(lows, default=None), min(highs, default=None)
    return ranges


def _with_idle_calls(graph: Graph, other: Graph, names: dict[str, str]) -> Graph:
    """The program with a call of each module that is only called in the other one, as far as it fits.

    Such a call gives back what it is given, so nothing is computed in another way, wherever it is put.

    Args:
        graph: the program that changes.
        other: that of the other mode.
        names: what `graph` calls the values of `other`: inputs and weights.
    """
    idle = list(_idle(graph, other))
    if not idle:
        return graph
    matching = _Matching(graph, dict(names))
    ends = {id(list(call.nodes())[-1]): call for call in idle}
    inside = {id(node) for call in idle for node in call.nodes()}
    for node in other.nodes:
        if id(node) not in inside:
            matching.match(node)
        elif id(node) in ends:
            matching.add(ends[id(node)])
    return matching.found(other)


def _with_identities(graph: Graph, names: set[str]) -> Graph:
    """The program with a call of each module that does nothing in either mode, as one of a rate of 0 does.

    Args:
        graph: the program.
        names: what such modules are called where they do something in one mode.
    """
    called = {frame.path for node in graph.nodes for frame in node.frames}
    nodes, metas, borders = list(graph.nodes), dict(graph.metas), dict(graph.borders)
    users: dict[str, list[int]] = {}
    latest: dict[str, str] = {}
    for number, node in enumerate(nodes):
        for value in node.refs():
            users.setdefault(value, []).append(number)
    added: dict[int, list[Node]] = {}
    for (path, number), border in graph.borders.items():
        parent, _, name = path.rpartition(".")
        value = border.result.value
        if path in called or name not in names or border.result.kind != "value" or list(border.values()) != [value]:
            continue
        used = users.get(value, [])
        if len(used) != 1 or nodes[used[0]].path != parent or value in refs(graph.outputs):
            continue
        user, given = nodes[used[0]], latest.get(value, value)
        made = latest[value] = f"{given}{_IDLE}{number}"
        frames = (*user.frames, Frame(f"{path}@{number}", path, _IDENTITY))
        call = Node("aten.alias.default", {"self": Ref(given)}, [made], frames, (*user.lines, ()), user.no_grad)
        added.setdefault(used[0], []).append(call)
        nodes[used[0]] = _with_value(user, given, made)
        metas[made] = metas[value]
        arguments = tuple((key, each.renamed({value: given}.get)) for key, each in border.arguments)
        borders[path, number] = replace(border, arguments=arguments, result=Structure("value", made))
    flat = [each for number, node in enumerate(nodes) for each in (*added.get(number, ()), node)]
    return replace(graph, nodes=flat, metas=metas, borders=borders)


def _with_value(node: Node, value: str, other: str) -> Node:
    return node.renamed(lambda name: other if name == value else name)


def _idle(graph: Graph, other: Graph) -> Iterator[Call]:
    """The calls of modules that are only called in the other program, take one value and give one.

    PyTorch's own modules are none: what an author calls in one mode only is called under an `if`.
    """
    called = {frame.path for node in graph.nodes for frame in node.frames}
    root = call_tree(other)

    def visit(call: Call) -> Iterator[Call]:
        for item in call.items:
            if not isinstance(item, Call):
                continue
            if item.path in called:
                yield from visit(item)
            elif len(item.inputs) == len(item.outputs) == 1 and not item.frame.class_name.startswith("torch.nn."):
                yield item

    yield from visit(root)


class _Matching:
    """Finds for each call of an operator in the other program the one that does the same here.

    Attributes:
        same: what a value of the other program is here, without the calls that are added.
        added: what it is here, with them.
        before: the calls that are added before each node, by its number.
        position: the number of the node after the last that was found.
    """

    def __init__(self, graph: Graph, names: dict[str, str]) -> None:
        self.graph, self.same, self.added = graph, names, dict(names)
        self.nodes = list(graph.nodes)
        self.metas = dict(graph.metas)
        self.before: dict[int, list[Node]] = {}
        self.position = 0
        self.places: dict[Any, list[int]] = {}
        for number in reversed(range(len(self.nodes))):
            self.places.setdefault(_kind(self.nodes[number]), []).append(number)

    def match(self, theirs: Node) -> None:
        """Takes the next call here of the same operator in the same call of a module."""
        places = self.places.get(_kind(theirs))
        if not places:
            return
        number = places.pop()
        node = self.nodes[number]
        if number >= self.position:
            self.nodes[number] = replace(node, arguments=self._through(node.arguments, theirs.arguments))
            self.position = number + 1
        pairs = list(zip(theirs.outputs, node.outputs, strict=False))
        self.same.update(pairs)
        self.added.update(pairs)

    def add(self, call: Call) -> None:
        """Adds a call of a module that gives back what it is given."""
        (given,), (made,) = call.inputs, call.outputs
        if given not in self.same or made + _IDLE in self.metas:
            return
        last = list(call.nodes())[-1]
        depth = call.depth + 1
        frames, lines = last.frames[:depth], last.lines[:depth]
        name = made + _IDLE
        node = Node("aten.alias.default", {"self": Ref(self.added[given])}, [name], frames, lines, last.no_grad)
        self.before.setdefault(self.position, []).append(node)
        self.metas[name] = self.metas[self.same[given]]
        self.same[made], self.added[made] = self.same[given], name

    def _through(self, mine: Any, theirs: Any) -> Any:
        """The arguments here, with what comes out of an added call where the other program has that."""
        wanted = list(refs(theirs))
        if len(wanted) != len(list(refs(mine))):
            return mine
        others = iter(wanted)

        def name(value: str) -> str:
            other = next(others)
            return self.added[other] if self.same.get(other) == value else value

        return map_refs(mine, name)

    def found(self, other: Graph) -> Graph:
        """The program with the calls that were added and are used."""
        nodes = [
            node
            for number in range(len(self.nodes) + 1)
            for node in (*self.before.get(number, ()), *self.nodes[number : number + 1])
        ]
        borders = dict(self.graph.borders)
        for place, border in other.borders.items():
            here = border.renamed(self.added.get)
            if len(list(here.result.values())) == len(list(border.result.values())):
                borders[place] = here
        outputs = self._through(self.graph.outputs, other.outputs)
        return prune(replace(self.graph, nodes=nodes, metas=self.metas, outputs=outputs, borders=borders))


def _kind(node: Node) -> tuple[str, tuple[tuple[str, int], ...]]:
    """The operator, and the calls of modules that it lies in."""
    return node.target, tuple((frame.path, frame.number) for frame in node.frames)
