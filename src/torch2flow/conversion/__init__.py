"""Conversion: from any checkpoint, with the model in it, to any format; what joins checkpoints and models."""

from torch2flow.conversion.any_checkpoint import convert
from torch2flow.conversion.delivery import Delivery, Result, deliver
from torch2flow.conversion.formats import FORMATS, SUFFIXES, target_of

__all__ = ["FORMATS", "SUFFIXES", "Delivery", "Result", "convert", "deliver", "target_of"]
