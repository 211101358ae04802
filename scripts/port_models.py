"""The models that `scripts/port_coverage.py` verifies: each function gives a model and, where these are fixed, inputs.

PyTorch runs this file as it is; for OneFlow, `torch2flow port --verify` ports it too.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

import torch

kept: list[Any] = []


def with_nms() -> None:
    """Today's torchvision does not import without its compiled `nms`, for which today's PyTorch has no build here."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    kept.append(library)


with contextlib.suppress(NotImplementedError):  # OneFlow needs none
    with_nms()


def settled(model: Any) -> Any:
    """The model with statistics in its BatchNorms that no new model has."""
    with torch.no_grad():
        for number, (name, buffer) in enumerate(model.named_buffers()):
            if name.endswith(("running_mean", "running_var")):
                buffer += torch.cos(torch.arange(buffer.numel()) + number).abs().reshape(buffer.shape) * 0.1
    return model


def torchvision(name: str, **given: Any) -> Any:
    """A model of torchvision."""
    builder = importlib.import_module("torchvision.models").get_model_builder(name)
    if ".detection." in builder.__module__ or ".segmentation." in builder.__module__:
        given["weights_backbone"] = None
    model = settled(builder(weights=None, **given))
    if ".detection." in builder.__module__:
        return model, ([torch.sigmoid(torch.randn(3, 128, 160))],)
    return model


def timm(name: str, **given: Any) -> Any:
    """A model of timm, and an image of the size that it is made for."""
    model = settled(importlib.import_module("timm").create_model(name, pretrained=False, **given))
    return model, (torch.randn(2, *model.pretrained_cfg["input_size"]),)


def transformers(name: str, given: dict[str, Any], inputs: dict[str, Any], **config: Any) -> Any:
    """A model of transformers by its class, of a configuration with other sizes."""
    library = importlib.import_module("transformers")
    kind = getattr(library, name)
    model = kind(kind.config_class(**config))
    call = {key: torch.randint(1, 60, shape) if isinstance(shape, list) else shape for key, shape in inputs.items()}
    call |= {key: torch.randn(*shape) for key, shape in given.items()}
    return model, (), call


if __name__ == "__main__":
    package = sys.argv[1]
    module = importlib.import_module("torchvision.models" if package == "torchvision" else package)
    print("\n".join(sorted(module.list_models())))
