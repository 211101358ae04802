"""Training scripts in the style of well-known tutorials train on OneFlow as they do on PyTorch, step by step.

All of them, against today's PyTorch: `make port-scripts`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from torch2flow.errors import UsageError
from torch2flow.proof.scripts.both_sides import ScriptRun, verify_script
from torch2flow.proof.scripts.step_comparison import ScriptComparison, compare_losses

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize(
    ("source", "command", "ranks", "steps"),
    [
        ("dcgan.py", "dcgan.py", 1, 50),
        ("word_language_model", "main.py --model Transformer --lr 0.5", 1, 50),
        ("ddp.py", "ddp.py", 2, 100),
    ],
)
def test_the_losses_are_pytorchs_within_noise(
    source: str, command: str, ranks: int, steps: int, oneflow_python: Path, tmp_path: Path
) -> None:
    code, found = verified(oneflow_python, SCRIPTS / source, tmp_path / source, command, ranks)
    assert code == 0 and found["sentence"] == f"The losses of {steps} steps are the same within the noise of rounding."
    assert not [note for note in found["notes"] if "not the same" in note]


def verified(python: Path, source: Path, out: Path, command: str, ranks: int = 1) -> tuple[int, dict]:
    words = [python.with_name("torch2flow"), "port", source, "-o", out, "--json", "--verify-script", command]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [*map(str, words), "--ranks", str(ranks)], capture_output=True, text=True, env={**kept, "OMP_NUM_THREADS": "1"}
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["script"]


def test_a_script_that_trains_otherwise_is_told_and_so_is_what_can_not_be_made_equal(
    oneflow_python: Path, tmp_path: Path
) -> None:
    source = tmp_path / "train.py"
    source.write_text(
        "import torch\n"
        "net = torch.nn.Linear(4, 1)\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "open('written', 'w').close()\n"
        "for step in range(9):\n"
        "    strange = torch.distributions.Laplace(torch.zeros(3, 4), 1.0)\n"
        "    noise = strange.rsample() if step == 5 else torch.randn(3, 4)\n"
        "    loss = net(noise).pow(2).mean()\n"
        "    optimizer.zero_grad()\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
    )
    code, found = verified(oneflow_python, source, tmp_path / "out.py", "train.py")
    assert code == 1 and found["sentence"].startswith("The losses differ from step 6 on")
    assert any("draws uniform [3, 4] more than PyTorch" in note for note in found["notes"])
    assert not (tmp_path / "written").exists()
    assert [step["verdict"] for step in found["steps"][:6]] == ["within noise"] * 5 + ["different"]


def test_actions_vocabularies_and_losses_that_cancel_are_the_same_on_both_sides(
    oneflow_python: Path, tmp_path: Path
) -> None:
    source = tmp_path / "train.py"
    source.write_text(
        "import torch, torch.nn as nn, torch.nn.functional as F\n"
        "from torch.distributions import Categorical, Normal\n"
        "words = list(set('the quick brown fox jumps over the lazy dog'.split()))\n"
        "place = {word: index for index, word in enumerate(words)}\n"
        "net, average = nn.Linear(8, 8), torch.optim.swa_utils.AveragedModel(nn.Linear(2, 2))\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "for step in range(9):\n"
        "    logits = net(F.one_hot(torch.tensor(place['fox']), 8).float())\n"
        "    actions = Categorical(logits=logits).sample((20,))\n"
        "    rewards = torch.tensor([10.0 - 0.3 * k for k in range(20)])\n"
        "    rewards = (rewards - rewards.mean()) / rewards.std()\n"
        "    loss = -(Categorical(logits=logits).log_prob(actions) * rewards).sum()\n"
        "    loss = loss + (Normal(logits, 1.0).rsample() * F.gumbel_softmax(logits, hard=True)).sum() * 1e-3\n"
        "    optimizer.zero_grad()\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
    )
    code, found = verified(oneflow_python, source, tmp_path / "out.py", "train.py")
    assert code == 0 and found["sentence"] == "The losses of 9 steps are the same within the noise of rounding."
    assert found["notes"] == []


def test_steps_are_judged_by_what_rounding_makes_of_them() -> None:
    exact = [1.0, 0.9, 0.8, 0.7]
    assert [step.verdict for step in compare_losses(exact, exact, [1.000001, 0.9, 0.8, 0.7])] == ["within noise"] * 4
    assert [step.verdict for step in compare_losses(exact, exact, [1.0, 0.9, 0.8001, 0.7])][2] == "different"
    noisy = [1.0, 0.90001, 0.8, 0.9]
    found = ScriptComparison(compare_losses(exact, noisy, [1.0, 0.90005, 0.8001, 0.1]))
    assert [step.verdict for step in found.steps] == ["within noise"] * 3 + ["undecided"]
    assert found.is_same and "in 1 later ones" in found.sentence
    assert not ScriptComparison(compare_losses(exact, exact, exact[:3])).is_same
    assert "OneFlow has no step 4" in ScriptComparison(compare_losses(exact, exact, exact[:3])).sentence
    assert ScriptComparison(compare_losses([math.nan, 1.0], [math.nan, 1.0], [math.nan, 1.0])).steps[0].verdict
    assert not ScriptComparison(compare_losses([1.0], [1.0], [math.nan])).is_same
    assert not ScriptComparison(compare_losses([1.0], [1.0], [math.inf])).is_same
    assert (
        not ScriptComparison([]).is_same and not ScriptComparison(compare_losses(exact, exact, exact), [], "x").is_same
    )


def test_what_ends_the_comparison_ends_the_script(core_python: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")
    slow, pid = tmp_path / "slow", tmp_path / "pid"
    slow.write_text(f"#!/bin/sh\necho $$ > {pid}.part\nmv {pid}.part {pid}\nexec sleep 60\n")
    slow.chmod(0o755)
    text = (
        "from pathlib import Path\nfrom torch2flow.proof.scripts.both_sides import ScriptRun, verify_script\n"
        f"verify_script(ScriptRun('train.py', Path({str(tmp_path)!r}), Path('/none'), python={str(slow)!r}))\n"
    )
    with subprocess.Popen([core_python, "-c", text]) as process:
        while process.poll() is None and not pid.exists():
            time.sleep(0.05)
        process.terminate()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
    stat, started = Path("/proc") / pid.read_text().strip() / "stat", time.monotonic()
    with contextlib.suppress(OSError):  # it is gone
        while ") Z " not in stat.read_text():  # ended, and nobody has asked for its exit code yet
            assert time.monotonic() - started < 10
            time.sleep(0.05)


def test_an_interpreter_that_is_not_there_is_a_fault_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")
    with pytest.raises(UsageError, match="can't be started"):
        verify_script(ScriptRun("train.py", tmp_path, tmp_path, python="/none"))


@pytest.mark.parametrize("command", ["", "a 'b", "-m", "-m nets", "other.py", "none/train.py x"])
def test_a_command_that_names_no_script_is_refused_before_anything_runs(command: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("1/0\n")
    sources = {"-m nets": ["train.py"], "none/train.py x": ["."]}.get(command, ["train.py", "."])
    for source in sources:
        with pytest.raises(UsageError):
            verify_script(ScriptRun(command, tmp_path / source, tmp_path, python="/none"))
