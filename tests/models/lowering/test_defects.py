"""OneFlow still does wrong what the rules work around. Probes run in a process where nothing of ours has mended it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from torch2flow.models.lowering.defects import DEFECTS, Defect

SCRIPT = "from torch2flow.runtime import import_oneflow; flow = import_oneflow(); F = flow.nn.functional\n"

ALL = """
import json, sys, numpy as np
found = {}
for probe in json.loads(sys.argv[1]):
    try:
        found[probe] = bool(eval(probe))
    except Exception:
        found[probe] = "raises"
print(json.dumps(found))
"""

pytestmark = pytest.mark.oneflow


def _mended(defect: Defect) -> str:
    rules = ", ".join(defect.rules) or "none"
    return f"OneFlow no longer needs this workaround: {defect.name} (rules: {rules})"


def test_the_defects_are_still_there(oneflow_python: Path, run_python: Any) -> None:
    expected = {each.probe: "raises" if each.raises else True for each in DEFECTS if not each.aborts}
    found = json.loads(run_python(oneflow_python, SCRIPT + ALL, json.dumps(list(expected))))
    gone = [_mended(each) for each in DEFECTS if not each.aborts and found[each.probe] != expected[each.probe]]
    assert gone == []


@pytest.mark.parametrize("defect", [each for each in DEFECTS if each.aborts], ids=lambda each: each.name)
def test_the_process_still_ends(defect: Defect, oneflow_python: Path, run_python: Any) -> None:
    with pytest.raises(AssertionError, match=r"ended with -\d"):
        run_python(oneflow_python, SCRIPT + defect.probe)
        pytest.fail(_mended(defect), pytrace=False)
