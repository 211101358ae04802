"""The Python files beside a twin's weights: how flowvision's model is built, loaded and fed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch2flow.models.codegen.literals import literal
from torch2flow.models.codegen.package import MODEL, PACKAGE
from torch2flow.models.codegen.source_text import (
    SourceText,
    filled,
    formatted,
    identifier,
    unparsed,
    words,
    write_python,
)
from torch2flow.models.program.identifiers import is_identifier
from torch2flow.zoo.twins import Twin
from torch2flow.zoo.weights import Weights

PREPROCESSING = "preprocessing.py"

_PACKAGE = '''"""{title}: `from {folder} import load_model`."""

from pathlib import Path

import oneflow as flow

from .model import build_model
{imports}
__all__ = ["build_model", "load_model"{names}]


def load_model():
    """The model with its weights, in eval mode; call `.train()` to train it."""
    model = build_model()
    model.load_state_dict(flow.load(str(Path(__file__).parent)))
    return model.eval()
'''

_PREPROCESSING = '''"""What torchvision's {weights} expects of an image, and what its outputs mean."""

import json
from pathlib import Path

from flowvision import transforms
from flowvision.transforms import InterpolationMode

CATEGORIES = json.loads((Path(__file__).parent / "manifest.json").read_text("utf-8"))["zoo"]["categories"]


def preprocess(image):
    """A tensor of shape (3, height, width) of a PIL image; the model takes several, stacked."""
    return transforms.Compose([{steps}])(image.convert("RGB"))
'''


@dataclass(frozen=True, slots=True)
class TwinModel:
    """What `zoo convert` writes beside the weights.

    Attributes:
        twin: settled for the checkpoint.
        weights: what torchvision says of them, where they are its own.
        key: the part of the source that was taken.
    """

    twin: Twin
    weights: Weights | None = None
    key: str = "."

    @property
    def title(self) -> str:
        """One line on what it is."""
        return f"{self.twin.library}'s {self.twin.name} in OneFlow: flowvision's {self.twin.twin}"

    def write(self, folder: Path, name: str) -> None:
        """Writes `model.py`, `__init__.py` and, where it is known, `preprocessing.py`."""
        write_python(folder / MODEL, model_source(self.twin, self.title))
        steps = preprocessing_steps(self.weights.preprocessing) if self.weights else filled("")
        if steps:
            assert self.weights is not None
            text = filled(_PREPROCESSING, weights=words(self.weights.name), steps=steps)
            write_python(folder / PREPROCESSING, formatted(text))
        package = filled(
            _PACKAGE,
            title=words(self.title, 200),
            folder=identifier(name if is_identifier(name) else "the_folder"),
            imports=filled("from .preprocessing import CATEGORIES, preprocess\n" if steps else ""),
            names=filled(', "preprocess", "CATEGORIES"' if steps else ""),
        )
        write_python(folder / PACKAGE, formatted(package))

    def describe(self, manifest: dict[str, Any]) -> None:
        """Says which pair it is, by which rules, and what torchvision says of the weights."""
        twin, weights = self.twin, self.weights
        manifest["model"] = {"class": twin.twin, "missing": [], "notes": [repair.why for repair in twin.repairs]}
        manifest["zoo"] = {
            "name": twin.name,
            "library": twin.library,
            "twin": twin.twin,
            "key": self.key,
            "older": twin.older.to_json(),
            "keys": twin.keys.to_json(),
            "weights": weights.name if weights else "",
            "preprocessing": weights.preprocessing if weights else {},
            "categories": weights.categories if weights else [],
            "meta": weights.meta if weights else {},
        }


def model_source(twin: Twin, title: str) -> SourceText:
    """`model.py`: `build_model` gives flowvision's model, repaired where it needs it."""
    lines, uses = [], "".join(repair.line for repair in twin.repairs)
    if "nn." in uses:
        lines.append("from oneflow import nn")
    names = [name for name in twin.imports if "." not in name]
    lines.append(f"from {twin.module} import {', '.join(sorted({twin.twin, *names}))}")
    for name in twin.imports:
        if "." in name:
            where, _, what = name.rpartition(".")
            lines.append(f"from {twin.module}.{where} import {what}")
    built, subclass = "Model" if twin.subclass else twin.twin, twin.subclass.replace("{twin}", twin.twin)
    body = [f"    model = {built}({', '.join(twin.arguments)})"]
    for repair in twin.repairs:
        body += [f"    # {repair.why}", f"    {repair.line}"]
    text = "\n".join(
        [f'"""{words(title, 200)}."""', "", *lines, "", "", *([subclass, ""] if subclass else []),
         "def build_model():", '    """The model with random weights."""', *body, "    return model", ""]
    )  # fmt: skip
    return formatted(filled(text))  # of the catalogue, and of arguments that were read as names and plain values


def preprocessing_steps(settings: Mapping[str, Any]) -> SourceText:
    """flowvision's transforms for what torchvision does with a picture, as source; "" for clips and pairs."""
    if settings.get("kind") == "ObjectDetection":
        return filled("transforms.ToTensor()")
    if settings.get("kind") not in ("ImageClassification", "SemanticSegmentation"):
        return filled("")
    crop = filled("")
    if "crop_size" in settings:
        crop = filled("transforms.CenterCrop({size}), ", size=_size(settings["crop_size"]))
    return filled(
        "transforms.Resize({size}, InterpolationMode.{mode}), {crop}transforms.ToTensor(),"
        " transforms.Normalize(mean={mean}, std={std})",
        size=_size(settings["resize_size"]),
        mode=identifier(settings["interpolation"].upper()),
        crop=crop,
        mean=_numbers(settings["mean"]),
        std=_numbers(settings["std"]),
    )


def _size(numbers: list[int]) -> SourceText:
    return unparsed(literal(numbers[0])) if len(numbers) == 1 else _numbers(numbers)


def _numbers(numbers: list[Any]) -> SourceText:
    return unparsed(ast.List(list(map(literal, numbers)), ast.Load()))
