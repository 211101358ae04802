"""PyTorch by name, on OneFlow: what a name gives in ported code, and how it compares with the real one.

    python ported.py [--plain | --as-ported] FILE [FIRST]

evaluates expressions, one a line of FILE, with real PyTorch and with its name-level port in one process, and prints
what comes of each as a JSON list a line. An expression can end the process; `try_all` goes on with the next one.
`--plain` takes OneFlow's own names alone. `--as-ported` ports the text of each, so that a substitute stands only where
the port puts one.
"""

from __future__ import annotations

import importlib
import json
import math
import signal
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from comparison import difference


def fresh_substitutes(flow: Any) -> dict[str, Any]:
    """The substitutes as they run: imported after OneFlow, so that classes have their real bases."""
    for name in [each for each in sys.modules if each.startswith(("torch2flow.port", "torch2flow.models.lowering"))]:
        del sys.modules[name]
    return importlib.import_module("torch2flow.port.compat").SUBSTITUTES  # type: ignore[no-any-return]


class Ported:
    """Stands for `torch`, or a module of it: a substitute where there is one, else OneFlow's own of the same name."""

    def __init__(self, name: str, flow: Any, substitutes: dict[str, Any]) -> None:
        self._name, self._flow, self._substitutes = name, flow, substitutes
        self._values = importlib.import_module("torch2flow.port.compat.registry").VALUES

    def __getattr__(self, attribute: str) -> Any:
        name = f"{self._name}.{attribute}"
        if name in self._values:
            return eval(self._values[name], {"flow": self._flow})
        if name in self._substitutes:
            function = self._substitutes[name].function
            compat = importlib.import_module("torch2flow.port.compat")
            is_plain = not isinstance(function, type)
            return (
                compat.complex_tensors.for_complex(
                    function, attribute, {attribute: function, **compat.complex_functions.FUNCTIONS}
                )
                if is_plain
                else function
            )
        value: Any = self._flow
        for part in name.split(".")[1:]:
            value = getattr(value, part, None)
            if value is None:
                break
        inside = any(each.startswith(f"{name}.") for each in (*self._substitutes, *self._values))
        if not callable(value) and (isinstance(value, ModuleType) or inside):
            return Ported(name, self._flow, self._substitutes)
        if value is None:
            raise AttributeError(f"no {name}")
        return value


def install_methods(flow: Any, substitutes: dict[str, Any]) -> None:
    """All substitutes for methods, on OneFlow's classes: each must do without the method that it replaces."""
    for name, substitute in substitutes.items():
        owner, _, method = name.rpartition(".")
        if owner in ("torch.Tensor", "torch.nn.Module", "torch.nn.Sequential", "torch.nn.ModuleList"):
            function = property(substitute.function) if substitute.attribute else substitute.function
            setattr(attrgetter(owner.removeprefix("torch."))(flow), method, function)
    compat = importlib.import_module("torch2flow.port.compat")
    compat.complex_tensors.take_complex_numbers(compat.complex_functions.FUNCTIONS, {})


def values() -> dict[str, np.ndarray[Any, Any]]:
    """What expressions are about: some tensors by name."""
    draw = np.random.default_rng(0)

    def floats(*shape: int) -> np.ndarray[Any, Any]:
        return np.asarray(draw.standard_normal(shape), dtype=np.float32)

    return {
        "x": floats(2, 3, 4), "y": floats(2, 3, 4), "m": floats(3, 4), "k": floats(4, 5), "q": floats(4, 4),
        "v": floats(4), "u": floats(4), "s": floats(), "r": np.abs(floats(2, 3, 4)) + 0.1,
        "p": draw.random((3, 4), np.float32),
        "e": floats(0, 4), "image": floats(2, 3, 8, 8), "volume": floats(2, 3, 4, 6, 6), "signal": floats(2, 3, 9),
        "i": np.array([[0, 2, 1], [2, 1, 0]]), "j": np.array([3, -7, 0, 5]), "n": np.array(2),
        "h": np.array([1, 2, 3, 1], np.int32),
        "c": draw.integers(0, 4, (3,)), "b": draw.random((2, 3, 4)) > 0.5, "f": np.array([True, False, True, True]),
        "d": draw.standard_normal((3, 4)), "w": floats(6, 3, 3, 3), "g": np.array([7, 2, 9, 4], np.uint8),
    }  # fmt: skip


def evaluate(expression: str, library: Any, tensor: Any, extra: dict[str, Any]) -> tuple[Any, list[Any]]:
    """What an expression gives, with the gradients of what it gives in all floats; statements come before a `;`."""
    inputs = {name: tensor(value) for name, value in values().items()}
    floats = [value for value in inputs.values() if value.is_floating_point()]
    namespace = {"torch": library, "F": library.nn.functional, "nn": library.nn, "np": np, **inputs, **extra}
    namespace |= {"settled": lambda module: settled(module, tensor), "trained": trained}
    if expression.startswith("grad "):
        expression = expression.removeprefix("grad ")
        for value in floats:
            value.requires_grad_(True)
    *statements, last = expression.split("; ")
    for statement in statements:
        exec(statement, namespace)
    result = eval(last, namespace)
    results = [each for each in leaves(result) if hasattr(each, "requires_grad") and each.requires_grad]
    gradients = []
    if results:
        total = None
        for each in results:
            numbers = np.cos(np.arange(each.numel(), dtype=np.float64)).astype(np.float32).reshape(tuple(each.shape))
            part = (each * tensor(numbers).to(each.dtype)).sum()
            total = part if total is None else total + part.to(total.dtype)
        total.backward()  # type: ignore[union-attr]
        gradients = [None if value.grad is None else value.grad for value in floats]
    return result, gradients


def settled(module: Any, tensor: Any) -> Any:
    """A module whose parameters have the same numbers in both libraries."""
    if getattr(tensor, "__name__", "") == "exact":
        module = module.double()
    for value in module.parameters():
        numbers = 0.3 * np.cos(np.arange(value.numel(), dtype=np.float64)).astype(np.float32).reshape(
            tuple(value.shape)
        )
        value.data.copy_(tensor(numbers).to(value.dtype))
    return module


def trained(module: Any, optimizer: Any, *inputs: Any, schedule: Any = None, steps: int = 4) -> list[Any]:
    """The parameters after some steps, and the rates of the steps."""
    rates = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (module(*inputs) ** 2).mean()
        loss.backward()
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        if schedule is not None:
            schedule.step()
    return [*[value.detach() for value in module.parameters()], rates]


def leaves(value: Any) -> list[Any]:
    if isinstance(value, list | tuple) and not isinstance(value, str):
        return [leaf for each in value for leaf in leaves(each)]
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in leaves(each)]
    return [value]


def compare(found: Any, expected: Any, noise: float = 0.0) -> str:
    """How two results differ, in words; "" where they are the same."""
    ours, theirs = leaves(found), leaves(expected)
    if len(ours) != len(theirs):
        return f"{len(ours)} results instead of {len(theirs)}"
    for one, other in zip(ours, theirs, strict=True):
        if hasattr(other, "detach"):
            if not hasattr(one, "detach"):
                return f"{type(one).__name__} instead of a tensor"
            wrong = difference(np.asarray(one.detach().cpu().numpy()), np.asarray(other.detach().cpu().numpy()), noise)
        elif isinstance(other, float) and isinstance(one, float):
            same = math.isclose(one, other, rel_tol=1e-5) or (math.isnan(one) and math.isnan(other))
            wrong = "" if same else f"{one} instead of {other}"
        elif isinstance(other, bool | int | str | type(None)):
            wrong = "" if one == other and type(one) is type(other) else f"{one!r} instead of {other!r}"
        else:
            wrong = "" if str(one).replace("oneflow", "torch") == str(other) else f"{one!r} instead of {other!r}"
        if wrong:
            return wrong
    return ""


def noise_of(expression: str, torch: Any, expected: Any, extra: dict[str, Any]) -> float:
    """How far PyTorch's own float32 lies from its float64."""

    def exact(value: np.ndarray[Any, Any]) -> Any:
        return torch.tensor(value.astype(np.float64) if value.dtype == np.float32 else value)

    wider, _ = evaluate(expression.removeprefix("grad "), torch, exact, extra)
    return max(
        (
            float((one.double() - other.double()).abs().max())
            for one, other in zip(leaves(expected), leaves(wider), strict=True)
            if hasattr(one, "detach") and one.is_floating_point() and one.shape == other.shape and one.numel()
        ),
        default=0.0,
    )


def compare_gradients(found: list[Any], expected: list[Any]) -> str:
    for one, other in zip(found, expected, strict=False):
        if other is not None or one is not None:
            zeros = np.zeros(tuple((one if other is None else other).shape), np.float32)
            wrong = difference(zeros if one is None else one.numpy(), zeros if other is None else other.numpy(), 1e-6)
            if wrong:
                return f"gradient: {wrong}"
    return ""


def outcome(expression: str, torch: Any, ported: Any, flow: Any, extra: tuple[dict[str, Any], dict[str, Any]]) -> str:
    """How an expression differs between PyTorch and its port; "" where it does not."""
    expected, gradients = evaluate(expression, torch, torch.tensor, extra[0])
    try:
        found, ours = evaluate(expression, ported, flow.tensor, extra[1])
        wrong = compare(found, expected)
        if " apart, " in wrong:
            wrong = compare(found, expected, noise_of(expression, torch, expected, extra[0]))
        return wrong or compare_gradients(ours, gradients)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"{type(error).__name__}: {(lines or [''])[0][:160]}"


def try_all(expressions: list[str], python: Path, folder: Path, *options: str) -> dict[str, str]:
    """What comes of each expression, in processes that may end."""
    file = folder / "expressions.txt"
    file.write_text("\n".join(expressions))
    found: dict[str, str] = {}
    first = 0
    while first < len(expressions):
        command = [str(python), __file__, *options, str(file), str(first)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        started = first
        for line in done.stdout.splitlines():
            if line.startswith("["):
                number, *result = json.loads(line)
                started = number
                if result:
                    found[expressions[number]] = result[0]
        if not done.stdout or (expressions[started] in found and done.returncode):
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr[-2000:]}")
        found.setdefault(expressions[started], f"aborts: the process ended with {done.returncode}")
        first = started + 1
    return found


def as_ported(expression: str) -> tuple[str, ModuleType]:
    """The text of an expression as it is ported, and the compatibility module that it needs."""
    from torch2flow.port.compat_module import compat_source
    from torch2flow.port.project import Project, SourceModule
    from torch2flow.port.rewriting import Rewriter
    from torch2flow.port.source import parse_source

    grad = "grad " if expression.startswith("grad ") else ""
    *statements, last = expression.removeprefix("grad ").split("; ")
    head = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
    head += "import numpy as np\n" if "np." in expression else ""
    body = "".join(f"    {each}\n" for each in [*statements, f"return {last}"])
    source = parse_source(f"{head}def case({', '.join(values())}):\n{body}")
    project, module = Project(), SourceModule("case")
    project.add(module, source)
    tally = Rewriter(source, module, project).run()
    lines = source.edited().partition("def case")[2].splitlines()[1:]
    compat = ModuleType("flow_compat")
    exec(str(compat_source(tally.compat)), vars(compat))
    kept = [line.strip() for line in lines if not line.lstrip().startswith("#")]
    return grad + "; ".join(kept).replace("return ", ""), compat


def outcome_as_ported(expression: str, torch: Any, flow: Any) -> str:
    """How an expression that is ported by itself differs from PyTorch; what it puts into OneFlow's tensors goes."""
    before = dict(vars(flow.Tensor))
    text, compat = as_ported(expression)
    expected, gradients = evaluate(expression, torch, torch.tensor, {})
    try:
        found, ours = evaluate(text, flow, flow.tensor, {"flow": flow, "flow_compat": compat})
        return compare(found, expected) or compare_gradients(ours, gradients)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).strip()[:160]}"
    finally:
        for name, value in dict(vars(flow.Tensor)).items():
            if name not in before:
                delattr(flow.Tensor, name)
            elif before[name] is not value:
                setattr(flow.Tensor, name, before[name])


def main() -> None:
    import warnings

    import torch
    import torch.nn.utils.prune
    import torch.utils.checkpoint

    from torch2flow.runtime import import_oneflow

    warnings.simplefilter("ignore")
    flow = import_oneflow()
    plain = "--plain" in sys.argv
    arguments = [each for each in sys.argv[1:] if not each.startswith("--")]
    expressions = Path(arguments[0]).read_text().split("\n")
    substitutes = {} if plain else fresh_substitutes(flow)
    if "--as-ported" not in sys.argv:
        install_methods(flow, substitutes)
    ported = Ported("torch", flow, substitutes)
    for number in range(int(arguments[1]) if len(arguments) > 1 else 0, len(expressions)):
        print(json.dumps([number]), flush=True)
        signal.alarm(30)
        try:
            if "--as-ported" in sys.argv:
                wrong = outcome_as_ported(expressions[number], torch, flow)
            else:
                wrong = outcome(expressions[number], torch, ported, flow, ({}, {}))
        except Exception as error:
            wrong = f"PyTorch: {type(error).__name__}: {error}"
        print(json.dumps([number, wrong]), flush=True)


if __name__ == "__main__":
    main()
