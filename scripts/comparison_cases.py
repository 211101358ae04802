"""The files of docs/comparison.md: how PyTorch writes each, and what to look at once it is loaded.

`write` runs with PyTorch and makes the file in the working directory. `look` runs on what was loaded, by
PyTorch and by OneFlow, and gives a short text: the same text means the same outcome.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "fixtures"
CANARY = Path("canary")

Write = Callable[[Any], None]
Look = Callable[[Any, Any], str]


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    Attributes:
        title: what the file holds.
        write: makes the file; given the module `torch`.
        look: given what was loaded and the module it was loaded with, `torch` or `oneflow`.
        file: the file's name, where it matters.
        arguments: what `convert` needs, one set a line in the cell; the first is the default.
        wanted: the text that counts as right, where that is not PyTorch's.
        torch_reads: False where PyTorch 1.13.1 itself does not read the file.
    """

    title: str
    write: Write
    look: Look
    file: str = "x.pth"
    arguments: tuple[tuple[str, ...], ...] = ((),)
    wanted: str = ""
    torch_reads: bool = True


# -- looking -------------------------------------------------------------------------------------------------


def numbers(tensor: Any) -> Any:
    """The values, as Python's numbers; bfloat16 by way of float32, as NumPy has none."""
    if str(tensor.dtype).endswith("bfloat16"):
        tensor = tensor.float()
    return rounded(tensor.detach().numpy().tolist())


def rounded(value: Any) -> Any:
    """Floats in a nested list to four digits: a step of an optimizer is not the same to the last bit."""
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def show(tensor: Any) -> str:
    """Dtype and values."""
    return f"{str(tensor.dtype).rpartition('.')[2]} {numbers(tensor)}"


def each(*names: str) -> Look:
    """Dtype and values of the tensors of these names."""
    return lambda loaded, lib: "; ".join(show(loaded[name]) for name in names)


def state_dict(loaded: Any, lib: Any) -> str:
    """The values as a model gets them: on PyTorch's side a module's own, on OneFlow's those of a twin."""
    if lib.__name__ == "torch":
        state = loaded.state_dict() if isinstance(loaded, lib.nn.Module) else loaded
        return f"loads into the model: {numbers(state['0.bias'])}"
    if not isinstance(loaded, dict):
        home = type(loaded).__module__.partition(".")[0]
        return f"a module of {home}, which OneFlow can't run"
    model = lib.nn.Sequential(lib.nn.Linear(3, 2), lib.nn.BatchNorm1d(2))
    model.load_state_dict(loaded, strict=True)
    return f"loads into the model: {numbers(model.state_dict()['0.bias'])}"


def resave(loaded: Any, lib: Any) -> str:
    """What is left when OneFlow saves and loads it once more; PyTorch's tensor as it is."""
    if lib.__name__ == "oneflow" and not Path("out").is_dir():  # a converted folder is that checkpoint
        shutil.rmtree("again", ignore_errors=True)
        lib.save(loaded, "again")
        loaded = lib.load("again")
    return show(loaded["w"])


def quantized(loaded: Any, lib: Any) -> str:
    """What a quantized tensor stands for, or the dense one that took its place."""
    w = loaded["w"]
    is_quantized = getattr(w, "is_quantized", False)
    return f"{str(w.dtype)[6:]} that stands for {numbers(w.dequantize())}" if is_quantized else show(w)


def sparse(loaded: Any, lib: Any) -> str:
    """All elements of a sparse tensor, or the dense one that took its place."""
    return f"sparse {show(loaded['w'].to_dense())}" if getattr(loaded["w"], "is_sparse", False) else show(loaded["w"])


def ties(loaded: Any, lib: Any) -> str:
    """Whether an update of one weight is seen in the other."""
    if lib.__name__ == "torch":
        same = loaded["encoder.weight"].data_ptr() == loaded["decoder.weight"].data_ptr()
    else:
        same = loaded["encoder.weight"] is loaded["decoder.weight"]
    return "one tensor" if same else "two tensors, each with its own memory"


def metadata(loaded: Any, lib: Any) -> str:
    """The version of a module that a state dict remembers, by which OneFlow too loads old ones."""
    kept = getattr(loaded, "_metadata", None)
    return f"version {kept['1']['version']} of BatchNorm1d" if kept else "lost"


def parameters(loaded: Any, lib: Any) -> str:
    """Class and `requires_grad`."""
    return ", ".join(f"{type(value).__name__} {value.requires_grad}" for value in loaded.values())


def resume(loaded: Any, lib: Any) -> str:
    """Training continued for three steps."""
    model = lib.nn.Linear(2, 1)
    model.load_state_dict(loaded["model"])
    optimizer = lib.optim.AdamW(model.parameters(), lr=0.1)
    optimizer.load_state_dict(loaded["optimizer"])
    train(model, optimizer, lib)
    return f"3 more steps, weight {numbers(model.weight)}"


def canary(loaded: Any, lib: Any) -> str:
    """Whether the file's code has run."""
    return "its code ran" if CANARY.exists() else f"nothing ran; {show(loaded['w'])}"


def homes(loaded: Any, lib: Any) -> str:
    """The libraries that values other than tensors belong to."""
    return ", ".join(type(loaded[name]).__module__.partition(".")[0] for name in ("size", "dtype"))


def arrays(loaded: Any, lib: Any) -> str:
    """NumPy arrays and scalars."""
    return f"{loaded['mean'].tolist()}, {float(loaded['best'])}"


def bits(fixture: str) -> Look:
    """How many tensors are bit for bit what PyTorch 2.13 said it wrote (tests/fixtures/README.md)."""

    def look(loaded: Any, lib: Any) -> str:
        import numpy as np

        expected = json.loads((FIXTURES / "torch-2.13.0" / "expected.json").read_bytes())[fixture]["tensors"]
        same = 0
        for name, row in expected.items():
            tensor = loaded[name.removeprefix("model.")]
            array = tensor.float().numpy() if row["dtype"] == "bfloat16" else tensor.detach().numpy()
            raw = array.view(np.uint16)[..., 1::2].tobytes() if row["dtype"] == "bfloat16" else array.tobytes()
            same += hashlib.sha256(raw).hexdigest() == row["sha256"]
        return f"{same} of {len(expected)} tensors, bit for bit"

    return look


# -- writing -------------------------------------------------------------------------------------------------


def tensors(**make: Callable[[Any], Any]) -> Write:
    """Saves a dictionary of tensors, each made by a function of `torch`."""
    return lambda torch: torch.save({name: function(torch) for name, function in make.items()}, "x.pth")


def fixture(name: str) -> Write:
    """A file that PyTorch 2.13 wrote (tests/fixtures)."""

    def copy(torch: Any) -> None:
        source = FIXTURES / "torch-2.13.0" / name
        shutil.copytree(source, name) if source.is_dir() else shutil.copy(source, name)

    return copy


def net(torch: Any) -> Any:
    """A linear layer and a batch norm with given numbers."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).eval()
    model[0].weight.data = torch.arange(6.0).reshape(2, 3)
    model[0].bias.data = torch.tensor([0.5, -0.5])
    return model


def train(model: Any, optimizer: Any, lib: Any) -> None:
    """Three steps on the same numbers."""
    for step in range(3):
        optimizer.zero_grad()
        model(lib.tensor([[1.0, float(step)]])).sum().backward()
        optimizer.step()


def write_tied(torch: Any) -> None:
    encoder, decoder = torch.nn.Embedding(3, 2), torch.nn.Linear(2, 3, bias=False)
    decoder.weight = encoder.weight
    torch.save(torch.nn.ModuleDict({"encoder": encoder, "decoder": decoder}).state_dict(), "x.pth")


def write_parameters(torch: Any) -> None:
    trained, frozen = (torch.nn.Parameter(torch.ones(2), requires_grad=grad) for grad in (True, False))
    torch.save({"trained": trained, "frozen": frozen, "running_mean": torch.zeros(2)}, "x.pth")


def write_training(torch: Any) -> None:
    model = torch.nn.Linear(2, 1)
    model.weight.data, model.bias.data = torch.tensor([[1.0, -1.0]]), torch.tensor([0.0])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    train(model, optimizer, torch)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, "x.pth")


def write_foreign_module(torch: Any) -> None:
    """A module of a class that whoever loads it does not have."""
    lab = types.ModuleType("mylab")
    exec("import torch\nclass Net(torch.nn.Sequential): pass", lab.__dict__)
    sys.modules["mylab"] = lab
    torch.save(lab.Net(*net(torch)), "x.pth")


class Touch:
    """Pickles as a call, as a hostile file would; this one only makes an empty file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (CANARY,))


def write_executing(torch: Any) -> None:
    torch.save({"w": torch.ones(1), "hook": Touch()}, "x.pth")


def write_safetensors(torch: Any) -> None:
    importlib.import_module("safetensors.torch").save_file(net(torch).state_dict(), "x.safetensors")


def write_arrays(torch: Any) -> None:
    import numpy as np

    torch.save({"w": torch.ones(1), "mean": np.array([0.5, 0.25]), "best": np.float64(0.75)}, "x.pth")


FLOATS = [1.0, 2.5, -3.0]
NET = "loads into the model: [0.5, -0.5]"

CASES = (
    Case(
        "float32, float16, int64, int8 weights",
        tensors(
            a=lambda t: t.tensor([0.5, -2.0]),
            b=lambda t: t.tensor([1.5]).half(),
            c=lambda t: t.tensor([-7]),
            d=lambda t: t.tensor([-7]).char(),
        ),
        each("a", "b", "c", "d"),
    ),
    Case(
        "views: transposed, strided, expanded",
        tensors(
            a=lambda t: t.arange(4.0).reshape(2, 2).t(),
            b=lambda t: t.arange(6.0)[1::2],
            c=lambda t: t.tensor([1.0]).expand(2),
        ),
        each("a", "b", "c"),
    ),
    Case(
        "a bool mask among the weights",
        tensors(w=lambda t: t.ones(1), mask=lambda t: t.tensor([True, False])),
        each("w", "mask"),
    ),
    Case("bfloat16", tensors(w=lambda t: t.tensor(FLOATS).bfloat16()), each("w")),
    Case("bfloat16, as a OneFlow checkpoint on disk", tensors(w=lambda t: t.tensor(FLOATS).bfloat16()), resave),
    Case(
        "int16",
        tensors(w=lambda t: t.tensor([300, -2]).short()),
        each("w"),
        arguments=((), ("--strict-dtype",)),
    ),
    Case(
        "complex64",
        tensors(w=lambda t: t.tensor([1 + 2j])),
        each("w"),
        arguments=((), ("--complex", "real")),
    ),
    Case(
        "quantized (qint8)",
        tensors(w=lambda t: t.quantize_per_tensor(t.tensor([1.0, -0.5]), 0.5, 0, t.qint8)),
        quantized,
        arguments=((), ("--quantized", "dequantize"), ("--quantized", "int")),
    ),
    Case(
        "sparse",
        tensors(w=lambda t: t.tensor([[0.0, 2.0], [0.0, 0.0]]).to_sparse()),
        sparse,
        arguments=((), ("--sparse", "dense")),
    ),
    Case("tied weights", write_tied, ties),
    Case(
        "a state dict's `_metadata`",
        lambda torch: torch.save(net(torch).state_dict(), "x.pth"),
        metadata,
    ),
    Case("Parameters, one of them frozen; a buffer", write_parameters, parameters),
    Case("model and AdamW after 3 steps", write_training, resume, arguments=(("--key", "."),)),
    Case("a whole module", lambda torch: torch.save(net(torch), "x.pth"), state_dict),
    Case(
        "a whole module of a class that is not installed",
        write_foreign_module,
        state_dict,
        wanted=NET,
        torch_reads=False,
    ),
    Case(
        "a file that runs code when unpickled",
        write_executing,
        canary,
        wanted="nothing ran; float32 [1.0]",
    ),
    Case(
        "torch.Size and torch.dtype beside the weights",
        lambda torch: torch.save({"size": torch.Size([2]), "dtype": torch.float16, "w": torch.ones(1)}, "x.pth"),
        homes,
        wanted="oneflow, oneflow",
    ),
    Case("NumPy arrays and numbers", write_arrays, arrays),
    Case(
        "the legacy format (PyTorch before 1.6)",
        lambda torch: torch.save(net(torch).state_dict(), "x.pth", _use_new_zipfile_serialization=False),
        state_dict,
    ),
    Case(
        "TorchScript",
        lambda torch: torch.jit.trace(net(torch), torch.ones(1, 3)).save("x.pt"),
        state_dict,
        file="x.pt",
    ),
    Case("safetensors", write_safetensors, state_dict, "x.safetensors", wanted=NET, torch_reads=False),
    *(
        Case(
            f"{what} (written by PyTorch 2.13)",
            fixture(name.partition("/")[0]),
            bits(name),
            file=name,
            wanted="9 of 9 tensors, bit for bit",
            torch_reads=False,
        )
        for what, name in (
            ("sharded, `*.index.json`", "sharded_bin/pytorch_model.bin.index.json"),
            ("torch.distributed.checkpoint of 2 ranks", "dcp_2_ranks"),
            ("torch.export, `.pt2`", "net.pt2"),
        )
    ),
)
