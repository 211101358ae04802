"""Builds one PyTorch model of the zoo with random weights, and records what it computes, for scripts/zoo.py.

    python -m scripts.zoo_models resnet18 FOLDER       FOLDER/weights.pth and FOLDER/recording.safetensors
    python -m scripts.zoo_models resnet18 FOLDER --no-training

This runs in either environment that has PyTorch: .venv has torchvision 0.14.1, .venv-torch today's and timm.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import torch

from scripts.models.weights import randomise
from torch2flow.proof.capture.unexported import record_module

SEED = 0
TRAINED_BELOW = 70e6
"""Parameters up to which a step of training is compared too: beyond, it takes minutes."""

LARGER = ("efficientnet", "regnet", "inception", "quantized_inception", "mnasnet", "mobilenet", "quantized_mobilenet")
"""At 64 pixels these end with 2 x 2 places or less, where a BatchNorm in train mode is all noise."""


def build(name: str) -> Any:
    """The model, by its library's own function, with random weights."""
    library, _, short = name.rpartition("/")
    if library == "timm":
        module = importlib.import_module("timm").create_model(short, pretrained=False)
        if hasattr(module, "set_distilled_training"):
            module.set_distilled_training(True)  # both heads' outputs in train mode, as flowvision's has them always
        return module
    models = importlib.import_module("torchvision.models")
    options: dict[str, Any] = {"weights": None}
    if "rcnn" in name or name.startswith(("ssd", "fcos", "retina", "fcn", "deeplab", "lraspp")):
        options["weights_backbone"] = None
    if "rcnn" in name or name.startswith(("fcos", "retina")):
        options |= {"min_size": 128, "max_size": 192}
    if name.removeprefix("quantized_") in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    if name.startswith(("fcn", "deeplab")):
        options["aux_loss"] = True
    return models.get_model(name, **options)


def inputs(name: str) -> tuple[Any, ...]:
    """Random images of a size that the OneFlow model takes: (batch, 3, height, width)."""
    generator = torch.Generator().manual_seed(SEED)
    if "rcnn" in name or name.startswith(("ssd", "fcos", "retina")):
        size = 320 if name.startswith("ssdlite") else 300 if name.startswith("ssd") else 128
        return ([torch.rand(3, size, size, generator=generator)],)
    if name.startswith(("timm/", "vit", "swin")):
        size = next((int(part) for part in reversed(name.split("_")) if part.isdigit() and int(part) > 100), 224)
        return (torch.randn(1, 3, size, size, generator=generator),)
    size = 96 if name.startswith(LARGER) else 64
    return (torch.randn(2, 3, size, size, generator=generator),)


def main() -> int:
    name, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    module = build(name).eval()
    randomise(module, SEED)
    args = inputs(name)
    torch.save(module.state_dict(), folder / "weights.pth")
    parameters = sum(parameter.numel() for parameter in module.parameters())
    library = name.rpartition("/")[0] or "torchvision"
    # torchvision's models were trained a step beside OneFlow already, by the older release
    trained = parameters < TRAINED_BELOW and (library == "timm" or torch.__version__ < "2")
    trained = trained and "--no-training" not in sys.argv
    notes = record_module(
        torch, module, args, {}, folder / "recording.safetensors", model=name, gradients=trained, seed=SEED
    )
    version = importlib.import_module(library).__version__.partition("+")[0]
    print(json.dumps({"version": f"{library} {version}", "parameters": parameters, "notes": notes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
