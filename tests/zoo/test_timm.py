"""timm's models in flowvision: names and shapes of every pair, and the numbers of a few."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torch2flow import zoo
from torch2flow.zoo.families.swin import shifted_window_mask
from torch2flow.zoo.families.timm_counted import places_of_biases
from torch2flow.zoo.families.timm_made import relative_positions

SMALL = ("vit_tiny_patch16_224", "ghostnet_100", "deit3_small_patch16_224", "resmlp_12_224", "mobilevit_xxs", "dla34",
         "convmixer_768_32", "swin_tiny_patch4_window7_224", "rexnet_100", "levit_128s", "gernet_s")  # fmt: skip

SHAPES = """
import json, sys
import scripts.models
import timm, torch
with torch.device("meta"):
    models = {name: timm.create_model(name, pretrained=False) for name in sys.argv[1:]}
print(json.dumps({name: {key: list(value.shape) for key, value in model.state_dict().items()}
                  for name, model in models.items()}))
"""


@pytest.mark.oneflow
def test_names_and_shapes_fit(flow: Any, run_python: Any, torch_python: Path) -> None:
    from types import SimpleNamespace

    from torch2flow.runtime import import_flowvision

    models = import_flowvision().models
    for name, shapes in json.loads(run_python(torch_python, SHAPES, *SMALL)).items():
        twin = zoo.find_twin(f"timm/{name}")
        found = {new: change.there(tuple(shapes[old])) for old, new, change in twin.keys.pairs(shapes)}
        as_tensors = {
            key: SimpleNamespace(shape=shape, dtype=SimpleNamespace(name="float32")) for key, shape in found.items()
        }
        found |= {key: array.shape for key, array in twin.made(as_tensors).items()}  # type: ignore[arg-type]
        expected = {key: tuple(value.shape) for key, value in getattr(models, twin.twin)().state_dict().items()}
        assert found == expected, name
        assert sorted(new for _, new, _ in twin.keys.pairs(found, back=True)) == sorted(shapes), name


@pytest.mark.oneflow
def test_what_flowvision_computes_when_it_is_built(flow: Any) -> None:
    from torch2flow.runtime import import_flowvision

    state = import_flowvision().models.swin_tiny_patch4_window7_224().state_dict()
    for stage, size in enumerate((56, 28, 14)):
        mask = state[f"layers.{stage}.blocks.1.attn_mask"].numpy()
        assert np.array_equal(mask, shifted_window_mask(size, 7)) and mask.dtype == np.float32
    assert np.array_equal(state["layers.0.blocks.0.attn.relative_position_index"].numpy(), relative_positions(7))
    state = import_flowvision().models.levit_128s().state_dict()
    for name, index in places_of_biases(state).items():
        assert np.array_equal(state[name].numpy(), index), name


def test_each_pair_has_one_name() -> None:
    names = [name for name in zoo.twins() if name.startswith("timm/")]
    assert len(names) == len(set(names)) > 90
    assert zoo.find_twin("deit3_small_patch16_224") is zoo.find_twin("timm/deit3_small_patch16_224")
