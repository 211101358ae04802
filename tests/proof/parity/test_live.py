"""Any OneFlow model against any PyTorch model: in one process, or with PyTorch in another interpreter."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torch2flow
from torch2flow.conversion import convert
from torch2flow.errors import DifferenceError, InstallationError, UsageError
from torch2flow.proof.parity import verify_folder
from torch2flow.proof.parity.fresh_recording import Original

# -- in one process ----------------------------------------------------------------------------------------------


def pair(torch: Any, flow: Any, **options: Any) -> tuple[Any, Any]:
    """The same net in both, written by hand: attention-free, with a BatchNorm, a dropout, and two inputs."""

    def build(library: Any) -> Any:
        nn = library.nn

        class Net(nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self, momentum: float = 0.1, eps: float = 1e-5) -> None:
                super().__init__()
                self.conv = nn.Conv2d(3, 8, 3, padding=1)
                self.norm = nn.BatchNorm2d(8, momentum=momentum, eps=eps)
                self.act = nn.ReLU(inplace=True)
                self.drop = nn.Dropout(0.5)
                self.fc = nn.Linear(8, 5)

            def forward(self, x: Any, scale: Any = None) -> Any:
                x = self.act(self.norm(self.conv(x))).mean(dim=(2, 3))
                x = self.fc(self.drop(x))
                return x if scale is None else {"scaled": x * scale, "plain": x}

        return Net

    torch.manual_seed(0)
    original = build(torch)()
    original.norm.running_var.uniform_(0.5, 2)
    return build(flow)(**options), original


def images(torch: Any) -> Any:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_port_by_hand_is_verified_whole(torch: Any, flow: Any) -> None:
    model, original = pair(torch, flow)
    found = torch2flow.verify(model, original, (images(torch),), {"scale": torch.tensor(2.0)}, transfer=True)
    assert found.faithful, found.sentence
    assert set(found.ledger.parts["outputs"]) == {"0", "1"}
    assert {"own", "gradients", "input_gradients", "buffers", "sgd", "adamw"} <= set(found.parts)
    assert found.to_json()["model"]["class"] == "Net"


def test_without_transfer_the_weights_stay_and_differ(torch: Any, flow: Any) -> None:
    model, original = pair(torch, flow)
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    found = torch2flow.verify(model, original, (images(torch),))
    assert found.divergence is not None and found.divergence.path == "conv"
    assert all(np.array_equal(tensor.numpy(), before[name]) for name, tensor in model.state_dict().items())


def test_both_models_stay_as_they_were(torch: Any, flow: Any) -> None:
    model, original = pair(torch, flow)
    model.train()
    original.train()
    kept = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    torch2flow.verify(model, original, (images(torch),), transfer=True)
    assert model.training and original.training
    assert all(torch.equal(tensor, kept[name]) for name, tensor in original.state_dict().items())
    assert all(np.array_equal(model.state_dict()[name].numpy(), tensor.numpy()) for name, tensor in kept.items())
    assert all(parameter.grad is None for parameter in [*original.parameters(), *model.parameters()])
    assert "forward" not in vars(original.conv) and "forward" not in vars(model.conv)


@pytest.mark.parametrize(("option", "part"), [({"momentum": 0.2}, "buffers"), ({"eps": 1.1e-5}, "own")])
def test_a_wrong_constant_is_found(torch: Any, flow: Any, option: dict[str, float], part: str) -> None:
    model, original = pair(torch, flow, **option)
    found = torch2flow.verify(model, original, (images(torch).numpy(),), transfer=True)
    assert found.divergence is not None
    assert (found.divergence.path, found.divergence.part) == ("norm", part)


def test_a_port_may_have_a_number_where_the_original_makes_a_tensor_of_it(torch: Any, flow: Any) -> None:
    def build(library: Any, factor: Any) -> Any:
        class Net(library.nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.first, self.second = library.nn.Linear(6, 6), library.nn.Linear(6, 6)

            def forward(self, x: Any) -> Any:
                return self.second((self.first(x) * factor()).tanh())

        return Net()

    torch.manual_seed(0)
    original = build(torch, lambda: torch.tensor(0.1))
    found = torch2flow.verify(build(flow, lambda: 0.1), original, (torch.randn(4, 6),), transfer=True)
    assert found.faithful, found.sentence
    found = torch2flow.verify(build(flow, lambda: 0.1 + 1e-6), original, (torch.randn(4, 6),), transfer=True)
    assert not found.faithful, found.sentence


def test_an_original_that_does_not_run_says_so(torch: Any, flow: Any) -> None:
    model, original = pair(torch, flow)
    with pytest.raises(UsageError, match="does not run on these inputs"):
        torch2flow.verify(model, original, (torch.zeros(2, 5),))


def test_a_port_is_tried_with_other_rows_and_called_twice(torch: Any, flow: Any) -> None:
    def build(library: Any, fault: str) -> Any:
        class Net(library.nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.fc, self.calls = library.nn.Linear(6, 6), 0

            def forward(self, x: Any) -> Any:
                self.calls += 1
                y = self.fc(x)
                if fault == "again" and self.calls > 1:
                    return y * 1.01
                if (fault == "third" and len(x) == 1) or (fault == "second" and len(x) > 4 and len(x) % 2):
                    return y + 1
                return y.clamp(-9, 9) if fault == "large" else y

        return Net()

    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    for fault in ("", "second", "third", "again", "large"):
        found = torch2flow.verify(build(flow, fault), build(torch, ""), (x,), transfer=True)
        if fault in ("", "large"):  # another form of a formula may overflow, and is told
            assert found.faithful and bool(found.notes) == (fault == "large"), found.sentence
        else:
            assert found.divergence is not None and found.divergence.part == fault, found.sentence


# -- with PyTorch elsewhere --------------------------------------------------------------------------------------

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.fc1 = nn.Linear(6, width)
        self.fc2 = nn.Linear(width, 3)
        print("a model that prints")

    def forward(self, x):
        return self.fc2(torch.tanh(self.fc1(x)))

def fixed():
    torch.manual_seed(7)
    return Net()

def nothing():
    return 1

def fails():
    raise ValueError("no such checkpoint")
"""

CAPTURE = """
import sys
sys.path.insert(0, sys.argv[1])
import nets, torch, torch2flow
torch2flow.capture(nets.fixed(), (torch.randn(4, 6),), out=sys.argv[1] + "/net.pt2", gradients=True)
"""

pytestmark = pytest.mark.oneflow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, run_python: Callable[..., str], torch_python: Path) -> Path:
    """A folder with `nets.py`, `net.pt2`, and `out`, the converted model."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "nets.py").write_text(NETS)
    run_python(torch_python, CAPTURE, folder, env={"OMP_NUM_THREADS": "1"})
    convert(folder / "net.pt2", folder / "out")
    return folder


def original(project: Path, python: Path, factory: str = "fixed", **options: Any) -> Original:
    return Original(f"{project}/nets.py:{factory}", str(python), **{"inputs": ["float32[2,6]"], **options})


def test_a_pytorch_model_is_recorded_now(project: Path, torch_python: Path) -> None:
    found = verify_folder(project / "out", original=original(project, torch_python))
    assert found.faithful and "gradients" in found.parts and "own" in found.parts
    assert found.reference.metadata["model"].endswith("nets.py:fixed")


def test_an_old_pytorch_records_too(project: Path, oneflow_python: Path) -> None:
    """1.13, which exports nothing."""
    found = verify_folder(project / "out", original=original(project, oneflow_python))
    assert found.faithful, found.sentence
    assert found.versions["torch"].startswith("1.13")


def test_inputs_are_those_of_the_recording(project: Path, torch_python: Path) -> None:
    found = verify_folder(project / "out", original=original(project, torch_python, inputs=[]))
    assert found.faithful and found.reference.checkpoint["input.0"].shape == (4, 6)


def test_other_weights_are_refused_or_replaced(project: Path, torch_python: Path) -> None:
    with pytest.raises(DifferenceError, match="has other weights: 4 of 4") as raised:
        verify_folder(project / "out", original=original(project, torch_python, "Net", seed=3))
    assert "--load-weights" in raised.value.remedy
    found = verify_folder(project / "out", original=original(project, torch_python, "Net", load_weights=True))
    assert found.faithful


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        ("nothing", "is no torch.nn.Module"),
        ("fails", "no such checkpoint"),
        ("Net(width=9)", "weights do not fit"),
        ("missing", "no 'missing'"),
    ],
)
def test_what_is_wrong_with_the_factory_is_told(project: Path, torch_python: Path, factory: str, sentence: str) -> None:
    with pytest.raises(torch2flow.Torch2FlowError, match=sentence):
        verify_folder(project / "out", original=original(project, torch_python, factory, load_weights=True))


def test_an_interpreter_without_torch_or_none_is_told(project: Path, core_python: Path) -> None:
    with pytest.raises(InstallationError, match="PyTorch does not import there"):
        verify_folder(project / "out", original=original(project, core_python))
    with pytest.raises(UsageError, match="can't be started"):
        verify_folder(project / "out", original=original(project, project / "no-python"))
    with pytest.raises(InstallationError, match="ended with 0 before anything was recorded"):
        verify_folder(project / "out", original=original(project, Path("/bin/true")))


# -- the command line --------------------------------------------------------------------------------------------


def test_the_command_ends_with_0_within_noise(run_cli: Any, project: Path) -> None:
    code, out, err = run_cli("verify", project / "out")
    assert (code, err) == (0, "")
    assert "layers, one by one" in out and out.splitlines()[-1].startswith("within noise: All ")


def test_the_command_prints_json(run_cli: Any, project: Path) -> None:
    code, out, _ = run_cli("verify", project / "out", "--json", "--no-training", "--modules", "fc1")
    data = json.loads(out)
    assert (code, data["verdict"]) == (0, "within noise")
    assert [row["path"] for row in data["modules"]] == ["fc1"]


def test_the_command_records_against_a_factory(run_cli: Any, project: Path, torch_python: Path) -> None:
    code, out, _ = run_cli(
        "verify", project / "out", "--against", f"{project}/nets.py:Net", "--python", torch_python, "--load-weights",
        "--input", "float32[3,6]", "-q",
    )  # fmt: skip
    assert code == 0 and out.startswith("within noise: ")


def test_several_seeds_are_one_verdict(run_cli: Any, project: Path, torch_python: Path) -> None:
    against = (
        "--against",
        f"{project}/nets.py:Net",
        "--python",
        torch_python,
        "--load-weights",
        "--input",
        "float32[3,6]",
    )
    code, out, _ = run_cli("verify", project / "out", *against, "--seeds", 3, "--no-training")
    assert code == 0 and out.count("seed ") == 3 and "seed 2: within noise" in out
    assert run_cli("verify", project / "out", "--seeds", 3)[0] == 2


def test_a_difference_ends_with_1_and_is_cut_down_to_a_script(
    run_cli: Any, project: Path, tmp_path: Path, run_python: Callable[..., str], oneflow_python: Path
) -> None:
    import shutil

    folder = tmp_path / "changed"
    shutil.copytree(project / "out", folder)
    source = (folder / "model.py").read_text()
    assert "self.fc2(" in source
    (folder / "model.py").write_text(source.replace("self.fc2(", "self.fc2(0.999 * "))
    script = tmp_path / "case.py"
    code, out, _ = run_cli("verify", folder, "--reference", project / "net.pt2", "--minimise", script)
    assert code == 1 and "What the model gives to `fc2` is the first value that exceeds noise" in out

    (folder / "model.py").write_text(source.replace("self.fc2 = nn.Linear(8, 3)", "self.fc2 = Half(8, 3)"))
    half = "class Half(nn.Linear):\n    def forward(self, x):\n        return super().forward(x) * 1.001\n\n\n"
    text = (folder / "model.py").read_text()
    (folder / "model.py").write_text(text.replace("class Net(", half + "class Net("))
    code, out, _ = run_cli("verify", folder, "--reference", project / "net.pt2", "--minimise", script, "--overwrite")
    assert code == 1 and "`fc2` alone, [1, 3] instead of [4, 3]" in out
    printed = run_python(
        oneflow_python,
        "import runpy, sys; from torch2flow.runtime import import_oneflow; import_oneflow()\n"
        "runpy.run_path(sys.argv[1])",
        script,
    )
    assert float(printed.split("largest difference ")[1].split()[0]) > 1e-5


def test_existing_files_are_kept(run_cli: Any, project: Path, tmp_path: Path) -> None:
    existing = tmp_path / "case.py"
    existing.write_text("mine")
    code, _, err = run_cli("verify", project / "out", "--minimise", existing)
    assert code == 5 and "--overwrite" in err and existing.read_text() == "mine"


def test_a_conversion_verifies_where_asked(run_cli: Any, project: Path, tmp_path: Path) -> None:
    code, out, _ = run_cli("convert", project / "net.pt2", "-o", tmp_path / "out", "--verify")
    assert code == 0 and "within noise: All " in out
    alone = tmp_path / "alone.pt2"
    alone.write_bytes((project / "net.pt2").read_bytes())
    code, _, err = run_cli("convert", alone, "-o", tmp_path / "out2", "--verify")
    assert code == 2 and "There is no recording to compare with" in err


def test_the_worker_says_what_ails_oneflow(project: Path, core_python: Path) -> None:
    """Where OneFlow is missing, verify says so: .venv-core stands for such a machine."""
    import subprocess

    command = [str(core_python), "-m", "torch2flow", "verify", str(project / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == InstallationError.exit_code, done.stderr
    assert "OneFlow is not installed" in done.stderr and "Traceback" not in done.stderr
