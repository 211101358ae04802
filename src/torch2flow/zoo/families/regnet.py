"""RegNets. The names are equal; flowvision builds the stem without padding, which `model.py` repairs."""

from torch2flow.zoo.twins import Repair, Twin

PADDED = Repair("model.stem[0].padding = (1, 1)", "flowvision 0.2.1 has no padding here, torchvision has")

NAMES = """
regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf regnet_y_400mf
regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf regnet_y_32gf regnet_y_128gf
"""

TWINS = tuple(Twin(name, name, repairs=(PADDED,), head="fc.weight") for name in NAMES.split())
