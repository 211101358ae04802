"""What every writer of checkpoints shares.

`conversion_plan.py` settles every name, dtype and change before a byte is written, by the rules in `dtype_policy.py`
and `value_changes.py`. `entry_bytes.py` and `kernel_copy.py` move the bytes, `second_process.py` shares that work with
another process, `staging.py` makes the output appear whole, and `manifest.py` records what was done.
"""

from torch2flow.checkpoints.writing.conversion_plan import ConversionPlan, Entry, make_plan
from torch2flow.checkpoints.writing.options import Options, Target

__all__ = ["ConversionPlan", "Entry", "Options", "Target", "make_plan"]
