#!/usr/bin/env python3
"""One side of `scripts/port_coverage.py`: the original with PyTorch, or the ported package with OneFlow.

port_sides.py list PACKAGE
port_sides.py original PACKAGE MODEL FOLDER     # writes weights, inputs, outputs, gradients into FOLDER
port_sides.py ported PACKAGE MODEL FOLDER       # reads them, and writes the verdict
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

NOISE, FLOOR = 10.0, 3e-6
"""How much worse than PyTorch's own float32 an array may be, against float64; and what is noise in any case."""


def with_nms() -> None:
    """Today's torchvision does not import without its compiled `nms`, for which today's PyTorch has no build here."""
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    kept.append(library)


kept: list[Any] = []


def main() -> None:
    role, package, *rest = sys.argv[1:]
    if role != "ported":
        with_nms()
    if role == "list":
        print(json.dumps(names_of(package)))
    else:
        {"original": original, "ported": ported}[role](package, rest[0], Path(rest[1]))


def names_of(package: str) -> list[str]:
    """The models of a package."""
    module = importlib.import_module("torchvision.models" if package == "torchvision" else "timm")
    return sorted(module.list_models())


def build(package: str, name: str) -> tuple[Any, list[tuple[Any, ...]]]:
    """A model without weights, and the shapes of its inputs at two sizes."""
    if package == "timm":
        model = importlib.import_module("timm").create_model(name, pretrained=False)
        size = model.pretrained_cfg["input_size"]
        fixed = model.pretrained_cfg.get("fixed_input_size", False)
        sizes = [size] if fixed or size[1] > 256 else [size, (size[0], size[1] + 32, size[2] + 32)]
        return model, [((1, *each),) for each in sizes[:1]]
    models = importlib.import_module("torchvision.models")
    builder = models.get_model_builder(name)
    given: dict[str, Any] = {}
    shapes: list[tuple[Any, ...]] = [((2, 3, 64, 64),), ((1, 3, 96, 80),)]
    home = builder.__module__
    if name.startswith("vit_"):
        size = 56 if name == "vit_h_14" else 64
        given, shapes = {"image_size": size}, [((2, 3, size, size),)]
    elif name == "maxvit_t":
        shapes = [((1, 3, 224, 224),)]
    elif name.startswith("inception"):
        given, shapes = {"init_weights": False}, [((2, 3, 96, 96),), ((1, 3, 128, 107),)]
    elif name == "googlenet":
        given = {"init_weights": False}
    elif ".video." in home:
        shapes = [((1, 3, 16, 224, 224),)] if name.startswith("mvit") else [((1, 3, 16, 64, 64),)]
    elif ".optical_flow." in home:
        shapes = [((1, 3, 128, 128), (1, 3, 128, 128))]
    elif ".detection." in home:
        given, shapes = {"weights_backbone": None}, [((3, 128, 160),)]
    elif ".segmentation." in home:
        given = {"weights_backbone": None}
    return builder(weights=None, **given), shapes


def arrays(value: Any, path: str = "output") -> dict[str, Any]:
    """The tensors in an output, by where they are in it."""
    if hasattr(value, "numpy"):
        return {path: value}
    items = value.items() if hasattr(value, "items") else enumerate(value) if isinstance(value, list | tuple) else ()
    return {key: tensor for name, each in items for key, tensor in arrays(each, f"{path}.{name}").items()}


def run(library: Any, model: Any, given: list[np.ndarray], package: str, double: bool = False) -> dict[str, np.ndarray]:
    """Outputs, and the gradients of the parameters for a loss that weighs all outputs."""
    detection = given[0].ndim == 3
    inputs = [library.tensor(each.astype(np.float64 if double else np.float32)) for each in given]
    found = arrays(model([inputs[0]]) if detection else model(*inputs))
    result = {name: tensor.detach().numpy() for name, tensor in found.items()}
    loss: Any = 0
    for tensor in found.values():
        if "float" in str(tensor.dtype) and tensor.requires_grad:
            values = np.cos(np.arange(tensor.numel())).reshape(tuple(tensor.shape))
            loss = loss + (tensor * library.tensor(values.astype(np.float64 if double else np.float32))).sum()
    if not detection and not isinstance(loss, int):
        model.zero_grad()
        loss.backward()
        result |= {
            f"gradient.{name}": each.grad.numpy() for name, each in model.named_parameters() if each.grad is not None
        }
    return result


def original(package: str, name: str, folder: Path) -> None:
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(2)
    model, shapes = build(package, name)
    generator = np.random.default_rng(0)
    with torch.no_grad():
        for key, buffer in model.named_buffers():
            if key.endswith(("running_mean", "running_var")):
                buffer += torch.tensor(generator.random(tuple(buffer.shape)) * 0.1, dtype=buffer.dtype)
    model.eval()
    metadata = getattr(model.state_dict(), "_metadata", {})
    np.savez(folder / "weights.npz", **{key: value.numpy() for key, value in model.state_dict().items()})
    inputs = [[generator.standard_normal(shape).astype(np.float32) for shape in each] for each in shapes]
    if shapes[0][0][0] == 3 and len(shapes[0][0]) == 3:
        inputs = [[1 / (1 + np.exp(-each)) for each in many] for many in inputs]
    for double in (False, True):
        model = model.double() if double else model
        for number, given in enumerate(inputs):
            found = run(torch, model, given, package, double)
            np.savez(folder / f"{'double' if double else 'single'}{number}.npz", **found)
    for number, given in enumerate(inputs):
        np.savez(folder / f"inputs{number}.npz", *given)
    (folder / "original.json").write_text(
        json.dumps({"parameters": sum(p.numel() for p in model.parameters()), "metadata": metadata})
    )


def ported(package: str, name: str, folder: Path) -> None:
    from torch2flow.runtime import import_oneflow

    flow = import_oneflow()
    model, shapes = build(package, name)
    model.eval()
    weights = np.load(folder / "weights.npz")
    state: Any = OrderedDict((key, flow.tensor(weights[key])) for key in weights.files)
    state._metadata = json.loads((folder / "original.json").read_text())["metadata"]  # some classes read their version
    model.load_state_dict(state, strict=True)
    worst, where = 0.0, ""
    for number in range(len(shapes)):
        with np.load(folder / f"inputs{number}.npz") as given:
            found = run(flow, model, [given[key] for key in given.files], package)
        single, double = np.load(folder / f"single{number}.npz"), np.load(folder / f"double{number}.npz")
        if set(found) != set(single.files):
            missing = sorted(set(found) ^ set(single.files))[:3]
            return tell(folder, "different", f"not on both sides: {missing}")
        for key in single.files:
            if found[key].shape != single[key].shape:
                return tell(folder, "different", f"{key}: {found[key].shape}, not {single[key].shape}")
            ratio = ratio_of(found[key], single[key], double[key])
            if ratio > worst:
                worst, where = ratio, f"{number}:{key}"
    why = "" if worst <= NOISE else f"{where}: {worst:.3g} times the noise"
    if why and not (other := differs_in_float64(flow, model, package, folder, len(shapes))):
        why, where = "", "float64"  # in float32, a ReLU whose input rounds to the other side of zero changes much
    elif why:
        why += f"; in float64 {other}"
    return tell(folder, "different" if why else "within noise", why, ratio=round(worst, 3))


def differs_in_float64(flow: Any, model: Any, package: str, folder: Path, sizes: int) -> str:
    """What differs by more than a millionth when both sides compute in float64; "" where nothing does."""
    model = model.double()
    for number in range(sizes):
        with np.load(folder / f"inputs{number}.npz") as given:
            found = run(flow, model, [given[key] for key in given.files], package, double=True)
        double = np.load(folder / f"double{number}.npz")
        for key in double.files:
            error = np.abs(found[key].astype(np.float64) - double[key]).max(initial=0)
            if not error <= 1e-6 * (np.abs(double[key]).max(initial=0) or 1):
                return f"{number}:{key} by {error:.3g}"
    return ""


def tell(folder: Path, verdict: str, why: str, **more: Any) -> None:
    """Writes what was found."""
    (folder / "ported.json").write_text(json.dumps({"verdict": verdict, "why": why, **more}))


def ratio_of(found: np.ndarray, single: np.ndarray, double: np.ndarray) -> float:
    """How far an array is from the float64 one, in units of PyTorch's own float32 noise."""
    if found.size == 0:
        return 0.0
    if not np.issubdtype(single.dtype, np.floating):
        return 0.0 if np.array_equal(found, single) else float("inf")
    exact = double.astype(np.float64)
    scale = float(np.abs(exact).max()) or 1.0
    noise = max(float(np.abs(single - exact).max()), FLOOR * scale)
    error = float(np.abs(found.astype(np.float64) - exact).max())
    return error / noise if np.isfinite(error) else float("inf")


if __name__ == "__main__":
    main()
