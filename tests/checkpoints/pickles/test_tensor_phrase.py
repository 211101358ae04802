"""The tensor phrase done in one step gives just what the single opcodes give, on sound and on broken streams."""

from __future__ import annotations

import random
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from torch2flow.checkpoints.pickles import Machine, Opaque, reading, run_stream
from torch2flow.checkpoints.pickles.python_constructors import CONSTRUCTORS
from torch2flow.errors import FormatError


def outcome(data: bytes, monkeypatch: pytest.MonkeyPatch, phrases: bool) -> tuple[str, list[Any], int, int]:
    """What the stream gives as text, or the kind of error; the memo; objects counted."""
    with monkeypatch.context() as patch:
        if not phrases:
            patch.setattr(reading, "take_tensor", lambda m, at: False)
        runner = Machine(data, constructors=CONSTRUCTORS, persistent_load=lambda pid: ("storage", repr(pid)))
        try:
            text = repr(described(run_stream(runner)))
        except FormatError:
            return "FormatError", [], 0, 0
        return text, [repr(described(item)) for item in runner.memo.items], runner.objects, runner.end


def described(value: Any, depth: int = 8) -> Any:
    """Down to a depth: a broken stream can build what holds itself."""
    if not depth:
        return type(value).__name__
    if isinstance(value, dict):
        return {str(key): described(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [type(value).__name__, *(described(item, depth - 1) for item in value[:99])]
    if isinstance(value, Opaque):
        return value.class_name, described(value.args, depth - 1), described(value.state, depth - 1)
    return value


SHAPES = [(3, 4), (5,), (), (2, 1, 300), (1, 2, 3, 4), (70000, 1), (0, 3)]


@pytest.fixture
def stream(torch: ModuleType, tmp_path: Path) -> bytes:
    """A pickle of 60 tensors: from index 256 of the memo on, as in every large checkpoint, it holds phrases."""
    state = OrderedDict((f"{n}.weight", torch.zeros(SHAPES[n % len(SHAPES)])) for n in range(60))
    state["tied"], state["view"] = state["3.weight"], state["7.weight"].t()
    state["parameter"], state["integers"] = torch.nn.Parameter(torch.ones(2)), torch.arange(5)
    torch.save(state, tmp_path / "many.pth")
    with zipfile.ZipFile(tmp_path / "many.pth") as archive:
        name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        return archive.read(name)


def test_a_checkpoint_is_the_same_with_and_without_phrases(stream: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(stream, monkeypatch, True) == outcome(stream, monkeypatch, False)


def test_a_broken_stream_is_the_same_with_and_without_phrases(stream: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(2)
    for _ in range(3000):
        broken = bytearray(stream)
        for _ in range(chance.choice((1, 1, 2, 4))):
            broken[chance.randrange(len(broken) // 2, len(broken))] = chance.choice(
                (chance.randrange(256), *b"KMJhrt(RQX")
            )
        assert outcome(bytes(broken), monkeypatch, True) == outcome(bytes(broken), monkeypatch, False)
