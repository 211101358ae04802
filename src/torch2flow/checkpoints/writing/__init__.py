"""Everything that writing any output has in common: the plan, the bytes, the staging, the manifest.

`plan.py` brings together what a user asked for (`options.py`, `naming.py`) and what a target can hold
(`settling.py`, `changes.py`); `copying.py`, `placing.py` and `sharing.py` move the bytes; `staging.py` makes
the output appear whole or not at all; `manifest.py` says what was done.
"""

from torch2flow.checkpoints.writing.options import Options, Target
from torch2flow.checkpoints.writing.plan import Entry, Plan, make_plan

__all__ = ["Entry", "Options", "Plan", "Target", "make_plan"]
