"""Records what every submodule gets and gives, and which part of the noise in it is its own.

A layer of a deep model has the noise of all layers before it. How much arises in the layer itself shows a second run,
in float64, in which each submodule is fed what was recorded in the module's own precision, and hands on what was
recorded: what its float64 result is off by is the noise of this one layer.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch2flow.proof.capture.module_state import has_rounding, version_of
from torch2flow.proof.watching import WatchedCall
from torch2flow.runtime.nested import Filled, emptied, filled


class LayerRecorder(Protocol):
    """Takes the tensors of layers, and gives them back."""

    torch: Any

    def tensor(self, name: str, value: Any) -> None:
        """Records a tensor under a name."""
        ...

    def recorded(self, name: str) -> Any:
        """A tensor that was recorded."""
        ...

    def leaves(self, value: Any) -> list[Any]:
        """All parts of a nested value, as `torch.export` orders them."""
        ...

    def is_traced(self, value: Any) -> bool:
        """Whether a tensor in a nested value has no values of its own."""
        ...


@dataclass(slots=True)
class LayerRow:
    """A call of a submodule: its class, and the names of the tensors it got and gave.

    Where layers are compared one by one, its input is replaced if it is `fed`, which what is changed in place must not
    be, and its output if it does not merely `pass` its input on, as a dropout does in eval mode. What is `hooked` has
    the steps of its hooks in it, once it is converted.
    """

    name: str
    kind: str
    fed: bool = True
    passes: bool = False
    hooked: bool = False
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


class Layers:
    """Records inputs and outputs of every call; an input that another submodule gave is named, not repeated."""

    def __init__(self, recorder: LayerRecorder, *, inputs: bool, hooked: Collection[int] = ()) -> None:
        self.recorder, self.inputs, self.hooked = recorder, inputs, hooked
        self.rows: list[LayerRow] = []
        self._known: dict[int, tuple[Any, int, str]] = {}

    def around(
        self, call: WatchedCall, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `forward`, and records, unless a transform of PyTorch's calls it, where tensors have no values."""
        if self.recorder.is_traced((args, kwargs)):
            return forward(*args, **kwargs)
        row = LayerRow(call.name, type(call.module).__name__, fed=not getattr(call.module, "inplace", False))
        row.hooked = id(call.module) in self.hooked
        if self.inputs:
            for name, leaf in self._tensors(f"inputs.{call.name}", (args, kwargs)):
                row.inputs.append(self._known_name(leaf) or self._record(name, leaf))
        given = {id(leaf): version_of(leaf) for _, leaf in self._tensors("", (args, kwargs))}
        output = forward(*args, **kwargs)
        gives = list(self._tensors(f"module.{call.name}", output))
        row.passes = bool(gives) and all(given.get(id(leaf)) == version_of(leaf) for _, leaf in gives)
        row.fed = row.fed and not row.passes
        for name, leaf in gives:
            row.outputs.append(self._record(name, leaf))
        self.rows.append(row)
        return output

    def _tensors(self, prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
        for number, leaf in enumerate(self.recorder.leaves(value)):
            if isinstance(leaf, self.recorder.torch.Tensor):
                yield f"{prefix}.{number}", leaf

    def _record(self, name: str, tensor: Any) -> str:
        self.recorder.tensor(name, tensor)
        self._known[id(tensor)] = (weakref.ref(tensor), version_of(tensor), name)
        return name

    def _known_name(self, tensor: Any) -> str:
        """The name under which this very tensor was recorded and has not been written to since."""
        alive, version, name = self._known.get(id(tensor), (lambda: None, 0, ""))
        return name if alive() is tensor and version == version_of(tensor) else ""


class Fed:
    """Feeds every call what was recorded and hands on what was recorded, so that a result is of one module alone."""

    def __init__(self, recorder: LayerRecorder, rows: list[LayerRow]) -> None:
        self.recorder, self.rows = recorder, {row.name: row for row in rows}
        self.known: set[str] = set()

    def around(
        self, call: WatchedCall, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `forward` on the recorded inputs, and returns the recorded outputs."""
        if self.recorder.is_traced((args, kwargs)):
            return forward(*args, **kwargs)
        row = self.rows[call.name]
        undo: Filled = []
        args, kwargs = self._recorded((args, kwargs), row.inputs, undo, feed=row.fed)
        output = forward(*args, **kwargs)
        emptied(undo)  # what a cache holds of others, its owner hands on as it was
        return self._recorded(output, row.outputs, [], feed=not row.passes)

    def _recorded(self, value: Any, names: list[str], undo: Filled, *, feed: bool) -> Any:
        """`value` with the recorded tensors in place of its own, if it is to be fed with them."""
        torch, following = self.recorder.torch, iter(names)

        def change(leaf: Any) -> Any:
            if not isinstance(leaf, torch.Tensor):
                return leaf
            name = next(following)
            if not has_rounding(leaf):
                return leaf
            recorded = self.record(name, leaf)
            return recorded if feed else leaf

        return replace_leaves(torch, value, change, undo)

    def record(self, name: str, value: Any) -> Any:
        """Takes the value of a tensor that was recorded; returns what was recorded, in this precision."""
        torch = self.recorder.torch
        with torch._C.DisableTorchFunction():  # float32 means float32 here, see `double_mode`
            recorded = self.recorder.recorded(name).to(value.device, value.real.dtype)
            recorded = torch.view_as_complex(recorded) if value.is_complex() else recorded
            if name not in self.known:
                self.known.add(name)
                self.compare(name, value, recorded)
        return recorded

    def compare(self, name: str, value: Any, recorded: Any) -> None:
        """Is given each tensor once."""
        raise NotImplementedError


class OwnNoise(Fed):
    """Records float64 value minus recorded value, in float32, as `own/...`."""

    def compare(self, name: str, value: Any, recorded: Any) -> None:
        """Records the distance."""
        with self.recorder.torch._C.DisableTorchFunction():
            distance = value - recorded
            self.recorder.tensor(f"own/{name}", distance.cfloat() if distance.is_complex() else distance.float())


class RandomTensors(Fed):
    """Finds the tensors that another seed makes different, although the module got the same.

    Attributes:
        random: their names.
    """

    def __init__(self, recorder: LayerRecorder, rows: list[LayerRow]) -> None:
        super().__init__(recorder, rows)
        self.random: set[str] = set()

    def compare(self, name: str, value: Any, recorded: Any) -> None:
        """Notes the tensor if it differs by more than another order of adding up makes."""
        scale = recorded.abs().max() if recorded.numel() else 0.0
        if bool(((value - recorded).abs() > 1e-3 * scale).any()):
            self.random.add(name)


def replace_leaves(torch: Any, value: Any, change: Callable[[Any], Any], undo: Filled) -> Any:
    """A nested value with other leaves: the same ones, in the same order, as `leaves_of` gives."""
    leaves, structure = torch.utils._pytree.tree_flatten(value)
    return torch.utils._pytree.tree_unflatten([filled(leaf, change, undo) for leaf in leaves], structure)
