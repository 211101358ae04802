"""What PyTorch 1.13 does not have yet, against today's: the original runs there, and what it was ported to here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.mark.oneflow
def test_mapped_rows_and_parametrized_weights_are_pytorchs(
    port: Any, run_python: Callable[..., str], torch_python: Path, oneflow_python: Path
) -> None:
    source = Path(__file__).parent / "originals" / "rows_and_weight_norms.py"
    out, found = port(source, "ported/nets.py")
    assert not found.tally.uses["cannot"]
    expected, *names = json.loads(run_python(torch_python, source.read_text("utf-8")))
    given, *own_names = json.loads(
        run_python(oneflow_python, out.read_text("utf-8"), env={"PYTHONPATH": str(out.parent)})
    )
    assert own_names == names and len(given) == len(expected)
    for one, other in zip(given, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
