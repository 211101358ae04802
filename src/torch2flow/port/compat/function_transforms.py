"""`torch.func` and its kin: functions that give the derivatives of a function, or choose one by a condition."""

from __future__ import annotations

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.differentiation import given_as, jacobian
from torch2flow.port.compat.nested_values import tree_flatten
from torch2flow.port.compat.registry import stands_for
from torch2flow.port.compat.running import grad

TRANSFORMS_UNDER_WAY: list[object] = []


def followed(value):
    """A tensor of its own that gradients are taken for; an outer derivative still comes through it."""
    return value * 1 if value.requires_grad else value.detach().requires_grad_()


def is_differentiated_later(arguments):
    """Whether something outside may differentiate a derivative: another one around it, or a tensor's own `backward`."""
    return bool(TRANSFORMS_UNDER_WAY) or any(isinstance(each, flow.Tensor) and each.requires_grad for each in arguments)


def slopes_of(output, inputs, weights=None, create_graph=False):
    """The gradients of an output, 0 where it does not depend on an input."""
    found = grad(output, inputs, weights, retain_graph=True, create_graph=create_graph, allow_unused=True)
    return [flow.zeros_like(each) if one is None else one for one, each in zip(found, inputs, strict=True)]


def settled_for(arguments, values):
    """Values without their graph, unless something outside may differentiate them."""
    if is_differentiated_later(arguments):
        return values
    return [each.detach() if isinstance(each, flow.Tensor) else each for each in values]


@stands_for("torch.func.grad_and_value", because="OneFlow has no `torch.func`.")
def grad_and_value(func, argnums=0, has_aux=False):
    def both(*args, **named):
        places = [argnums] if isinstance(argnums, int) else list(argnums)
        leaves, form = tree_flatten([args[place] for place in places])
        own = [followed(each) for each in leaves]
        args = list(args)
        for place, value in zip(places, form.unflatten(own), strict=True):
            args[place] = value
        TRANSFORMS_UNDER_WAY.append(func)
        try:
            with flow.enable_grad():
                output = func(*args, **named)
        finally:
            TRANSFORMS_UNDER_WAY.pop()
        value, extra = output if has_aux else (output, None)
        found = form.unflatten(slopes_of(value, own, create_graph=is_differentiated_later(leaves)))
        (value,) = settled_for(leaves, [value])
        found = found[0] if isinstance(argnums, int) else tuple(found)
        return found, ((value, extra) if has_aux else value)

    return both


@stands_for("torch.func.grad", because="OneFlow has no `torch.func`.")
def grad_of(func, argnums=0, has_aux=False):
    both = grad_and_value(func, argnums, has_aux)

    def gradient(*args, **named):
        found, value = both(*args, **named)
        return (found, value[1]) if has_aux else found

    return gradient


@stands_for("torch.func.vjp", because="OneFlow has no `torch.func`.")
def vjp_of(func, *primals, has_aux=False):
    leaves, form = tree_flatten(list(primals))
    own = [followed(each) for each in leaves]
    with flow.enable_grad():
        output = func(*form.unflatten(own))
        output, extra = output if has_aux else (output, None)
    outputs, _ = tree_flatten(output)

    def backwards(*cotangents):
        given, _ = tree_flatten(cotangents[0] if len(cotangents) == 1 else list(cotangents))
        return tuple(form.unflatten(slopes_of(outputs, own, given, is_differentiated_later(leaves))))

    return (output, backwards, extra) if has_aux else (output, backwards)


@stands_for("torch.func.jvp", because="OneFlow has no `torch.func`: the gradient is differentiated by its weights.")
def jvp_of(func, primals, tangents):
    own = [followed(each) for each in primals]
    with flow.enable_grad():
        output = func(*own)
        outputs, form = tree_flatten(output)
        weights = [flow.zeros_like(each).requires_grad_() for each in outputs]
        slopes, later = slopes_of(outputs, own, weights, True), is_differentiated_later(primals)
        found = slopes_of(slopes, weights, list(tangents), later)
    return form.unflatten(settled_for(primals, outputs)), form.unflatten(found)


@stands_for("torch.func.jacrev", "torch.func.jacfwd", because="OneFlow has no `torch.func`.")
def jacobian_of(func, argnums=0, has_aux=False, **settings):
    def found(*args):
        extra, later = [], is_differentiated_later(args)

        def of_those(*chosen):
            given = list(args)
            for place, value in zip([argnums] if isinstance(argnums, int) else argnums, chosen, strict=True):
                given[place] = value
            output = func(*given)
            extra[:] = [output[1]] if has_aux else []
            return output[0] if has_aux else output

        TRANSFORMS_UNDER_WAY.append(func)
        try:
            chosen = args[argnums] if isinstance(argnums, int) else tuple(args[place] for place in argnums)
            result = jacobian(of_those, chosen, create_graph=later)
        finally:
            TRANSFORMS_UNDER_WAY.pop()
        return (result, extra[0]) if has_aux else result

    return found


@stands_for("torch.func.hessian", because="OneFlow has no `torch.func`.")
def hessian_of(func, argnums=0):
    return jacobian_of(jacobian_of(func, argnums), argnums)


@stands_for("torch.autograd.functional.vjp", because="OneFlow has no `vjp`.")
def vjp(func, inputs, v=None, create_graph=False, strict=False):
    given, were_many = given_as(inputs)
    output, backwards = vjp_of(func, *given)
    found = backwards(flow.ones_like(output) if v is None else v)
    return output if create_graph else detached(output), found if were_many else found[0]


@stands_for("torch.autograd.functional.jvp", because="OneFlow has no `jvp`.")
def jvp(func, inputs, v=None, create_graph=False, strict=False):
    given, _ = given_as(inputs)
    tangents, _ = given_as([flow.ones_like(each) for each in given] if v is None else v)
    output, found = jvp_of(func, tuple(given), tuple(tangents))
    return (output, found) if create_graph else (detached(output), detached(found))


@stands_for("torch.autograd.functional.hvp", "torch.autograd.functional.vhp",
            because="OneFlow has none: the gradient is differentiated.")  # fmt: skip
def hvp(func, inputs, v=None, create_graph=False, strict=False):
    given, were_many = given_as(inputs)
    own = [followed(each) for each in given]
    weights, _ = given_as([flow.ones_like(each) for each in given] if v is None else v)
    with flow.enable_grad():
        output = func(*own)
        found = slopes_of(slopes_of(output, own, None, True), own, list(weights), create_graph)
    found = tuple(found) if were_many else found[0]
    return (output, found) if create_graph else (detached(output), detached(found))


def detached(value):
    """Nested tensors without their graph."""
    leaves, form = tree_flatten(value)
    return form.unflatten([each.detach() for each in leaves])


@stands_for("torch.cond", because="OneFlow runs Python: it decides by `if`.")
def cond(pred, true_fn, false_fn, operands=()):
    return (true_fn if bool(pred) else false_fn)(*operands)


@stands_for("torch.while_loop", because="OneFlow runs Python: it loops by `while`.")
def while_loop(cond_fn, body_fn, carried_inputs):
    while bool(cond_fn(*carried_inputs)):
        carried_inputs = body_fn(*carried_inputs)
    return carried_inputs
