"""What LiBai's models have no place for is told, and what a file has for nothing is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from torch2flow.checkpoints.names.renamed_checkpoint import with_tensors
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pytorch import TensorRef
from torch2flow.errors import UsageError
from torch2flow.scale.libai import from_libai, to_libai

HEADS = 4


@pytest.mark.oneflow
@pytest.mark.parametrize(
    ("family", "heads", "vocabulary", "said"),
    [
        ("gtp2", 4, None, "There is no family 'gtp2'"),
        ("bert", 4, None, "no rule of bert is for it"),
        ("gpt2", 5, None, "96 rows can't be 3 times 5 blocks"),
        ("gpt2", 4, 49, "A vocabulary of 50 does not fit into 49 rows"),
    ],
)
def test_what_does_not_fit_is_told(family: str, heads: int, vocabulary: int | None, said: str, folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        to_libai(open_checkpoint(folder / "gpt2"), family, heads=heads, vocabulary=vocabulary)
    assert said in str(caught.value)


@pytest.mark.oneflow
def test_a_missing_weight_is_told(folder: Path) -> None:
    source = open_checkpoint(folder / "llama")
    less = {key: tensor for key, tensor in source.items() if key != "model.layers.0.self_attn.k_proj.weight"}
    with pytest.raises(UsageError, match="k_proj.weight is missing"):
        to_libai(with_tensors(source, less), "llama", heads=HEADS)


@pytest.mark.oneflow
@pytest.mark.parametrize("groups", [1, 2])
def test_grouped_queries_are_told_whether_or_not_the_rows_divide(groups: int, folder: Path) -> None:
    """With one group in four heads, 48 rows are 3 times 4 blocks, as 6144 are 3 times 32 in Llama 3's 8B."""
    source = open_checkpoint(folder / "llama")
    grouped = dict(source)
    for part in "kv":
        name = f"model.layers.0.self_attn.{part}_proj.weight"
        tensor = source[name]
        assert isinstance(tensor, TensorRef)
        grouped[name] = tensor.region((0, 0), (8 * groups, 32))
    with pytest.raises(UsageError, match="as many key heads as heads"):
        to_libai(with_tensors(source, grouped), "llama", heads=HEADS)


@pytest.mark.oneflow
@pytest.mark.parametrize("other", ["self_attn.q_proj.bias", "self_attn.q_norm.weight", "mlp.experts.0.w1.weight"])
def test_what_libais_llama_has_not_is_told(other: str, folder: Path) -> None:
    """Biases, norms of queries and experts are Qwen's and Mixtral's, whose other names are Llama's."""
    source = open_checkpoint(folder / "llama")
    more = {**source, f"model.layers.0.{other}": source["model.norm.weight"]}
    with pytest.raises(UsageError, match="no rule of llama is for it"):
        to_libai(with_tensors(source, more), "llama", heads=HEADS)


@pytest.mark.oneflow
@pytest.mark.parametrize("name", ["t5", "mt5"])
def test_published_t5_has_a_bias_too_many(name: str, folder: Path) -> None:
    source = open_checkpoint(folder / name)
    own = "decoder.block.0.layer.{}.relative_attention_bias.weight"
    more = {**source, own.format("1.EncDecAttention"): source[own.format("0.SelfAttention")]}
    found, expected = (to_libai(with_tensors(source, each), name, heads=HEADS) for each in (more, source))
    assert set(found) == set(expected)


@pytest.mark.oneflow
def test_two_names_of_one_weight_are_told(folder: Path) -> None:
    source = open_checkpoint(folder / "bert")
    norm = "bert.embeddings.LayerNorm"
    with pytest.raises(UsageError, match=r"LayerNorm.gamma: it is .*LayerNorm.weight, as is"):
        to_libai(with_tensors(source, {**source, f"{norm}.gamma": source[f"{norm}.weight"]}), "bert", heads=HEADS)


@pytest.mark.oneflow
@pytest.mark.parametrize("heads, vocabulary", [(0, None), (-2, None), (HEADS, 0)])
def test_counts_below_one_are_told(heads: int, vocabulary: int | None, folder: Path) -> None:
    source = open_checkpoint(folder / "llama")
    for convert, state in ((to_libai, source), (from_libai, to_libai(source, "llama", heads=HEADS))):
        with pytest.raises(UsageError, match="There can't be"):
            convert(state, "llama", heads=heads, vocabulary=vocabulary)


@pytest.mark.oneflow
def test_what_does_not_fit_on_the_way_back_is_told(folder: Path) -> None:
    ours = to_libai(open_checkpoint(folder / "llama"), "llama", heads=HEADS)
    with pytest.raises(UsageError, match="A vocabulary of 64 can't be cut from 50 rows"):
        from_libai(ours, "llama", heads=HEADS, vocabulary=64)
    with pytest.raises(UsageError, match="96 rows can't be 5 times 3 blocks"):
        from_libai(ours, "llama", heads=5)
    ours = to_libai(open_checkpoint(folder / "swin"), "swin", heads=1)
    weight = ours["layers.0.blocks.0.attn.qkv.weight"]
    assert isinstance(weight, TensorRef)
    less = {**ours, "layers.0.blocks.0.attn.qkv.weight": weight.region((0, 0), (47, 16))}
    with pytest.raises(UsageError, match="47 rows can't be 3 weights"):
        from_libai(with_tensors(ours, less), "swin", heads=1)
