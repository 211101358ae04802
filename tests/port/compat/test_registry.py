"""The table of names and the substitutes, in any Python: neither PyTorch nor OneFlow is imported for them."""

from __future__ import annotations

import inspect
import json
import subprocess
from pathlib import Path

import pytest

from torch2flow.models.lowering import operators  # noqa: F401 - registers the rules
from torch2flow.models.lowering.registry import RULES
from torch2flow.models.lowering.renames import FLOAT_RENAMES, RENAMES
from torch2flow.port import api
from torch2flow.port.api import canonical, find
from torch2flow.port.compat import SUBSTITUTES, stands_for


def test_nothing_is_imported_for_them(core_python: Path) -> None:
    script = """
import sys
import torch2flow.port.compat, torch2flow.port.api
print(sorted({"torch", "oneflow", "numpy"} & set(sys.modules)))
"""
    assert subprocess.run([core_python, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_each_has_its_source_and_a_reason() -> None:
    for name, substitute in SUBSTITUTES.items():
        assert name == substitute.name and name.startswith(("torch.", "safetensors.torch."))
        assert substitute.because.endswith("."), name
        assert inspect.getsource(substitute.function) and inspect.signature(substitute.function), name


def test_what_a_captured_model_can_ported_code_can() -> None:
    """Each operator that has a rule has something in OneFlow under each public name that PyTorch calls it by."""
    rows = map(json.loads, (Path(api.__file__).parent / "api.jsonl").open(encoding="utf-8"))
    public = {row.get("is", row["name"]) for row in rows}
    homes = {"": ("torch.", "torch.Tensor.", "torch.nn.functional.")}
    homes |= {f"{home}_": (f"torch.{home}.",) for home in ("special", "linalg", "fft")}
    called = {name.split(".")[1].strip("_") for name in {*RULES, *RENAMES, *FLOAT_RENAMES} if name[:5] == "aten."}
    names = {
        home + operator.removeprefix(prefix)
        for operator in called
        for prefix, found in homes.items()
        if operator.startswith(prefix)
        for home in found
    }
    assert len(names & public) > 400
    assert [name for name in sorted(names & public) if find(name).status == "cannot"] == []


def test_one_name_means_one_function() -> None:
    places: dict[str, set[str]] = {}
    for substitute in SUBSTITUTES.values():
        function = substitute.function
        places.setdefault(function.__name__, set()).add(function.__module__)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_arguments_that_need_it_are_arguments() -> None:
    for name, substitute in SUBSTITUTES.items():
        parameters = (
            inspect.signature(inspect.unwrap(substitute.function)).parameters
            if inspect.isfunction(inspect.unwrap(substitute.function))
            else None
        )
        for argument in substitute.only_with or ():
            known = parameters is None or argument.partition("=")[0] in parameters
            assert known or any(each.kind is each.VAR_KEYWORD for each in parameters.values()), (name, argument)


def test_a_second_substitute_of_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="has a substitute already"):
        stands_for("torch.cat", because="again")(lambda: None)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("torch.nn.GELU", "equal"),
        ("torch.sort", "rule"),
        ("torch.linalg.eig", "cannot"),
        ("torch.isclose", "part"),
        ("torch.no_such_name", "cannot"),
    ],
)
def test_each_name_has_a_status(name: str, status: str) -> None:
    assert find(name).status == status
    assert status in ("equal", "rule") or find(name).note


def test_other_spellings_are_known() -> None:
    assert canonical("torch.nn.modules.conv.Conv2d") == "torch.nn.Conv2d"
    assert find("torch.nn.modules.activation.GELU").oneflow == "flow.nn.GELU"
