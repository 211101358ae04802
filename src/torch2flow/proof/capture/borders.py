"""Records what goes into and comes out of every module call while `torch.export` traces, as the author passes it.

An exported program has loose tensors: that `forward` was given a list of three, a tuple of two that all layers share,
or an output object is lost. PyTorch's tracer runs each module through `_ModuleStackTracer.call_module`
(`torch/fx/experimental/proxy_tensor.py`); that method is wrapped here. Behind each tensor it finds the node of the
graph that is being made, and puts a number into the node's `meta`, which later passes copy along. After the export
the numbers are turned into the nodes' final names and taken out again.

Nothing here may make an export fail or change what it gives: what can't be recorded is left out.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from torch2flow.proof.capture.facts import class_name, encode
from torch2flow.runtime.replaced_attributes import replaced_attributes

MARK = "torch2flow"
ROOT = "_export_root"
"""What PyTorch calls the module while it traces, inside a module of its own."""

DEEPEST, LARGEST = 8, 4000
"""A structure that is deeper, or has more parts, makes its border be left out."""

Row = dict[str, Any]


class Borders:
    """What is recorded of the last export that was tried."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.trace = Trace(torch, None)
        self._depth = 0

    def around(self, tracer: Any, module: Any, before: int, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Calls the module, and records; `before` is how many calls it lies in."""
        if self._depth == 0 and tracer is not self.trace.tracer:
            self.trace = Trace(self.torch, tracer)
        trace = self.trace
        if tracer is not trace.tracer:
            return call(*args, **kwargs)  # a graph inside the graph
        self._depth += 1
        try:
            row = trace.begin(module, before, args, kwargs)
            result = call(*args, **kwargs)
            if row is not None:
                with contextlib.suppress(Exception):
                    row["result"] = trace.structure(result)
            return result
        finally:
            self._depth -= 1

    def finish(self, program: Any) -> tuple[list[Row], list[Row]]:
        """The calls that are complete, with names of the final program, from which it takes the marks; and the author's
        functions (`author_functions.py`)."""
        trace, self.trace = self.trace, Trace(self.torch, None)
        names: dict[int, str] = {}
        _collect(program.graph_module, "", names)
        return trace.finish(names), trace.functions


class Trace:
    """The module calls of one run of the tracer, in the order in which they began."""

    def __init__(self, torch: Any, tracer: Any) -> None:
        self.torch, self.tracer = torch, tracer
        self.rows: list[Row] = []
        self.functions: list[Row] = []
        self._marks = 0
        self._identities: dict[int, tuple[int, Any]] = {}
        self._tensors: list[tuple[Row, int]] = []
        self._sizes: list[tuple[Row, Any]] = []

    def begin(self, module: Any, before: int, args: Any, kwargs: Any) -> Row | None:
        """The row of a call, without its result; None where it can't be recorded."""
        try:
            stack = self.tracer.module_stack
            if len(stack) != before + 1:
                return None  # a module that is none of the model's
            key = next(reversed(stack))
            path, number = stack[key][0], key.rpartition("@")[2] if "@" in key else "0"
            if path != ROOT and not path.startswith(f"{ROOT}."):
                return None
            signature = inspect.signature(module.forward)
            row: Row = {"path": path[len(ROOT) + 1 :], "call": int(number)}
            row |= self._arguments(signature, signature.bind(*args, **kwargs).arguments, kwargs)
        except Exception:
            return None
        self.rows.append(row)
        return row

    def _arguments(self, signature: inspect.Signature, given: dict[str, Any], kwargs: dict[str, Any]) -> Row:
        arguments: list[tuple[str, Row]] = []
        row: Row = {"arguments": arguments, "keywords": list(kwargs)}
        for name, value in given.items():
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                arguments += [(each, self.structure(part)) for each, part in value.items()]
                continue
            if kind is inspect.Parameter.VAR_POSITIONAL:
                row["starred"] = name
            arguments.append((name, self.structure(value)))
        return row

    def path(self) -> str:
        """The path of the module that is called now."""
        stack = self.tracer.module_stack
        return str(stack[next(reversed(stack))][0])[len(ROOT) + 1 :]

    def structure(self, value: Any) -> Row:
        """A value as plain data; its tensors are named by `finish`.

        Raises:
            ValueError: it is too deep or too large.
        """
        return _StructureReader(self).structure(value)

    def tensor(self, value: Any) -> Row:
        """A tensor: a node of the graph, which is marked, or one that is not known."""
        get_proxy_slot = import_module(f"{self.torch.__name__}.fx.experimental.proxy_tensor").get_proxy_slot
        slot = get_proxy_slot(value, self.tracer, None)
        return {"kind": "unknown"} if slot is None else self.mark(slot.proxy.node)

    def mark(self, node: Any) -> Row:
        """A node of the graph, which is marked, and which `finish` names."""
        leaf: Row = {"kind": "unknown"}
        if MARK not in node.meta:
            self._marks += 1
            node.meta[MARK] = self._marks
        self._tensors.append((leaf, node.meta[MARK]))
        return leaf

    def size(self, value: Any) -> Row:
        """A dynamic size, which `finish` writes down: PyTorch may still find out that two are the same."""
        leaf: Row = {"kind": "unknown"}
        self._sizes.append((leaf, value))
        return leaf

    def identity(self, value: Any) -> int:
        """A number for a list, tuple or dictionary, the same for the same object, which is kept alive."""
        return self._identities.setdefault(id(value), (len(self._identities) + 1, value))[0]

    def finish(self, names: dict[int, str]) -> list[Row]:
        """The calls that returned something that could be recorded, with the names of the marked nodes."""
        for leaf, mark in self._tensors:
            if mark in names:
                leaf |= {"kind": "value", "value": names[mark]}
        for leaf, size in self._sizes:
            with contextlib.suppress(Exception):
                expression = size.node.expr
                if expression.is_number:
                    leaf |= {"kind": "constant", "value": int(expression)}
                else:
                    leaf |= {"kind": "size", "value": str(expression), "hint": int(size.node.hint)}
        # Before torch 2.6 another tracer sees the tensors, and all would be unknown.
        return [row for row in self.rows if "result" in row] if self._tensors else []


class _StructureReader:
    """Reads one value as a structure; counts its parts."""

    def __init__(self, trace: Trace) -> None:
        self.trace, self.count = trace, 0

    def structure(self, value: Any, depth: int = 0) -> Row:
        """A value as plain data.

        Raises:
            ValueError: it is too deep or too large.
        """
        torch = self.trace.torch
        self.count += 1
        if depth > DEEPEST or self.count > LARGEST:
            raise ValueError("too large")
        if value is None:
            return {"kind": "none"}
        if isinstance(value, torch.Tensor):
            return self.trace.tensor(value)
        if isinstance(value, torch.SymInt):
            return self.trace.size(value)
        if isinstance(value, torch.dtype):
            return {"kind": "dtype", "value": str(value).removeprefix("torch.")}
        if type(value) in (bool, int, float, str):
            encoded = encode(value)
            return {"kind": "unknown"} if encoded is None else {"kind": "constant", "value": encoded[0]}
        parts = _parts(value)
        if parts is None:
            return {"kind": "unknown", "class": class_name(type(value))}
        kind, names, children = parts
        row: Row = {"kind": kind, "items": [self.structure(child, depth + 1) for child in children]}
        if names is not None:
            row["names"] = names
        return {**row, "identity": self.trace.identity(value)}


def _parts(value: Any) -> tuple[str, list[str] | None, list[Any]] | None:
    """The kind of a structure, the names of its parts if they have some, and its parts; None for other objects."""
    kind = type(value)
    if kind is list:
        return "list", None, value
    if isinstance(value, tuple):
        written_in_c = kind.__match_args__ if hasattr(kind, "n_sequence_fields") else None
        names = getattr(value, "_fields", written_in_c)
        return ("tuple", None, list(value)) if names is None else (class_name(kind), list(names), list(value))
    if kind in (dict, collections.OrderedDict):
        return ("dict", list(value), list(value.values())) if all(type(key) is str for key in value) else None
    if dataclasses.is_dataclass(kind):
        if issubclass(kind, dict):  # an output object of transformers, which has only what is not None
            return class_name(kind), list(value), list(value.values())
        names = [part.name for part in dataclasses.fields(kind)]
        return class_name(kind), names, [getattr(value, name) for name in names]
    return None


def _collect(module: Any, prefix: str, names: dict[int, str]) -> None:
    """The names of the marked nodes, those of an inner graph as `submod_1.add`; the marks go away."""
    inner = []
    for node in module.graph.nodes:
        mark = node.meta.pop(MARK, None)
        if mark is not None:
            names.setdefault(mark, f"{prefix}{node.name}")
        if node.op == "get_attr" and hasattr(getattr(module, node.target, None), "graph"):
            inner.append(node.target)
    for name in dict.fromkeys(inner):
        _collect(getattr(module, name), f"{prefix}{name}.", names)


@contextlib.contextmanager
def recorded_borders(torch: Any) -> Iterator[Borders]:
    """While this lasts, every export records the borders of its module calls; none where PyTorch has another tracer."""
    borders = Borders(torch)
    try:
        tracer_class = import_module(f"{torch.__name__}.fx.experimental.proxy_tensor")._ModuleStackTracer
        before = tracer_class.call_module
    except (ImportError, AttributeError):
        yield borders
        return

    def call_module(self: Any, module: Any, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        depth = len(getattr(self, "module_stack", ()))

        def recorded(*args: Any, **kwargs: Any) -> Any:
            return borders.around(self, module, depth, call, args, kwargs)

        return before(self, module, recorded, args, kwargs)

    with replaced_attributes((tracer_class, "call_module", call_module)):
        yield borders
