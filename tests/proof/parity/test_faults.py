"""The judge is judged: faults that are put into converted models are caught, and named where they are.

Six small architectures; `make faults` runs all faults there are, in larger models too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from made_once import CAPTURING, made_once

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from scripts.fault_cases import FAULTS
from scripts.fault_cases_unseen import UNSEEN
from scripts.fault_kinds import Fault, Source
from scripts.faults import Outcome, capture, captured, edited, failed, judge_faithful, judge_fault, rates

ROOT = Path(__file__).resolve().parents[3]
SMALL = ("transformers/bert", "transformers/gpt2", "transformers/llama", "transformers/t5", "timm/convnext",
         "torchvision/squeezenet1_1")  # fmt: skip
CHOSEN = [fault for number, fault in enumerate(fault for fault in FAULTS if fault.model in SMALL) if number % 3]
"""Two of three, for the time it takes."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The captured and converted models: with gradients, which `tests/models` has of some of them only."""
    depends = [*CAPTURING, ROOT / "scripts" / "models"]
    made = made_once("faults", depends, partial(capture, SMALL), tmp_path_factory.mktemp("faults"))
    captured(SMALL, made)
    return made


@pytest.fixture(scope="module")
def outcomes(folder: Path, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Outcome]]]:
    """What the judge says in each test that was asked for, two at a time, under the name of the test."""
    with ThreadPoolExecutor(2) as pool:
        running = {}
        for item in request.session.items:
            if isinstance(item, pytest.Function) and item.path == Path(__file__) and hasattr(item, "callspec"):
                given = item.callspec.params
                if "fault" in given:
                    running[item.name] = pool.submit(judge_fault, given["fault"], folder)
                elif "model" in given:
                    running[item.name] = pool.submit(judge_faithful, given["model"], folder)
        yield running
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def outcome(outcomes: dict[str, Future[Outcome]], request: pytest.FixtureRequest) -> Outcome:
    return outcomes[request.node.name].result()


@pytest.mark.oneflow
@pytest.mark.parametrize("model", SMALL)
def test_a_faithful_model_raises_no_alarm(model: str, outcome: Outcome) -> None:
    assert not outcome.caught, outcome.sentence


@pytest.mark.oneflow
@pytest.mark.parametrize("fault", CHOSEN, ids=lambda fault: f"{fault.model.partition('/')[2]}: {fault.name}")
def test_a_fault_is_caught_and_located(fault: Fault, outcome: Outcome) -> None:
    assert outcome.caught, outcome.sentence
    assert outcome.path in fault.where, outcome.sentence


def test_there_are_enough_faults() -> None:
    assert len(CHOSEN) >= 30 and len({fault.model for fault in CHOSEN}) >= 5
    assert len(FAULTS) >= 40 and len({fault.model for fault in FAULTS}) >= 6
    everything = (*FAULTS, *UNSEEN)
    assert len({(fault.model, fault.name) for fault in everything}) == len(everything)
    assert not {fault.model for fault in FAULTS} & {fault.model for fault in UNSEEN}


def test_more_than_one_place_has_a_reason() -> None:
    assert all(fault.where and (len(fault.where) == 1 or fault.reason) for fault in (*FAULTS, *UNSEEN))


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
    assert rates([good, faithful])[0].startswith("1 faults in 1 architectures: 1 caught, 1 located")
    assert rates([good, faithful])[-1] == "1 faithful conversions: 0 false alarms"


def test_what_is_beyond_the_judge_is_counted_and_no_failure() -> None:
    beyond = Outcome("a/b", "fault", True, False, False, "other", "", (), 0.0, beyond="it shows elsewhere")
    assert not failed([beyond])
    assert " 0 located" in rates([beyond])[0]
