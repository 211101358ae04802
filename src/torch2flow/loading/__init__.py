"""From any checkpoint straight into live OneFlow tensors: `live.py` is the way, `matching.py` finds what belongs
where and refuses what does not fit, `filling.py` moves the values."""

from torch2flow.loading.live import LoadReport, load, load_state_dict

__all__ = ["LoadReport", "load", "load_state_dict"]
