"""Records what a module computes, for whoever has to compute the same elsewhere: outputs, layers, gradients.

Everything is done twice, in the module's own precision and in float64: the difference between the two is the noise
that any other implementation is allowed. The names in the file are listed in docs/capturing.md.

The module is the user's own. It is converted and run in place, and afterwards its parameters, buffers and modes
are the very ones it had.
"""

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch2flow.checkpoints.dtypes import DTYPES, find_dtype
from torch2flow.proof.attributes import Attributes
from torch2flow.proof.capture.control_flow import plain_control_flow
from torch2flow.proof.capture.equal_values import EqualValues
from torch2flow.proof.capture.exporting import fast_paths_off
from torch2flow.proof.capture.factories import in_words
from torch2flow.proof.capture.layers import LayerRow, Layers, OwnNoise, RandomTensors
from torch2flow.proof.capture.mode_calls import mode_calls, nothing_dropped
from torch2flow.proof.capture.module_state import (
    double_mode,
    doubled,
    has_rounding,
    one_rounding_off,
    shaken,
    stepped,
    ties_in_order,
    untouched,
)
from torch2flow.proof.capture.recording import Recording
from torch2flow.proof.capture.without_weights import CheckpointWeights
from torch2flow.proof.digests import digest
from torch2flow.proof.dropout import dropout_off
from torch2flow.proof.fixed_draws import NAMES
from torch2flow.proof.outline import outline
from torch2flow.proof.random_calls import RandomCall
from torch2flow.proof.sample import sample
from torch2flow.proof.watching import Watcher, other_names, watched
from torch2flow.runtime.nested import leaves, named_leaves, replaced, replaced_by_name

LEARNING_RATE = 2.0**-7
"""A number that float32 holds exactly, as an optimizer may keep it in float32."""

ADAMW = {"lr": 2.0**-10, "betas": (0.875, 1 - 2.0**-10), "eps": 2.0**-27, "weight_decay": 2.0**-7}
"""The other optimizer: near PyTorch's defaults, and held exactly by float32 too."""

DOUBLE = "float64/"
"""What the names of float64 values begin with."""

SMALL = 2.0**-10
"""By how much a float64 value may differ from float32's, relative to the largest, to be kept as that difference."""

SHAKES = 3
"""How often PyTorch computes once more with its weights off by one rounding, to see how far float32 spreads."""

DRAWS, DRAWING_SECONDS = 100, 30.0
"""How often a model that stays random is run, for mean and deviation; less often if it takes too long."""

Say = Callable[[str], None]


LARGE = "large."
"""The prefix of what was recorded of the run with large inputs, whose spread is measured too."""

EVAL = "eval."
"""The prefix of what was recorded in eval mode of a module that was captured in train mode."""

OTHER = "other."
"""The prefix of what was recorded in the mode that was not captured, of inputs of other sizes."""

SEEDS = 8
"""How often a model that draws is run, to see whether other seeds give other results."""


def input_leaves(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    """All parts of the inputs: `0`, `1`, `mask`."""
    both = [*enumerate(args), *kwargs.items()]
    return [leaf for key, value in both for leaf in named_leaves(str(key), value)]


def leaves_of(torch: Any, value: Any) -> list[Any]:
    """All parts of a nested value, as `torch.export` orders them; dataclasses by their fields."""
    return [part for leaf in torch.utils._pytree.tree_flatten(value)[0] for part in leaves(leaf)]


def halved(torch: Any, call: Any) -> Any:
    """Inputs that are half as large, as far as they are floating: what a first call keeps of them, a second shows."""

    def half(leaf: Any) -> Any:
        return leaf * 0.5 if isinstance(leaf, torch.Tensor) and has_rounding(leaf) else leaf

    return replaced(call, half)


def as_pairs(torch: Any, value: Any) -> Any:
    """A complex tensor as the converted model has it, with a last dimension of 2; any other as it is."""
    return torch.view_as_real(value.resolve_conj()) if value.is_complex() else value


class ReferenceRecorder:
    """Runs a module and records what it gives.

    Args:
        torch: the module `torch`.
        module: what is run.
        recording: where tensors go.
        seed: of PyTorch's generator before every run, and of the weights of the loss.
        say: is told what is being done.
        attributes: also set every attribute that holds a probability to drop to 0, which switches off what an author
            wrote with `bernoulli_`. A program of train mode keeps such code, with its numbers.
        weights: where the weights lie, if the module has them only while it runs.
    """

    def __init__(
        self, torch: Any, module: Any, recording: Recording, seed: int, say: Say, *, attributes: bool = True,
        weights: CheckpointWeights | None = None,
    ) -> None:  # fmt: skip
        self.torch, self.module, self.recording, self.seed, self.say = torch, module, recording, seed, say
        self.attributes = attributes
        self.weights = weights
        self.metadata: dict[str, str] = {
            "dropout": "attributes" if attributes else "functions", "draws": "fixed", "again": "halved",
        }  # fmt: skip
        if weights is not None:
            self.metadata["on_demand"] = str(weights.limit)
        self.notes: list[str] = []
        self.prefix = ""
        self.doubles = False
        self.rows: list[LayerRow] = []
        self.changed: list[str] = []  # attributes that a call leaves otherwise than it met them
        self.spread: dict[str, float] | None = None
        self.trained = False
        self.of_inputs = True
        self.calls: dict[str, list[RandomCall]] = {}
        self.ties = EqualValues(torch)
        self.tied: dict[str, str] = {}  # by the names of outputs, the function that chose among equal values

    # -- what is recorded --------------------------------------------------------------------------------

    def tensor(self, name: str, value: Any) -> None:
        """Appends one tensor, under the prefix of the precision it was computed in; `_spread` only measures it."""
        with self.torch._C.DisableTorchFunction():  # float32 means float32 here, see `double_mode`
            self._append(name, value.detach())

    def _append(self, name: str, value: Any) -> None:
        torch, value = self.torch, as_pairs(self.torch, value)
        if self.spread is not None:
            if value.is_floating_point() and DOUBLE + name in self.recording.names:
                distance = (value.cpu().double() - self._exact(name)).abs()
                found = float(distance.nan_to_num(0.0, 0.0).max()) if distance.numel() else 0.0
                self.spread[name] = max(self.spread.get(name, 0.0), found)
            return
        if value.is_quantized:
            value = value.dequantize()
        if value.layout is not torch.strided:
            value = value.to_dense()
        value = self._remainder(name, value.cpu().resolve_neg()).contiguous()
        dtype = find_dtype(str(value.dtype))
        if dtype is None or not dtype.safetensors:
            value, dtype = value.double(), DTYPES["float64"]
        # A tensor of one element counts as contiguous with whatever stride.
        flat = value.as_strided((value.numel(),), (1,))
        data = flat.view(torch.uint8).numpy().data if value.numel() else memoryview(b"")
        self.recording.add(f"{self.prefix}{name}", dtype, tuple(value.shape), data)

    def _remainder(self, name: str, value: Any) -> Any:
        """Of a float64 value what it differs from the recorded one by, in float32: together they have 34 bits or more.

        Where float32 is so noisy that they have less, and where one is infinite, the float64 value stays.
        """
        if self.prefix != DOUBLE or not value.is_floating_point() or name not in self.recording.names:
            return value
        value, recorded = value.double(), self.recorded(name)
        if recorded.dtype is not self.torch.float32 or recorded.shape != value.shape:
            return value
        remainder = value - recorded
        if not remainder.numel() or not bool(remainder.isfinite().all()):
            return value
        # Channel by channel, as they are judged.
        rows = [each.abs().reshape(-1, each.shape[-1] if each.ndim > 1 else 1) for each in (remainder, value)]
        off, size = (each.amax(0) for each in rows)
        return remainder.float() if bool((off <= SMALL * size.clamp(min=1e-6 * float(size.max()))).all()) else value

    def _exact(self, name: str) -> Any:
        """The float64 value of a recorded tensor."""
        found = self.recorded(DOUBLE + name)
        return self.recorded(name).double() + found if found.dtype is self.torch.float32 else found

    def inputs(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Appends the inputs of a call: `input.0`, `input.mask`."""
        for key, value in input_leaves(args, kwargs):
            if isinstance(value, self.torch.Tensor):
                self.tensor(f"{name}.{key}", value)

    def outputs(self, name: str, value: Any) -> list[Any]:
        """Appends the tensors of an output, each under its number among all leaves; returns the leaves."""
        leaves = self.leaves(value)
        if self.ties.function and not self.doubles and self.spread is None:
            self.tied[name] = self.ties.function
        for number, leaf in enumerate(leaves):
            if isinstance(leaf, self.torch.Tensor):
                self.tensor(f"{name}.{number}", leaf)
        return leaves

    def equal_values(self, call: Any, runs: Mapping[str, Any]) -> None:
        """Notes the tensors that are others where the last of equal values is chosen instead of the first.

        Args:
            call: positional and keyword inputs.
            runs: those of other runs, by their prefix.
        """
        self.ties.backwards, open_ones = True, set()
        for name in self.tied:
            prefix = name.removesuffix("output")
            watcher = RandomTensors(self, self.rows) if self.rows and not prefix else None
            args, kwargs = runs.get(prefix, call)
            for number, leaf in enumerate(self.leaves(self.run_of(prefix, args, kwargs, watcher))):
                named = f"{name}.{number}"
                if isinstance(leaf, self.torch.Tensor) and not _same(
                    self.torch, as_pairs(self.torch, leaf).cpu(), self.recorded(named)
                ):
                    open_ones.add(named)
            open_ones |= watcher.random if watcher else set()
        self.ties.backwards = False
        if open_ones:
            self.metadata["ties"] = json.dumps(
                {"function": next(iter(self.tied.values())), "tensors": sorted(open_ones)}
            )

    def leaves(self, value: Any) -> list[Any]:
        """All parts of a nested value, as `torch.export` orders them."""
        return leaves_of(self.torch, value)

    def is_traced(self, value: Any) -> bool:
        """Whether a tensor in a nested value is one of `vmap`, `grad` or another transform."""
        wrapped = getattr(self.torch._C, "_functorch", None)
        return wrapped is not None and any(
            wrapped.is_functorch_wrapped_tensor(leaf)
            for leaf in self.leaves(value)
            if isinstance(leaf, self.torch.Tensor)
        )

    # -- running -----------------------------------------------------------------------------------------

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any], seed: int | None = None) -> Any:
        """`module(*args, **kwargs)` on copies of the inputs, in the precision being recorded, and without dropout."""
        torch = self.torch
        torch.manual_seed(self.seed if seed is None else seed)
        args, kwargs = self.copies(args, kwargs)
        precision = double_mode(torch, self._note_literal) if self.doubles else contextlib.nullcontext()
        off = dropout_off(self.module) if self.attributes else contextlib.nullcontext()
        plain = (fast_paths_off(torch), plain_control_flow(torch), nothing_dropped(torch), ties_in_order(torch),
                 self.ties.noted())  # fmt: skip
        with contextlib.ExitStack() as stack:
            for each in (*plain, precision, off):
                stack.enter_context(each)
            return self.module(*args, **kwargs)

    def _note_literal(self) -> None:
        """Notes that the module's code makes tensors of numbers that float32 does not hold exactly."""
        self.metadata["literals"] = "float32"

    def copies(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The inputs, so that what is written into them is lost, in the precision that is being recorded."""
        both: tuple[tuple[Any, ...], dict[str, Any]] = replaced((args, kwargs), self._copied)
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
        hooked = [id(part) for part in self.module.modules() if part._forward_hooks]
        watcher = Layers(self, inputs=not self.doubles, hooked=hooked) if layers else None
        output = self.run_of(name, args, kwargs, watcher)
        if watcher is not None:
            self.rows = self.rows or watcher.rows
        if not name and not self.doubles:
            self.metadata["outline"] = json.dumps(outline(output, self._dtype_name))
        return self.outputs(f"{name}output", output)

    def run_of(self, prefix: str, args: tuple[Any, ...], kwargs: dict[str, Any], watcher: Watcher | None = None) -> Any:
        """What the module gives in the run of a prefix: how often it is called, and in which mode."""
        modes = {EVAL: False, OTHER: not self.module.training}
        return self.run(args, kwargs, watcher, times=2 if prefix == "again." else 1, train=modes.get(prefix))

    def _dtype_name(self, value: Any) -> str | None:
        if not isinstance(value, self.torch.Tensor):
            return None
        return str(as_pairs(self.torch, value).dtype).removeprefix("torch.")

    def everything_in_float64(self, call: Any, runs: Mapping[str, Any], *, layers: bool) -> str:
        """Records all that was recorded once more in float64, and the noise of each layer; a note where that fails.

        Args:
            call: positional and keyword inputs.
            runs: those of other runs whose outputs were recorded, by their prefix.
            layers: whether layers were recorded.
        """
        self.metadata["state_dict"] = json.dumps(list(self.module.state_dict()))
        self.metadata["weights"] = json.dumps(dict(self._weights()))
        self.metadata["modules"] = json.dumps([path for path, _ in self.module.named_modules()])
        self.metadata["other_names"] = json.dumps(other_names(self.module))
        self.metadata["random_calls"] = json.dumps(self.calls)
        if layers:
            self.metadata["calls"] = json.dumps([dataclasses.asdict(row) for row in self.rows])
        self.metadata["trainable"] = json.dumps([n for n, p in self.module.named_parameters() if p.requires_grad])
        if self.trained:
            self.metadata["loss"] = "sum over floating outputs N of sum(output.N * loss.weight.N)"
            self.metadata["optimizer"] = "SGD"
            self.metadata["lr"] = str(LEARNING_RATE)
            self.metadata["adamw"] = json.dumps(ADAMW)
        self.metadata["float64"] = "recorded"
        self.equal_values(call, runs)
        try:
            with self.in_float64():
                self.forward(*call, layers=layers)
                for prefix, (args, kwargs) in runs.items():
                    self.forward(args, kwargs, prefix, layers=False)
                if self.trained:
                    self.gradients(*call)
                if layers:
                    self.own_noise(*call)
            self._measure_spread({"": call} | {name: runs[name] for name in (LARGE,) if name in runs})
        except OSError:
            raise
        except Exception as error:
            self.metadata["float64"] = f"incomplete: {in_words(error, 300)}"
            return f"no complete float64 reference: {in_words(error, 300)}"
        return ""

    def _measure_spread(self, runs: Mapping[str, Any]) -> None:
        """Measures how far PyTorch's float32 results lie from float64's if inputs and weights are off by one rounding.

        What a result is off by is one draw of what float32 makes of a model, and can be small by luck. A few more say
        what float32 explains, and what it does not.

        Args:
            runs: positional and keyword inputs, by the prefix of what was recorded of them.
        """
        self.say("measuring the spread of float32")
        self.spread = {}
        try:
            for seed in range(SHAKES):
                generator = self.torch.Generator().manual_seed(seed)

                def moved(leaf: Any, generator: Any = generator) -> Any:
                    floating = isinstance(leaf, self.torch.Tensor) and has_rounding(leaf)
                    return one_rounding_off(self.torch, leaf, generator) if floating else leaf

                off = shaken(self.torch, self.module, seed) if self.weights is None else self.weights.shaken(seed)
                with off:
                    for prefix, call in runs.items():
                        args, kwargs = replaced(call, moved)
                        self.forward(args, kwargs, prefix, layers=False)
                        if self.trained and not prefix:
                            self.gradients(args, kwargs)
            self.metadata["spread"] = json.dumps(self.spread)
        finally:
            self.spread = None

    def _weights(self) -> Iterator[tuple[str, str]]:
        """A digest of each parameter and buffer, by the names of the state dict."""
        for name, value in self.module.state_dict().items() if self.weights is None else self.weights.state():
            if isinstance(value, self.torch.Tensor) and value.layout is self.torch.strided and not value.is_quantized:
                value = as_pairs(self.torch, value.detach().cpu())
                value = value.float() if value.dtype is self.torch.bfloat16 else value
                yield name, digest(value.numpy())

    def own_noise(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Records which part of each submodule's noise is its own, as `own/...`; in float64, after `forward`."""
        self.say("recording the noise of each layer")
        noise = OwnNoise(self, self.rows)
        with self._named(""):
            output = self.run(args, kwargs, noise)
            for number, leaf in enumerate(self.leaves(output)):
                if isinstance(leaf, self.torch.Tensor) and has_rounding(leaf):
                    noise.record(f"output.{number}", leaf)

    def run(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        watcher: Watcher | None = None,
        times: int = 1,
        train: bool | None = None,
    ) -> Any:
        """What the module gives, without gradients; its buffers and its mode are afterwards what they were.

        Args:
            args: positional inputs.
            kwargs: keyword inputs.
            watcher: is told of the calls of submodules.
            times: how often it is called, one call after the other.
            train: the mode, where it is not the one that the module is in.
        """
        watching = watched(self.module, watcher) if watcher else contextlib.nullcontext()
        with self.torch.no_grad(), untouched(self.torch, self.module), watching:
            if train is not None:
                self.module.train(train)
            before = (
                {name: value.clone() for name, value in self.module.named_buffers()} if self.weights is None else {}
            )
            held, self.ties.function = Attributes(self.module), ""
            for _ in range(times - 1):
                self.call(*halved(self.torch, (args, kwargs)))
            output = self.call(args, kwargs)
            self.changed = held.changed() if times > 1 else self.changed
            if not self.module.training and not self.doubles:
                buffers = {name: value for name, value in self.module.named_buffers() if name in before}
                moved = [name for name, value in buffers.items() if not _same(self.torch, value, before[name])]
                self.metadata["moved_in_eval"] = json.dumps(moved)
            return output

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

    def training(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Records gradients and a step, if they can be computed again; returns why not, or "".

        Raises:
            OSError: the recording can't be written.
        """
        try:
            if self.stays_random(args, kwargs, train=True):
                why = "in train mode the model draws random numbers beside dropout"
            else:
                self._gradients_as_far_as_possible(args, kwargs)
                self.trained, why = True, ""
        except OSError:
            raise
        except Exception as error:
            why = f"running forward and backward in train mode raised: {in_words(error, 300)}"
        self.metadata["training"] = why
        return why and f"training is not compared: {why}"

    def _gradients_as_far_as_possible(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Records gradients; without those of inputs where the module takes no inputs that have some, which is told.

        Some set `requires_grad` of what they get, which a tensor that was computed does not allow.
        """
        try:
            self.gradients(args, kwargs)
        except OSError:
            raise
        except Exception as error:
            self.of_inputs = False
            try:
                self.gradients(args, kwargs)
            except Exception:
                raise error from None
            self.metadata["input_gradients"] = f"with them, the model raised: {in_words(error, 200)}"

    def gradients(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Records outputs, loss and gradients in train mode, and parameters and buffers after a step of SGD.

        The loss is the sum over all floating outputs of `output * weight`, with fixed random weights.
        """
        torch = self.torch
        self.say(f"recording gradients{' in float64' if self.doubles else ''}")
        with untouched(torch, self.module):
            self.module.train()
            parameters = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
            before = {name: sample(as_pairs(torch, p.detach())).clone() for name, p in parameters.items()}
            inputs: dict[str, Any] = {}

            def track(prefix: str, value: Any) -> Any:
                if self.of_inputs and isinstance(value, torch.Tensor) and has_rounding(value):
                    leaf = self._copied(value).detach().requires_grad_()
                    inputs[prefix] = leaf
                    return leaf.clone()
                return value

            with torch.enable_grad():
                tracked = tuple(replaced_by_name(str(number), value, track) for number, value in enumerate(args))
                keywords = {name: replaced_by_name(name, value, track) for name, value in kwargs.items()}
                leaves = self.leaves(self.call(tracked, keywords))
                loss = self._loss(leaves)
                wanted = [*parameters.values(), *inputs.values()]
                if not loss.requires_grad:
                    raise RuntimeError("no output depends on a parameter or a floating input")
                found = torch.autograd.grad(loss, wanted, allow_unused=True)
            for number, leaf in enumerate(leaves):
                if isinstance(leaf, torch.Tensor):
                    self.tensor(f"train.output.{number}", leaf)
            self.tensor("train.loss", loss)
            gradients = dict(zip([*parameters, *(f"input:{name}" for name in inputs)], found, strict=True))
            self._record_step(parameters, gradients, before)
            self._second_step(args, kwargs, parameters, gradients)

    def _second_step(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], parameters: dict[str, Any], gradients: dict[str, Any]
    ) -> None:
        """Records the buffers after one more forward pass, with the parameters that the step of SGD gave."""
        buffers = dict(self.module.named_buffers())
        if not buffers or self.spread is not None:
            return
        after = {name: p.detach().add(gradients[name], alpha=-LEARNING_RATE)
                 for name, p in parameters.items() if gradients[name] is not None}  # fmt: skip
        with self.torch.no_grad(), stepped(self.module, after):
            self.call(args, kwargs)
        for name, buffer in self.module.named_buffers():
            self.tensor(f"train.second_step.{name}", buffer)

    def _loss(self, leaves: list[Any]) -> Any:
        import numpy as np

        torch = self.torch
        loss = torch.zeros((), dtype=torch.float64 if self.doubles else torch.float32)
        for number, leaf in enumerate(leaves):
            leaf = as_pairs(torch, leaf) if isinstance(leaf, torch.Tensor) else leaf
            if isinstance(leaf, torch.Tensor) and leaf.is_floating_point():
                rng = np.random.default_rng([self.seed, number])
                weight = torch.from_numpy(np.asarray(rng.standard_normal(tuple(leaf.shape), "f4")))
                if not self.doubles and self.spread is None:
                    self.tensor(f"train.loss.weight.{number}", weight)
                weight = weight.to(leaf.device)
                loss = loss + (leaf.to(loss.dtype) * weight.to(loss.dtype)).sum().cpu()
        return loss

    def _record_step(
        self, parameters: Mapping[str, Any], gradients: Mapping[str, Any], before: Mapping[str, Any]
    ) -> None:
        """Records gradients and what a step makes; `before` are elements of the parameters before the forward pass."""
        parameters = {name: as_pairs(self.torch, parameter.detach()) for name, parameter in parameters.items()}
        gradients = {name: each if each is None else as_pairs(self.torch, each) for name, each in gradients.items()}
        for name, gradient in gradients.items():
            if gradient is not None:  # None: nothing depends on it
                kind, _, path = name.rpartition(":")
                self.tensor(f"train.input_gradient.{path}" if kind else f"train.gradient.{name}", gradient)
        for name, parameter in parameters.items():
            if gradients[name] is not None:
                stepped = sample(parameter).add(sample(gradients[name]), alpha=-LEARNING_RATE)
                self.tensor(f"train.sgd.{name}", stepped)
                if not self.doubles and self.spread is None:
                    self._adamw(f"train.adamw.{name}", before[name], gradients[name])
        for name, parameter in self.module.named_parameters():
            if name not in parameters:  # which nothing but the model's own code changes
                self.tensor(f"train.step.{name}", sample(parameter.detach()))
        for name, buffer in self.module.named_buffers():
            self.tensor(f"train.step.{name}", buffer)

    def _adamw(self, name: str, elements: Any, gradient: Any) -> None:
        """Records elements of a parameter after one step of AdamW with this very gradient, in both precisions.

        With its own float64 gradient the step would say nothing: where a gradient is zero but for noise, AdamW's
        first step is the sign of the noise.
        """
        for prefix, dtype in (("", elements.dtype), (DOUBLE, self.torch.float64)):
            leaf = elements.to(dtype, copy=True).requires_grad_()
            leaf.grad = sample(gradient).to(dtype)
            self.torch.optim.AdamW([leaf], **ADAMW, foreach=False).step()
            with self._named(prefix):
                self.tensor(name, leaf)

    def random_calls(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, train: bool) -> str:
        """Records which random functions the model calls in one mode, dropout active; a note where it does not run."""
        mode = "train" if train else "eval"
        try:
            if mode not in self.calls:
                self.torch.manual_seed(self.seed)
                args, kwargs = self.copies(args, kwargs)
                self.calls[mode] = mode_calls(self.torch, self.module, args, kwargs, train=train).random
        except Exception as error:
            return f"which layers drop in {mode} mode is not compared: {in_words(error, 200)}"
        return ""

    def is_random(self, *, train: bool) -> bool:
        """Whether the model, as it is, drops or draws in a mode."""
        return any(call.kind != "dropout" or call.rate for call in self._calls(train))

    def _calls(self, train: bool) -> list[RandomCall]:
        return self.calls.get("train" if train else "eval", [])

    def draws(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Records mean and deviation of each output of a model that stays random, and which tensors of layers do."""
        torch, started, count = self.torch, time.monotonic(), 0
        sums: dict[int, tuple[Any, Any]] = {}
        with torch.no_grad(), untouched(torch, self.module):
            while count < DRAWS and (count < 16 or time.monotonic() - started < DRAWING_SECONDS):
                count += 1
                for number, leaf in enumerate(self.leaves(self.call(args, kwargs, self.seed + count))):
                    if isinstance(leaf, torch.Tensor) and not leaf.is_complex():
                        value = leaf.detach().double()
                        total, squares = sums.get(number, (0.0, 0.0))
                        sums[number] = (total + value, squares + value**2)
        for number, (total, squares) in sums.items():
            mean = total / count
            self.tensor(f"random.mean.{number}", mean)
            self.tensor(f"random.deviation.{number}", (squares / count - mean**2).clamp(min=0).sqrt())
        watcher = RandomTensors(self, self.rows)
        for seed in range(1, SEEDS):  # a draw of few values may come out as before
            watching = watched(self.module, watcher) if self.rows else contextlib.nullcontext()
            with torch.no_grad(), untouched(torch, self.module), watching:
                output = self.call(args, kwargs, self.seed + seed)
            for number, leaf in enumerate(self.leaves(output)):
                if isinstance(leaf, torch.Tensor):
                    watcher.record(f"output.{number}", leaf)
            watcher.known.clear()
        self.metadata["random"] = json.dumps({"draws": count, "tensors": sorted(watcher.random)})

    def stays_random(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, train: bool) -> bool:
        """Whether runs in a mode differ when their seeds do, although nothing drops and most draws are fixed."""
        if all(call.kind in ("dropout", *NAMES) for call in self._calls(train)):
            return False
        torch, first = self.torch, None
        for seed in range(self.seed, self.seed + SEEDS):
            with torch.no_grad(), untouched(torch, self.module):
                self.module.train(train)
                output = self.call(args, kwargs, seed)
            found = [leaf.clone() for leaf in self.leaves(output) if isinstance(leaf, torch.Tensor)]
            first = found if first is None else first
            if len(first) != len(found) or not all(_same(torch, a, b) for a, b in zip(first, found, strict=True)):
                return True
        return False

    @contextlib.contextmanager
    def in_float64(self) -> Iterator[None]:
        """What is recorded meanwhile is computed in float64, and named `float64/...`."""
        with doubled(self.torch, self.module):
            self.prefix, self.doubles = DOUBLE, True
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
