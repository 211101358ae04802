"""OneFlow still does wrong what the rules work around."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from torch2flow.models.lowering.defects import DEFECTS, Defect

SCRIPT = "from torch2flow.runtime import import_oneflow; flow = import_oneflow(); F = flow.nn.functional\n"


def _mended(defect: Defect) -> str:
    rules = ", ".join(defect.rules) or "none"
    return f"OneFlow no longer needs this workaround: {defect.name} (rules: {rules})"


@pytest.mark.parametrize("defect", [each for each in DEFECTS if not each.aborts], ids=lambda each: each.name)
def test_the_defect_is_still_there(defect: Defect, flow: ModuleType) -> None:
    names: dict[str, Any] = {"flow": flow, "F": flow.nn.functional, "np": np}
    try:
        found = eval(defect.probe, names)
    except Exception:
        assert defect.raises, defect.probe
    else:
        assert not defect.raises and found, _mended(defect)


@pytest.mark.oneflow
@pytest.mark.parametrize("defect", [each for each in DEFECTS if each.aborts], ids=lambda each: each.name)
def test_the_process_still_ends(defect: Defect, oneflow_python: Path, run_python: Any) -> None:
    with pytest.raises(AssertionError, match=r"ended with -\d"):
        run_python(oneflow_python, SCRIPT + defect.probe)
        pytest.fail(_mended(defect), pytrace=False)
