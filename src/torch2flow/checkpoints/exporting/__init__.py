"""The way back: files that PyTorch reads, written without PyTorch."""

from torch2flow.checkpoints.exporting.dcp import write_dcp
from torch2flow.checkpoints.exporting.pth import write_pth
from torch2flow.checkpoints.exporting.safetensors import write_safetensors

__all__ = ["write_dcp", "write_pth", "write_safetensors"]
