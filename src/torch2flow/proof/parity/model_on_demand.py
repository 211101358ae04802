"""A converted model that is larger than the machine: OneFlow runs it a few layers at a time.

Its parameters are read from its folder as they are needed, which is the checkpoint that `flow.load` reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pytorch import Checkpoint, Tensor, TensorRef
from torch2flow.proof.on_demand import WeightsOnDemand
from torch2flow.runtime.loading import without_values
from torch2flow.runtime.loading.filling import Filler, IncomingTensor


def build_on_demand(flow: Any, make: Any, folder: Path, *, double: bool, limit: int) -> Any:
    """A model whose units read their parameters when they are called.

    Args:
        flow: the module `oneflow`.
        make: builds the model.
        folder: its checkpoint.
        double: its floating tensors are to be float64.
        limit: elements of the parameters that are there at once, see `on_demand.py`.
    """
    with without_values():
        model = make()
    checkpoint = open_checkpoint(folder, ".")
    filler = Filler(flow)

    def wide(tensor: Any) -> Any:
        return flow.float64 if double and tensor.dtype.is_floating_point else tensor.dtype

    def read(name: str, like: Any) -> Any:
        dtype = DTYPES[str(like).rpartition(".")[2]]
        return filler.create(IncomingTensor(checkpoint[name], dtype, checkpoint[name].shape))

    made: dict[int, Any] = {}
    for path, part in model.named_modules():
        for key, parameter in part._parameters.items():
            if parameter is None:
                continue
            if id(parameter) not in made:
                # NaN: what is used while it is not there makes everything NaN, and is no silent zero.
                nothing = flow.full((1,), float("nan"), dtype=wide(parameter)).expand(*parameter.shape)
                made[id(parameter)] = parameter, flow.nn.Parameter(nothing, requires_grad=parameter.requires_grad)
            part._parameters[key] = made[id(parameter)][1]
        for key, buffer in part._buffers.items():
            name = f"{path}.{key}" if path else key
            if buffer is not None:
                part._buffers[key] = read(name, wide(buffer)) if name in checkpoint else buffer.to(wide(buffer))

    def load(name: str, placeholder: Any) -> Any:
        return flow.nn.Parameter(read(name, placeholder.dtype), requires_grad=False)

    WeightsOnDemand(model, load, limit).give()
    return model


class StoredState(Mapping[str, Any]):
    """The parameters and buffers of a folder by name, each read as it is asked for.

    Args:
        folder: of the model.
    """

    def __init__(self, folder: Path) -> None:
        self.checkpoint: Checkpoint = open_checkpoint(folder, ".")

    def __getitem__(self, name: str) -> StoredTensor:
        return StoredTensor(self.checkpoint[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.checkpoint)

    def __len__(self) -> int:
        return len(self.checkpoint)


class StoredTensor:
    """A tensor of a folder, with the method of OneFlow's that the comparison of weights calls."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def numpy(self) -> Any:
        """Its values; bfloat16 as float32, which holds them exactly."""
        assert isinstance(self.tensor, TensorRef)
        values = self.tensor.numpy()
        return values.astype(np.float32) if self.tensor.dtype.name == "bfloat16" else values
