"""The operator rules compute what PyTorch does, on samples from PyTorch's own operator database.

This tries a few samples of each operator; `scripts/operators.py` tries many, and writes docs/operators.md.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from common_operators import COMMON_OPERATORS
from exceptions import EXEMPT, why_exempt
from operator_samples import Outcome, Sample, samples, try_all

from torch2flow.models.lowering import operators  # noqa: F401 - registers the rules
from torch2flow.models.lowering.registry import RULES
from torch2flow.models.lowering.renames import FLOAT_RENAMES, RENAMES
from torch2flow.models.lowering.unsupported import UNSUPPORTED

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def recording(torch_python: Path, run_python: Any, pytestconfig: pytest.Config) -> Path:
    """A sample of each common operator in three dtypes; recorded once for each state of the recorder."""
    sources = [HERE / "record.py", HERE / "extra_samples.py", HERE / "complex_samples.py", HERE / "common_operators.py",
               HERE / "edge_samples.py"]  # fmt: skip
    state = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    path = Path(pytestconfig.cache.mkdir("operators")) / f"{state[:16]}.zip"
    if not path.exists():
        part = path.with_suffix(".part")
        script = f"import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path({str(sources[0])!r}, run_name='__main__')"
        run_python(torch_python, script, sources[0], part, "--samples", 1, "--dtypes", "float32,int64,complex64",
               "--operators", ",".join(COMMON_OPERATORS))  # fmt: skip
        part.rename(path)
    return path


@pytest.fixture(scope="session")
def tried(recording: Path, oneflow_python: Path) -> list[tuple[Sample, Outcome]]:
    outcomes = try_all(oneflow_python, recording)
    return [(sample, outcomes[sample.number]) for sample in samples(recording)]


@pytest.mark.oneflow
def test_rules_agree_with_pytorch(tried: list[tuple[Sample, Outcome]]) -> None:
    wrong = [
        f"{sample}: {outcome.kind}: {outcome.detail}"
        for sample, outcome in tried
        if outcome.kind != "same" and not why_exempt(sample, outcome)
    ]
    assert not wrong, "\n".join(wrong)
    real = [outcome.kind for sample, outcome in tried if sample.dtype != "complex64"]
    assert real.count("same") > 0.9 * len(real)
    assert [outcome.kind for sample, outcome in tried if sample.dtype == "complex64"].count("same") > 80


def test_no_operator_has_both_a_rule_and_a_reason_for_none() -> None:
    assert not set(UNSUPPORTED) & {*RULES, *RENAMES, *FLOAT_RENAMES}


def test_every_exemption_says_why() -> None:
    assert all(row.why for row in EXEMPT)
