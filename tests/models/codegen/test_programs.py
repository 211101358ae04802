"""What the source of a case does not show: ties, notes, frozen parameters, dtypes, what train mode does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest

from torch2flow.conversion import Result, convert
from torch2flow.proof.parity.compared_models import load_package

pytestmark = pytest.mark.oneflow  # capturing takes a while: once is enough


def notes_of(result: Result) -> tuple[str, ...]:
    assert result.model_source is not None
    return tuple(result.model_source.notes)


def test_one_module_in_several_places_stays_tied(converted: Callable[[str], Result], flow: ModuleType) -> None:
    model = load_package(converted("shared").out).load_model()
    assert model.second.weight is model.first.weight
    assert model.layers[2].fc.bias is model.layers[0].fc.bias


def test_tied_weights_are_one_parameter(converted: Callable[[str], Result], flow: ModuleType) -> None:
    model = load_package(converted("tied").out).load_model()
    assert model.head.weight is model.embed.weight
    assert len(list(model.parameters())) == 1


def test_a_module_without_a_trace_is_told_where_nothing_else_tells_of_it(
    cases: Path, converted: Callable[[str], Result], tmp_path: Path
) -> None:
    """A capture has compared the modes; without what it noted, nobody knows what the module does in train mode."""
    assert not any("did nothing" in note for note in notes_of(converted("part_of_a_sequence")))
    plain = tmp_path / "plain.pt2"
    with ZipFile(cases / "part_of_a_sequence.pt2") as archive, ZipFile(plain, "w") as copy:
        for name in archive.namelist():
            if not name.endswith("torch2flow.json"):
                copy.writestr(name, archive.read(name))
    notes = " ".join(notes_of(convert(plain, tmp_path / "out")))
    assert "1 module did nothing in the capture and is nn.Identity() now: features.3" in notes


def test_frozen_parameters_stay_frozen(converted: Callable[[str], Result], flow: ModuleType) -> None:
    model = load_package(converted("frozen").out).load_model()
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"scale", "stem.weight", "stem.bias"}


def test_a_float64_model_is_made_in_float64(converted: Callable[[str], Result], flow: ModuleType) -> None:
    model = load_package(converted("double").out).load_model()
    assert {tensor.dtype for tensor in [*model.parameters(), *model.buffers()]} == {flow.float64}


def test_a_program_of_fixed_sizes_says_so(converted: Callable[[str], Result]) -> None:
    assert "captured with fixed sizes (x float32[2, 3, 8, 8])" in notes_of(converted("fixed_sizes"))[0]


def test_dropout_acts_in_train_mode_alone(converted: Callable[[str], Result], flow: ModuleType) -> None:
    model = load_package(converted("acts_by_mode").out).load_model()
    x = flow.ones(4, 6)
    assert (model(x)[1].numpy() == 1).all() and (model(x)[3].numpy() == 1).all()
    trained = model.train()(x)
    assert (trained[1].numpy() != 1).any() and (trained[3].numpy() != 1).any()


def test_batch_norm_takes_the_batchs_statistics_in_train_mode(
    converted: Callable[[str], Result], flow: ModuleType
) -> None:
    model = load_package(converted("acts_by_mode").out).load_model()
    x = flow.arange(24, dtype=flow.float32).reshape(4, 6)
    assert abs(model.train()(x)[0].numpy().mean()) < 1e-5
    assert model.eval()(x)[0].numpy().mean() > 1


def test_dropout_that_was_switched_off_for_good_stays_off(converted: Callable[[str], Result], flow: ModuleType) -> None:
    model = load_package(converted("acts_by_mode").out).load_model().train()
    assert (model(flow.ones(4, 6))[2].numpy() == 1).all()


def test_a_write_into_an_input_is_told(converted: Callable[[str], Result]) -> None:
    notes = notes_of(converted("writes_into_its_input"))
    assert any(note.startswith("PyTorch's forward writes into x, ") for note in notes)
    assert not any("writes into" in note for note in notes_of(converted("writes_through_views")))


def test_a_constant_argument_that_was_captured_is_told(converted: Callable[[str], Result]) -> None:
    notes = notes_of(converted("takes_constants"))
    assert any(note.startswith("captured with mode='sum', power=3: ") for note in notes)
