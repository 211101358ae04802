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
    """The package at `folder`, imported anew."""
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
    if result.source is None:
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
        try:
            problems = compare(file.stem, folder, tmp_path / file.stem, flow)
        except Exception as error:  # the others are to be told too
            problems = [f"{type(error).__name__}: {str(error)[:500]}"]
        if problems:
            told[file.stem] = problems
    assert not told, "\n".join(f"{name}: {'; '.join(map(str, problems))}" for name, problems in told.items())
