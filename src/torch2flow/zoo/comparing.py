"""flowvision's own pretrained weights against torchvision's, where both are in their caches: `zoo compare`."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from torch2flow.checkpoints.diffing import Diff, diff
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.writing.entry_bytes import Progress
from torch2flow.errors import UsageError
from torch2flow.runtime import import_flowvision
from torch2flow.zoo.catalogue import find_twin
from torch2flow.zoo.converting import prepare
from torch2flow.zoo.twins import Twin
from torch2flow.zoo.weights import DEFAULT


def compare(
    name: str,
    weights: str | os.PathLike[str] = DEFAULT,
    flowvision: str | os.PathLike[str] | None = None,
    *,
    progress: Callable[[int], Progress] | None = None,
    downloading: Callable[[int], Any] | None = None,
) -> Diff:
    """Compares every tensor of PyTorch's weights, under flowvision's names, with those flowvision gives for its own.

    Args:
        name: of the PyTorch model.
        weights: a file, or the name of weights of torchvision's.
        flowvision: a folder or file; by default what `pretrained=True` left in flowvision's cache.
        progress: gets the number of bytes to read, and returns what is called with each number of bytes read.
        downloading: progress of a download.

    Raises:
        UsageError: flowvision has no weights of this model, or they are not in its cache.
        InstallationError: flowvision, which knows their names, does not import.
    """
    prepared = prepare(name, weights, progress=downloading)
    theirs = Path(flowvision) if flowvision is not None else cached_weights(find_twin(name))
    return diff(prepared.checkpoint, open_checkpoint(theirs), progress=progress)


def cached_weights(twin: Twin) -> Path:
    """Where flowvision keeps the weights of a model that it downloaded.

    `flowvision.models.utils.load_state_dict_from_url` (0.2.1): the name of the file up to its first dot, in
    `$FLOWVISION_CACHE`, or `~/.oneflow/flowvision_cache`, or one in the folder for temporary files.

    Raises:
        UsageError: there are none.
    """
    import_flowvision()
    function = getattr(importlib.import_module(twin.module), twin.twin)
    urls = getattr(sys.modules[function.__module__], "model_urls", {})
    url = urls.get(twin.twin) or urls.get(twin.name)
    if not url:
        raise UsageError(
            f"flowvision has no weights of its own for {twin.name}.", remedy="--flowvision FOLDER compares with yours"
        )
    file = Path(urlparse(url).path).name
    folders = [
        Path(os.environ.get("FLOWVISION_CACHE", "~/.oneflow/flowvision_cache")).expanduser(),
        Path(tempfile.gettempdir()) / "flowvision_cache",
    ]
    for folder in folders:
        if (folder / file.split(".")[0]).exists():
            return folder / file.split(".")[0]
    raise UsageError(
        f"flowvision's weights of {twin.name} are not in its cache.",
        where=str(folders[0] / file.split(".")[0]),
        remedy=f"python -c 'from {twin.module} import {twin.twin}; {twin.twin}(pretrained=True)' fetches them;"
        " or --flowvision FOLDER",
    )
