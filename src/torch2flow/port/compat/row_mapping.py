"""`torch.vmap`: a function of one row becomes one of many."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.nested_values import tree_flatten
from torch2flow.port.compat.registry import stands_for


def dims_of(dims, value):
    """The dimension of each tensor in a value: one for all, or one at each place of the same form."""
    leaves, form = tree_flatten(value)
    if dims is None or isinstance(dims, int):
        return [dims] * len(leaves)
    found = dims.values() if isinstance(dims, dict) else dims
    parts = value.values() if isinstance(value, dict) else value
    return [each for one, part in zip(found, parts, strict=True) for each in dims_of(one, part)]


@stands_for("torch.vmap", "torch.func.vmap", because="OneFlow has no `vmap`: it calls the function for each row.")
def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    def of_each_row(*args, **named):
        dims = [in_dims] * len(args) if in_dims is None or isinstance(in_dims, int) else in_dims
        leaves, form = tree_flatten((args, named))
        dims = [*dims_of(dims, args), *dims_of(0, named)]
        count = {leaf.shape[dim] for leaf, dim in zip(leaves, dims, strict=True) if dim is not None}
        if len(count) != 1:
            raise ValueError(f"vmap: expected one size of all mapped dimensions, got {sorted(count)}")
        rows = []
        for place in range(count.pop()):
            given = [x if dim is None else flow.select(x, dim, place) for x, dim in zip(leaves, dims, strict=True)]
            own_args, own_named = form.unflatten(given)
            rows.append(func(*own_args, **own_named))
        parts, form = zip(*[tree_flatten(row)[0] for row in rows], strict=True), tree_flatten(rows[0])[1]
        outs = dims_of(out_dims, rows[0])
        return form.unflatten([flow.stack(list(part), dim=dim or 0) for part, dim in zip(parts, outs, strict=True)])

    return of_each_row
