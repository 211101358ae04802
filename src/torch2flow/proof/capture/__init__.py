"""From a live PyTorch model to a `.pt2` and a recording of what it computes: the room that uses PyTorch."""

from torch2flow.proof.capture.capture_job import Captured
from torch2flow.proof.capture.live import capture

__all__ = ["Captured", "capture"]
