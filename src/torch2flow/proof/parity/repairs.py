"""Tells why a module differs by putting it right: the change to its code that makes its numbers PyTorch's.

A cause that is guessed by what a difference looks like may be wrong. One that was put right and then gives the recorded
numbers explains them. The module that differs is run alone, on PyTorch's own inputs, with the changes of
`source_edits.py` to its code one at a time, and with other values of its attributes where it is one of OneFlow's own.
"""

from __future__ import annotations

import ast
import contextlib
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from torch2flow.proof.parity.divergence import Divergence
from torch2flow.proof.parity.judge import LIMIT, Measure, measure, missing
from torch2flow.proof.parity.layers import OneByOne
from torch2flow.proof.parity.ledger import RUNS, JudgedTensor, Ledger
from torch2flow.proof.parity.reference import RecordedCall
from torch2flow.proof.parity.runner import Runner
from torch2flow.proof.parity.source_edits import ACTIVATIONS, Edit, NodeSlot, behind, edits, numbers, solved
from torch2flow.proof.watching import WatchedCall, watched
from torch2flow.runtime.replaced_attributes import replaced_attributes

Array = np.ndarray[Any, Any]

SECONDS, MOST_TRIALS = 10.0, 1500
"""How long changes are tried."""

MOST_HELD = 4
"""So many tensors that a module holds are tried as one that was left out."""

BETTER = 100.0
"""What explains a difference leaves so many times less of it, if not only noise."""

ATTRIBUTES = ("eps", "alpha", "negative_slope", "min_val", "max_val", "beta", "scale_factor", "p", "threshold")
"""Numbers that OneFlow's own modules keep, of which one may be another."""


class Judged(BaseException):
    """Ends a run once the tensor that it is about is judged. What comes after it need not run."""


class Trial(Ledger):
    """Keeps only whether a tensor agrees, and by how much it does not.

    Args:
        last: the tensor after which the run ends; "" for none.
    """

    def __init__(self, last: str = "") -> None:
        super().__init__()
        self.off: dict[str, Array] = {}
        self.last, self.line = last, 0
        self.met: set[str] = set()

    def meet(self, name: str) -> None:
        """Notes that a tensor was there, and ends the run after the last."""
        self.met.add(name)
        if name == self.last:
            raise Judged

    def judge(
        self, part: str, name: str, found: Array, single: Array, exact: Array, *, spread: float = 0.0, **origin: Any
    ) -> None:
        """Measures a tensor, and keeps the difference."""
        made = measure(found, exact, single, spread)
        self.parts.setdefault(part, {})[name] = JudgedTensor(made)
        if found.shape == exact.shape and found.dtype.kind == "f":
            self.off[name] = np.nan_to_num(found.astype(np.float64) - exact)

    def bad(self) -> dict[str, Measure]:
        """What is not within noise, by name."""
        parts = (self.parts.get(part, {}) for part in ("own", "inputs"))
        return {name: entry.measure for each in parts for name, entry in each.items() if not _noise(entry.measure)}


def _noise(made: Measure) -> bool:
    return not made.fault and (made.identical or made.ratio <= 2 * LIMIT)


@dataclass
class Tried(OneByOne):
    """Tells a trial of each tensor, of those too that are PyTorch's to the bit.

    Attributes:
        given: what each layer gave in the first run, which were PyTorch's values: it is not run again.
        path: of the module that is tried, which is run.
        last: the tensor that the trial is about.
    """

    given: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    last: str = ""

    def around(
        self, call: WatchedCall, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `forward`, or gives what it gave before."""
        row = self.reference.call_of(call.name)
        if self.last and row is not None and call.name in self.given and call.path != self.path:
            if self.last in row.inputs or self.last in map(row.taken, row.inputs):
                self._matched("inputs", row, (args, kwargs), row.inputs)
            return self.given[call.name]
        output = super().around(call, forward, args, kwargs)
        self.given[call.name] = output
        return output

    def _judge(self, part: str, row: RecordedCall, name: str, array: Array, recorded: Array) -> None:
        own = part == "own" or (name.startswith("inputs.") and name not in self.known)
        super()._judge(part, row, name, array, recorded)
        if isinstance(self.ledger, Trial):
            self.ledger.meet(name if own else row.taken(name))


@dataclass
class Entered(OneByOne):
    """Keeps what one module is called with."""

    path: str = ""
    call: tuple[Any, str, tuple[Any, ...], dict[str, Any]] | None = None

    def around(
        self, call: WatchedCall, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `forward`."""
        if call.path == self.path and call.number == 0:
            self.call = (call.module, call.method, args, kwargs)
        return super().around(call, forward, args, kwargs)


@dataclass
class ModuleRepair:
    """A module that differs, and how to run it alone.

    Attributes:
        runner: the model and its recording.
        where: the difference.
        model: the whole model.
        call: of the module: itself, its method, its arguments.
        before: what differs as it is.
        trying: is told the number of each change before it is tried: it may end the process.
        skip: as many changes are not tried, since the last of them ended the process.
        trials: how many changes were tried.
        until: when the time is over.
        line: of the source, that ran when the tensor that differs was judged.
        given: what the layers inside give.
    """

    runner: Runner
    where: Divergence
    model: Any
    call: tuple[Any, str, tuple[Any, ...], dict[str, Any]]
    before: dict[str, Measure] = field(default_factory=dict)
    trying: Callable[[int], None] = lambda number: None
    skip: int = 0
    trials: int = 0
    until: float = 0.0
    line: int = 0
    given: dict[str, Any] = field(default_factory=dict)

    def run(self, last: str = "") -> Trial | None:
        """Runs the module on PyTorch's inputs, its parts giving what PyTorch's gave. None where it can't be run.

        Args:
            last: the tensor after which the run ends.
        """
        runner, trial = self.runner, Trial(last)
        module, method, args, kwargs = self.call
        comparison = Tried(
            runner.flow, runner.reference, trial, model=self.model, given=dict(self.given) if last else {},
            path=self.where.path, last=last,
        )  # fmt: skip
        self.trials += 1
        if self.before:
            if self.trials <= self.skip:
                return None
            self.trying(self.trials)
        try:
            with (
                runner.flow.no_grad(),
                runner.nothing_dropped(self.model),
                watched(self.model, comparison, runner.reference.other_names),
            ):
                output = getattr(module, method)(*args, **kwargs)
                if not self.where.path:
                    for name, leaf in runner.numbered(output).items():
                        if f"output.{name}" in runner.reference:
                            comparison.judge("own", f"output.{name}", leaf.numpy())
                            trial.meet(f"output.{name}")
        except Judged as end:
            trial.line = _line_of(end, type(module))
        except Exception as error:  # a change may make code that can't be run
            self.line = self.line or _line_of(error, type(module))
            return None
        if not last and not self.given:
            self.given = comparison.given
        return None if trial.failures else trial

    def explained(self) -> bool:
        """Whether the code, as it is now, makes PyTorch's numbers."""
        return self._explains(self.run(self.where.tensor)) and (not self.where.tensor or self._explains(self.run()))

    def _explains(self, trial: Trial | None) -> bool:
        if trial is None:
            return False
        if not self.where.tensor:  # what could not be run at all
            return not trial.bad()
        if self.where.tensor not in trial.met:
            return False
        bad = trial.bad()
        if bad.keys() - self.before.keys() or not self.before:
            return False
        left, before = bad.get(self.where.tensor), self.before[self.where.tensor]
        return left is None or (not left.fault and left.error * BETTER < before.error and left.ratio < 10 * LIMIT)

    @property
    def over(self) -> bool:
        """Whether enough was tried."""
        return self.trials > MOST_TRIALS or time.monotonic() > self.until


@dataclass
class ModelRepair(ModuleRepair):
    """The whole model in a run of which only the outputs were recorded.

    Attributes:
        prefix: of the run in the recording.
    """

    prefix: str = ""

    def run(self, last: str = "") -> Trial | None:
        """Runs the model, and compares its outputs."""
        self.trials += 1
        if self.before:
            if self.trials <= self.skip:
                return None
            self.trying(self.trials)
        runner, trial = self.runner, Trial()
        train = self.prefix == "train."
        model = self.model.train(train or runner.reference.metadata.get("mode") == "train")
        try:
            output = runner.forward(model, "" if train else self.prefix)
        except Exception:  # a change may make code that can't be run
            return None
        for name, single, exact in runner.reference.pairs(f"{self.prefix}output."):
            if name in output:
                trial.judge("own", name, output[name].detach().numpy(), single, exact)
                trial.meet(name)
        return trial

    def explained(self) -> bool:
        """Whether the code, as it is now, makes PyTorch's numbers, in the first run too: a constant fits any number."""
        if not super().explained():
            return False
        first = replace(self, prefix="").run() if self.prefix else None
        return not self.prefix or (first is not None and not first.bad())


Explained = tuple[str, str]
"""The change that makes the numbers PyTorch's, in words, and the path of a module with that code."""

PREFIXES = {**RUNS, "train_outputs": "train."}


def explanation(
    runner: Runner, where: Divergence, trying: Callable[[int], None] = lambda number: None, skip: int = 0
) -> Explained | None:
    """The change that makes a module's numbers PyTorch's; None if none was found."""
    if runner.reference.keys:
        return None  # a twin's layers are other layers
    if where.part in PREFIXES and where.tensor:
        model = runner.model()
        whole = ModelRepair(runner, where, model, (model, "forward", (), {}), prefix=PREFIXES[where.part])
        return _found(whole, trying, skip, _of_any_class(whole))
    repair = _prepared(runner, where)
    if repair is None:
        return None
    module = repair.call[0]
    own = type(module).__module__.startswith("oneflow.")
    method = repair.call[1].replace("__call__", "forward")
    texts = _of_attributes(repair) if own else _of_source(repair, type(module), method)
    return _found(repair, trying, skip, ((text, where.path) for text in texts))


def _found(
    repair: ModuleRepair, trying: Callable[[int], None], skip: int, candidates: Iterator[Explained]
) -> Explained | None:
    repair.until = time.monotonic() + SECONDS
    if not repair.before:
        first = repair.run()
        repair.before = first.bad() if first is not None else {}
    repair.trying, repair.skip = trying, skip
    return next(candidates, None) if repair.where.tensor in repair.before else None


def _of_any_class(repair: ModuleRepair) -> Iterator[Explained]:
    """Changes to each class of the model, the model's own first."""
    done = set()
    for path, part in repair.model.named_modules():
        cls = type(part)
        if cls not in done and not cls.__module__.startswith("oneflow."):
            done.add(cls)
            yield from ((text, path) for text in _of_source(repair, cls, "forward"))


def _prepared(runner: Runner, where: Divergence) -> ModuleRepair | None:
    model = runner.model()
    call: Any
    if where.path:
        entered = Entered(runner.flow, runner.reference, Trial(), model=model, path=where.path)
        with runner.flow.no_grad(), runner.nothing_dropped(model), contextlib.suppress(Exception):
            args, keywords = runner.inputs()
            with watched(model, entered, runner.reference.other_names):
                model(*args, **keywords)
        call = entered.call
    else:
        args, keywords = runner.inputs()
        call = (model, "__call__", tuple(args), keywords)
    if call is None:
        return None
    repair = ModuleRepair(runner, where, model, call)
    first = repair.run(where.tensor)
    repair.line = first.line if first is not None else repair.line
    first = repair.run()
    repair.before = first.bad() if first is not None else {"": missing("it can't be run")}
    return repair


# -- OneFlow's own modules -----------------------------------------------------------------------------------


def _line_of(error: BaseException, cls: type) -> int:
    """The line of a class's module that ran when an error was raised."""
    home = sys.modules.get(cls.__module__)
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 0 for frame in frames if frame.filename == getattr(home, "__file__", "")), 0)


def _of_attributes(repair: ModuleRepair) -> Iterator[str]:
    module, flow = repair.call[0], repair.runner.flow
    for name in ATTRIBUTES:
        value = getattr(module, name, None)
        if type(value) is float:
            for found in _values(repair, value, lambda number, name=name: _attribute(module, name, number)):  # type: ignore[misc]
                what = "another eps" if name == "eps" else f"another {name}"
                yield f"{what}: with {found:.6g} instead of {value:.6g}, the numbers are PyTorch's"
    for name, value in list(vars(module).items()):
        others: list[Any] = []
        if isinstance(value, bool) and name not in ("training",) and name[:1] != "_":
            others = [not value]
        elif name in ("stride", "padding", "dilation", "kernel_size", "output_padding"):
            others = [_moved(value, step) for step in (1, -1, 2, -2) if _moved(value, step) is not None]
        for other in others:
            with _attribute(module, name, other):
                if repair.explained():
                    yield f"another {name}: with {other} instead of {value}, the numbers are PyTorch's"
    for one in _moved_pairs(module):
        with contextlib.ExitStack() as stack:
            for name, other in one.items():
                stack.enter_context(_attribute(module, name, other))
            if repair.explained():
                told = ", ".join(f"{name} {value}" for name, value in one.items())
                yield f"another dilation and padding: with {told}, the numbers are PyTorch's"
    if not list(module.parameters()):
        names = {"flow": flow, "F": flow.nn.functional}
        for text in ACTIVATIONS:
            function = eval(f"lambda x: {text.format('x')}", names)
            with _attribute(module, "forward", function):
                if repair.explained():
                    yield f"another activation: with `{text.format('x')}`, the numbers are PyTorch's"


def _moved(value: Any, step: int) -> Any:
    values = value if isinstance(value, tuple) else (value,)
    if not all(type(each) is int and each + step >= 0 for each in values):
        return None
    made = tuple(each + step for each in values)
    return made if isinstance(value, tuple) else made[0]


def _moved_pairs(module: Any) -> Iterator[dict[str, Any]]:
    """Dilation and padding that change together, so that the size stays."""
    kernel, dilation, padding = (getattr(module, name, None) for name in ("kernel_size", "dilation", "padding"))
    if not all(isinstance(each, tuple) for each in (kernel, dilation, padding)):
        return
    for step in (1, -1, 2, -2):
        wide = _moved(dilation, step)
        if wide is not None and min(wide) > 0:
            more = tuple(p + step * (k - 1) // 2 for p, k in zip(padding, kernel, strict=True))  # type: ignore[arg-type]
            if min(more) >= 0:
                yield {"dilation": wide, "padding": more}


@contextlib.contextmanager
def _attribute(module: Any, name: str, value: Any) -> Iterator[None]:
    old, there = vars(module).get(name), name in vars(module)
    vars(module)[name] = value
    try:
        yield
    finally:
        if there:
            vars(module)[name] = old
        else:
            del vars(module)[name]


def _values(repair: ModuleRepair, start: float, put: Callable[[float], Any]) -> Iterator[float]:
    """A value of a number that explains the difference: one by which many have been mistaken, or the one that fits."""
    tensor = repair.where.tensor

    def fits(value: float) -> bool:
        with put(value):
            return not repair.over and repair.explained()

    def left(value: float) -> Array | None:
        with put(value):
            trial = None if repair.over else repair.run(tensor)
        return None if trial is None else trial.off.get(tensor)

    if abs(start) < 1e-2:  # an eps is one of few, and too small for slopes
        for value in (1e-5, 1e-6, 1e-12, 1e-3, 1e-8, 1e-4, 1e-7, 1e-10, 0.0):
            if value != start and fits(value):
                yield value
    if not repair.where.tensor:  # it can't be run, so there is no difference to solve for
        for value in (float(round(start)), round(start, 1), start * 2, start / 2, 0.5, 1.0, 2.0):
            if value != start and fits(value):
                yield value
        return
    for value in solved(left, start):
        if repair.over:
            return
        for near in (float(f"{value:.3g}"), float(f"{value:.6g}"), value):
            if near != start and fits(near):
                yield near
                return


# -- source --------------------------------------------------------------------------------------------------


def _of_source(repair: ModuleRepair, cls: type, method: str) -> Iterator[str]:
    home = sys.modules.get(cls.__module__)
    file = getattr(home, "__file__", None)
    if home is None or file is None:
        return
    try:
        tree = ast.parse(Path(file).read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    vars(home).setdefault("F", repair.runner.flow.nn.functional)
    vars(home).setdefault("flow", repair.runner.flow)
    classes = {part.name: part for part in tree.body if isinstance(part, ast.ClassDef)}
    own = classes.get(cls.__name__)
    function = (
        next((part for part in own.body if isinstance(part, ast.FunctionDef) and part.name == method), None)
        if own
        else None
    )
    if function is None:
        return
    helpers = {part.name: part for part in tree.body if isinstance(part, ast.FunctionDef)}
    used = [helpers[node.id] for node in ast.walk(function) if isinstance(node, ast.Name) and node.id in helpers]
    for each in dict.fromkeys([function, *used]):
        yield from _of_function(repair, cls if each is function else home, home, each)


def _of_function(repair: ModuleRepair, owner: Any, home: Any, function: ast.FunctionDef) -> Iterator[str]:
    def install() -> contextlib.AbstractContextManager[None]:
        scope: dict[str, Any] = {}
        holder = ast.fix_missing_locations(ast.Module([function], []))
        exec(compile(holder, home.__file__, "exec"), vars(home), scope)
        return replaced_attributes((owner, function.name, scope[function.name]))

    @contextlib.contextmanager
    def changed(slot: NodeSlot, new: ast.AST) -> Iterator[None]:
        old = slot.get()
        slot.put(new)
        try:
            with install():
                yield
        finally:
            slot.put(old)

    parts = (part for part in repair.model.modules() if type(part) is owner)
    held = [f"self.{name}" for part in parts for name in (*part._buffers, *part._parameters)][:MOST_HELD]
    places = behind(function, 0 if owner is home else repair.line)
    for slot in numbers(function, places):
        node = slot.get()
        for value in _values(repair, node.value, lambda number, slot=slot: changed(slot, ast.Constant(number))):  # type: ignore[misc]
            what = "another eps" if abs(node.value) < 1e-3 and abs(value) < 1e-2 else "another constant or scale"
            change = f"with `{value:.6g}` instead of `{node.value:.6g}` in line {node.lineno}"
            yield f"{what}: {change}, the numbers are PyTorch's"
    for edit in edits(function, places, held if owner is not home else []):
        if repair.over:
            return
        try:
            with changed(edit.slot, edit.new):
                fits = repair.explained()
        except (SyntaxError, TypeError, ValueError, NameError):
            continue  # no such code
        if fits:
            yield _told(edit, function)


def _told(edit: Edit, function: ast.FunctionDef) -> str:
    old = edit.slot.get()
    shown = [
        ", ".join(ast.unparse(each) for each in part) if isinstance(part, list) else ast.unparse(part)
        for part in (old, edit.new)
    ]
    line = getattr(old if not isinstance(old, list) else edit.slot.parent, "lineno", function.lineno)
    if max(map(len, shown)) > 60 or not all(shown):
        return f"{edit.cause}: so changed in line {line}, the numbers are PyTorch's"
    return f"{edit.cause}: with `{shown[1]}` instead of `{shown[0]}` in line {line}, the numbers are PyTorch's"
