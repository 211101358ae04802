"""Compares what OneFlow computes with what PyTorch recorded, and judges by measured float32 noise."""

from torch2flow.parity.judge import LIMIT, Measure, measure, together
from torch2flow.parity.reference import Reference, open_reference

__all__ = ["LIMIT", "Measure", "Reference", "measure", "open_reference", "together"]
