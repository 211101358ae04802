"""Why PyTorch can't export a model: what its long messages mean, and what usually mends it. A table.

Messages are those of torch 2.13 (`torch/_dynamo/exc.py`, `torch/_export/`, `torch/fx/experimental/symbolic_shapes.py`),
and where they were different, of 2.1 to 2.8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch2flow.errors import UnsupportedError
from torch2flow.proof.capture.factories import line_of, place_of


@dataclass(frozen=True)
class Reason:
    """A known refusal: what its message contains, what it means, what to do. `train`: in train mode only."""

    pattern: str
    cause: str
    remedy: str
    train: bool = False


TAKE_OUT = "take that decision out of forward, or state by torch._check what always holds"

ROADS = (
    (
        r"(el)?if\b|.*\bif\b.*\belse\b",
        "write it as torch.cond(test, one, other, (x,)): the two functions become the branches of an if; or as "
        "torch.where, where both sides may be computed",
    ),
    (
        r"while\b",
        "write the loop as while_loop(test, body, (x,)), of torch._higher_order_ops.while_loop: it becomes a while",
    ),
    (
        r"for\b",
        "write the loop as while_loop with a counter, or as scan over a tensor, both of torch._higher_order_ops: they "
        "become a while and a for",
    ),
    (r"assert\b", "leave the assert out of forward, or state by torch._check what always holds"),
)
"""What an author's line begins with that decides by data, and what PyTorch exports in its place."""

OWN_GRADIENT = Reason(
    r"fake tensor in the exported program constant|is_functorch_wrapped|functorch tensor|does not have a grad_fn",
    "forward takes a gradient (torch.autograd.grad, backward, torch.func.grad), or keeps what it computed where "
    "PyTorch does not see it",
    "compute the gradient outside of forward, or write the derivative out; keep tensors as buffers; or port the "
    "source, which keeps such calls (torch2flow port)",
)

REASONS = (
    Reason(
        r"data-dependent|GuardOnDataDependent|DataDependentOutput",
        "in train mode the model draws a random number and decides by it, as LayerDrop and stochastic depth do; or it "
        "counts, as BatchNorm(momentum=None) does",
        "set that probability to 0 (layerdrop=0.0), or capture without --train",
        train=True,
    ),
    Reason(
        r"strides of the two branches",
        "the two branches of a torch.cond give tensors that lie in memory in another order",
        "end both branches with .contiguous()",
    ),
    Reason(
        r"input mutation during higher order|in-place input or buffer mutations",
        "a branch of torch.cond, or a loop's body, writes into a tensor from outside of it, as BatchNorm does in train "
        "mode",
        "return the new value, and write it behind; or capture without --train, with such layers in eval mode",
    ),
    Reason(
        r"all carried_inputs must be tensors",
        "torch.while_loop carries a number of Python's from round to round",
        "carry a tensor in its place: torch.tensor(0)",
    ),
    OWN_GRADIENT,
    Reason(
        r"but got FakeTensor|pack_padded|DynamicOutputShape",
        "a shape depends on the values of a tensor, as in pack_padded_sequence, ctc_loss and boolean indexing",
        "give padded tensors and a mask in place of lengths, and compute losses outside of forward; or port the "
        "source, which keeps such calls (torch2flow port)",
    ),
    Reason(
        r"UnsupportedOperatorException: aten\.",
        "torch.export does not know what shape this operator of PyTorch's gives",
        "use other operators in its place",
    ),
    Reason(
        r"DynamicCache|StaticCache|EncoderDecoderCache|\bCache\b",
        "the model returns or takes a cache of keys and values, which is no plain tensor",
        "switch it off (use_cache=False in the model's configuration), or call transformers.integrations."
        "executorch.register_dynamic_cache_export_support() in the factory",
    ),
    Reason(
        r"data-dependent|GuardOnDataDependent|DataDependentOutput|Dynamic control flow|cond.*bool",
        "the model decides by the values of a tensor (an if, a loop, a size), and a recorded program can't",
        TAKE_OUT,
    ),
    Reason(
        r"Constraints violated|specialized|violates|constraint",
        "an axis that is named dynamic can't have every size in this model",
        "write its size as a number in --input, or choose another sample with --size",
    ),
    Reason(
        r"Unsupported input type|only tensors|not supported as input|Type .* input",
        "an argument of forward is an object that PyTorch can't take apart",
        "give tensors, numbers, lists and dicts of them; register other containers with "
        "torch.utils._pytree.register_pytree_node",
    ),
    Reason(
        r"in output, which is not a known type|Unsupported output type|among graph-captured outputs|"
        r"outputs? .*not.*pytree|ModelOutput|dataclass",
        "forward returns an object that PyTorch can't take apart",
        "return tensors, or lists and dicts of them; or register its class: torch.export.register_dataclass",
    ),
    Reason(
        r"UnsupportedOperator|[Ff]ake ?[Tt]ensor|fake impl|register_fake|Meta.*backend|no meta|^[\w:]+\.[\w:]+\.\w+$",
        "an operator that is not PyTorch's own does not say which shape its result has",
        "give it a rule with torch.library.register_fake, or use PyTorch's own operators in its place",
    ),
    Reason(
        r"\.numpy\(\)|numpy",
        "forward leaves PyTorch for NumPy, and what happens there is not recorded",
        "use PyTorch's functions in forward",
    ),
    Reason(
        r"[Uu]ninitialized[ ]?[Pp]arameter|Lazy",
        "the model has lazy layers, which get their shapes in the first run",
        "run it once in the factory",
    ),
    Reason(
        r"ScriptModule|ScriptFunction|torch\.jit",
        "a part of the model is TorchScript, which torch.export does not record",
        "build it without torch.jit.script",
    ),
    Reason(
        r"custom_?obj|ScriptObject|opaque|pickle|[Ss]erializ",
        "the program holds an object that the file can't",
        "build the model without it, or register its class with torch.export.register_dataclass or as a constant",
    ),
    Reason(
        r"does not have attribute|has no attribute|NoneType",
        "a part of the model relies on what exporting takes away, such as hooks or real data",
        "read the line it happens at; running it under torch.export.draft_export may tell more",
    ),
)

UNKNOWN = Reason("", "", "read the line it happens at; torch.export.draft_export(model, args) tells more")

_NOISE = re.compile(
    r"For more information.*?[.\"](\s|$)|The error above occurred when calling torch\.export.*|"
    r"For extended logs.*|If you suspect.*|For more debugging.*|For C\+\+ stack.*|Caused by: \(.*|"
    r"\(unhinted: .*|consider using data-dependent.*|See https?://.*|If you're using mark_dynamic.*",
)
_LISTED = re.compile(
    r"^\s*(File \"|from user code|The following call|Potential framework|Stack trace|Framework stack|Traceback)"
)
LONGEST = 500


def essence(error: BaseException) -> str:
    """The sentences of a message that say something: not the log, not the advice for developers of PyTorch."""
    kept: list[str] = []
    for line in str(error).splitlines():
        if _LISTED.match(line):
            break
        if line := _NOISE.sub("", line).strip():
            kept.append(line)
    fixes = next((number for number, line in enumerate(kept) if line.startswith("Suggested fixes")), 0)
    if fixes > 2:  # between them, a sentence for each guard
        kept = [*kept[:2], *kept[fixes:]]
    text = "\n    ".join(kept) or type(error).__name__
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def reason_for(error: BaseException, train: bool) -> Reason:
    """The row that fits an error, or one that only says where to look."""
    text = f"{type(error).__name__}: {error}\n{error}"
    for reason in REASONS:
        if (train or not reason.train) and re.search(reason.pattern, text, re.M):
            return reason
    return UNKNOWN


def refusal(what: str, error: BaseException, model: str, train: bool) -> UnsupportedError:
    """PyTorch's refusal as an error of ours."""
    reason = reason_for(error, train)
    remedy = reason.remedy
    if remedy == TAKE_OUT:
        line = line_of(error)
        remedy = next((road for pattern, road in ROADS if re.match(pattern, line)), TAKE_OUT)
    return UnsupportedError(
        f"{what}: {type(error).__name__}: {essence(error)}",
        where=f"{model}{place_of(error)}",
        maybe=reason.cause,
        remedy=remedy,
    )
