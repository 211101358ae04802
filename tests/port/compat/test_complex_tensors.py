"""A complex tensor of ported code is taken by what has a form for it, and by nothing else of OneFlow's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from torch2flow.port.compat_module import compat_source

SCRIPT = """
import oneflow as flow
import oneflow.nn as nn
import flow_compat

x = flow.ones(2, 3)
z = flow_compat.polar_of(x, x)
for name, use in {
    "relu": lambda: flow.relu(z), "ReLU": lambda: nn.ReLU()(z), "dropout": lambda: nn.Dropout(0.5)(z),
    "softmax": lambda: nn.functional.softmax(z, dim=-1), "sort": lambda: z.sort(), "max": lambda: z.max(),
    "greater": lambda: z > 0, "floor": lambda: z // 2, "conv": lambda: nn.Conv1d(2, 2, 1)(z), "norm": lambda:
    nn.LayerNorm(3)(z), "to": lambda: z.to(flow.float32), "float": lambda: z.float(), "second": lambda: x.maximum(z),
    "mse": lambda: nn.MSELoss()(z, z), "listed": lambda: flow.meshgrid(z, z), "keyword": lambda: flow.softplus(input=z),
}.items():
    try:
        print(name, use())
    except NotImplementedError as error:
        assert "complex tensor" in str(error), error
print(flow.relu(-x).sum().item(), nn.functional.softmax(x, dim=-1).sum().item())
"""


@pytest.mark.oneflow
def test_what_has_no_complex_form_says_so(tmp_path: Path, oneflow_python: Path) -> None:
    (tmp_path / "flow_compat.py").write_text(compat_source({"torch.polar", "torch.matmul"}))
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([oneflow_python, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "0.0 2.0\n", done.stdout + done.stderr


def test_code_without_complex_numbers_takes_nothing_of_them_along() -> None:
    assert "class Complex" not in compat_source({"torch.matmul", "torch.is_complex", "torch.real"})
    assert "def take_complex_numbers" in compat_source({"torch.complex64"})


IN_TWO_FOLDERS = """
import oneflow as flow
import flow_compat
from inner import flow_compat as other

x = flow.arange(4.0).reshape(2, 2)
y = other.view_as_complex(x) * flow_compat.view_as_complex(x)
y = y + other.zeros(2, dtype=other.complex64) + flow.zeros(2, dtype=flow_compat.complex64)
print(flow_compat.view_as_real(y).tolist(), isinstance(y, other.Complex), isinstance(y, flow_compat.Complex))
"""


@pytest.mark.oneflow
def test_the_modules_of_two_folders_have_one_class_of_complex_tensors(tmp_path: Path, oneflow_python: Path) -> None:
    for folder, names in ((tmp_path, {"torch.view_as_real", "torch.view_as_complex"}), (tmp_path / "inner", {
        "torch.view_as_complex", "torch.complex64", "torch.fft.fft", "torch.zeros",
    })):  # fmt: skip
        folder.mkdir(exist_ok=True)
        (folder / "flow_compat.py").write_text(compat_source(names))
    (tmp_path / "script.py").write_text(IN_TWO_FOLDERS)
    done = subprocess.run([oneflow_python, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "[[-1.0, 0.0], [-5.0, 12.0]] True True\n", done.stdout + done.stderr
