"""torchvision's own weights: which there are, where its cache keeps them, what they expect of an image.

torchvision says all of it itself (`torchvision.models.get_model_weights`, 0.14 and newer); it is imported for that.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch2flow.errors import InstallationError, UsageError
from torch2flow.runtime.packages import install_command
from torch2flow.zoo.fetching import fetch

DEFAULT = "DEFAULT"

HASH = re.compile(r"-([0-9a-f]{8,})\.")
"""torch.hub's rule: a name ends with the first digits of its sha256."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One row of torchvision's enumeration.

    Attributes:
        name: `IMAGENET1K_V1`.
        file: the name of the file.
        url: where it comes from.
        preprocessing: what its transforms do, as data; `kind` is their class.
        categories: names of the classes.
        meta: what else torchvision says, as far as it is text and numbers.
    """

    name: str
    file: str
    url: str
    preprocessing: dict[str, Any]
    categories: list[str]
    meta: dict[str, Any]


def torchvision() -> Any:
    """The module `torchvision`.

    Raises:
        InstallationError: it does not import.
    """
    try:
        return importlib.import_module("torchvision")
    except Exception as error:
        raise InstallationError(
            f"torchvision, which knows its weights, does not import: {type(error).__name__}: {error}",
            maybe="--weights names weights of torchvision's; a FILE needs no torchvision",
            remedy=f"{install_command('torchvision')}, or --weights FILE.pth",
        ) from None


def named_weights(model: str, name: str) -> Weights:
    """Weights of a model by their name; `DEFAULT` is the best that torchvision has.

    Raises:
        UsageError: the model has no such weights.
        InstallationError: torchvision does not import.
    """
    library = torchvision()
    known = library.models.get_model_weights(model)
    if name not in known.__members__:
        raise UsageError(
            f"There is no file {name!r}, and torchvision has no such weights of {model}.",
            remedy=f"--weights FILE, or one of {', '.join(known.__members__) or 'none: this model has no weights'}",
        )
    weights = known[name]
    return Weights(
        weights.name,
        Path(weights.url).name,
        weights.url,
        describe_transforms(weights.transforms()),
        [str(name) for name in weights.meta.get("categories") or []],
        {key: value for key, value in weights.meta.items() if isinstance(value, str | int | float)},
    )


def describe_transforms(transforms: Any) -> dict[str, Any]:
    """One of torchvision's presets as data: sizes in pixels, mean and standard deviation, the interpolation."""
    settings: dict[str, Any] = {"kind": type(transforms).__name__}
    for name in ("resize_size", "crop_size", "mean", "std", "interpolation", "antialias"):
        value = getattr(transforms, name, None)
        if value is not None:
            settings[name] = list(value) if isinstance(value, list | tuple) else getattr(value, "value", value)
    return settings


def cache_folder() -> Path:
    """Where torchvision keeps what it downloaded: `TORCH_HOME` or PyTorch's default."""
    return Path(importlib.import_module("torch").hub.get_dir()) / "checkpoints"


def fetched(weights: Weights, progress: Callable[[int], Any] | None = None) -> Path:
    """The file of some weights: torchvision's cached one, or downloaded to where torchvision looks for it.

    Args:
        weights: which.
        progress: called with the number of bytes to come, gives a function that is told of each piece's length.

    Raises:
        UsageError: it is not there, and the network does not give it.
        FormatError: what came has another hash than its name says.
        OutputError: the cache can't be written.
    """
    found = HASH.search(weights.file)
    return fetch(weights.url, cache_folder() / weights.file, found[1] if found else "", progress)
