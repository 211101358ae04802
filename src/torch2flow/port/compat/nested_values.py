"""Values inside lists, tuples and dictionaries: PyTorch's `_pytree`."""

from torch2flow.port.compat.registry import stands_for


class FormOfValues:
    """How values lie in each other: puts other values into the same places."""

    def __init__(self, kind, keys=(), parts=()):
        self.kind, self.keys, self.parts = kind, keys, parts
        self.num_leaves = 1 if kind is None else sum(each.num_leaves for each in parts)

    def __eq__(self, other):
        same = isinstance(other, FormOfValues) and (self.kind, self.keys) == (other.kind, other.keys)
        return same and list(self.parts) == list(other.parts)

    def __hash__(self):
        return hash((self.kind, self.num_leaves))

    def unflatten(self, leaves):
        leaves = iter(leaves)
        return self.filled(leaves)

    def filled(self, leaves):
        if self.kind is None:
            return next(leaves)
        values = [each.filled(leaves) for each in self.parts]
        if issubclass(self.kind, dict):
            return self.kind(zip(self.keys, values, strict=True))
        return self.kind(*values) if hasattr(self.kind, "_fields") else self.kind(values)


@stands_for("torch.utils._pytree.tree_flatten", because="OneFlow has no `_pytree`.")
def tree_flatten(tree, is_leaf=None):
    is_nested = isinstance(tree, dict | list | tuple) and not (is_leaf is not None and is_leaf(tree))
    if not is_nested:
        return [tree], FormOfValues(None)
    keys = tuple(tree) if isinstance(tree, dict) else ()
    found = [tree_flatten(each, is_leaf) for each in (tree.values() if keys or isinstance(tree, dict) else tree)]
    return [leaf for leaves, _ in found for leaf in leaves], FormOfValues(type(tree), keys, [form for _, form in found])


@stands_for("torch.utils._pytree.tree_unflatten", because="OneFlow has no `_pytree`.")
def tree_unflatten(leaves, treespec):
    return treespec.unflatten(leaves)


@stands_for("torch.utils._pytree.tree_leaves", because="OneFlow has no `_pytree`.")
def tree_leaves(tree, is_leaf=None):
    return tree_flatten(tree, is_leaf)[0]


@stands_for("torch.utils._pytree.tree_map", because="OneFlow has no `_pytree`.")
def tree_map(func, tree, *rests, is_leaf=None):
    leaves, form = tree_flatten(tree, is_leaf)
    others = [tree_flatten(each, is_leaf)[0] for each in rests]
    return form.unflatten([func(*each) for each in zip(leaves, *others, strict=True)])


@stands_for("torch.utils._pytree.tree_map_only", because="OneFlow has no `_pytree`.")
def tree_map_only(type_or_types_or_pred, func, tree, is_leaf=None):
    asked = type_or_types_or_pred

    def of_one(value):
        chosen = isinstance(value, asked) if isinstance(asked, type | tuple) else asked(value)
        return func(value) if chosen else value

    return tree_map(of_one, tree, is_leaf=is_leaf)
