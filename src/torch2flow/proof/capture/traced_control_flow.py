"""Has PyTorch's control flow traced as the author wrote it: with the modules and the lines of each branch.

`torch.cond`, `while_loop`, `map` and `scan` hand their functions to a compiler first, whose graphs have lost which module
calls what. All do so through `torch._higher_order_ops.utils._hop_compile_and_call` (2.13); here the operator is called
as the compiler would, with what the functions read from outside as inputs. Where that can't be done, and in other
versions, PyTorch's own way is taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

Function = Callable[..., Any]


@contextlib.contextmanager
def traced_control_flow(torch: Any) -> Iterator[None]:
    """While this lasts, an export traces the functions of control flow directly."""
    try:
        utils = import_module(f"{torch.__name__}._higher_order_ops.utils")
        compiled = utils._hop_compile_and_call
    except (ImportError, AttributeError):
        yield  # an older PyTorch
        return

    def call(function: Function, args: Sequence[Any], kwargs: Any = None) -> Any:
        operator = _OPERATORS.get(function.__name__)
        if operator is not None and not kwargs:
            with contextlib.suppress(Exception):
                return operator(_Tracing(torch), *args)
        return compiled(function, args, kwargs)

    utils._hop_compile_and_call = call
    try:
        yield
    finally:
        utils._hop_compile_and_call = compiled


class _Tracing:
    """Traces one function after the other under the tracer of the moment."""

    def __init__(self, torch: Any) -> None:
        self.torch, self.pytree = torch, torch.utils._pytree
        self.proxies = import_module(f"{torch.__name__}.fx.experimental.proxy_tensor")
        self.operators = torch.ops.higher_order
        self.tree: Any = None

    def outside(self, functions: Sequence[Function], operands: Sequence[Any]) -> list[Any]:
        """The tensors that functions read and are not given, which a trial shows."""
        known = {id(each) for each in operands}
        found: dict[int, Any] = {}
        fake = import_module(f"{self.torch.__name__}._subclasses.fake_tensor").FakeTensor
        utils = import_module(f"{self.torch.__name__}._higher_order_ops.utils")
        for function in functions:
            with self.proxies.disable_proxy_modes_tracing():
                graph = utils.reenter_make_fx(function)(*operands)
            for node in graph.graph.nodes:
                value = getattr(graph, node.target, None) if node.op == "get_attr" else None
                if isinstance(value, fake) and value.constant is None and id(value) not in known:
                    found[id(value)] = value
        return list(found.values())

    def closed(self, function: Function, count: int, outside: Sequence[Any]) -> Function:
        """The function with what it reads from outside as further arguments; its result is flat."""

        def traced(*args: Any) -> Any:
            tracer = self.proxies._CURRENT_MAKE_FX_TRACER
            for value, given in zip(outside, args[count:], strict=True) if tracer is not None else ():
                slot = self.proxies.get_proxy_slot(given, tracer.fx_tracer, None)
                if slot is not None:
                    self.proxies.set_proxy_slot(value, tracer.fx_tracer, slot)
            return function(*args[:count])

        return traced

    def flat(self, function: Function) -> Function:
        """The function with a flat result; how to put it together is kept."""

        def flattened(*args: Any) -> Any:
            leaves, self.tree = self.pytree.tree_flatten(function(*args))
            return leaves

        return flattened


def _cond(tracing: _Tracing, pred: Any, yes: Function, no: Function, operands: Any) -> Any:
    leaves, tree = tracing.pytree.tree_flatten(tuple(operands))

    def called(function: Function) -> Function:
        return tracing.flat(lambda *args: function(*tracing.pytree.tree_unflatten(args, tree)))

    functions = [called(yes), called(no)]
    outside = tracing.outside(functions, leaves)
    yes, no = (tracing.closed(each, len(leaves), outside) for each in functions)
    results = tracing.operators.cond(pred, yes, no, (*leaves, *outside))
    return tracing.pytree.tree_unflatten(results, tracing.tree)


def _while_loop(tracing: _Tracing, test: Function, body: Function, carried: Any, additional: Any) -> Any:
    functions = [test, body]
    outside = tracing.outside(functions, carried)
    test, body = (tracing.closed(each, len(carried), outside) for each in functions)
    return tracing.operators.while_loop(test, body, tuple(carried), tuple(outside))


_OPERATORS: dict[str, Function] = {"_cond_op_wrapper": _cond, "_while_loop_op_wrapper": _while_loop}
