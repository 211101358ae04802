"""What calls become that compute the same on pairs: the operator, and its arguments; see `complex_numbers.py`.

A row that returns `complex.NAME` leaves the call to the rule of that name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch2flow.models.program.complex_call import Arguments, ComplexCall
from torch2flow.models.program.graph import Dtype, Ref

Changed = tuple[str, Arguments]
Change = Callable[[ComplexCall], Changed]
_MISSING: Any = object()


def _by_rule(call: ComplexCall) -> Changed:
    return f"complex.{call.name}", call.given


def _unchanged(call: ComplexCall) -> Changed:
    """What computes nothing, and is left out later."""
    return call.node.operator, call.given


def _on_pairs(call: ComplexCall) -> Changed:
    """The same call, where what it changes is complex, and what it gives."""
    if not call.is_complex(next(iter(call.given.values()), None)) or not call.gives_complex:
        return _by_rule(call)
    return f"aten.{call.name}", call.given


def _from_front(value: Any, rank: int) -> Any:
    return [each % rank for each in value] if isinstance(value, list) else value % rank


def _moves(
    dims: dict[str, Any] | None = None, *, more: int = 0, sizes: str = "", pairs: tuple[str, ...] = ()
) -> Change:
    """What only moves elements.

    Args:
        dims: the arguments that are dimensions, with their defaults; `_MISSING` where there is none.
        more: how many dimensions the result has more.
        sizes: the argument that is a size for each dimension.
        pairs: the arguments whose elements go into the result.
    """

    def change(call: ComplexCall) -> Changed:
        given, rank = call.given, call.rank + more
        if dims and rank == 0:
            return _by_rule(call)
        for name, default in (dims or {}).items():
            if given.get(name, default) in (None, _MISSING):
                return _by_rule(call)
            given[name] = _from_front(given.get(name, default), rank)
        if sizes and sizes not in given:
            return _by_rule(call)
        if sizes:
            given[sizes] = [*given[sizes], 1 if sizes == "repeats" else 2]
        for name in pairs:
            given[name] = call.pair(given[name])
            if not isinstance(given[name], Ref | list):
                return _by_rule(call)
        return (f"aten.{call.name}", given) if pairs and pairs[0] in ("tensors", "self") else _on_pairs(call)

    return change


def _created(call: ComplexCall) -> Changed:
    return f"aten.{call.name}", {**call.given, "size": [*call.given["size"], 2]}


def _filled(call: ComplexCall) -> Changed:
    """`ones` and `full`, also those that are like another tensor."""
    value = call.given.get("fill_value", 1)
    if not isinstance(value, int | float | complex):
        return _by_rule(call)
    if "size" in call.given:
        return "complex.full.of_real", {"size": call.given["size"], "fill_value": value}
    return "complex.full_like.default", {"self": call.pair(call.given["self"]), "fill_value": value}


def _filled_in_place(call: ComplexCall) -> Changed:
    value = call.given["value"]
    if isinstance(value, Ref):
        return "aten.fill.Tensor", {**call.given, "value": call.pair(value)}
    return _by_rule(call)


def _in_front(**dims: int) -> Change:
    """An operator on the last dimensions: it gets pairs with the two parts in front; `dims` have defaults."""

    def change(call: ComplexCall) -> Changed:
        given, rank = call.given, call.rank
        name = next(iter(given))
        if not call.is_complex(given[name]):
            return _by_rule(call)
        for each, default in dims.items():
            given[each] = given.get(each, default) % rank + 1
        shape = call.metas[given[name].name].shape
        turned = {"self": given[name], "source": [rank], "destination": [0]}
        given[name] = call.made("aten.movedim.intlist", turned, (shape[-1], *shape[:-1]), call.dtype)
        result = call.metas[call.node.outputs[0]].shape
        node = f"aten.{call.name}.{call.node.overload}"
        made = call.made(node, given, (result[-1], *result[:-1]), call.dtype)
        return "aten.movedim.intlist", {"self": made, "source": [0], "destination": [len(result) - 1]}

    return change


def _permute(call: ComplexCall) -> Changed:
    rank = call.rank
    return "aten.permute.default", {**call.given, "dims": [*_from_front(call.given["dims"], rank), rank]}


def _turned(call: ComplexCall) -> Changed:
    """`t`, `numpy_T` and `mT`: `transpose`, or nothing."""
    rank = call.rank
    if rank < 2:
        return "aten.alias.default", call.given
    if call.name == "numpy_T":
        return "aten.permute.default", {**call.given, "dims": [*range(rank)[::-1], rank]}
    return "aten.transpose.int", {**call.given, "dim0": rank - 2, "dim1": rank - 1}


def _adjoint(call: ComplexCall) -> Changed:
    value, rank = call.given["self"], call.rank
    shape = list(call.metas[value.name].shape)
    shape[rank - 2], shape[rank - 1] = shape[rank - 1], shape[rank - 2]
    arguments = {"self": value, "dim0": rank - 2, "dim1": rank - 1}
    return "complex.conj.default", {"self": call.made("aten.transpose.int", arguments, tuple(shape), call.dtype)}


def _ravel(call: ComplexCall) -> Changed:
    return "aten.reshape.default", {"self": call.given["self"], "shape": [-1, 2]}


def _tile(call: ComplexCall) -> Changed:
    dims = call.given["dims"]
    return "aten.tile.default", {**call.given, "dims": [*[1] * (call.rank - len(dims)), *dims, 1]}


def _squeeze(call: ComplexCall) -> Changed:
    if "dim" in call.given:
        return _moves({"dim": _MISSING})(call)
    shape = call.metas[call.given["self"].name].shape[:-1]
    ones = [dim for dim, size in enumerate(shape) if size == 1]
    return "aten.squeeze.dims", {**call.given, "dim": ones}


def _roll(call: ComplexCall) -> Changed:
    if call.given.get("dims"):
        return _moves({"dims": _MISSING})(call)
    if call.rank != 1:
        return _by_rule(call)
    return "aten.roll.default", {**call.given, "dims": [0]}


def _all_dims(name: str) -> Change:
    """An operator that takes all dimensions where it is given none."""

    def change(call: ComplexCall) -> Changed:
        dim, rank = call.given.get(name), call.rank
        if rank == 0:
            return "aten.alias.default", {"self": call.given["self"]}
        dims = list(range(rank)) if dim is None or dim == [] else _from_front(dim, rank)
        overload = ".dim" if call.name == "mean" else ".dim_IntList" if call.name == "sum" else ""
        value = call.pair(call.given["self"])
        return f"aten.{call.name}{overload}", {**call.given, "self": value, name: dims}

    return change


def _by_parts(call: ComplexCall) -> Changed:
    """An operator that treats the real and the imaginary parts alike, each for itself."""
    shape = call.metas[call.node.outputs[0]].shape[:-1]
    made = []
    for index in (0, 1):
        given = dict(call.given)
        for name, value in given.items():
            if isinstance(value, Ref) and call.is_complex(value):
                given[name] = call.part(value, index)
            elif name == "value" and isinstance(value, int | float | complex):
                given[name] = complex(value).imag if index else complex(value).real
        made.append(call.made(f"aten.{call.name}.{call.node.overload}", given, shape, call.dtype))
    return "complex.complex.of_real", {"real": made[0], "imag": made[1]}


def _of_two(call: ComplexCall) -> Changed:
    """A product of any kind, of the parts of both: `ac - bd` and `ad + bc`."""
    shape = call.metas[call.node.outputs[0]].shape[:-1]
    given = [(name, call.pair(each)) for name, each in call.given.items() if isinstance(each, Ref)]
    (one, left), (other, right) = given
    made = []
    for pairs, joined in (((0, 0), (1, 1)), "sub"), (((0, 1), (1, 0)), "add"):
        products = [
            call.made(
                f"aten.{call.name}.{call.node.overload}",
                {**call.given, one: call.part(left, mine), other: call.part(right, theirs)},
                shape,
                call.dtype,
            )
            for mine, theirs in pairs
        ]
        both = {"self": products[0], "other": products[1]}
        made.append(call.made(f"aten.{joined}.Tensor", both, shape, call.dtype))
    return "complex.complex.of_real", {"real": made[0], "imag": made[1]}


def _variance(call: ComplexCall) -> Changed:
    """`var` and `std`: the sum of those of the real and the imaginary parts, and its root."""
    given, rank = call.given, call.rank
    shape = call.metas[call.node.outputs[0]].shape
    dims = list(range(rank)) if given.get("dim") in (None, []) else _from_front(given["dim"], rank)
    arguments = {**given, "self": given["self"], "dim": dims}
    if "unbiased" in arguments:
        arguments["correction"] = int(arguments.pop("unbiased"))
    both = call.made("aten.var.correction", arguments, (*shape, 2), call.dtype)
    summed = {"self": both, "dim": [len(shape)]}
    if call.name == "var":
        return "aten.sum.dim_IntList", summed
    return "aten.sqrt.default", {"self": call.made("aten.sum.dim_IntList", summed, shape, call.dtype)}


def _padded(call: ComplexCall) -> Changed:
    if call.given.get("mode", "constant") != "constant" or call.given.get("value"):
        return _by_parts(call)
    return f"aten.{call.name}", {**call.given, "pad": [0, 0, *call.given["pad"]]}


def _gather(call: ComplexCall) -> Changed:
    index, rank = call.given["index"], call.rank
    if rank == 0 or call.rank_of(index.name) != rank:
        return _by_rule(call)
    shape = (*call.metas[index.name].shape, 2)
    wide = call.made("aten.expand.default", {"self": call.column(index), "size": list(shape)}, shape, "int64")
    return "aten.gather.default", {**call.given, "dim": call.given["dim"] % rank, "index": wide}


def _where(call: ComplexCall) -> Changed:
    given = {name: call.pair(value) for name, value in call.given.items() if name != "condition"}
    if not all(isinstance(value, Ref) or value in (0, None) for value in given.values()) or not given:
        return _by_rule(call)
    return "aten.where", {"condition": call.column(call.given["condition"]), **given}


def _masked_fill(call: ComplexCall) -> Changed:
    value, mask = call.given["value"], call.column(call.given["mask"])
    if isinstance(value, Ref):
        return "aten.where.self", {"condition": mask, "self": call.pair(value), "other": call.given["self"]}
    return ("complex" if value else "aten") + ".masked_fill.Scalar", {**call.given, "mask": mask}


def _sum_of_two(call: ComplexCall) -> Changed:
    given = call.given
    if not all(isinstance(given[name], Ref) for name in ("self", "other")):
        return _by_rule_of_pairs(call)
    return f"aten.{call.name}", {**given, "self": call.pair(given["self"]), "other": call.pair(given["other"])}


def _product_of_two(call: ComplexCall) -> Changed:
    """`mul`, and `div` by what is real."""
    given, other = call.given, call.given["other"]
    if call.is_complex(given["self"]) and not call.is_complex(other):
        whole = call.pair(given["self"])
        return f"aten.{call.name}", {**given, "self": whole, "other": call.column(other, call.dtype)}
    if call.name in ("mul", "multiply") and isinstance(other, Ref) and not call.is_complex(given["self"]):
        return f"aten.{call.name}", {"self": call.column(given["self"], call.dtype), "other": call.pair(other)}
    return _by_rule_of_pairs(call)


def _by_rule_of_pairs(call: ComplexCall) -> Changed:
    """A call whose operands are all complex, or numbers of Python."""
    return f"complex.{call.name}", {
        name: call.pair(value) if isinstance(value, Ref | list) else value for name, value in call.given.items()
    }


def _linear(call: ComplexCall) -> Changed:
    """A product of complex tensors alone; `equation` and numbers stay."""
    given = call.given
    for name, value in given.items():
        if isinstance(value, Ref) or (isinstance(value, list) and any(isinstance(each, Ref) for each in value)):
            given[name] = call.pair(value)
    return f"complex.{call.name}", given


def _of_parts(call: ComplexCall) -> Changed:
    """`complex`: the parts of one shape."""
    shape = call.metas[call.node.outputs[0]].shape[:-1]
    for name, value in call.given.items():
        if call.metas[value.name].shape != shape:
            arguments = {"self": value, "size": list(shape)}
            call.given[name] = call.made("aten.expand.default", arguments, shape, call.dtype)
    return "complex.complex.of_real", call.given


def _cast(call: ComplexCall) -> Changed:
    """`to` and such: from complex, to complex, or both."""
    value, dtype = call.given["self"], call.dtype
    if not call.is_complex(value):
        return "complex.complex.of_real", {"real": call.cast(value, dtype)}
    if not call.gives_complex:
        return "aten.to.dtype", {"self": call.part(value, 0), "dtype": Dtype(dtype)}
    return "aten.to.dtype", {"self": value, "dtype": Dtype(dtype)}


def _part(index: int) -> Change:
    def change(call: ComplexCall) -> Changed:
        return "aten.select.int", {"self": call.given["self"], "dim": call.rank, "index": index}

    return change


def _same_memory(call: ComplexCall) -> Changed:
    """`view_as_real` and `view_as_complex`."""
    return ("aten.clone.default" if call.name.endswith("_copy") else "aten.alias.default"), call.given


def _norm(call: ComplexCall) -> Changed:
    """A norm of absolute values; of matrices only those that ask for no more than these."""
    order = call.given.get("ord", call.given.get("p"))
    of_matrix = call.name == "linalg_matrix_norm" or isinstance(order, str)
    if of_matrix and order not in (None, "fro", 1, -1, float("inf"), float("-inf")):
        return _by_rule(call)
    return f"aten.{call.name}", {**call.given, "self": call.size(call.given["self"])}


def _prod(call: ComplexCall) -> Changed:
    if "dim" not in call.given:
        return _by_rule(call)
    return f"complex.{call.name}", {**call.given, "dim": call.given["dim"] % max(1, call.rank)}


def _transform(call: ComplexCall) -> Changed:
    """A Fourier transform: all have `dim` and `s` as lists, and real operands only where they make complex results."""
    given, rank = call.given, call.rank
    several, name = call.name[-1] in "2n", call.name
    sizes = given.get("s") if several else given.get("n")
    sizes = sizes if sizes is None or isinstance(sizes, list) else [sizes]
    dim = given.get("dim", -1 if not several else [-2, -1] if name.endswith("2") else None)
    if dim is None:
        dim = list(range(rank))[-len(sizes) if sizes else 0 :]
    dims = _from_front(dim if isinstance(dim, list) else [dim], rank)
    value = given["self"]
    to_real = "irfft" in name or ("hfft" in name and "ihfft" not in name)
    if call.is_complex(value) or to_real:
        value, overload = call.pair(value), "default"
    else:
        value, overload = call.cast(value, call.dtype), "of_real"
    return f"complex.{name}.{overload}", {"self": value, "dim": dims, "s": sizes, "norm": given.get("norm")}


_DIM = {"dim": _MISSING}
_DIM_0 = {"dim": 0}

CHANGES: dict[str, Change] = {
    "_assert_tensor_metadata": _unchanged,
    **dict.fromkeys(
        ("alias", "alias_copy", "clone", "contiguous", "detach", "detach_copy", "lift", "lift_fresh",
         "lift_fresh_copy", "positive", "resolve_conj", "resolve_neg", "neg", "negative", "zero", "zeros_like",
         "empty_like", "expand_as", "view_as", "reshape_as", "index"), _on_pairs
    ),
    **dict.fromkeys(("select", "narrow", "index_select", "repeat_interleave", "cumsum"), _moves(_DIM)),
    **dict.fromkeys(
        ("slice", "unbind", "split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk",
         "unsafe_chunk", "tensor_split"), _moves(_DIM_0)
    ),
    "transpose": _moves({"dim0": _MISSING, "dim1": _MISSING}),
    "swapdims": _moves({"dim0": _MISSING, "dim1": _MISSING}),
    "swapaxes": _moves({"axis0": _MISSING, "axis1": _MISSING}),
    "movedim": _moves({"source": _MISSING, "destination": _MISSING}),
    "moveaxis": _moves({"source": _MISSING, "destination": _MISSING}),
    "flip": _moves({"dims": _MISSING}),
    "flatten": _moves({"start_dim": 0, "end_dim": -1}),
    "unflatten": _moves(_DIM),
    "unsqueeze": _moves(_DIM, more=1),
    "view": _moves(sizes="size"),
    "_unsafe_view": _moves(sizes="size"),
    "reshape": _moves(sizes="shape"),
    "expand": _moves(sizes="size"),
    "broadcast_to": _moves(sizes="size"),
    "repeat": _moves(sizes="repeats"),
    **dict.fromkeys(("cat", "concat", "concatenate"), _moves(_DIM_0, pairs=("tensors",))),
    "stack": _moves(_DIM_0, more=1, pairs=("tensors",)),
    "slice_scatter": _moves(_DIM_0, pairs=("src",)),
    "select_scatter": _moves(_DIM, pairs=("src",)),
    "index_copy": _moves(_DIM, pairs=("source",)),
    "index_add": _moves(_DIM, pairs=("source",)),
    "index_put": _moves(pairs=("values",)),
    "_index_put_impl": _moves(pairs=("values",)),
    "copy": _moves(pairs=("src",)),
    **dict.fromkeys(("tril", "triu"), _in_front()),
    "diagonal": _in_front(dim1=0, dim2=1),
    "unfold": _in_front(dimension=0),
    **dict.fromkeys(("zeros", "empty", "new_zeros", "new_empty"), _created),
    **dict.fromkeys(("ones", "full", "new_ones", "new_full", "ones_like", "full_like"), _filled),
    "fill": _filled_in_place,
    "permute": _permute,
    **dict.fromkeys(("t", "numpy_T", "mT"), _turned),
    **dict.fromkeys(("mH", "matrix_H", "adjoint"), _adjoint),
    "tile": _tile,
    "ravel": _ravel,
    "squeeze": _squeeze,
    "roll": _roll,
    **dict.fromkeys(("sum", "mean"), _all_dims("dim")),
    **dict.fromkeys(("fft_fftshift", "fft_ifftshift"), _all_dims("dim")),
    **dict.fromkeys(("constant_pad_nd", "pad"), _padded),
    "gather": _gather,
    **dict.fromkeys(
        ("reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d", "_pad_circular", "scatter",
         "scatter_add", "index_fill", "diag_embed", "diag", "trace", "diff", "rot90"), _by_parts
    ),
    **dict.fromkeys(("tensordot", "kron", "inner", "cross", "linalg_cross"), _of_two),
    **dict.fromkeys(("var", "std"), _variance),
    "where": _where,
    "masked_fill": _masked_fill,
    **dict.fromkeys(("add", "sub", "subtract", "rsub"), _sum_of_two),
    **dict.fromkeys(("mul", "multiply", "div", "divide", "true_divide"), _product_of_two),
    **dict.fromkeys(("eq", "ne"), _by_rule_of_pairs),
    **dict.fromkeys(
        ("matmul", "linalg_matmul", "mm", "bmm", "mv", "dot", "vdot", "addmm", "baddbmm", "addbmm", "linear", "outer",
         "ger", "einsum", "pow", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
         "conv_transpose3d"), _linear
    ),
    **dict.fromkeys(("to", "_to_copy", "type_as"), _cast),
    "complex": _of_parts,
    "real": _part(0),
    "imag": _part(1),
    **dict.fromkeys(
        ("view_as_real", "view_as_complex", "view_as_real_copy", "view_as_complex_copy", "_view_as_complex"),
        _same_memory
    ),
    **dict.fromkeys(("linalg_vector_norm", "norm", "linalg_norm", "linalg_matrix_norm", "frobenius_norm"), _norm),
    "prod": _prod,
    "cumprod": _prod,
    **dict.fromkeys(
        (f"fft_{kind}fft{count}" for kind in ("", "i", "r", "ir", "h", "ih") for count in ("", "2", "n")), _transform
    ),
}  # fmt: skip
"""The operators that compute on pairs what they do on complex numbers, or that need their arguments in one form."""
