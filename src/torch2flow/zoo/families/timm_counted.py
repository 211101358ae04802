"""timm's models whose blocks have other numbers in flowvision: ReXNet, LeViT, GENet. A rule for each block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.names.templates import Keys
from torch2flow.zoo.twins import Tensors, Twin

if TYPE_CHECKING:
    import numpy as np


def _rexnet() -> Iterator[tuple[str, ...]]:
    """Rules for ReXNet. Its first block has no expansion; its blocks from the fourth on have squeeze and excitation."""
    yield from (("stem.conv.{name}", "features.0.{name}"), ("stem.bn.{name}", "features.1.{name}"))
    for block in range(16):
        torch, flow = f"features.{block}", f"features.{block + 3}.out"
        names = ["conv_exp", "conv_dw", "conv_pwl"] if block else ["conv_dw", "conv_pwl"]
        places = [0, 3, 7 if block > 2 else 6] if block else [0, 3]
        for name, place in zip(names, places, strict=True):
            yield f"{torch}.{name}.conv.{{name}}", f"{flow}.{place}.{{name}}"
            yield f"{torch}.{name}.bn.{{name}}", f"{flow}.{place + 1}.{{name}}"
        for name, place in (("fc1", 0), ("bn", 1), ("fc2", 3)) if block > 2 else ():
            yield f"{torch}.se.{name}.{{name}}", f"{flow}.5.fc.{place}.{{name}}"
    yield from (("features.16.conv.{name}", "features.19.{name}"), ("features.16.bn.{name}", "features.20.{name}"))
    yield from (("head.fc.weight", "output.1.weight", "two ones more"), ("head.fc.bias", "output.1.bias"))


def _genet() -> Iterator[tuple[str, ...]]:
    yield "stem.conv.{name}", "module_list.0.netblock.{name}"
    yield "stem.bn.{name}", "module_list.1.netblock.{name}"
    block, there = "stages.{i}.{j}", "module_list.{i+3}"
    yield f"{block}.shortcut.conv.{{name}}", f"{there}.shortcut_list.{{j}}.0.{{name}}"
    yield f"{block}.shortcut.bn.{{name}}", f"{there}.shortcut_list.{{j}}.1.{{name}}"
    for stage in range(5):  # the first two have two layers in a block, the others three
        first = "conv1_kxk" if stage < 2 else "conv1_1x1"
        for name, place in ((first, 0), ("conv2_kxk", 3), ("conv3_1x1", 6)):
            flow = f"module_list.{stage + 3}.conv_list.{{j}}"
            yield f"stages.{stage}.{{j}}.{name}.conv.{{name}}", f"{flow}.{place}.{{name}}"
            yield f"stages.{stage}.{{j}}.{name}.bn.{{name}}", f"{flow}.{place + 1}.{{name}}"
    yield "final_conv.conv.{name}", "module_list.8.netblock.{name}"
    yield "final_conv.bn.{name}", "module_list.9.netblock.{name}"
    yield "head.fc.{name}", "fc_linear.{name}"


def _levit(depths: tuple[int, ...]) -> Iterator[tuple[str, ...]]:
    """Rules for LeViT. flowvision has one list with the attention and the perceptron of each block in turn."""
    for number in range(4):
        yield from _linear(f"stem.conv{number + 1}", f"patch_embed.{2 * number}")
    place = 0
    for stage, depth in enumerate(depths):
        if stage:
            down = f"stages.{stage}.downsample"
            yield f"{down}.attn_downsample.attention_biases", f"blocks.{place}.attention_biases"
            yield from _linear(f"{down}.attn_downsample.kv", f"blocks.{place}.kv")
            yield from _linear(f"{down}.attn_downsample.q.ln", f"blocks.{place}.q.1")
            yield from _linear(f"{down}.attn_downsample.proj.ln", f"blocks.{place}.proj.1")
            yield from _perceptron(f"{down}.mlp", f"blocks.{place + 1}.m")
            place += 2
        for block in (f"stages.{stage}.blocks.{number}" for number in range(depth)):
            yield f"{block}.attn.attention_biases", f"blocks.{place}.m.attention_biases"
            yield from _linear(f"{block}.attn.qkv", f"blocks.{place}.m.qkv")
            yield from _linear(f"{block}.attn.proj.ln", f"blocks.{place}.m.proj.1")
            yield from _perceptron(f"{block}.mlp", f"blocks.{place + 1}.m")
            place += 2
    yield from (("head.linear.{name}", "head.l.{name}"), ("head_dist.linear.{name}", "head_dist.l.{name}"))


def _linear(torch: str, flow: str) -> Iterator[tuple[str, ...]]:
    yield f"{torch}.linear.{{name}}", f"{flow}.c.{{name}}"
    yield f"{torch}.bn.{{name}}", f"{flow}.bn.{{name}}"


def _perceptron(torch: str, flow: str) -> Iterator[tuple[str, ...]]:
    yield from _linear(f"{torch}.ln1", f"{flow}.0")
    yield from _linear(f"{torch}.ln2", f"{flow}.2")


def places_of_biases(tensors: Tensors) -> dict[str, np.ndarray[Any, Any]]:
    """Of each two places of an attention, the column of its biases; (places, places), int64.

    Biases are of distances, and there are as many as places. Where the attention halves the resolution, its queries
    are every second place.
    """
    import numpy as np

    made = {}
    for name, biases in tensors.items():
        if not name.endswith("attention_biases"):
            continue
        size = math.isqrt(biases.shape[1])
        keys = np.arange(size)
        queries = keys if ".m." in name else keys[::2]
        apart = np.abs(queries[:, None] - keys[None, :])
        index = apart[:, None, :, None] * size + apart[None, :, None, :]
        made[name.replace("biases", "bias_idxs")] = index.reshape(len(queries) ** 2, size**2).astype(np.int64)
    return made


IDXS = ["blocks.{i}.attention_bias_idxs", "blocks.{i}.m.attention_bias_idxs"]

TWINS = (
    *(Twin(name, twin, library="timm", keys=Keys(*_rexnet()), head="head.fc.weight")
      for name, twin in (("rexnet_100", "rexnetv1_1_0"), ("rexnet_130", "rexnetv1_1_3"), ("rexnet_150", "rexnetv1_1_5"),
                         ("rexnet_200", "rexnetv1_2_0"), ("rexnet_300", "rexnetv1_3_0"))),
    *(Twin(name, twin, library="timm", keys=Keys(*_genet()), head="head.fc.weight")
      for name, twin in (("gernet_s", "genet_small"), ("gernet_m", "genet_normal"), ("gernet_l", "genet_large"))),
    *(Twin(name, name, library="timm", keys=Keys(*_levit(depths), flow_only=IDXS), made=places_of_biases,
           head="head.linear.weight")
      for name, depths in (("levit_128s", (2, 3, 4)), ("levit_128", (4, 4, 4)), ("levit_192", (4, 4, 4)),
                           ("levit_256", (4, 4, 4)), ("levit_384", (4, 4, 4)))),
)  # fmt: skip
