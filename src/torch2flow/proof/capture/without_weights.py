"""Builds a PyTorch model without memory for its weights, and takes them from a checkpoint a few layers at a time.

Parameters are tensors of the `meta` device, which have shapes and no values. Buffers are real: those that are in no
checkpoint, such as the frequencies of rotary positions, are computed as the model's own code says. For `torch.export`
the parameters become for a while tensors of the CPU whose memory nobody touches, so that the program is the one that
the model with its weights has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, Tensor
from torch2flow.conversion.weights_apart import NAMES, TIES, find_weights, with_names
from torch2flow.errors import UnsupportedError
from torch2flow.proof.capture.module_state import has_rounding, one_rounding_off
from torch2flow.proof.on_demand import LIMIT, WeightsOnDemand
from torch2flow.runtime.replaced_attributes import replaced_attributes

SMALL = 1 << 16
"""Elements of the largest tensor that gets memory as it is made: a buffer that is filled afterwards."""

PATTERN = 65521
"""After so many elements of a weight the roundings that it is off by repeat: to draw billions of them takes minutes."""


@contextlib.contextmanager
def parameters_without_memory(torch: Any) -> Iterator[None]:
    """A context in which modules get parameters of the `meta` device, and buffers as usual."""

    class EmptyHasNoMemory(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        """What layers make their weights of, to fill it later."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = dict(kwargs or {})
            if func is torch.empty and kwargs.get("device") is None:
                with torch._C.DisableTorchFunction():
                    made = torch.empty(*args, **{**kwargs, "device": "meta"})
                    return made if made.numel() > SMALL else torch.empty(*args, **kwargs)
            return func(*args, **kwargs)

    register = torch.nn.Module.register_parameter
    known: dict[int, tuple[Any, Any]] = {}

    def without(module: Any, name: str, parameter: Any) -> None:
        if isinstance(parameter, torch.nn.Parameter) and parameter.device.type != "meta":
            if id(parameter) not in known:  # a tied one stays tied
                empty = torch.nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)
                empty.__dict__.update(parameter.__dict__)
                known[id(parameter)] = (parameter, empty)
            parameter = known[id(parameter)][1]
        register(module, name, parameter)

    with replaced_attributes((torch.nn.Module, "register_parameter", without)), EmptyHasNoMemory():
        yield


class CheckpointWeights:
    """The weights of a model that was built without, where they lie.

    Args:
        torch: the module `torch`.
        module: was built in `parameters_without_memory`; its buffers get their values.
        checkpoint: has the weights.
        limit: elements of the parameters that are there at once, see `on_demand.py`.
        names: those of the checkpoint that are others in the module.

    Attributes:
        limit: as it was given.
        notes: what a person should know.
        ties: groups of names that are one parameter.
        facts: what `convert` has to know of them.

    Raises:
        UsageError: the checkpoint has not just the module's tensors; all that is wrong is listed.
        UnsupportedError: a buffer that is in no checkpoint has no values.
    """

    def __init__(
        self,
        torch: Any,
        module: Any,
        checkpoint: Checkpoint,
        limit: int | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.torch, self.module, self.limit = torch, module, limit or LIMIT
        self.ties = ties(module)
        state = {name: each for name, each in module.state_dict().items() if isinstance(each, torch.Tensor)}
        wanted = {name: _described(torch, tensor) for name, tensor in state.items()}
        self.facts = {TIES: self.ties, NAMES: dict(names or {})}
        self.tensors, self.notes = find_weights(wanted, self.ties, with_names(checkpoint, names or {}))
        self.notes.insert(0, f"weights: {len(self.tensors)} tensors of {checkpoint.path.name}, read as they are needed")
        self._fill_buffers(state)
        self.on_demand = WeightsOnDemand(module, self._parameter, self.limit)
        self._shaken: int | None = None

    def _fill_buffers(self, state: Mapping[str, Any]) -> None:
        for path, part in self.module.named_modules():
            for key, buffer in part._buffers.items():
                name = f"{path}.{key}" if path else key
                if buffer is None:
                    continue
                if name in state and name in self.tensors:
                    part._buffers[key] = self.values(name, buffer.dtype)
                elif buffer.device.type == "meta":
                    raise UnsupportedError(
                        f"The buffer {name[:200]} is in no checkpoint, and has no values: it is made of weights, or of "
                        "an empty tensor that is filled later.",
                        where=type(self.module).__name__,
                        remedy="capture the model with its weights, on a machine that holds them",
                    )

    def values(self, name: str, dtype: Any, shake: Any = None) -> Any:
        """The values of a tensor, in a dtype, as a new tensor; beside it a few MiB.

        Args:
            name: of the tensor.
            dtype: of PyTorch's.
            shake: numbers that the values are multiplied with, in turn.
        """
        torch, tensor = self.torch, self.tensors[name]
        made = torch.empty(tensor.shape, dtype=dtype)
        flat, start, stored = made.view(-1), 0, getattr(torch, tensor.dtype.name)
        with torch.no_grad(), torch._C.DisableTorchFunction():
            for chunk in tensor.chunks():  # type: ignore[union-attr]
                part = flat[start : start + chunk.size]
                part.copy_(torch.from_numpy(chunk.view("u1")).view(stored))
                start += chunk.size
                if shake is not None:
                    part.mul_(shake.repeat(-(-chunk.size // shake.numel()))[: chunk.size])
        return made

    def _parameter(self, name: str, placeholder: Any) -> Any:
        shake = None
        if self._shaken is not None and has_rounding(placeholder):
            order = self._shaken + len(self.tensors) * list(self.tensors).index(name)
            generator = self.torch.Generator().manual_seed(order)
            shake = one_rounding_off(self.torch, self.torch.ones(PATTERN, dtype=placeholder.dtype), generator)
        return self.torch.nn.Parameter(self.values(name, placeholder.dtype, shake), requires_grad=False)

    def state(self) -> Iterator[tuple[str, Any]]:
        """The name and the values of each tensor of the state dict, one at a time."""
        for name, tensor in self.tensors.items():
            yield name, self.values(name, getattr(self.torch, tensor.dtype.name))

    def given(self) -> Any:
        """A context in which the module can be called: each unit of it gets its weights for as long as it runs."""
        return self.on_demand.given()

    @contextlib.contextmanager
    def shaken(self, seed: int) -> Iterator[None]:
        """A context in which every weight is one rounding higher, or lower, or as it is."""
        self._shaken = seed
        try:
            yield
        finally:
            self._shaken = None

    @contextlib.contextmanager
    def laid_out(self) -> Iterator[None]:
        """A context in which the parameters are tensors of the CPU without values, in memory that nobody touches."""
        torch = self.torch
        places = [(part._parameters, name, value) for part in self.module.modules()
                  for name, value in part._parameters.items() if value is not None]  # fmt: skip
        made: dict[int, Any] = {}
        try:
            for table, name, value in places:
                if id(value) not in made:
                    empty = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype)
                    made[id(value)] = torch.nn.Parameter(empty, value.requires_grad)
                table[name] = made[id(value)]
            yield
        finally:
            for table, name, value in places:
                table[name] = value


def without_computing(torch: Any) -> Any:
    """A context in which a module runs with the shapes of its tensors alone."""
    return torch._subclasses.fake_tensor.FakeTensorMode(allow_non_fake_inputs=True)


def ties(module: Any) -> list[list[str]]:
    """Groups of names of a module that are one parameter."""
    groups: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _described(torch: Any, tensor: Any) -> Tensor:
    """What a tensor is, without its values."""
    dtype = DTYPES[str(tensor.dtype).removeprefix("torch.")]
    return CompositeTensor("meta", dtype, tuple(tensor.shape), {}, {}, bool(tensor.requires_grad))
