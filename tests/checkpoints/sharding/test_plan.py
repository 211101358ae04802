"""Plans: what TOML says, what it settles, and what it refuses before anything aborts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torch2flow.checkpoints.sharding import read_sharding_plan
from torch2flow.checkpoints.sharding.patterns import matches
from torch2flow.checkpoints.sharding.sharding_plan import Mesh, ShardingPlan, Sized, presets
from torch2flow.checkpoints.sharding.stages import balanced_stages, layer_of
from torch2flow.errors import UsageError
from torch2flow.scale.estimate import estimate

ROOT = Path(__file__).resolve().parents[3]

TENSORS = {
    "wte.weight": Sized((64, 8), 4, "wte.weight"),
    "h.0.attn.weight": Sized((8, 24), 4, "h.0.attn.weight"),
    "h.1.attn.weight": Sized((8, 24), 4, "h.1.attn.weight"),
    "norm.weight": Sized((8,), 4, "norm.weight"),
    "lm_head.weight": Sized((64, 8), 4, "wte.weight"),
    "count": Sized((), 8, "count"),
}


def plan(text: str, tmp_path: Path) -> ShardingPlan:
    (tmp_path / "plan.toml").write_text(text)
    return read_sharding_plan(tmp_path / "plan.toml")


def test_the_first_pattern_that_matches_counts(tmp_path: Path) -> None:
    found = plan(
        '[mesh]\ndata = 2\ntensor = -1\n[split]\n"h.1.*" = {}\n"h.*" = { tensor = 1 }\n"{wte,norm}.*" = { data = 0 }',
        tmp_path,
    ).settle(TENSORS, 8)
    assert found.mesh == Mesh({"data": 2, "tensor": 4})
    assert {name: layout.axes for name, layout in found.layouts.items()} == {
        "wte.weight": (0, None), "h.0.attn.weight": (None, 1), "h.1.attn.weight": (None, None),
        "norm.weight": (0, None), "lm_head.weight": (0, None), "count": (None, None),
    }  # fmt: skip
    assert found.layouts["wte.weight"].ranks == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert found.unmatched == ["count"]


def test_of_tied_names_the_first_that_matches_counts(tmp_path: Path) -> None:
    found = plan('[mesh]\ntensor = 2\n[split]\n"lm_head.*" = { tensor = 0 }', tmp_path).settle(TENSORS)
    assert found.layouts["wte.weight"].axes == found.layouts["lm_head.weight"].axes == (0,)


def test_own_rules_come_before_those_of_a_preset(tmp_path: Path) -> None:
    found = plan('preset = "gpt2"\n[mesh]\ntensor = 2\n[split]\n"wte.*" = {}', tmp_path).settle(TENSORS)
    assert found.layouts["wte.weight"].axes == (None,)


def test_auto_takes_the_first_dimension_that_divides_evenly() -> None:
    sizes = {"a": Sized((3, 4), 4), "b": Sized((4, 4), 4), "c": Sized((3, 5), 4), "d": Sized((), 4)}
    found = read_sharding_plan("zero").settle(sizes, 2)
    assert {name: layout.axes for name, layout in found.layouts.items()} == {
        "a": (1,), "b": (0,), "c": (None,), "d": (None,)
    }  # fmt: skip


def test_an_axis_of_one_rank_is_none() -> None:
    found = read_sharding_plan("zero").settle({"a": Sized((4,), 4)}, 1)
    assert (found.layouts["a"].ranks, found.layouts["a"].axes) == ([0], (None,))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[mesh]\ntensor = 2\n[split]\n"count" = { tensor = 0 }', "count []: a single number can't be split"),
        ('[mesh]\ntensor = 16\n[split]\n"norm.*" = { tensor = 0 }', "norm.weight [8]: split by dimension 0 over 16"),
        ('[mesh]\na = 4\nb = 4\n[split]\n"norm.*" = { a = 0, b = 0 }', "dimension 0 over 4 and dimension 0 over 4"),
        ('[mesh]\ntensor = 2\n[split]\n"norm.*" = { tensor = 1 }', "it has no dimension 1 to split"),
        ('[mesh]\ntensor = 2\n[split]\n"norm*" = {}\n"nrm" = {}', "the pattern 'nrm' is the first to match no name"),
        ('preset = "llama"\n[mesh]\ntensor = 2\n[split]\n"x" = {}', "the pattern 'x'"),
        ("[mesh]\ntensor = 3\ndata = -1", "does not fit 16 ranks"),
        ("[mesh]\npipeline = 9", "too few for 9 stages"),
        ('stages = [["wte*"], ["h.*"]]\n[mesh]\npipeline = 2', "2 tensors belong to no stage: norm.weight, count"),
        ('stages = [["wte*"], ["*"]]\n[mesh]\npipeline = 3', "2 stages are listed, the mesh has 3"),
        ("tensor = 2", "unknown key 'tensor'"),
        ("[split]\n", "[mesh] needs axes"),
        ("[mesh]\ntensor = 0", "mesh['tensor'] should be the number of its ranks"),
        ("[mesh]\na = -1\nb = -1", "one axis of [mesh]"),
        ('preset = "lama"', "unknown preset 'lama'"),
        ('[mesh]\ntensor = 2\n[split]\n"*" = { data = 0 }', "names the axis 'data', which [mesh] has not"),
        ('[mesh]\ntensor = 2\n[split]\n"*" = 0', "split['*'] should be an object, and is 0"),
        ('[mesh]\npipeline = 2\n[split]\n"*" = { pipeline = 0 }', "gives tensors to stages and splits none"),
        ("stages = [1]\n[mesh]\npipeline = 2", "stages[0] should be a list"),
        ("[mesh", "The plan can't be read"),
    ],
)
def test_what_can_not_be_carried_out_is_refused(text: str, said: str, tmp_path: Path) -> None:
    ranks = 16 if "does not fit" in said else None
    with pytest.raises(UsageError) as caught:
        plan(text, tmp_path).settle(TENSORS, ranks)
    assert said in str(caught.value)


def test_all_that_can_not_be_split_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        plan('[mesh]\ntensor = 128\n[split]\n"*" = { tensor = 0 }', tmp_path).settle(TENSORS)
    assert all(name in str(caught.value) for name in ("wte.weight", "h.0.attn", "h.1.attn", "norm.weight", "count"))


def test_a_plan_for_other_names_is_refused() -> None:
    with pytest.raises(UsageError, match="no name matches any of its 3 patterns"):
        estimate(ShardingPlan({"a": 2}, [(name, {}) for name in "abc"]), {"x": Sized((4,), 4)})


def test_a_missing_plan_is_told_with_the_presets() -> None:
    with pytest.raises(UsageError, match="No such file") as caught:
        read_sharding_plan("lama")
    assert "gpt2" in str(caught.value)


# -- stages --------------------------------------------------------------------------------------------------------


def test_what_shares_a_tensor_shares_a_stage() -> None:
    """A head tied to the embedding has a bias, which another module holds too: all compute in the first stage."""
    sizes = {
        "embed.weight": (400, "embed.weight"), "layer.0.w": (400, "layer.0.w"), "layer.1.w": (400, "layer.1.w"),
        "head.bias": (4, "head.bias"), "head.decoder.weight": (400, "embed.weight"),
        "head.decoder.bias": (4, "head.bias"),
    }  # fmt: skip
    assert balanced_stages(sizes, 2) == {
        "embed.weight": 0, "layer.0.w": 1, "layer.1.w": 1, "head.bias": 0, "head.decoder.weight": 0,
        "head.decoder.bias": 0,
    }  # fmt: skip


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.data())
def test_stages_are_in_order_and_as_even_as_can_be(sizes: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(sizes)))
    found = list(balanced_stages({f"layer.{n}.w": (size, "") for n, size in enumerate(sizes)}, count).values())
    assert found == sorted(found) and set(found) == set(range(count))
    largest = max(sum(size for size, at in zip(sizes, found, strict=True) if at == stage) for stage in range(count))
    assert largest == _smallest_largest(sizes, count)


def _smallest_largest(sizes: list[int], count: int) -> int:
    """By trying every cut."""
    best = {0: 0}  # for the first n items in the parts so far
    for part in range(count):
        best = {
            stop: min(max(best[start], sum(sizes[start:stop])) for start in best if start < stop)
            for stop in range(part + 1, len(sizes) + 1)
            if any(start < stop for start in best)
        }
    return best[len(sizes)]


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("model.layers.11.mlp.0.weight", "model.layers.11"),
        ("encoder.layers.encoder_layer_3.mlp.0.weight", "encoder.layers.encoder_layer_3"),
        ("layer1.0.conv1.weight", "layer1.0"),
        ("0.weight", "0"),
        ("class_token", "class_token"),
    ],
)
def test_a_layer_is_not_cut(name: str, layer: str) -> None:
    assert layer_of(name) == layer


# -- patterns and presets ------------------------------------------------------------------------------------------


def test_patterns() -> None:
    assert matches("*.{q,k}.{w,b}", "a.k.b") and not matches("*.{q,k}.w", "a.v.w") and matches("h.[01].?", "h.1.w")
    assert not matches("wte", "wte.weight") and matches("a+b*", "a+bc")


NAMES = """
import json, scripts.models, torch, transformers as t
torch.set_default_device("meta")
small = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, vocab_size=256)
models = {
    "llama": t.LlamaForCausalLM(t.LlamaConfig(num_key_value_heads=2, **small)),
    "mixtral": t.MixtralForCausalLM(t.MixtralConfig(num_key_value_heads=2, num_local_experts=4, **small)),
    "gpt2": t.GPT2LMHeadModel(t.GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=256)),
    "neox": t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**small)),
    "opt": t.OPTForCausalLM(t.OPTConfig(ffn_dim=128, word_embed_proj_dim=64, **{k: v for k, v in small.items() if k != "intermediate_size"})),
    "bert": t.BertForMaskedLM(t.BertConfig(**small)),
    "t5": t.T5ForConditionalGeneration(t.T5Config(d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, vocab_size=256)),
    "torch": torch.nn.Transformer(64, 4, 2, 2, 128),
}
print(json.dumps({name: {key: list(v.shape) for key, v in m.state_dict().items()} for name, m in models.items()}))
"""  # noqa: E501


@pytest.mark.oneflow  # once is enough
def test_the_presets_split_the_models_they_are_for(torch_python: Path) -> None:
    done = subprocess.run([torch_python, "-W", "ignore", "-c", NAMES], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    models = json.loads(done.stdout.strip().rpartition("\n")[2])
    assert set(models) == set(presets()) - {"data", "zero", "pipeline", "timm"}
    for preset, shapes in models.items():
        sizes = {name: Sized(tuple(shape), 4) for name, shape in shapes.items()}
        found = estimate(read_sharding_plan(preset), sizes, 2)
        positions = ("position", "wpe")
        repeated = [
            name
            for name, nbytes in found.repeated.items()
            if nbytes >= 64 * 64 * 4 and not any(word in name for word in positions)
        ]
        assert not repeated, (preset, repeated)
        assert found.imbalance < 1.01, preset
