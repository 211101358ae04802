"""torchvision's own weights: its enumeration, its cache, its preprocessing; the files are served from this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torch2flow import zoo
from torch2flow.checkpoints.diffing import diff
from torch2flow.errors import FormatError, UnsupportedError, UsageError
from torch2flow.proof.parity.compared_models import load_package
from torch2flow.zoo.comparing import compare
from torch2flow.zoo.package import preprocessing_steps
from torch2flow.zoo.predicting import flow_transforms, predict
from torch2flow.zoo.weights import describe_transforms

Recorded = Callable[[str], Path]
NAME = "squeezenet1_1"


@pytest.fixture
def torchvision(torch: Any) -> Any:
    """The torchvision that shares an interpreter with OneFlow."""
    if torch.__version__ >= "2":
        pytest.skip("these tests run where OneFlow is")
    return pytest.importorskip("torchvision")


@pytest.fixture
def served(torchvision: Any, recorded: Recorded, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Weights of squeezenet1_1 on a server, under the name that their hash gives, and an empty cache."""
    server.data = (recorded(NAME) / "weights.pth").read_bytes()
    file = f"{NAME}-{hashlib.sha256(server.data).hexdigest()[:8]}.pth"
    monkeypatch.setattr(torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.value, "url", server.url(file))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return server


def cached(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "home" / "hub" / "checkpoints").iterdir()
    return file


@pytest.mark.parametrize("weights", ["DEFAULT", "IMAGENET1K_V1"])
def test_named_weights_are_fetched_once(
    weights: str, served: Any, recorded: Recorded, tmp_path: Path, flow: Any
) -> None:
    zoo.convert(NAME, tmp_path / "out", weights)
    assert cached(tmp_path).read_bytes() == served.data
    served.shutdown()
    zoo.convert(NAME, tmp_path / "again", weights)
    assert len(served.asked) == 1 and not diff(tmp_path / "out", tmp_path / "again").differs
    about = json.loads((tmp_path / "out" / "manifest.json").read_text())["zoo"]
    assert about["weights"] == "IMAGENET1K_V1" and about["meta"]["num_params"] > 1e6
    assert about["categories"][0] == "tench" and len(about["categories"]) == 1000
    assert about["preprocessing"]["crop_size"] == [224]
    assert load_package(tmp_path / "out").CATEGORIES[0] == "tench"


def test_a_wrong_file_of_the_right_name(served: Any, tmp_path: Path) -> None:
    served.data = b"x" * 1000
    with pytest.raises(FormatError, match="not the one that its name says"):
        zoo.convert(NAME, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list((tmp_path / "home" / "hub" / "checkpoints").iterdir())


def test_weights_that_a_model_has_not(torchvision: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="IMAGENET1K_V1, DEFAULT"):
        zoo.convert(NAME, tmp_path / "out", "IMAGENET1K_V9")


# -- pictures ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A wide one, a high one and one with transparency, with edges and gradients."""
    pillow = pytest.importorskip("PIL.Image")
    folder, rng, found = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0), []
    for name, (height, width), mode in (("wide.png", (300, 700), "RGB"), ("high.jpg", (640, 360), "RGB"),
                                        ("clear.png", (280, 280), "RGBA")):  # fmt: skip
        coarse = rng.integers(0, 256, (9, 12, len(mode)), dtype=np.uint8)
        pillow.fromarray(coarse, mode).resize((width, height), pillow.BICUBIC).save(folder / name)
        found.append(folder / name)
    return found


def test_preprocessing_is_the_same_for_all_weights(torchvision: Any, flow: Any, pictures: list[Path]) -> None:
    """Every distinct preset of torchvision's weights, on every picture: not one pixel differs by more than rounding."""
    pillow, seen = pytest.importorskip("PIL.Image"), {}
    for name in torchvision.models.list_models():
        for weights in torchvision.models.get_model_weights(name):
            transforms = weights.transforms()
            settings = describe_transforms(transforms)
            if preprocessing_steps(settings):
                seen[json.dumps(settings)] = (transforms, settings)
    assert len(seen) > 20
    for transforms, settings in seen.values():
        for path in pictures:
            picture = pillow.open(path).convert("RGB")
            ours, theirs = flow_transforms(settings)(picture).numpy(), transforms(picture).numpy()
            assert ours.shape == theirs.shape, settings
            scale = 1 / min(settings.get("std", [1.0]))
            assert np.abs(ours - theirs).max() <= 2.0**-23 * scale, settings


def test_both_sides_see_the_same(served: Any, flow: Any, pictures: list[Path], run_cli: Any, tmp_path: Path) -> None:
    found = predict(NAME, pictures)
    assert all(each.agree for each in found) and len(found) == 3
    top = found[0].top()
    assert len(top) == 5 and all(isinstance(label, str) and label == other for label, _, other, _ in top)
    assert max(float(np.abs(each.torch - each.flow).max()) for each in found) < 1e-5
    code, printed, _ = run_cli("zoo", "predict", NAME, *pictures, "--weights", cached(tmp_path), "--json")
    rows = json.loads(printed)
    assert (
        code == 0 and [row["agree"] for row in rows] == [True] * 3 and rows[0]["top"][0]["torch"].startswith("class ")
    )
    code, printed, _ = run_cli("zoo", "predict", NAME, *pictures, "--weights", cached(tmp_path))
    assert code == 0 and printed.count("both agree") == 3


def test_what_is_no_picture(served: Any, flow: Any, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(FormatError, match="no picture"):
        predict(NAME, [tmp_path / "no.png"])


def test_only_classifiers_can_be_shown(torchvision: Any, flow: Any, recorded: Recorded, pictures: list[Path]) -> None:
    with pytest.raises(UnsupportedError, match="no classifier"):
        predict("lraspp_mobilenet_v3_large", pictures, recorded("lraspp_mobilenet_v3_large") / "weights.pth")


# -- flowvision's own weights -------------------------------------------------------------------------------------


def test_flowvisions_cache_against_torchvisions(
    served: Any, flow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Any
) -> None:
    monkeypatch.setenv("FLOWVISION_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match=r"not in its cache(.|\n)*squeezenet1_1(.|\n)*pretrained=True"):
        compare(NAME)
    import flowvision.models

    model = flowvision.models.squeezenet1_1()
    zoo_model = zoo.load(NAME)
    flow.save(zoo_model.state_dict(), str(tmp_path / "cache" / "squeezenet1_1"))
    assert not compare(NAME).differs
    flow.save(model.state_dict(), str(tmp_path / "other"))
    found = compare(NAME, flowvision=tmp_path / "other")
    assert found.differs and len(found.group("values differ")) >= 26
    code, printed, _ = run_cli(
        "zoo", "compare", NAME, "--weights", cached(tmp_path), "--flowvision", tmp_path / "other"
    )
    assert code == 1 and "classifier.1.weight" in printed
