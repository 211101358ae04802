"""The tree of module calls in a program, and which values go into each call and come out of it.

A node of an exported program names the module calls it lies in, so each call can become one `forward`:

    Call ""                       inputs x            outputs linear_7
      Call blocks.0               inputs x            outputs add_
        Call blocks.0.fc1         inputs x            outputs linear
        gelu
        ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch2flow.models.program.graph import Border, Frame, Graph, Line, Node, State, refs
from torch2flow.models.program.symbols import SymInt


@dataclass(slots=True)
class Call:
    """One call of a module, or a branch or a part of a loop inside of one.

    Attributes:
        frame: which module, and which of its calls.
        depth: how many calls it lies in; the root's is 0.
        items: what it does, in order: calls of operators and of other modules.
        inputs: values from outside, in order of first use.
        outputs: values made inside and used outside, in the order they are made.
        border: what the author passes in and gets back, where it is recorded and holds all of `inputs` and `outputs`.
            The model's own tensors need not be there, nor what is an input for its size alone.
    """

    frame: Frame
    depth: int = 0
    items: list[Node | Call] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    border: Border | None = None

    @property
    def path(self) -> str:
        return self.frame.path

    @property
    def is_block(self) -> bool:
        """Whether it is no call, but a branch or a part of a loop in the module's own code."""
        return bool(self.frame.block)

    def own_items(self) -> Iterator[Node | Call]:
        """What the module's own code does, inside of branches and loops too."""
        for item in self.items:
            yield item
            if isinstance(item, Call) and item.is_block:
                yield from item.own_items()

    def nodes(self) -> Iterator[Node]:
        """All nodes inside, in order."""
        for item in self.items:
            if isinstance(item, Node):
                yield item
            else:
                yield from item.nodes()

    def calls(self) -> Iterator[Call]:
        """This call and all inside, the outer first."""
        yield self
        for item in self.items:
            if isinstance(item, Call):
                yield from item.calls()


def line_of(item: Node | Call, depth: int) -> Line | None:
    """The source line, within the module call at `depth`, that led to an item."""
    found = lines_of(item, depth)
    return found[-1] if found else None


def lines_of(item: Node | Call, depth: int) -> tuple[Line, ...]:
    """All source lines, within the module call at `depth`, that led to an item: the innermost last."""
    node = next(item.nodes(), None) if isinstance(item, Call) else item
    return node.lines[depth] if node is not None and depth < len(node.lines) else ()


def call_tree(graph: Graph) -> Call:
    """The root call of a functional program, with everything inside."""
    root = Call(graph.nodes[0].frames[0] if graph.nodes and graph.nodes[0].frames else Frame("", "", "Model"))
    for node in graph.nodes:
        if node.frames:
            root.frame = node.frames[0]
            break
    stack = [root]
    for node in graph.nodes:
        shared = 0
        for open_call, frame in zip(stack[1:], node.frames[1:], strict=False):
            if open_call.frame.key != frame.key:
                break
            shared += 1
        del stack[shared + 1 :]
        for frame in node.frames[len(stack) :]:
            call = Call(frame, len(stack))
            stack[-1].items.append(call)
            stack.append(call)
        stack[-1].items.append(node)
    _Flow(graph, root).run()
    return root


def is_inside(path: str, owner: str) -> bool:
    """Whether a dotted path is `owner` itself or lies below it."""
    return owner == "" or path == owner or path.startswith(f"{owner}.")


def reachable(graph: Graph, name: str, owner: str) -> State | None:
    """The state behind a value under the name by which a module can reach it; None where it can't.

    A tied tensor has several names, and the program uses only one of them.
    """
    state = graph.states[name]
    names = [state]
    if state.alias:
        names += [other for other in graph.states.values() if other.alias == state.alias and other is not state]
    inside = [each for each in names if is_inside(each.path.rpartition(".")[0], owner)]
    return min(inside, key=lambda each: each.path.count(".")) if inside else None


def lent(item: Node | Call, path: str) -> str:
    """The name of the value that a module at `path` is given, to call what it does not hold; "" for what it holds.

    An author passes a module as an argument, or keeps it in a plain list, a function or a hook.
    """
    return f"module {item.path}" if isinstance(item, Call) and not is_inside(item.path, path) else ""


def lent_path(name: str) -> str | None:
    """The path of the module that a value stands for; None for a tensor."""
    return name.removeprefix("module ") if name.startswith("module ") else None


class _Flow:
    """Finds the inputs and outputs of every call."""

    def __init__(self, graph: Graph, root: Call) -> None:
        self.graph, self.root = graph, root
        self.home: dict[str, tuple[Call, ...]] = {}
        self.crossing: set[tuple[object, object]] = set()

    def run(self) -> None:
        self._define(self.root, (self.root,))
        self._use(self.root, (self.root,))
        for value in self.graph.outputs:
            for name in refs(value):
                self._leaves(name, 1)
        used = self.graph.uses()
        for node in self.graph.nodes:
            unread = used.keys().isdisjoint(node.outputs)  # computed for the statistics that a norm keeps on the way
            for name in node.outputs if unread and not node.blocks else ():
                self._leaves(name, 1)
        self._set_borders()
        self.root.inputs = list(dict.fromkeys(refs(self.graph.inputs)))
        self._give(self.root)

    def _set_borders(self) -> None:
        """Gives each call its border, unless tensors cross in ways that the border does not show.

        A call that lies in two pieces, which writes in place can cause, has none.
        """
        calls: dict[tuple[str, int], list[Call]] = {}
        for call in self.root.calls():
            calls.setdefault((call.path, call.frame.number), []).append(call)
        for place, found in calls.items():
            border, call = self.graph.borders.get(place), found[0]
            if border is None or len(found) > 1:
                continue
            needed = {name for name in call.inputs if name not in self.graph.states and lent_path(name) is None}
            if needed <= set(border.values()) and set(call.outputs) <= set(border.result.values()):
                call.border = border

    def _define(self, call: Call, path: tuple[Call, ...]) -> None:
        for item in call.items:
            if isinstance(item, Call):
                self._define(item, (*path, item))
            else:
                for output in item.outputs:
                    self.home[output] = path

    def _use(self, call: Call, path: tuple[Call, ...]) -> None:
        for item in call.items:
            if isinstance(item, Call):
                if name := lent(item, call.path):
                    self._enters(name, path)
                self._use(item, (*path, item))
                continue
            for name in item.refs():
                self._enters(name, path)

    def _enters(self, name: str, path: tuple[Call, ...]) -> None:
        """Makes `name` an input of every call between where it is made and where it is used."""
        module = lent_path(name)
        if module is not None:
            shared = next((d for d in range(len(path) - 1, -1, -1) if is_inside(module, path[d].path)), 0) + 1
        elif name in self.graph.states:
            if self.graph.states[name].kind == "constant" and self.graph.metas[name].shape == ():
                return  # A number: written where it is used.
            shared = next((d for d in range(len(path) - 1, -1, -1) if reachable(self.graph, name, path[d].path)), 0) + 1
        else:
            home = self.home.get(name, (self.root,))
            shared = 0
            for made, used in zip(home, path, strict=False):
                if made is not used:
                    break
                shared += 1
            self._leaves(name, shared)
        for call in path[shared:]:
            if (id(call), name) not in self.crossing:
                self.crossing.add((id(call), name))
                call.inputs.append(name)

    def _leaves(self, name: str, shared: int) -> None:
        """Makes `name` an output of the calls it is made in, below the first `shared` of them."""
        for call in self.home.get(name, (self.root,))[shared:]:
            if (name, id(call)) not in self.crossing:
                self.crossing.add((name, id(call)))
                call.outputs.append(name)

    def _missing(self, call: Call) -> set[str]:
        """The symbols of dynamic sizes that a call uses before it holds a tensor of that size."""
        seen = self._held(call.inputs)
        missing: set[str] = set()
        for item in call.items:
            needed = self._missing(item) if isinstance(item, Call) else set(_symbols(item.arguments))
            missing |= needed - seen
            seen |= self._held(item.outputs)
        return missing

    def _give(self, call: Call) -> None:
        """Passes the calls inside a tensor for each size that they lack: the one that the author passes, if any."""
        here = list(call.inputs)
        for item in call.items:
            if isinstance(item, Call):
                passed = [] if item.border is None else [n for n in item.border.values() if n in here]
                for symbol in sorted(self._missing(item)):
                    donor = next((name for name in [*passed, *here] if symbol in self._sizes(name)), "")
                    if donor and donor not in item.inputs:
                        item.inputs.append(donor)
                self._give(item)
            here += item.outputs

    def _held(self, names: list[str]) -> set[str]:
        return {symbol for name in names for symbol in self._sizes(name)}

    def _sizes(self, name: str) -> set[str]:
        meta = self.graph.metas.get(name)
        return {size.text for size in meta.shape if isinstance(size, SymInt)} if meta else set()


def _symbols(value: object) -> Iterator[str]:
    if isinstance(value, SymInt):
        yield from value.symbols
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _symbols(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _symbols(item)
