"""Holds every layer's output to the recorded one: end to end, where errors accumulate, or one by one.

One by one, each submodule is fed what PyTorch's got, and hands on what PyTorch's gave: an error is its own, or that of
the code between it and the layers before. A layer that OneFlow can't run is replaced by what PyTorch's gave, and the
rest is compared all the same.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torch2flow.errors import Torch2FlowError
from torch2flow.proof.capture.factories import place_of
from torch2flow.proof.parity.call_pairs import Traces, trace
from torch2flow.proof.parity.ledger import Ledger
from torch2flow.proof.parity.reference import RecordedCall, Reference
from torch2flow.proof.parity.values import choice_order, nearest, row_order
from torch2flow.proof.watching import WatchedCall
from torch2flow.runtime.nested import leaves, replaced

Array = np.ndarray[Any, Any]

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Comparison:
    """The base of both ways to compare layers.

    Attributes:
        flow: the module `oneflow`.
        reference: what PyTorch's layers gave.
        ledger: judges.
        pattern: only layers whose path it matches are judged.
        enter: is told of each call before it runs; a crash of the process is then known to be its.
        crashed: names of calls that end the process; they are not run.
        seen: paths that were called.
    """

    flow: Any
    reference: Reference
    ledger: Ledger
    pattern: str = ""
    enter: Callable[[str], None] = lambda name: None
    leave: Callable[[str], None] = lambda name: None
    crashed: Collection[str] = ()
    seen: set[str] = field(default_factory=set)

    def judged(self, call: RecordedCall) -> bool:
        """Whether this layer is to be judged."""
        return re.search(self.pattern, call.path) is not None

    def tensors(self, value: Any) -> list[Any]:
        """The OneFlow tensors of a nested value."""
        found = [leaf for leaf in leaves(value) if isinstance(leaf, self.flow.Tensor)]
        return [getattr(leaf, "pair", leaf) for leaf in found]  # of a complex tensor of ported code, as it is recorded

    def matched(self, found: list[Array], names: Iterable[str], *, ordered: bool = False) -> list[tuple[Array, str]]:
        """Matches arrays with recorded tensors: each array with the name of its match, or "".

        A twin of the zoo may give its layers something in another arrangement, which says nothing.

        Args:
            found: what the converted module got or gave.
            names: of what PyTorch's did.
            ordered: as many of the same shapes are matched by their places.
        """
        pairs = matched(self.reference, found, names, ordered=ordered)
        if not self.reference.twin:
            return pairs
        return [
            (array, name if name and array.shape == self.reference.array(name).shape else "") for array, name in pairs
        ]

    def recorded_outputs(self, row: RecordedCall) -> Any:
        """What PyTorch's layer gave."""
        given = tuple(self.flow.tensor(self.reference.array(name)) for name in row.outputs)
        return given[0] if len(given) == 1 else given


@dataclass
class EndToEnd(Comparison):
    """Compares the output of each layer, and lets OneFlow's output go on to the next.

    Attributes:
        traces: of all calls.
    """

    traces: Traces = field(default_factory=Traces)

    def around(
        self, call: WatchedCall, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `forward`, and judges what it gives."""
        self.seen.add(call.path)
        row = self.reference.call_of(call.name)
        if row is not None and row.name in self.crashed:
            return self.recorded_outputs(row)
        name = call.name if row is None else row.name
        got = list(map(trace, self.tensors((args, kwargs))))
        self.enter(name)
        output = forward(*args, **kwargs)
        self.leave(name)
        given = self.tensors(output)
        self.traces.note(call.path, call.name, got, list(map(trace, given)))
        if row is not None and self.judged(row):
            for array, name in self.matched([leaf.numpy() for leaf in given], row.outputs, ordered=True):
                if name:
                    exact = self.reference.exact(name)
                    single = self.reference.single(name, exact)
                    self.ledger.judge("modules", name, array, single, exact)
        return output


@dataclass
class OneByOne(Comparison):
    """Feeds PyTorch's own input to each layer, and compares the output.

    Attributes:
        double: in float64, for the layers that are doubtful in float32.
        model: what has these layers.
        known: the tensors that were judged.
        inside: the calls under way, the outermost first.
    """

    double: bool = False
    model: Any = None
    known: set[str] = field(default_factory=set)
    inside: list[WatchedCall] = field(default_factory=list)

    def around(
        self, call: WatchedCall, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `forward` on the recorded inputs, judges, and returns the recorded outputs."""
        row, fed, order = self.reference.call_of(call.name), True, None
        if row is not None:
            (args, kwargs), fed, order = self._matched("inputs", row, (args, kwargs), row.inputs)
            if row.name in self.crashed:
                return self.recorded_outputs(row)
        self.inside.append(call)
        try:
            if row is None:
                return forward(*args, **kwargs)
            output = self._run(row, forward, args, kwargs)
            return self._matched("own" if fed else "", row, output, row.outputs, order)[0]
        finally:
            self.inside.pop()

    def _run(
        self, row: RecordedCall, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        self.enter(row.name)
        try:
            output = forward(*args, **kwargs)
        except Exception as error:
            self.ledger.fail(row.name, first_line(error))
            output = self.recorded_outputs(row)
        self.leave(row.name)
        return output

    def _matched(
        self, part: str, row: RecordedCall, value: Any, names: list[str], order: Array | None = None
    ) -> tuple[Any, bool, Array | None]:
        """Judges the tensors of a value and puts the recorded ones in their place.

        What a layer gives is judged where it got what PyTorch's got; only layers of a twin may get something else.
        The same rows in another order are brought into PyTorch's for the judge, and back for the model: if the code
        around does not undo the order, what it gives itself will show it.

        Returns:
            The value, whether all recorded tensors were found, and the order of rows.
        """
        tensors = self.tensors(value)
        arrays = [leaf.detach().numpy() for leaf in tensors]
        put: dict[int, Any] = {}
        known: set[str] = set()
        pairs = self.matched(arrays, names, ordered=part != "inputs")
        choice = self._choice(pairs)
        if part == "inputs" and choice is not None and not self._chosen_with_values(pairs, choice):
            choice = None
        for tensor, (array, name) in zip(tensors, pairs, strict=True):
            if not name:
                continue
            recorded = self.reference.array(name)
            if part == "inputs" and array.dtype.kind != recorded.dtype.kind:
                continue  # another tensor: PyTorch's module got one for its shape alone, and the converted one did not
            known.add(name)
            chosen = choice is not None and array.shape == recorded.shape == choice.shape
            if choice is not None and chosen:
                array = np.take_along_axis(array, choice, -1)
            if part == "inputs" and order is None and not chosen:
                order = row_order(array, recorded)
            moved = order if order is not None and array.shape == recorded.shape and len(array) == len(order) else None
            if moved is not None:
                array = array[moved]
            giver = self._giver(name)
            # A converted module has the steps of its hooks in it, and may give what they made.
            with_hook = giver is not None and giver.hooked and array.shape != recorded.shape
            if part and self.judged(row) and name not in self.reference.random and not with_hook:
                self._judge(part, row, name, array, recorded)
            if with_hook:
                continue
            if (row.fed and array.shape == recorded.shape) if part == "inputs" else not row.passes:
                rows = recorded if moved is None else recorded[np.argsort(moved)]
                if choice is not None and chosen:
                    rows = np.take_along_axis(rows, np.argsort(choice, -1), -1)
                put[id(tensor)] = self.flow.tensor(rows, dtype=tensor.dtype)
        complete = not self.reference.twin or known >= set(names)
        return replaced(value, lambda leaf: put.get(id(leaf), leaf)), complete, order

    def _choice(self, pairs: list[tuple[Array, str]]) -> Array | None:
        """The order in which a layer chose the same elements as PyTorch's, as an unsorted `topk` may, or None."""
        orders = (choice_order(array, self.reference.array(name)) for array, name in pairs if name)
        return next((order for order in orders if order is not None), None)

    def _chosen_with_values(self, pairs: list[tuple[Array, str]], choice: Array) -> bool:
        """Whether numbers came in another order with the indices, such as the shares of the experts."""
        for array, name in pairs:
            recorded = self.reference.array(name) if name else array
            if array.dtype.kind == "f" and array.shape == choice.shape == recorded.shape:
                moved = np.take_along_axis(array, choice, -1)
                if np.abs(moved - recorded).max(initial=0) < np.abs(array - recorded).max(initial=0):
                    return True
        return False

    def _judge(self, part: str, row: RecordedCall, name: str, array: Array, recorded: Array) -> None:
        """Judges one tensor. An input that is the output of another layer must be the recorded one, bit for bit."""
        if self.reference.twin and part == "inputs":
            return  # a twin's code between its layers is its own; what it gives is judged with the layers' outputs
        if part == "own" or (name.startswith("inputs.") and name not in self.known):
            self.judge(part, name, array)
        elif part == "inputs" and (self.double or not np.array_equal(array, recorded)):
            own = name.startswith("inputs.") or self._passed_on(name)
            exact = self.reference.own_exact(name) if own else recorded
            if self.double:
                self.ledger.judge_double(part, row.taken(name), array, exact, **self._origin())
            else:
                self.ledger.judge(part, row.taken(name), array, recorded, exact, **self._origin())

    def _passed_on(self, name: str) -> bool:
        """Whether the layer that returned this tensor only passed it on, so that it was not replaced."""
        giver = self._giver(name)
        return giver is not None and giver.passes

    def _giver(self, name: str) -> RecordedCall | None:
        """The call that gave a recorded tensor."""
        return self.reference.calls.get(name.removeprefix("module.").rpartition(".")[0])

    def judge(self, part: str, name: str, array: Array) -> None:
        """Judges a tensor that the code of the innermost call returned, in the precision of this run."""
        self.known.add(name)
        exact = self.reference.own_exact(name)
        if self.double:
            self.ledger.judge_double(part, name, array, exact, **self._origin())
        else:
            self.ledger.judge(part, name, array, self.reference.single(name, exact), exact, **self._origin())

    def _origin(self) -> dict[str, Any]:
        """The class and the inputs of the module whose code is running."""
        call = self.inside[-1] if self.inside else None
        row = self.reference.call_of(call.name) if call else None
        names = row.inputs if row else [f"input.{name}" for name in self.reference.names("input.")]
        cls = type(call.module if call else self.model)
        given = lambda: [self.reference.array(name) for name in names]  # noqa: E731
        given_by = row.outputs if row else [f"output.{name}" for name in self.reference.names("output.")]
        others = lambda: {name: self.reference.array(name) for name in given_by}  # noqa: E731
        return {"cls": cls, "given": given, "others": others}


def matched(
    reference: Reference, found: list[Array], names: Iterable[str], *, ordered: bool = False
) -> list[tuple[Array, str]]:
    """Matches arrays with recorded tensors: each array with the name of its match, or ""."""
    names = list(names)
    if len(found) == len(names) == 1:
        return [(found[0], names[0])]
    recorded = [reference.array(name) for name in names]
    if ordered and [array.shape for array in found] == [array.shape for array in recorded]:
        return list(zip(found, names, strict=True))
    chosen = nearest(found, recorded)
    return [(array, "" if index is None else names[index]) for array, index in zip(found, chosen, strict=True)]


def first_line(error: BaseException) -> str:
    """The first line of an error, without colours: OneFlow's errors go on with places in its own source."""
    if isinstance(error, Torch2FlowError):
        text = f"{error.what} at: {error.where}" if error.where else error.what
    else:
        text = f"{type(error).__name__}: " + COLOURS.sub("", str(error).split('\n  File "')[0])
    return " ".join(text.split())[:400].removesuffix(":") + _line_in_the_model(error)


def module_of(error: BaseException, flow: Any) -> str:
    """The path of the innermost module whose code raised, in the outermost."""
    owners = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    modules = [owner for owner in owners if isinstance(owner, flow.nn.Module)]
    paths = {id(part): path for path, part in modules[0].named_modules()} if modules else {}
    return next((paths[id(part)] for part in reversed(modules) if id(part) in paths), "")


def _line_in_the_model(error: BaseException) -> str:
    """The line of the generated source that raised, or of other source, in words; "" if none did."""
    frames = traceback.extract_tb(error.__traceback__)
    line = next((frame.lineno for frame in reversed(frames) if frame.filename.endswith(f"{os.sep}model.py")), None)
    return f" (line {line} of model.py)" if line else place_of(error)
