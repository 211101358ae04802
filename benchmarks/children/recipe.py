"""The way that OneFlow's guide shows, without torch2flow: `recipe.py SOURCE.pth OUT`"""

from __future__ import annotations

import sys

import torch

from torch2flow.runtime import import_oneflow  # imports it quietly; that is all


def main(source: str, out: str) -> None:
    """PyTorch's file, each tensor through NumPy, OneFlow's folder."""
    flow = import_oneflow()
    state = torch.load(source)
    flow.save({name: flow.tensor(tensor.numpy()) for name, tensor in state.items()}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
