"""Records the outputs of what one sample does not try: other sizes, odd ones, large inputs, a second call, branches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch2flow.errors import Torch2FlowError
from torch2flow.proof.capture.axes import Call
from torch2flow.proof.capture.control_flow import DECISIONS
from torch2flow.proof.capture.factories import in_words
from torch2flow.proof.capture.inputs import GROWTH, odd_sizes, second_sizes
from torch2flow.proof.capture.references import LARGE, OTHER, ReferenceRecorder, input_leaves
from torch2flow.runtime.nested import replaced

LARGER = 100.0
"""What floating inputs are multiplied with for the run that tries clamps, saturation and overflow."""

_CHANGES: tuple[Callable[[Any], Any], ...] = (
    lambda leaf: -leaf,
    lambda leaf: leaf.abs(),
    lambda leaf: -leaf.abs(),
    lambda leaf: leaf * 0.01,
    lambda leaf: leaf + 1,
    lambda leaf: leaf - 1,
)
"""What is done to floating inputs so that decisions come out otherwise."""

Sizes = dict[str, int]


def more_runs(
    reference: ReferenceRecorder,
    call: Call,
    free: Sizes,
    resized: Callable[[Sizes], Call],
    check: Callable[[Call, list[Any]], None] = lambda call, outputs: None,
) -> tuple[dict[str, Call], Sizes]:
    """Records more runs of a module, each as far as the module takes it.

    Args:
        reference: records.
        call: the inputs of the first run.
        free: how long each named axis is in it.
        resized: makes inputs in which they have other lengths.
        check: is given other inputs and the outputs; where it raises, inputs of this size are not recorded.

    Returns:
        The inputs of each run by its prefix, and the sizes of the second.
    """
    runs: dict[str, Call] = {}
    second: Sizes = {}
    DECISIONS.clear()
    for prefix, ideas in (
        ("second.", [second_sizes(free, attempt) for attempt in range(len(GROWTH))]),
        ("third.", odd_sizes(free)),
    ):
        for sizes in ideas if free else []:
            other = _one_more(reference, prefix, sizes, resized, check)
            if other is not None:
                runs[prefix] = other
                second = second or sizes
                break
    torch = reference.torch

    def floats(leaf: Any) -> bool:
        return isinstance(leaf, torch.Tensor) and bool(leaf.is_floating_point())

    if any(floats(leaf) for _, leaf in input_leaves(*call)):
        large = replaced(call, lambda leaf: leaf * LARGER if floats(leaf) else leaf)
        try:
            outputs = reference.run(*large)
        except Torch2FlowError:
            raise
        except Exception:  # the module takes none so large: it asserts something of its values
            outputs = None
        if outputs is not None and all(leaf.isfinite().all() for leaf in reference.leaves(outputs) if floats(leaf)):
            reference.inputs(f"{LARGE}input", *large)
            reference.outputs(f"{LARGE}output", outputs)
            runs[LARGE] = large
    reference.forward(*call, "again.", layers=False)
    runs |= {"again.": call, **_other_branches(reference, call)}
    return runs, second if "second." in runs else {}


def other_mode(reference: ReferenceRecorder, runs: dict[str, Call]) -> str:
    """Records the mode that was not captured at other sizes too; a note where the module does not take them there.

    Args:
        reference: records; of the train mode, if it has recorded a step of training.
        runs: the inputs of each run by its prefix, to which this one is added.
    """
    training = reference.module.training
    if "second." not in runs or not (training or reference.trained):
        return ""
    try:
        reference.forward(*runs["second."], OTHER, layers=False)
    except OSError:
        raise
    except Exception as error:
        return f"in {'eval' if training else 'train'} mode other sizes are not compared: {in_words(error, 200)}"
    runs[OTHER] = runs["second."]
    return ""


def _other_branches(reference: ReferenceRecorder, call: Call) -> dict[str, Call]:
    """Records runs with inputs by which a `torch.cond` takes the branch that no run before has taken."""
    torch, runs = reference.torch, iter(("branch.", "branch_2."))
    found: dict[str, Call] = {}
    for change in _CHANGES:
        if all(len(outcomes) == 2 for outcomes in DECISIONS.values()):
            break

        def changed(leaf: Any, change: Callable[[Any], Any] = change) -> Any:
            if not isinstance(leaf, torch.Tensor):
                return leaf
            return (
                leaf.logical_not() if leaf.dtype == torch.bool else change(leaf) if leaf.is_floating_point() else leaf
            )

        other = replaced(call, changed)
        before = sum(map(len, DECISIONS.values()))
        try:
            outputs = reference.run(*other)
        except Torch2FlowError:
            raise
        except Exception:  # the module does not take such values
            continue
        prefix = next(runs, "") if sum(map(len, DECISIONS.values())) > before else ""
        if prefix:
            reference.inputs(f"{prefix}input", *other)
            reference.outputs(f"{prefix}output", outputs)
            found[prefix] = other
    return found


def _one_more(
    reference: ReferenceRecorder,
    prefix: str,
    sizes: Sizes,
    resized: Callable[[Sizes], Call],
    check: Callable[[Call, list[Any]], None],
) -> Call | None:
    """Records a run at other sizes, if the module takes them."""
    try:
        call = resized(sizes)
        output = reference.run(*call)
        check(call, reference.leaves(output))
    except Torch2FlowError:
        raise
    except Exception:
        return None
    reference.inputs(f"{prefix}input", *call)
    reference.outputs(f"{prefix}output", output)
    return call
