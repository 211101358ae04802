"""Records what a module computes, for whoever has to compute the same elsewhere: outputs, layers, gradients.

Everything is done twice, in the module's own precision and in float64: the difference between the two is the noise
that any other implementation is allowed. The names in the file are listed in docs/capturing.md.

The module is the user's own. It is converted and run in place, and afterwards its parameters, buffers and modes
are the very ones it had.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.dtypes import DTYPES, find_dtype
from torch2flow.proof.capture.exporting import fast_paths_off
from torch2flow.proof.capture.factories import in_words
from torch2flow.proof.capture.layers import LayerRow, Layers, OwnNoise
from torch2flow.proof.dropout import dropout_off
from torch2flow.proof.watching import Watcher, watched

if TYPE_CHECKING:
    from torch2flow.proof.capture.recording import Recording

LEARNING_RATE = 2.0**-7
"""A number that float32 holds exactly, as an optimizer may keep it in float32."""

ADAMW = {"lr": 2.0**-10, "betas": (0.875, 1 - 2.0**-10), "eps": 2.0**-27, "weight_decay": 2.0**-7}
"""The other optimizer: near PyTorch's defaults, and held exactly by float32 too."""

Say = Callable[[str], None]


def named_leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The parts of nested lists, tuples and dicts, in PyTorch's order, each with its path: `x.0.mask`."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from named_leaves(f"{prefix}.{key}", part)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from named_leaves(f"{prefix}.{number}", part)
    else:
        yield prefix, value


def input_leaves(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    """All parts of the inputs: `0`, `1`, `mask`."""
    both = [*enumerate(args), *kwargs.items()]
    return [leaf for key, value in both for leaf in named_leaves(str(key), value)]


def leaves_of(torch: Any, value: Any) -> list[Any]:
    """All parts of a nested value, as `torch.export` orders them; dataclasses by their fields."""
    found = []
    for leaf in torch.utils._pytree.tree_flatten(value)[0]:
        if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
            for part in dataclasses.fields(leaf):
                found += leaves_of(torch, getattr(leaf, part.name))
        else:
            found.append(leaf)
    return found


class ReferenceRecorder:
    """Runs a module and records what it gives.

    Args:
        torch: the module `torch`.
        module: what is run.
        recording: where tensors go.
        seed: of PyTorch's generator before every run, and of the weights of the loss.
        say: is told what is being done.
    """

    def __init__(self, torch: Any, module: Any, recording: Recording, seed: int, say: Say) -> None:
        self.torch, self.module, self.recording, self.seed, self.say = torch, module, recording, seed, say
        self.metadata: dict[str, str] = {}
        self.notes: list[str] = []
        self.prefix = ""
        self.doubles = False
        self.rows: list[LayerRow] = []

    # -- what is recorded --------------------------------------------------------------------------------

    def tensor(self, name: str, value: Any) -> None:
        """Appends one tensor, under the prefix of the precision it was computed in."""
        torch = self.torch
        value = value.detach()
        if value.is_quantized:
            value = value.dequantize()
        if value.layout is not torch.strided:
            value = value.to_dense()
        if value.is_complex():
            value = torch.view_as_real(value.resolve_conj())
        value = value.cpu().resolve_neg().contiguous()
        dtype = find_dtype(str(value.dtype))
        if dtype is None or not dtype.safetensors:
            value, dtype = value.double(), DTYPES["float64"]
        data = value.reshape(-1).view(torch.uint8).numpy().data if value.numel() else memoryview(b"")
        self.recording.add(f"{self.prefix}{name}", dtype, tuple(value.shape), data)

    def inputs(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Appends the inputs of a call: `input.0`, `input.mask`."""
        for key, value in input_leaves(args, kwargs):
            if isinstance(value, self.torch.Tensor):
                self.tensor(f"{name}.{key}", value)

    def outputs(self, name: str, value: Any) -> list[Any]:
        """Appends the tensors of an output, each under its number among all leaves; returns the leaves."""
        leaves = self.leaves(value)
        for number, leaf in enumerate(leaves):
            if isinstance(leaf, self.torch.Tensor):
                self.tensor(f"{name}.{number}", leaf)
        return leaves

    def leaves(self, value: Any) -> list[Any]:
        """All parts of a nested value, as `torch.export` orders them."""
        return leaves_of(self.torch, value)

    # -- running -----------------------------------------------------------------------------------------

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any], seed: int | None = None) -> Any:
        """`module(*args, **kwargs)` on copies of the inputs, in the precision that is being recorded."""
        torch = self.torch
        torch.manual_seed(self.seed if seed is None else seed)
        args, kwargs = self.copies(args, kwargs)
        with fast_paths_off(torch), double_mode(torch) if self.doubles else contextlib.nullcontext():
            return self.module(*args, **kwargs)

    def copies(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The inputs, so that what is written into them is lost, in the precision that is being recorded."""
        both: tuple[tuple[Any, ...], dict[str, Any]] = self.torch.utils._pytree.tree_map(self._copied, (args, kwargs))
        return both

    def _copied(self, value: Any) -> Any:
        if not isinstance(value, self.torch.Tensor):
            return value
        if self.doubles and (value.is_floating_point() or value.is_complex()):
            return value.to(self.torch.complex128 if value.is_complex() else self.torch.float64, copy=True)
        return value.clone()

    def forward(self, args: tuple[Any, ...], kwargs: dict[str, Any], name: str = "", *, layers: bool) -> list[Any]:
        """Runs and records the outputs as `output.N`, and every submodule's as `module.PATH#CALL.N`."""
        self.say(f"recording outputs{' in float64' if self.doubles else ''}")
        if not layers:
            return self.outputs(f"{name}output", self._run(args, kwargs))
        watcher = Layers(self, inputs=not self.doubles)
        output = self._run(args, kwargs, watcher)
        self.rows = self.rows or watcher.rows
        return self.outputs(f"{name}output", output)

    def everything_in_float64(self, call: Any, second: Any, modes: list[bool], *, layers: bool) -> str:
        """Records all that was recorded once more in float64, and the noise of each layer; a note where that fails.

        Args:
            call: positional and keyword inputs.
            second: those of the second run, or None.
            modes: for which gradients were recorded: True is train mode.
            layers: whether layers were recorded.
        """
        self.metadata["state_dict"] = json.dumps(list(self.module.state_dict()))
        if layers:
            self.metadata["calls"] = json.dumps([dataclasses.asdict(row) for row in self.rows])
        if modes:
            self.metadata["loss"] = "sum over floating outputs N of sum(output.N * loss.weight.N)"
            self.metadata["optimizer"] = "SGD"
            self.metadata["lr"] = str(LEARNING_RATE)
            self.metadata["adamw"] = json.dumps(ADAMW)
        self.metadata["float64"] = "recorded"
        try:
            with self.in_float64():
                self.forward(*call, layers=layers)
                if second:
                    self.forward(second[0], second[1], "second.", layers=False)
                for train in modes:
                    self.gradients(*call, train=train)
                if layers:
                    self.own_noise(*call)
        except OSError:
            raise
        except Exception as error:
            self.metadata["float64"] = f"incomplete: {in_words(error, 300)}"
            return f"no complete float64 reference: {in_words(error, 300)}"
        return ""

    def own_noise(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Records which part of each submodule's noise is its own, as `own/...`; in float64, after `forward`."""
        self.say("recording the noise of each layer")
        noise = OwnNoise(self, self.rows)
        with self._named(""):
            output = self._run(args, kwargs, noise)
            for number, leaf in enumerate(self.leaves(output)):
                if isinstance(leaf, self.torch.Tensor) and leaf.is_floating_point():
                    noise.record(f"output.{number}", leaf)

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any], watcher: Watcher | None = None) -> Any:
        watching = watched(self.module, watcher) if watcher else contextlib.nullcontext()
        with self.torch.no_grad(), untouched(self.torch, self.module), watching:
            return self.call(args, kwargs)

    def recorded(self, name: str) -> Any:
        """A tensor that was recorded."""
        dtype, shape, data = self.recording.read(name)
        flat = self.torch.frombuffer(data, dtype=getattr(self.torch, dtype.name)) if data else self.torch.empty(0)
        return flat.reshape(shape)

    @contextlib.contextmanager
    def _named(self, prefix: str) -> Iterator[None]:
        before, self.prefix = self.prefix, prefix
        try:
            yield
        finally:
            self.prefix = before

    def gradients(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, train: bool) -> None:
        """Records loss, gradients and, in train mode, parameters and buffers after a step of SGD.

        The loss is the sum over all floating outputs of `output * weight`, with fixed random weights. Dropout
        and its relatives have probability 0 meanwhile.
        """
        torch, mode = self.torch, "train" if train else "eval"
        self.say(f"recording gradients in {mode} mode{' in float64' if self.doubles else ''}")
        with untouched(torch, self.module), self._steady(train):
            parameters = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
            inputs: dict[str, Any] = {}

            def track(prefix: str, value: Any) -> Any:
                if isinstance(value, torch.Tensor) and value.is_floating_point():
                    leaf = self._copied(value).detach().requires_grad_()
                    inputs[prefix] = leaf
                    return leaf.clone()
                return value

            with torch.enable_grad():
                tracked = tuple(_map_leaves(str(number), value, track) for number, value in enumerate(args))
                keywords = {name: _map_leaves(name, value, track) for name, value in kwargs.items()}
                leaves = self.leaves(self.call(tracked, keywords))
                loss = self._loss(leaves, mode)
                wanted = [*parameters.values(), *inputs.values()]
                if not loss.requires_grad:
                    raise RuntimeError("no output depends on a parameter or a floating input")
                found = torch.autograd.grad(loss, wanted, allow_unused=True)
            for number, leaf in enumerate(leaves):
                if isinstance(leaf, torch.Tensor):
                    self.tensor(f"{mode}.output.{number}", leaf)
            self.tensor(f"{mode}.loss", loss)
            gradients = dict(zip([*parameters, *(f"input:{name}" for name in inputs)], found, strict=True))
            self._record_gradients(mode, parameters, gradients, step=train)

    def _loss(self, leaves: list[Any], mode: str) -> Any:
        import numpy as np

        torch = self.torch
        loss = torch.zeros((), dtype=torch.float64 if self.doubles else torch.float32)
        for number, leaf in enumerate(leaves):
            if isinstance(leaf, torch.Tensor) and leaf.is_floating_point():
                rng = np.random.default_rng([self.seed, number])
                weight = torch.from_numpy(np.asarray(rng.standard_normal(tuple(leaf.shape), "f4")))
                if not self.doubles:
                    self.tensor(f"{mode}.loss.weight.{number}", weight)
                weight = weight.to(leaf.device)
                loss = loss + (leaf.to(loss.dtype) * weight.to(loss.dtype)).sum().cpu()
        return loss

    def _record_gradients(
        self, mode: str, parameters: Mapping[str, Any], gradients: Mapping[str, Any], *, step: bool
    ) -> None:
        for name, gradient in gradients.items():
            if gradient is not None:  # None: nothing depends on it
                kind, _, path = name.rpartition(":")
                self.tensor(f"{mode}.input_gradient.{path}" if kind else f"{mode}.gradient.{name}", gradient)
        if step:
            for name, parameter in parameters.items():
                if gradients[name] is not None:
                    after = parameter.detach().add(gradients[name], alpha=-LEARNING_RATE)
                    self.tensor(f"{mode}.step.{name}", after)
                    if not self.doubles:
                        self._adamw(f"{mode}.adamw.{name}", parameter, gradients[name])
            for name, buffer in self.module.named_buffers():
                self.tensor(f"{mode}.step.{name}", buffer)

    def _adamw(self, name: str, parameter: Any, gradient: Any) -> None:
        """Records the parameter after one step of AdamW with this very gradient, in both precisions.

        With its own float64 gradient the step would say nothing: where a gradient is zero but for noise, AdamW's
        first step is the sign of the noise.
        """
        for prefix, dtype in (("", parameter.dtype), ("float64/", self.torch.float64)):
            leaf = parameter.detach().to(dtype, copy=True).requires_grad_()
            leaf.grad = gradient.to(dtype)
            self.torch.optim.AdamW([leaf], **ADAMW, foreach=False).step()
            with self._named(prefix):
                self.tensor(name, leaf)

    @contextlib.contextmanager
    def _steady(self, train: bool) -> Iterator[None]:
        """The mode asked for, with nothing random in it, as far as that can be switched off."""
        self.module.train(train)
        with dropout_off(self.module) as changed:
            if changed:
                self.metadata["dropout"] = f"set to 0 for train.*: {', '.join(changed)}"
            yield

    def randomness(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, train: bool) -> bool:
        """Whether two runs with different seeds differ, although every known probability is 0."""
        torch = self.torch
        results = []
        for seed in (self.seed, self.seed + 1):
            with torch.no_grad(), untouched(torch, self.module), self._steady(train):
                output = self.call(args, kwargs, seed)
            results.append([leaf.clone() for leaf in self.leaves(output) if isinstance(leaf, torch.Tensor)])
        first, second = results
        same = len(first) == len(second) and all(_same(torch, a, b) for a, b in zip(first, second, strict=True))
        return not same

    @contextlib.contextmanager
    def in_float64(self) -> Iterator[None]:
        """What is recorded meanwhile is computed in float64, and named `float64/...`."""
        with doubled(self.torch, self.module):
            self.prefix, self.doubles = "float64/", True
            try:
                yield
            finally:
                self.prefix, self.doubles = "", False


def _same(torch: Any, a: Any, b: Any) -> bool:
    if a.shape != b.shape:
        return False
    if a.is_floating_point() or a.is_complex():
        return bool(torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)))
    return bool(torch.equal(a, b))


def _map_leaves(prefix: str, value: Any, change: Callable[[str, Any], Any]) -> Any:
    if type(value) is dict:
        return {key: _map_leaves(f"{prefix}.{key}", part, change) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_map_leaves(f"{prefix}.{number}", part, change) for number, part in enumerate(value))
    return change(prefix, value)


# -- the module as it was ------------------------------------------------------------------------------------


@contextlib.contextmanager
def untouched(torch: Any, module: Any) -> Iterator[None]:
    """Afterwards the buffers hold what they held, and every submodule is in the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    buffers = [(part._buffers, name, value) for part in module.modules() for name, value in part._buffers.items()]
    kept = [None if value is None else value.detach().clone() for _, _, value in buffers]
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
        with torch.no_grad():
            for (table, name, value), copy in zip(buffers, kept, strict=True):
                if value is not None and copy is not None:
                    value.copy_(copy)
                table[name] = value


@contextlib.contextmanager
def doubled(torch: Any, module: Any) -> Iterator[None]:
    """The module in float64; afterwards its parameters and buffers are the same objects with the same memory.

    BatchNorm's eps and momentum are what float32 makes of them: OneFlow 0.9.0 has them so in float64 too, and the
    difference of 2.5e-8 would hide others. Its momentum is 1 less float32's 1 - momentum, in float32.
    """
    norms = [part for part in module.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    constants = [(part, name, getattr(part, name)) for part in norms for name in ("eps", "momentum")]
    constants = [(part, name, value) for part, name, value in constants if value is not None]
    parameters = [(parameter, parameter.data, parameter.grad) for parameter in module.parameters()]
    buffers = [(part._buffers, name, value) for part in module.modules() for name, value in part._buffers.items()]
    try:
        for parameter, _, _ in parameters:
            parameter.grad = None
        module.double()
        for part, name, value in constants:
            single = torch.tensor(1 - value if name == "momentum" else value, dtype=torch.float32)
            setattr(part, name, float(1 - single if name == "momentum" else single))
        yield
    finally:
        for part, name, value in constants:
            setattr(part, name, value)
        for parameter, data, gradient in parameters:
            parameter.data = data
            parameter.grad = gradient
        for table, name, value in buffers:
            table[name] = value


@contextlib.contextmanager
def double_mode(torch: Any) -> Iterator[None]:
    """float64 also where the model's code asks for float32 by name: `x.float()`, `dtype=torch.float32`."""

    def grouped_mm(rows: Any, weights: Any, *, offs: Any, **rest: Any) -> Any:
        """Each run of rows times its own matrix, which PyTorch itself (2.13) has no float64 of."""
        ends = offs.tolist()
        parts = [rows[a:b] @ weights[n] for n, (a, b) in enumerate(zip([0, *ends], ends, strict=False))]
        return torch.cat([*parts, rows.new_zeros(rows.shape[0] - ends[-1], weights.shape[-1])])

    class Doubles(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.Tensor.float:
                func = torch.Tensor.double
            if func in grouped:
                func = grouped_mm
            args = tuple(torch.float64 if value is torch.float32 else value for value in args)
            named = {k: torch.float64 if value is torch.float32 else value for k, value in (kwargs or {}).items()}
            return func(*args, **named)

    names = ((torch.nn.functional, "grouped_mm"), (torch, "_grouped_mm"))
    grouped = [getattr(home, name) for home, name in names if hasattr(home, name)]
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with Doubles():
            yield
    finally:
        torch.set_default_dtype(before)
