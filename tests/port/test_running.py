"""Ported code runs on OneFlow and computes what the original computes on PyTorch."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import torch2flow
from torch2flow.port.compat_module import compat_source

ORIGINALS = Path(__file__).parent / "originals"


@pytest.fixture(autouse=True)
def oneflow_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """Takes away what a compatibility module puts into OneFlow: other tests of this process are about OneFlow's own."""
    if "flow" not in request.fixturenames:
        yield
        return
    flow = request.getfixturevalue("flow")
    classes = [each for each in vars(flow.nn).values() if isinstance(each, type)]
    homes = [flow, flow.Tensor, flow.nn, flow.nn.functional, *classes]
    before = [dict(vars(home)) for home in homes]
    yield
    for home, kept in zip(homes, before, strict=True):
        for name, value in dict(vars(home)).items():
            if name not in kept:
                delattr(home, name)
            elif kept[name] is not value and name != "__dict__":
                setattr(home, name, kept[name])


def imported(path: Path, name: str) -> ModuleType:
    """A file as a module, with its folder on the path."""
    sys.path.insert(0, str(path.parent))
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.pop(0)
        sys.modules.pop("flow_compat", None)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_a_training_script_has_the_same_losses_step_by_step(optimizer, port, tmp_path, flow, torch) -> None:
    out, found = port(ORIGINALS / "classifier.py", "ported/classifier.py")
    assert not found.tally.uses["cannot"]
    original, ported = imported(ORIGINALS / "classifier.py", "original"), imported(out, "ported")
    torch.manual_seed(0)
    weights = {key: value.double().numpy() for key, value in original.Net().state_dict().items()}
    expected, right = original.train(weights, 60, optimizer)
    losses, correct = ported.train(weights, 60, optimizer)
    np.testing.assert_allclose(losses, expected, rtol=3e-6)  # OneFlow's Adam has its factors in float32
    assert correct == right and losses[-1] < losses[0]


def test_oneflow_is_as_it_was(flow: ModuleType) -> None:
    assert flow.tensor(1.0).flatten().ndim == 0, "a defect that a compatibility module of another test has mended"


def test_what_oneflow_cannot_do_is_said_when_the_code_gets_there(tmp_path, oneflow_python) -> None:
    (tmp_path / "nets.py").write_text(
        "import flow_compat\n"
        'Tracer = flow_compat.missing("torch.fx.Tracer")\n'
        "class A(Tracer):\n    pass\n"
        "def f(x=flow_compat.missing('torch.nested.a', later=True)(1)):\n    return x\n"
        "@flow_compat.missing('torch.library.custom_op', later=True)('a::b')\n"
        "def g():\n    pass\n"
        "def h():\n    return flow_compat.missing('torch.linalg.eig')(1)\n"
        "print(isinstance(1, Tracer), hasattr(f, 'x'))\n"
        "for use in (A, g, h):\n"
        "    try:\n        use()\n"
        "    except NotImplementedError as error:\n        print(str(error)[:40])\n"
    )
    (tmp_path / "flow_compat.py").write_text(compat_source({"missing"}))
    done = subprocess.run([oneflow_python, "nets.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "False False",
        "OneFlow 0.9.0 has no torch.fx.Tracer, of",
        "OneFlow 0.9.0 has no torch.library.custo",
        "OneFlow 0.9.0 has no torch.linalg.eig, a",
    ]


def test_modules_take_a_device_and_a_dtype(tmp_path, port, flow) -> None:
    (tmp_path / "nets.py").write_text(
        "import torch\nfrom torch import nn\n\n"
        "def net(kind=nn.LayerNorm, **given):\n    return nn.Sequential(nn.Linear(2, 3, **given), kind(3, **given))\n"
    )
    out, _ = port(tmp_path / "nets.py", "ported/nets.py")
    made = imported(out, "nets").net(device="cpu", dtype=flow.float64)
    assert {str(each.dtype) for each in made.parameters()} == {"oneflow.float64"}


def test_tensors_keep_attributes_that_the_code_sets_on_them(tmp_path, port, flow) -> None:
    (tmp_path / "nets.py").write_text(
        "import torch\nfrom torch import nn\n\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        table = torch.zeros(3).float()\n"
        "        table.require_grad = False\n"
        "        self.register_buffer('table', table)\n"
        "        self.line = nn.Linear(2, 2)\n"
        "        self.line.bias._no_decay = True\n"
        "        for parameter in self.parameters():\n"
        "            parameter.group = 3\n"
    )
    out, _ = port(tmp_path / "nets.py", "ported/nets.py")
    net = imported(out, "nets").Net()
    assert [getattr(each, "_no_decay", False) for each in net.parameters()] == [False, True]
    assert (net.table.require_grad, net.line.weight.group) == (False, 3)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        net.table.nothing  # noqa: B018


def test_files_of_safetensors_are_written_and_read(tmp_path, port, flow) -> None:
    (tmp_path / "files.py").write_text(
        "import importlib.util\nfrom safetensors.torch import load_file, save_file\n"
        "def found(name):\n    return importlib.util.find_spec(name)\n"
    )
    out, _ = port(tmp_path / "files.py", "ported/files.py")
    module, path = imported(out, "files"), tmp_path / "a.safetensors"
    state = {"a": flow.arange(6).reshape(2, 3), "b": flow.tensor([1.5, -2.25]).to(flow.bfloat16), "c": flow.ones(())}
    module.save_file(state, path, metadata={"format": "pt"})
    for each in (module.load_file(path), dict(torch2flow.load(path))):
        assert each.keys() == state.keys()
        assert all(each[name].dtype == value.dtype for name, value in state.items())
        assert all((each[name].numpy() == value.numpy()).all() for name, value in state.items() if name != "b")
    assert module.found("torch").name == "oneflow" and module.found("torch.no.where") is None
    assert module.found("json").name == "json"
