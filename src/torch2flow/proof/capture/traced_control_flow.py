"""Has PyTorch's control flow traced as the author wrote it: with the modules and the lines of each branch.

`torch.cond`, `while_loop`, `map` and `scan` hand their functions to a compiler first, whose graphs have lost which
module calls what; `associative_scan` is unrolled for the one length of the sample. Here the operators of that name are
called as the compiler would call them, with what the functions read from outside as further inputs. Where that can't be
done, and in versions that are built otherwise (`torch/_higher_order_ops/utils.py`, 2.13), PyTorch's own way is taken.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from torch2flow.runtime.replaced_attributes import replaced_attributes

Function = Callable[..., Any]
NAME = "torch2flow name"
"""What the author calls an input of an inner graph."""


@contextlib.contextmanager
def traced_control_flow(torch: Any) -> Iterator[None]:
    """While this lasts, an export traces the functions of control flow directly."""
    try:
        utils: Any = import_module(f"{torch.__name__}._higher_order_ops.utils")
        scans: Any = import_module(f"{torch.__name__}._higher_order_ops.associative_scan")
        compiled, unrolled = utils._hop_compile_and_call, scans.generic_associative_scan
    except (ImportError, AttributeError):
        yield  # an older PyTorch
        return

    def call(function: Function, args: Sequence[Any], kwargs: Any = None) -> Any:
        operator = _OPERATORS.get(function.__name__)
        if operator is not None and not kwargs:
            with contextlib.suppress(Exception):
                return operator(_Tracing(torch), function, *args)
        return compiled(function, args, kwargs)

    def scan(combine: Any, leaves: Any, dim: int = 0, additional_inputs: Any = ()) -> Any:
        with contextlib.suppress(Exception):
            return _associative_scan(_Tracing(torch), combine, leaves)
        return unrolled(combine, leaves, dim, additional_inputs)

    with replaced_attributes((utils, "_hop_compile_and_call", call), (scans, "generic_associative_scan", scan)):
        yield


class _Tracing:
    """Traces the functions of one operator under the tracer of the moment."""

    def __init__(self, torch: Any) -> None:
        self.torch, self.pytree, self.operators = torch, torch.utils._pytree, torch.ops.higher_order
        self.proxies = import_module(f"{torch.__name__}.fx.experimental.proxy_tensor")
        self.utils = import_module(f"{torch.__name__}._higher_order_ops.utils")
        self.tree: Any = None

    def outside(self, functions: Sequence[Function], operands: Sequence[Any], slices: Sequence[Any] = ()) -> list[Any]:
        """The tensors that functions read and are not given, as a trial shows.

        Args:
            functions: what is tried.
            operands: what they are given.
            slices: of these they are given the first slice of each.
        """
        found: dict[int, Any] = {}
        with self.proxies.disable_proxy_modes_tracing():
            given = [*(each.clone() for each in operands), *map(self.utils.first_slice_copy, slices)]
            graphs = [self.utils.reenter_make_fx(function)(*given) for function in functions]
        for graph in graphs:
            for node in graph.graph.nodes:
                value = getattr(graph, node.target, None) if node.op == "get_attr" else None
                if isinstance(value, self.torch.Tensor) and self._is_of_program(value):
                    found[id(value)] = value
        return list(found.values())

    def _is_of_program(self, value: Any) -> bool:
        """Whether a tensor is one of the program, and not a literal in the function."""
        tracer = self.proxies._CURRENT_MAKE_FX_TRACER
        while tracer is not None:
            if self.proxies.get_proxy_slot(value, tracer.fx_tracer, None) is not None:
                return True
            tracer = tracer.parent_tracer
        return False

    def closed(self, function: Function, count: int, outside: Sequence[Any], named: Function | None = None) -> Function:
        """The function with what it reads from outside as further arguments, and with a flat result.

        Args:
            function: what is traced.
            count: how many arguments it has.
            outside: what it reads from outside.
            named: the author's function, of which each parameter is one of the first arguments.
        """
        names = _parameters(named, count) if named is not None else []

        def traced(*args: Any) -> Any:
            tracer = self.proxies._CURRENT_MAKE_FX_TRACER
            for value, given in zip(outside, args[count:], strict=True) if tracer is not None else ():
                slot = self.proxies.get_proxy_slot(given, tracer.fx_tracer, None)
                if slot is not None:
                    self.proxies.set_proxy_slot(value, tracer.fx_tracer, slot)
            for name, given in zip(names, args, strict=False) if tracer is not None else ():
                slot = self.proxies.get_proxy_slot(given, tracer.fx_tracer, None)
                if slot is not None:
                    slot.proxy.node.meta[NAME] = name
            result, self.tree = self.pytree.tree_flatten(function(*args[:count]))
            return tuple(result)

        return traced


def _parameters(function: Function, count: int) -> list[str]:
    """The names of a function's parameters, where there are just so many."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []
    return names if len(names) == count else []


def _cond(tracing: _Tracing, _: Any, test: Any, yes: Function, no: Function, operands: Any) -> Any:
    leaves, tree = tracing.pytree.tree_flatten(tuple(operands))

    def given_leaves(function: Function) -> Function:
        return lambda *args: function(*tracing.pytree.tree_unflatten(args, tree))

    functions = [given_leaves(yes), given_leaves(no)]
    outside = tracing.outside(functions, leaves)
    branches = (tracing.closed(each, len(leaves), outside) for each in functions)
    results = tracing.operators.cond(test, *branches, (*leaves, *outside))
    return tracing.pytree.tree_unflatten(results, tracing.tree)


def _while_loop(tracing: _Tracing, _: Any, test: Function, body: Function, carried: Any, __: Any) -> Any:
    """A number that is carried becomes a tensor: PyTorch has no place for a number in the file."""
    carried = [tracing.torch.tensor(each) if type(each) is int else each for each in carried]
    outside = tracing.outside([test, body], carried)

    def tested(*args: Any) -> Any:
        return tracing.closed(test, len(carried), outside)(*args)[0]

    body = tracing.closed(body, len(carried), outside, inspect.getclosurevars(body).nonlocals.get("body_fn"))
    return tracing.operators.while_loop(tested, body, tuple(carried), tuple(outside))


def _scan(tracing: _Tracing, _: Any, combine: Function, first: Any, over: Any) -> Any:
    outside = tracing.outside([combine], first, over)
    named = getattr(combine, "keywords", {}).get("combine_fn")
    combine = tracing.closed(combine, len(first) + len(over), outside, named)
    results = tracing.operators.scan(combine, list(first), list(over), tuple(outside))
    return tracing.pytree.tree_unflatten(results, tracing.tree)


def _map(tracing: _Tracing, function: Function, mapped: Function, over: Any, operands: Any) -> Any:
    trees = inspect.getclosurevars(function).nonlocals

    def given_leaves(*args: Any) -> Any:
        first = tracing.pytree.tree_unflatten(args[: len(over)], trees["xs_spec"])
        return mapped(first, *tracing.pytree.tree_unflatten(args[len(over) :], trees["args_spec"]))

    def ordered(*args: Any) -> Any:  # the slices come last in a trial
        return given_leaves(*args[len(operands) :], *args[: len(operands)])

    outside = tracing.outside([ordered], operands, over)
    closed = tracing.closed(given_leaves, len(over) + len(operands), outside)
    results = tracing.operators.map_impl(closed, list(over), [*operands, *outside])
    return tracing.pytree.tree_unflatten(results, tracing.tree)


def _associative_scan(tracing: _Tracing, combine: Any, over: Any) -> Any:
    """`combine` holds the author's function, which PyTorch maps over a dimension it adds: here it is called alone."""
    mapped = combine.keywords["combine_fn"]
    original = inspect.getclosurevars(mapped).nonlocals["func"]
    combine = type(combine)(combine.func, **{**combine.keywords, "combine_fn": original})
    outside = tracing.outside([combine], [], [*over, *over])
    closed = tracing.closed(combine, 2 * len(over), outside)
    return list(tracing.operators.associative_scan(closed, list(over), tuple(outside)))


_OPERATORS: dict[str, Function] = {
    "_cond_op_wrapper": _cond,
    "_while_loop_op_wrapper": _while_loop,
    "run_flattened_scan": _scan,
    "run_flattened_map": _map,
}
