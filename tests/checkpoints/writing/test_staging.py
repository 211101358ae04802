"""What is not ours is never deleted or written over, whatever it is and whenever it appears."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import shutil
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torch2flow
from torch2flow.checking import check
from torch2flow.checkpoints.writing import kernel_copy, locking, renaming, second_process
from torch2flow.checkpoints.writing.staging import Output, Staging
from torch2flow.conversion import FORMATS
from torch2flow.errors import FormatError, OutputError, Torch2FlowError, UnsupportedError

FILES = tuple(name for name, each in FORMATS.items() if not each.is_folder)
BESIDE = tuple(name for name, each in FORMATS.items() if not each.holds_manifest)


def weights(path: Path, value: float = 1.0, names: tuple[str, ...] = ("a.weight", "b.bias"), count: int = 6) -> Path:
    """A safetensors file, each of whose tensors holds `count` times the value."""
    raw = np.full(count, value, "<f4").tobytes()
    at = (len(raw) * number for number in range(len(names)))
    header = {n: {"dtype": "F32", "shape": [count], "data_offsets": [a, a + len(raw)]} for n, a in zip(names, at)}  # noqa: B905
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw * len(names))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return weights(tmp_path / "model.safetensors")


# -- what may be replaced ----------------------------------------------------------------------------------------------


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, pickle.dumps({"a": 1}))
    return stream.getvalue()


FOREIGN_FILES: dict[str, bytes] = {
    "nothing": b"",
    "text": b"My thesis {begins} here",
    "json": b'{"weight_map": {}}',
    "docx": zipped("[Content_Types].xml", "word/document.xml"),
    "jar": zipped("META-INF/MANIFEST.MF"),
    "npz": zipped("a.npy"),
    "pickle": pickle.dumps({"results": [1, 2, 3]}),
    "zip with a data.pkl": zipped("project/data.pkl", "project/notes.txt"),
    "zip with more": zipped("archive/data.pkl", "archive/version", "thesis.txt"),
    "safetensors cut off": (1000).to_bytes(8, "little") + b"{",
}


@pytest.mark.parametrize("what", FOREIGN_FILES)
@pytest.mark.parametrize("format_", ["folder", "pth", "safetensors"])
def test_a_file_that_is_no_checkpoint_is_never_replaced(what: str, format_: str, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(FOREIGN_FILES[what])
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="is not replaced even with --overwrite"):
        torch2flow.convert(model, out, format=format_, overwrite=True)
    assert tree(tmp_path) == before and len(list(tmp_path.iterdir())) == 2


FOREIGN_FOLDERS: dict[str, tuple[str, ...]] = {
    "workspace": (".metadata/log", "project/a.java"),
    "project with a mark": ("pickled_data", "train.py"),
    "snapshot with notes": ("snapshot_done", "notes/today.txt"),
    "web app": ("manifest.json", "rank_0/pickled_data", "index.html"),
    "transformers": ("config.json", "model.safetensors"),
    "distributed and more": (".metadata", "__0_0.distcp", "thesis.tex"),
}


@pytest.mark.parametrize("what", FOREIGN_FOLDERS)
@pytest.mark.parametrize("format_", ["folder", "snapshot", "dcp", "pth"])
def test_a_folder_with_something_else_in_it_is_never_replaced(
    what: str, format_: str, model: Path, tmp_path: Path
) -> None:
    for name in FOREIGN_FOLDERS[what]:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text("{}")
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="it holds"):
        torch2flow.convert(model, tmp_path / "out", format=format_, overwrite=True)
    assert tree(tmp_path) == before


CHANGES: dict[str, Callable[[Path], Any]] = {
    "a file of one's own": lambda out: (out / "train.py").write_text("mine"),
    "one deep inside": lambda out: (out / "weights" / "notes").write_text("mine"),
    "an edited model.py": lambda out: (out / "model.py").write_text((out / "model.py").read_text().replace("a", "b")),
    "a longer model.py": lambda out: (out / "model.py").write_text((out / "model.py").read_text() + "\n# mine"),
    "a link": lambda out: (out / "link").symlink_to(out.parent),
    "an empty folder": lambda out: (out / "notes").mkdir(),
    "empty folders": lambda out: (out / "weights" / "notes" / "today").mkdir(parents=True),
    "a compiled file of one's own": lambda out: (
        (out / "__pycache__").mkdir(exist_ok=True),
        (out / "__pycache__" / "train.cpython-310.pyc").write_bytes(b"mine"),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_output_that_a_user_changed_is_kept_and_the_change_named(what: str, fixtures: Path, tmp_path: Path) -> None:
    source, out = fixtures / "torch-2.13.0" / "net.pt2", tmp_path / "out"
    torch2flow.convert(source, out)
    assert (out / "model.py").is_file(), "the fixture has a model"
    (out / "__pycache__").mkdir()
    (out / "__pycache__" / "model.cpython-310.pyc").write_bytes(b"what Python made of it")
    torch2flow.convert(source, out, overwrite=True)
    CHANGES[what](out)
    before = tree(tmp_path)
    with pytest.raises(OutputError, match=r"train|notes|model\.py|link"):
        torch2flow.convert(source, out, overwrite=True)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("format_", BESIDE)
@pytest.mark.parametrize("what", ["text", "link", "dangling link", "folder"])
def test_a_file_of_the_manifests_name_is_never_written_over(
    what: str, format_: str, model: Path, tmp_path: Path
) -> None:
    beside, target = tmp_path / "out.manifest.json", tmp_path / "target"
    if what == "folder":
        beside.mkdir()
    elif what == "text":
        beside.write_text('{"schema": 1, "tensors": []}')
    else:
        beside.symlink_to(target)
        if what == "link":
            target.write_text("mine")
    before = tree(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(OutputError):
            torch2flow.convert(model, tmp_path / "out", format=format_, overwrite=overwrite)
    assert tree(tmp_path) == before and target.exists() != (what != "link")


def test_files_of_pytorch_and_oneflow_are_replaced(model: Path, fixtures: Path, tmp_path: Path) -> None:
    for number, source in enumerate(sorted((fixtures / "torch-1.13.1").glob("state_dict-*"))):
        out = tmp_path / f"out{number}"
        shutil.copy(source, out)
        torch2flow.convert(model, out, format="pth", overwrite=True)
        assert check(out, model).differences == []


@pytest.mark.parametrize("format_", FORMATS)
def test_any_output_is_replaced_by_any_other(format_: str, model: Path, tmp_path: Path) -> None:
    other = weights(tmp_path / "other.safetensors", 2.0, ("c",))
    for second in FORMATS:
        out = tmp_path / f"{format_}-{second}"
        torch2flow.convert(model, out, format=format_)
        torch2flow.convert(other, out, format=second, overwrite=True)
        assert check(out, other).differences == []
        assert {path.name for path in tmp_path.glob(f"*{out.name}*")} <= {out.name, f"{out.name}.manifest.json"}


# -- source and output are compared as the kernel sees them --------------------------------------------------------


@pytest.mark.parametrize(
    "how", ["itself", "through a linked folder", "a hard link", "its folder", "its manifest", "work"]
)
def test_a_source_is_never_replaced_by_a_part_of_itself(how: str, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    source = weights(real / "m.safetensors")
    (tmp_path / "link").symlink_to(real)
    out, format_ = source, "safetensors"
    if how == "through a linked folder":
        out = tmp_path / "link" / "m.safetensors"
    elif how == "a hard link":
        out = tmp_path / "hard.safetensors"
        os.link(source, out)
    elif how == "its folder":
        out, format_ = real, "folder"
    elif how == "its manifest":
        source = source.rename(real / "out.manifest.json")
        out = real / "out"
    elif how == "work":
        (real / ".out.torch2flow-partial").mkdir()
        source = source.rename(real / ".out.torch2flow-partial" / "0")
        out = real / "out"
    before = source.read_bytes()
    options = torch2flow.Options(include=("a",))
    with pytest.raises(OutputError):
        torch2flow.convert(source, out, options, format=format_, overwrite=True)
    assert source.read_bytes() == before


# -- races -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", FORMATS)
def test_of_many_conversions_to_one_new_output_exactly_one_wins(format_: str, tmp_path: Path) -> None:
    sources = [weights(tmp_path / f"{number}.safetensors", number) for number in range(4)]
    for turn in range(5):
        out, ends = tmp_path / f"out{turn}", []

        def run(source: Path, out: Path = out, ends: list[Path] = ends) -> None:
            try:
                torch2flow.convert(source, out, format=format_)
                ends.append(source)
            except OutputError:
                pass

        threads = [threading.Thread(target=run, args=(source,)) for source in sources]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ends) == 1 and check(out, ends[0]).differences == []


def test_what_changes_inside_the_old_output_meanwhile_is_kept(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    torch2flow.convert(model, out)
    other = weights(tmp_path / "other.safetensors", 2.0)

    def write(total: int) -> Callable[[int], None]:
        (out / "weights" / "a.weight" / "thesis").write_text("mine")
        return lambda count: None

    with pytest.raises(OutputError, match="changed"):
        torch2flow.convert(other, out, overwrite=True, progress=write)
    assert (out / "weights" / "a.weight" / "thesis").read_text() == "mine"
    (out / "weights" / "a.weight" / "thesis").unlink()
    torch2flow.convert(other, out, overwrite=True, resume=True)
    assert check(out, other).differences == [] and not list(tmp_path.glob(".out*"))


def test_an_old_output_that_can_not_be_deleted_is_a_note(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch2flow.convert(model, tmp_path / "out")

    def refuse(*arguments: Any, **keywords: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    result = torch2flow.convert(model, tmp_path / "out", overwrite=True)
    monkeypatch.undo()
    assert "could not be deleted" in result.plan.notes[-1] and ".out.torch2flow-partial" in result.plan.notes[-1]
    torch2flow.convert(model, tmp_path / "out", overwrite=True)
    assert not list(tmp_path.glob(".out*"))


# -- going on with an interrupted run ------------------------------------------------------------------------------


def interrupted(source: Path, out: Path, **given: Any) -> Path:
    """Converts until everything is written but the name; returns the unfinished folder."""

    def stop(self: Staging) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Staging, "commit", stop)
        torch2flow.convert(source, out, **given)
    return out.with_name(f".{out.name}.torch2flow-partial") / "0"


def test_a_source_with_the_same_name_size_and_time_is_another_one(tmp_path: Path) -> None:
    for name, value in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        os.utime(weights(tmp_path / name / "m.safetensors", value), (0, 0))
    interrupted(tmp_path / "a" / "m.safetensors", tmp_path / "out")
    torch2flow.convert(tmp_path / "b" / "m.safetensors", tmp_path / "out", resume=True)
    assert check(tmp_path / "out", tmp_path / "b" / "m.safetensors").differences == []


@pytest.mark.parametrize("where", [0, -1])
def test_a_source_that_was_rewritten_is_another_one(where: int, tmp_path: Path) -> None:
    source = weights(tmp_path / "m.safetensors", count=100_000)
    interrupted(source, tmp_path / "out")
    status, data = source.stat(), bytearray(source.read_bytes())
    data[-400_000 if where == 0 else -1] ^= 1
    source.write_bytes(data)
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    torch2flow.convert(source, tmp_path / "out", resume=True)
    assert check(tmp_path / "out", source).differences == []


def test_a_tensor_with_other_bytes_is_written_anew(model: Path, tmp_path: Path) -> None:
    unfinished = interrupted(model, tmp_path / "out")
    (unfinished / "weights" / "a.weight" / "out").write_bytes(bytes(24))
    torch2flow.convert(model, tmp_path / "out", resume=True)
    assert check(tmp_path / "out", model).differences == []


def test_what_is_linked_into_an_unfinished_folder_stays_as_it_is(model: Path, tmp_path: Path) -> None:
    unfinished = interrupted(model, tmp_path / "out")
    (tmp_path / "thesis").write_text("mine")
    for name in ("pickled_data", "weights/a.weight/out", "weights/b.bias/meta"):
        (unfinished / name).unlink()
        os.link(tmp_path / "thesis", unfinished / name)
    torch2flow.convert(model, tmp_path / "out", resume=True)
    assert (tmp_path / "thesis").read_text() == "mine" and check(tmp_path / "out", model).differences == []


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("name", ["notes.txt", "0/notes.txt", "0/weights/notes.txt", "0/weights/a.weight/notes.txt"])
def test_a_foreign_file_in_an_unfinished_folder_is_kept_and_named(
    name: str, resume: bool, model: Path, tmp_path: Path
) -> None:
    folder = interrupted(model, tmp_path / "out").parent
    (folder / name).write_text("mine")
    with pytest.raises(OutputError, match="did not write") as raised:
        torch2flow.convert(model, tmp_path / "out", resume=resume)
    assert raised.value.where == str(folder / name) and (folder / name).read_text() == "mine"
    (folder / name).unlink()
    torch2flow.convert(model, tmp_path / "out", resume=resume)
    assert (
        os.listdir(tmp_path / "out" / "weights" / "a.weight").sort() is None and not (tmp_path / "out" / name).exists()
    )


def test_weights_alone_after_a_run_with_the_model_have_no_model(fixtures: Path, tmp_path: Path) -> None:
    source = fixtures / "torch-2.13.0" / "net.pt2"
    assert (interrupted(source, tmp_path / "out") / "model.py").is_file()
    torch2flow.convert(source, tmp_path / "out", resume=True, weights_only=True)
    assert not (tmp_path / "out" / "model.py").exists()
    torch2flow.convert(source, tmp_path / "out", overwrite=True)


# -- surroundings ------------------------------------------------------------------------------------------------------


def refusing(number: int) -> Callable[..., Any]:
    def refuse(*arguments: Any, **keywords: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF, errno.EIO])
def test_without_locks_a_run_goes_on_and_a_second_one_does_not(
    number: int, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking.fcntl, "flock", refusing(number))
    with Staging(Output(tmp_path / "out")) as first:
        with pytest.raises(OutputError, match="Another torch2flow"), Staging(Output(tmp_path / "out")):
            pass
        first.paths[0].write_text("whole")
        first.commit()
    assert (tmp_path / "out").read_text() == "whole" and len(list(tmp_path.iterdir())) == 2
    torch2flow.convert(model, tmp_path / "other")
    dead = tmp_path / ".next.torch2flow-partial"
    dead.mkdir()
    (dead / "owner").write_text(locking._process(os.getpid()).rpartition(" ")[0] + " 1")  # the number is used again
    torch2flow.convert(model, tmp_path / "next")
    assert not dead.exists()


@pytest.mark.parametrize("call", ["copy_file_range", "sendfile"])
@pytest.mark.parametrize("number", [0, errno.EPERM, errno.EIO, errno.ENOENT, errno.ETXTBSY, errno.EXDEV, errno.ENOSYS])
def test_a_kernel_that_does_not_copy_is_done_without(
    number: int, call: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in {call, "copy_file_range"}:
        monkeypatch.setattr(kernel_copy.os, each, refusing(number) if number else lambda *a, **k: 0)
    torch2flow.convert(model, tmp_path / "out")
    assert check(tmp_path / "out", model).differences == []


def test_a_source_that_can_not_be_read_is_told_as_that(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(total: int) -> Callable[[int], None]:
        for call in ("copy_file_range", "sendfile", "pread"):
            monkeypatch.setattr(kernel_copy.os, call, refusing(errno.EIO))
        return lambda count: None

    with pytest.raises(FormatError, match="source file can't be read"):
        torch2flow.convert(model, tmp_path / "out", progress=begin)
    assert [path.name for path in tmp_path.iterdir()] == [model.name]


@pytest.mark.parametrize("how", ["none to be had", "one that ends", "one that ends later"])
def test_without_a_second_process_everything_is_written(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = weights(tmp_path / "m.safetensors", names=tuple(f"t{number}" for number in range(200)))
    monkeypatch.setattr(second_process, "WORTH_A_PROCESS", 0)
    monkeypatch.setattr(second_process, "BATCH", 1 << 20)
    if how == "none to be had":
        monkeypatch.setattr("subprocess.Popen", refusing(errno.EAGAIN))
    else:
        original = kernel_copy.Helper.submit
        begun: list[int] = []

        def submit(self: kernel_copy.Helper, batch: Any, cost: int) -> None:
            begun.append(cost)
            original(self, batch, cost)
            if how == "one that ends" or len(begun) > 5:
                self.process.kill()
                self.process.wait()

        monkeypatch.setattr(kernel_copy.Helper, "submit", submit)
    written: list[int] = []
    torch2flow.convert(source, tmp_path / "out", progress=lambda total: written.append)
    assert check(tmp_path / "out", source).differences == [] and sum(written) == 200 * 24


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("length", [200, 235, 236, 241, 242, 255])
def test_a_name_may_be_as_long_as_the_file_system_allows(
    length: int, format_: str, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / ("é" * (length // 2) + "x" * (length % 2))
    torch2flow.convert(model, out, format=format_)
    torch2flow.convert(model, out, format=format_, overwrite=True)
    assert check(out, model).differences == [] and len(list(tmp_path.iterdir())) == 3 - FORMATS[format_].holds_manifest


def test_a_failed_run_removes_the_folders_that_it_made(model: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    data = bytearray(model.read_bytes())
    for out in (tmp_path / "there" / "a" / "b" / "out", tmp_path / "c" / "out"):
        with pytest.raises(Torch2FlowError):
            torch2flow.convert(
                model, out, progress=lambda total: model.write_bytes(data + b" ") and (lambda count: None)
            )  # type: ignore[arg-type, return-value]
        model.write_bytes(data)
    assert {path.name for path in tmp_path.rglob("*")} == {"there", model.name}


# -- names and values --------------------------------------------------------------------------------------------------

NAMES = (
    "__metadata__",
    "resume",
    "lock",
    "commit",
    "0",
    "manifest.json",
    "snapshot_done",
    "pickled_data",
    ".",
    "..",
    "",
)
NAMES = (*NAMES, "a/b", "x" * 256, "é" * 128, "a\0b", "\n", " ", "weights", ".metadata", "__0_0.distcp", "meta", "out")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_comes_back_or_is_refused_before_anything_is_written(name: str, format_: str, tmp_path: Path) -> None:
    source = weights(tmp_path / "m.safetensors", names=("first",))
    options = torch2flow.Options(rename=(("^first$", name.replace("\\", r"\\")),))
    out = tmp_path / "deep" / "out"
    try:
        torch2flow.convert(source, out, options, format=format_)
    except UnsupportedError:
        assert not out.parent.exists()
        return
    assert list(torch2flow.open_checkpoint(out, ".")) == [name] and check(out, source).differences == []
    torch2flow.convert(source, out, options, format=format_, overwrite=True)


@pytest.mark.parametrize("format_", FORMATS)
def test_half_a_surrogate_pair_comes_back_or_is_refused(format_: str, tmp_path: Path) -> None:
    source = weights(tmp_path / "m.safetensors", names=("first",))
    options = torch2flow.Options(rename=(("first", "a\ud800b"),))
    if format_ in ("safetensors", "snapshot"):
        with pytest.raises(UnsupportedError, match="UTF-8"):
            torch2flow.convert(source, tmp_path / "out", options, format=format_)
        assert len(list(tmp_path.iterdir())) == 1
        return
    torch2flow.convert(source, tmp_path / "out", options, format=format_)
    assert list(torch2flow.open_checkpoint(tmp_path / "out", ".")) == ["a\ud800b"]


WIDENED = (("I16", "<i2", "<i4", 70000), ("I16", "<i2", "<i4", -32769), ("BF16", "<u2", "<f4", 1 + 2**-20))
WIDENED = (*WIDENED, ("BF16", "<u2", "<f4", 3.4e38), ("U16", "<u2", "<i4", -1))


@pytest.mark.parametrize(("dtype", "narrow", "wide", "value"), WIDENED)
def test_a_value_that_does_not_fit_any_more_is_told(
    dtype: str, narrow: str, wide: str, value: float, tmp_path: Path
) -> None:
    header = json.dumps({"b": {"dtype": dtype, "shape": [3], "data_offsets": [0, 6]}}).encode()
    source = tmp_path / "m.safetensors"
    source.write_bytes(len(header).to_bytes(8, "little") + header + np.array([1, 2, 3], narrow).tobytes())
    torch2flow.convert(source, tmp_path / "out")
    torch2flow.convert(tmp_path / "out", tmp_path / "back.safetensors")
    assert (tmp_path / "back.safetensors").read_bytes()[-6:] == source.read_bytes()[-6:]
    stored = np.array([1, value, 3], wide)
    (tmp_path / "out" / "weights" / "b" / "out").write_bytes(stored.tobytes())
    with pytest.raises(UnsupportedError, match="^b: "):
        torch2flow.convert(tmp_path / "out", tmp_path / "again.safetensors")
    assert not (tmp_path / "again.safetensors").exists()
    if wide == "<f4":
        for name in ("float32", "bfloat16"):
            again = tmp_path / f"{name}.safetensors"
            torch2flow.convert(tmp_path / "out", again, torch2flow.Options(dtype=name))
        assert (tmp_path / "float32.safetensors").read_bytes()[-12:] == stored.tobytes()


# -- the moves themselves ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lacks", ["", "renameat2"])
@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.parametrize("meets", ["file", "folder", "link", "dangling link"])
def test_a_move_never_replaces_anything(
    lacks: str, what: str, meets: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacks:
        monkeypatch.setattr(renaming, "_renameat2", lambda *arguments: errno.ENOSYS)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("new") if what == "file" else (source.mkdir(), (source / "inner").write_text("new"))  # type: ignore[func-returns-value]
    if meets == "file":
        target.write_text("old")
    elif meets == "folder":
        target.mkdir()
        (target / "old").write_text("old")
    else:
        target.symlink_to(tmp_path / ("missing" if "dangling" in meets else "source"))
    before = renaming.state(tmp_path)
    with pytest.raises(OSError):
        renaming.move(source, target)
    assert renaming.state(tmp_path) == before
    target.unlink() if not target.is_dir() or target.is_symlink() else shutil.rmtree(target)
    renaming.move(source, target)
    assert target.exists() and not source.exists()
