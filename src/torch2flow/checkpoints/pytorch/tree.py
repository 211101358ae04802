"""The object a checkpoint holds, as plain data: names for its tensors, paths into it, modules unfolded.

A pickled `nn.Module` is an `Opaque` record whose state holds `_parameters`, `_buffers` and `_modules`; its
state dict is read off those, so no class of the user's is needed (`torch/nn/modules/module.py`, `state_dict`).
"""

from __future__ import annotations

import difflib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Any

from torch2flow.checkpoints.pickles import Opaque, StatefulDict, label
from torch2flow.checkpoints.pytorch.arrays import NumpyArray
from torch2flow.checkpoints.pytorch.constructors import TypedStorage
from torch2flow.checkpoints.pytorch.tensor import CompositeTensor, Tensor, TensorRef
from torch2flow.errors import FormatError, UsageError

MAX_DEPTH = 150
"""Deeper nesting is refused: everything that walks a tree, ours or OneFlow's, recurses."""

MAX_SHARED = 1 << 22
"""Sixty levels of `[x, x]` are sixty lists in memory, and 2**60 to whoever walks them, OneFlow included."""

MAX_MEMBERS = 1 << 19  # modules, parameters and buffers of one pickled module

MAX_NAME = 1 << 16
MAX_NAMES = 1 << 28
"""How many letters all dotted names may have together: keys of a megabyte at 100 levels make a name of 100 MB."""

MODULE_VERSIONS = {
    "torch.nn.modules.batchnorm.BatchNorm1d": 2,
    "torch.nn.modules.batchnorm.BatchNorm2d": 2,
    "torch.nn.modules.batchnorm.BatchNorm3d": 2,
    "torch.nn.modules.batchnorm.SyncBatchNorm": 2,
    "torch.nn.modules.instancenorm.InstanceNorm1d": 2,
    "torch.nn.modules.instancenorm.InstanceNorm2d": 2,
    "torch.nn.modules.instancenorm.InstanceNorm3d": 2,
}
"""`_version` of the classes where it is not 1 (2.13): the class holds it, so a pickled module does not."""


NO_PART = "neither a parameter nor a persistent buffer of a module"
OWN_FORM = "the weights of a layer that is pickled in a form of its own"
"""Why a tensor of a pickled module has no name. Quantized layers have a form of their own."""

SCRIPT_OBJECT = "torch.ScriptObject"
"""What PyTorch pickles an object of a class written in C++ as: packed weights of quantized layers are such."""

_OF_STATE_DICT = ("_parameters", "_buffers", "_modules")


def is_module(value: Any) -> bool:
    """Whether a record is a pickled `nn.Module`."""
    return isinstance(value, Opaque) and all(isinstance(value.attribute(n), dict) for n in ("_parameters", "_modules"))


def module_state_dict(module: Opaque, collected: _StateDict | None = None) -> StatefulDict:
    """What `module.state_dict()` gives: parameters and persistent buffers, depth first, with `_metadata`.

    Raises:
        FormatError: the module holds itself, or is nested deeper than any real one.
    """
    collected = collected or _StateDict()
    collected.add(module, "", 0)
    collected.result.attributes = {"_metadata": collected.metadata}
    return collected.result


class _StateDict:
    """The state dict of a module. `others` are its attributes that are no part of it: names, reasons, values."""

    def __init__(self) -> None:
        self.others: list[tuple[str, str, Any]] = []
        self.result, self.metadata = StatefulDict(), StatefulDict()
        self.names = _Names()
        self.members = 0

    def add(self, module: Opaque, path: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise FormatError("The pickled module is nested too deep.", maybe="it holds itself")
        self.metadata[path] = {"version": MODULE_VERSIONS.get(module.class_name, 1)}
        hidden = module.attribute("_non_persistent_buffers_set")
        hidden = hidden if isinstance(hidden, set | list) else ()
        buffers = module.attribute("_buffers")
        own = {**module.attribute("_parameters"), **(buffers if isinstance(buffers, dict) else {})}
        children = module.attribute("_modules")
        self.members += 1 + len(own) + len(children)
        if self.members > MAX_MEMBERS:
            raise _unfolds(MAX_MEMBERS)
        for name, value in own.items():
            if isinstance(value, TensorRef | CompositeTensor) and name not in hidden:
                self.result[self.names.join(path, name)] = value
            elif value is not None:
                self.others.append((self.names.join(path, name), NO_PART, value))
        for part in module.state if isinstance(module.state, tuple) else (module.state,):
            for name, value in part.items() if isinstance(part, dict) else ():
                if not isinstance(value, str | int | float | None) and name not in _OF_STATE_DICT:
                    is_packed = isinstance(value, Opaque) and value.class_name == SCRIPT_OBJECT
                    self.others.append((self.names.join(path, name), OWN_FORM if is_packed else NO_PART, value))
        for name, value in children.items():
            if is_module(value):
                self.add(value, self.names.join(path, name), depth + 1)
            elif value is not None:
                self.others.append((self.names.join(path, name), OWN_FORM, value))


class _Names:
    """Puts dotted names together, and refuses names longer than those of any model."""

    def __init__(self) -> None:
        self.left = MAX_NAMES

    def join(self, prefix: str, key: Any) -> str:
        name = f"{prefix}.{key}" if prefix else str(key)
        self.left -= len(name)
        if len(name) > MAX_NAME or self.left < 0:
            raise FormatError(
                f"The name of a part of the checkpoint is longer than {MAX_NAME} letters, "
                f"or all names are longer than {MAX_NAMES}.",
                where=name[:80],
                maybe="it was made to exhaust memory",
            )
        return name


def _unfolds(limit: int) -> FormatError:
    return FormatError(
        f"The data unfolds to more than {limit} parts.",
        maybe="containers that hold one another many times, made to exhaust the program that loads them",
        remedy="select the part you need with --key",
    )


Unnamed = tuple[str, str, Tensor]
"""Where a tensor is that has no name in a checkpoint, why it has none, and the tensor."""


def plain(value: Any, unnamed: list[Unnamed] | None = None, cut: list[str] | None = None) -> Any:
    """The tree with modules unfolded, bare storages as tensors, and every other unknown object as a dictionary.

    An unknown object becomes `{"__class__": name, ...}` with its attributes, and what else the file said of it. A
    tensor that no path leads to is left out: one in a set, in a key, among the attributes of a dictionary, or of a
    module outside its state dict. An object that is met again inside itself (`child.parent`) is cut there: a text says
    which it was.

    Args:
        value: the object.
        unnamed: gets the tensors that are left out.
        cut: gets the classes of the objects that hold themselves.

    Raises:
        FormatError: the data is nested deeper than `MAX_DEPTH`.
    """
    return _Plain([] if unnamed is None else unnamed, [] if cut is None else cut).convert(value, 0)


class _Plain:
    """One conversion.

    Attributes:
        unnamed: the tensors that are left out.
        cut: the classes of the objects that hold themselves.
        inner: the conversion of what is inside sets, keys and attributes, or None for that itself.
        done: what each object became.
        weights: how many parts each object unfolds to.
        parts: how many parts the whole unfolds to, so far; `shared` of them were met before.
    """

    def __init__(self, unnamed: list[Unnamed], cut: list[str], inner: bool = False) -> None:
        self.unnamed, self.cut = unnamed, cut
        self.inner = None if inner else _Plain(unnamed, cut, inner=True)
        self.searched: set[int] = set()
        self.done: dict[int, Any] = {}
        self.weights: dict[int, int] = {}
        self.kept: list[Any] = []
        self.parts = self.shared = 0

    def convert(self, value: Any, depth: int) -> Any:
        if isinstance(value, TensorRef | CompositeTensor):
            return None if self.inner is None else value
        if isinstance(value, str | int | float | type(None)):
            return value
        if id(value) in self.done:
            return self._again(value)
        if depth > MAX_DEPTH:
            raise FormatError(
                f"The data is nested more than {MAX_DEPTH} levels deep.",
                maybe="a container holds itself, or the file was made to exhaust the program that loads it",
                remedy="select the part you need with --key",
            )
        self.kept.append(value)
        before = self.parts
        self.parts += 1
        if isinstance(value, dict | list | tuple | deque):
            self.parts += len(value)
        converted = self._keep(value, self._converted(value, depth))
        self.weights[id(value)] = self.parts - before
        return converted

    def _again(self, value: Any) -> Any:
        """An object that was met before: returns what it became, and counts its parts once more."""
        weight = self.weights.get(id(value))
        if weight is None and isinstance(value, Opaque):
            self.cut.append(label(value))
            return f"<the {label(value)} that holds this>"
        if weight is None:
            raise FormatError("A container holds itself.", remedy="select the part you need with --key")
        self.parts += weight
        self.shared += weight
        if self.shared > MAX_SHARED:
            raise _unfolds(MAX_SHARED)
        return self.done[id(value)]

    def _converted(self, value: Any, depth: int) -> Any:
        if isinstance(value, TypedStorage):
            return None if self.inner is None else value.as_tensor()
        if is_module(value) and self.inner is not None:
            collected = _StateDict()
            converted = module_state_dict(value, collected)
            for name, why, other in collected.others:
                self._leave_out(name, why, other)
            return converted
        if isinstance(value, NumpyArray) and value.objects is not None:
            items = self.convert(value.objects, depth + 1)
            return {"__class__": "numpy.ndarray", "shape": value.shape, "__items__": items}
        if isinstance(value, Opaque):
            return self._opaque(value, depth + 1)
        if isinstance(value, dict):
            return self._dict(value, depth + 1)
        if isinstance(value, list | deque):
            copy = self._keep(value, [] if isinstance(value, list) else deque(maxlen=value.maxlen))
            copy.extend(self.convert(item, depth + 1) for item in value)
            return copy
        if isinstance(value, tuple):
            return type(value)(self.convert(item, depth + 1) for item in value)
        if isinstance(value, set | frozenset):
            self._leave_out("a set", "what is in a set has no name", value)
            return type(value)(self._hashable(item, depth + 1) for item in value)
        return value

    def _leave_out(self, where: str, why: str, value: Any) -> None:
        """Notes the tensors inside something that is converted without them."""
        if self.inner is not None:
            self.unnamed += ((where, why, tensor) for tensor in _tensors_within(value, self.searched))

    def _hashable(self, value: Any, depth: int) -> Any:
        converted = (self.inner or self).convert(value, depth)
        try:
            hash(converted)
        except TypeError:
            return label(value)
        return converted

    def _keep(self, value: Any, converted: Any) -> Any:
        self.done[id(value)] = converted
        return converted

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        if is_flat(value) and not getattr(value, "attributes", None):
            return value
        copy = defaultdict(value.default_factory) if isinstance(value, defaultdict) else type(value)()
        self._keep(value, copy)
        for key, item in value.items():
            name = self._key(key, depth)
            while name is not key and name in copy:  # two objects of one class
                name = f"{name}#{len(copy) + 1}"
            copy[name] = self.convert(item, depth)
        if isinstance(value, StatefulDict) and value.attributes:
            for name, item in value.attributes.items():
                self._leave_out(label(name), "an attribute of a dictionary has no name in a checkpoint", item)
            copy.attributes = (self.inner or self).convert(value.attributes, depth)  # type: ignore[attr-defined]
        return copy

    def _key(self, key: Any, depth: int) -> Any:
        if isinstance(key, str | int):
            return key
        if isinstance(key, tuple | frozenset | TensorRef | CompositeTensor | TypedStorage):
            self._leave_out("a key", "a key of a dictionary has no name in a checkpoint", key)
            return self._hashable(key, depth) if isinstance(key, tuple | frozenset) else label(key)
        if isinstance(key, NumpyArray) and key.scalar and key.dtype.code[0] in "iu" and len(key.data) <= 8:
            return int.from_bytes(key.data, "little", signed=key.dtype.code[0] == "i")
        if isinstance(key, float | complex | bytes | None):
            return key
        return label(key)

    def _opaque(self, value: Opaque, depth: int) -> dict[Any, Any]:
        copy: dict[Any, Any] = self._keep(value, {"__class__": value.class_name})
        state = value.state
        # What pickle gives an object that has both: its `__dict__`, and its slots.
        is_pair = isinstance(state, tuple) and len(state) == 2 and all(isinstance(part, dict | None) for part in state)
        parts = state if is_pair else (state,) if isinstance(state, dict) else ()
        for part in parts:
            if part is not None:
                copy.update(self.convert(part, depth))
        for name, rest in (
            ("__state__", None if parts else state),
            ("__args__", value.args),
            ("__items__", value.items),
            ("__entries__", value.entries),
        ):
            if rest is not None and not (isinstance(rest, list | tuple | dict) and not rest):
                copy[name] = self.convert(rest, depth)
        return copy


def _tensors_within(value: Any, searched: set[int]) -> Iterator[Tensor]:
    """Every tensor that can be reached from an object at all; what was searched before is left out."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, TensorRef | CompositeTensor):
            yield value
            continue
        if isinstance(value, TypedStorage):
            yield value.as_tensor()
            continue
        if isinstance(value, str | int | float | bytes | None) or id(value) in searched:
            continue
        searched.add(id(value))
        if isinstance(value, dict):
            pending += [*value.keys(), *value.values(), getattr(value, "attributes", None)]
        elif isinstance(value, list | tuple | deque | set | frozenset):
            pending += value
        elif isinstance(value, Opaque):
            pending += [value.args, value.state, value.items, value.entries]
        elif isinstance(value, NumpyArray):
            pending.append(value.objects)


def is_flat(value: Any) -> bool:
    """Whether a dictionary holds dense tensors under texts, and nothing else: as it may be a million of them."""
    return all(type(key) is str for key in value) and all(type(item) is TensorRef for item in value.values())


def _are_short(names: Iterable[str]) -> bool:
    lengths = [*map(len, names)]
    return max(lengths, default=0) <= MAX_NAME and sum(lengths) <= MAX_NAMES


def flatten(value: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a plain tree with its dotted name, in order; a shared container is entered each time.

    Raises:
        FormatError: a container holds itself, or the names would be more than the tensors by far.
    """
    if isinstance(value, TensorRef | CompositeTensor):
        yield "", value
    else:
        yield from _flatten(value, "", _Names(), set())


def named(value: Any) -> Iterator[tuple[str, Tensor]]:
    """`flatten` with every name once: two paths can have one dotted name, as in `{"a.b": x, "a": {"b": y}}`."""
    if isinstance(value, dict) and is_flat(value) and _are_short(value):
        yield from value.items()
        return
    taken: set[str] = set()
    again: dict[str, int] = {}
    for name, tensor in flatten(value):
        unique = name
        while unique in taken:
            again[name] = again.get(name, 1) + 1
            unique = f"{name}#{again[name]}"
        taken.add(unique)
        yield unique, tensor


def _flatten(value: Any, prefix: str, names: _Names, barren: set[int]) -> Iterator[tuple[str, Tensor]]:
    """Walks one level; `barren` holds the containers without a tensor, which are not entered again."""
    if isinstance(value, dict):
        members: Any = value.items()
    elif isinstance(value, list | tuple | deque):
        members = enumerate(value)
    else:
        return
    found = False
    for key, member in members:
        if isinstance(member, TensorRef | CompositeTensor):
            found = True
            yield names.join(prefix, key), member
        elif isinstance(member, dict | list | tuple | deque) and id(member) not in barren:
            for name, tensor in _flatten(member, names.join(prefix, key), names, barren):
                found = True
                yield name, tensor
    if not found:
        barren.add(id(value))


def at_path(root: Any, path: str) -> Any:
    """The part of the tree at a dotted path; names may contain dots themselves. "." is the whole.

    Raises:
        UsageError: there is nothing at that path; the nearest names are offered.
    """
    if path in ("", "."):
        return root
    found = _descend(root, path)
    if found is _NOTHING:
        names = [label(name) for name in _members(root)]
        near = difflib.get_close_matches(path, names, 3, 0.5) or names[:8]
        raise UsageError(
            f"The checkpoint has nothing at {path!r}.",
            remedy=f"did you mean {', '.join(near)}? 'torch2flow inspect FILE --tree' shows the whole tree"
            if near
            else "",
        )
    return found


_NOTHING = object()


def _members(value: Any) -> dict[Any, Any]:
    if isinstance(value, Opaque):
        return value.state if isinstance(value.state, dict) else value.entries
    if isinstance(value, list | tuple):
        return {str(index): item for index, item in enumerate(value)}
    return value if isinstance(value, dict) else {}


def _descend(value: Any, path: str) -> Any:
    members = {label(key): item for key, item in _members(value).items()}
    if path in members:
        return members[path]
    stop = path.find(".")
    while stop >= 0:
        if path[:stop] in members:
            found = _descend(members[path[:stop]], path[stop + 1 :])
            if found is not _NOTHING:
                return found
        stop = path.find(".", stop + 1)
    return _NOTHING
