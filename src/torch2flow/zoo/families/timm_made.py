"""timm's models of which flowvision stores more tensors: masks and indices of Swin, unused projections of DLA."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.names.templates import Keys
from torch2flow.zoo.families.swin import shifted_window_masks
from torch2flow.zoo.twins import Tensors, Twin

if TYPE_CHECKING:
    import numpy as np

SWIN = Keys(
    ("layers.{i+1}.downsample.{rest}", "layers.{i}.downsample.{rest}"),
    ("head.fc.{name}", "head.{name}"),
    flow_only=["layers.{i}.blocks.{j}.attn_mask", "layers.{i}.blocks.{j}.attn.relative_position_index"],
)


def masks_and_indices(tensors: Tensors, resolution: int) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors that flowvision stores for Swin: masks of shifted windows, and indices into the table of biases."""
    made = shifted_window_masks(tensors, resolution)
    for name, table in tensors.items():
        if name.endswith("relative_position_bias_table"):
            index = relative_positions((math.isqrt(table.shape[0]) + 1) // 2)
            made[name.replace("bias_table", "index")] = index
    return made


def relative_positions(window: int) -> np.ndarray[Any, Any]:
    """For each two places in a window the row of the table; shape (window * window, window * window), int64."""
    import numpy as np

    rows, columns = (axis.reshape(-1) for axis in np.indices((window, window)))
    down = rows[:, None] - rows[None, :] + window - 1
    right = columns[:, None] - columns[None, :] + window - 1
    index: np.ndarray[Any, Any] = (down * (2 * window - 1) + right).astype(np.int64)
    return index


def swin(name: str, twin: str, resolution: int) -> Twin:
    """A pair of Swin models; `resolution` counts patches."""
    made = partial(masks_and_indices, resolution=resolution)
    return Twin(name, twin, library="timm", keys=SWIN, made=made, head="head.fc.weight")


PROJECTED = {
    "dla34": "level3 level4",
    "dla46_c": "level4",
    "dla46x_c": "level4",
    "dla60x_c": "level4 level4.tree1",
    "dla60": "level3 level4 level4.tree1",
    "dla60x": "level3 level4 level4.tree1",
    "dla102": "level3 level3.tree1 level4 level4.tree1 level4.tree1.tree1",
    "dla102x": "level3 level3.tree1 level4 level4.tree1 level4.tree1.tree1",
    "dla102x2": "level3 level3.tree1 level4 level4.tree1 level4.tree1.tree1",
    "dla169": "level2 level3 level3.tree1 level4 level4.tree1 level4.tree1.tree1 level4.tree1.tree1.tree1",
}
"""The trees that get a projection in flowvision although they never use it."""


def unread_projections(tensors: Tensors, trees: tuple[str, ...]) -> dict[str, np.ndarray[Any, Any]]:
    """Zeros for the projections that flowvision builds and never uses, in the shape of the innermost tree's."""
    import numpy as np

    made = {}
    for tree in trees:
        for name, tensor in tensors.items():
            inner, found, rest = name.partition(".project.")
            if found and inner.startswith(f"{tree}.tree1") and set(inner[len(tree) :].split(".")) <= {"", "tree1"}:
                kind = np.int64 if tensor.dtype.name == "int64" else np.float32
                made[f"{tree}.project.{rest}"] = np.zeros(tensor.shape, kind)
    return made


def dla(name: str) -> Twin:
    """A pair of DLA models."""
    trees = tuple(PROJECTED[name].split())
    keys = Keys(flow_only=[f"{tree}.project.{{rest}}" for tree in trees])
    return Twin(name, name, library="timm", keys=keys, made=partial(unread_projections, trees=trees), head="fc.weight")


TWINS = (
    swin("swin_base_patch4_window7_224", "swin_base_patch4_window7_224", 56),
    swin("swin_base_patch4_window12_384", "swin_base_patch4_window12_384", 96),
    swin("swin_large_patch4_window7_224", "swin_large_patch4_window7_224_in22k_to_1k", 56),
    swin("swin_large_patch4_window12_384", "swin_large_patch4_window12_384_in22k_to_1k", 96),
    swin("swin_small_patch4_window7_224", "swin_small_patch4_window7_224", 56),
    swin("swin_tiny_patch4_window7_224", "swin_tiny_patch4_window7_224", 56),
    *map(dla, PROJECTED),
)
