"""Both sides look at real pictures: `zoo predict` shows what each sees in them."""

from __future__ import annotations

import ast
import importlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.names.renamed_checkpoint import renamed
from torch2flow.checkpoints.pytorch import TensorRef
from torch2flow.errors import FormatError, InstallationError, UnsupportedError, UsageError
from torch2flow.guards.json_text import MOST_BYTES
from torch2flow.guards.regular_files import read_whole
from torch2flow.runtime import import_oneflow
from torch2flow.runtime.loading import load_state_dict
from torch2flow.runtime.packages import install_command
from torch2flow.zoo.converting import Prepared, prepare
from torch2flow.zoo.package import preprocessing_steps
from torch2flow.zoo.twins import Twin
from torch2flow.zoo.weights import DEFAULT, torchvision

if TYPE_CHECKING:
    import numpy as np

IMAGENET = {
    "kind": "ImageClassification",
    "resize_size": [256],
    "crop_size": [224],
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "interpolation": "bilinear",
}
"""What most of torchvision's weights expect of an image; used for a file that says nothing about it."""


TORCH_ARGUMENTS = {
    "num_classes": "num_classes",
    "img_size": "image_size",
    "aux_logits": "aux_logits",
    "transform_input": "transform_input",
    "init_weights": "init_weights",
}
"""flowvision's arguments that torchvision's models take too, and what they are called there."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What both sides see in one picture.

    Attributes:
        image: the file.
        torch, flow: probabilities of the classes, shape (classes,), float32.
        pixels: largest difference between the two preprocessed pictures.
        categories: names of the classes; empty where nobody says them.
    """

    image: str
    torch: np.ndarray[Any, Any]
    flow: np.ndarray[Any, Any]
    pixels: float
    categories: list[str]

    def top(self, count: int = 5) -> list[tuple[str, float, str, float]]:
        """The likeliest classes: PyTorch's with its probability, OneFlow's with its."""
        ours, theirs = ((-side).argsort(kind="stable")[:count] for side in (self.torch, self.flow))
        return [
            (self.label(a), float(self.torch[a]), self.label(b), float(self.flow[b]))
            for a, b in zip(ours, theirs, strict=True)
        ]

    def label(self, index: int) -> str:
        """The name of a class, or its number."""
        return self.categories[index] if index < len(self.categories) else f"class {index}"

    @property
    def agree(self) -> bool:
        """Whether both sides name the same five classes in the same order."""
        return all(ours == theirs for ours, _, theirs, _ in self.top())

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        names = ("torch", "torch_probability", "oneflow", "oneflow_probability")
        return {
            "image": self.image,
            "agree": self.agree,
            "pixels": self.pixels,
            "probabilities": float(abs(self.torch - self.flow).max()),
            "top": [dict(zip(names, row, strict=True)) for row in self.top()],
        }


def predict(
    name: str,
    images: Sequence[str | os.PathLike[str]],
    weights: str | os.PathLike[str] = DEFAULT,
    *,
    key: str | None = None,
    downloading: Callable[[int], Any] | None = None,
) -> list[Prediction]:
    """Classifies pictures by torchvision's model and by flowvision's with the same weights, each with its transforms.

    Args:
        name: a classifier of torchvision's.
        images: files of pictures.
        weights: a file, or the name of weights of torchvision's.
        key: the part of a file to take.
        downloading: progress of a download.

    Raises:
        InstallationError: one of the two libraries does not import.
        UnsupportedError: the model is no classifier of pictures.
        FormatError: a file is no picture.
    """
    library, flow = torchvision(), import_oneflow()
    prepared = prepare(name, weights, key=key, progress=downloading)
    settings = prepared.weights.preprocessing if prepared.weights else _usual(prepared.twin)
    if prepared.twin.library != "torchvision" or prepared.twin.classes != 1000 or "crop_size" not in settings:
        raise UnsupportedError(
            f"{name} is no classifier of torchvision's, and its answers can't be shown side by side.",
            remedy="torch2flow verify OUT --against compares any model's numbers",
        )
    ours = _torch_model(library, prepared)
    theirs = prepared.build()
    load_state_dict(theirs, prepared.checkpoint)
    theirs.eval()
    torch = importlib.import_module("torch")
    transforms, flow_side = _torch_transforms(library, settings), flow_transforms(settings)
    found = []
    for image in images:
        picture = open_picture(image)
        left, right = transforms(picture), flow_side(picture)
        with torch.no_grad(), flow.no_grad():
            one = torch.softmax(ours(left[None]), -1)[0].numpy()
            two = flow.softmax(theirs(right.unsqueeze(0)), -1)[0].numpy()
        pixels = float(abs(left.numpy() - right.numpy()).max())
        found.append(Prediction(str(image), one, two, pixels, prepared.weights.categories if prepared.weights else []))
    return found


def _usual(twin: Twin) -> dict[str, Any]:
    """The settings `IMAGENET`, with the image size of a ViT if it has another."""
    sizes = [int(argument.partition("=")[2]) for argument in twin.arguments if argument.startswith("img_size=")]
    return IMAGENET | {"resize_size": sizes, "crop_size": sizes} if sizes else IMAGENET


def open_picture(path: str | os.PathLike[str]) -> Any:
    """A picture in RGB.

    Raises:
        FormatError: it can't be read.
    """
    try:
        pillow = importlib.import_module("PIL.Image")
    except ImportError as error:
        raise InstallationError(f"Pillow does not import: {error}", remedy=install_command("pillow")) from None
    data = read_whole(path, MOST_BYTES)
    try:
        return pillow.open(io.BytesIO(data)).convert("RGB")
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        raise FormatError(f"This is no picture that can be read: {error}.", where=str(path)) from None


def flow_transforms(settings: dict[str, Any]) -> Any:
    """flowvision's transforms, just as `zoo convert` writes them."""
    space = {
        "transforms": importlib.import_module("flowvision.transforms"),
        "InterpolationMode": importlib.import_module("flowvision.transforms").InterpolationMode,
    }
    return eval(f"transforms.Compose([{preprocessing_steps(settings)}])", space)


def _torch_transforms(library: Any, settings: dict[str, Any]) -> Any:
    presets = importlib.import_module("torchvision.transforms._presets")
    options = {name: value[0] if name.endswith("size") and len(value) == 1 else value
               for name, value in settings.items() if name not in ("kind", "interpolation", "antialias")}  # fmt: skip
    mode = library.transforms.InterpolationMode(settings["interpolation"])
    return presets.ImageClassification(**options, interpolation=mode)


def _torch_model(library: Any, prepared: Prepared) -> Any:
    """torchvision's model with the same tensors; the file is read by us, and nothing in it is run."""
    torch = importlib.import_module("torch")
    options: dict[str, Any] = {}
    for argument in prepared.twin.arguments:
        name, _, value = argument.partition("=")
        if name in TORCH_ARGUMENTS:
            options[TORCH_ARGUMENTS[name]] = ast.literal_eval(value)
    model = library.models.get_model(prepared.twin.name, weights=None, **options)
    state = {}
    for name, tensor in renamed(prepared.checkpoint, prepared.twin.keys, back=True).items():
        if isinstance(tensor, TensorRef):
            state[name] = torch.from_numpy(tensor.numpy().copy())
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise UsageError(
            f"The weights do not fit torchvision's {prepared.twin.name}: {' '.join(str(error).split())[:300]}",
            where=str(prepared.checkpoint.path),
        ) from None
    return model.eval()
