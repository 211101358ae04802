"""Makes a local OneFlow model global: every tensor gets the placement and SBP that a plan gives it.

    model = torch2flow.to_global(Model(), "plan.toml")
    torch2flow.load_state_dict(model, "model.pth")
    x = flow.tensor(batch).to_global(**torch2flow.input_placement(model))

OneFlow's own `Module.to_global` takes every rank's whole tensor for its part, so that shapes grow by the number of
ranks, fails at buffers without dimensions, and aborts where a dimension is shorter than the ranks are many (0.9.0).
Here every rank copies its own block out of its own local tensor: nothing is sent, and 16-bit tensors work on the CPU.
"""

from __future__ import annotations

import functools
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from torch2flow.checkpoints.dtypes import find_dtype
from torch2flow.checkpoints.sharding import Mesh
from torch2flow.checkpoints.sharding.placement import Layout, signature
from torch2flow.checkpoints.sharding.sharding_plan import Settled, ShardingPlan, Sized, read_sharding_plan
from torch2flow.errors import UsageError
from torch2flow.runtime.importing import import_oneflow
from torch2flow.runtime.loading.global_creation import made_globally
from torch2flow.runtime.loading.rank_blocks import agree, vote
from torch2flow.runtime.nested import replaced

_SETTLED = "_torch2flow_settled"


def to_global(model: Any, plan: str | os.PathLike[str] | ShardingPlan) -> Any:
    """Gives the parameters and buffers of a local model their placement and SBP, in place.

    What its `forward` makes by itself (positions, masks) becomes global too, and inputs of a later stage of a pipeline
    are brought there. Values are those of each rank's own model: load a checkpoint afterwards, or build the model with
    the same seed on every rank.

    Args:
        model: an `oneflow.nn.Module` with local tensors, the same on every rank.
        plan: a TOML file, the name of a preset, or a plan.

    Returns:
        the model.

    Raises:
        UsageError: the plan can't be carried out, or the model is global already; nothing was changed.
        FormatError: another rank failed, or has another model.

    Example:
        >>> model = torch2flow.to_global(Net(), "llama")           # doctest: +SKIP
    """
    flow = import_oneflow()
    world = flow.env.get_world_size()
    with vote(flow, "follow the plan"):
        homes = list(_tensors(model))
        sizes = _sizes(model, homes)
        settled = read_sharding_plan(plan).settle(sizes, world)
    text = repr([(name, size.shape, size.itemsize, settled.layouts[name]) for name, size in sizes.items()])
    agree(flow, zlib.crc32(text.encode()), "The ranks have different models or plans.")
    made: dict[int, Any] = {}
    with flow.no_grad():
        for holder, key, name, tensor in homes:
            if id(tensor) not in made:
                made[id(tensor)] = _placed(flow, tensor, settled.layouts[name])
            holder[key] = made[id(tensor)]
    _wrap_forwards(flow, model, settled)
    setattr(model, _SETTLED, settled)
    return model


def input_placement(model: Any, axis: str = "data") -> dict[str, Any]:
    """`placement` and `sbp` for a model's inputs: what `tensor.to_global` takes.

    Args:
        model: what `to_global` returned.
        axis: of the mesh, over which the batch is split; all others hold the same.

    Example:
        >>> x = x.to_global(**input_placement(model))              # doctest: +SKIP
    """
    mesh = _settled(model).mesh
    axes = tuple(0 if name == axis else None for name in mesh.axes) or (None,)
    return signature(import_oneflow(), Layout(mesh.grid(0), axes))


def _settled(model: Any) -> Settled:
    settled = getattr(model, _SETTLED, None)
    if settled is None:
        raise UsageError("The model is not one that torch2flow.to_global made global.")
    assert isinstance(settled, Settled)
    return settled


def _tensors(model: Any) -> Iterator[tuple[dict[str, Any], str, str, Any]]:
    """Yields for each parameter and buffer: the dictionary that holds it, its key, its full name, and the tensor."""
    for prefix, module in model.named_modules():
        for holder in (module._parameters, module._buffers):
            for key, tensor in holder.items():
                if tensor is not None:
                    yield holder, key, f"{prefix}.{key}" if prefix else key, tensor


def _sizes(model: Any, homes: list[tuple[dict[str, Any], str, str, Any]]) -> dict[str, Sized]:
    first: dict[int, str] = {}
    sizes = {}
    for _, _, name, tensor in homes:
        if tensor.is_global:
            raise UsageError(
                f"The model is global already: {name} is.",
                maybe="Module.to_global was called on it, which makes shapes grow by the number of ranks",
                remedy="give torch2flow.to_global the local model",
            )
        dtype = find_dtype(str(tensor.dtype).removeprefix("oneflow."))  # `element_size` fails for bfloat16 in 0.9.0
        sizes[name] = Sized(tuple(tensor.shape), dtype.itemsize if dtype else 1, first.setdefault(id(tensor), name))
    if not sizes:
        raise UsageError(f"The model {type(model).__name__} has neither parameters nor buffers.")
    return sizes


def _placed(flow: Any, tensor: Any, layout: Layout) -> Any:
    """The global tensor in which each rank keeps its own block of its own values."""
    shape = tuple(tensor.shape)
    new = flow.empty(shape, dtype=tensor.dtype, **signature(flow, layout))
    block = layout.block(shape, flow.env.get_rank())
    if block is not None:
        own = tensor.detach()
        if not layout.is_whole:
            own = own[tuple(slice(a, b) for a, b in zip(*block, strict=True))]
        new.to_local().copy_(own)
    if not isinstance(tensor, flow.nn.Parameter):
        return new
    return flow.nn.Parameter(new, requires_grad=tensor.requires_grad)


def _wrap_forwards(flow: Any, model: Any, settled: Settled) -> None:
    """Wraps the `forward` of the largest modules that lie in one stage, so that tensors made there are global."""
    staged = list(_staged(flow, model, settled))
    for module, stage in staged:
        module.forward = _globally(flow, module.forward, settled.mesh, stage, moves=settled.mesh.stages > 1)
    if all(module is not model for module, _ in staged):
        model.forward = _explained(_globally(flow, model.forward, settled.mesh, 0, moves=False))


def _staged(flow: Any, model: Any, settled: Settled) -> Iterator[tuple[Any, int]]:
    """The largest modules that lie in one stage and have their own `forward`, with the number of the stage."""
    stages: dict[str, set[int]] = {}
    for name, stage in settled.stages.items():
        parts = name.split(".")
        for length in range(len(parts)):
            stages.setdefault(".".join(parts[:length]), set()).add(stage)
    done: set[int] = set()

    def visit(module: Any, path: str) -> Iterator[tuple[Any, int]]:
        if id(module) in done:
            return
        done.add(id(module))
        own = stages.get(path, set())
        if len(own) == 1 and not isinstance(module, flow.nn.ModuleList | flow.nn.ModuleDict):
            yield module, next(iter(own))
            return
        for name, child in module._modules.items():
            if child is not None:
                yield from visit(child, f"{path}.{name}" if path else name)

    yield from visit(model, "")


def _globally(flow: Any, forward: Callable[..., Any], mesh: Mesh, stage: int, *, moves: bool) -> Callable[..., Any]:
    place = signature(flow, Layout(mesh.grid(stage), (None,) * max(1, len(mesh.axes))))

    def move(leaf: Any) -> Any:
        if isinstance(leaf, flow.Tensor) and leaf.is_global and leaf.placement != place["placement"]:
            return leaf.to_global(placement=place["placement"], sbp=leaf.sbp)
        return leaf

    @functools.wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        if moves:
            args, kwargs = replaced((args, kwargs), move)
        with made_globally(flow, place):
            return forward(*args, **kwargs)

    return run


def _explained(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Says in words what it means when an operator gets tensors of two stages; OneFlow tells all ranks alike."""

    @functools.wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return forward(*args, **kwargs)
        except RuntimeError as error:
            if "same placement" not in str(error):
                raise
            raise UsageError(
                f"An operator gets tensors of two stages of the pipeline: {str(error).splitlines()[0]}",
                maybe="the plan divides a module that adds what went around a layer to what came out of it",
                remedy="list `stages` in the plan so that such a module lies in one stage",
            ) from error

    return run
