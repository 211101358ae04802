"""What a command meets outside its files: a full or closed stdout, a small encoding, no current folder, odd files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .command_line import run_here

COMMAND = [str(Path(sys.executable).with_name("torch2flow"))]
JSON, TABLE, TREE = ("--json",), (), ("--tree",)


def shell(script: str, *arguments: object, cwd: Path | None = None, **environment: str) -> tuple[int, str]:
    """Exit code of the command, and what stderr got."""
    given = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(
        ["bash", "-c", script, *given], env={**os.environ, **environment}, cwd=cwd, capture_output=True, timeout=60
    )
    errors = done.stderr.decode("utf-8", "replace")
    assert "Traceback" not in errors and "Exception ignored" not in errors, errors
    return done.returncode, errors


@pytest.fixture
def checkpoint(fixtures: Path) -> Path:
    return fixtures / "torch-2.13.0" / "names.safetensors"


@pytest.mark.parametrize("how", [JSON, TABLE, TREE])
def test_the_exit_code_is_the_same_with_a_pipe(how: tuple[str, ...], checkpoint: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    header = json.dumps({"b": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    other.write_bytes(len(header).to_bytes(8, "little") + header + b"1")
    for arguments in (
        ("inspect", checkpoint, *how),
        ("diff", checkpoint, other, "--all"),
        ("inspect", tmp_path / "no"),
    ):
        alone = shell('"$0" "$@" > /dev/null', *arguments)
        for pipe in ("| true", "| head -c 1", "| cat"):
            assert shell(f'set -o pipefail; "$0" "$@" {pipe} > /dev/null', *arguments) == alone


@pytest.mark.parametrize("how", [JSON, TABLE, TREE])
def test_what_can_not_be_printed_is_told(how: tuple[str, ...], checkpoint: Path) -> None:
    for target in ("> /dev/full", ">&-"):
        code, errors = shell(f'"$0" "$@" {target}', "inspect", checkpoint, *how)
        assert code == 5 and errors.startswith("torch2flow: What there was to say could not be printed")
    assert shell('"$0" "$@" > /dev/full 2>&1', "inspect", checkpoint, *how)[0] == 5
    assert shell('"$0" "$@" >&- 2>&-', "inspect", checkpoint, *how)[0] == 5
    assert shell('"$0" "$@" < /dev/null', "inspect", checkpoint, *how)[0] == 0
    assert shell('"$0" "$@" <&- 2>&-', "inspect", checkpoint, *how)[0] == 0


def test_a_closed_stdout_is_no_place_for_a_tensor(checkpoint: Path, tmp_path: Path) -> None:
    """The first file that is opened would get its number, and what is printed would go into a checkpoint."""
    assert shell('"$0" "$@" >&- 2>&- <&-', "convert", checkpoint, "-o", tmp_path / "out.safetensors", "-q")[0] == 0
    assert run_here("diff", checkpoint, tmp_path / "out.safetensors").code == 0


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "latin-1", "cp1252:strict"])
def test_names_that_the_terminal_can_not_spell(encoding: str, checkpoint: Path, tmp_path: Path) -> None:
    named = tmp_path / "权重 é \U0001f600.safetensors"
    named.write_bytes(checkpoint.read_bytes())
    for arguments in (["inspect", named], ["inspect", named, "--tree"], ["inspect", named, "--json"],
                      ["convert", named, "-o", tmp_path / "out", "--dry-run"], ["zoo", "list", "é"],
                      ["inspect", "é"]):  # fmt: skip
        code, errors = shell('"$0" "$@" > /dev/null', *arguments, PYTHONIOENCODING=encoding)
        assert code == 0 or (code in (2, 3) and errors.startswith("torch2flow: "))


def test_the_current_folder_is_gone(checkpoint: Path) -> None:
    script = 'cd "$(mktemp -d)"; rmdir "$PWD"; "$0" "$@" > /dev/null'
    for arguments in (["inspect", "x"], ["inspect", checkpoint], ["check", "out"], ["convert", checkpoint, "-o", "out"],
                      ["verify", "out"], ["zoo", "list"], ["operators"], ["plan", checkpoint, "data", "--ranks", 2],
                      ["capture", "nets:Net", "-o", "x.pt2"], ["libai", "gpt2", checkpoint, "-o", "out"],
                      ["launch", "x.py"], ["diff", "a", "b"]):  # fmt: skip
        code, errors = shell(script, *arguments)
        assert code in (0, 2, 3, 5, 6) and (code == 0 or errors.startswith("torch2flow: ")), errors


@pytest.mark.parametrize("year", [-62_200_000_000, 253_500_000_000, 1 << 33])
def test_any_time_of_a_source(year: int, checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.safetensors"
    source.write_bytes(checkpoint.read_bytes())
    try:
        os.utime(source, (year, year))
    except OSError:
        pytest.skip("this file system keeps no such time")
    assert run_here("convert", source, "-o", tmp_path / "out", "-q").code == 0
    assert run_here("check", tmp_path / "out", "--against", source).code == 0


FIFOS = [
    ("inspect", "FIFO"), ("convert", "FIFO", "-o", "out"), ("convert", "SOUND", "-o", "FIFO", "--overwrite"),
    ("convert", "SOUND", "-o", "out", "--plan", "FIFO", "--ranks", "2"), ("plan", "SOUND", "FIFO"),
    ("convert", "SOUND", "-o", "out", "--rename", "FIFO"), ("convert", "SOUND", "-o", "out", "--rules", "FIFO"),
    ("check", "FIFO"), ("check", "SOUND", "--against", "FIFO"), ("diff", "FIFO", "SOUND"), ("diff", "SOUND", "FIFO"),
    ("libai", "gpt2", "SOUND", "-o", "out"), ("libai", "gpt2", "FIFO", "-o", "out"), ("verify", "FIFO"),
    ("verify", "FOLDER", "--reference", "FIFO"), ("launch", "FIFO"), ("launch", "--logs", "LOGS", "job.py"),
    ("check", "SOUND"),
    ("zoo", "convert", "alexnet", "-o", "out", "--weights", "FIFO"),
    ("capture", "FIFO.py:Net", "-o", "out"), ("capture", "x:Net", "-o", "FIFO", "--overwrite"),
    ("capture", "x:Net", "-o", "out", "--input", "FIFO.npy"), ("operators", "--rules", "FIFO"),
    ("zoo", "predict", "alexnet", "FIFO", "--weights", "SOUND"),
]  # fmt: skip


@pytest.mark.parametrize("given", FIFOS, ids=" ".join)
def test_nothing_waits_for_a_fifo(
    given: tuple[str, ...], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("fifo", "fifo.py", "fifo.npy", "config.json", "sound.safetensors.manifest.json"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "sound.safetensors").write_bytes(checkpoint.read_bytes())
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "model.py").touch()
    (folder / "manifest.json").write_text('{"schema": 1, "format": "folder", "tensors": []}')
    words = {"FIFO": "fifo", "SOUND": "sound.safetensors", "FOLDER": "folder", "LOGS": "logs"}
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs" / "rank_0.log")
    (tmp_path / "job.py").write_text("print(1)\n")
    arguments = [words.get(word, word.replace("FIFO", "fifo")) for word in given]
    ran = run_here(*arguments)
    assert not ran.fault and ran.code in (2, 3, 5, 6), ran
