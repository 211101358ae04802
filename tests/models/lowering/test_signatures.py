"""The rules take the arguments that PyTorch's operators have, and cover Core ATen."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from torch2flow.models.lowering import operators  # noqa: F401 - registers the rules
from torch2flow.models.lowering.registry import IGNORED, RULES, Rule, find
from torch2flow.models.lowering.renames import FLOAT_RENAMES, RENAMES
from torch2flow.models.lowering.unsupported import reason

LEFT_OUT = {
    "dtype", "sublist", "quantized", "low_generator", "low_generator_dtype", "generator", "generator_with_names",
    "names", "Dimname", "names_dim", "Tensor_list", "list_Tensor",
}  # fmt: skip
"""Overloads that no exported program of a model has held, and that take arguments of their own."""
SIZES = ("aten.sym_",)
"""Computed while a program is read, and no calls in it."""


def _today(torch: ModuleType) -> None:
    if torch.__version__ < "2":
        pytest.skip("a matter of today's operators: .venv-torch")


def _overloads(torch: ModuleType, name: str) -> Iterator[tuple[str, Any]]:
    """The overloads of an operator that a rule serves: none of TorchScript's own, on plain numbers and lists."""
    _, operator, *overload = name.split(".")
    for each in overload or getattr(torch.ops.aten, operator).overloads():
        # A few overloads exist in place only: `bernoulli_.float`.
        packets = [getattr(torch.ops.aten, operator + suffix, None) for suffix in ("", "_")]
        schema = next(getattr(packet, each)._schema for packet in packets if packet and each in packet.overloads())
        on_tensors = "Tensor" in str([argument.type for argument in schema.arguments])
        makes_tensor = "Tensor" in str([value.type for value in schema.returns])
        is_out = any(argument.is_out for argument in schema.arguments)
        if (on_tensors or makes_tensor) and not is_out and each not in LEFT_OUT and "Dimname" not in str(schema):
            yield each, schema


def _takes(rule: Rule) -> tuple[str, ...]:
    return (*inspect.signature(rule.function).parameters, *IGNORED)


def test_rules_take_the_arguments_of_their_operators(torch: ModuleType) -> None:
    _today(torch)
    wrong = []
    for name, rule in RULES.items():
        if not name.startswith("aten.") or "torch2flow.models.lowering.operators" not in rule.function.__module__:
            continue
        for overload, schema in _overloads(torch, name):
            full = ".".join(name.split(".")[:2]) + f".{overload}"
            if full == "aten.sort.Tensor":  # Also TorchScript's own, of a list.
                continue
            names = [f"{each.name}_" if keyword.iskeyword(each.name) else each.name for each in schema.arguments]
            unknown = [name for name in names if name not in _takes(rule)]
            if find(full) is rule and unknown and not reason(full):
                wrong.append(f"{full}: {rule.place} takes no {', '.join(unknown)}")
    assert not wrong, "\n".join(wrong)


def test_core_operators_have_a_rule_or_a_reason_for_none(torch: ModuleType) -> None:
    _today(torch)
    core = torch.Tag.core
    missing = []
    for operator in dir(torch.ops.aten):
        packet = getattr(torch.ops.aten, operator)
        for overload in packet.overloads() if hasattr(packet, "overloads") else []:
            name = f"aten.{operator}.{overload}"
            known = find(name) or reason(name) or f"aten.{operator}" in {**RENAMES, **FLOAT_RENAMES}
            known = known or any(rule.startswith(f"complex.{operator}") for rule in RULES)
            in_place = operator.endswith("_") or overload.endswith("out")
            if core in getattr(packet, overload).tags and not (known or in_place or name.startswith(SIZES)):
                missing.append(name)
    assert not missing
