"""Exports a module by `torch.export`, with named axes as dynamic dimensions.

First as asked: one `Dim` for each name. Where PyTorch refuses that, because the model limits or fixes a size or
relates two, once more as PyTorch then suggests, and at last with `Dim.AUTO`, which finds out what each axis can be.
What became of each is told.
"""

from __future__ import annotations

import base64
import contextlib
import inspect
import io
import math
import operator
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch2flow.checkpoints.pytorch.pt2 import is_program
from torch2flow.errors import InstallationError, UsageError
from torch2flow.proof.capture.author_functions import recorded_functions, written
from torch2flow.proof.capture.axes import Dynamic
from torch2flow.proof.capture.borders import recorded_borders
from torch2flow.proof.capture.inner_graphs import complete_inner_graphs
from torch2flow.proof.capture.lines import all_source_lines
from torch2flow.proof.capture.reasons import essence
from torch2flow.proof.capture.runtime import version_of
from torch2flow.proof.capture.torch_layers import exportable_layers
from torch2flow.proof.capture.traced_control_flow import traced_control_flow
from torch2flow.runtime.replaced_attributes import replaced_attributes


@dataclass
class Axis:
    """A named axis: its size in the sample, whether it stayed dynamic, and between which sizes.

    Attributes:
        places: where it is, in words.
        values: where it is in the program: the name of an input, and the number of the axis.
    """

    name: str
    size: int
    dynamic: bool = True
    low: int | None = None
    high: int | None = None
    relation: str = ""
    places: list[str] = field(default_factory=list)
    values: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Exported:
    """The program, what became of the named axes, what crosses the borders of its modules (`borders.py`), and the
    author's functions with a backward of their own (`author_functions.py`)."""

    program: Any
    axes: dict[str, Axis]
    notes: list[str]
    borders: list[dict[str, Any]] = field(default_factory=list)
    functions: list[dict[str, Any]] = field(default_factory=list)


def export(torch: Any, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], dynamic: Dynamic) -> Exported:
    """Exports `module` as it is called with these inputs.

    Raises:
        UsageError: `forward` does not take such inputs.
        InstallationError: this PyTorch is too old for dynamic axes.
        Exception: whatever PyTorch raises where it can't export.
    """
    bind(module, args, kwargs)
    with recorded_borders(torch) as borders, recorded_functions(torch, borders):
        exported = _attempts(torch, module, args, kwargs, dynamic)
    if any(_is_of_vmap(node) for node in exported.program.graph.nodes):
        # Operators on one sample each, with a mark around them; decomposed, they are operators on all.
        exported.program = exported.program.run_decompositions({})
        return exported  # the names of values are others now than in the borders
    with contextlib.suppress(Exception):
        exported.borders, functions = borders.finish(exported.program)
        exported.functions = written(torch, exported.program, functions)
    complete_inner_graphs(torch, exported.program)
    return exported


LARGEST_CONSTANTS = 1 << 20
"""Bytes of the constants that only the program of the other mode has, as text in its file."""


def program_alone(torch: Any, program: Any, beside: Any) -> tuple[str, dict[str, Any]]:
    """A program as PyTorch writes it, without its weights: those lie in the file of another program of the same model.

    Args:
        torch: the module `torch`.
        program: which loses its weights.
        beside: the other program.

    Returns:
        The program, and the constants that the other one does not hold, as plain data.

    Raises:
        ValueError: there is a constant that is no tensor, or too large for that.
        Exception: whatever PyTorch raises where it can't write it.
    """
    own = {}
    for name, value in program.constants.items():
        if not isinstance(value, torch.Tensor):
            raise ValueError(f"the constant {name} is a {type(value).__name__}")
        same = beside.constants.get(name)
        if not (isinstance(same, torch.Tensor) and same.dtype is value.dtype and torch.equal(value, same)):
            own[name] = as_plain_data(torch, value)
    if sum(len(each["data"]) for each in own.values()) > LARGEST_CONSTANTS:
        raise ValueError(f"constants such as {next(iter(own))} are too large to be written beside it")
    leave_out_values(torch, program)
    program.constants.update({name: _without_values(torch, value) for name, value in program.constants.items()})
    written = io.BytesIO()
    torch.export.save(program, written)
    with zipfile.ZipFile(written) as archive:
        (name,) = (name for name in archive.namelist() if is_program(name))
        return archive.read(name).decode(), own


def as_plain_data(torch: Any, value: Any) -> dict[str, Any]:
    """A tensor with its dtype, its shape, and its bytes in base64."""
    flat = value.detach().cpu().contiguous().resolve_conj().resolve_neg().reshape(-1)
    data = flat.view(torch.uint8).numpy().tobytes() if value.numel() else b""
    dtype, shape = str(value.dtype).removeprefix("torch."), list(value.shape)
    return {"dtype": dtype, "shape": shape, "data": base64.b64encode(data).decode()}


def leave_out_values(torch: Any, program: Any) -> None:
    """Takes the values of its weights from a program, which keeps its constants."""
    weights = program.state_dict
    weights.update({name: _without_values(torch, value) for name, value in weights.items()})


def _without_values(torch: Any, tensor: Any) -> Any:
    """A tensor of the same kind that holds no values: PyTorch checks that there is one."""
    empty = tensor.detach().to("meta")
    return torch.nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else empty


def _is_of_vmap(node: Any) -> bool:
    return str(getattr(node.target, "__module__", "")).startswith("torch._functorch.predispatch")


def _attempts(torch: Any, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], dynamic: Dynamic) -> Exported:
    """Exports as asked for; where PyTorch refuses the dynamic axes, as it suggests, and then with `Dim.AUTO`."""
    if not dynamic:
        return Exported(_export(torch, module, args, kwargs, None), {}, [])
    if not hasattr(torch.export, "Dim") or "dynamic_shapes" not in inspect.signature(torch.export.export).parameters:
        raise InstallationError(
            f"This PyTorch is {torch.__version__}, and dynamic axes begin with 2.2.",
            remedy="update it, or write sizes in place of names in --input",
        )
    named = {name: torch.export.Dim(name) for axes in dynamic.values() for name in axes.values()}
    notes: list[str] = []
    said, automatic = "", None
    with _keywords_by_name(module, bind(module, args, kwargs)):
        bound = bind(module, args, kwargs)
        shapes = _shapes(bound, args, kwargs, dynamic, named)
        try:
            program = _export(torch, module, args, kwargs, shapes)
        except Exception as error:
            program = _export_as_suggested(torch, module, args, kwargs, shapes, error)
            if program is None:
                automatic = getattr(torch.export.Dim, "AUTO", None)
                if automatic is None:
                    raise
                shapes = _shapes(bound, args, kwargs, dynamic, dict.fromkeys(named, automatic))
                program = _export(torch, module, args, kwargs, shapes)
            said = f"not every named axis is free here. PyTorch says: {' '.join(essence(error).split())}"
    axes = _outcome(torch, program, args, kwargs, dynamic)
    if said and (automatic or any(axis.relation or not axis.dynamic for axis in axes.values())):
        notes.append(said)
    notes += [f"the axis {axis.name} became static: {axis.size}" for axis in axes.values() if not axis.dynamic]
    notes += [f"the axis {axis.name} is {axis.relation}" for axis in axes.values() if axis.relation]
    return Exported(program, axes, notes)


def bind(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
    """Which input goes to which argument of `forward`.

    Raises:
        UsageError: it does not take them.
    """
    signature = inspect.signature(module.forward)
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(
            f"forward does not take these inputs: {error}.",
            where=f"{type(module).__name__}.forward{signature}",
            remedy="give one --input for each argument, in order, or NAME=... for a keyword",
        ) from None


@contextlib.contextmanager
def _keywords_by_name(module: Any, bound: inspect.BoundArguments) -> Iterator[None]:
    """A signature of `forward` without `**kwargs`: torch 2.13 counts those twice when it matches dynamic axes."""
    parameters = bound.signature.parameters.values()
    variadic = [parameter for parameter in parameters if parameter.kind is parameter.VAR_KEYWORD]
    if not variadic or not bound.arguments.get(variadic[0].name):
        yield
        return
    original = module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    given = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in bound.arguments[variadic[0].name]]
    others = [parameter for parameter in parameters if parameter not in variadic]
    forward.__signature__ = inspect.Signature([*others, *given])  # type: ignore[attr-defined]
    with replaced_attributes((module, "forward", forward)):
        yield


def _export(torch: Any, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], shapes: Any) -> Any:
    options: dict[str, Any] = {"dynamic_shapes": shapes} if shapes is not None else {}
    if version_of(torch) >= (2, 5):
        options["strict"] = False  # the default from 2.9 on: runs the model's own Python, and takes more models
    with (
        _silent(),
        fast_paths_off(torch),
        all_source_lines(torch),
        exportable_layers(torch),
        traced_control_flow(torch),
        _data_traced(torch),
        _distributions_unchecked(torch),
    ):
        program = torch.export.export(module, args, kwargs or None, **options)
    _write_rounding_as_division(program.graph)
    return program


def _write_rounding_as_division(graph: Any) -> None:
    """Makes `math.ceil(size / 4)` the division `(size + 3) // 4`: PyTorch can export the first, but not save it."""
    for node in graph.nodes:
        above: Any = node.args[0] if node.target in (math.ceil, math.floor) else None
        if getattr(above, "target", None) is not operator.truediv:
            continue
        size, divisor = above.args
        if node.target is math.ceil:
            with graph.inserting_before(node):
                for function, added in ((operator.add, divisor), (operator.sub, 1)):
                    known = function(_size(size), _size(added))
                    size = graph.call_function(function, (size, added))
                    size.meta = {**node.meta, "val": known}
        node.target, node.args = operator.floordiv, (size, divisor)
        if not above.users:
            graph.erase_node(above)


def _size(value: Any) -> Any:
    return value.meta["val"] if hasattr(value, "meta") else value


def _export_as_suggested(
    torch: Any, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], shapes: Any, error: Exception
) -> Any:
    """Exports once more with the ranges and relations that PyTorch's refusal suggests; None if that fails too."""
    refine = getattr(torch.export.dynamic_shapes, "refine_dynamic_shapes_from_suggested_fixes", None)
    if refine is None or "Suggested fixes" not in str(error):
        return None
    try:
        return _export(torch, module, args, kwargs, refine(str(error), shapes))
    except Exception:
        return None


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """PyTorch prints the graph so far where it gives up."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _data_traced(torch: Any) -> contextlib.AbstractContextManager[None]:
    """`tensor.data`, which PyTorch's tracer takes for a constant, is `tensor.detach()`: the same values and memory."""
    original = torch.Tensor.data

    def given(tensor: Any, value: Any) -> None:
        if isinstance(tensor, torch._subclasses.FakeTensor) and tensor.shape == value.shape:
            tensor.detach().copy_(value)
        else:
            original.__set__(tensor, value)

    return replaced_attributes((torch.Tensor, "data", property(lambda tensor: tensor.detach(), given)))


@contextlib.contextmanager
def _distributions_unchecked(torch: Any) -> Iterator[None]:
    """`torch.distributions` checks what it is given by the values, which no program can; it computes nothing by it."""
    kind = torch.distributions.Distribution
    before = kind._validate_args
    kind.set_default_validate_args(False)
    try:
        yield
    finally:
        kind.set_default_validate_args(before)


@contextlib.contextmanager
def fast_paths_off(torch: Any) -> Iterator[None]:
    """Attention layers compute by their own modules and not by one fused operator, as they do in training."""
    mha = getattr(torch.backends, "mha", None)
    if mha is None:
        yield
        return
    before = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        mha.set_fastpath_enabled(before)


def _shapes(
    bound: inspect.BoundArguments,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    dynamic: Dynamic,
    dims: dict[str, Any],
) -> dict[str, Any]:
    """`dynamic_shapes`, in the form of the bound arguments: `*args` as a tuple."""

    def shape(key: int | str) -> Any:
        value = args[key] if isinstance(key, int) else kwargs[key]
        if key in dynamic:
            return _nested(value, {axis: dims[name] for axis, name in dynamic[key].items()})
        return _nested(value, None)

    shapes: dict[str, Any] = {}
    position = 0
    for name in bound.arguments:
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            shapes[name] = tuple(shape(number) for number in range(position, len(args)))
        elif name in kwargs:
            shapes[name] = shape(name)
        else:
            shapes[name] = shape(position)
            position += 1
    return shapes


def _nested(value: Any, of_each: Any) -> Any:
    """The same dynamic axes for each tensor in it, in the form of the value."""
    if isinstance(value, list | tuple):
        return type(value)(_nested(part, of_each) for part in value) if type(value) in (list, tuple) else None
    return {key: _nested(part, of_each) for key, part in value.items()} if type(value) is dict else of_each


def _outcome(
    torch: Any, program: Any, args: tuple[Any, ...], kwargs: dict[str, Any], dynamic: Dynamic
) -> dict[str, Axis]:
    """What the program says of each named axis: free, related to another, or static."""
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    users = list(program.graph_signature.user_inputs)
    axes: dict[str, Axis] = {}
    number = 0
    for key, value in [*enumerate(args), *kwargs.items()]:
        leaves, _ = torch.utils._pytree.tree_flatten(value)
        for offset, leaf in enumerate(leaves):
            user = users[number + offset] if number + offset < len(users) else None
            meta = nodes[user].meta.get("val") if isinstance(user, str) and user in nodes else None
            for where, name in dynamic.get(key, {}).items():  # type: ignore[call-overload]
                axis = axes.setdefault(name, Axis(name, int(leaf.shape[where])))
                place = f"input.{key} axis {where}"
                if place not in axis.places:
                    axis.places.append(place)
                if isinstance(user, str) and meta is not None and len(meta.shape) == leaf.dim():
                    axis.values.append((user, where))
                    _judge(torch, axis, meta.shape[where], program.range_constraints)
        number += len(leaves)
    return axes


def _judge(torch: Any, axis: Axis, size: Any, ranges: Any) -> None:
    """Static, free within a range, or an expression of other axes."""
    expression = size.node.expr if isinstance(size, torch.SymInt) else None
    if expression is None or expression.is_number:
        axis.dynamic = False
        return
    if expression.is_Symbol:
        bounds = ranges.get(expression)
        if bounds is not None:
            axis.low, axis.high = _bound(bounds.lower), _bound(bounds.upper)
    else:
        axis.relation = str(expression)


def _bound(value: Any) -> int | None:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError, AttributeError):
        return None  # infinity
    return number if abs(number) < 2**31 else None
