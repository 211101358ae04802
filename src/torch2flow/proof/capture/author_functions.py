"""Records the backward of each `torch.autograd.Function` of the author's while `torch.export` traces.

PyTorch's tracer runs through `forward` and never sees `backward`. Here `apply` notes which calls of the program
`forward` made and what it kept on its context, and traces `backward` as a graph of its own, which is given the
gradients of the outputs and then what was kept. The program stays as PyTorch makes it; the rest goes into the facts of
the file.

A backward that can't be traced so (it takes a gradient itself, it writes into what it is given, it reads what it is not
given) is left out, and the capture tells that it is lost.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from torch2flow.proof.capture.borders import Borders, Row
from torch2flow.runtime.replaced_attributes import replaced_attributes

_SAVED = "saved tensors"

OwnApply = Callable[[Any], Any]
"""Gives a class's own `apply`."""


class SavedContext:
    """Stands for PyTorch's context of one call, in the trace of its backward."""

    def __init__(self, needs_input_grad: tuple[bool, ...], held: dict[str, Any]) -> None:
        self.needs_input_grad = needs_input_grad
        self.saved_tensors = self.saved_variables = tuple(held.pop(_SAVED))
        vars(self).update(held)


@contextlib.contextmanager
def recorded_functions(torch: Any, borders: Borders) -> Iterator[None]:
    """While this lasts, an export records the author's functions with their backward; not with an older PyTorch."""
    try:
        get_proxy_mode = import_module(f"{torch.__name__}.fx.experimental.proxy_tensor").get_proxy_mode
    except (ImportError, AttributeError):
        yield
        return

    def recorded(cls: Any, own: OwnApply, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tracer = getattr(get_proxy_mode(), "tracer", None)
        if kwargs or tracer is None or tracer is not borders.trace.tracer:
            return own(cls)(*args, **kwargs)
        return _Recorded(torch, cls, args, borders).run(own)

    with functions_through(torch, recorded):
        yield


def functions_through(
    torch: Any, call: Callable[[Any, OwnApply, tuple[Any, ...], dict[str, Any]], Any]
) -> contextlib.AbstractContextManager[None]:
    """While this lasts, each `apply` of an author's `torch.autograd.Function` is made by `call`.

    Args:
        torch: the module `torch`.
        call: is given the class, what gives a class's own `apply`, and the arguments.
    """
    base = torch.autograd.Function
    original = inspect.getattr_static(base, "apply")  # of Python from 2.0 on, of C before, and again from 2.14 on

    def own(cls: Any) -> Any:
        return original.__get__(None, cls)

    def apply(cls: Any, /, *args: Any, **kwargs: Any) -> Any:
        return call(cls, own, args, kwargs) if is_authors(cls) else own(cls)(*args, **kwargs)

    return replaced_attributes((base, "apply", classmethod(apply)))


def is_authors(cls: Any) -> bool:
    """Whether a function is none of PyTorch's own."""
    return not cls.__module__.startswith("torch.")


class _Recorded:
    """One call of an author's function."""

    def __init__(self, torch: Any, cls: Any, args: tuple[Any, ...], borders: Borders) -> None:
        self.torch, self.cls, self.args, self.trace = torch, cls, args, borders.trace
        self.pytree = torch.utils._pytree
        self.held: dict[str, Any] | None = None
        self.without_gradient: tuple[Any, ...] = ()

    def run(self, own: OwnApply) -> Any:
        """Calls the function, and records what it can."""
        nodes = self.trace.tracer.graph.nodes
        last = next(reversed(nodes), None)
        result = own(self._watched())(*self.args)
        made: list[Any] = []
        for node in reversed(nodes):
            if node is last:
                break
            made.insert(0, node)
        row: Row = {"name": self.cls.__name__, "path": self.trace.path()}
        with contextlib.suppress(Exception):  # its backward is lost
            row |= self._row(result, made)
        self.trace.functions.append(row)
        return result

    def _watched(self) -> Any:
        """The author's class, of which what the context holds is noted when `forward` is done."""
        cls, given = self.cls, {"__module__": self.cls.__module__, "__qualname__": self.cls.__qualname__}
        with_setup = cls.setup_context is not self.torch.autograd.Function.setup_context

        def done(ctx: Any) -> None:
            if not ctx.dirty_tensors:
                self.held = {**vars(ctx), _SAVED: ctx.to_save or ()}
                self.without_gradient = ctx.non_differentiable or ()

        def forward(ctx: Any, *args: Any) -> Any:
            result = cls.forward(ctx, *args)
            done(ctx)
            return result

        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            cls.setup_context(ctx, inputs, output)
            done(ctx)

        method = setup_context if with_setup else forward
        return type(cls.__name__, (cls,), {**given, method.__name__: staticmethod(method)})

    def _row(self, result: Any, nodes: list[Any]) -> Row:
        """What is recorded of the call.

        Raises:
            Exception: its backward can't be traced.
        """
        tensor = self.torch.Tensor
        if self.held is None:
            raise NotImplementedError("an input is written")
        outputs = list(result) if isinstance(result, tuple) else [result]
        places = [place for place, each in enumerate(self.args) if isinstance(each, tensor)]
        leaves, tree = self.pytree.tree_flatten(self.held)
        kept = [each for each in leaves if isinstance(each, tensor)]
        held = {id(each) for each in (*kept, *outputs)}
        kept += [each for each in map(self.args.__getitem__, places) if id(each) not in held]  # for their sizes
        graph = self._backward(outputs, kept, (leaves, tree), places)
        without = {id(each) for each in self.without_gradient}
        differentiable = [id(each) not in without and each.is_floating_point() for each in outputs]
        return {
            "nodes": [self.trace.mark(node) for node in nodes],
            "inputs": [self.trace.tensor(self.args[place]) for place in places],
            "outputs": [self.trace.tensor(each) for each in outputs],
            "differentiable": differentiable,
            "is_tuple": isinstance(result, tuple),
            "saved": [self.trace.tensor(each) for each in kept],
            "parameters": _parameters(self.cls, self.args, places),
            "gradients": _gradients(self.cls, len(outputs)),
            "lines": _lines(self.torch),
            "backward": graph,
        }

    def _backward(self, outputs: Sequence[Any], kept: list[Any], held: tuple[list[Any], Any], places: list[int]) -> Any:
        """The graph of `backward`: from the gradients and what was kept to the gradients of the tensors given."""
        proxies = import_module(f"{self.torch.__name__}.fx.experimental.proxy_tensor")
        reenter = import_module(f"{self.torch.__name__}._higher_order_ops.utils").reenter_make_fx
        needed = tuple(isinstance(each, self.torch.Tensor) and each.is_floating_point() for each in self.args)
        leaves, tree = held

        def backward(*values: Any) -> Any:
            gradients, rest = values[: len(outputs)], iter(values[len(outputs) :])
            given = [next(rest) if isinstance(each, self.torch.Tensor) else each for each in leaves]
            found = self.cls.backward(SavedContext(needed, self.pytree.tree_unflatten(given, tree)), *gradients)
            found = tuple(found) if isinstance(found, tuple | list) else (found,)
            return tuple(found[place] for place in places)

        with proxies.disable_proxy_modes_tracing():
            graph = reenter(backward)(*(each.detach().clone() for each in (*outputs, *kept)))
        self._write_literals(graph)
        for node in graph.graph.nodes:
            node.meta["nn_module_stack"] = {key: (key, "") for key in self.trace.tracer.module_stack}
        return graph

    def _write_literals(self, graph: Any) -> None:
        """Has a number that `backward` writes out (`gradient[x < 0] = 0`) made there: such a graph holds no tensors.

        Raises:
            NotImplementedError: it reads a tensor that it is not given.
        """
        proxies = import_module(f"{self.torch.__name__}.fx.experimental.proxy_tensor")
        unset_fake_temporarily = import_module(f"{self.torch.__name__}._subclasses.fake_tensor").unset_fake_temporarily
        for node in [node for node in graph.graph.nodes if node.op == "get_attr"]:
            value = getattr(graph, node.target)
            if hasattr(value, "fake_mode") or not isinstance(value, self.torch.Tensor) or value.numel() != 1:
                raise NotImplementedError("it reads what it is not given")
            with unset_fake_temporarily(), proxies.disable_proxy_modes_tracing():
                number = value.item()
            with graph.graph.inserting_before(node):
                given = (list(value.shape), number)
                options = {"dtype": value.dtype, "device": value.device}
                made = graph.graph.call_function(self.torch.ops.aten.full.default, given, options)
            made.meta = dict(node.meta)
            mode = next(each.meta["val"].fake_mode for each in graph.graph.nodes if each.op == "placeholder")
            made.meta["val"] = mode.from_tensor(value, static_shapes=True)
            node.replace_all_uses_with(made)
            graph.graph.erase_node(node)
        graph.recompile()


def written(torch: Any, program: Any, rows: list[Row]) -> list[Row]:
    """The functions of a program as plain data: their graphs as PyTorch writes one that lies in another."""
    found = []
    for row in rows:
        graph = row.pop("backward", None)
        with contextlib.suppress(Exception):  # its backward is lost
            serialize = import_module(f"{torch.__name__}._export.serde.serialize")
            writer = serialize.GraphModuleSerializer(program.graph_signature, program.module_call_graph)
            row["backward"] = json.loads(serialize._to_json_bytes(writer.serialize_graph(graph)))
        found.append(row)
    return found


def _parameters(cls: Any, args: tuple[Any, ...], places: list[int]) -> list[str]:
    """What the author calls the tensors that `forward` is given, as far as that is known."""
    names = list(inspect.signature(cls.forward).parameters)
    names = names[len(names) - len(args) :] if len(names) in (len(args), len(args) + 1) else []
    return [names[place] for place in places] if names else []


def _gradients(cls: Any, count: int) -> list[str]:
    """What the author calls the gradients that `backward` is given, as far as that is known."""
    parameters = list(inspect.signature(cls.backward).parameters.values())[1:]
    plain = all(each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters)
    return [each.name for each in parameters] if plain and len(parameters) == count else []


def _lines(torch: Any) -> list[list[list[Any]]]:
    """The author's lines that led to the call, within the `forward` of each module."""
    root, own = f"{Path(torch.__file__).parent}{os.sep}", Path(__file__).parent
    levels: list[list[list[Any]]] = []
    for each in traceback.extract_stack():
        if each.filename.startswith(root) or Path(each.filename).parent == own:
            continue
        if each.name == "forward":
            levels.append([])
        if levels:
            levels[-1].append([Path(each.filename).name, each.lineno, each.name, each.line or ""])
    return levels
