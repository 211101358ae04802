"""Models that exist on both sides: torchvision's and timm's, and their twins in flowvision.

torch2flow.zoo.load("alexnet", weights="DEFAULT")
"""

from torch2flow.zoo.catalogue import find_twin, twins
from torch2flow.zoo.converting import convert, convert_back, load
from torch2flow.zoo.twins import Repair, Twin

__all__ = ["Repair", "Twin", "convert", "convert_back", "find_twin", "load", "twins"]
