"""All pairs by name, and the models of torchvision that have none."""

from __future__ import annotations

import difflib
from functools import cache

from torch2flow.errors import UnsupportedError, UsageError
from torch2flow.zoo.families import (
    convnext,
    detection,
    inception,
    plain,
    quantized,
    regnet,
    segmentation,
    swin,
    timm_apart,
    timm_counted,
    timm_made,
    timm_plain,
    timm_renamed,
    vit,
)
from torch2flow.zoo.families.without_twin import ALONE
from torch2flow.zoo.twins import Twin

FAMILIES = (plain, convnext, inception, regnet, swin, vit, segmentation, detection, quantized)
TIMM = (timm_plain, timm_renamed, timm_made, timm_counted, timm_apart)


@cache
def twins() -> dict[str, Twin]:
    """Every pair, by the PyTorch model's name; timm's as `timm/NAME`."""
    found = [twin for family in (*FAMILIES, *TIMM) for twin in family.TWINS]
    return {twin.name if twin.library == "torchvision" else f"{twin.library}/{twin.name}": twin for twin in found}


def find_twin(name: str) -> Twin:
    """The pair of a PyTorch model, named as its library does; `timm/` may be left out where that is clear.

    Raises:
        UsageError: there is no such model.
        UnsupportedError: flowvision has no model that computes the same.
    """
    known = twins()
    twin = known.get(name) or known.get(f"timm/{name}")
    if twin is None and name not in ALONE:
        near = difflib.get_close_matches(name, [*known, *ALONE], 3)
        raise UsageError(
            f"There is no model {name!r} in the zoo.",
            maybe=f"you mean {' or '.join(near)}" if near else "",
            remedy="torch2flow zoo list shows them all",
        )
    reason = ALONE[name] if twin is None else twin.differs
    if reason:
        raise UnsupportedError(f"{name} has no twin in flowvision: {reason}.", remedy=generated_instead(name))
    assert twin is not None
    return twin


def generated_instead(name: str) -> str:
    """A sentence for a model without a twin: which two commands write it as OneFlow source."""
    short = name.removeprefix("timm/")
    factory = f"timm:create_model('{short}')" if name.startswith("timm/") else f"torchvision.models:get_model('{name}')"
    return (
        f"torch2flow capture \"{factory}\" -o {short}.pt2 --input 'float32[batch,3,224,224]' and"
        f" torch2flow convert {short}.pt2 -o out write it as OneFlow source (PyTorch 2.1 or newer)"
    )
