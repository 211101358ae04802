"""Compares what OneFlow computes with what PyTorch recorded, and judges by measured float32 noise."""

from torch2flow.proof.parity.comparison_run import Request
from torch2flow.proof.parity.judge import LIMIT, Measure, measure, together
from torch2flow.proof.parity.reference import Reference, open_reference
from torch2flow.proof.parity.verification import Verification, verify_folder

__all__ = [
    "LIMIT",
    "Measure",
    "Reference",
    "Request",
    "Verification",
    "measure",
    "open_reference",
    "together",
    "verify_folder",
]
