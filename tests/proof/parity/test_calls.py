"""A module that one side calls more often, and a call that is not like the first: each is compared with its like."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from made_once import CAPTURING, made_once

import torch2flow
from torch2flow.conversion import convert
from torch2flow.proof.parity import Verification, verify_folder

CAPTURE = """
import sys, torch, torch2flow
from pathlib import Path
from torch import nn

class Unread(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.drop = nn.Linear(6, 6), nn.Linear(6, 6), nn.Dropout(0.1)

    def forward(self, x):
        self.drop(self.a(x * 3))
        x = self.drop(self.a(self.b(x)))
        for step in range(2):
            self.a(x + step).copy_(self.drop(x))
            x = self.b(x)
        return torch.tanh(self.a(x))

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.out = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x, whole):
        return self.out(self.query(x).softmax(-1) * x), self.out(self.query(whole))

class LastUnread(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Block() for _ in range(3))

    def forward(self, x):
        whole = x.mean(0, keepdim=True)
        for layer in self.layers:
            x, whole = layer(x, whole)
        return x

class ActNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias, self.scale = nn.Parameter(torch.zeros(6)), nn.Parameter(torch.ones(6))
        self.ready = False

    def forward(self, x):
        if not self.ready:
            self.bias.data.copy_(-x.detach().mean(0))
            self.scale.data = 1 / (x.detach().std(0) + 1e-3)
            self.ready = True
        return (x + self.bias) * self.scale

class Glow(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.fc, self.last = ActNorm(), nn.Linear(6, 6), ActNorm()

    def forward(self, x):
        return self.last(self.fc(self.first(x)))

class ByHook(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.scale = nn.Linear(6, 6), nn.Parameter(torch.ones(6))
        self.hook = self.register_forward_pre_hook(lambda module, args: module.set_up(args[0]))

    def set_up(self, x):
        self.scale.data.copy_(1 / self.fc(x).detach().std(0))
        self.hook.remove()

    def forward(self, x):
        return self.fc(x) * self.scale

class InTraining(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.scale = nn.Linear(6, 6), nn.Parameter(torch.ones(6))
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))

    def forward(self, x):
        if self.training and not self.ready:
            self.scale.data.copy_(1 / self.fc(x).detach().std(0))
            self.ready.fill_(True)
        return self.fc(x) * self.scale

class Kept(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.mean = nn.Linear(6, 6), None

    def forward(self, x):
        if self.mean is None:
            self.mean = x.mean(0)
        return self.fc(x - self.mean)

class Follows(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.teacher = nn.Linear(6, 6), nn.Linear(6, 6)
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x):
        with torch.no_grad():
            self.teacher.weight.mul_(0.9).add_(self.fc.weight, alpha=0.1)
            self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        return self.fc(x - self.mean) - self.teacher(x)

class Writes(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)
        self.register_buffer("kept", torch.zeros(8, 6))

    def forward(self, x):
        self.kept.index_copy_(0, torch.arange(4), self.fc(x))
        return self.kept.sum(0) + 0 * x.sum()

folder = Path(sys.argv[1])
torch.manual_seed(0)
for cls in (Unread, LastUnread, Glow, ByHook, InTraining, Kept, Follows, Writes):
    model, x = cls(), torch.randn(4, 6)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    dynamic = {} if cls is Writes else {0: ("batch",)}
    torch2flow.capture(model, (x,), out=folder / f"{cls.__name__}.pt2", dynamic=dynamic, gradients=True)
    assert not any(value.requires_grad for value in model.buffers()), cls
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), cls
    assert not any(vars(part).get("ready") for part in model.modules()), cls
"""

Verify = Callable[..., Verification]


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory, run_python: Callable[..., str], torch_python: Path) -> Path:
    def capture(folder: Path) -> None:
        run_python(torch_python, CAPTURE, folder, env={"OMP_NUM_THREADS": "1"})

    return made_once("calls", [*CAPTURING, CAPTURE], capture, tmp_path_factory.mktemp("captured"))


@pytest.fixture
def verify(captured: Path, tmp_path: Path, flow: ModuleType) -> Verify:
    """`verify(name, old, new)`: the verdict about a model with this change to its source."""

    def run(name: str, old: str = "", new: str = "") -> Verification:
        convert(captured / f"{name}.pt2", tmp_path / name)
        source = (tmp_path / name / "model.py").read_text()
        assert old in source, source
        (tmp_path / name / "model.py").write_text(source.replace(old, new, 1))
        return verify_folder(tmp_path / name, captured / f"{name}.pt2")

    return run


@pytest.mark.parametrize("name", ["Unread", "LastUnread"])
def test_calls_whose_results_nobody_reads_are_told_and_not_compared(name: str, verify: Verify) -> None:
    found = verify(name)
    assert found.faithful, found.sentence
    assert any("another number of times" in note for note in found.notes), found.notes


def test_a_dropout_beside_unread_ones_is_missed(verify: Verify) -> None:
    found = verify("Unread", "self.drop(", "(")
    assert found.divergence is not None and found.divergence.part == "dropout", found.sentence


def test_a_buffer_that_is_written_with_gradients_is_compared_in_float64(verify: Verify) -> None:
    found = verify("Writes")
    assert found.faithful and "Float64" not in found.sentence, found.sentence


def test_a_fault_beside_unread_calls_is_still_located(verify: Verify) -> None:
    found = verify("Unread", "flow.tanh", "flow.sigmoid")
    assert found.divergence is not None and found.divergence.path == "", found.sentence
    assert "flow.tanh" in found.divergence.likely[0], found.divergence.likely


def test_a_port_that_calls_a_layer_once_more_is_within_noise(torch: Any, flow: Any) -> None:
    def build(library: Any, times: int) -> Any:
        class Net(library.nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.a, self.b = library.nn.Linear(6, 6), library.nn.Linear(6, 6)

            def forward(self, x: Any) -> Any:
                for number in range(times):
                    self.a(x * (number + 2))
                return self.a(self.b(self.a(x)))

        return Net()

    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    for mine, theirs in ((1, 0), (0, 2)):
        found = torch2flow.verify(build(flow, mine), build(torch, theirs), (x,), transfer=True)
        assert found.faithful, found.sentence
        assert found.ledger.fine("own", "inputs"), found.notes


@pytest.mark.parametrize("name", ["Glow", "ByHook", "InTraining", "Follows"])
def test_what_sets_itself_up_in_its_first_call_is_captured_as_it_is_afterwards(
    name: str, verify: Verify, tmp_path: Path
) -> None:
    found = verify(name)
    assert found.faithful, found.sentence
    assert ("Training was not compared: in its first call" in found.sentence) == (name == "InTraining")
    if name != "Follows":
        assert not re.search(r"copy_|no_grad", (tmp_path / name / "model.py").read_text())


def test_what_a_model_keeps_of_its_first_call_is_missed_in_its_second(verify: Verify) -> None:
    found = verify("Kept")
    assert found.divergence is not None and found.divergence.part == "again", found.sentence
