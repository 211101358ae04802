"""`torch2flow diff` on real files: what is found, how it is told, and how it ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import torch2flow
from torch2flow.checkpoints.dtypes import DTYPES

WRITTEN = "torch-2.13.0"
STATE_DICT = f"{WRITTEN}/state_dict-zip.pth"
SAFETENSORS = {np.dtype(getattr(ml_dtypes, row.numpy, row.numpy)): row.safetensors for row in DTYPES.values()
               if row.safetensors and row.kind in "biufc"}  # fmt: skip


@pytest.fixture
def source(fixtures: Path) -> Path:
    return fixtures / STATE_DICT


def write(path: Path, **tensors: np.ndarray[Any, Any]) -> Path:
    """A safetensors file of these arrays: `__` in a name stands for a dot."""
    header, body = {}, b""
    for name, array in tensors.items():
        span = [len(body), len(body) + array.nbytes]
        dtype = SAFETENSORS[array.dtype]
        header[name.replace("__", ".")] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": span}
        body += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def only_row(a: Path, b: Path) -> Any:
    """The one row of a comparison."""
    (row,) = torch2flow.diff(a, b).rows
    return row


# -- equal ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out", "out.of", "out.safetensors", "out.pth"])
def test_a_checkpoint_and_what_was_made_of_it_are_equal(run_cli: Any, source: Path, tmp_path: Path, name: str) -> None:
    torch2flow.convert(source, tmp_path / name)
    code, out, err = run_cli("diff", source, tmp_path / name)
    assert (code, out, err) == (0, "equal, bit for bit: 9 tensors\n", "")


@pytest.mark.parametrize(
    "name", ["dtypes", "views", "conj_neg", "quantized", "sparse_coo", "sparse_compressed", "tensor", "containers"]
)
def test_what_is_no_plain_tensor_is_compared_too(run_cli: Any, fixtures: Path, name: str) -> None:
    pair = (fixtures / WRITTEN / f"{name}-{form}.pth" for form in ("zip", "legacy"))
    assert run_cli("diff", *pair, "--key-a", ".", "--key-b", ".", "-q") == (0, "", "")


@pytest.mark.parametrize(
    "pair",
    [
        ("sharded_bin", "sharded_safetensors"),
        ("net.pt2", "net.safetensors"),
        ("scripted.pt", "state_dict-zip.pth"),
        ("traced.pt", "scripted.pt"),
        ("module-zip.pth", "dcp_flat"),
        ("sharded_safetensors", "dcp_1_rank"),
    ],
)
def test_one_model_in_two_containers_is_equal(run_cli: Any, fixtures: Path, pair: tuple[str, str]) -> None:
    assert run_cli("diff", *(fixtures / WRITTEN / name for name in pair), "-q") == (0, "", "")


def test_a_bfloat16_folder_that_stores_float32_is_equal_to_its_source(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal(3 << 20).astype(ml_dtypes.bfloat16)  # chunks of other lengths
    a = write(tmp_path / "a.safetensors", w=values, empty=np.zeros((0, 3), "f4"), scalar=np.array(2.5, "f8"))
    torch2flow.convert(a, tmp_path / "out")
    found = torch2flow.diff(a, tmp_path / "out")
    assert not found.differs and found.counts["equal"] == 3


def test_a_file_is_equal_to_itself(run_cli: Any, source: Path) -> None:
    code, out, _ = run_cli("diff", source, source, "--all")
    assert code == 0 and "conv.weight" in out and "4x3x3x3" in out


def test_tensors_without_values_are_not_passed_over_in_silence(run_cli: Any, fixtures: Path) -> None:
    pair = (fixtures / WRITTEN / f"meta-{form}.pth" for form in ("zip", "legacy"))
    code, out, _ = run_cli("diff", *pair)
    assert code == 0 and "4 have no values in the file" in out


def test_what_pytorch_and_safetensors_write_of_one_model_is_equal(torch: Any, run_cli: Any, tmp_path: Path) -> None:
    state = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8)).state_dict()
    torch.save(state, tmp_path / "a.pth")
    write(tmp_path / "b.safetensors", **{name: value.numpy() for name, value in state.items()})
    assert run_cli("diff", tmp_path / "a.pth", tmp_path / "b.safetensors", "-q") == (0, "", "")
    state["0.bias"][5] += 1
    torch.save(state, tmp_path / "c.pth")
    row = torch2flow.diff(tmp_path / "a.pth", tmp_path / "c.pth").rows[0]
    assert (row.name, row.status, row.values.index, row.values.different) == ("0.bias", "values differ", (5,), 1)
    assert row.values.largest == pytest.approx(1)


# -- values --------------------------------------------------------------------------------------------------


def test_one_bit_is_located(run_cli: Any, source: Path, tmp_path: Path) -> None:
    torch2flow.convert(source, tmp_path / "out")
    weights = tmp_path / "out/weights/conv.weight/out"
    data = bytearray(weights.read_bytes())
    data[4 * 59] ^= 1  # element 59 of 4x3x3x3
    weights.write_bytes(data)
    code, out, _ = run_cli("diff", source, tmp_path / "out")
    assert code == 1 and "different; values differ: 1, equal: 8" in out
    assert "conv.weight" in out and "1 of 108 (0.93%)" in out and "[2, 0, 1, 2]" in out
    assert "bn.weight" not in out


def test_a_difference_beyond_the_first_chunks_is_located(tmp_path: Path) -> None:
    one = np.zeros((3000, 1000), "f4")
    other = one.copy()
    other[2998, 17], other[5, 5] = -3, 1
    row = only_row(write(tmp_path / "a", w=one), write(tmp_path / "b", w=other))
    assert (row.values.different, row.values.index, row.values.largest) == (2, (2998, 17), 3.0)
    assert (row.values.a, row.values.b, row.values.relative) == ("0.0", "-3.0", 1.0)


def test_nans_are_told_apart(tmp_path: Path) -> None:
    a = np.array([1, np.nan, np.nan, 4, np.inf, 0], "f4")
    b = np.array([1, np.nan, 3, np.nan, np.inf, 0], "f4")
    b.view("u4")[1] ^= 1
    row = only_row(write(tmp_path / "a", w=a), write(tmp_path / "b", w=b))
    assert (row.values.different, row.values.nan_a, row.values.nan_b, row.values.nan_bits) == (3, 1, 1, 1)
    assert (row.values.index, row.values.largest) == ((2,), 0.0)
    assert row.remarks == ["NaN: 1 in A only, 1 in B only", "1 NaN with other bits"]
    same = write(tmp_path / "c", w=a)
    assert not torch2flow.diff(tmp_path / "a", same).differs, "the same NaN is no difference"


@pytest.mark.parametrize(
    ("a", "b", "largest", "relative"),
    [
        (np.array([0.0], "f4"), np.array([-0.0], "f4"), 0.0, 0.0),
        (np.array([np.inf], "f4"), np.array([1.0], "f4"), np.inf, np.inf),
        (np.array([-(2**63)], "i8"), np.array([2**63 - 1], "i8"), 2.0**64, 2.0),
        (np.array([2**53], "i8"), np.array([2**53 + 1], "i8"), 1.0, 2.0**-53),
        (np.array([True]), np.array([False]), 1.0, 1.0),
        (np.array([3 + 0j], "c8"), np.array([3 + 4j], "c8"), 4.0, 0.8),
        (np.array([complex(np.inf, 1)], "c8"), np.array([complex(np.inf, 2)], "c8"), np.inf, np.inf),
        (np.array([1.5], ml_dtypes.float8_e5m2), np.array([3], ml_dtypes.float8_e5m2), 1.5, 0.5),
    ],
)
def test_the_distance(tmp_path: Path, a: Any, b: Any, largest: float, relative: float) -> None:
    row = only_row(write(tmp_path / "a", w=a), write(tmp_path / "b", w=b))
    assert (row.status, row.values.different, row.values.index) == ("values differ", 1, (0,))
    assert (row.values.largest, row.values.relative) == (largest, relative)
    json.dumps(row.to_json(), allow_nan=False)


def test_the_worst_comes_first(tmp_path: Path) -> None:
    a = write(tmp_path / "a", small=np.zeros(3, "f4"), nan=np.zeros(3, "f4"), large=np.zeros(3, "f4"))
    b = write(tmp_path / "b", small=np.full(3, 0.1, "f4"), nan=np.full(3, np.nan, "f4"), large=np.ones(3, "f4"))
    assert [row.name for row in torch2flow.diff(a, b).rows] == ["nan", "large", "small"]


# -- dtypes and shapes ---------------------------------------------------------------------------------------


def test_other_dtypes_are_compared_by_value(run_cli: Any, source: Path, tmp_path: Path) -> None:
    torch2flow.convert(source, tmp_path / "half.safetensors", torch2flow.Options(dtype="float16"))
    code, out, _ = run_cli("diff", source, tmp_path / "half.safetensors")
    assert code == 1 and "dtype differs: 8" in out and out.count("B is A rounded to float16") == 8


@pytest.mark.parametrize(
    ("a", "b", "different", "remarks"),
    [
        (np.array([1, 2], "f4"), np.array([1, 2], "f8"), 0, ["the same values"]),
        (np.array([1, np.nan], "f4"), np.array([1, np.nan], ml_dtypes.bfloat16), 0, ["the same values"]),
        (np.array([0.1, 2], "f4"), np.array([0.1, 2], ml_dtypes.bfloat16), 1, ["B is A rounded to bfloat16"]),
        (np.array([0.5, 2], "f2"), np.array([0.5, 2.5], "f4"), 1, []),
        (np.array([2**53 + 1], "i8"), np.array([2.0**53], "f8"), 1, []),
        (np.array([-1], "i8"), np.array([2**64 - 1], "u8"), 1, []),
        (np.array([2**63 - 1], "i8"), np.array([2**63], "u8"), 1, []),
        (np.array([2**63 - 1], "i8"), np.array([2**63 - 1], "u8"), 0, ["the same values"]),
        (np.array([True]), np.array([1], "i4"), 0, ["the same values"]),
    ],
)
def test_dtypes(tmp_path: Path, a: Any, b: Any, different: int, remarks: list[str]) -> None:
    row = only_row(write(tmp_path / "a", w=a), write(tmp_path / "b", w=b))
    assert (row.status, row.values.different, row.remarks) == ("dtype differs", different, remarks)
    assert (row.values.index is None) == (not different) == (row.values.largest == 0)


@pytest.mark.filterwarnings("ignore:.*quantize")
def test_what_is_no_plain_tensor_is_compared_part_by_part(torch: Any, tmp_path: Path) -> None:
    values = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    rows = {}
    for side, scale in (("a", 0.1), ("b", 0.2)):
        tensors = {
            "scaled": torch.quantize_per_tensor(values * scale, scale, 0, torch.qint8),  # the same integers
            "sparse": (values * scale).to_sparse(),
        }
        torch.save(tensors, tmp_path / side)
    rows = {row.name: row for row in torch2flow.diff(tmp_path / "a", tmp_path / "b").rows}
    assert {row.status for row in rows.values()} == {"values differ"}
    assert rows["scaled"].remarks == ["scale: 0.1 in A, 0.2 in B"] and rows["scaled"].values.different == 0
    assert rows["sparse"].remarks == ["values differs"] and rows["sparse"].values.different == 3


def test_a_quantized_tensor_is_compared_with_the_numbers_it_stands_for(fixtures: Path, tmp_path: Path) -> None:
    quantized = fixtures / WRITTEN / "quantized-zip.pth"
    torch2flow.convert(quantized, tmp_path / "out", torch2flow.Options(quantized="dequantize"))
    found = torch2flow.diff(quantized, tmp_path / "out")
    rows = found.group("dtype differs")
    assert rows and all(row.values is not None and row.remarks == ["the same values"] for row in rows)
    assert not found.group("values differ")


def test_other_shapes(tmp_path: Path) -> None:
    a = write(tmp_path / "a", flat=np.arange(6, dtype="f4"), other=np.zeros(3, "f4"), empty=np.zeros((0, 2), "f4"))
    b = write(tmp_path / "b", flat=np.arange(6, dtype="f4").reshape(2, 3), other=np.zeros((), "f4"),
              empty=np.zeros((2, 0), "f4"))  # fmt: skip
    rows = {row.name: row for row in torch2flow.diff(a, b).group("shape differs")}
    assert rows["flat"].remarks == ["the same values"]
    assert rows["other"].values is None and rows["other"].shape_b == ()
    assert rows["empty"].values is None


# -- names ---------------------------------------------------------------------------------------------------


def test_what_is_missing_is_told(run_cli: Any, tmp_path: Path) -> None:
    a = write(tmp_path / "a", both=np.zeros(2, "f4"), left=np.zeros((2, 3), "f4"))
    b = write(tmp_path / "b", both=np.zeros(2, "f4"), right=np.zeros((), "i8"))
    code, out, _ = run_cli("diff", a, b)
    assert code == 1 and "different; only in A: 1, only in B: 1, equal: 1" in out
    assert "left" in out and "2x3" in out and "right" in out and "scalar" in out and "--rename" not in out


def test_a_prefix_is_suggested_and_the_suggestion_works(run_cli: Any, fixtures: Path, tmp_path: Path) -> None:
    a, b = fixtures / WRITTEN / "data_parallel-zip.pth", tmp_path / "b.safetensors"
    torch2flow.convert(a, b, torch2flow.Options(rename=((r"^module\.", ""),)))
    code, out, _ = run_cli("diff", a, b)
    assert code == 1 and r"--rename '^module\.='" in out
    assert run_cli("diff", a, b, "--rename", r"^module\.=", "-q") == (0, "", "")
    _, out, _ = run_cli("diff", b, a)
    assert "--rename '^=module.'" in out
    assert run_cli("diff", b, a, "--rename", "^=module.", "-q") == (0, "", "")


def test_one_prefix_becomes_another(tmp_path: Path) -> None:
    shapes = {"fc__weight": (2, 3), "fc__bias": (2,), "norm__bias": (3,)}
    a = write(tmp_path / "a", **{f"model__{n}": np.zeros(s, "f4") for n, s in shapes.items()}, step=np.array(1))
    b = write(tmp_path / "b", **{f"net__body__{n}": np.zeros(s, "f4") for n, s in shapes.items()})
    found = torch2flow.diff(a, b)
    assert found.suggestion == (r"^model\.", "net.body.")
    assert torch2flow.diff(a, b, rename=[found.suggestion]).counts["equal"] == 3


def test_a_suffix_is_suggested_and_the_suggestion_works(tmp_path: Path) -> None:
    shapes = {"fc__weight": (2, 3), "fc__bias": (2,), "norm__bias": (3,)}
    a = write(tmp_path / "a", **{n: np.zeros(s, "f4") for n, s in shapes.items()})
    b = write(tmp_path / "b", **{f"{n}:0": np.zeros(s, "f4") for n, s in shapes.items()})
    for one, other, rule in ((a, b, ("$", ":0")), (b, a, (":0$", ""))):
        assert torch2flow.diff(one, other).suggestion == rule
        assert not torch2flow.diff(one, other, rename=[rule]).differs


def test_names_that_have_nothing_in_common_get_no_suggestion(tmp_path: Path) -> None:
    a = write(tmp_path / "a", fc__weight=np.zeros((2, 3), "f4"))
    b = write(tmp_path / "b", module__fc__weight=np.zeros((3, 2), "f4"))
    assert torch2flow.diff(a, b).suggestion is None, "the names would align, the shapes would not"


def test_a_tie_explains_a_missing_name(run_cli: Any, fixtures: Path, tmp_path: Path) -> None:
    tied = fixtures / WRITTEN / "module_tied-zip.pth"
    torch2flow.convert(tied, tmp_path / "b.safetensors", torch2flow.Options(exclude=("^head",)))
    code, out, _ = run_cli("diff", tied, tmp_path / "b.safetensors")
    assert code == 1 and "tied to embed.weight, which B has" in out
    code, out, _ = run_cli("diff", tmp_path / "b.safetensors", tied)
    assert code == 1 and "tied to embed.weight, which A has" in out


def test_a_tie_on_one_side_is_a_note_and_no_difference(run_cli: Any, fixtures: Path, tmp_path: Path) -> None:
    tied = fixtures / WRITTEN / "module_tied-zip.pth"
    torch2flow.convert(tied, tmp_path / "b.safetensors")
    code, out, _ = run_cli("diff", tied, tmp_path / "b.safetensors")
    assert code == 0 and "note: tied in A only: embed.weight = head.weight" in out
    _, out, _ = run_cli("diff", tied, fixtures / WRITTEN / "tied.pt2")
    assert "tied in" not in out, "both are tied in the same way"


def test_include_and_exclude_choose_by_the_names_after_renaming(fixtures: Path) -> None:
    a, b = (fixtures / WRITTEN / f"{name}-zip.pth" for name in ("data_parallel", "state_dict"))
    found = torch2flow.diff(a, b, rename=[(r"^module\.", "")], include=["^bn"], exclude=["running", "num_batches"])
    assert sorted(row.name for row in found.rows) == ["bn.bias", "bn.weight"]
    assert {row.original for row in found.rows} == {"module.bn.bias", "module.bn.weight"}


def test_keys_choose_the_part_of_each(run_cli: Any, fixtures: Path) -> None:
    candidates = fixtures / WRITTEN / "candidates-zip.pth"
    assert run_cli("diff", candidates, candidates, "--key-a", "state_dict", "-q")[0] == 0
    code, _, err = run_cli("diff", candidates, candidates, "--key-b", "state_dct")
    assert code == 2 and "did you mean state_dict" in err


def test_names_never_reach_the_terminal_raw(run_cli: Any, tmp_path: Path) -> None:
    a = write(tmp_path / "a", **{"x\x1b[31m[red]y": np.zeros(2, "f4"), "evil\n[/]": np.zeros(2, "f4")})
    b = write(tmp_path / "b", **{"x\x1b[31m[red]y": np.ones(2, "f4"), "b\u202e": np.zeros(2, "f4")})
    for how in ((), ("--all",), ("--json",)):
        code, out, err = run_cli("diff", a, b, *how)
        assert code == 1 and not {"\x1b", "\u202e"} & set(out + err) and "[red]y" in out


# -- the end -------------------------------------------------------------------------------------------------


def test_json_has_everything(run_cli: Any, tmp_path: Path) -> None:
    a = write(tmp_path / "a", same=np.zeros(2, "f4"), w=np.array([[1, np.inf]], "f4"), gone=np.zeros(1, "i4"))
    b = write(tmp_path / "b", same=np.zeros(2, "f4"), w=np.array([[1, 2]], "f4"))
    code, out, err = run_cli("diff", a, b, "--json")
    found = json.loads(out)
    assert (code, err, found["differs"], found["key_a"]) == (1, "", True, ".")
    assert found["counts"] == {
        "only in A": 1, "only in B": 0, "dtype differs": 0, "shape differs": 0, "values differ": 1, "equal": 1,
    }  # fmt: skip
    gone, w, _ = found["rows"]
    assert (gone["name"], gone["shape_b"], gone["values"]) == ("gone", None, None)
    assert (w["values"]["largest"], w["values"]["index"], w["values"]["b"]) == ("inf", [0, 1], "2.0")
    assert found == json.loads(json.dumps(torch2flow.diff(a, b).to_json()))


def test_quiet_answers_by_the_exit_code(run_cli: Any, tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", w=np.zeros(2, "f4")), write(tmp_path / "b", w=np.ones(2, "f4"))
    assert run_cli("diff", a, b, "-q") == (1, "", "")


@pytest.mark.parametrize("side", [0, 1])
def test_a_broken_side_is_one_clear_error(run_cli: Any, source: Path, tmp_path: Path, side: int) -> None:
    cut = tmp_path / "cut.pth"
    cut.write_bytes(source.read_bytes()[:1000])
    (tmp_path / "empty").mkdir()
    for broken, path in (("cut.pth", cut), ("empty", tmp_path / "empty"), ("absent", tmp_path / "absent")):
        pair = (path, source) if side == 0 else (source, path)
        code, out, err = run_cli("diff", *pair)
        assert (code, out) == (3, "") and broken in err and err.count("torch2flow:") == 1


def test_a_tensor_that_is_cut_later_names_its_file(run_cli: Any, source: Path, tmp_path: Path) -> None:
    torch2flow.convert(source, tmp_path / "out")
    shutil.copytree(tmp_path / "out", tmp_path / "short")
    (tmp_path / "short/weights/conv.weight/out").write_bytes(b"\0" * 40)
    code, out, err = run_cli("diff", tmp_path / "out", tmp_path / "short")
    assert (code, out) == (3, "") and "short" in err


def test_four_bytes_expanded_to_an_exabyte_are_refused(torch: Any, run_cli: Any, tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).as_strided((1 << 58,), (0,))}, tmp_path / "a.pth")
    code, out, err = run_cli("diff", tmp_path / "a.pth", tmp_path / "a.pth")
    assert (code, out) == (4, "") and "expanded to" in err and "--exclude" in err


def test_nothing_left_to_compare_is_not_equal(run_cli: Any, source: Path) -> None:
    code, _, err = run_cli("diff", source, source, "--include", "no such name")
    assert code == 2 and "No tensor is left to compare" in err


def test_wrong_options_are_refused(run_cli: Any, source: Path) -> None:
    assert run_cli("diff", source, source, "--include", "(")[0] == 2
    assert run_cli("diff", source, source, "--rename", "neither")[0] == 2
    assert run_cli("diff", source)[0] == 2


def test_memory_stays_small_and_neither_framework_is_imported(
    run_python: Any, core_python: Path, tmp_path: Path
) -> None:
    values = np.zeros(16 << 20, "f4")  # 64 MiB
    a, b = write(tmp_path / "a", w=values), write(tmp_path / "b", w=values + 1)
    script = (
        "import re, sys, torch2flow\n"
        "row = torch2flow.diff(*sys.argv[1:]).rows[0]\n"
        "assert row.values.different == 16 << 20 and not {'torch', 'oneflow'} & set(sys.modules)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    assert int(run_python(core_python, script, a, b)) < 100 << 10
