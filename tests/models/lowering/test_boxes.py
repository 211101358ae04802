"""torchvision's own operators, against torchvision in one process: values and gradients."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from torch2flow.models.lowering.operators import boxes


@pytest.fixture
def ops(torch: Any) -> Any:
    try:
        from torchvision import ops

        ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, RuntimeError, NotImplementedError, AttributeError):
        pytest.skip("this torchvision has no operators of its own: these tests run where it has")
    return ops


def leaves(torch: Any, flow: ModuleType, *tensors: Any) -> tuple[list[Any], list[Any]]:
    """The same leaves that get gradients, on both sides."""
    mine = [tensor.clone().requires_grad_() for tensor in tensors]
    return mine, [flow.tensor(tensor.numpy(), requires_grad=True) for tensor in tensors]


def agree(made: Any, found: Any, theirs: list[Any], ours: list[Any]) -> None:
    """Holds values and gradients to PyTorch's."""
    assert np.allclose(made.detach().numpy(), found.detach().numpy(), atol=1e-5)
    (made**2).sum().backward()
    (found**2).sum().backward()
    for one, other in zip(theirs, ours, strict=True):
        assert np.allclose(one.grad.numpy(), other.grad.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
def test_nms_keeps_the_same_boxes(threshold: float, ops: Any, torch: Any, flow: ModuleType) -> None:
    torch.manual_seed(0)
    low = torch.rand(40, 2) * 20
    found, scores = torch.cat([low, low + torch.rand(40, 2) * 12], 1), torch.rand(40)
    kept = boxes.non_maximum_suppression(flow.tensor(found.numpy()), flow.tensor(scores.numpy()), threshold)
    assert kept.numpy().tolist() == ops.nms(found, scores, threshold).tolist()
    assert boxes.non_maximum_suppression(flow.zeros(0, 4), flow.zeros(0), threshold).shape == (0,)


@pytest.mark.parametrize(("ratio", "aligned"), [(2, True), (3, False), (-1, True), (-1, False)])
def test_roi_align(ratio: int, aligned: bool, ops: Any, torch: Any, flow: ModuleType) -> None:
    torch.manual_seed(1)
    rois = torch.tensor([[0, 1.0, 1.0, 9.0, 7.0], [1, -4.0, 2.0, 20.0, 30.0], [1, 3.0, 3.0, 3.2, 3.1]])
    theirs, ours = leaves(torch, flow, torch.randn(2, 3, 10, 12))
    made = ops.roi_align(theirs[0], rois, (2, 3), 0.5, ratio, aligned)
    found = boxes.roi_align(ours[0], flow.tensor(rois.numpy()), 0.5, 2, 3, ratio, aligned)
    agree(made, found, theirs, ours)


@pytest.mark.parametrize("name", ["roi_pool", "ps_roi_pool", "ps_roi_align"])
@pytest.mark.parametrize("scale", [0.5, 1.0, 0.37])
def test_other_kinds_of_pooling(name: str, scale: float, ops: Any, torch: Any, flow: ModuleType) -> None:
    torch.manual_seed(3)
    corners = torch.randint(-60, 300, (12, 2)) / 10
    rois = torch.cat([torch.randint(0, 2, (12, 1)), corners, corners + torch.randint(-20, 150, (12, 2)) / 10], 1)
    theirs, ours = leaves(torch, flow, torch.randn(2, 12, 10, 12))
    ratio = (2,) if name == "ps_roi_align" else ()
    made = getattr(ops, name)(theirs[0], rois, (2, 3), scale, *ratio)
    rule = getattr(boxes, name.replace("ps_", "position_sensitive_"))
    found, _ = rule(ours[0], flow.tensor(rois.numpy()), scale, 2, 3, *ratio)
    agree(made, found, theirs, ours)
    assert rule(ours[0], flow.zeros(0, 5), scale, 2, 3, *ratio)[0].shape == tuple(made[:0].shape)


@pytest.mark.parametrize("masked", [True, False])
def test_deform_conv2d(masked: bool, ops: Any, torch: Any, flow: ModuleType) -> None:
    torch.manual_seed(2)
    tensors = (torch.randn(2, 4, 7, 8), torch.randn(6, 2, 3, 2), torch.randn(2, 24, 4, 5) * 2, torch.randn(6))
    theirs, ours = leaves(torch, flow, *tensors)
    mask = torch.rand(2, 12, 4, 5)
    x, weight, offset, bias = theirs
    made = ops.deform_conv2d(x, offset, weight, bias, (2, 2), (1, 1), (1, 1), mask if masked else None)
    x, weight, offset, bias = ours
    given = flow.tensor(mask.numpy())
    found = boxes.deform_conv2d(x, weight, offset, given, bias, 2, 2, 1, 1, 1, 1, 2, 2, masked)
    agree(made, found, theirs, ours)
