#!/usr/bin/env python3
"""Tries PyTorch's own samples on the names of OneFlow, and on the substitutes where there are any.

    .venv/bin/python scripts/api_runs.py [FIRST]

prints, for each operator of PyTorch's own database and each dtype, a line of JSON: its number, the name that is called,
the dtype, and what came of each sample. A sample can end the process: `scripts/api.py` goes on with the next operator.
"""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import TestCase

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "support")]

import numpy as np  # noqa: E402
from ported import Ported, compare, fresh_substitutes, install_methods, leaves  # noqa: E402

SAMPLES = 8
DTYPES = ("float32", "int64", "bool")
RANDOM = ("bernoulli", "dropout", "empty", "multinomial", "normal", "rand", "rrelu", "poisson", "exponential",
          "uniform", "geometric", "cauchy", "gumbel", "new_empty", "resize")  # fmt: skip
"""Parts of names whose results are nobody's business, beyond dtype and shape."""


def main() -> None:
    warnings.simplefilter("ignore")
    import torch

    # PyTorch's own tests want a package that makes their classes, which the samples don't need.
    sys.modules.setdefault("expecttest", SimpleNamespace(TestCase=TestCase, ACCEPT=False))  # type: ignore[arg-type]
    from torch.testing._internal.common_methods_invocations import op_db

    from torch2flow.runtime import import_oneflow

    flow = import_oneflow()
    substitutes = fresh_substitutes(flow)
    install_methods(flow, substitutes)
    ported = Ported("torch", flow, substitutes)
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    for number, (name, function, entry, dtype) in enumerate(calls(torch, op_db)):
        if number < first:
            continue
        print(json.dumps([number, name, dtype]), flush=True)
        print(
            json.dumps([number, name, dtype, outcomes(name, function, entry, dtype, torch, ported, flow)]), flush=True
        )


def calls(torch: Any, database: list[Any]) -> Iterator[tuple[str, Any, Any, str]]:
    """Each name that an operator is called by, as a function and as a method, with each dtype."""
    for entry in database:
        for dtype in DTYPES:
            if getattr(torch, dtype) not in entry.supported_dtypes("cpu"):
                continue
            name = f"torch.{entry.name}"
            if entry.op is resolved(torch, name):
                yield name, entry.op, entry, dtype
            if entry.method_variant is not None and entry.method_variant is getattr(torch.Tensor, entry.name, None):
                yield f"torch.Tensor.{entry.name}", entry.method_variant, entry, dtype


def resolved(torch: Any, name: str) -> Any:
    value = torch
    for part in name.split(".")[1:]:
        value = getattr(value, part, None)
    return value


def outcomes(name: str, function: Any, entry: Any, dtype: str, torch: Any, ported: Any, flow: Any) -> list[str]:
    """What came of each sample: "" where it is the same, or how it shows."""
    torch.manual_seed(0)
    needs_gradient = dtype == "float32" and entry.supports_autograd
    try:
        samples = list(islice(entry.sample_inputs("cpu", getattr(torch, dtype), requires_grad=needs_gradient), SAMPLES))
    except Exception:
        return []
    found = []
    for sample in samples:
        signal.alarm(20)
        arguments = [sample.input, *sample.args]
        try:
            expected = function(*copied(arguments, torch), **copied(sample.kwargs, torch))
        except Exception:
            continue
        if any(hasattr(each, "is_complex") and each.is_complex() for each in leaves([expected, arguments])):
            continue
        try:
            given = [to_flow(each, flow, torch) for each in arguments]
            named = {key: to_flow(value, flow, torch) for key, value in sample.kwargs.items()}
            result = called(name, ported, given, named)
            if any(part in name for part in RANDOM):
                result, expected = ([without_values(each) for each in leaves(part)] for part in (result, expected))
            found.append(kind_of(compare(result, expected, 1e-5)))
        except Exception as error:
            found.append("absent" if isinstance(error, AttributeError) and "no torch" in str(error) else "refused")
    signal.alarm(0)
    return found


def called(name: str, ported: Any, given: list[Any], named: dict[str, Any]) -> Any:
    value = ported
    if name.startswith("torch.Tensor."):
        method = getattr(given[0], name.rpartition(".")[2], None)
        if method is None:
            raise AttributeError(f"no {name}")
        return method(*given[1:], **named)
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    return value(*given, **named)


def copied(value: Any, torch: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: copied(each, torch) for key, each in value.items()}
    return type(value)(copied(each, torch) for each in value) if type(value) in (list, tuple) else value


def to_flow(value: Any, flow: Any, torch: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return flow.tensor(np.asarray(value.detach().numpy()))
    if isinstance(value, torch.dtype):
        return getattr(flow, str(value).removeprefix("torch."))
    if isinstance(value, torch.Size):
        return tuple(value)
    return type(value)(to_flow(each, flow, torch) for each in value) if type(value) in (list, tuple) else value


def without_values(value: Any) -> Any:
    return value * 0 if hasattr(value, "detach") and "bool" not in str(value.dtype) else value


def kind_of(wrong: str) -> str:
    """How a difference shows, in one word."""
    for sign, kind in ((" apart", "value"), ("elements", "value"), ("shape", "shape"), ("dtype", "dtype")):
        if sign in wrong:
            return kind
    return "other" if wrong else ""


if __name__ == "__main__":
    main()
