"""From any checkpoint straight into live OneFlow tensors: `live.py` is the way, `matching.py` finds what belongs
where and refuses what does not fit, `filling.py` moves the values. Global tensors: `building.py` builds a model without
memory, `globalizing.py` makes it global by a plan, `sharding.py` fills each rank's part."""

from torch2flow.runtime.loading.building import without_values
from torch2flow.runtime.loading.globalizing import input_placement, to_global
from torch2flow.runtime.loading.live import LoadReport, load, load_state_dict

__all__ = ["LoadReport", "input_placement", "load", "load_state_dict", "to_global", "without_values"]
