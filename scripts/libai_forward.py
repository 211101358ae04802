"""Loads transformers' weights into LiBai's own models and compares what both compute; for docs/scale.md.

    .venv-torch/bin/python -m tests.scale.libai.make_checkpoints FOLDER
    PYTHONPATH=LIBAI .venv/bin/python scripts/libai_forward.py FOLDER [NAME ...]

LIBAI is a checkout of LiBai and what it needs, as for tests/scale/libai/make_models.py, which builds the models.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch2flow
from tests.scale.libai.make_models import HEADS, HIDDEN, build
from torch2flow.runtime import import_oneflow
from torch2flow.scale.libai import FAMILIES, to_libai

flow = import_oneflow()


def _normalize(x: Any, centered: bool, weight: Any, bias: Any, epsilon: float) -> Any:
    """LayerNorm, or RMSNorm where it is not centered, out of operators that OneFlow 0.9.0 has on a CPU."""
    x = x - x.mean(-1, keepdim=True) if centered else x
    x = x / ((x * x).mean(-1, keepdim=True) + epsilon).sqrt()
    return x * weight + (0 if bias is None else bias)


def _affine(x: Any, weight: Any, bias: Any, begin_norm_axis: int, begin_params_axis: int, epsilon: float) -> Any:
    return _normalize(x, True, weight, bias, epsilon)


def _causal_softmax(scores: Any, p: float, diagonal: int, tril_scale_value: float, tril_fill_value: float) -> Any:
    lower = flow.tril(flow.ones(scores.shape, placement=scores.placement, sbp=scores.sbp), diagonal)
    scaled = scores * tril_scale_value * lower + (1 - lower) * tril_fill_value
    return [flow.softmax(scaled, dim=-1)]


# LiBai uses kernels of OneFlow's that only GPUs have (`layer_norm_cpu_kernel.cpp:28: TODO`); dropout is off in eval.
flow._C.layer_norm_affine = _affine
flow._C.fused_scale_tril_softmax_mask_scale = _causal_softmax
flow._C.fused_bias_add_gelu = lambda a, b, axis: flow.nn.functional.gelu(a + b)
flow._C.fused_bias_add_dropout = lambda a, b, p, axis: a + b
flow._C.rms_norm = lambda x, weight, shape, epsilon: _normalize(x, False, weight, None, epsilon)


def forward(name: str, model: Any, given: dict[str, Any]) -> Any:
    """The logits of one of LiBai's models, for inputs as transformers takes them."""
    if name in ("vit", "swin", "swinv2"):
        return model(given["pixel_values"])["prediction_scores"]
    ids, mask = given["input_ids"], given["attention_mask"]
    if name in ("t5", "mt5"):
        # LiBai leaves out the scale that T5 gives to a head tied to the embedding.
        scale = HIDDEN**-0.5 if name == "t5" else 1
        return model(ids, given["decoder_input_ids"], mask, mask, mask) * scale
    if name in ("bert", "roberta"):
        hidden, pooled = (model.bert if name == "bert" else model.roberta)(ids, mask, ids * 0)
        if name == "bert":
            return model.cls_head.lm_logits(model.cls_head.predictions(hidden), model.bert.word_embeddings_weight())
        return model.lm_head(hidden, model.roberta.word_embeddings_weight())
    found = model(ids)
    return found["prediction_scores"] if name == "gpt2" else found["logits"]


def main(folder: str) -> None:
    """Compares each."""
    from libai.utils import distributed
    from omegaconf import DictConfig

    one = dict.fromkeys(("data_parallel_size", "tensor_parallel_size", "pipeline_parallel_size"), 1)
    distributed.setup_dist_util(DictConfig({**one, "device_type": "cpu"}))
    place = {"placement": flow.placement("cpu", [0]), "sbp": [flow.sbp.broadcast]}
    for name in sys.argv[2:] or FAMILIES:
        model = build(name).eval()
        source = torch2flow.open_checkpoint(Path(folder) / name)
        try:
            report = torch2flow.load_state_dict(model, to_libai(source, name, heads=HEADS), strict=False)
            recorded = torch2flow.load(Path(folder) / f"{name}.forward.pth")
            given = {key: tensor.to_global(**place) for key, tensor in recorded.items()}
            with flow.no_grad():
                found = forward(name, model, given).to_local().numpy()
            expected = recorded["logits"].numpy()
            worst = np.abs(found - expected).max() / np.abs(expected).max()
            print(f"{name}: {report}; logits differ by {worst:.1e} of the largest")
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}")


if __name__ == "__main__":
    main(sys.argv[1])
