"""What a model of the coverage is, and how it is captured."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from scripts.models.weights import randomise
from torch2flow.proof.capture import Captured, capture
from torch2flow.proof.capture.inputs import choose_sizes, make_inputs, parse_input
from torch2flow.proof.capture.request import live_call

LIBRARIES = ("torchvision", "timm", "transformers")
SEED = 0


@dataclass(frozen=True)
class Model:
    """One model.

    Attributes:
        name: `library/model`.
        build: makes it, with the weights of its library's own initialisation.
        inputs: as `torch2flow capture --input` takes them; named axes are dynamic in the dynamic variant.
        sizes: how long named axes are, where the usual sizes do not fit.
        train: whether there is a train variant.
        skip: why PyTorch does not export it, in its own words.
    """

    name: str
    build: Callable[[], Any]
    inputs: tuple[str, ...]
    sizes: dict[str, int] = field(default_factory=dict)
    train: bool = True
    skip: str = ""

    @property
    def file(self) -> str:
        """A name for files."""
        return self.name.replace("/", "-")


def models(library: str = "") -> dict[str, Model]:
    """All models by name, or those of one library."""
    found: dict[str, Model] = {}
    for each in (library,) if library else LIBRARIES:
        for model in importlib.import_module(f"scripts.models.{each}_models").models():
            assert model.name not in found, model.name
            found[model.name] = model
    return found


def capture_model(
    model: Model,
    folder: Path,
    *,
    dynamic: bool = False,
    train: bool = False,
    gradients: bool = False,
    reference: str = "all",
) -> Captured:
    """Builds, randomises and captures one model as `FOLDER/LIBRARY-NAME[-train][-dynamic].pt2`.

    The train variant has no dropout, so that its numbers can be computed again.
    """
    torch.manual_seed(SEED)
    module = model.build()
    randomise(module, SEED)
    entries = [parse_input(text) for text in model.inputs]
    named = {axis for entry in entries for axis in entry.axes or ()}
    sizes = choose_sizes(entries, {name: size for name, size in model.sizes.items() if name in named})
    if not dynamic:
        entries = [
            dataclasses.replace(entry, axes=entry.axes and tuple(sizes.get(axis, axis) for axis in entry.axes))
            for entry in entries
        ]
    made = make_inputs(entries, sizes, SEED)
    args, kwargs = live_call(torch, made)
    name = model.file + ("-train" if train else "") + ("-dynamic" if dynamic else "")
    return capture(
        module,
        args,
        kwargs,
        out=folder / f"{name}.pt2",
        dynamic=dict(made.dynamic),
        train=train,
        dropout=not train,
        gradients=gradients,
        reference=reference,
        seed=SEED,
        overwrite=True,
        model=model.name,
        second=lambda other: live_call(torch, make_inputs(entries, other, SEED + 1)),
    )
