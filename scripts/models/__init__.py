"""The models that the coverage of torch2flow is measured with: what they are, their inputs, and their weights.

    python -m scripts.models list                      all of them
    python -m scripts.models capture NAME -o DIR       one of them, as DIR/NAME.pt2 with its reference

This runs in .venv-torch. Nothing is downloaded: weights are random, from a fixed seed.
"""

from __future__ import annotations

from torch import library

# torchvision 0.27 registers the shape rule of its `nms` when it is imported, and for today's PyTorch there is no
# CPU build of it with the operator itself: the declaration is enough. The object must live on. The torchvision that
# goes with PyTorch 1.13 brings its operators.
if hasattr(library, "register_fake"):
    _TORCHVISION = library.Library("torchvision", "DEF")
    _TORCHVISION.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
