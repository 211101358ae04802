"""Things that are no checkpoint file at all, and files that can't be read."""

# ruff: noqa: E501 - tables: one attack a line
from __future__ import annotations

import os
import socket
from pathlib import Path

from . import attack
from .build import dict_of, safe_entry, safetensors_file, tensor, text, torch_zip

SOUND = torch_zip(dict_of((text("weight"), tensor())))
UNKNOWN = "no checkpoint that torch2flow knows"

OTHER = {
    "empty": (b"", "the file is empty", "A file of no bytes."),
    "one_byte": (b"P", UNKNOWN, "A file of one byte."),
    "zeros": (bytes(1 << 20), "it begins with zeros", "A megabyte of zeros: a download that was never filled."),
    "html": (b"<!DOCTYPE html><html><body>404</body></html>", "a web page", "The page that a server sent instead."),
    "html_lower_case": (b"\n<html><head>", "a web page", "The same in another spelling."),
    "lfs_pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer", "A Git LFS pointer."),
    "json_error": (b'{"error": "Repository not found"}', "no weight_map", "What a hub answers when there is no such model."),
    "json_broken": (b'{"weight_map": {', "JSON is not valid", "JSON that breaks off."),
    "text": (b"hello, world\n" * 100, UNKNOWN, "A text."),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "a gzip archive", "A gzip archive."),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file", "An HDF5 file."),
    "elf": (b"\x7fELF" + bytes(100), UNKNOWN, "A program."),
    "script": (b"#!/bin/sh\ntouch canary\n", UNKNOWN, "A shell script."),
    "random_pickle_start": (b"\x80\x04\xff\xff", "is unknown", "The start of a pickle, then junk."),
}  # fmt: skip

for _name, (_data, _refused, _tries) in OTHER.items():

    def _write(folder: Path, data: bytes = _data) -> Path:
        path = folder / "model.pth"
        path.write_bytes(data)
        return path

    attack(refused=_refused, name=f"file_{_name}", tries=_tries)(_write)


@attack(refused="can't be opened")
def missing(folder: Path) -> Path:
    """A path where nothing is."""
    return folder / "gone.pth"


@attack(refused="can't be opened")
def name_too_long(folder: Path) -> Path:
    """A path of five thousand letters."""
    return folder / ("x" * 5000)


@attack(refused="not a regular file")
def fifo(folder: Path) -> Path:
    """A FIFO: opening it waits for a writer that never comes."""
    os.mkfifo(folder / "model.pth")
    return folder / "model.pth"


@attack(refused="not a regular file")
def unix_socket(folder: Path) -> Path:
    """A socket."""
    where = os.open(folder, os.O_RDONLY)  # a socket's path may have 107 letters, a test's folder has more
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{where}/model.pth")
    os.close(where)
    return folder / "model.pth"


@attack(refused="not a regular file")
def device_without_end(folder: Path) -> Path:
    """/dev/zero: it never ends."""
    (folder / "model.pth").symlink_to("/dev/zero")
    return folder / "model.pth"


@attack(refused="not a regular file")
def device_without_anything(folder: Path) -> Path:
    """/dev/null."""
    (folder / "model.pth").symlink_to("/dev/null")
    return folder / "model.pth"


@attack(refused="can't be opened")
def link_to_itself(folder: Path) -> Path:
    """A symbolic link that points at itself."""
    (folder / "model.pth").symlink_to("model.pth")
    return folder / "model.pth"


@attack(refused="can't be opened")
def link_to_nothing(folder: Path) -> Path:
    """A symbolic link to a file that is gone."""
    (folder / "model.pth").symlink_to("gone")
    return folder / "model.pth"


@attack()
def link_to_a_checkpoint(folder: Path) -> Path:
    """A symbolic link to a sound file: read, as every download cache needs."""
    (folder / "blob").write_bytes(SOUND)
    (folder / "model.pth").symlink_to("blob")
    return folder / "model.pth"


@attack(refused="folder is no checkpoint")
def empty_folder(folder: Path) -> Path:
    """An empty folder."""
    (folder / "model").mkdir()
    return folder / "model"


@attack(refused="folder is no checkpoint")
def folder_of_folders(folder: Path) -> Path:
    """A folder whose checkpoint names are folders themselves."""
    for name in (".metadata", "model.safetensors", "pytorch_model.bin", "pickled_data"):
        (folder / "model" / name).mkdir(parents=True)
    return folder / "model"


@attack(refused="can't be opened", nobody=True)
def no_permission(folder: Path) -> Path:
    """A file that this user may not read."""
    path = folder / "model.pth"
    path.write_bytes(SOUND)
    path.chmod(0)
    return path


@attack(refused="can't be opened", nobody=True)
def no_permission_for_the_folder(folder: Path) -> Path:
    """A folder that this user may not enter."""
    closed = folder / "closed"
    closed.mkdir()
    (closed / "model.safetensors").write_bytes(safetensors_file({"a": safe_entry()}))
    closed.chmod(0)
    return closed / "model.safetensors"


@attack(refused="folder", nobody=True)
def folder_that_can_not_be_entered(folder: Path) -> Path:
    """A checkpoint folder that this user may not enter."""
    closed = folder / "closed"
    closed.mkdir()
    (closed / "model.safetensors").write_bytes(safetensors_file({"a": safe_entry()}))
    closed.chmod(0)
    return closed


@attack(refused="")
def plain_pickle_of_a_terabyte(folder: Path) -> Path:
    """A sparse file that begins like a pickle."""
    path = folder / "model.pkl"
    with path.open("wb") as file:
        file.write(b"\x80\x04X" + b"\xff" * 4)
        file.truncate(1 << 40)
    return path


@attack(refused="")
def proc_file(folder: Path) -> Path:
    """A file of /proc, which says that it is empty and is not."""
    (folder / "model.pth").symlink_to("/proc/self/environ")
    return folder / "model.pth"
