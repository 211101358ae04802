"""What a plan costs, from headers alone: small enough to count by hand, and a trillion parameters."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.trillion import LAYERS, embeddings, layer
from torch2flow.checkpoints.sharding import read_sharding_plan
from torch2flow.checkpoints.sharding.sharding_plan import ShardingPlan, Sized
from torch2flow.scale.estimate import PAGE, estimate


def test_what_each_rank_holds_and_reads() -> None:
    sizes = {"a": Sized((6, 1024), 4), "b": Sized((6, 1024), 4), "c": Sized((3,), 4), "d": Sized((6, 1024), 4, "a")}
    plan = ShardingPlan({"x": 2}, [("a", {"x": 0}), ("b", {"x": 1})])
    found = estimate(plan, sizes, speed=1e6)
    assert found.whole == 2 * 6 * 4096 + 12
    assert found.held.tolist() == [2 * 3 * 4096 + 12] * 2
    # Half a row of b is half a page long, so both ranks read all of it.
    assert found.touched.tolist() == [3 * 4096 + 6 * 4096 + PAGE * 2 // 2 - 4096 + 12] * 2
    assert found.repeated == {"c": 12} and found.imbalance == 1
    assert found.seconds == pytest.approx(found.touched.max() / 1e6)


def test_uneven_splits_show_as_imbalance() -> None:
    found = estimate(ShardingPlan({"x": 4}, [("a", {"x": 0})]), {"a": Sized((5, 10), 2)})
    assert found.held.tolist() == [40, 20, 20, 20] and found.imbalance == pytest.approx(1.6)


def test_stages_hold_their_own_tensors() -> None:
    sizes = {f"layer.{n}.w": Sized((10,), 4) for n in range(4)}
    found = estimate(read_sharding_plan("pipeline"), sizes, 2)
    assert found.held.tolist() == [80, 80] and not found.repeated


@pytest.fixture(scope="module")
def trillion(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A Llama of a trillion parameters in bfloat16, sharded: headers are real, the rest of each file is a hole."""
    folder = tmp_path_factory.mktemp("trillion")
    weight_map: dict[str, str] = {}
    parameters = 0
    for number in range(LAYERS + 1):
        rows = layer(number) if number < LAYERS else embeddings()
        at, header = 0, {}
        for name, shape in rows.items():
            count = int(np.prod(shape))
            header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + 2 * count]}
            at, parameters = at + 2 * count, parameters + count
            weight_map[name] = f"model-{number}.safetensors"
        raw = json.dumps(header).encode()
        with open(folder / f"model-{number}.safetensors", "wb") as stream:
            stream.write(struct.pack("<Q", len(raw)) + raw)
            stream.truncate(8 + len(raw) + at)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder / "model.safetensors.index.json", parameters


@pytest.mark.parametrize(("ranks", "mesh"), [(1024, "data = 8\npipeline = 2\ntensor = -1"), (4096, "tensor = -1")])
def test_a_trillion_parameters(ranks: int, mesh: str, trillion: tuple[Path, int], run_cli: Any, tmp_path: Path) -> None:
    source, parameters = trillion
    assert 0.9e12 < parameters < 1.1e12
    whole = '"*k_proj.weight" = {}\n"*v_proj.weight" = {}\n' if ranks == 4096 else ""
    (tmp_path / "plan.toml").write_text(f'preset = "llama"\n[mesh]\n{mesh}\n[split]\n{whole}')
    code, out, err = run_cli("plan", source, tmp_path / "plan.toml", "--ranks", ranks, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["bytes"] == 2 * parameters and found["ranks"] == ranks
    if ranks == 1024:
        assert found["bytes_per_rank"]["mean"] == pytest.approx(2 * parameters / 128, rel=1e-3)
        assert found["imbalance"] < 1.01
    else:
        assert found["bytes_per_rank"]["least"] > 2 * parameters / 4096
    code, out, _ = run_cli("plan", source, tmp_path / "plan.toml", "--ranks", ranks)
    assert code == 0 and f"{ranks:,} ranks" in out and "imbalance" in out
    code, _, err = run_cli("plan", source, tmp_path / "plan.toml", "--ranks", 30001)
    assert code == 2 and ("does not fit" in err or "some ranks would hold nothing" in err)
