"""Captures of real models: the .pt2 that PyTorch loads again, and every number of the recording computed anew."""

from __future__ import annotations

import copy
import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torch2flow
from torch2flow.checkpoints.opening import open_container
from torch2flow.errors import OutputError, UnsupportedError, UsageError
from torch2flow.models.codegen.package import open_program
from torch2flow.proof.fixed_draws import uniform

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _exports(torch: Any) -> None:
    """torch.export is there from 2.1 on; the PyTorch that shares a process with OneFlow is 1.13."""
    if not hasattr(torch, "export"):
        pytest.skip("this PyTorch has no torch.export: these tests run where today's is")


@pytest.fixture(scope="module")
def nets(torch: Any) -> Any:
    from torch2flow.proof.capture.factories import _import

    return _import(str(HERE / "nets.py"), "nets")


@pytest.fixture
def run_capture(nets: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """`run_capture("Net", "float32[2]", ...)` captures nets.py:Net to net.pt2; returns code, stdout, stderr.

    In this process, which has PyTorch loaded; `run_cli` is the real thing, and takes seconds.
    """
    from torch2flow.cli import main

    def run(name: str, *inputs: str, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
        arguments = [part for text in inputs for part in ("--input", text)]
        code: Any = 0
        try:
            main(["capture", f"{HERE / 'nets.py'}:{name}", "-o", str(tmp_path / "net.pt2"), *arguments, *options])
        except SystemExit as stop:
            code = stop.code
        finally:
            gc.enable()
        return code, *capsys.readouterr()

    return run


def opened(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Tensors and metadata of a recording, by the safetensors package: it is a standard file."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = file.metadata()
    for name in [name for name in found if name.startswith("float64/")]:
        if str(found[name].dtype) == "torch.float32":  # what to add
            found[name] = found[name.removeprefix("float64/")].double() + found[name]
    return found, about


def captured(tmp_path: Path, module: Any, *args: Any, **options: Any) -> tuple[Any, dict[str, Any], dict[str, str]]:
    result = torch2flow.capture(module, args, out=tmp_path / "net.pt2", **options)
    return result, *opened(result.reference)  # type: ignore[return-value]


# -- the program ---------------------------------------------------------------------------------------------


def test_a_fresh_pytorch_loads_the_file(torch: Any, run_cli: Any, run_python: Any, tmp_path: Path) -> None:
    model, out = f"{HERE / 'nets.py'}:Net", tmp_path / "net.pt2"
    code, out, err = run_cli("capture", model, "-o", out, "--input", "float32[batch,3,h,w]")
    assert (code, out) == (0, ""), err
    assert "axis batch: dynamic" in err and "net.reference.safetensors" in err
    assert sorted(os.listdir(tmp_path)) == ["net.pt2", "net.reference.safetensors"]
    script = """if True:
        import sys, torch
        from safetensors.torch import load_file
        recorded = load_file("net.reference.safetensors")
        program = torch.export.load("net.pt2").module()
        for prefix in ("", "second."):
            found = program(recorded[prefix + "input.0"])
            assert torch.equal(found["logits"], recorded[prefix + "output.0"])
            assert torch.equal(found["rest"][1][1], recorded[prefix + "output.3"])
        print(tuple(recorded["second.input.0"].shape))
    """
    assert run_python(Path(sys.executable), script, cwd=tmp_path).strip() == "(3, 3, 96, 128)"


def test_our_own_reader_opens_both(nets: Any, torch: Any, tmp_path: Path) -> None:
    module = nets.Net()
    captured(tmp_path, module, torch.ones(2, 3, 8, 8))
    program = torch2flow.open_checkpoint(tmp_path / "net.pt2")
    assert set(module.state_dict()) <= set(program)
    recorded = torch2flow.open_checkpoint(tmp_path / "net.reference.safetensors")
    assert recorded["module.conv#0.0"].shape == (2, 4, 8, 8)


def test_the_recording_names_its_program(nets: Any, torch: Any, tmp_path: Path) -> None:
    import hashlib

    _, _, about = captured(tmp_path, nets.Net(), torch.ones(2, 3, 8, 8), model="nets:Net")
    assert about["pt2"] == "net.pt2" and about["model"] == "nets:Net" and about["mode"] == "eval"
    assert about["pt2.sha256"] == hashlib.sha256((tmp_path / "net.pt2").read_bytes()).hexdigest()
    assert about["torch"] == torch.__version__ and about["float64"] == "recorded"
    assert "lr" not in about


# -- the recording -------------------------------------------------------------------------------------------


def in_float64(module: Any) -> Any:
    """A copy in float64 whose BatchNorm has the constants that float32 holds, as OneFlow's has."""
    twin = copy.deepcopy(module).double()
    twin.bn.eps = float(np.float32(twin.bn.eps))
    twin.bn.momentum = float(np.float32(1) - np.float32(1 - twin.bn.momentum))
    return twin


def assert_same(torch: Any, found: Any, wanted: Any) -> None:
    """The very same values; of float64 the first 48 bits, which are recorded."""
    rounding = 2.0**-46 if wanted.dtype == torch.float64 else 0.0
    torch.testing.assert_close(found, wanted.detach(), rtol=rounding, atol=rounding)


def test_outputs_and_every_layer_in_both_precisions(nets: Any, torch: Any, tmp_path: Path) -> None:
    module, x = nets.Net().eval(), torch.randn(2, 3, 8, 8)
    _, recorded, _ = captured(tmp_path, module, x)
    for prefix, twin in (("", module), ("float64/", in_float64(module))):
        seen: dict[str, Any] = {}
        for path, part in twin.named_modules():
            part.register_forward_hook(lambda m, i, o, path=path, seen=seen: seen.setdefault(path, o))
        output = twin(x.to(next(twin.parameters()).dtype))
        assert_same(torch, recorded[f"{prefix}output.0"], output["logits"])
        assert_same(torch, recorded[f"{prefix}output.2"], output["rest"][1][0])  # None has a number too
        assert f"{prefix}output.1" not in recorded
        for path in ("conv", "bn", "drop", "head"):
            assert_same(torch, recorded[f"{prefix}module.{path}#0.0"], seen[path])
    assert torch.equal(recorded["input.0"], x)


def test_each_call_of_a_layer_is_recorded(nets: Any, torch: Any, tmp_path: Path) -> None:
    module, ids, mask = nets.Twice(), torch.randint(0, 50, (2, 7)), torch.rand(2, 7) > 0.5
    _, recorded, about = captured(tmp_path, module, ids, kwargs={"mask": mask})
    x = module.embed(ids)
    assert torch.equal(recorded["module.layer#0.0"], module.layer(x))
    assert torch.equal(recorded["module.layer#1.0"], module.layer(torch.tanh(module.layer(x))))
    assert torch.equal(recorded["input.mask"], mask)
    assert json.loads(about["inputs"]) == ["0", "mask"]
    assert recorded["float64/output.0"].dtype == torch.float64
    noise = (recorded["float64/output.0"] - recorded["output.0"]).abs().max()
    assert 0 < noise < 1e-6, "float64 all the way, also where the code says float()"


def test_a_dataclass_in_between(nets: Any, torch: Any, tmp_path: Path) -> None:
    x = torch.randn(2, 3)
    _, recorded, _ = captured(tmp_path, nets.UsesPair(), x)
    assert torch.equal(recorded["module.pair#0.0"], x + 1) and torch.equal(recorded["module.pair#0.1"], x - 1)


def test_every_kind_of_tensor(nets: Any, torch: Any, tmp_path: Path) -> None:
    kwargs = {"a": torch.ones(2, dtype=torch.int32), "b": torch.ones(2, 3, dtype=torch.bfloat16).T, "c": torch.randn(4)}
    result = torch2flow.capture(nets.Dtypes(), kwargs=kwargs, out=tmp_path / "net.pt2")
    recorded, _ = opened(result.reference)  # type: ignore[arg-type]
    assert recorded["output.0"].dtype == torch.int32
    assert recorded["output.1"].dtype == torch.bfloat16 and recorded["output.1"].shape == (3, 2)
    assert torch.equal(recorded["input.b"], kwargs["b"])
    assert recorded["output.2"].shape == (4, 2) and torch.equal(recorded["output.2"][:, 1], kwargs["c"])
    assert recorded["output.3"].shape == (0,) and recorded["output.4"].shape == ()
    assert recorded["output.5"].dtype == torch.bool


def test_a_bfloat16_model_has_a_float64_reference(nets: Any, torch: Any, tmp_path: Path) -> None:
    module, x = nets.Half(), torch.randn(2, 4, dtype=torch.bfloat16)
    _, recorded, about = captured(tmp_path, module, x)
    assert about["float64"] == "recorded"
    assert torch.equal(recorded["float64/output.0"], copy.deepcopy(module).double()(x.double()))
    assert module.layer.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("reference", ["all", "outputs", "none"])
def test_how_much_is_recorded(reference: str, nets: Any, torch: Any, tmp_path: Path) -> None:
    result = torch2flow.capture(nets.Net(), (torch.ones(2, 3, 8, 8),), out=tmp_path / "net.pt2", reference=reference)
    assert (result.reference is None) == (reference == "none")
    assert (tmp_path / "net.reference.safetensors").exists() == (reference != "none")
    if result.reference:
        recorded, _ = opened(result.reference)
        assert any(name.startswith("module.") for name in recorded) == (reference == "all")


# -- gradients -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("double", [False, True])
def test_gradients_and_a_step_of_sgd(double: bool, nets: Any, torch: Any, tmp_path: Path) -> None:
    module, x = nets.Net(), torch.randn(2, 3, 8, 8)
    _, recorded, about = captured(tmp_path, module, x, gradients=True)
    prefix = "float64/" if double else ""
    twin = copy.deepcopy(module).train()
    twin.drop.p = 0.0
    x = x.clone()
    if double:
        twin, x = in_float64(twin), x.double()
    x.requires_grad_()
    output = twin(x)
    outputs = {0: output["logits"], 3: output["rest"][1][1]}
    loss = sum(
        (value * recorded[f"train.loss.weight.{number}"].to(value.dtype)).sum() for number, value in outputs.items()
    )
    loss.backward()
    assert "train.loss.weight.2" not in recorded, "no weight for integers"
    close = {"rtol": 1e-12, "atol": 1e-12} if double else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(recorded[f"{prefix}train.loss"], loss.detach(), **close)
    torch.testing.assert_close(recorded[f"{prefix}train.input_gradient.0"], x.grad, **close)
    for name, parameter in twin.named_parameters():
        if name == "unused":
            assert f"{prefix}train.gradient.unused" not in recorded
        else:
            torch.testing.assert_close(recorded[f"{prefix}train.gradient.{name}"], parameter.grad, **close)
    torch.optim.SGD(twin.parameters(), lr=float(about["lr"])).step()
    for name, value in twin.named_parameters():
        if name != "unused":
            torch.testing.assert_close(recorded[f"{prefix}train.sgd.{name}"], value.detach().reshape(-1), **close)
    for name, value in twin.named_buffers():
        torch.testing.assert_close(recorded[f"{prefix}train.step.{name}"], value, **close)
    assert recorded["train.step.bn.num_batches_tracked"] == 1
    assert recorded["train.second_step.bn.num_batches_tracked"] == 2
    assert about["dropout"] == "attributes"


def test_a_capture_in_train_mode(nets: Any, torch: Any, tmp_path: Path) -> None:
    module = nets.Net().eval()
    x = torch.randn(2, 3, 8, 8)
    result, recorded, about = captured(tmp_path, module, x, train=True, gradients=True)
    assert about["mode"] == "train" and [name for name in recorded if name.startswith("eval.output")]
    with torch.no_grad():
        torch.testing.assert_close(recorded["eval.output.0"], module(x)["logits"])
    graph = str(torch.export.load(result.out).graph)
    assert "dropout.default](args = (%mean, 0.3, True)" in graph
    assert not module.training
    result = torch2flow.capture(
        module, (torch.randn(2, 3, 8, 8),), out=tmp_path / "steady.pt2", train=True, dropout=False
    )
    assert "dropout.default](args = (%mean, 0.0, True)" in str(torch.export.load(result.out).graph)
    assert module.drop.p == 0.3 and any("no dropout" in note for note in result.notes)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("Recurrent", (2, 5, 3)),
        ("Encoder", (2, 5, 8)),
        ("Counts", (2,)),
        ("WritesIntoItsInput", (2,)),
        ("Teaches", (2, 3)),
        ("ClipsItsWeights", (2, 3)),
    ],
)
def test_the_module_and_its_inputs_stay_what_they_are(
    name: str, shape: tuple[int, ...], nets: Any, torch: Any, tmp_path: Path
) -> None:
    module, x = getattr(nets, name)(), torch.randn(shape)
    module.train()
    if name == "Encoder":
        module.encoder.layers[0].eval()
    modes = [part.training for part in module.modules()]
    before = {key: value.clone() for key, value in module.state_dict().items()}
    objects = {key: (id(value), value.data_ptr()) for key, value in module.named_parameters()}
    x_before = x.clone()
    captured(tmp_path, module, x, gradients=True)
    assert [part.training for part in module.modules()] == modes
    assert {key: (id(value), value.data_ptr()) for key, value in module.named_parameters()} == objects
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.equal(x, x_before)
    assert torch.get_default_dtype() == torch.float32
    getattr(module, "lstm", module)(x.clone())  # still runs


def test_attention_layers_are_recorded_like_any_other(nets: Any, torch: Any, tmp_path: Path) -> None:
    _, recorded, _ = captured(tmp_path, nets.Encoder(), torch.randn(2, 5, 8))
    assert "module.encoder.layers.1.linear2#0.0" in recorded, "no fused path that calls no submodule"
    assert torch.backends.mha.get_fastpath_enabled()


def test_tied_weights_have_one_gradient(nets: Any, torch: Any, tmp_path: Path) -> None:
    _, recorded, _ = captured(tmp_path, nets.Tied(), torch.randint(0, 9, (2, 4)), gradients=True)
    assert "train.gradient.embed.weight" in recorded and "train.gradient.head.weight" not in recorded


# -- dynamic axes --------------------------------------------------------------------------------------------


def test_the_same_name_is_the_same_axis(run_capture: Any, torch: Any, tmp_path: Path) -> None:
    code, _, err = run_capture("Twice", "int64[batch,seq]:0..50", "mask=bool[batch,seq]", options=("--size", "seq=16"))
    assert code == 0, err
    program = torch.export.load(tmp_path / "net.pt2")
    program.module()(torch.zeros(5, 9, dtype=torch.int64), mask=torch.ones(5, 9, dtype=torch.bool))
    with pytest.raises(Exception, match="[Gg]uard|[Ee]xpect"):
        program.module()(torch.zeros(5, 9, dtype=torch.int64), mask=torch.ones(5, 8, dtype=torch.bool))
    recorded, about = opened(tmp_path / "net.reference.safetensors")
    assert recorded["input.0"].shape == (2, 16) and recorded["second.input.mask"].shape == (3, 20)
    assert recorded["second.input.0"].max() < 50
    axes = json.loads(about["axes"])
    assert axes["seq"]["dynamic"] and axes["seq"]["places"] == ["input.0 axis 1", "input.mask axis 1"]
    assert json.loads(about["second"]) == {"batch": 3, "seq": 20}


def test_an_axis_the_model_fixes_becomes_static_and_is_told(nets: Any, torch: Any, tmp_path: Path) -> None:
    result, recorded, about = captured(tmp_path, nets.FixesBatch(), torch.randn(2, 4), dynamic={0: ("batch", "seq")})
    assert not result.axes["batch"].dynamic and result.axes["seq"].dynamic
    assert any("the axis batch became static: 2" in note for note in result.notes)
    assert any("PyTorch says: Constraints violated (batch)" in note for note in result.notes)
    assert recorded["second.input.0"].shape == (2, 8) and json.loads(about["notes"]) == result.notes


def test_an_axis_that_must_be_a_multiple(nets: Any, torch: Any, tmp_path: Path) -> None:
    result, recorded, _ = captured(tmp_path, nets.FoldsFours(), torch.randn(2, 8), dynamic={0: ("batch", "seq")})
    assert result.axes["seq"].dynamic and any("4*_seq" in note for note in result.notes)
    assert recorded["second.input.0"].shape == (3, 12)


def test_two_names_for_what_is_one(nets: Any, torch: Any, tmp_path: Path) -> None:
    x = torch.randn(2, 7)
    result, _, _ = captured(tmp_path, nets.Adds(), x, x.clone(), dynamic={0: ("batch", "seq"), 1: {1: "other"}})
    assert any("not every named axis is free" in note for note in result.notes)


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("Several", ["float32[batch,3]", "float32[batch,3]"]),
        ("Keywords", ["b=float32[batch,3]", "a=float32[batch,3]"]),
        ("Adds", ["float32[batch,3]", "y=float32[batch,3]"]),
    ],
)
def test_axes_of_any_kind_of_argument(
    name: str, inputs: list[str], run_capture: Any, torch: Any, tmp_path: Path
) -> None:
    code, _, err = run_capture(name, *inputs)
    assert code == 0 and "axis batch: dynamic" in err and "note" not in err
    recorded, _ = opened(tmp_path / "net.reference.safetensors")
    assert recorded["second.output.0"].shape == (3, 3)


def test_nested_inputs_and_constants(nets: Any, torch: Any, tmp_path: Path) -> None:
    a, b = torch.randn(3), torch.randn(3)
    result = torch2flow.capture(nets.Listed(), ([a, b],), {"scale": 2.0}, out=tmp_path / "net.pt2", gradients=False)
    recorded, about = opened(result.reference)  # type: ignore[arg-type]
    assert torch.equal(recorded["input.0.1"], b) and torch.equal(recorded["output.0"], (a + b) * 2)
    assert json.loads(about["inputs"]) == ["0.0", "0.1", "scale"]


def test_names_that_fit_no_input(nets: Any, torch: Any, tmp_path: Path) -> None:
    for dynamic, says in [
        ({1: ("batch",)}, "no tensor"), ({0: {5: "batch"}}, "axis 5"), ({0: {0: "no name"}}, "axis 0"),
    ]:  # fmt: skip
        with pytest.raises(UsageError, match=says):
            torch2flow.capture(nets.FixesBatch(), (torch.ones(2, 2),), out=tmp_path / "net.pt2", dynamic=dynamic)
    with pytest.raises(UsageError, match="special sizes"):
        torch2flow.capture(nets.FixesBatch(), (torch.ones(1, 2),), out=tmp_path / "x.pt2", dynamic={0: ("batch",)})


# -- what is said of failures --------------------------------------------------------------------------------

REFUSED = [
    ("Decides", 4, ["data-dependent", "nets.py", "in forward", "torch.cond", "torch.where"]),
    ("LoopsByData", 4, ["data-dependent", "nets.py", "while_loop(test, body"]),
    ("ReturnsObject", 4, ["not a known type", "register_dataclass"]),
    ("TakesCache", 4, ["DynamicCache", "use_cache=False"]),
    ("ByNumpy", 4, ["NumPy"]),
    ("OwnOperator", 4, ["torch2flow_tests.own", "register_fake"]),
    ("TakesGradient", 4, ["takes a gradient", "outside of forward"]),
    ("TakesGradientAsCalled", 4, ["takes a gradient", "torch2flow port"]),
    ("Packs", 4, ["pack_padded_sequence", "padded tensors and a mask"]),
    ("RunsOnce", 4, ["RuntimeError: only once", "in forward", "--reference outputs or none"]),
    ("scripted", 4, ["The model is TorchScript", "its own class"]),
    ("Raises", 2, ["forward raised ValueError: these are no images", "in forward", "float32[2, 3]"]),
    ("Adds", 2, ["missing a required argument: 'y'", "forward(x"]),
    ("boom", 2, ["The factory raised RuntimeError: no weights here", "in boom"]),
    ("leaves", 2, ["SystemExit: usage: train.py DATA"]),
    ("no_module", 2, ["builtins.list"]),
    ("Netz", 2, ["did you mean", "Net"]),
]


@pytest.mark.parametrize(("name", "code", "says"), REFUSED, ids=[row[0] for row in REFUSED])
def test_each_failure_is_one_message(name: str, code: int, says: list[str], run_capture: Any, tmp_path: Path) -> None:
    found, out, err = run_capture(name, "float32[2,3]")
    assert (found, out) == (code, ""), err
    assert all(part in err for part in says), err
    assert err.count("torch2flow:") == 1 and len(err) < 1200 and "def forward" not in err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["lazy", "ReturnsBoxes", "KeepsSteps", "Mapped", "Chooses", "CarriesANumber", "Hooked"]
)
def test_what_pytorch_exports_is_recorded(name: str, run_capture: Any, tmp_path: Path) -> None:
    code, _, err = run_capture(name, "float32[2,3]", options=("--gradients",) if name in ("Mapped", "Chooses") else ())
    assert code == 0, err
    recorded, about = opened(tmp_path / "net.reference.safetensors")
    assert about["float64"] == "recorded" and recorded["output.0"].shape == (2, 3)
    if name == "Hooked":  # a hook belongs to the layer
        assert (recorded["module.layer#0.0"] == recorded["output.0"]).all()


def test_each_branch_is_recorded_with_its_modules(nets: Any, torch: Any, tmp_path: Path) -> None:
    net, x = nets.Chooses(), torch.ones(2, 3)
    _, recorded, _ = captured(tmp_path, net, x)
    assert torch.equal(recorded["output.0"], net.yes(x).detach()) and (recorded["branch.input.0"] == -1).all()
    assert torch.equal(recorded["branch.output.0"], net.no(-x).detach())
    program = open_program(open_container(tmp_path / "net.pt2"))
    assert program is not None
    assert [node.path for node in program.graph.nodes if node.operator == "aten.linear"] == ["yes", "no"]


def test_a_norm_in_a_branch_is_told_in_train_mode(run_capture: Any) -> None:
    assert run_capture("NormsInABranch", "float32[2,3]")[0] == 0
    code, _, err = run_capture("NormsInABranch", "float32[2,3]", options=("--train", "--overwrite"))
    assert code == 4 and "as BatchNorm does in train mode" in err


def test_layer_drop_is_told_in_train_mode(run_capture: Any) -> None:
    code, _, err = run_capture("DropsLayers", "float32[2,3]", options=("--train",))
    assert code == 4 and "LayerDrop" in err


def test_what_a_model_keeps_between_calls_in_no_buffer_is_told(torch: Any, tmp_path: Path) -> None:
    class Recurrent(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.h, self.cell = torch.zeros(2, 4), torch.nn.GRUCell(3, 4)

        def forward(self, x: Any) -> Any:
            self.h = self.cell(x, self.h)
            return self.h

    result, _, _ = captured(tmp_path, Recurrent(), torch.randn(2, 3))
    assert any("keeps `h` of Recurrent" in note for note in result.notes)


def test_what_is_random_is_told(nets: Any, torch: Any, tmp_path: Path) -> None:
    result, _, about = captured(tmp_path, nets.Samples(), torch.randn(2, 3), gradients=True)
    assert any("draws random numbers" in note for note in result.notes)
    assert json.loads(about["random"])["tensors"] == ["output.0"] and json.loads(about["random"])["draws"] >= 16


def test_what_python_draws_is_told(nets: Any, torch: Any, tmp_path: Path) -> None:
    result, _, _ = captured(tmp_path, nets.DrawsInPython(), torch.randn(2, 3))
    assert any("one draw for ever" in note for note in result.notes)


@pytest.mark.parametrize("name", ["ReturnsByMode", "WiresByMode"])
def test_modes_that_call_the_same_functions_may_differ(name: str, nets: Any, torch: Any, tmp_path: Path) -> None:
    result, _, _ = captured(tmp_path, getattr(nets, name)(), torch.randn(2, 3))
    assert any("train mode computes something else" in note for note in result.notes)


def test_a_mode_that_pytorch_does_not_export_is_told_with_the_reason(nets: Any, torch: Any, tmp_path: Path) -> None:
    result, _, _ = captured(tmp_path, nets.AsksValuesInTrainMode(), torch.randn(2, 3))
    assert any("no program of train mode: " in note and "data-dependent" in note for note in result.notes)


def test_a_literal_is_what_float32_makes_of_it_in_both_precisions(nets: Any, torch: Any, tmp_path: Path) -> None:
    x = torch.randn(2, 3)
    _, recorded, _ = captured(tmp_path, nets.HoldsLiterals(), x)
    exact = recorded["float64/output.0"]
    expected = x.double() * torch.tensor([0.1, 0.2, 0.3]).double() + torch.tensor(0.7).double()
    assert torch.allclose(exact, expected, rtol=0, atol=1e-12)


def test_a_frozen_parameter_that_forward_changes_is_recorded(nets: Any, torch: Any, tmp_path: Path) -> None:
    net = nets.Teaches()
    expected = net.teacher.weight * 0.9 + net.fc.weight * 0.1
    _, recorded, _ = captured(tmp_path, net, torch.randn(2, 3), gradients=True)
    assert torch.allclose(recorded["train.step.teacher.weight"], expected.detach().flatten())


def test_draws_give_fixed_numbers_and_are_recorded_like_any(nets: Any, torch: Any, tmp_path: Path) -> None:
    net, x = nets.Noisy(), torch.randn(2, 3)
    _, recorded, about = captured(tmp_path, net, x, gradients=True)
    assert "random" not in about and about["draws"] == "fixed" and "train.loss" in recorded
    assert torch.equal(recorded["output.0"], net.fc(x + uniform(torch, (2, 3), "cpu").float()).detach())


def test_no_float64_is_told_and_no_failure(nets: Any, torch: Any, tmp_path: Path) -> None:
    result, recorded, about = captured(tmp_path, nets.NoFloat64(), torch.randn(2, 3))
    assert about["float64"].startswith("incomplete: TypeError: float32 only")
    assert "output.0" in recorded and any("no complete float64" in note for note in result.notes)


def test_no_gradients_in_train_mode_is_told_and_no_failure(nets: Any, torch: Any, tmp_path: Path) -> None:
    result, recorded, _ = captured(tmp_path, nets.OnlyEval(), torch.randn(2, 3), gradients=True)
    assert any("training is not compared" in note for note in result.notes)
    assert "train.loss" not in recorded and "output.0" in recorded


def test_json_is_json_whatever_the_model_prints(run_capture: Any, tmp_path: Path) -> None:
    code, out, err = run_capture("chatty", "float32[batch,3]", options=("--json",))
    about = json.loads(out)
    assert code == 0 and "loading weights" in err
    assert about["out"].endswith("net.pt2") and about["axes"]["batch"]["dynamic"]
    code, out, err = run_capture("ready", "float32[2,3]", options=("--quiet", "--overwrite"))
    assert (code, out, err) == (0, "", "")


def test_the_seed_decides_weights_and_inputs(run_capture: Any, torch: Any, tmp_path: Path) -> None:
    found = []
    for seed in ("1", "1", "2"):
        assert run_capture("Net", "float32[2,3,8,8]", options=("--seed", seed, "--overwrite"))[0] == 0
        found.append(opened(tmp_path / "net.reference.safetensors")[0]["output.0"])
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


# -- whole or not at all -------------------------------------------------------------------------------------


def test_an_existing_output_is_kept_unless_asked(nets: Any, torch: Any, tmp_path: Path) -> None:
    module, x = nets.ready, torch.randn(2, 3)
    out = tmp_path / "net.pt2"
    torch2flow.capture(module, (x,), out=out)
    before = out.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        torch2flow.capture(module, (x,), out=out)
    with pytest.raises(UnsupportedError):
        torch2flow.capture(nets.Decides(), (x,), out=out, overwrite=True)
    assert out.read_bytes() == before, "a failed run leaves the old output"
    torch2flow.capture(module, (x,), out=out, overwrite=True, reference="none")
    assert os.listdir(tmp_path) == ["net.pt2"], "no recording of a program that is gone"
    (tmp_path / "thesis.pt2").write_text("irreplaceable")
    with pytest.raises(OutputError, match=r"no \.pt2"):
        torch2flow.capture(module, (x,), out=tmp_path / "thesis.pt2", overwrite=True)


def test_a_recording_alone_is_an_existing_output(nets: Any, torch: Any, tmp_path: Path) -> None:
    (tmp_path / "net.reference.safetensors").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        torch2flow.capture(nets.ready, (torch.randn(2, 3),), out=tmp_path / "net.pt2")


def test_a_full_disk_leaves_nothing(torch: Any, tmp_path: Path) -> None:
    command = (
        f"ulimit -f 8; exec {sys.executable} -m torch2flow capture '{HERE}/nets.py:Net(width=512)' -o net.pt2 --input"
    )
    done = subprocess.run(["bash", "-c", f"{command} 'float32[2,3,8,8]'"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 5 and "can't be written" in done.stderr and "at: net.pt2" in done.stderr, done.stderr
    assert os.listdir(tmp_path) == []


def test_an_interrupted_run_leaves_nothing(torch: Any, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time, torch\n"
        "class Slow(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        if not torch.compiler.is_exporting():\n"
        "            open('running', 'w').close(); time.sleep(60)\n"
        "        return x + 1\n"
    )
    command = [sys.executable, "-m", "torch2flow", "capture", "slow:Slow", "-o", "net.pt2", "--input", "float32[2]"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's `&` has it ignored
    )  # fmt: skip
    end = time.monotonic() + 60
    while not (tmp_path / "running").exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in err
    assert not [name for name in os.listdir(tmp_path) if "net" in name]


def test_a_large_recording_is_told_before_it_is_written(
    torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch2flow.proof.capture import recording_size

    told: list[str] = []
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3)).eval()
    x = torch.randn(2, 3, 64, 64)
    monkeypatch.setattr(recording_size, "LARGE", 1 << 20)
    captured = torch2flow.capture(net, (x,), out=tmp_path / "net.pt2", dynamic={0: ("batch",)}, tell=told.append)
    assert told and told[0].startswith("the recording will be some 0.0") and "--reference outputs would be" in told[0]
    said = float(told[0].split()[5]) * 1e9
    assert captured.reference_nbytes / 2 < said < captured.reference_nbytes * 2
    monkeypatch.setattr(recording_size, "LARGE", 1 << 40)
    torch2flow.capture(net, (x,), out=tmp_path / "other.pt2", tell=told.append)
    assert len(told) == 1


def test_what_reads_the_input_of_a_dropout_does_not_read_its_output(run_capture: Any, tmp_path: Path) -> None:
    assert run_capture("ReadsBeside", "float32[batch,3]")[0] == 0
    program = open_program(open_container(tmp_path / "net.pt2"))
    assert program is not None
    nodes = program.graph.nodes
    assert sorted(node.operator for node in nodes) == sorted(
        ["aten.linear", "aten.dropout", "aten.alpha_dropout", "aten.add", "aten.add", "aten.linear"]
    )
    readers = [node for node in nodes[1:] if node.operator != "aten.add"]
    assert all(nodes[0].outputs[0] in node.refs() for node in readers)
