"""Everything that writing any output has in common: the plan, the bytes, the staging, the manifest.

`plan.py` brings together what a user asked for (`options.py`, `naming.py`) and what a target can hold
(`settling.py`, `changes.py`); `copying.py`, `placing.py` and `sharing.py` move the bytes; `staging.py` makes
the output appear whole or not at all; `manifest.py` says what was done.
"""

from torch2flow.checkpoints.writing.conversion_plan import ConversionPlan, Entry, make_plan
from torch2flow.checkpoints.writing.options import Options, Target

__all__ = ["ConversionPlan", "Entry", "Options", "Target", "make_plan"]
