"""Watches what goes into and comes out of every submodule, in PyTorch and in OneFlow alike.

`forward` is wrapped, not hooked: OneFlow 0.9.0 and PyTorch before 2.0 have no hooks that see keywords, and a converted
class has further methods, `forward_2`, where its calls differ.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

METHOD = re.compile(r"forward(_[2-9]\d*)?")

HOOKS = ("_forward_pre_hooks", "_forward_hooks")
"""Attributes of a PyTorch module: the hooks of its call belong to what it computes."""


@dataclass(frozen=True, slots=True)
class WatchedCall:
    """One call of a submodule.

    Attributes:
        path: such as `layer1.0.conv1`; where a module has two, the first.
        number: which call of this module it is, from 0.
        module: the module itself.
        method: mostly `forward`.
    """

    path: str
    number: int
    module: Any
    method: str = "forward"

    @property
    def name(self) -> str:
        """The name of the call in recordings: `layer1.0.conv1#0`."""
        return f"{self.path}#{self.number}"


class Watcher(Protocol):
    """Is told of every call, and may replace its inputs and its output."""

    def around(
        self, call: WatchedCall, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `forward`, and returns the value that the caller shall get."""
        ...


def other_names(module: Any) -> dict[str, str]:
    """For each further path of a submodule that has more than one, the first of them: an activation that all share."""
    first = {id(part): path for path, part in module.named_modules()}
    return {
        path: first[id(child)]
        for owner, part in module.named_modules()
        for name, child in part._modules.items()
        if child is not None and (path := f"{owner}.{name}" if owner else name) != first[id(child)]
    }


def first_name(path: str, others: Mapping[str, str]) -> str:
    """The first path of the module that has this one, by `other_names`."""
    found = ""
    for name in path.split(".") if others else ():
        found = f"{found}.{name}" if found else name
        found = others.get(found, found)
    return found or path


@contextlib.contextmanager
def watched(module: Any, watcher: Watcher, others: Mapping[str, str] | None = None) -> Iterator[None]:
    """A context in which every call of a submodule goes through `watcher`; afterwards the module is what it was.

    Args:
        module: a module of PyTorch or OneFlow.
        watcher: is told of the calls.
        others: the `other_names` of the module that this one is to be compared with: what has several names there is
            one module here too.
    """
    counts: dict[str, int] = {}

    def wrap(path: str, part: Any, name: str) -> Callable[..., Any]:
        forward = _through_hooks(part, getattr(part, name), undo) if name == "forward" else getattr(part, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            number = counts[path] = counts.get(path, -1) + 1
            return watcher.around(WatchedCall(path, number, part, name), forward, args, kwargs)

        return wrapped

    undo: list[Callable[[], None]] = []
    try:
        for path, part in module.named_modules():
            first = first_name(path, others or {})
            for name in dir(type(part)) if path else ():
                if METHOD.fullmatch(name):
                    undo.append(set_own(part, name, wrap(first, part, name)))
        yield
    finally:
        for step in undo:
            step()


def _through_hooks(part: Any, forward: Callable[..., Any], undo: list[Callable[[], None]]) -> Callable[..., Any]:
    """A `forward` that runs the module's hooks too, which its call then does not."""
    hooks = {name: value for name in HOOKS if (value := part.__dict__.get(name))}
    if not hooks:
        return forward
    undo += [set_own(part, name, type(value)()) for name, value in hooks.items()]

    def whole(*args: Any, **kwargs: Any) -> Any:
        inner = [set_own(part, name, value) for name, value in (*hooks.items(), ("forward", forward))]
        try:
            return part(*args, **kwargs)
        finally:
            for step in inner:
                step()

    return whole


def set_own(part: Any, name: str, value: Any) -> Callable[[], None]:
    """Sets an attribute of an instance, and returns what puts the old one back."""
    old = part.__dict__.get(name)
    part.__dict__[name] = value

    def put_back() -> None:
        if old is None:
            part.__dict__.pop(name, None)
        else:
            part.__dict__[name] = old

    return put_back


@dataclass
class CallStack:
    """A watcher that knows which module's code is running.

    Attributes:
        inside: the paths of the modules under way, the outermost first.
    """

    inside: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Of the innermost module; "" is the model itself."""
        return self.inside[-1] if self.inside else ""

    def around(
        self, call: WatchedCall, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `forward`."""
        self.inside.append(call.path)
        try:
            return forward(*args, **kwargs)
        finally:
            self.inside.pop()
