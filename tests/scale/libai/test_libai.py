"""LiBai's models from transformers' weights: names, shapes and values, lazily, and back bit for bit.

models.json has the names and shapes of LiBai's own models (make_models.py); the checkpoints are real transformers'.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from torch2flow.checkpoints.dtypes import DTYPES, numpy_dtype
from torch2flow.checkpoints.names.renamed_checkpoint import with_tensors
from torch2flow.checkpoints.names.templates import translate
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pytorch import Checkpoint, Storage, TensorRef
from torch2flow.checkpoints.pytorch.pieced_tensor import PiecedTensor
from torch2flow.checkpoints.pytorch.tensor import in_memory
from torch2flow.checkpoints.writing import Options, make_plan
from torch2flow.conversion import FORMATS, deliver
from torch2flow.errors import UsageError
from torch2flow.scale.libai import FAMILIES, from_libai, to_libai
from torch2flow.scale.libai.rules import LAYOUTS, fused, parted

HERE = Path(__file__).resolve().parent
MODELS: dict[str, dict[str, list[int]]] = json.loads((HERE / "models.json").read_text())
HEADS = 4


def test_every_model_has_a_family() -> None:
    assert set(MODELS) == set(FAMILIES)


@pytest.mark.oneflow  # once is enough
@pytest.mark.parametrize("name", MODELS)
def test_names_and_shapes_are_those_of_libais_own_model(name: str, folder: Path) -> None:
    found = to_libai(open_checkpoint(folder / name), name, heads=HEADS)
    constants = [key for key in MODELS[name] if any(translate(key, t, t) for t in FAMILIES[name].flow_only)]
    assert {key: [*tensor.shape] for key, tensor in found.items()} == {
        key: shape for key, shape in MODELS[name].items() if key not in constants
    }


@pytest.mark.oneflow
@pytest.mark.parametrize("name", MODELS)
def test_the_way_back_is_bit_for_bit(name: str, folder: Path, tmp_path: Path) -> None:
    source = open_checkpoint(folder / name)
    ours = to_libai(source, name, heads=HEADS, vocabulary=64)
    convert_checkpoint(ours, tmp_path / "libai.safetensors")
    back = from_libai(open_checkpoint(tmp_path / "libai.safetensors"), name, heads=HEADS, vocabulary=50)
    left = [key for key in source if key not in back]
    assert all("lm_head" in key or "decoder." in key or "embed_tokens" in key for key in left), left
    for key, tensor in back.items():
        before = source.get(key) or source["shared.weight"]  # a head that is tied to it is not in the file
        assert isinstance(tensor, TensorRef) and isinstance(before, TensorRef)
        assert np.array_equal(tensor.numpy(), before.numpy()), key


@pytest.mark.oneflow
@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_read_until_it_is_asked_for(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_checkpoint(folder / name)

    def fail(*_: object) -> None:
        raise AssertionError("bytes were read")

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "read", fail)
        patch.setattr(Storage, "map", fail)
        ours = to_libai(source, name, heads=HEADS, vocabulary=64)
        with pytest.raises(AssertionError, match="bytes were read"):
            next(iter(ours.values())).numpy()
    assert len(ours) == len(to_libai(source, name, heads=HEADS))


@pytest.mark.oneflow
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("out", ["libai", "libai.safetensors"])
def test_half_precision_comes_back_through_a_folder_and_a_file(dtype: str, out: str, tmp_path: Path) -> None:
    """A folder of OneFlow's has bfloat16 as float32, and what is turned has to be turned in that too."""
    layer, random = "transformer.h.0", np.random.default_rng(0)
    shapes = {"attn.c_attn.weight": (8, 24), "attn.c_attn.bias": (24,), "attn.c_proj.weight": (8, 8)}
    shapes |= {"mlp.c_fc.weight": (8, 32), "mlp.c_proj.weight": (32, 8)}
    kind = DTYPES[dtype]
    state = {
        f"{layer}.{name}": in_memory(random.normal(size=shape).astype(numpy_dtype(kind)), kind)
        for name, shape in shapes.items()
    }
    save_file({"x": np.zeros(1)}, tmp_path / "x.safetensors")
    source = with_tensors(open_checkpoint(tmp_path / "x.safetensors"), state)
    format = "safetensors" if out.endswith(".safetensors") else "folder"
    plan = make_plan(to_libai(source, "gpt2", heads=2), Options(key="."), FORMATS[format].target)
    deliver(plan, tmp_path / out, format)
    back = from_libai(open_checkpoint(tmp_path / out), "gpt2", heads=2)
    assert set(back) == set(state)
    for name, tensor in back.items():
        assert isinstance(tensor, TensorRef) and tensor.dtype is kind
        expected = state[name].numpy()
        assert tensor.numpy().tobytes() == expected.tobytes(), name
        assert b"".join(chunk.tobytes() for chunk in tensor.chunks()) == expected.tobytes(), name


def convert_checkpoint(checkpoint: Checkpoint, out: Path) -> None:
    deliver(make_plan(checkpoint, Options(key="."), FORMATS["safetensors"].target), out, "safetensors")


@pytest.mark.oneflow
def test_queries_keys_and_values_are_ordered_by_heads(folder: Path) -> None:
    """As LiBai's attention takes them apart: (heads, 3 * size), of which the first third is the query's."""
    for name, parts, whole in (
        ("bert", [f"bert.encoder.layer.1.attention.self.{part}.weight" for part in ("query", "key", "value")],
         "bert.encoders.1.self_attention.query_key_value.weight"),
        ("gpt2", [], "GPT_model.transformer.layers.1.self_attention.query_key_value.weight"),
    ):  # fmt: skip
        source = open_checkpoint(folder / name)
        if parts:
            query, key, value = (source[part].numpy() for part in parts)
        else:
            query, key, value = np.split(source["transformer.h.1.attn.c_attn.weight"].numpy().T, 3)
        found = to_libai(source, name, heads=HEADS)[whole].numpy().reshape(HEADS, 3, 8, 32)
        for at, part in enumerate((query, key, value)):
            assert np.array_equal(found[:, at], part.reshape(HEADS, 8, 32))


@pytest.mark.oneflow
def test_a_vocabulary_is_padded_with_zeros_and_ranks_read_their_own_part(folder: Path) -> None:
    source = open_checkpoint(folder / "gpt2")
    found = to_libai(source, "gpt2", heads=HEADS, vocabulary=64)["GPT_model.embeddings.token_embeddings.weight"]
    assert isinstance(found, TensorRef) and found.shape == (64, 32)
    whole = found.numpy()
    assert np.array_equal(whole[:50], source["transformer.wte.weight"].numpy()) and not whole[50:].any()
    for start, stop in (((0, 0), (16, 32)), ((48, 0), (64, 32)), ((10, 8), (60, 16)), ((52, 3), (53, 9))):
        expected = whole[start[0] : stop[0], start[1] : stop[1]]
        assert np.array_equal(found.region(start, stop).numpy(), expected)


@pytest.mark.oneflow
def test_swin_v2_has_a_dimension_for_the_batch_and_no_bias_of_keys(folder: Path) -> None:
    source = open_checkpoint(folder / "swinv2")
    ours, theirs = "layers.1.blocks.0.attn", "swinv2.encoder.layers.1.blocks.0.attention.self"
    found = to_libai(source, "swinv2", heads=1)
    assert np.array_equal(found[f"{ours}.logit_scale"].numpy(), source[f"{theirs}.logit_scale"].numpy()[None])
    parts = [source[f"{theirs}.{part}.weight"].numpy() for part in ("query", "key", "value")]
    assert np.array_equal(found[f"{ours}.qkv.weight"].numpy(), np.concatenate(parts))
    assert np.array_equal(found[f"{ours}.q_bias"].numpy(), source[f"{theirs}.query.bias"].numpy())
    assert np.array_equal(found[f"{ours}.v_bias"].numpy(), source[f"{theirs}.value.bias"].numpy())
    two = {**found, f"{ours}.logit_scale": source[f"{theirs}.logit_scale"]}
    with pytest.raises(UsageError, match="has no dimension of one in front"):
        from_libai(with_tensors(source, two), "swinv2", heads=1)


@pytest.mark.oneflow
def test_a_model_without_a_head_and_old_names(folder: Path) -> None:
    source = open_checkpoint(folder / "bert")
    bare = {
        key.removeprefix("bert.").replace("LayerNorm.weight", "LayerNorm.gamma"): tensor
        for key, tensor in source.items()
        if key.startswith("bert.")
    }
    found = to_libai(with_tensors(source, bare), "bert", heads=HEADS)
    assert set(found) == {key for key in MODELS["bert"] if key.startswith("bert.")}


# -- the language --------------------------------------------------------------------------------------------------


@given(
    layout=st.sampled_from([name for name in LAYOUTS if name not in ("vocabulary", "for a batch")]),
    heads=st.integers(1, 4), size=st.integers(1, 3), columns=st.integers(1, 5), data=st.data(),
)  # fmt: skip
def test_any_layout_there_and_back(layout: str, heads: int, size: int, columns: int, data: st.DataObject) -> None:
    kind = LAYOUTS[layout]
    count = kind.parts if data.draw(st.booleans()) else 1
    rows = heads * size * kind.parts // count
    whole = np.arange(rows * count * columns, dtype="f4").reshape(count, rows, columns)
    sources = [in_memory(np.ascontiguousarray(part.T if kind.turned else part), DTYPES["float32"]) for part in whole]
    one = fused(sources, kind, heads, None)
    expected = whole.reshape(-1, columns)
    if kind.heads:
        expected = expected.reshape(kind.parts, heads, size, columns).swapaxes(0, 1).reshape(-1, columns)
    assert np.array_equal(one.numpy(), expected)
    start = tuple(data.draw(st.integers(0, n - 1)) for n in one.shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, one.shape, strict=True))
    block = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    part = one.region(start, stop)
    assert np.array_equal(part.numpy(), expected[block])
    if isinstance(part, PiecedTensor):  # what is read for it is no more than it is
        assert sum(math.prod(piece.shape) for _, piece in part.pieces) == part.numel
    for source, part in zip(sources, parted(one, kind, count, heads, None), strict=True):
        assert np.array_equal(part.numpy(), source.numpy())
