"""The verdict can fail for each thing it names: a fault is put into a faithful model, and the verdict is read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from made_once import CAPTURING, made_once

from torch2flow.conversion import convert
from torch2flow.proof.parity import Request, Verification, verify_folder
from torch2flow.proof.parity.reference import Reference

CAPTURE = """
import sys, torch, torch2flow
from pathlib import Path
from torch import nn
import torch.nn.functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.whole, self.some = nn.Dropout2d(0.3), nn.Dropout(0.1)
        self.rnn = nn.LSTM(8, 8, 2, dropout=0.2, batch_first=True)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 5)
        self.norm.weight.requires_grad_(False)

    def forward(self, x):
        x = self.whole(torch.relu(self.bn(self.conv(x))))
        x = self.rnn(x.flatten(2).transpose(1, 2))[0]
        x = F.dropout(self.some(self.norm(x)), 0.4, self.training)
        return {"scores": self.head(x), "pair": (x.mean(1), x.argmax(-1))}

class Always(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        return F.dropout(self.fc(x), 0.5, training=True)

class Sampled(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.leave = nn.Linear(8, 8), nn.Linear(4, 6)

    def forward(self, x):
        mean, spread = self.enter(x).chunk(2, -1)
        return self.leave(mean + torch.randn_like(mean) * spread.exp()), mean

class Routed(nn.Module):
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Linear(8, 8)

        def forward(self, x):
            score = self.w(x).sigmoid()
            chosen = score.topk(4, -1, sorted=False)[1]
            return score.gather(1, chosen), chosen

    def __init__(self):
        super().__init__()
        self.gate = self.Gate()

    def forward(self, x):
        weights, chosen = self.gate(x)
        return torch.zeros_like(x).scatter(1, chosen, weights)

class Held(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.fixed = nn.Linear(8, 8), torch.eye(8) * 1.5

    def forward(self, x):
        return self.fc(x) @ self.fixed

class Boxes(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 6)

    def forward(self, x):
        return self.fc(x).sigmoid() * torch.tensor([640.0, 640.0, 640.0, 640.0, 1.0, 1.0])

class Hooked(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head, self.kept = nn.Linear(6, 5), {}
        self.net[1].register_forward_hook(lambda module, args, output: self.kept.update(x=output.flatten(1)))

    def forward(self, x):
        self.net(x)
        return self.head(self.kept.pop("x"))

class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 8))

    def forward(self, x, chosen, shares):
        return (x.unsqueeze(1) * self.weight[chosen] * shares.unsqueeze(-1)).sum(1)

class Unsorted(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(8, 6), Experts()

    def forward(self, x):
        shares, chosen = self.gate(x).softmax(-1).topk(4, -1, sorted=False)
        return self.experts(x, chosen, shares)

class Ties(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 3)

    def forward(self, x):
        order = torch.argsort((x > 0).to(torch.int64), dim=1)
        y = self.fc(torch.gather(x, 1, order).unsqueeze(-1))
        return torch.gather(y, 1, order.sort(1)[1].unsqueeze(-1).expand(-1, -1, 3))

class Sets(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        x = x * 2
        if self.training:
            x.requires_grad = True
        return self.fc(x)

class Numbers(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(12))

    def forward(self, x):
        for layer in self.layers:
            x = F.layer_norm(F.leaky_relu(layer(x), 0.01), (8,))
        return torch.tanh(x * x.new_tensor(0.7))

class Follows(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        y = self.fc(x)
        return y * 2 + self.calls if self.training else y + self.calls

class Rounded(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        best, places = self.fc(x).round().topk(4)
        return best, places, best.sum(-1)

class Saturated(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.value = nn.Linear(8, 12), nn.Linear(8, 12)

    def forward(self, x):
        best, place = self.score(x * 3).sigmoid().topk(5)
        return best, self.value(x).gather(1, place)

folder = Path(sys.argv[1])
torch.manual_seed(0)
for model, x, options in (
    (Net(), torch.randn(4, 3, 4, 4), dict(gradients=True)),
    (Always(), torch.randn(4, 8), dict(gradients=True)),
    (Sampled(), torch.randn(4, 8), {}),
    (Routed(), torch.randn(4, 8), {}),
    (Held(), torch.randn(4, 8), {}),
    (Boxes(), torch.randn(4, 8), {}),
    (Hooked(), torch.randn(4, 3, 5, 5), {}),
    (Unsorted(), torch.randn(4, 8), {}),
    (Ties(), torch.randn(2, 32), {}),
    (Sets(), torch.randn(4, 8), dict(gradients=True)),
    (Numbers(), torch.randn(4, 8), {}),
    (Saturated(), torch.randn(4, 8), {}),
    (Rounded(), torch.randn(4, 8), {}),
    (Follows(), torch.randn(4, 8), dict(gradients=True)),
):
    name = type(model).__name__
    torch2flow.capture(model, (x,), out=folder / f"{name}.pt2", dynamic={0: ("batch",)}, **options)
torch2flow.capture(Net(), (torch.randn(4, 3, 4, 4),), out=folder / "Trained.pt2", train=True, gradients=True)
"""

Verify = Callable[..., Verification]


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory, run_python: Callable[..., str], torch_python: Path) -> Path:
    def capture(folder: Path) -> None:
        run_python(torch_python, CAPTURE, folder, env={"OMP_NUM_THREADS": "1"})

    return made_once("verdict", [*CAPTURING, CAPTURE], capture, tmp_path_factory.mktemp("captured"))


@pytest.fixture(scope="module")
def converted(captured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("converted")
    for path in captured.glob("*.pt2"):
        convert(path, out / path.stem)
    return out


@pytest.fixture
def verify(converted: Path, captured: Path, tmp_path: Path, flow: ModuleType) -> Verify:
    """`verify(name, (old, new), ...)`: the verdict about a model with these changes to its source."""

    def run(name: str, *changes: tuple[str, str], **request: bool) -> Verification:
        folder = tmp_path / name
        shutil.copytree(converted / name, folder)
        source = (folder / "model.py").read_text()
        for old, new in changes:
            assert re.search(old, source), source
            source = re.sub(old, new, source, count=1)
        (folder / "model.py").write_text(source)
        return verify_folder(folder, captured / f"{name}.pt2", Request(**request))  # type: ignore[arg-type]

    return run


def parts(found: Verification) -> list[str]:
    """The parts that are not within noise."""
    return [part for part in found.parts if not found.ledger.fine(part)]


FAITHFUL = ["Net", "Trained", "Always", "Sampled", "Routed", "Held", "Boxes", "Hooked", "Unsorted", "Ties", "Sets",
            "Numbers", "Saturated", "Rounded", "Follows"]  # fmt: skip


@pytest.mark.parametrize("name", FAITHFUL)
def test_a_faithful_model_is_within_noise(name: str, verify: Verify) -> None:
    """With dropout of every kind, in either mode, always active or not; random, unsorted, with plain attributes."""
    found = verify(name, graph=name not in ("Sampled", "Net", "Trained"))
    assert found.faithful, found.sentence
    assert not found.ledger.failures


def test_what_is_compared_has_a_part_of_its_own(verify: Verify) -> None:
    assert verify("Net").parts == [
        "weights", "form", "outputs", "second", "third", "large", "again", "other_mode", "own", "inputs", "dropout",
        "trainable", "train_outputs", "gradients", "input_gradients", "buffers", "later_buffers", "sgd", "adamw",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (r"nn\.Dropout\(0\.1\)|nn\.Dropout\(p=0\.1\)", "nn.Dropout(0.9)", "some"),
        (r"self\.some\((.*?)\)", r"\1", "some"),
        (r"p=0\.4, training=self\.training", "p=0.4, training=False", ""),
        (r"p=0\.4, training=self\.training", "p=0.3, training=self.training", ""),
        (r"dropout=0\.2", "dropout=0.0", "rnn"),
    ],
)
def test_dropout_that_differs_is_named_where_it_is(old: str, new: str, path: str, verify: Verify) -> None:
    found = verify("Net", (old, new))
    assert parts(found) == ["dropout"], found.sentence
    assert found.divergence is not None and found.divergence.path == path, found.sentence


def test_dropout_that_is_not_always_active_any_more_is_named(verify: Verify) -> None:
    found = verify("Always", ("training=True", "training=self.training"))
    assert parts(found) == ["dropout"] and "in eval mode" in found.sentence


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ((r"return \{", "if self.training:\n            some = some + 0.1\n        return {"), "train_outputs"),
        ((r"(self\.head = .*)", r"\1\n        self.head.bias.requires_grad_(False)"), "trainable"),
        ((r"self\.norm\.weight\.requires_grad_\(False\)", "pass"), "trainable"),
    ],
)
def test_training_that_differs_is_named(change: tuple[str, str], part: str, verify: Verify) -> None:
    found = verify("Net", change)
    assert part in parts(found), found.sentence
    assert found.ledger.fine("outputs", "own")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (r'"pair": \((.*)\)\}', r'"pair": [\1]}', "the output['pair'] is a list instead of a tuple"),
        (r'"scores"', '"points"', "the keys 'points', 'pair' instead of 'scores', 'pair'"),
        (r"argmax\((.*?)\)([),])", r"argmax(\1).to(flow.int32)\2", "a tensor of int32 instead of a tensor of int64"),
    ],
)
def test_outputs_are_compared_as_a_caller_sees_them(old: str, new: str, told: str, verify: Verify) -> None:
    found = verify("Net", (old, new))
    assert "form" in parts(found) and told in found.sentence


def test_a_fault_in_eval_mode_of_what_was_captured_in_train_mode_is_caught(verify: Verify) -> None:
    found = verify("Trained", (r"self\.head\((.*?)\)", r"(self.head(\1) + (0.0 if self.training else 0.1))"))
    assert parts(found) == ["eval_outputs"], found.sentence


def test_a_buffer_that_changes_in_eval_mode_is_caught(verify: Verify) -> None:
    change = (r"return \{", "if not self.training:\n            self.bn.num_batches_tracked.add_(1)\n        return {")
    found = verify("Net", change)
    assert "again" in parts(found) and "outputs" not in parts(found), found.sentence
    assert "bn.num_batches_tracked, for one, differs: it changes in eval mode" in found.sentence


def test_what_was_left_out_of_a_recording_is_told(verify: Verify) -> None:
    found = verify("Sets")
    assert "gradients" in found.parts and "input_gradients" not in found.parts
    assert "Gradients of inputs were not compared: with them, the model raised: RuntimeError" in found.sentence


def test_which_of_equal_values_comes_first_is_no_difference(captured: Path, verify: Verify) -> None:
    tied = Reference(captured / "Rounded.reference.safetensors").notes["ties"]["tensors"]
    assert {"output.1", "second.output.1"} <= set(tied) and not {"output.0", "output.2"} & set(tied)
    found = verify("Rounded")
    assert found.faithful and "`topk` meets equal values" in " ".join(found.notes), found.notes


@pytest.mark.oneflow
def test_a_weight_that_is_one_rounding_off_is_named(converted: Path, captured: Path, tmp_path: Path) -> None:
    shutil.copytree(converted / "Net", tmp_path / "Net")
    place = tmp_path / "Net" / "weights" / "head.bias" / "out"
    values = np.frombuffer(place.read_bytes(), np.float32).copy()
    values[2] = np.nextafter(values[2], np.float32(9))
    place.write_bytes(values.tobytes())
    found = verify_folder(tmp_path / "Net", captured / "Net.pt2", Request(training=False))
    assert "weights" in parts(found) and "`head.bias`" in found.sentence


ONLY_IN_FLOAT32 = r"(        return \{)"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("some = some * 0", "outputs"),
        ("some = some.to(flow.bfloat16).to(flow.float32)", "outputs"),
        ("some = some * 1.001", "outputs"),
    ],
)
def test_float64_excuses_nothing_that_is_wrong_in_float32(change: str, part: str, verify: Verify) -> None:
    found = verify("Net", (ONLY_IN_FLOAT32, rf"        if some.element_size() == 4:\n            {change}\n\1"))
    assert not found.faithful
    assert found.ledger.verdict(part) in ("loses digits", "different"), found.sentence


def test_graph_mode_can_fail(verify: Verify) -> None:
    found = verify(
        "Boxes",
        (r"return (.*)", r"x = \1\n        return x * 0 if x.is_lazy else x"),
        graph=True,
    )
    assert parts(found) == ["graph"], found.sentence


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        (r"(\n +)(self\.calls\.copy_\(.*?\))", r"\1if not self.fc.weight.is_lazy and not x.is_lazy: \2", "graph"),
        (r"fc = (fc \* 2)", r"fc = fc + (fc.detach() if x.is_lazy else fc)", "graph_training"),
        (r"fc = (fc \* 2)", r"fc = \1 + (1 if x.is_lazy else 0)", "graph_training"),
    ],
)
def test_a_graph_is_called_twice_and_trained(old: str, new: str, part: str, verify: Verify) -> None:
    found = verify("Follows", (old, new), graph=True)
    assert found.divergence is not None and found.divergence.part == part, found.sentence


def test_a_size_that_is_fixed_in_train_mode_alone_is_caught(verify: Verify) -> None:
    found = verify("Follows", (r"fc = (fc \* 2)", r"fc = \1 + flow.zeros(4, 1)"))
    assert found.divergence is not None and found.divergence.part == "other_mode", found.sentence
    assert "a size is fixed" in found.divergence.likely[0]


def test_small_values_beside_large_ones_are_judged_by_themselves(verify: Verify) -> None:
    found = verify("Boxes", (r"return (.*)", r"x = \1\n        return flow.cat((x[:, :4], x[:, 4:] * 1.00000003), 1)"))
    assert not found.faithful


def test_a_random_output_of_another_spread_is_caught(verify: Verify) -> None:
    found = verify("Sampled", (r"(flow\.randn\(.*?\))", r"\1 * 1.001"))
    assert "outputs" in parts(found)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("Net", (r"F\.relu\(|flow\.relu\(", "F.silu("), "another activation"),
        ("Net", (r"nn\.LayerNorm\(8\)", "nn.LayerNorm(8, eps=1e-3)"), "another eps: with 1e-05 instead of 0.001"),
        ("Net", (r"padding=1", "padding=1, dilation=1, stride=2"), "another stride: with (1, 1) instead of (2, 2)"),
        ("Boxes", (r"flow\.sigmoid|F\.sigmoid", "flow.tanh"), "another activation: with `flow.sigmoid("),
        ("Held", (r"flow\.matmul\((.*?), (.*)\)", r"flow.matmul(\1, \2) * 0.5"), "another constant or scale: with `1`"),
    ],
)
def test_a_cause_that_was_put_right_is_told_alone(
    name: str, change: tuple[str, str], told: str, verify: Verify
) -> None:
    """The one change to the code that gives PyTorch's numbers explains them."""
    found = verify(name, change)
    assert found.divergence is not None
    (likely,) = found.divergence.likely  # nothing is guessed beside it
    assert told in likely and likely.endswith("the numbers are PyTorch's")


def test_no_cause_is_put_right_that_is_not_the_cause(verify: Verify) -> None:
    found = verify("Boxes", (r"return (.*)", r"x = \1\n        return x + flow.sin(x * 3) * 0.01"))
    assert found.divergence is not None
    assert not [text for text in found.divergence.likely if "another eps" in text or "activation" in text]


def test_a_module_that_differs_in_graph_mode_is_named(verify: Verify) -> None:
    found = verify(
        "Routed",
        (r"(?s)(class Gate.*?)return (.*?\n)", r"\1x = 1.5 if x.is_lazy else 1.0\n        return x * \2"),
        graph=True,
    )
    if "graph" in parts(found):
        assert found.divergence is not None and found.divergence.path == "gate", found.sentence
    else:
        pytest.fail(found.sentence)


def test_an_error_is_located_by_line_and_module(verify: Verify) -> None:
    found = verify("Net", (r"return \{", "x.no_such_method()\n        return {"))
    assert "no_such_method" in found.sentence and "of model.py" in found.sentence


def test_dropout_that_keeps_another_scale_is_named(verify: Verify) -> None:
    found = verify("Net", (r"\(1 - p\)", "(1 + p)"))
    assert parts(found) == ["dropout"], found.sentence
    assert found.divergence is not None and found.divergence.path == "whole"
    assert "what is kept is multiplied by" in found.sentence


def test_dropout_of_elements_in_place_of_channels_is_named(verify: Verify) -> None:
    found = verify("Net", (r"\(input\.shape\[0\], input\.shape\[1\], \*\[1\] \* \(input\.ndim - 2\)\)", "input.shape"))
    assert parts(found) == ["dropout"], found.sentence
    assert found.divergence is not None and found.divergence.path == "whole"
    assert "it drops single elements instead of whole channels" in found.sentence


def test_what_no_run_has_used_is_said(verify: Verify) -> None:
    change = (
        r"return (.*)",
        r"x = \1\n        if x.shape[0] > 1000:\n            x = x * 2\n        return x.clamp(-1e9, 1e9)",
    )
    found = verify("Boxes", change)
    assert found.faithful, found.sentence
    assert len(found.notes) == 1
    assert "not exercised" in found.notes[0] and "`x.shape[0] > 1000` was never true (line " in found.notes[0]
    assert len(found.to_json()["not_exercised"]) == 3


def test_a_layer_of_another_dtype_is_named_itself(verify: Verify) -> None:
    found = verify("Routed", (r"(?s)(class Gate.*?return )(.*?), (\w+)\n", r"\1(\2).double(), \3\n"))
    assert found.divergence is not None and found.divergence.path == "gate", found.sentence
