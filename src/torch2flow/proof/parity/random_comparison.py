"""Compares what is random in a model: which layers drop and at which rates, and outputs that stay random."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from torch2flow.proof.parity.compared_models import untouched
from torch2flow.proof.parity.random_calls import DropoutWatcher
from torch2flow.proof.parity.reference import Reference
from torch2flow.proof.parity.runner import Runner
from torch2flow.proof.random_calls import RandomCall, rates

OF_CHANNELS = {"dropout1d", "dropout2d", "dropout3d", "feature_dropout"}
"""PyTorch's functions that drop whole channels."""

STILL = 1e-9
"""An output whose deviation over all runs is less is not random."""


def compare_dropout(runner: Runner, model: Any) -> None:
    """Compares which layers drop, and at which rates, in each mode that was recorded."""
    recorded, reference, ledger = runner.reference.notes.get("random_calls", {}), runner.reference, runner.ledger
    if reference.twin or not recorded:
        return
    runner.say("comparing dropout")
    recorded_paths = {reference.paths.get(path, path) for path in reference.notes.get("modules", [])}
    modules = {path for path, _ in model.named_modules()} & recorded_paths
    captured = reference.metadata.get("mode") == "train"
    for mode, rows in recorded.items():
        calls = [RandomCall(reference.paths.get(row[0], row[0]), *row[1:]) for row in rows]
        noted = DropoutWatcher()
        args, keywords = runner.inputs()
        with runner.flow.no_grad(), untouched(runner.flow, model), noted.noted(runner.flow, model):
            model.train(mode == "train")(*args, **keywords)
        model.train(captured)
        # A program has no dropout whose result nobody reads; a port by hand may have it.
        theirs, ours = rates([call for call in calls if call.read], modules), rates(noted.calls, modules)
        every, none = rates(calls, modules), Counter[float]()
        # What an author writes with `bernoulli_` is seen as a draw in PyTorch, and as a dropout in OneFlow.
        drawing = rates([RandomCall(call.path, "dropout", 1.0) for call in calls if call.kind != "dropout"], modules)
        # A port by hand may draw what to keep, where PyTorch drops by one of its own functions.
        by_hand = rates([RandomCall(path, "dropout", 1.0) for path in noted.drawing], modules)
        by_hand = {} if reference.call is None else {path: by_hand[path] for path in by_hand if path not in drawing}
        for path in sorted(theirs.keys() | ours.keys()):
            if path in drawing and path not in theirs:
                continue
            same = theirs.get(path, none) <= ours.get(path, none) <= every.get(path, none)
            if mode == "train" and path in by_hand and not same:
                where = f"`{path}`" if path else "the model itself"
                ledger.note_untrained(f"{where} draws random numbers of its own where PyTorch drops, and both differ")
                continue
            name = f"{f'`{path}`' if path else 'the model'} in {mode} mode"
            whole, drops = noted.whole.get(path), {call.function for call in calls if call.path == path and call.rate}
            if same and whole is not None and drops and (drops <= OF_CHANNELS if not whole else drops == {"dropout"}):
                what = ("whole channels", "single elements")
                text = "it drops {} instead of {}".format(*(what if whole else what[::-1]))
                ledger.fault("dropout", name, text, "dropout of whole channels in place of elements, or the reverse")
            elif same:
                ledger.agree("dropout", name)
            else:
                text = f"it drops {_in_words(ours.get(path))} instead of {_in_words(theirs.get(path))}"
                cause = "a dropout is left out, or never active" if path not in ours else "another rate of dropout"
                if path not in theirs:
                    cause = "a dropout too much, or one that does not ask for the mode"
                ledger.fault("dropout", name, text, cause)
        # A port by hand may keep its values as they are, as its original does.
        for path, text in noted.faults.items() if reference.call is None else ():
            name = f"{f'`{path}`' if path else 'the model'} in {mode} mode"
            ledger.fault("dropout", name, text, "the values that a dropout keeps have another scale or sign")
        here = {row[0] for row in recorded.get("eval", []) if row[1] != "dropout"}
        elsewhere = {row[0] for row in rows if row[1] != "dropout"} - here
        others = sorted(reference.paths.get(path, path) for path in elsewhere)
        first = f"`{others[0]}`" if others and others[0] else "the model itself"
        counted = "1 place" if len(others) == 1 else f"{len(others)} places"
        alone = not captured and reference.metadata.get("dropout") == "attributes"
        if others and mode == "train" and alone and not reference.draws:
            ledger.remark(
                f"in train mode PyTorch draws random numbers in {counted}, such as {first}, which an "
                "eval capture does not hold: 'torch2flow capture --train' keeps them"
            )


def compare_draws(runner: Runner, model: Any) -> None:
    """Compares outputs that are random on both sides by mean and deviation over as many runs as were recorded."""
    runner.say("running a random model many times")
    reference, count = runner.reference, runner.reference.draws
    sums: dict[str, tuple[Any, Any]] = {}
    for _ in range(count):
        for name, value in runner.forward(model).items():
            wide = value.numpy().astype(np.float64)
            total, squares = sums.get(name, (0.0, 0.0))
            sums[name] = (total + wide, squares + wide**2)
    for name in reference.names("random.mean."):
        if name not in sums:
            runner.ledger.fault("random", name, "it is not there")
            continue
        mean = sums[name][0] / count
        deviation = np.sqrt(np.maximum(sums[name][1] / count - mean**2, 0))
        theirs = (reference.array(f"random.mean.{name}"), reference.array(f"random.deviation.{name}"))
        runner.ledger.judge_draws("random", name, (mean, deviation), theirs, count)
    runner.ledger.remark(f"both sides are random: outputs are compared by mean and deviation of {count} runs")


def random_outputs(reference: Reference) -> set[str]:
    """The outputs that another draw changes."""
    names = reference.names("random.deviation.")
    return {f"output.{name}" for name in names if reference.array(f"random.deviation.{name}").max(initial=0) > STILL}


def _in_words(found: Counter[float] | None) -> str:
    """Rates of dropout: `with 0.1 and 0.5`, or `nothing`."""
    return "with " + " and ".join(f"{rate:g}" for rate in sorted(found.elements())) if found else "nothing"
