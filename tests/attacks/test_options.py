"""Every option and argument of every command, also of those that are added later, with values that nobody means."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import click
import pytest

from .command_line import chosen, commands, odd_files, report, run_here

TEXTS = [
    *(
        "",
        " ",
        ".",
        "..",
        "/",
        "-",
        "--",
        "=",
        "a=b",
        "=b",
        "a=",
        ":",
        "a:b",
        "(",
        ")",
        "[",
        "[]",
        "{",
        "{}",
        "*",
        "\\",
    ),
    *("nan", "inf", "-inf", "0", "-1", "1", "1e400", "1e-400", "9" * 5000, "65536", "4294967296", "9" * 20),
    *(
        "x" * 255,
        "x" * 3000,
        "a/" * 2000,
        "a." * 3000,
        "\0",
        "\n",
        "\x1b[2J",
        "%s",
        "~",
        "$HOME",
        "\\1",
        "(?P<a>",
        "(a+)+$",
    ),
    *(
        "\ud800",
        "\udcff",
        "é",
        "\u202e",
        "\ufb01",
        "{a,b}" * 24,
        "{rest}{rest}=x",
        "(.)=\\2",
        "^(=",
        "float32[",
        "int64[1e9]",
    ),
    *(
        "float32[9999999999999]",
        "x=float32[2]",
        "float16",
        "bfloat16",
        "complex64",
        "data",
        "llama",
        "alexnet",
        "folder",
    ),
    *(
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/proc/self/mem",
        "/proc/self/fd",
        "/etc/shadow/x",
        "nets.py:Net",
        "os:nothing",
    ),
]


class Places:
    """A folder with sound inputs for every command, and with things that are no inputs."""

    def __init__(self, folder: Path, fixtures: Path) -> None:
        self.checkpoint, self.plan = folder / "net.safetensors", folder / "plan.toml"
        shutil.copy(fixtures / "torch-2.13.0" / "net.safetensors", self.checkpoint)
        self.plan.write_text("[mesh]\ndata = -1\n")
        self.script = folder / "job.py"
        self.script.write_text("print('done')\n")
        self.odd = [*TEXTS, *odd_files(folder)]
        self.folder, self.made = folder, 0
        assert run_here("convert", self.checkpoint, "-o", folder / "converted", "-q").code == 0

    def sound(self, path: tuple[str, ...], parameter: click.Parameter) -> list[str]:
        """Values with which a command works, as far as it can here."""
        self.made += 1
        known: dict[str, object] = {
            "out": self.folder / "converted" if path[0] in ("check", "verify") else self.folder / f"out-{self.made}",
            "plan": "data", "script": self.script, "program": self.script, "family": "gpt2", "model": "nets.py:Net",
            "images": self.checkpoint, "name": "alexnet", "weights": self.checkpoint,
        }  # fmt: skip
        return [str(known.get(parameter.name or "", self.checkpoint))]

    def command(self, path: tuple[str, ...], command: click.Command, odd: click.Parameter, value: str) -> list[str]:
        """The command with one odd value, and sound ones where it needs some."""
        options, arguments = [], []
        for parameter in command.params:
            values = [value] if parameter is odd else self.sound(path, parameter)
            if isinstance(parameter, click.Argument):
                if parameter is odd or parameter.required:
                    arguments += values
            elif parameter is odd and getattr(parameter, "is_flag", False):
                options.append(parameter.opts[0])
            elif parameter is odd or parameter.required or parameter.name == "weights":
                options += [parameter.opts[-1], *values]
        return [*path, *options, *(["--"] if path not in (("launch",), ("run",)) else []), *arguments]


@pytest.fixture
def places(tmp_path: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise urllib.error.URLError("there is no network here")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.chdir(tmp_path)
    return Places(tmp_path, fixtures)


def test_odd_values_of_every_option(places: Places) -> None:
    cases = [
        (path, command, parameter, value)
        for path, command in commands()
        for parameter in command.params
        for value in (["given"] if getattr(parameter, "is_flag", False) else places.odd)
    ]
    assert len({path for path, *_ in cases}) >= 15
    drawn = chosen(cases, 500)
    report(
        f"values of options and arguments that nobody means, {len({path for path, *_ in cases})} commands",
        [run_here(*places.command(path, command, parameter, value)) for path, command, parameter, value in drawn],
    )
