"""The command line on real files: what it prints, writes, refuses, and how it ends."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from comparison import assert_same_bits

import torch2flow

STATE_DICT = "torch-2.13.0/state_dict-zip.pth"
CHECKPOINT = "torch-2.13.0/candidates-zip.pth"


@pytest.fixture
def source(fixtures: Path) -> Path:
    return fixtures / STATE_DICT


def test_inspect_shows_tensors_ties_and_totals(run_cli: Any, fixtures: Path) -> None:
    code, out, err = run_cli("inspect", fixtures / "torch-2.13.0/module_tied-zip.pth")
    assert (code, err) == (0, "")
    assert re.search(r"embed\.weight +float32 +7x4 +112 +parameter", out)
    assert "tied: embed.weight = head.weight" in out
    assert "mylab.nets.Tied" in out, "the unknown class is named"
    assert re.search(r"4 tensors \(4 float32\), [\d,]+ bytes", out)


def test_inspect_json_is_json_with_everything(run_cli: Any, source: Path) -> None:
    code, out, _ = run_cli("inspect", source, "--json")
    about = json.loads(out)
    assert (code, about["format"], about["key"]) == (0, "zip", ".")
    assert about["tensors"][0] == {
        "name": "conv.weight", "dtype": "float32", "shape": [4, 3, 3, 3], "bytes": 432,
        "layout": "strided", "parameter": False, "requires_grad": False,
    }  # fmt: skip


def test_inspect_tree_shows_what_is_no_tensor(run_cli: Any, fixtures: Path) -> None:
    code, out, _ = run_cli("inspect", fixtures / CHECKPOINT, "--tree")
    assert code == 0
    assert "optimizer state of 2" in out and "epoch" in out


@pytest.mark.parametrize("name", ["keys-zip.pth", "containers-zip.pth", "numpy-zip.pth", "权重 名.pth"])
@pytest.mark.parametrize("how", [(), ("--tree",), ("--json",)])
def test_inspect_prints_any_key(name: str, how: tuple[str, ...], run_cli: Any, fixtures: Path) -> None:
    code, out, err = run_cli("inspect", fixtures / "torch-2.13.0" / name, *how)
    assert (code, err) == (0, "") and out


def test_convert_says_what_it_did(run_cli: Any, fixtures: Path, tmp_path: Path) -> None:
    code, out, err = run_cli("convert", fixtures / CHECKPOINT, "-o", tmp_path / "out")
    assert (code, out) == (0, "")
    assert "took state_dict" in err
    assert re.search(r"wrote \d+ tensors", err)
    assert "not converted: optimizer" in err
    assert (tmp_path / "out" / "pickled_data").is_file()


def test_convert_leaves_no_trace_beside_its_output(run_cli: Any, source: Path, tmp_path: Path) -> None:
    assert run_cli("convert", source, "-o", tmp_path / "out", "-q") == (0, "", "")
    assert os.listdir(tmp_path) == ["out"]
    assert sorted(os.listdir(tmp_path / "out")) == ["manifest.json", "pickled_data", "weights"]


def test_dry_run_writes_nothing(run_cli: Any, source: Path, tmp_path: Path) -> None:
    code, _, err = run_cli("convert", source, "-o", tmp_path / "out", "--dry-run")
    assert code == 0 and "dry run" in err
    assert not any(tmp_path.iterdir())


def test_json_prints_the_manifest(run_cli: Any, source: Path, tmp_path: Path) -> None:
    code, out, _ = run_cli("convert", source, "-o", tmp_path / "out", "--json")
    printed = json.loads(out)
    written = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert code == 0 and printed["written"] is True
    assert {key: printed[key] for key in written} == written


def test_an_existing_output_is_kept_unless_asked(run_cli: Any, source: Path, tmp_path: Path) -> None:
    run_cli("convert", source, "-o", tmp_path / "out")
    before = (tmp_path / "out" / "manifest.json").stat().st_ino
    code, _, err = run_cli("convert", source, "-o", tmp_path / "out")
    assert code == 5 and "exists" in err and "--overwrite" in err
    assert (tmp_path / "out" / "manifest.json").stat().st_ino == before
    assert run_cli("convert", source, "-o", tmp_path / "out", "--overwrite")[0] == 0
    assert (tmp_path / "out" / "manifest.json").stat().st_ino != before
    assert os.listdir(tmp_path) == ["out"]


def test_overwrite_replaces_checkpoints_only(run_cli: Any, source: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("irreplaceable")
    code, _, err = run_cli("convert", source, "-o", tmp_path / "thesis", "--overwrite")
    assert code == 5 and "no checkpoint" in err
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "irreplaceable"


def test_rename_include_exclude(run_cli: Any, fixtures: Path, tmp_path: Path) -> None:
    parallel = fixtures / "torch-2.13.0/data_parallel-zip.pth"
    code, _, _ = run_cli(
        "convert", parallel, "-o", tmp_path / "out", "--rename", r"^module\.=", "--exclude", r"num_batches"
    )  # fmt: skip
    assert code == 0
    names = list(torch2flow.open_checkpoint(tmp_path / "out"))
    assert names and not any(name.startswith("module.") or "num_batches" in name for name in names)
    tree = torch2flow.open_checkpoint(tmp_path / "out").tree
    assert "bn" in tree.attributes["_metadata"], "the metadata is renamed with its modules"


def test_rename_takes_a_file_of_rules(run_cli: Any, source: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.txt").write_text("# what changes\n^conv=stem\n\n^bn=norm\n", "utf-8")
    code, _, err = run_cli("convert", source, "-o", tmp_path / "out", "--rename", tmp_path / "rules.txt")
    assert code == 0 and "renamed" in err
    assert {name.partition(".")[0] for name in torch2flow.open_checkpoint(tmp_path / "out")} >= {
        "stem",
        "norm",
    }


def test_two_tensors_never_get_one_name(run_cli: Any, source: Path, tmp_path: Path) -> None:
    code, _, err = run_cli("convert", source, "-o", tmp_path / "out", "--rename", r"^(conv|bn)\.=x.")
    assert code == 2 and "would both become" in err


def test_an_unknown_key_offers_the_nearest(run_cli: Any, fixtures: Path, tmp_path: Path) -> None:
    code, _, err = run_cli("convert", fixtures / CHECKPOINT, "-o", tmp_path / "out", "--key", "state_dct")
    assert code == 2 and "did you mean state_dict" in err


def test_all_that_cannot_be_held_is_told_at_once(run_cli: Any, fixtures: Path, tmp_path: Path) -> None:
    code, _, err = run_cli("convert", fixtures / "torch-2.13.0/quantized-zip.pth", "-o", tmp_path / "out", "--key", ".")
    assert code == 4 and "--quantized" in err
    assert len(re.findall(r"quantized q", err)) > 2
    assert not any(tmp_path.iterdir())


def test_strict_dtype_refuses_widening(run_cli: Any, fixtures: Path, tmp_path: Path) -> None:
    arguments = ("convert", fixtures / "torch-1.0.1/dtypes-legacy.pth", "-o", tmp_path / "out", "--key", ".")
    code, _, err = run_cli(*arguments, "--strict-dtype")
    assert code == 4 and "int16 would become int32" in err
    code, _, err = run_cli(*arguments)
    assert code == 0 and "widened int16 to int32" in err


def test_check_finds_one_flipped_bit(run_cli: Any, source: Path, tmp_path: Path) -> None:
    run_cli("convert", source, "-o", tmp_path / "out", "--hash")
    assert run_cli("check", tmp_path / "out")[0] == 0
    assert run_cli("check", tmp_path / "out", "--against", source)[0] == 0
    out = tmp_path / "out" / "weights" / "conv.weight" / "out"
    raw = bytearray(out.read_bytes())
    raw[17] ^= 1
    out.write_bytes(raw)
    code, _, err = run_cli("check", tmp_path / "out")
    assert code == 1 and "conv.weight" in err and "sha256" in err
    code, _, err = run_cli("check", tmp_path / "out", "--against", source)
    assert code == 1 and "differs from the source at byte 17" in err


def test_check_without_hashes_uses_the_archives_own(run_cli: Any, source: Path, tmp_path: Path) -> None:
    run_cli("convert", source, "-o", tmp_path / "out")
    out = tmp_path / "out" / "weights" / "bn.bias" / "out"
    out.write_bytes(bytes(reversed(out.read_bytes())))
    code, _, err = run_cli("check", tmp_path / "out")
    assert code == 1 and "CRC-32" in err


@pytest.mark.parametrize("what", ["missing", "short", "extra"])
def test_check_finds_files_that_are_not_as_they_were(what: str, run_cli: Any, source: Path, tmp_path: Path) -> None:
    run_cli("convert", source, "-o", tmp_path / "out")
    out = tmp_path / "out" / "weights" / "bn.bias" / "out"
    if what == "missing":
        out.unlink()
    elif what == "short":
        out.write_bytes(out.read_bytes()[:-1])
    else:
        out.write_bytes(out.read_bytes() + b"\0")
    code, _, err = run_cli("check", tmp_path / "out")
    assert code in (1, 3) and "bn.bias" in err


@pytest.mark.parametrize("format_", ["folder", "file", "snapshot", "safetensors", "pth"])
def test_every_format_checks_against_its_source(format_: str, run_cli: Any, source: Path, tmp_path: Path) -> None:
    assert run_cli("convert", source, "-o", tmp_path / "out", "--format", format_, "--hash")[0] == 0
    code, out, err = run_cli("check", tmp_path / "out")
    assert (code, err) == (0, ""), out
    code, out, err = run_cli("check", tmp_path / "out", "--against", source)
    assert (code, err) == (0, ""), out


def test_the_suffix_chooses_the_format(run_cli: Any, source: Path, tmp_path: Path) -> None:
    for name, format_ in (("a.safetensors", "safetensors"), ("a.pth", "zip"), ("a", "oneflow")):
        assert run_cli("convert", source, "-o", tmp_path / name)[0] == 0
        found = torch2flow.open_checkpoint(tmp_path / name)
        assert found.format == format_
        order = list(torch2flow.open_checkpoint(source))
        assert_same_bits({key: found[key] for key in order}, torch2flow.open_checkpoint(source))


def test_the_output_never_replaces_its_source(run_cli: Any, source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model.pth"
    copy.write_bytes(source.read_bytes())
    code, _, err = run_cli("convert", copy, "-o", copy, "--overwrite")
    assert code == 5 and "its own source" in err
    assert copy.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("arguments", [(), ("convert",), ("inspect", "x", "--nonsense"), ("nonsense",)])
def test_wrong_usage_ends_with_two(arguments: tuple[str, ...], run_cli: Any) -> None:
    code, out, err = run_cli(*arguments)
    assert code == (2 if arguments else code) and (err or out)


def test_help_has_examples_and_exit_codes(run_cli: Any) -> None:
    assert "Exit codes" in run_cli("--help")[1]
    for command in ("inspect", "convert", "check", "capture", "doctor"):
        code, out, _ = run_cli(command, "--help")
        assert code == 0 and "torch2flow " + command in out.split("Example", 1)[1]
