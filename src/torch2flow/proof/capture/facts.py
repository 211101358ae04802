"""What only the author's live module knows, for whoever writes source from the program: JSON in the `.pt2` itself.

`attributes` are the plain values that each module holds; `signatures` are the arguments of the constructor and of
`forward` of each class that is not PyTorch's own; `static` is where axes are that were named and became static;
`borders` are described in `borders.py`. docs/capturing.md has an example. None of this may make a capture fail: what
can't be had is left out.
"""

from __future__ import annotations

import inspect
import json
import math
from typing import Any

FILE = "torch2flow.json"
"""Its name among the archive's extra files."""

OTHER_FILE = "torch2flow_other_mode.json"
"""The name of the program of the mode that was not asked for, where it differs; `other` says what is known of it."""

LONGEST_TEXT, MOST_ITEMS, DEEPEST, MOST_ATTRIBUTES = 200, 64, 4, 200
"""A value that is larger than this is left out, and so are a module's attributes after so many."""


def describe_modules(torch: Any, module: Any) -> dict[str, Any]:
    """The attributes and signatures of a module and everything in it, as plain data for JSON."""
    attributes: dict[str, dict[str, Any]] = {}
    signatures: dict[str, dict[str, Any]] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        try:
            held = {} if _is_changed(part) else plain_attributes(part)
        except Exception:
            held = {}  # an attribute whose own code raises
        if held:
            attributes[path] = held
        name = class_name(type(part))
        if name not in signatures and not type(part).__module__.startswith(f"{torch.__name__}.nn."):
            try:
                signatures[name] = describe_class(type(part))
            except Exception:
                continue  # no signature can be had of this class
    return {"attributes": attributes, "signatures": signatures}


def _is_changed(module: Any) -> bool:
    """Whether a module does something else than its class: its `forward` was replaced, or it has hooks."""
    return "forward" in vars(module) or bool(module._forward_hooks or module._forward_pre_hooks)


def class_name(kind: type) -> str:
    """The full name of a class, as PyTorch writes it into the program: `torchvision.models.resnet.ResNet`."""
    return f"{kind.__module__}.{kind.__qualname__}"


def plain_attributes(module: Any) -> dict[str, Any]:
    """The plain values that a module holds under public names, in the order in which they were set."""
    held: dict[str, Any] = {}
    for name, value in vars(module).items():
        if name.startswith("_") or name == "training" or not name.isidentifier() or len(held) == MOST_ATTRIBUTES:
            continue
        encoded = encode(value)
        if encoded is not None:
            held[name] = encoded[0]
    return held


def describe_class(kind: Any) -> dict[str, Any]:
    """The names of the parameters of a class's constructor, and of those of its `forward`."""
    return {
        "constructor": [{"name": each.name} for each in _named_parameters(kind.__init__)],
        "forward": [each.name for each in _named_parameters(kind.forward)],
    }


def _named_parameters(function: Any) -> list[inspect.Parameter]:
    """All parameters after `self` but `*args` and `**kwargs`."""
    given = list(inspect.signature(function).parameters.values())[1:]
    return [each for each in given if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]


def encode(value: Any, depth: int = 0) -> tuple[Any] | None:
    """A plain value as JSON, in a tuple; None for any other value, and for one that is too large.

    JSON has no tuples and no infinities: `{"tuple": [...]}` and `{"float": "inf"}` stand for them.
    """
    if value is None or type(value) in (bool, int):
        return (value,) if not isinstance(value, int) or abs(value) < 2**63 else None
    if type(value) is float:
        return (value if math.isfinite(value) else {"float": str(value)},)
    if type(value) is str:
        return (value,) if len(value) <= LONGEST_TEXT else None
    is_list = type(value) is list
    if (is_list or type(value) is tuple or type(value).__name__ == "Size") and depth < DEEPEST:
        if len(value) > MOST_ITEMS:
            return None
        items = [encode(item, depth + 1) for item in value]
        if any(item is None for item in items):
            return None
        content = [item[0] for item in items if item is not None]
        return (content,) if is_list else ({"tuple": content},)
    return None


def to_text(facts: dict[str, Any]) -> str:
    """The content of the file."""
    return json.dumps(facts, separators=(",", ":"))
