"""What DeepSpeed, FSDP and PEFT wrote becomes the state dict that these libraries themselves make of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torch2flow
from torch2flow.checking import check
from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.frameworks.flat_partitions import blocks, pieces_of
from torch2flow.checkpoints.inspection import hints
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pytorch import Checkpoint, TensorRef
from torch2flow.checkpoints.pytorch.tensor import in_memory
from torch2flow.errors import FormatError, UnsupportedError, UsageError

FILES = Path(__file__).resolve().parents[2] / "fixtures" / "frameworks"


def values(checkpoint: Checkpoint, name: str) -> np.ndarray:
    tensor = checkpoint[name]
    assert isinstance(tensor, TensorRef)
    pieces = [np.asarray(chunk) for chunk in tensor.chunks()]
    whole = np.concatenate(pieces).reshape(tensor.shape)
    assert np.array_equal(whole, tensor.numpy()), f"{name}: chunks() and numpy() differ"
    return whole


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_zero_partitions_are_put_together_as_zero_to_fp32_does(stage: int) -> None:
    found, expected = (
        open_checkpoint(FILES / f"deepspeed-{stage}"),
        open_checkpoint(FILES / f"deepspeed-{stage}" / "expected.safetensors"),
    )
    assert (found.format, found.key) == ("deepspeed", "module")
    for name, tensor in expected.items():
        assert found[name].dtype is tensor.dtype
        assert np.array_equal(values(found, name), tensor.numpy()), name
    assert found.aliases == [["emb.weight", "head.weight"]]
    frozen = {"frozen.weight", "frozen.bias"}  # stage 1 keeps them in the module alone
    assert set(found) - frozen == set(expected) - frozen and frozen <= set(found)


def test_a_missing_or_foreign_partition_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(FILES / "deepspeed-3" / "global_step2", folder)
    for ending in ("model", "optim"):
        for file in folder.glob(f"*rank_1*{ending}_states.pt"):
            file.unlink()
    with pytest.raises(FormatError, match="1 ranks, and the checkpoint is one of 2"):
        open_checkpoint(folder)
    other = folder / "bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt"
    shutil.copy(FILES / "deepspeed-2" / "global_step2" / other.name, other)
    with pytest.raises(FormatError, match="has no fp32_flat_groups"):
        open_checkpoint(folder)


def test_a_model_that_is_spread_over_ranks_is_refused(tmp_path: Path) -> None:
    shutil.copytree(FILES / "deepspeed-2" / "global_step2", tmp_path / "a")
    (tmp_path / "a" / "mp_rank_01_model_states.pt").write_bytes(b"")
    with pytest.raises(UnsupportedError, match="tensor parallel"):
        open_checkpoint(tmp_path / "a")
    shutil.copytree(FILES / "deepspeed-2" / "global_step2", tmp_path / "b")
    (tmp_path / "b" / "layer_01-model_00-model_states.pt").write_bytes(b"")
    with pytest.raises(UnsupportedError, match="pipeline"):
        open_checkpoint(tmp_path / "b")


def test_emptied_weights_are_refused_by_name(tmp_path: Path) -> None:
    file = FILES / "deepspeed-3" / "global_step2" / "zero_pp_rank_0_mp_rank_00_model_states.pt"
    with pytest.raises(UnsupportedError, match="5 of 5 weights have no elements: emb.weight") as error:
        torch2flow.convert(file, tmp_path / "out")
    assert "ZeRO stage 3" in error.value.maybe and not (tmp_path / "out").exists()


def test_flat_parameters_are_refused_by_name(torch: Any, tmp_path: Path) -> None:
    torch.save(
        {"layer._fsdp_wrapped_module._flat_param": torch.ones(20), "norm.weight": torch.ones(2)}, tmp_path / "local.pt"
    )
    with pytest.raises(UnsupportedError, match="FSDP's flat parameters"):
        torch2flow.convert(tmp_path / "local.pt", tmp_path / "out")


def test_parts_in_the_files_of_all_ranks_are_put_together() -> None:
    for given in ("model_world_size_4_rank_2.pt", "model_world_size_4_rank_0.pt"):
        found = open_checkpoint(FILES / "ranks" / given)
        assert (found.format, found.key, found.root["step"]) == ("ranks' files", "model", 7)
        assert len(found) == 8
        for name, tensor in found.items():
            assert np.array_equal(values(found, name).reshape(-1), np.arange(float(tensor.numel))), name
    sharded = open_checkpoint(FILES / "ranks" / "sharded-rank3.pt")
    assert np.array_equal(values(sharded, "sharded.weight"), np.arange(35.0).reshape(7, 5))


def test_the_folder_of_all_ranks_is_the_model(tmp_path: Path) -> None:
    assert len(open_checkpoint(FILES / "ranks")) == 8
    shutil.copytree(FILES / "ranks", tmp_path / "ranks", ignore=shutil.ignore_patterns("model*"))
    with pytest.raises(UsageError, match=r"partial_rank_\*\.pt, sharded-rank\*\.pt"):
        open_checkpoint(tmp_path / "ranks")


def test_a_rank_alone_and_a_sum_are_refused_by_name(tmp_path: Path) -> None:
    shutil.copy(FILES / "ranks" / "model_world_size_4_rank_1.pt", tmp_path / "part.pt")
    with pytest.raises(UnsupportedError) as error:
        torch2flow.convert(tmp_path / "part.pt", tmp_path / "out")
    assert (
        "torch.distributed.tensor.DTensor [7, 5] (Replicate, Shard(0)): this file has one rank's part"
        in error.value.what
    )
    with pytest.raises(UnsupportedError, match=r"\(Partial\(sum\)\): each rank holds a summand of it"):
        torch2flow.convert(FILES / "ranks" / "partial_rank_0.pt", tmp_path / "out")
    for rank in (0, 1, 3):
        shutil.copy(FILES / "ranks" / f"model_world_size_4_rank_{rank}.pt", tmp_path)
    with pytest.raises(FormatError, match="overlap or leave holes|has the shape"):
        open_checkpoint(tmp_path / "model_world_size_4_rank_0.pt")


@pytest.mark.parametrize("shape", [(4, 5), (3, 1, 4), (7,), (2, 3, 2, 2), ()])
def test_every_run_of_a_flat_vector_is_covered_by_its_blocks(shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape))
    numbers = np.arange(size, dtype="<f4")
    for first in range(size):
        for last in range(first, size + 1):
            flat = [
                index
                for start, extent in blocks(shape, first, last)
                for index in np.arange(size)
                .reshape(shape)[tuple(slice(a, a + n) for a, n in zip(start, extent, strict=True))]
                .reshape(-1)
            ]
            assert flat == list(range(first, last))
    runs = [in_memory(numbers[a:b], DTYPES["float32"]) for a, b in ((0, size // 3), (size // 3, size))]
    whole = np.empty(shape, "<f4")
    for start, piece in pieces_of(shape, iter(runs)):
        whole[tuple(slice(a, a + n) for a, n in zip(start, piece.shape, strict=True))] = piece.numpy()
    assert np.array_equal(whole.reshape(-1), numbers)


@pytest.mark.parametrize("name", ["linear", "conv1d", "rslora", "patterns", "bias"])
def test_an_adapter_is_merged_as_peft_does(name: str, tmp_path: Path) -> None:
    folder = FILES / f"lora-{name}"
    options = torch2flow.Options(merge_adapter=str(folder / "base.safetensors"))
    result = torch2flow.convert(folder, tmp_path / "out.safetensors", options)
    found, expected = open_checkpoint(result.out), open_checkpoint(folder / "expected.safetensors")
    base = open_checkpoint(folder / "base.safetensors")
    assert set(found) == set(expected)
    changed = 0
    for key, tensor in expected.items():
        assert found[key].dtype is tensor.dtype
        ours, theirs = found[key].numpy().astype("f8"), tensor.numpy().astype("f8")
        assert np.allclose(ours, theirs, rtol=0, atol=2e-6 if tensor.dtype.name == "float32" else 0), key
        changed += not np.array_equal(theirs, base[key].numpy().astype("f8"))
    assert changed >= 1
    assert not check(result.out, folder).differences


def test_the_block_of_a_merged_weight_is_its_own(tmp_path: Path) -> None:
    from torch2flow.checkpoints.frameworks.adapters import merged

    folder = FILES / "lora-linear"
    found = merged(open_checkpoint(folder), open_checkpoint(folder / "base.safetensors"))
    for name, start, stop in (("square.weight", (3, 2), (9, 11)), ("conv.weight", (1, 0, 1, 0), (3, 2, 3, 3))):
        window = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        tensor = found[name]
        assert isinstance(tensor, TensorRef)
        assert np.allclose(tensor.region(start, stop).numpy(), tensor.numpy()[window], atol=1e-6)


def test_an_adapter_that_is_no_sum_or_fits_no_base_is_refused(tmp_path: Path) -> None:
    folder = FILES / "lora-dora"
    with pytest.raises(UnsupportedError, match="use_dora"):
        torch2flow.convert(folder, tmp_path / "out", torch2flow.Options(merge_adapter=str(folder / "base.safetensors")))
    with pytest.raises(UsageError, match="no weights for 4 of the adapter's"):
        base = FILES / "packed" / "gptq-4.pt"
        torch2flow.convert(
            FILES / "lora-linear", tmp_path / "out", torch2flow.Options(merge_adapter=str(base), quantized="dequantize")
        )
    copy = tmp_path / "copy"
    shutil.copytree(FILES / "lora-patterns", copy)
    config = json.loads((copy / "adapter_config.json").read_text())
    config["rank_pattern"] = {"(a+)+$": 2}
    (copy / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedError, match="more than a name"):
        torch2flow.convert(copy, tmp_path / "out", torch2flow.Options(merge_adapter=str(copy / "base.safetensors")))


def test_an_adapter_that_is_kept_apart_is_told(tmp_path: Path) -> None:
    result = torch2flow.convert(FILES / "lora-linear", tmp_path / "out")
    assert len(result.plan.entries) == 8
    assert any("--merge-adapter BASE" in note for note in result.plan.notes)
    assert any("--merge-adapter BASE" in note for note in hints(open_checkpoint(FILES / "lora-linear")))


def test_the_folders_of_accelerate_and_the_trainer_hold_those_of_fsdp_and_deepspeed(tmp_path: Path) -> None:
    dcp = FILES.parent / "torch-2.13.0" / "dcp_fsdp"
    shutil.copytree(dcp, tmp_path / "checkpoint-500" / "pytorch_model_fsdp_0")
    found, expected = open_checkpoint(tmp_path / "checkpoint-500"), open_checkpoint(dcp)
    assert found.format == "dcp" and list(found) == list(expected)
    shutil.copytree(FILES / "deepspeed-2" / "global_step2", tmp_path / "state" / "pytorch_model")
    assert open_checkpoint(tmp_path / "state").format == "deepspeed"


def test_latest_names_no_folder_elsewhere(tmp_path: Path) -> None:
    shutil.copytree(FILES / "deepspeed-2" / "global_step2", tmp_path / "secret")
    (tmp_path / "run").mkdir()
    for name in ("../secret", str(tmp_path / "secret"), "..", "", "a\0b"):
        (tmp_path / "run" / "latest").write_text(name)
        with pytest.raises(FormatError, match="no checkpoint that torch2flow knows"):
            open_checkpoint(tmp_path / "run")
