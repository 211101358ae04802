"""From any checkpoint straight into live OneFlow tensors, local or global.

`live.py` has `load` and `load_state_dict`; `matching.py` finds which tensor of the file belongs to which tensor of the
model and refuses what does not fit; `filling.py` moves the values. For global models, `model_without_values.py` builds
a model that takes no memory, `globalizing.py` makes it global by a sharding plan, and `rank_blocks.py` fills the part
of each rank.
"""

from torch2flow.runtime.loading.globalizing import input_placement, to_global
from torch2flow.runtime.loading.live import LoadReport, load, load_state_dict
from torch2flow.runtime.loading.model_without_values import without_values

__all__ = ["LoadReport", "input_placement", "load", "load_state_dict", "to_global", "without_values"]
