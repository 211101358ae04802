"""The judge is judged: faults that are put into converted models are caught, and named where they are.

Six small architectures; `make faults` runs all of `scripts/fault_cases.py`, larger models too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
from scripts.fault_cases import FAULTS, Fault, Source
from scripts.faults import Outcome, captured, edited, failed, judge_faithful, judge_fault, rates

SMALL = ("transformers/bert", "transformers/gpt2", "transformers/llama", "transformers/t5", "timm/convnext",
         "torchvision/squeezenet1_1")  # fmt: skip
CHOSEN = [fault for fault in FAULTS if fault.model in SMALL]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The captured and converted models: with gradients, which `tests/models` has of some of them only."""
    made = tmp_path_factory.mktemp("faults")
    captured(SMALL, made)
    return made


@pytest.mark.oneflow
@pytest.mark.parametrize("model", SMALL)
def test_a_faithful_model_raises_no_alarm(model: str, folder: Path) -> None:
    outcome = judge_faithful(model, folder)
    assert not outcome.caught, outcome.sentence


@pytest.mark.oneflow
@pytest.mark.parametrize("fault", CHOSEN, ids=lambda fault: f"{fault.model.partition('/')[2]}: {fault.name}")
def test_a_fault_is_caught_and_located(fault: Fault, folder: Path) -> None:
    outcome = judge_fault(fault, folder)
    assert outcome.caught, outcome.sentence
    assert outcome.path in fault.where, outcome.sentence


def test_there_are_enough_faults() -> None:
    assert len(CHOSEN) >= 30 and len({fault.model for fault in CHOSEN}) >= 5
    assert len(FAULTS) >= 40 and len({fault.model for fault in FAULTS}) >= 6
    assert len({(fault.model, fault.name) for fault in FAULTS}) == len(FAULTS)


def test_more_than_one_place_has_a_reason() -> None:
    assert all(fault.where and (len(fault.where) == 1 or fault.reason) for fault in FAULTS)


SOURCE = """\
class One(nn.Module):
    def forward(self, x):
        return x + 1


class Two(nn.Module):
    def forward(self, x):
        return x + 1
"""


def test_a_fault_is_put_into_one_class() -> None:
    changed = edited(SOURCE, Source("Two", "x + 1", "x + 2"))
    assert changed == SOURCE[: SOURCE.rindex("1")] + "2\n"


@pytest.mark.parametrize("change", [Source("Three", "x", "y"), Source("One", "x - 1", "y"), Source("", "x + 1", "y")])
def test_what_is_not_there_once_is_an_error(change: Source) -> None:
    with pytest.raises(ValueError, match="there is no class|has [02] times"):
        edited(SOURCE, change)


def test_one_miss_and_one_false_alarm_are_failures() -> None:
    good = Outcome("a/b", "fault", True, True, False, "layer", "", (), 0.0)
    faithful = Outcome("a/b", "", False, False, False, "", "", (), 0.0)
    assert not failed([good, faithful])
    assert failed([good, Outcome("a/b", "fault", True, False, False, "other", "", (), 0.0)])
    assert failed([good, Outcome("a/b", "", True, False, False, "layer", "", (), 0.0)])
    assert rates([good, faithful])[0] == "1 of 1 faults in 1 architectures caught"
