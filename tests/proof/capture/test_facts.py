"""A captured file says what the author's modules hold and take."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import torch2flow
from torch2flow.checkpoints.opening import open_container
from torch2flow.models.codegen.package import open_program
from torch2flow.models.program import Graph

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _exports(torch: Any) -> None:
    """torch.export is there from 2.1 on; the PyTorch that shares a process with OneFlow is 1.13."""
    if not hasattr(torch, "export"):
        pytest.skip("this PyTorch has no torch.export: these tests run where today's is")


@pytest.fixture(scope="module")
def nets(torch: Any) -> Any:
    from torch2flow.proof.capture.factories import _import

    return _import(str(HERE / "border_nets.py"), "border_nets")


def read(path: Path) -> Graph:
    program = open_program(open_container(path))
    assert program is not None
    return program.graph


def capture(module: Any, args: tuple[Any, ...], tmp_path: Path, **options: Any) -> Graph:
    torch2flow.capture(module, args, out=tmp_path / "net.pt2", reference="none", **options)
    return read(tmp_path / "net.pt2")


def test_plain_attributes_are_recorded_in_their_order(torch: Any, nets: Any, tmp_path: Path) -> None:
    graph = capture(nets.Configured(4), (torch.ones(2, 4),), tmp_path)
    assert list(graph.attributes[""].items()) == [
        ("width", 4), ("window_size", [7, 7]), ("stride", ((1, 2), None)), ("scale", math.inf), ("mode", "row"),
    ]  # fmt: skip
    assert graph.attributes["layer"] == {"in_features": 4, "out_features": 4}


def test_signatures_are_those_of_the_authors_classes_alone(torch: Any, nets: Any, tmp_path: Path) -> None:
    graph = capture(nets.Configured(4), (torch.ones(2, 4),), tmp_path)
    assert list(graph.signatures) == ["border_nets.Configured"]
    signature = graph.signatures["border_nets.Configured"]
    assert signature.forward == ("x", "mask")
    assert signature.constructor == ("width", "window", "layer")


def test_an_attribute_that_raises_ends_nothing(torch: Any, nets: Any, tmp_path: Path) -> None:
    assert capture(nets.Hostile(), (torch.ones(2),), tmp_path).attributes == {"": {"first": 1}}


def test_pytorch_loads_the_file_as_before(torch: Any, nets: Any, tmp_path: Path) -> None:
    x = torch.ones(2, 4)
    module = nets.Configured(4).eval()
    capture(module, (x,), tmp_path)
    assert torch.equal(torch.export.load(tmp_path / "net.pt2").module()(x), module(x))
