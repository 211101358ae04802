"""The neutral form of a program: calls of ATen operators on named values, each with where it was written.

A `Graph` is what a `.pt2` holds, whatever its schema version, as plain data:

    >>> node = Node("aten.flatten.using_ints", {"self": Ref("x"), "start_dim": 1}, ["flatten"])
    >>> node.operator, node.overload
    ('aten.flatten', 'using_ints')

An argument is a number, a string, a bool, None, a list of arguments, or one of `Ref`, `SymInt`, `Dtype`, `Symbol`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch2flow.checkpoints.pytorch.tensor import TensorRef
from torch2flow.models.program.symbols import SymInt


@dataclass(frozen=True, slots=True)
class Ref:
    """A value made by an earlier call, or an input."""

    name: str


@dataclass(frozen=True, slots=True)
class Dtype:
    """An element type by PyTorch's name: `float32`."""

    name: str


@dataclass(frozen=True, slots=True)
class Symbol:
    """A device, layout or memory format: nothing that changes a result here."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Meta:
    """What PyTorch recorded of a tensor: its dtype, its sizes (`int`, or `SymInt` where dynamic), its strides."""

    dtype: str
    shape: tuple[int | SymInt, ...]
    strides: tuple[int | SymInt, ...] = ()
    requires_grad: bool = False

    @property
    def hint(self) -> tuple[int, ...]:
        """The sizes at capture."""
        return tuple(size.hint if isinstance(size, SymInt) else size for size in self.shape)


@dataclass(frozen=True, slots=True)
class Frame:
    """One call of a module: `key` differs between calls, `path` is its name in `named_modules()`.

    A branch of an `if`, or the test or body of a loop, is a frame too, inside that of the module it is written in.

    Attributes:
        block: `branch`, `test` or `body`, or `forward` or `backward` of a function; "" for a call of a module.
        no_grad: of a block: the `if` or the loop as a whole lies under `torch.no_grad()`.
    """

    key: str
    path: str
    class_name: str
    block: str = ""
    no_grad: bool = False

    @property
    def number(self) -> int:
        """Which call of this module it is, from 0: PyTorch's keys end with `@1`, `@2`, ... from the second call on;
        -1 for a block."""
        if self.block:
            return -1
        number = self.key.rpartition("@")[2] if "@" in self.key else ""
        return int(number) if number.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the author's code; `file` is a bare file name."""

    file: str
    number: int
    function: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


@dataclass(slots=True)
class Node:
    """One call of an operator.

    Attributes:
        target: `aten.conv2d.default`.
        arguments: by ATen's own names, in order; those left at their default may be missing.
        outputs: the values it makes; more than one for `topk`, `chunk`, ...
        frames: the module calls it lies in, the root first.
        lines: the source lines that led to it; one tuple for each of `frames`, empty where unknown.
        no_grad: made under `torch.no_grad()`.
    """

    target: str
    arguments: dict[str, Any]
    outputs: list[str]
    frames: tuple[Frame, ...] = ()
    lines: tuple[tuple[Line, ...], ...] = ()
    no_grad: bool = False
    is_list: bool = False
    """The operator returns one list, whatever its length: `unbind`, `split`."""
    in_place: bool = False
    """The original wrote the result into its first operand."""

    def __str__(self) -> str:
        line = f" ({self.line})" if self.line else ""
        return f"{self.target} in {self.path or 'the model itself'}{line}"

    @property
    def operator(self) -> str:
        return self.target.rpartition(".")[0]

    @property
    def overload(self) -> str:
        return self.target.rpartition(".")[2]

    @property
    def path(self) -> str:
        return self.frames[-1].path if self.frames else ""

    @property
    def line(self) -> Line | None:
        """The innermost source line."""
        return next((lines[-1] for lines in reversed(self.lines) if lines), None)

    @property
    def blocks(self) -> tuple[str, ...]:
        """The keys of the branches and loops it lies in, the outer first."""
        return tuple(frame.key for frame in self.frames if frame.block)

    def refs(self) -> list[str]:
        """The values it uses, in order, each as often as it is used."""
        return list(refs(list(self.arguments.values())))

    def renamed(self, name: Callable[[str], str]) -> Node:
        """The same call on other values."""
        return replace(self, arguments={key: map_refs(value, name) for key, value in self.arguments.items()})


def refs(value: Any) -> Iterator[str]:
    """The names of all values in an argument, in order."""
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, list | tuple):
        for item in value:
            yield from refs(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from refs(item)


def map_refs(value: Any, name: Callable[[str], str]) -> Any:
    """The argument with every value renamed."""
    if isinstance(value, Ref):
        return Ref(name(value.name))
    if isinstance(value, list):
        return [map_refs(item, name) for item in value]
    if isinstance(value, tuple):
        return tuple(map_refs(item, name) for item in value)
    if isinstance(value, dict):
        return {key: map_refs(item, name) for key, item in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class State:
    """A tensor that belongs to the model.

    Attributes:
        kind: `parameter`, `buffer` or `constant`.
        path: its name: a key of the `state_dict()`, unless it is not persistent.
        persistent: whether it is in the `state_dict()`.
        alias: where several names share one tensor, the same for all of them; "" otherwise.
        key: its name in the file, where that is another: PyTorch numbers constants through the whole model.
    """

    kind: str
    path: str
    persistent: bool = True
    alias: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Tree:
    """A nested input or output: `kind` is `leaf`, `tuple`, `list`, `dict`, `none`, or a class's full name."""

    kind: str
    names: tuple[str, ...] = ()
    children: tuple[Tree, ...] = ()

    def leaves(self) -> int:
        return 1 if self.kind in ("leaf", "none") else sum(child.leaves() for child in self.children)


@dataclass(frozen=True, slots=True)
class Signature:
    """The names of what the author's class takes: the parameters of its constructor, and those of its `forward`.

    `self`, `*args` and `**kwargs` are not among them.
    """

    constructor: tuple[str, ...] = ()
    forward: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Structure:
    """A nested value that crosses the border of a module, as the author passes it.

    Attributes:
        kind: `value` (a tensor), `constant`, `none`, `unknown`, `tuple`, `list`, `dict`, or the full name of a class
            that has named parts: a dataclass, a NamedTuple, an output object of transformers.
        value: of `value` the name in the graph; of `constant` a plain value, a `SymInt` or a `Dtype`; of `unknown` the
            class of the object, or "" for a tensor that is not in the graph.
        names: the keys of a `dict`, or the names of a class's parts.
        children: the parts.
        identity: the same number for the same object of the author, within one program; 0 where there is none.
    """

    kind: str
    value: Any = None
    names: tuple[str, ...] = ()
    children: tuple[Structure, ...] = ()
    identity: int = 0

    def leaves(self) -> Iterator[Structure]:
        """The parts that have no parts."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()

    def values(self) -> Iterator[str]:
        """The names of the tensors in it."""
        return (leaf.value for leaf in self.leaves() if leaf.kind == "value")

    def changed(self, change: Callable[[Structure], Structure]) -> Structure:
        """The same structure with other leaves."""
        if not self.children:
            return change(self)
        return replace(self, children=tuple(child.changed(change) for child in self.children))

    def renamed(self, name: Callable[[str], str | None]) -> Structure:
        """The same structure of other values; one that has no name becomes unknown."""

        def change(leaf: Structure) -> Structure:
            if leaf.kind != "value":
                return leaf
            new = name(leaf.value)
            return Structure("unknown", "") if new is None else Structure("value", new)

        return self.changed(change)


@dataclass(frozen=True, slots=True)
class Border:
    """What goes into one call of a module and what comes out.

    Attributes:
        arguments: by the names of `forward`'s parameters, in their order, only those that were given; then what its
            `**kwargs` took, by its own names.
        result: what the call returned.
        keywords: which arguments were passed by keyword.
        starred: the name of the argument that is `*args`, with a tuple of them; "" where there is none.
    """

    arguments: tuple[tuple[str, Structure], ...]
    result: Structure
    keywords: tuple[str, ...] = ()
    starred: str = ""

    def values(self) -> Iterator[str]:
        """The names of the tensors that go in."""
        for _, structure in self.arguments:
            yield from structure.values()

    def changed(self, change: Callable[[Structure], Structure]) -> Border:
        """The same border with other leaves."""
        arguments = tuple((name, each.changed(change)) for name, each in self.arguments)
        return replace(self, arguments=arguments, result=self.result.changed(change))

    def renamed(self, name: Callable[[str], str | None]) -> Border:
        """The same border of other values; one that has no name becomes unknown."""
        arguments = tuple((key, each.renamed(name)) for key, each in self.arguments)
        return replace(self, arguments=arguments, result=self.result.renamed(name))


@dataclass(slots=True)
class Graph:
    """A whole program.

    Attributes:
        nodes: the calls, in order.
        metas: what is known of each tensor value.
        states: the model's own tensors, by the name of the value that holds them; in order of registration.
        inputs: the user's inputs, flat: a value's name, or the constant that was passed.
        outputs: the program's outputs, flat: a `Ref`, or a constant.
        stores: values that a buffer or input holds after the run, by the value's name of what was written to.
        input_tree: a tuple of the positional inputs and a dict of those by keyword.
        argument_names: the names of the root's `forward` parameters, where they are known.
        modules: the path of every module, called or not, in order of registration.
        ranges: the smallest and largest value of each symbol of a dynamic axis.
        static: axes that the author named and PyTorch made static, each with the input's value.
        producer: who wrote it: "torch 2.13.0".
        restored: values of attention that drops in train mode, which the program itself does not say.
        by_mode: of values of dropout and of norms with running statistics, whether they act by train and eval mode;
            not of all, and False of a dropout that never drops and of a norm that is frozen.
        autocast: the device and the dtype of each piece that PyTorch computes under `torch.autocast`.
        other_mode: where the mode that was not captured calls other functions, as `train_mode.OtherMode` has it; None
            where the file does not say.
        backwards: the module's path and the class of each `torch.autograd.Function` of the author's whose backward is
            not here.
        functions: those whose backward is known, as `author_functions.AuthorFunction`, until each is put in its place.
        mode: `train` or `eval`, in which the program was captured; "" where the file does not say so.
        other: the program of the mode that was not captured, where `torch2flow capture` recorded it beside this one.
        constants: tensors that only the program of the other mode has, by `State.key`.
        train_sizes: axes that have one size in train mode alone: the input's value, the axis, the size.
        attributes: the plain values that each module of the original holds, by the module's path; tuples are tuples
            and lists are lists. Empty where the file is not one of `torch2flow capture`, like the next two.
        signatures: what the author's classes take, by the class's full name, as `Frame.class_name` has it.
        borders: what goes in and out of each call of a module, by the module's path and the number of the call, as
            `Frame.path` and `Frame.number` have them; the root's too.
    """

    nodes: list[Node] = field(default_factory=list)
    metas: dict[str, Meta] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    stores: dict[str, str] = field(default_factory=dict)
    input_tree: Tree = field(default_factory=lambda: Tree("tuple"))
    output_tree: Tree = field(default_factory=lambda: Tree("leaf"))
    argument_names: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    ranges: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)
    static: list[tuple[str, int]] = field(default_factory=list)
    producer: str = ""
    constants: dict[str, TensorRef] = field(default_factory=dict)
    train_sizes: list[tuple[str, int, int]] = field(default_factory=list)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    mode: str = ""
    other: Graph | None = None
    restored: set[str] = field(default_factory=set)
    by_mode: dict[str, bool] = field(default_factory=dict)
    autocast: list[str] = field(default_factory=list)
    other_mode: list[tuple[str, str, list[str], list[str]]] | None = None
    backwards: list[tuple[str, str]] = field(default_factory=list)
    functions: list[Any] = field(default_factory=list)
    signatures: dict[str, Signature] = field(default_factory=dict)
    borders: dict[tuple[str, int], Border] = field(default_factory=dict)

    def uses(self) -> dict[str, int]:
        """How often each value is used: by a call, an output or a store."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            for name in node.refs():
                counts[name] = counts.get(name, 0) + 1
        for name in [*refs(self.outputs), *self.stores.values()]:
            counts[name] = counts.get(name, 0) + 1
        return counts

    def retyped(self, dtypes: Mapping[str, str]) -> Graph:
        """The same program computed in other dtypes: `{"bfloat16": "float32"}`."""

        def changed(value: Any) -> Any:
            if isinstance(value, Dtype):
                return Dtype(dtypes.get(value.name, value.name))
            return [changed(item) for item in value] if isinstance(value, list) else value

        nodes = [replace(node, arguments={k: changed(v) for k, v in node.arguments.items()}) for node in self.nodes]
        metas = {name: replace(meta, dtype=dtypes.get(meta.dtype, meta.dtype)) for name, meta in self.metas.items()}

        def leaf(structure: Structure) -> Structure:
            return replace(structure, value=changed(structure.value))

        borders = {place: border.changed(leaf) for place, border in self.borders.items()}
        other = self.other.retyped(dtypes) if self.other is not None else None
        return replace(self, nodes=nodes, metas=metas, borders=borders, other=other)
