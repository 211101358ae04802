"""Learning rates: what PyTorch's scheduler began goes on in OneFlow's at the same step, and back.

Each case steps a scheduler in PyTorch, saves optimizer and scheduler, converts the file, and compares the learning rate
of each further step. OneFlow computes a rate from the number of the step, PyTorch from the rate before: what differs
is the rounding of that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import torch2flow
from torch2flow.checkpoints.oneflow import schedulers
from torch2flow.checkpoints.opening import open_container

FURTHER = 14
STEPS = (0, 1, 3, 6)

CASES: dict[str, Callable[[Any, Any], Any]] = {
    "StepLR": lambda s, o: s.StepLR(o, 3, gamma=0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 5, 8], gamma=0.5),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda step: min(1.0, (step + 1) / 8)),
    "LinearLR": lambda s, o: s.LinearLR(o, start_factor=0.1, total_iters=8),
    "ConstantLR": lambda s, o: s.ConstantLR(o, factor=0.5, total_iters=4),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 20, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5, T_mult=1, eta_min=0.01),
    "growing restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, T_mult=2),
    "SequentialLR": lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.1, total_iters=4), s.StepLR(o, 3)], [4]),
    "warm-up, then cosine": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingLR(o, 20)], [4]
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.LinearLR(o, 0.1, total_iters=4), s.ExponentialLR(o, 0.9)]),
}


def rate(optimizer: Any) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def make(library: Any, create: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    groups = [{"params": [library.nn.Parameter(library.ones(2))], "lr": lr} for lr in (0.1, 0.3)]
    optimizer = library.optim.SGD(groups, lr=0.1)
    return optimizer, create(library.optim.lr_scheduler, optimizer)


def follow(optimizer: Any, scheduler: Any, steps: int, *metrics: float) -> list[list[float]]:
    found = []
    for number in range(steps):
        optimizer.step()
        scheduler.step(*metrics[number : number + 1])
        found.append(rate(optimizer))
    return found


def through_files(
    torch: Any, flow: Any, optimizer: Any, scheduler: Any, folder: Path
) -> tuple[dict[str, Any], list[str]]:
    torch.save({"optimizer": optimizer.state_dict(), "lr_schedulers": [scheduler.state_dict()]}, folder / "run.ckpt")
    result = torch2flow.convert(folder / "run.ckpt", folder / "out", torch2flow.Options(key="."), overwrite=True)
    return flow.load(str(folder / "out")), result.plan.notes


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_the_rate_goes_on_step_by_step(name: str, torch: Any, flow: Any, tmp_path: Path) -> None:
    for done in STEPS:
        optimizer, scheduler = make(torch, CASES[name])
        follow(optimizer, scheduler, done)
        loaded, _ = through_files(torch, flow, optimizer, scheduler, tmp_path)
        new_optimizer, new_scheduler = make(flow, CASES[name])
        new_optimizer.load_state_dict(loaded["optimizer"])
        new_scheduler.load_state_dict(loaded["lr_schedulers"][0])
        expected, found = follow(optimizer, scheduler, FURTHER), follow(new_optimizer, new_scheduler, FURTHER)
        for step, (theirs, ours) in enumerate(zip(expected, found, strict=True)):
            assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9), f"{name}: {done} steps, then {step + 1}"


@pytest.mark.filterwarnings("ignore")
def test_polynomial_decay_and_plateaus_go_on(torch: Any, flow: Any, tmp_path: Path) -> None:
    """The first has other arguments on OneFlow's side, the second takes a loss."""
    for done in (0, 3, 6):
        optimizer, scheduler = make(torch, lambda s, o: s.PolynomialLR(o, 8, power=2.0))
        follow(optimizer, scheduler, done)
        loaded, _ = through_files(torch, flow, optimizer, scheduler, tmp_path)
        new_optimizer, new_scheduler = make(flow, lambda s, o: s.PolynomialLR(o, 1))
        new_optimizer.load_state_dict(loaded["optimizer"])
        new_scheduler.load_state_dict(loaded["lr_schedulers"][0])
        for theirs, ours in zip(
            follow(optimizer, scheduler, FURTHER), follow(new_optimizer, new_scheduler, FURTHER), strict=True
        ):
            assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)
    losses = [1.0, 0.9, 0.95, 0.96, 0.97, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]
    for done in (2, 4, 7):
        optimizer, scheduler = make(torch, lambda s, o: s.ReduceLROnPlateau(o, patience=1, cooldown=2, factor=0.5))
        follow(optimizer, scheduler, done, *losses)
        loaded, _ = through_files(torch, flow, optimizer, scheduler, tmp_path)
        new_optimizer, new_scheduler = make(flow, lambda s, o: s.ReduceLROnPlateau(o))
        new_optimizer.load_state_dict(loaded["optimizer"])
        new_scheduler.load_state_dict(loaded["lr_schedulers"][0])
        rest = losses[done:]
        expected, found = (
            follow(optimizer, scheduler, len(rest), *rest),
            follow(new_optimizer, new_scheduler, len(rest), *rest),
        )
        assert all(ours == pytest.approx(theirs) for ours, theirs in zip(found, expected, strict=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in CASES if name != "LambdaLR"])
def test_the_way_back_is_what_pytorch_had(name: str, torch: Any, tmp_path: Path) -> None:
    for done in STEPS:
        optimizer, scheduler = make(torch, CASES[name])
        follow(optimizer, scheduler, done)
        torch.save(scheduler.state_dict(), tmp_path / "s.pth")
        there, _ = schedulers.to_oneflow(open_container(tmp_path / "s.pth").root)
        back, notes = schedulers.to_pytorch(there)
        again_optimizer, again = make(torch, CASES[name])
        again_optimizer.load_state_dict(optimizer.state_dict())
        again.load_state_dict(back)
        assert not notes
        expected, found = follow(optimizer, scheduler, FURTHER), follow(again_optimizer, again, FURTHER)
        assert all(ours == pytest.approx(theirs) for ours, theirs in zip(found, expected, strict=True)), (name, done)


def test_newer_states_lack_what_older_have() -> None:
    """PyTorch 2.13: no `verbose`, and `_is_initial`."""
    state = {
        "step_size": 3,
        "gamma": 0.1,
        "base_lrs": [0.1],
        "last_epoch": 7,
        "_step_count": 8,
        "_is_initial": False,
        "_last_lr": [0.001],
    }
    new, notes = schedulers.to_oneflow(state)
    assert new == {"step_size": 3, "gamma": 0.1, "base_lrs": [0.1], "last_step": 7, "_last_lr": [0.001]} and not notes


@pytest.mark.filterwarnings("ignore")
def test_what_has_no_counterpart_is_told(torch: Any, tmp_path: Path) -> None:
    optimizer, scheduler = make(torch, lambda s, o: s.CyclicLR(o, 0.1, 0.2, cycle_momentum=False))
    state = {name: value for name, value in scheduler.state_dict().items() if "ref" not in name}
    scaler = {
        "scale": 1024.0,
        "growth_factor": 2.0,
        "backoff_factor": 0.5,
        "growth_interval": 2000,
        "_growth_tracker": 3,
    }
    random = torch.random.get_rng_state()
    torch.save(
        {"scheduler": state, "scaler": scaler, "rng_state": random, "model": {"w": torch.ones(1)}},
        tmp_path / "run.ckpt",
    )
    notes = torch2flow.convert(tmp_path / "run.ckpt", tmp_path / "out", torch2flow.Options(key=".")).plan.notes
    assert any(note.startswith("scheduler: CyclicLR: OneFlow 0.9.0 has no such scheduler") for note in notes)
    assert any(note.startswith("scaler: ") and "init_scale=1024.0" in note for note in notes)
    assert any(note.startswith("rng_state: PyTorch's random numbers") for note in notes)
