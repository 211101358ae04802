"""Optimizer states: training that PyTorch began goes on in OneFlow, and back.

Each case trains one small net three steps in PyTorch, carries the optimizer over, and trains three more on
both sides and once more in float64. How far float32 PyTorch strays from its float64 run is the noise; OneFlow
may stray four times as far, plus what its row in `CASES` explains.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torch2flow.checkpoints.oneflow import optimizers
from torch2flow.checkpoints.opening import open_container
from torch2flow.checkpoints.pytorch import Checkpoint, TensorRef

# OneFlow warns that SGD heeds maximize only with momentum, with momentum too.
pytestmark = pytest.mark.filterwarnings("ignore:Only Momentum > 0.0:FutureWarning")

STEPS = 3
ULP = 2.0**-23

# Part of a parameter's way in three steps. OneFlow keeps beta2 and alpha as float32, and 1 - float32(0.999)
# is off by 1.3e-5; half of that is left under the root.
FLOAT32_BETA = 1e-5
# eps is added under the root on OneFlow's side: at most eps / sqrt(v) of each step. The smallest sqrt(v) here
# is 1e-5.
EPS_PLACEMENT = 1e-3

CASES: dict[str, tuple[str, dict[str, Any], float]] = {
    "sgd": ("SGD", {"lr": 0.1}, 0),
    "sgd_weight_decay": ("SGD", {"lr": 0.1, "weight_decay": 0.1}, 0),
    "sgd_momentum": ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}, 0),
    "sgd_nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}, 0),
    "sgd_dampening": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}, 0),
    "sgd_maximize": ("SGD", {"lr": 0.01, "momentum": 0.9, "maximize": True}, 0),
    "adam": ("Adam", {"lr": 0.1, "weight_decay": 0.1}, FLOAT32_BETA),
    "adam_betas": ("Adam", {"lr": 0.01, "betas": (0.8, 0.9), "eps": 0.1}, FLOAT32_BETA),
    "adamw": ("AdamW", {"lr": 0.1, "weight_decay": 0.1}, FLOAT32_BETA),
    "amsgrad": ("Adam", {"lr": 0.1, "amsgrad": True}, FLOAT32_BETA),
    "amsgrad_w": ("AdamW", {"lr": 0.1, "amsgrad": True}, FLOAT32_BETA),
    "adagrad": ("Adagrad", {"lr": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1}, 0),
    "adagrad_decay": ("Adagrad", {"lr": 0.1, "lr_decay": 0.1}, 0),
    "adadelta": ("Adadelta", {"lr": 1.0, "rho": 0.8, "weight_decay": 0.1}, 0),
    "adadelta_maximize": ("Adadelta", {"maximize": True}, 0),
    "rmsprop": ("RMSprop", {"lr": 0.01, "weight_decay": 0.1}, EPS_PLACEMENT),
    "rmsprop_centered": ("RMSprop", {"lr": 0.01, "centered": True}, EPS_PLACEMENT),
}

# What OneFlow's constructor refuses or lacks although its step, or ours, knows it.
NOT_FOR_ONEFLOW = {"Adadelta": {"maximize"}, "RMSprop": {"momentum"}}


def make_net(library: Any) -> Any:
    torch_like = library.nn
    return torch_like.Sequential(torch_like.Linear(5, 4), torch_like.Tanh(), torch_like.Linear(4, 3))


def set_weights(net: Any, weights: dict[str, np.ndarray], library: Any) -> None:
    net.load_state_dict({name: library.tensor(value) for name, value in weights.items()})


def weights_of(net: Any) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in net.state_dict().items()}


def train(net: Any, optimizer: Any, library: Any, steps: range, dtype: str = "float32") -> None:
    """Steps on data that depends on the step's number only."""
    for step in steps:
        batch = np.random.RandomState(100 + step).standard_normal((8, 5)).astype(dtype)
        optimizer.zero_grad()
        (net(library.tensor(batch)) ** 2).mean().backward()
        optimizer.step()


def groups_of(net: Any, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Two groups: the second layer learns at half the rate."""
    return [
        {"params": list(net[0].parameters())},
        {"params": list(net[2].parameters()), "lr": options.get("lr", 0.02) / 2},
    ]


def start(torch: Any, name: str, options: dict[str, Any]) -> tuple[Any, Any]:
    torch.manual_seed(3)
    net = make_net(torch)
    optimizer = getattr(torch.optim, name)(groups_of(net, options), **options)
    train(net, optimizer, torch, range(STEPS))
    return net, optimizer


def opened(path: Path) -> Any:
    return Checkpoint(path, open_container(path), ".").tree


def replaced(value: Any, convert: Callable[[Any], Any]) -> Any:
    """The tree with `convert` applied to every array: TensorRefs, or tensors of either library."""
    if isinstance(value, dict):
        return {key: replaced(item, convert) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(replaced(item, convert) for item in value)
    return convert(value.numpy()) if hasattr(value, "numpy") else value


def resume_in_oneflow(flow: Any, name: str, options: dict[str, Any], weights: Any, state: Any) -> Any:
    """OneFlow's net after three more steps."""
    net = make_net(flow)
    set_weights(net, weights, flow)
    known = {key: value for key, value in options.items() if key not in NOT_FOR_ONEFLOW.get(name, ())}
    optimizer = getattr(flow.optim, name)(groups_of(net, options), **known)
    optimizer.load_state_dict(replaced(state, lambda array: flow.tensor(np.array(array))))
    train(net, optimizer, flow, range(STEPS, 2 * STEPS))
    return net


def assert_near(ours: Any, theirs: Any, exact: Any, before: Any, explained: float) -> None:
    for name in theirs:
        noise = np.abs(theirs[name] - exact[name]).max()
        scale = np.abs(theirs[name]).max()
        allowed = 4 * max(noise, ULP * scale) + explained * np.abs(theirs[name] - before[name]).max()
        assert np.abs(ours[name] - theirs[name]).max() <= allowed, name
        # The tolerance is worth something only if a step is much longer.
        assert allowed < 0.02 * np.abs(theirs[name] - before[name]).max(), name


@pytest.mark.parametrize("case", CASES)
def test_training_goes_on_in_oneflow(case: str, torch: Any, flow: Any, tmp_path: Path) -> None:
    name, options, explained = CASES[case]
    net, optimizer = start(torch, name, options)
    torch.save({"optimizer": optimizer.state_dict()}, tmp_path / "state.pth")
    before = weights_of(net)
    state, _ = optimizers.to_oneflow(opened(tmp_path / "state.pth")["optimizer"])
    ours = weights_of(resume_in_oneflow(flow, name, options, before, state))
    exact = exact_continuation(torch, name, options, net, optimizer)
    train(net, optimizer, torch, range(STEPS, 2 * STEPS))
    assert_near(ours, weights_of(net), exact, before, explained)


def exact_continuation(torch: Any, name: str, options: dict[str, Any], net: Any, optimizer: Any) -> Any:
    """The same three steps in float64, from the same state."""
    double = make_net(torch)
    set_weights(double, weights_of(net), torch)
    double.double()
    exact = getattr(torch.optim, name)(groups_of(double, options), **options)
    exact.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # 2.13 would share `step` with it
    train(double, exact, torch, range(STEPS, 2 * STEPS), "float64")
    return weights_of(double)


@pytest.mark.parametrize("case", CASES)
def test_training_in_oneflow_goes_on_in_pytorch(case: str, torch: Any, flow: Any) -> None:
    name, options, explained = CASES[case]
    net, optimizer = start(torch, name, options)
    before = weights_of(net)
    ours = make_net(flow)
    set_weights(ours, before, flow)
    known = {key: value for key, value in options.items() if key not in NOT_FOR_ONEFLOW.get(name, ())}
    flow_optimizer = getattr(flow.optim, name)(groups_of(ours, options), **known)
    if "maximize" in options:
        for group in flow_optimizer.param_groups:
            group["maximize"] = True
    if "eps" in flow_optimizer.param_groups[0] and name == "RMSprop":
        for group in flow_optimizer.param_groups:
            group["eps"] = group["eps"] ** 2
    train(ours, flow_optimizer, flow, range(STEPS))
    state, notes = optimizers.to_pytorch(flow_optimizer.state_dict())
    assert not notes
    again = make_net(torch)
    set_weights(again, weights_of(ours), torch)
    resumed = getattr(torch.optim, name)(groups_of(again, options), **options)
    resumed.load_state_dict(replaced(state, lambda array: torch.tensor(array)))
    middle = weights_of(again)
    exact = exact_continuation(torch, name, options, again, resumed)
    train(again, resumed, torch, range(STEPS, 2 * STEPS))
    train(ours, flow_optimizer, flow, range(STEPS, 2 * STEPS))
    assert_near(weights_of(ours), weights_of(again), exact, middle, explained)


def same(a: Any, b: Any) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, two in zip(a, b, strict=True):
            same(one, two)
    elif hasattr(a, "numpy"):
        assert np.array_equal(a.numpy(), b.numpy())
    else:
        assert a == b


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_pytorch_loads_what_it_saved(case: str, torch: Any, tmp_path: Path) -> None:
    name, options, _ = CASES[case]
    _, optimizer = start(torch, name, options)
    torch.save(optimizer.state_dict(), tmp_path / "state.pth")
    there, _ = optimizers.to_oneflow(opened(tmp_path / "state.pth"))
    back, _ = optimizers.to_pytorch(there)
    again = getattr(torch.optim, name)(groups_of(make_net(torch), options), **options)
    again.load_state_dict(replaced(back, lambda array: torch.tensor(array)))
    saved, loaded = optimizer.state_dict(), again.state_dict()
    for state in (saved, loaded):  # 1.13 keeps {"momentum_buffer": None} without momentum: nothing to carry
        state["state"] = {
            key: {name: float(value) if name == "step" else value for name, value in kept.items()}
            for key, kept in state["state"].items()
            if any(value is not None for value in kept.values())
        }
    same(saved, loaded)


TODAY = """
import sys, torch
sys.path.insert(0, sys.argv[1])
import test_optimizers as shared
for case, (name, options, _) in shared.CASES.items():
    net, optimizer = shared.start(torch, name, options)
    saved = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(saved, f"{sys.argv[2]}/{case}.pth")
    exact = shared.exact_continuation(torch, name, options, net, optimizer)
    shared.train(net, optimizer, torch, range(shared.STEPS, 2 * shared.STEPS))
    after = {"theirs": net.state_dict(), "exact": {k: torch.tensor(v) for k, v in exact.items()}}
    torch.save(after, f"{sys.argv[2]}/{case}-after.pth")
"""

BACK = """
import sys, torch
sys.path.insert(0, sys.argv[1])
import test_optimizers as shared
for case, (name, options, _) in shared.CASES.items():
    saved = torch.load(f"{sys.argv[2]}/{case}.pth")
    net = shared.make_net(torch)
    net.load_state_dict(saved["net"])
    optimizer = getattr(torch.optim, name)(shared.groups_of(net, options), **options)
    optimizer.load_state_dict(torch.load(f"{sys.argv[2]}/{case}-back.pth", weights_only=False))
    shared.train(net, optimizer, torch, range(shared.STEPS, 2 * shared.STEPS))
    after = torch.load(f"{sys.argv[2]}/{case}-after.pth")["theirs"]
    assert all(torch.equal(value, after[key]) for key, value in net.state_dict().items()), case
print("equal")
"""


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory, run_python: Any, torch_python: Path) -> Path:
    """A folder of states that today's PyTorch wrote after three steps, and its weights after three more."""
    folder = tmp_path_factory.mktemp("today")
    run_python(torch_python, TODAY, Path(__file__).parent, folder)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_training_begun_in_todays_pytorch_goes_on_in_oneflow(case: str, today: Path, flow: Any) -> None:
    name, options, explained = CASES[case]
    saved, after = opened(today / f"{case}.pth"), opened(today / f"{case}-after.pth")
    state, _ = optimizers.to_oneflow(saved["optimizer"])
    before, theirs, exact = (
        {key: np.array(value.numpy()) for key, value in weights.items()}
        for weights in (saved["net"], after["theirs"], after["exact"])
    )
    ours = weights_of(resume_in_oneflow(flow, name, options, before, state))
    assert_near(ours, theirs, exact, before, explained)


def test_todays_pytorch_goes_on_from_what_came_back(
    today: Path, torch: Any, flow: Any, run_python: Any, torch_python: Path
) -> None:
    """Bit for bit: the way there and back changed nothing that its optimizers use."""
    for case in CASES:
        there, _ = optimizers.to_oneflow(opened(today / f"{case}.pth")["optimizer"])
        back, _ = optimizers.to_pytorch(there)
        torch.save(replaced(back, lambda array: torch.tensor(array)), today / f"{case}-back.pth")
    assert run_python(torch_python, BACK, Path(__file__).parent, today) == "equal\n"


@pytest.mark.parametrize("version", ["1.0.1", "1.4.0", "1.6.0", "1.13.1", "2.13.0"])
def test_states_of_every_version_step_in_oneflow(version: str, fixtures: Path, flow: Any) -> None:
    tree = opened(fixtures / f"torch-{version}" / "optimizers-legacy.pth")
    for name, saved in tree.items():
        state, notes = optimizers.to_oneflow(saved)
        kind = {"adamw": "AdamW", "adagrad": "Adagrad", "adadelta": "Adadelta"}.get(
            name, next(k for k in ("SGD", "RMSprop", "Adam") if k.lower() in name or k == "Adam")
        )
        layer = flow.nn.Linear(3, 2)
        optimizer = getattr(flow.optim, kind)(layer.parameters())
        optimizer.load_state_dict(replaced(state, lambda array: flow.tensor(np.array(array))))
        layer(flow.ones(4, 3)).sum().backward()
        optimizer.step()
        assert optimizer.state_dict()["state"]["step"] == (1 if kind == "SGD" else 4), (name, notes)
        assert np.isfinite(layer.weight.numpy()).all()


# -- what has no counterpart, on plain data ------------------------------------------------------------------


ADAM = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False}
SGD = {"lr": 0.1, "momentum": 0.9, "dampening": 0, "weight_decay": 0, "nesterov": False}
RMSPROP = {"lr": 0.1, "alpha": 0.99, "eps": 1e-8, "centered": False, "weight_decay": 0, "momentum": 0}
ADAGRAD = {"lr": 0.1, "lr_decay": 0, "eps": 1e-10, "weight_decay": 0, "initial_accumulator_value": 0}
ADADELTA = {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0}


def plain_state(options: dict[str, Any], count: int = 0, state: Any = None) -> dict[str, Any]:
    return {"state": state or {}, "param_groups": [{**options, "params": list(range(count))}]}


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({**ADAM}, None),
        ({**ADAM, "maximize": False, "foreach": None, "capturable": False, "fused": None}, None),
        (
            {**ADAM, "maximize": True},
            "Adam: maximize: OneFlow has none here and will minimize; negate the loss",
        ),
        (
            {**ADAM, "foreach": True, "capturable": True},
            "Adam: foreach=True, capturable=True: how PyTorch computes, not what; OneFlow ignores it",
        ),
        ({**ADAM, "fused": True}, "Adam: fused is off: OneFlow's needs every parameter on a GPU"),
        (
            {**ADAM, "decoupled_weight_decay": True},
            "Adam: its weight decay is decoupled: load it into oneflow.optim.AdamW",
        ),
        ({**ADAM, "layer": "head"}, "Adam: layer: not known; kept in its group"),
        ({**ADAM, "initial_lr": 0.1}, None),
        ({**SGD, "weight_decay": 0.1, "maximize": True}, "SGD: PyTorch counts no steps here"),
        ({**SGD}, "SGD: PyTorch counts no steps here"),
        ({**SGD, "momentum": 0, "maximize": True}, "SGD: maximize: OneFlow heeds it only with momentum"),
        (
            {**SGD, "weight_decay": 0.1, "maximize": True, "differentiable": False},
            "SGD: maximize: OneFlow turns the sign of weight_decay too",
        ),
        ({**RMSPROP}, "RMSprop: eps became its square"),
        ({**RMSPROP, "momentum": 0.9}, "RMSprop: momentum: OneFlow 0.9.0 has none here"),
        ({**RMSPROP, "maximize": True}, "RMSprop: maximize: OneFlow has none here"),
        ({**ADAGRAD, "maximize": True}, "Adagrad: maximize: OneFlow has none here"),
    ],
)
def test_what_has_no_counterpart_is_told(options: dict[str, Any], note: str | None) -> None:
    state, notes = optimizers.to_oneflow(plain_state(options))
    if note is None:
        assert notes == []
    else:
        assert sum(text.startswith(note) for text in notes) == 1
    kept = state["param_groups"][0]["_options"]
    assert kept.keys() >= options.keys() and "params" not in kept


def test_options_that_are_tensors_become_numbers(torch: Any, tmp_path: Path) -> None:
    """`lr` and `betas` may be tensors, and torch 1.12 to 2.x keep `step` as one."""
    options = {**ADAM, "lr": torch.tensor(0.5), "betas": (torch.tensor(0.5), 0.75)}
    state = {0: {"step": torch.tensor(7.0), "exp_avg": torch.ones(2), "exp_avg_sq": torch.ones(2)}}
    torch.save(plain_state(options, 1, state), tmp_path / "state.pth")
    new, _ = optimizers.to_oneflow(opened(tmp_path / "state.pth"))
    assert new["param_groups"][0]["_options"]["lr"] == 0.5
    assert new["param_groups"][0]["_options"]["betas"] == (0.5, 0.75)
    assert new["state"]["step"] == 7 and type(new["state"]["step"]) is int
    assert set(new["state"][0]) == {"exp_avg", "exp_avg_sq"}
    assert all(isinstance(value, TensorRef) for value in new["state"][0].values())


def test_steps_that_differ_become_the_greatest_and_are_told(torch: Any, tmp_path: Path) -> None:
    state = {key: {"step": 3 + key, "exp_avg": torch.ones(1), "exp_avg_sq": torch.ones(1)} for key in (0, 1)}
    torch.save(plain_state(ADAM, 2, state), tmp_path / "state.pth")
    new, notes = optimizers.to_oneflow(opened(tmp_path / "state.pth"))
    assert new["state"]["step"] == 4
    assert notes == ["Adam: parameters took from 3 to 4 steps; OneFlow has one count for all and goes on from 4"]


def test_a_parameter_without_state_has_an_empty_one() -> None:
    new, notes = optimizers.to_oneflow(plain_state(ADADELTA, 2))
    assert new["state"] == {0: {}, 1: {}, "step": 0}
    assert notes == [
        "Adadelta: parameter 0, 1 was never updated; OneFlow makes square_avgs and acc_deltas only in its "
        "constructor: put zeros into optimizer._state before it steps"
    ]
    assert optimizers.to_pytorch(new)[0]["state"] == {}


def test_a_first_step_with_dampening_is_told() -> None:
    _, notes = optimizers.to_oneflow(plain_state({**SGD, "dampening": 0.5}, 1))
    assert any(note.startswith("SGD: dampening: OneFlow dampens a parameter's first step") for note in notes)


def test_state_that_is_no_tensor_is_left_out_and_told(torch: Any, tmp_path: Path) -> None:
    state = {0: {"momentum_buffer": 0.5}}
    new, notes = optimizers.to_oneflow(plain_state(SGD, 1, state))
    assert new["state"][0] == {}
    assert "SGD: momentum_buffer of parameter 0 is no tensor and is left out" in notes


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "momentum_decay": 0.004},
        {"lr": 1, "max_iter": 20, "history_size": 100},
        {"lr": 0.1, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50)},
    ],
    ids=["NAdam", "LBFGS", "Rprop"],
)
def test_an_optimizer_that_oneflow_lacks_is_left_as_it_is(options: dict[str, Any]) -> None:
    state = plain_state(options)
    new, notes = optimizers.to_oneflow(state)
    assert new is state
    assert notes[0].startswith("an optimizer state is left as it is: no optimizer that both sides have")
    assert ", ".join(sorted({*options, "params"})) in notes[0]


def test_oneflows_lamb_is_left_as_it_is(flow: Any) -> None:
    state = flow.optim.LAMB(flow.nn.Linear(2, 2).parameters()).state_dict()
    assert optimizers.to_pytorch(state)[0] is state


def test_what_pytorch_lacks_is_told(flow: Any) -> None:
    layer = flow.nn.Linear(2, 2)
    clipped = {"params": list(layer.parameters()), "clip_grad_max_norm": 0.5, "clip_grad_norm_type": 2.0}
    state, notes = optimizers.to_pytorch(flow.optim.Adam([clipped], do_bias_correction=False).state_dict())
    assert notes == [
        "Adam: do_bias_correction=False: PyTorch always corrects",
        "Adam: clip_grad: call torch.nn.utils.clip_grad_norm_ in the training loop",
    ]
    assert state["param_groups"][0].keys() == {"lr", "eps", "betas", "weight_decay", "amsgrad", "params"}


def test_states_of_both_sides_are_told_apart() -> None:
    theirs = plain_state(ADAM, 1)
    ours, _ = optimizers.to_oneflow(theirs)
    assert optimizers.is_pytorch_state(theirs) and not optimizers.is_oneflow_state(theirs)
    assert optimizers.is_oneflow_state(ours) and not optimizers.is_pytorch_state(ours)
    assert not optimizers.is_pytorch_state({"state": 1, "param_groups": []})
    assert not optimizers.is_pytorch_state({"state": {}, "param_groups": [1]})
