"""Pickled models made of `torch.nn` classes: the OneFlow source computes what PyTorch did, forward and backward."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from comparison import difference

from torch2flow import convert, open_checkpoint
from torch2flow.errors import UnsupportedError

SAMPLES = Path(__file__).with_name("pickled_samples.py")


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory, run_python: Callable[..., str], oneflow_python: Path,
             torch_python: Path) -> dict[str, Path]:  # fmt: skip
    """The samples as both PyTorches pickle them: a folder for each."""
    folders = {"1.13": oneflow_python, "2.13": torch_python}
    script = (
        "import runpy, sys, warnings; warnings.simplefilter('ignore'); runpy.run_path(sys.argv[1])['main']("
        "__import__('pathlib').Path(sys.argv[2]))"
    )
    for version, interpreter in folders.items():
        folder = tmp_path_factory.mktemp(f"torch{version}")
        run_python(interpreter, script, SAMPLES, folder, env={"OMP_NUM_THREADS": "1"})
        folders[version] = folder
    return folders


def load(folder: Path, name: str) -> Any:
    """The package at `folder`, imported anew with all its modules: another sample may have the same name."""
    for known in [known for known in sys.modules if known == name or known.startswith(f"{name}.")]:
        del sys.modules[known]
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return package.load_model()


def gathered(prefix: str, values: dict[str, Any], make: Callable[[Any], Any]) -> tuple[list[Any], dict[str, Any]]:
    """The inputs as they were given: by position, some of them tuples, and by keyword."""
    positional: dict[int, Any] = {}
    keywords = {}
    for key, value in values.items():
        if not key.startswith(f"{prefix}."):
            continue
        first, _, rest = key[len(prefix) + 1 :].partition(".")
        if ":" in first:
            keywords[first.partition(":")[2]] = make(value)
        elif rest:
            positional.setdefault(int(first), []).append(make(value))
        else:
            positional[int(first)] = make(value)
    return [tuple(v) if isinstance(v, list) else v for _, v in sorted(positional.items())], keywords


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        for item in value:
            yield from leaves(item)
    elif value is not None:
        yield value


def judge(what: str, found: list[Any], values: dict[str, Any], plain: str, wide: str) -> list[str]:
    """How outputs differ from those recorded under `plain` and, in float64, under `wide`."""
    keys = [key for key in values if key == plain or key.startswith(f"{plain}.")]
    if len(keys) != len(found):
        return [f"{what}: {len(found)} values instead of {len(keys)}"]
    told = []
    for key, tensor in zip(keys, found, strict=True):
        exact = values[wide + key[len(plain) :]]
        noise = np.abs(values[key].astype(np.float64) - exact)
        noise = noise[np.isfinite(noise)].max(initial=0.0) if exact.dtype.kind == "f" else 0.0
        array = tensor.detach().numpy()
        if values[key].dtype.kind in "iu":
            array = array.astype(values[key].dtype)
        text = difference(array, values[key], float(noise))
        told += [f"{what} {key}: {text}"] if text else []
    return told


def compare(name: str, folder: Path, out: Path, flow: ModuleType) -> list[str]:
    """Everything that is wrong with one sample, in words."""
    result = convert(folder / f"{name}.pth", out)
    if result.model_source is None:
        return result.plan.notes or ["no source"]
    checkpoint = open_checkpoint(folder / f"{name}.pth")
    model = load(out, f"sample_{name}".replace(".", "_"))
    state = model.state_dict()
    if list(state) != list(checkpoint):
        return [f"keys {list(state)} instead of {list(checkpoint)}"]
    told = []
    for key, tensor in checkpoint.items():
        if not np.array_equal(state[key].numpy(), tensor.numpy(), equal_nan=True):
            told.append(f"{key} has another value")
    wanted = {key: tensor.requires_grad for key, tensor in checkpoint.items() if tensor.is_parameter}
    found = {key: parameter.requires_grad for key, parameter in model.named_parameters()}
    told += [f"{key}.requires_grad is {found[key]}" for key in found if found[key] != wanted[key]]
    with np.load(folder / f"{name}.npz") as file:
        values = dict(file)
    inputs, keywords = gathered("in", values, flow.tensor)
    assert not model.training
    told += judge("eval", list(leaves(model(*inputs, **keywords))), values, "out", "wide")
    if not any(key.startswith("train") for key in values):
        return told
    model.train()
    inputs, keywords = gathered("in", values, flow.tensor)
    output = model(*inputs, **keywords)
    told += judge("train", list(leaves(output)), values, "train", "widetrain")
    gradients = {key[5:] for key in values if key.startswith("grad:")}
    if gradients:
        sum((item**2).sum() for item in leaves(output) if item.is_floating_point()).backward()
    for key, parameter in model.named_parameters():
        if (parameter.grad is None) != (key not in gradients):
            told.append(f"{key} has {'no' if parameter.grad is None else 'a'} gradient")
        elif key in gradients:
            told += judge("gradient", [parameter.grad], values, f"grad:{key}", f"widegrad:{key}")
    return told


@pytest.mark.parametrize("version", ["1.13", "2.13"])
def test_samples(version: str, recorded: dict[str, Path], tmp_path: Path, flow: ModuleType) -> None:
    """Every sample: the same keys in the same order, the same outputs in eval and train mode, the same gradients."""
    folder = recorded[version]
    told = {}
    for file in sorted(folder.glob("*.pth")):
        if version == "1.13" and ("1d" in file.stem or "3d" in file.stem):
            continue  # pickled as the others are
        try:
            problems = compare(file.stem, folder, tmp_path / file.stem, flow)
        except Exception as error:  # the others are to be told too
            problems = [f"{type(error).__name__}: {str(error)[:500]}"]
        if problems:
            told[file.stem] = problems
    assert not told, "\n".join(f"{name}: {'; '.join(map(str, problems))}" for name, problems in told.items())


# What becomes of a file for which no source can be written, or not all at once. The pickles are PyTorch 1.13's.


def save(torch: ModuleType, value: Any, folder: Path) -> Path:
    path = folder / "model.pth"
    torch.save(value, path)
    return path


def converted(torch: ModuleType, model: Any, folder: Path) -> Any:
    """A model as OneFlow's, its source beside it as `.text`."""
    result = convert(save(torch, model, folder), folder / "out")
    assert result.model_source is not None, result.plan.notes
    loaded = load(folder / "out", f"made_{abs(hash(str(folder)))}")
    assert list(loaded.state_dict()) == list(model.state_dict())
    loaded.text = (folder / "out" / "model.py").read_text("utf-8")
    return loaded


def test_source_reads_as_written(torch: ModuleType, tmp_path: Path, flow: ModuleType) -> None:
    """The constructor's call is the one a person would write; equal blocks are made in a loop."""
    nn = torch.nn
    blocks = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(3)]
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), *[nn.Sequential(*blocks)], nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    model[0].requires_grad_(False)
    text = converted(torch, model, tmp_path).text
    expected = """\
class Model(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 8, 3, stride=2),
            nn.Sequential(
                *[
                    nn.Sequential(
                        nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
                    )
                    for _ in range(3)
                ]
            ),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self[0].requires_grad_(False)
"""
    assert text.endswith(expected), text


def test_helper_classes_are_copied_once_and_stand_alone(torch: ModuleType, tmp_path: Path, flow: ModuleType) -> None:
    """Classes that OneFlow lacks come with what they need, each once, and the file imports nothing of ours."""
    nn = torch.nn
    model = nn.Sequential(*[nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2) for _ in range(2)])
    text = converted(torch, model, tmp_path).text
    names = ("MultiheadAttention", "LayerNorm", "TransformerEncoderLayer", "TransformerEncoder")
    assert [text.count(f"\nclass {name}(") for name in names] == [1, 1, 1, 1]
    assert "torch2flow." not in text and "import torch" not in text and "fmt:" not in text


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dtype_is_kept(torch: ModuleType, tmp_path: Path, flow: ModuleType, dtype: str) -> None:
    """A model that was cast is cast; part of a model too."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).to(getattr(torch, dtype)))
    loaded = converted(torch, model, tmp_path)
    found = [tensor.dtype for tensor in loaded.state_dict().values()]
    cast = getattr(flow, dtype)
    assert found == [*[flow.float32] * 2, *[cast] * 6, flow.int64]


def test_added_tensor_of_a_cast_model_keeps_its_dtype(torch: ModuleType, tmp_path: Path, flow: ModuleType) -> None:
    """A buffer that was registered after the cast is not cast."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 4)).half()
    model.register_buffer("mean", torch.zeros(4))
    model[0].register_buffer("scale", torch.ones(4, dtype=torch.float64), persistent=False)
    loaded = converted(torch, model, tmp_path)
    found = (loaded[0].weight.dtype, loaded.mean.dtype, loaded[0].scale.dtype)
    assert found == (flow.float16, flow.float32, flow.float64)


def test_ties_and_flags_are_kept(torch: ModuleType, tmp_path: Path, flow: ModuleType) -> None:
    """What was one parameter, or one module, is one; what was frozen is."""
    nn = torch.nn
    shared = nn.Linear(4, 4)
    model = nn.ModuleDict({"a": shared, "b": nn.ModuleList([nn.Linear(4, 4), shared]), "c d": nn.Linear(4, 4)})
    model["b"][0].weight = shared.weight
    model["c d"].bias.requires_grad_(False)
    loaded = converted(torch, model, tmp_path)
    assert loaded["a"] is loaded["b"][1]
    assert loaded["b"][0].weight is loaded["a"].weight
    assert [p.requires_grad for p in loaded["c d"].parameters()] == [True, False]
    assert len(list(loaded.parameters())) == len(list(model.parameters()))


def test_a_dictionary_whose_names_are_numbers_is_no_list(torch: ModuleType, tmp_path: Path, flow: ModuleType) -> None:
    nn = torch.nn
    model = nn.ModuleDict({"0": nn.Linear(2, 2), "1": nn.ModuleDict({"0": nn.Linear(2, 2)})})
    model["0"].more = nn.Parameter(torch.ones(4))
    model["1"]["0"].bias.requires_grad_(False)
    loaded = converted(torch, model, tmp_path)
    assert list(loaded.state_dict()) == list(model.state_dict())
    assert not loaded["1"]["0"].bias.requires_grad and loaded["0"].more.requires_grad


def test_module_inside_a_dict(torch: ModuleType, tmp_path: Path, flow: ModuleType) -> None:
    """`{"model": model, "epoch": 3}`: the part that is taken is the model."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 4))
    result = convert(save(torch, {"model": model, "epoch": 3}, tmp_path), tmp_path / "out")
    assert result.model_source is not None
    assert list(load(tmp_path / "out", "inside_a_dict").state_dict()) == ["0.weight", "0.bias"]


@pytest.mark.parametrize("kind", ["Dropout1d", "Dropout2d", "Dropout3d", "Dropout", "AlphaDropout"])
def test_dropout_drops(torch: ModuleType, tmp_path: Path, flow: ModuleType, kind: str) -> None:
    """In train mode: as many as PyTorch drops, whole channels where PyTorch does, mean and variance kept."""
    loaded = converted(torch, getattr(torch.nn, kind)(0.3), tmp_path)
    shape = (200, 50, *(2,) * (int(kind[-2]) if kind[-1] == "d" else 2))
    x = flow.randn(*shape) if kind == "AlphaDropout" else flow.ones(*shape)
    assert np.array_equal(loaded(x).numpy(), x.numpy())
    y = loaded.train()(x).numpy().reshape(200, 50, -1)
    if kind == "AlphaDropout":
        assert abs(y.mean()) < 0.05 and abs(y.std() - 1) < 0.05
        return
    assert abs((y == 0).mean() - 0.3) < 0.03 and abs(y.max() - 1 / 0.7) < 1e-5
    assert kind == "Dropout" or (y == y[..., :1]).all()


def refused(torch: ModuleType, model: Any, folder: Path) -> str:
    """The one note on a model without source; its weights are converted all the same."""
    result = convert(save(torch, model, folder), folder / "out")
    assert result.model_source is None and result.written
    assert (folder / "out" / "pickled_data").exists() and not (folder / "out" / "model.py").exists()
    assert list(result.manifest["notes"]) == result.plan.notes and len(result.plan.notes) == 1
    return result.plan.notes[0]


def unsupported(torch: ModuleType) -> dict[str, tuple[Any, str]]:
    """Models that OneFlow can't do as they are, and what is said of each."""
    nn = torch.nn
    hooked, replaced = nn.Sequential(nn.Linear(2, 2)), nn.Sequential(nn.Linear(2, 2))
    hooked[0].register_forward_hook(print)
    replaced[0].forward = print
    wrong, missing, tracked = nn.Linear(2, 2), nn.TransformerEncoderLayer(8, 2), nn.BatchNorm1d(3)
    wrong.weight = nn.Parameter(torch.zeros(3, 2))
    del missing.norm2
    tracked.track_running_stats = False
    return {
        "hook": (hooked, "0: it has a forward hook"),
        "forward": (replaced, "0: its forward was replaced"),
        "weight_norm": (nn.Sequential(nn.utils.weight_norm(nn.Linear(2, 2))), "WeightNorm"),
        "activation": (nn.TransformerEncoderLayer(8, 2, activation=torch.cos), "its activation is"),
        "recomputed": (nn.Upsample(scale_factor=1.5, recompute_scale_factor=True), "recompute_scale_factor=True"),
        "pool": (nn.AdaptiveMaxPool2d((None, 2)), "None in output_size"),
        "bag": (nn.EmbeddingBag(4, 2, max_norm=1.0), "max_norm=1.0"),
        "shape": (wrong, "its bias is [2], and not [3]"),
        "missing": (missing, "'norm2' is missing"),
        "tracking": (tracked, "track_running_stats"),
    }


UNSUPPORTED = (
    "hook",
    "forward",
    "weight_norm",
    "activation",
    "recomputed",
    "pool",
    "bag",
    "shape",
    "missing",
    "tracking",
)


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_oneflow_cannot_do_is_said(torch: ModuleType, tmp_path: Path, name: str) -> None:
    """The weights are converted, and the note names the module and the reason."""
    model, said = unsupported(torch)[name]
    if name in ("recomputed", "pool"):  # it has no weights: there is nothing to convert, and the error has the reason
        with pytest.raises(UnsupportedError) as caught:
            convert(save(torch, model, tmp_path), tmp_path / "out")
        assert said in caught.value.maybe
    else:
        assert said in refused(torch, model, tmp_path)


def test_unknown_class_is_named_with_the_ways_on(torch: ModuleType, tmp_path: Path) -> None:
    """A class whose code is not in the file: which, and what to do; never a failure."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.CTCLoss())
    note = refused(torch, model, tmp_path)
    assert "torch.nn.modules.loss.CTCLoss" in note and "torch2flow capture" in note and "flowvision" in note


def test_state_dict_converts_as_before(torch: ModuleType, tmp_path: Path) -> None:
    """No model, no note."""
    result = convert(save(torch, torch.nn.Linear(2, 2).state_dict(), tmp_path), tmp_path / "out")
    assert result.model_source is None and not result.plan.notes
    assert not list((tmp_path / "out").glob("*.py"))


def test_neither_torch_nor_oneflow_is_needed(torch: ModuleType, tmp_path: Path, core_python: Path,
                                             run_cli: Callable[..., Any]) -> None:  # fmt: skip
    """An interpreter without both writes the same source."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.TransformerEncoderLayer(8, 2))
    path = save(torch, model, tmp_path)
    convert(path, tmp_path / "here")
    code, _, told = run_cli("convert", path, "-o", tmp_path / "there", interpreter=core_python)
    assert code == 0 and "class Model" in told
    assert (tmp_path / "here" / "model.py").read_text() == (tmp_path / "there" / "model.py").read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [("in_features", "x'); import os; ("), ("kernel_size", [[1]] * 3), ("stride", ("__import__('os')",) * 2),
     ("groups", [1]), ("groups", 0), ("padding", 1 << 70), ("padding_mode", {"a": 1}), ("dilation", object)],
)  # fmt: skip
def test_hostile_attributes_stay_data(torch: ModuleType, tmp_path: Path, name: str, value: Any) -> None:
    """An attribute that is not what its class makes is refused, or written as the literal it is."""
    model = torch.nn.Conv2d(4, 4, 3)
    setattr(model, name, value)
    result = convert(save(torch, model, tmp_path), tmp_path / "out")
    assert result.written
    if result.model_source is not None:
        compile(result.model_source.text, "model.py", "exec")
        assert "import os\n" not in result.model_source.text


def test_names_that_no_module_can_have(torch: ModuleType, tmp_path: Path) -> None:
    """PyTorch refuses a dot in a name; a file need not come from PyTorch."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    model._modules["a.b"] = torch.nn.Linear(2, 2)
    assert "'a.b'" in refused(torch, model, tmp_path)
