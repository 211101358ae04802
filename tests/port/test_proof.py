"""`torch2flow port --verify`: which models are named, where they are, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from torch2flow.cli.port_proof import check_proof, rows_of
from torch2flow.errors import UsageError
from torch2flow.port.tree import read_tree
from torch2flow.proof.parity.ported_places import located

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.5)

    def forward(self, x, scale=1.0):
        x = self.drop(self.norm(self.conv(x)))
        return torch.logsumexp(x.flatten(2), -1) * scale

class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.sin(torch.exp(torch.linspace(0, 4, 600)))
        self.line = nn.Linear(600, 2)

    def forward(self, x):
        return self.line(x * self.table.to(x.dtype))
"""
CHECK = """
import torch
from nets import Net

class Careful(Net):
    def forward(self, x, scale):
        assert x.abs().max() < 9
        return super().forward(x, scale)

def make(width):
    return Careful(width), (torch.linspace(-1, 1, 2 * 3 * 36).reshape(2, 3, 6, 6),), {"scale": 0.5}
"""


def asked(verify: str, **more: Any) -> dict[str, Any]:
    """The options as they are where nothing is given."""
    return {
        "verify": verify, "inputs": (), "sizes": (), "kwargs": "{}", "weights": None, "as_is": False, "report": None,
        "verify_script": None, "seed": 0, **more,
    }  # fmt: skip


def test_models_are_proven_as_they_are_and_an_edit_is_found(
    write_tree: Any, port: Any, run_cli: Any, torch_python: Path, oneflow_python: Path
) -> None:
    folder = write_tree({"nets.py": NETS, "check.py": CHECK})
    (folder / "models.txt").write_text(
        "# one as it was ported, one that was edited, one that PyTorch does not build, one with a constant\n"
        "nets:Net --input 'float32[batch,3,height,6]' --kwargs '{\"width\": 2}' --size height=6 --no-layers\n"
        "check.py:make(3) --no-training --no-layers\nnets:Nut\n"
        "nets:Table --input 'float32[2,600]' --no-training\n"
    )
    out, _ = port(folder / "nets.py", "flow/nets_of_flow.py")
    out.write_text(out.read_text().replace("* scale", "* scale ** 0.999"))
    command = ["port", "nets.py", "-o", out, "--as-is", "--python", torch_python, "--verify", "models.txt", "--json"]
    code, said, err = run_cli(*command, interpreter=oneflow_python, cwd=folder)
    found = json.loads(said)["models"]
    assert code == 1 and "did you mean Net?" in err
    assert [model["verdict"] for model in found] == ["within noise", "different", "not compared", "within noise"]
    parts = [{part["name"] for part in model["parts"]} for model in found[:2]]
    assert {"weights", "form", "second", "third", "large", "again", "gradients", "buffers", "adamw"} <= parts[0]
    assert "outputs" in parts[1] and not {"gradients", "large"} & parts[1]


def test_a_module_is_named_as_the_code_imports_it(
    write_tree: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, out = {"models/nets.py": "x = 1\n"}, tmp_path / "out/other"
    package = write_tree({"__init__.py": "", **net}, "some_nets")
    scripts = write_tree(net, "scripts")
    single = write_tree({"nets.py": ""}, "single") / "nets.py"
    for source, name, path, places in [
        (package, "some_nets.models.nets:Net", [out.parent, out], {"some_nets": str(out)}),
        (scripts, "models.nets:Net", [out, out / "models"], {}),
        (single, "nets:Net", [out.parent], {"nets": str(out)}),
    ]:
        file = f"{source if source == single else source / 'models/nets.py'}:Net"
        for text in (name, file):
            with located(read_tree(source), out, text, {}) as (factory, ported):
                assert (factory, ported.factory) == (name, name)
                assert (ported.path, ported.places) == ([str(each) for each in path], places)
                assert ported.original_path[0] == str(source if source == scripts else source.parent)
    (tmp_path / "nowhere.py").write_text("")
    monkeypatch.chdir(tmp_path)  # a module of the current folder is none of the source's
    with pytest.raises(UsageError, match="no module 'nowhere'"), located(read_tree(scripts), out, "nowhere:Net", {}):
        pass


def test_what_is_asked_wrongly_is_told_before_any_work(tmp_path: Path) -> None:
    rows = tmp_path / "rows.txt"
    for text, says in [("a:b --kwargs x", "no JSON"), ("a:b --nothing", "rows.txt:1"), ("a:b 'c", "rows.txt:1"),
                       ("# nothing\n", "no rows"), ("a:b --kwargs []", "no JSON object")]:  # fmt: skip
        rows.write_text(text)
        with pytest.raises(UsageError) as caught:
            rows_of(asked(str(rows)))
        assert says in str(caught.value)
    with pytest.raises(UsageError, match="options of its own"):
        rows_of(asked(str(rows), inputs=("float32[2]",)))
    with pytest.raises(UsageError, match="belongs to --verify"):
        check_proof({**asked(""), "verify": None, "as_is": True}, False, False)
    with pytest.raises(UsageError, match="--check"):
        check_proof(asked("a:b"), True, False)
