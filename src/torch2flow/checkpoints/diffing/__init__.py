"""Comparing two checkpoints of whatever formats: `torch2flow.diff`, and what it found."""

from torch2flow.checkpoints.diffing.checkpoints import diff
from torch2flow.checkpoints.diffing.differences import STATUSES, Diff, ElementDifferences, TensorDifference

__all__ = ["STATUSES", "Diff", "ElementDifferences", "TensorDifference", "diff"]
