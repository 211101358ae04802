"""The modules of a program as a tree, and the order in which their classes can be written: the inner ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from torch2flow.errors import UnsupportedError
from torch2flow.models.codegen.names import is_taken
from torch2flow.models.program import Graph, State
from torch2flow.models.program.calls import Call, lent

MOST_CLASSES = 300
"""With more, and modules that are called where they do not lie, their order takes too long to find."""


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

    @property
    def is_list_of_parameters(self) -> bool:
        """Whether it is an `nn.ParameterList`, which no call tells: its parameters are called 0, 1, 2, ..."""
        if self.calls or self.children or any(state.kind != "parameter" for _, state in self.states.values()):
            return False
        return bool(self.states) and list(self.states) == [str(number) for number in range(len(self.states))]

    def walk(self) -> Iterator[Module]:
        """The module and all inside, the outer first."""
        yield self
        for child in self.children.values():
            yield from child.walk()


def module_tree(graph: Graph, calls: Iterable[Call]) -> Module:
    """The modules of a program, called or not, in the order in which the original registered them.

    Args:
        graph: the program.
        calls: all calls of modules, the outer first.
    """
    tree = Module("")

    def at(path: str) -> Module:
        module = tree
        for part in path.split(".") if path else []:
            inner = f"{module.path}.{part}" if module.path else part
            if part not in module.children:
                _check_free(module, part)
                module.children[part] = Module(inner)
            module = module.children[part]
        return module

    for path in graph.modules:
        at(path)
    for name, state in graph.states.items():
        if state.kind != "constant" or "." in state.path:
            owner, _, own = state.path.rpartition(".")
            module = at(owner)
        else:
            module, own = tree, state.path
        _check_free(module, own)
        module.states[own] = (name, state)
    for call in calls:
        if not call.is_block:
            at(call.path).calls.append(call)
    return tree


def _check_free(module: Module, name: str) -> None:
    """Refuses what no module of OneFlow's can hold under its name.

    Raises:
        UnsupportedError: the name is something else in every module, or stands for two things.
    """
    if name and not is_taken(name) and name not in module.states and name not in module.children:
        return
    what = "what every module of OneFlow's has itself" if is_taken(name) else "two things" if name else "nothing"
    raise UnsupportedError(
        f"A part of {module.path or 'the model'} is called {name[:60]!r}, which is the name of {what}.",
        maybe="the file was not written by PyTorch's own export",
        remedy="give it another name in the model's code and capture it again, or add --weights-only",
    )


def class_groups(tree: Module, is_plain: Callable[[Module], bool]) -> list[list[Module]]:
    """The modules that need a class, those of one original class together, the inner ones first.

    Args:
        tree: the model.
        is_plain: whether a module needs no class: it is OneFlow's own, or a container.
    """
    written = [module for module in tree.walk() if not is_plain(module)]
    heights: dict[str, int] = {}
    for module in reversed(list(tree.walk())):
        heights[module.path] = 1 + max((heights[child.path] for child in module.children.values()), default=0)
    holds: dict[str, set[str]] = {}
    paths = {module.path for module in written}
    for module in written:
        inside = (other for other in module.walk() if other is not module and other.path in paths)
        holds.setdefault(_class_of(module), set()).update(map(_class_of, inside))
        lent_to_it = {item.path for call in module.calls for item in call.own_items() if lent(item, call.path)} & paths
        holds[_class_of(module)].update(_class_of(other) for other in written if other.path in lent_to_it)
    if any(lent(item, call.path) for module in written for call in module.calls for item in call.own_items()):
        _close(holds)
    levels = _levels(holds)
    groups: dict[tuple[int, int, str], list[Module]] = {}
    for module in written:
        name = _class_of(module)
        # Classes that hold each other can only be told apart by how much lies below.
        height = heights[module.path] if _is_circular(name, holds) else 0
        groups.setdefault((levels[name], height, name), []).append(module)
    return [groups[key] for key in sorted(groups, key=lambda key: key[:2])]


def _close(holds: dict[str, set[str]]) -> None:
    """Adds to what a class holds or calls what that holds or calls.

    Raises:
        UnsupportedError: there are more classes than any model has.
    """
    if len(holds) > MOST_CLASSES:
        raise UnsupportedError(
            f"The model has {len(holds)} classes, and calls modules where they do not lie.",
            maybe="the file was not written by PyTorch's own export",
            remedy="call each module in the one that holds it, or add --weights-only",
        )
    before = -1
    while (count := sum(map(len, holds.values()))) > before:
        before = count
        for inner in holds.values():
            inner.update(*(holds[name] for name in list(inner)))


def _class_of(module: Module) -> str:
    """What tells the classes of the original apart: the class, or the module's name where it is not known."""
    return module.original_class or f"{module.name} without a call"


def _is_circular(name: str, holds: dict[str, set[str]]) -> bool:
    """Whether modules of a class hold, at any depth, modules of the same class. `holds` is transitive."""
    return name in holds[name]


def _levels(holds: dict[str, set[str]]) -> dict[str, int]:
    """For each class a number larger than those of all that it holds; the same for those that hold each other."""
    levels: dict[str, int] = {}

    def level(name: str) -> int:
        if name not in levels:
            circle = {name, *(other for other in holds[name] if name in holds[other])}
            inner = {other for each in circle for other in holds[each]} - circle
            levels.update(dict.fromkeys(circle, 1 + max(map(level, inner), default=0)))
        return levels[name]

    for name in holds:
        level(name)
    return levels
