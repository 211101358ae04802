"""Shrinks a difference to one module and as little input as still shows it, and writes that as a script.

The module is the one whose own code or weights differ; the input is PyTorch's own, cut down along the first axis as
long as the difference stays.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from torch2flow.checkpoints.writing.kernel_copy import create, write_file
from torch2flow.checkpoints.writing.staging import Entries, Output, Staging, output_error
from torch2flow.models.codegen.adjustments import child
from torch2flow.models.codegen.literals import attribute, literal
from torch2flow.models.codegen.source_text import filled, unparsed, words
from torch2flow.models.program.identifiers import is_identifier
from torch2flow.proof.parity.compared_models import Subject
from torch2flow.proof.parity.divergence import Divergence
from torch2flow.proof.parity.judge import LIMIT, Measure, measure
from torch2flow.proof.parity.layers import OneByOne, matched
from torch2flow.proof.parity.ledger import Ledger
from torch2flow.proof.parity.reference import RecordedCall, Reference
from torch2flow.proof.watching import WatchedCall, watched
from torch2flow.runtime.nested import leaves, replaced

Array = np.ndarray[Any, Any]

SCRIPT = '''\
"""{title}

Written by torch2flow. It needs OneFlow, NumPy, the folder of the model, and an .npz file beside this file.
"""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import oneflow as flow

sys.path.insert(0, {parent})
load_model = import_module({package}).load_model

case = np.load(Path(__file__).with_name({data}))
module = {module}
with flow.no_grad():
    output = {call}


def tensors(value):
    if isinstance(value, dict):
        value = list(value.values())
    return [value] if isinstance(value, flow.Tensor) else [t for part in value or () for t in tensors(part)]


found = tensors(output)[{position}].numpy()
print("OneFlow  ", found.ravel()[:8])
print("PyTorch  ", case["expected"].ravel()[:8])
print("largest difference", np.abs(found - case["expected"]).max(), "where", case["noise"], "is noise")
'''


@dataclass
class Case:
    """One call of one module, with PyTorch's inputs and its expected output.

    Attributes:
        row: the call.
        module: the OneFlow module.
        method: the name of the method that is called, mostly `forward`.
        args: PyTorch's own inputs.
        kwargs: those by keyword.
        expected: PyTorch's float64 result.
        noise: how far PyTorch's own float32 is from it.
        position: which of the tensors that the module gives it is.
    """

    row: RecordedCall
    module: Any
    method: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    expected: Array
    noise: float
    position: int

    def run(self, flow: Any) -> list[Array]:
        """The outputs of the OneFlow module."""
        with flow.no_grad():
            output = getattr(self.module, self.method)(*self.args, **self.kwargs)
        return [leaf.numpy() for leaf in leaves(output) if isinstance(leaf, flow.Tensor)]

    def measured(self, flow: Any) -> Measure:
        """How far OneFlow's result is from PyTorch's."""
        found = self.run(flow)[self.position]
        return measure(found, self.expected, (self.expected + self.noise).astype(np.float32))

    def sliced(self, flow: Any, start: int, stop: int) -> Case:
        """The same case with a part of the first axis of every tensor that is as long as the output."""
        length = len(self.expected)

        def cut(leaf: Any) -> Any:
            fits = isinstance(leaf, flow.Tensor) and leaf.ndim and leaf.shape[0] == length
            return flow.tensor(leaf.numpy()[start:stop].copy()) if fits else leaf

        args, kwargs = replaced((self.args, self.kwargs), cut)
        part = self.expected[start:stop]
        return Case(self.row, self.module, self.method, args, kwargs, part, self.noise, self.position)


def minimise(
    flow: Any,
    subject: Subject,
    folder: Path,
    reference: Reference,
    where: Divergence,
    out: Path,
    overwrite: bool = False,
) -> str:
    """Writes the script and its data; returns one sentence about it.

    Args:
        flow: the module `oneflow`.
        subject: builds the model.
        folder: of the model, which the script imports.
        reference: the recording.
        where: the first difference.
        out: the script; its data go beside it.
        overwrite: replace the script and the data of another case.

    Raises:
        OutputError: they exist, or can't be written.
    """
    case = _find_case(flow, subject, reference, where)
    if isinstance(case, str):
        return f"no smallest case: {case}"
    whole = case.expected.shape
    for smaller in _halves(flow, case):
        case = smaller
    _write(case, flow, folder, out, where, overwrite)
    return f"{out.name} shows it: `{case.row.path}` alone, {list(case.expected.shape)} instead of {list(whole)}."


def _find_case(flow: Any, subject: Subject, reference: Reference, where: Divergence) -> Case | str:
    call = where.call if where.part == "own" else _caller(reference, where)
    row = reference.calls.get(call)
    if where.part not in ("own", "inputs") or row is None:
        return "There is no layer to cut out: the difference is in training, or in the model's own code."
    model = subject.build(flow)
    catcher = _Catcher(flow, reference, Ledger(), wanted=call)
    args, keywords = reference.inputs(lambda name, array: flow.tensor(array))
    with watched(model, catcher, reference.other_names), flow.no_grad():
        model(*args, **keywords)
    if catcher.found is None:
        return f"The layer {call} is not called in OneFlow."
    method, given, words, outputs = catcher.found
    position, name = next(
        (number, name)
        for number, (_, name) in enumerate(matched(reference, outputs, row.outputs))
        if name and (where.part != "own" or name == where.tensor)
    )
    exact = reference.own_exact(name).astype(np.float64)
    noise = float(np.abs(reference.array(name).astype(np.float64) - exact).max(initial=0))
    module = functools.reduce(getattr, row.path.split("."), model)
    return Case(row, module, method, given, words, exact, noise, position)


def _caller(reference: Reference, where: Divergence) -> str:
    """The first call of the module in whose code the difference arises."""
    return next((row.name for row in reference.calls.values() if row.path == where.path), "")


@dataclass
class _Catcher(OneByOne):
    """Keeps the inputs of one call."""

    wanted: str = ""
    found: tuple[str, tuple[Any, ...], dict[str, Any], list[Array]] | None = None

    def around(
        self, call: WatchedCall, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Does what `OneByOne` does, and keeps inputs and outputs of the wanted call."""

        def kept(*args: Any, **kwargs: Any) -> Any:
            output = forward(*args, **kwargs)
            row = self.reference.call_of(call.name)
            if row is not None and row.name == self.wanted:
                arrays = [leaf.numpy() for leaf in leaves(output) if isinstance(leaf, self.flow.Tensor)]
                self.found = call.method, args, kwargs, arrays
            return output

        return super().around(call, kept, args, kwargs)


def _halves(flow: Any, case: Case) -> Iterator[Case]:
    """Smaller and smaller cases that still differ."""
    while case.expected.ndim and len(case.expected) > 1:
        middle = len(case.expected) // 2
        for start, stop in ((0, middle), (middle, len(case.expected))):
            smaller = case.sliced(flow, start, stop)
            try:
                differs = smaller.measured(flow).ratio > LIMIT
            except Exception:
                differs = False  # what is mixed along the axis can't be cut
            if differs:
                case = smaller
                yield case
                break
        else:
            return


def _write(case: Case, flow: Any, folder: Path, out: Path, where: Divergence, overwrite: bool) -> None:
    data: dict[str, Array] = {"expected": case.expected, "noise": np.asarray(case.noise)}

    def written(value: Any) -> ast.expr:
        if isinstance(value, flow.Tensor):
            name = f"input_{len(data) - 2}"
            data[name] = value.numpy()
            kept = ast.Subscript(attribute("case"), ast.Constant(name), ast.Load())
            return ast.Call(attribute("flow", "tensor"), [kept], [])
        if isinstance(value, dict):
            return ast.Dict([literal(key) for key in value], [written(item) for item in value.values()])
        if isinstance(value, list | tuple):
            items = [written(item) for item in value]
            return ast.List(items, ast.Load()) if isinstance(value, list) else ast.Tuple(items, ast.Load())
        return literal(value)

    function = attribute("module") if case.method == "forward" else attribute("module", case.method)
    keywords = [
        ast.keyword(name, written(value))
        if is_identifier(name)
        else ast.keyword(None, ast.Dict([literal(name)], [written(value)]))
        for name, value in case.kwargs.items()
    ]
    call = ast.Call(function, [written(value) for value in case.args], keywords)
    module: ast.expr = ast.Call(attribute("load_model"), [], [])
    for part in case.row.path.split("."):
        place = ast.Constant(int(part)) if part.isdecimal() else None
        module = child(module, part) if place is None else ast.Subscript(module, place, ast.Load())
    text = filled(
        SCRIPT,
        title=words(where.sentence, 400),
        parent=unparsed(literal(str(folder.resolve().parent))),
        package=unparsed(literal(folder.name)),
        data=unparsed(literal(out.with_suffix(".npz").name)),
        module=unparsed(module),
        call=unparsed(call),
        position=unparsed(literal(case.position)),
    )
    script = text.encode("utf-8")
    data["script"] = np.frombuffer(hashlib.sha256(script).digest(), "u1")
    outputs = (Output(out, _objection_to_script), Output(out.with_suffix(".npz"), _objection_to_data))
    with Staging(*outputs, overwrite=overwrite) as staging:
        try:
            write_file(staging.paths[0], script)
            with open(create(staging.paths[1]), "wb") as stream:
                np.savez(stream, **data)
        except OSError as error:
            raise output_error(error, out) from None
        staging.commit()


def _objection_to_script(path: Path, entries: Entries) -> str:
    """Says why a file is not replaced by a script: only one that nobody edited since is."""
    digest = np.frombuffer(hashlib.sha256(path.read_bytes()).digest(), "u1")
    data = _data(path.with_suffix(".npz"))
    return "" if data is not None and np.array_equal(data["script"], digest) else "it is not as torch2flow wrote it"


def _objection_to_data(path: Path, entries: Entries) -> str:
    return "" if _data(path) is not None else "it holds no case of torch2flow's"


def _data(path: Path) -> dict[str, Array] | None:
    try:
        with np.load(path, allow_pickle=False) as found:
            return dict(found) if {"expected", "noise", "script"} <= set(found.files) else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
