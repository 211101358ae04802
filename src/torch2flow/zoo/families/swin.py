"""torchvision's SwinTransformer. flowvision uses the original's names, and stores the masks of shifted windows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.names.templates import Keys
from torch2flow.zoo.twins import Tensors, Twin

if TYPE_CHECKING:
    import numpy as np

BLOCK = "features.{2*i+1}.{j}"

KEYS = Keys(
    ("features.0.0.{name}", "patch_embed.proj.{name}"),
    ("features.0.2.{name}", "patch_embed.norm.{name}"),
    (f"{BLOCK}.attn.relative_position_index", "layers.{i}.blocks.{j}.attn.relative_position_index", "square"),
    (f"{BLOCK}.mlp.0.{{name}}", "layers.{i}.blocks.{j}.mlp.fc1.{name}"),
    (f"{BLOCK}.mlp.3.{{name}}", "layers.{i}.blocks.{j}.mlp.fc2.{name}"),
    (f"{BLOCK}.{{rest}}", "layers.{i}.blocks.{j}.{rest}"),
    ("features.{2*i+2}.norm.{name}", "layers.{i}.downsample.norm.{name}"),
    ("features.{2*i+2}.reduction.{name}", "layers.{i}.downsample.reduction.{name}"),
    flow_only=["layers.{i}.blocks.{j}.attn_mask"],
)


def shifted_window_masks(tensors: Tensors, resolution: int = 56) -> dict[str, np.ndarray[Any, Any]]:
    """The mask of every second block: (windows, window * window, window * window), 0 or -100 in float32.

    Args:
        tensors: the checkpoint's, under flowvision's names.
        resolution: patches along an image of the first stage; 224 pixels by 4.
    """
    masks = {}
    for name, table in tensors.items():
        parts = name.split(".")
        if parts[-1] != "relative_position_bias_table" or int(parts[3]) % 2 == 0:
            continue
        window, size = (math.isqrt(table.shape[0]) + 1) // 2, resolution >> int(parts[1])
        if size > window:
            masks[".".join([*parts[:4], "attn_mask"])] = shifted_window_mask(size, window)
    return masks


def shifted_window_mask(size: int, window: int) -> np.ndarray[Any, Any]:
    """The mask of one size: -100 for two places of a window that were no neighbours before the shift, else 0."""
    import numpy as np

    shift = window // 2
    region = np.zeros(size, np.int64)
    region[-window:-shift], region[-shift:] = 1, 2
    regions = (3 * region[:, None] + region).reshape(size // window, window, size // window, window)
    flat = regions.transpose(0, 2, 1, 3).reshape(-1, window * window)
    return np.where(flat[:, None, :] != flat[:, :, None], np.float32(-100), np.float32(0))


TWINS = tuple(
    Twin(
        name,
        f"swin_{size}_patch4_window7_224",
        keys=KEYS,
        made=shifted_window_masks,
        head="head.weight",
    )
    for name, size in (("swin_t", "tiny"), ("swin_s", "small"), ("swin_b", "base"))
)
