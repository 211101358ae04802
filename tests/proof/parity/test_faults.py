"""The judge is judged: faults that are put into converted models are caught, and named where they are.

Six small architectures; `make faults` runs all faults there are, in larger models too.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from made_once import CAPTURING, made_once
from sampling import sample

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from scripts.fault_cases import FAULTS
from scripts.fault_cases_unseen import UNSEEN
from scripts.fault_kinds import Fault, Source
from scripts.faults import (
    GOALS,
    Outcome,
    capture,
    captured,
    edited,
    failed,
    file_of,
    judge_faithful,
    judge_fault,
    percent,
    rates,
    reference_of,
)
from scripts.mutant_judging import judge_mutants
from scripts.mutants import mutants, of_source
from torch2flow.conversion import convert

ROOT = Path(__file__).resolve().parents[3]
SMALL = ("transformers/bert", "transformers/gpt2", "transformers/llama", "transformers/t5", "timm/convnext",
         "torchvision/squeezenet1_1")  # fmt: skip
OF_SMALL = [fault for fault in FAULTS if fault.model in SMALL]
CHOSEN = sample(OF_SMALL, OF_SMALL[1::6])
"""One of six: below are faults that are made by a seed, and `make faults` takes those of all models."""


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
                    model = given["model"]
                    out, recording = file_of(folder, model).with_suffix(""), reference_of(folder, model)
                    running[item.name] = pool.submit(judge_faithful, model, out, recording)
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
    assert len(CHOSEN) >= 10 and len({fault.model for fault in CHOSEN}) >= 5
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


def outcomes_of(caught: int, missed: int = 0, located: bool = True, named: bool = True) -> list[Outcome]:
    good = Outcome("a/b", "fault", "kind", "caught", located, named, "layer")
    return [good] * caught + [Outcome("a/b", "fault", "kind", "missed")] * missed


def test_goals_decide_and_one_false_alarm_is_a_failure() -> None:
    faithful = Outcome("a/b", "", outcome="missed")
    assert not failed([*outcomes_of(100), faithful])
    assert not failed([*outcomes_of(98, missed=2), faithful])
    assert failed([*outcomes_of(90, missed=10), faithful])
    assert failed([*outcomes_of(100, located=False), faithful])
    assert failed([*outcomes_of(100, named=False), faithful])
    assert failed([*outcomes_of(100), Outcome("a/b", "", outcome="caught", path="layer")])
    assert rates([*outcomes_of(1), faithful])[0].startswith("1 faults in 1 models: 1 caught (100.0 %), 1 located")
    assert rates([*outcomes_of(1), faithful])[-1] == "1 faithful conversions: 0 false alarms"


def test_what_is_no_fault_or_unreached_is_not_counted_as_caught() -> None:
    others = [Outcome("a", "x", "kind", "equivalent"), Outcome("a", "y", "kind", "unreached", told=True)]
    assert percent([*outcomes_of(3), *others], "caught") == 100
    assert any("1 more that no run reaches: 1 in lines" in line for line in rates([*outcomes_of(3), *others]))


# -- faults that are made by a seed --------------------------------------------------------------------------

SMALL_MODELS = ("VaeMean", "Recommender", "ResNet", "Features")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, torch_python: Path) -> Path:
    """Small models, captured once and converted."""

    def make(folder: Path) -> None:
        command = [str(torch_python), "-m", "scripts.small_models", str(folder), *SMALL_MODELS]
        subprocess.run(command, cwd=ROOT, check=True, env={"OMP_NUM_THREADS": "1"})

    depends = [*CAPTURING, ROOT / "scripts" / "small_models.py", ROOT / "scripts" / "models"]
    folder = made_once("small-models", depends, make, tmp_path_factory.mktemp("small"))
    for name in SMALL_MODELS:
        convert(folder / f"{name}.pt2", folder / name)
    return folder


@pytest.mark.oneflow
@pytest.mark.parametrize("model", SMALL_MODELS)
def test_faults_that_are_made_by_a_seed_are_caught_located_and_explained(model: str, small: Path) -> None:
    reference = small / f"{model}.reference.safetensors"
    rows = list(judge_mutants(small / model, reference, mutants(small / model, 5, seed=3)))
    assert len(rows) == 5
    assert not [row for row in rows if row["outcome"] == "missed"], rows
    found = [row for row in rows if row["outcome"] == "caught"]
    assert sum(row["located"] for row in found) >= len(found) - 1, found
    assert sum(row["named"] for row in found) >= len(found) - 1, found
    assert set(GOALS) == {"caught", "located", "named"}


MADE_OF = """\
import oneflow.nn as nn
import oneflow.nn.functional as F


class One(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(p=0.1)

    def forward(self, x):
        y = F.relu(self.norm(x))
        return x + self.drop(y) * 0.5
"""


def test_faults_of_every_kind_are_made_and_keep_the_lines() -> None:
    made = of_source(MADE_OF)
    kinds = {each.kind for each in made}
    assert {"eps", "momentum", "activation", "dropout rate", "residual", "constant", "detach", "bfloat16"} <= kinds
    assert len({each.source for each in made}) == len(made)
    for each in made:
        line = each.source.splitlines()[each.line - 1]
        assert line != MADE_OF.splitlines()[each.line - 1], each.name


def test_the_same_seed_makes_the_same_faults(small: Path) -> None:
    one, other, third = (mutants(small / "VaeMean", 8, seed) for seed in (1, 1, 2))
    assert [each.name for each in one] == [each.name for each in other] != [each.name for each in third]
