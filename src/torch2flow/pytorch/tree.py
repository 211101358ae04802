"""The object a checkpoint holds, as plain data: names for its tensors, paths into it, modules unfolded.

A pickled `nn.Module` is an `Opaque` record whose state holds `_parameters`, `_buffers` and `_modules`; its
state dict is read off those, so no class of the user's is needed (`torch/nn/modules/module.py`, `state_dict`).
"""

from __future__ import annotations

import difflib
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

from torch2flow.errors import FormatError, UsageError
from torch2flow.pickles import Global, Opaque, StatefulDict
from torch2flow.pytorch.arrays import NumpyArray, NumpyDType
from torch2flow.pytorch.constructors import TypedStorage
from torch2flow.pytorch.tensor import CompositeTensor, Tensor, TensorRef

MAX_DEPTH = 300
"""Deeper nesting is refused: everything that walks a tree, ours or OneFlow's, recurses."""

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


def is_module(value: Any) -> bool:
    """Whether a record is a pickled `nn.Module`."""
    return isinstance(value, Opaque) and all(
        isinstance(value.attribute(n), dict) for n in ("_parameters", "_modules")
    )


def module_state_dict(module: Opaque) -> StatefulDict:
    """What `module.state_dict()` gives: parameters and persistent buffers, depth first, with `_metadata`.

    Raises:
        FormatError: the module holds itself, or is nested deeper than any real one.
    """
    result, metadata = StatefulDict(), StatefulDict()
    _collect(module, "", result, metadata, 0)
    result.attributes = {"_metadata": metadata}
    return result


def _collect(module: Opaque, prefix: str, result: StatefulDict, metadata: StatefulDict, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise FormatError("The pickled module is nested too deep.", maybe="it holds itself")
    metadata[prefix[:-1]] = {"version": MODULE_VERSIONS.get(module.class_name, 1)}
    hidden = module.attribute("_non_persistent_buffers_set") or ()
    own = {**module.attribute("_parameters"), **(module.attribute("_buffers") or {})}
    for name, value in own.items():
        if isinstance(value, TensorRef | CompositeTensor) and name not in hidden:
            result[f"{prefix}{name}"] = value
    for name, value in module.attribute("_modules").items():
        if is_module(value):
            _collect(value, f"{prefix}{name}.", result, metadata, depth + 1)


def plain(value: Any) -> Any:
    """The tree with modules unfolded, bare storages as tensors, and every other unknown object as a dictionary.

    An unknown object becomes `{"__class__": name, ...}` with its attributes, and what else the file said of it.

    Raises:
        FormatError: the data is nested deeper than `MAX_DEPTH`.
    """
    return _Plain().convert(value, 0)


class _Plain:
    def __init__(self) -> None:
        self.done: dict[int, Any] = {}
        self.kept: list[Any] = []

    def convert(self, value: Any, depth: int) -> Any:
        if isinstance(value, TensorRef | CompositeTensor | str | int | float | type(None)):
            return value
        if id(value) in self.done:
            return self.done[id(value)]
        if depth > MAX_DEPTH:
            raise FormatError(
                f"The data is nested more than {MAX_DEPTH} levels deep.",
                maybe="a container holds itself, or the file was made to exhaust the program that loads it",
                remedy="select the part you need with --key",
            )
        self.kept.append(value)
        if isinstance(value, TypedStorage):
            return self._keep(value, value.as_tensor())
        if is_module(value):
            return self._keep(value, module_state_dict(value))
        if isinstance(value, NumpyArray) and value.objects is not None:
            items = self.convert(value.objects, depth + 1)
            return self._keep(value, {"__class__": "numpy.ndarray", "shape": value.shape, "__items__": items})
        if isinstance(value, Opaque):
            return self._opaque(value, depth + 1)
        if isinstance(value, dict):
            return self._dict(value, depth + 1)
        if isinstance(value, list | deque):
            copy = self._keep(value, [] if isinstance(value, list) else deque(maxlen=value.maxlen))
            copy.extend(self.convert(item, depth + 1) for item in value)
            return copy
        if isinstance(value, tuple):
            return self._keep(value, type(value)(self.convert(item, depth + 1) for item in value))
        return value

    def _keep(self, value: Any, converted: Any) -> Any:
        self.done[id(value)] = converted
        return converted

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        copy = defaultdict(value.default_factory) if isinstance(value, defaultdict) else type(value)()
        self._keep(value, copy)
        for key, item in value.items():
            copy[self._key(key)] = self.convert(item, depth)
        if isinstance(value, StatefulDict) and value.attributes:
            copy.attributes = self.convert(value.attributes, depth)  # type: ignore[attr-defined]
        return copy

    def _key(self, key: Any) -> Any:
        if isinstance(key, Opaque | Global):
            return getattr(key, "class_name", None) or str(key)
        if isinstance(key, NumpyArray):
            return int.from_bytes(key.data, "little", signed=True) if key.dtype.code[0] in "iu" else str(key)
        return key

    def _opaque(self, value: Opaque, depth: int) -> dict[Any, Any]:
        copy: dict[Any, Any] = self._keep(value, {"__class__": value.class_name})
        for part in value.state if isinstance(value.state, tuple) else (value.state,):
            if isinstance(part, dict):
                copy.update(self._dict(part, depth))
            elif part is not None:
                copy["__state__"] = self.convert(part, depth)
        for name, rest in (
            ("__args__", value.args),
            ("__items__", value.items),
            ("__entries__", value.entries),
        ):
            if rest:
                copy[name] = self.convert(rest, depth)
        return copy


def flatten(value: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a plain tree with its dotted name, in order; a shared container is entered each time.

    Raises:
        FormatError: a container holds itself, or the names would be more than the tensors by far.
    """
    yield from _flatten(value, "", [], [0])


MAX_NAMES = 1 << 22
"""Twenty levels of `[x, x]` name a million tensors with twenty lists: a bomb of names is cut off here."""


def _flatten(value: Any, prefix: str, above: list[int], count: list[int]) -> Iterator[tuple[str, Tensor]]:
    count[0] += 1
    if count[0] > MAX_NAMES:
        raise FormatError(
            f"The data has more than {MAX_NAMES} members.", maybe="it was made to exhaust memory"
        )
    if isinstance(value, TensorRef | CompositeTensor):
        yield prefix, value
        return
    if isinstance(value, dict):
        members: Any = value.items()
    elif isinstance(value, list | tuple | deque):
        members = enumerate(value)
    else:
        return
    if id(value) in above:
        raise FormatError("A container holds itself.", where=prefix[:200])
    above.append(id(value))
    for key, member in members:
        if isinstance(member, TensorRef):  # the common case, without a generator for each
            count[0] += 1
            yield f"{prefix}.{key}" if prefix else str(key), member
        elif not isinstance(member, str | int | float | NumpyDType):
            yield from _flatten(member, f"{prefix}.{key}" if prefix else str(key), above, count)
    above.pop()


def at_path(root: Any, path: str) -> Any:
    """The part of the tree at a dotted path; names may contain dots themselves. "." is the whole.

    Raises:
        UsageError: there is nothing at that path; the nearest names are offered.
    """
    if path in ("", "."):
        return root
    found = _descend(root, path)
    if found is _NOTHING:
        names = [str(name) for name in _members(root)]
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
    members = {str(key): item for key, item in _members(value).items()}
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
