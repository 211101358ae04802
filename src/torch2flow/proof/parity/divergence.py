"""Where two models start to differ: the first place whose own error no noise explains."""

from __future__ import annotations

import functools
import math
import re
from bisect import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from torch2flow.proof.parity.judge import FINE
from torch2flow.proof.parity.ledger import PARTS, RUNS, JudgedTensor, Ledger
from torch2flow.proof.parity.likely_causes import OTHER_SIZES, SIZE_IS_FIXED
from torch2flow.proof.parity.reference import RecordedCall, Reference

NO_KERNEL = "OneFlow 0.9.0 lacks most kernels for 16-bit numbers on a CPU: convert with --dtype float32, or use a GPU"


WHAT_IT_IS = {
    "weights": "The weights are not PyTorch's: `{name}`, for one; {fault}.",
    "form": "The caller gets something else: {fault}.",
    "dropout": "Dropout differs: {name}, {fault}.",
    "trainable": "Other parameters are trained: `{name}`; {fault}.",
}

DOUBTFUL = ("elevated", None)


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first difference.

    Attributes:
        path: of the module whose code it arises in; "" is the model's own.
        call: the name of that module's call, where layers were compared.
        part: what differs, as in `ledger.PARTS`.
        tensor: which tensor of that part.
        sentence: all this in words.
        likely: what may be the cause.
    """

    path: str
    call: str
    part: str
    tensor: str
    sentence: str
    likely: tuple[str, ...] = ()


def explicable(where: Divergence) -> bool:
    """Whether the code of one module makes the difference, and nothing but its numbers, or that it can't be run."""
    layers = where.part in ("own", "inputs") or (where.part == "outputs" and not where.tensor)
    return layers or (where.part in (*RUNS, "train_outputs") and bool(where.tensor))


OF_TRAINING = ("in train mode the original computes what is not in this program", "the author's own backward of ")
"""How notes of `torch2flow capture` begin that say what the converted model can't do in training."""

FORWARD_PARTS = (
    "modules",
    "own",
    "inputs",
    "outputs",
    "second",
    "third",
    "large",
    "again",
    "eval_outputs",
    "random",
    "graph",
)
"""Parts of a comparison that say nothing of training."""


def first_divergence(ledger: Ledger, reference: Reference) -> Divergence:
    """Finds where the difference starts, as closely as the comparison can tell."""
    before, after = (functools.partial(_what_it_is, parts) for parts in (("weights", "form"), ("dropout", "trainable")))
    for candidates in (before, _layers, after, _graph, _outputs, _training, _rest):
        for found in candidates(ledger, reference):
            tensor, text, path = ledger.explained
            if text and tensor == found.tensor and explicable(found):
                where = f" It arises in the code of `{path}`." if path != found.path else ""
                found = replace(found, path=path, sentence=found.sentence + where)
                return replace(found, likely=(text, *_circumstances(found, ledger, reference)))  # no guesses beside it
            return replace(found, likely=(*_circumstances(found, ledger, reference), *found.likely))
    raise AssertionError("nothing differs")


def _circumstances(found: Divergence, ledger: Ledger, reference: Reference) -> Iterator[str]:
    """Sentences about what else in the run explains the difference."""
    if ledger.random and found.part not in ("gradients", "buffers", "sgd", "adamw"):
        yield "two runs of the OneFlow model differ: something random is active, such as dropout in eval mode"
    if found.part not in ("weights", "form", *FORWARD_PARTS):
        told = reference.notes.get("notes", [])
        yield from (note.partition(" (capture ")[0] for note in told if note.startswith(OF_TRAINING))
    entry = ledger.parts.get(found.part, {}).get(found.tensor)
    if entry is not None and entry.measure.verdict == "loses digits":
        yield (
            "the formula is PyTorch's, as float64 shows, but OneFlow computes it less exactly in float32, mostly where "
            "values are large beside their differences: centre or scale the inputs, or compute this layer in float64"
        )
    # What has no weights may be left out without a difference.
    names = sorted(f"{name}." for name in reference.notes.get("state_dict", []))
    inside = f"{found.path}." if found.path else ""
    missing = [
        path
        for path in sorted({row.path for row in reference.calls.values()} - set(ledger.seen))
        if path.startswith(inside) and "".join(names[(at := bisect(names, f"{path}.")) : at + 1]).startswith(f"{path}.")
    ]
    if ledger.seen and missing and found.part in ("own", "inputs", "outputs"):
        yield f"`{missing[0]}` is never called in OneFlow: another layer may be called in its place"


def _bad(ledger: Ledger, part: str) -> dict[str, JudgedTensor]:
    return {name: entry for name, entry in ledger.parts.get(part, {}).items() if entry.measure.verdict not in FINE}


def _size(entry: JudgedTensor) -> str:
    """The error in words: `3.1e-02 of the largest value, 40,000x the noise`."""
    made = entry.measure
    if made.fault:
        return made.fault
    if not math.isfinite(made.ratio):
        return f"{made.error:.1e} where PyTorch has 0 throughout"
    ratio = f"{made.ratio:,.0f}" if made.ratio >= 10 else f"{made.ratio:.1f}"
    double = f", {made.double:.1e} in float64" if made.double is not None and math.isfinite(made.double) else ""
    if made.verdict == "loses digits":
        double += ", so float32 loses digits that PyTorch keeps"
    return f"{made.relative:.1e} of the largest value, {ratio}x the noise{double}"


def _differs(entry: JudgedTensor) -> str:
    return f"differs: {entry.measure.fault}" if entry.measure.fault else f"differs by {_size(entry)}"


def _what_it_is(parts: Iterable[str], ledger: Ledger, reference: Reference) -> Iterator[Divergence]:
    """What differs and is no number: weights, the form of the outputs, what drops, what is trained."""
    for part in parts:
        told, bad = WHAT_IT_IS[part], _bad(ledger, part)
        if bad:
            name, entry = next(iter(bad.items()))
            path = name.split("`")[1] if "`" in name else name.rpartition(".")[0]
            sentence = told.format(name=name, fault=entry.measure.fault)
            if len(bad) > 1:
                sentence += f" The same is so of {len(bad) - 1} more."
            yield Divergence("" if part == "form" else path, "", part, name, sentence, entry.likely)


def _layers(ledger: Ledger, reference: Reference) -> Iterator[Divergence]:
    """The first call, in the order in which calls end, whose inputs or outputs differ or that can't be run."""
    own, inputs = _bad(ledger, "own"), _bad(ledger, "inputs")
    # What could not be decided in float64 is nothing beside what is different for certain.
    if any(entry.measure.verdict == "different" for entry in (*own.values(), *inputs.values())):
        own, inputs = (
            {name: entry for name, entry in part.items() if (entry.measure.verdict, entry.measure.double) != DOUBTFUL}
            for part in (own, inputs)
        )
    for row in reference.calls.values():
        for name in (*row.inputs, *map(row.taken, row.inputs)):
            if name in inputs:
                yield _before(row, name, inputs[name], reference)
        if row.name in ledger.failures:
            text = ledger.failures[row.name]
            given = _no_tensor(row, text, reference)
            if given is not None:
                yield given
            likely = _why_not_run(text)
            yield Divergence(row.path, row.name, "own", "", f"`{row.path}` ({row.kind}) can't be run: {text}", likely)
        for name in row.outputs:
            if name in own:
                entry = own[name]
                which = "" if row.name.endswith("#0") else f", in its call {row.name.rpartition('#')[2]},"
                sentence = f"`{row.path}` ({row.kind}){which} is the first module whose own error exceeds noise: "
                sentence += f"{_size(entry)}; its inputs agree."
                yield Divergence(row.path, row.name, "own", name, sentence, entry.likely)
    for name, entry in own.items():  # what the model's own code gives
        sentence = f"The model's own code, after its layers, exceeds noise: {name} {_differs(entry)}."
        yield Divergence("", "", "own", name, sentence, entry.likely)


def _no_tensor(row: RecordedCall, text: str, reference: Reference) -> Divergence | None:
    """Where a layer can't be run since it is given no tensor: the layer or the code that gave it something else."""
    found = re.search(r"(?:<class ')?'?(tuple|list|dict|NoneType)'", text) if row.inputs else None
    if found is None:
        return None
    kind = "None" if found[1] == "NoneType" else f"a {found[1]}"
    giver = reference.calls.get(row.inputs[0].removeprefix("module.").rpartition(".")[0])
    path = giver.path if giver is not None and kind != "None" else row.path.rpartition(".")[0]
    where = f"`{path}`" if path else "the model"
    sentence = f"What {where} gives to `{row.path}` ({row.kind}) is {kind} and no tensor: {text}"
    likely = "another form: a tuple, a list or nothing is handed on in place of a tensor, or a branch is turned round"
    return Divergence(path, row.name, "own", "", sentence, (likely,))


def _why_not_run(text: str) -> tuple[str, ...]:
    """Causes of an error, by its words."""
    if "kernel" in text and "Float16" in text:
        return (NO_KERNEL,)
    if "missing required argument" in text:
        return ("an argument is left out, which OneFlow has no default for",)
    if "not in the model" in text:
        return ("a buffer or a parameter is not registered here, or has another name",)
    if re.search(r"\(\d+ vs\.? \d+\)|[Ss]hape|[Dd]im", text):
        return ("another shape meets here: two arguments are swapped, or an axis or a size is another",)
    return ()


def _before(row: RecordedCall, name: str, entry: JudgedTensor, reference: Reference) -> Divergence:
    # The name of an input that no layer gave is that of the outermost layer that gets it.
    owner = re.fullmatch(r"inputs\.(.*#\d+)\.\d+", name)
    row = reference.calls.get(owner[1], row) if owner else row
    parent = row.path.rpartition(".")[0]
    # A list of modules has no code: its owner's has called this one.
    callers = {call.path: call for call in reference.calls.values()}
    while parent and parent not in callers:
        parent = parent.rpartition(".")[0]
    where = f"`{parent}` ({callers[parent].kind})" if parent else "the model"
    sentence = f"What {where} gives to `{row.path}` is the first value that exceeds noise: {_size(entry)}; "
    sentence += "the layers before agree, so it is the code between them."
    return Divergence(parent, row.name, "inputs", name, sentence, entry.likely)


def _training(ledger: Ledger, reference: Reference) -> Iterator[Divergence]:
    """Finds a difference in training: buffers go wrong after the first wrong layer, gradients before the last."""
    order = {row.path: number for number, row in enumerate(reference.calls.values())}
    rank = {name: order.get(name.rpartition(".")[0], number) for number, name in _numbered(reference)}
    for part, choose in (("buffers", min), ("gradients", max)):
        bad = _bad(ledger, part)
        if bad:
            name = choose(bad, key=lambda each: rank.get(each, 0))
            path = name.rpartition(".")[0]
            what = "buffer after a training step" if part == "buffers" else "gradient"
            at = f"`{path}`" if path else "the model itself"
            sentence = f"Outputs agree, but training does not: it starts at {at}, whose {what} is `{name}`: it "
            sentence += f"{_differs(bad[name])}."
            if part == "gradients" and ledger.backward:
                yield _backward(ledger.backward[0], name, bad[name], reference)
            yield Divergence(path, "", part, name, sentence, bad[name].likely)
    for part in ("sgd", "adamw"):
        bad = _bad(ledger, part)
        if bad:
            name = next(iter(bad))
            sentence = f"Gradients agree, but {PARTS[part]} do not: {len(bad)} of {len(ledger.parts[part])} differ, "
            sentence += f"`{name}`, for one, {_differs(bad[name])}; it is the optimizer."
            yield Divergence("", "", part, name, sentence, bad[name].likely)


def _backward(call: str, name: str, entry: JudgedTensor, reference: Reference) -> Divergence:
    row = reference.calls.get(call)
    where = f"`{row.path}` ({row.kind})" if row else "the model's own code"
    sentence = f"Outputs agree, but training does not: the gradient that {where} passes on is not that of what it "
    sentence += f"computes; so `{name}`, for one, has another: {_size(entry)}."
    return Divergence(row.path if row else "", call if row else "", "gradients", name, sentence, entry.likely)


def _numbered(reference: Reference) -> Iterator[tuple[int, str]]:
    yield from enumerate([*reference.names("train.gradient."), *reference.names("train.step.")])


def _graph(ledger: Ledger, reference: Reference) -> Iterator[Divergence]:
    """A difference in graph mode alone, whose first module was looked for."""
    bad = _bad(ledger, "graph")
    if bad and not _bad(ledger, "outputs"):
        name = next(iter(bad))
        where = f"the code of `{ledger.graph}`" if ledger.graph else "the model's own code"
        sentence = f"The outputs in graph mode differ: {name}, for one, {_differs(bad[name])}; eagerly they agree. "
        yield Divergence(ledger.graph, "", "graph", name, f"{sentence}It starts in {where}.", bad[name].likely)
    bad = _bad(ledger, "graph_training")
    if bad and ledger.fine("gradients", "buffers"):
        outputs = [name for name in bad if name.startswith("output.")]
        order = [name for name in reference.names("train.gradient.") if name in bad]
        name = next(iter((*outputs, *reversed(order), *bad)))
        path = ledger.graph if outputs else name.rpartition(".")[0]
        told = f"`{name}`, for one, {_differs(bad[name])}; eagerly it agrees."
        sentence = f"A step of training in graph mode differs: {told}"
        yield Divergence(path, "", "graph_training", name, sentence, bad[name].likely)


def _outputs(ledger: Ledger, reference: Reference) -> Iterator[Divergence]:
    """The difference of the whole model, where layers were not recorded or agree."""
    yield from _anywhere(ledger, reference, ("outputs", "second", "graph"))


def _rest(ledger: Ledger, reference: Reference) -> Iterator[Divergence]:
    yield from _anywhere(ledger, reference, PARTS)
    for where, text in ledger.failures.items():
        path = ledger.failed_in.get(where, "")
        at = f" in `{path}`" if path else ""
        likely = ((SIZE_IS_FIXED,) if where in OTHER_SIZES else ()) + _why_not_run(text)
        yield Divergence(path, "", where, "", f"The part '{where}' can't be run{at}: {text}", likely)


def _anywhere(ledger: Ledger, reference: Reference, parts: Iterable[str]) -> Iterator[Divergence]:
    hint = "" if reference.calls else " Where it starts is not known: the recording holds no layers."
    first = next((row for row in reference.calls.values() if set(row.outputs) & _bad(ledger, "modules").keys()), None)
    if first is not None:
        hint = f" End to end, `{first.path}` ({first.kind}) is the first layer whose output exceeds noise."
    for part in parts:
        bad = _bad(ledger, part)
        if bad:
            name, title = next(iter(bad)), PARTS[part]
            sentence = f"The {title} differ: {len(bad)} of {len(ledger.parts[part])}; {name}, for one, "
            yield Divergence("", "", part, name, f"{sentence}{_differs(bad[name])}.{hint}", bad[name].likely)
