"""Products of matrices and vectors, and what is made of them."""

import string

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.operators.linear_algebra import (
    cdist,
    contraction,
    cosine_similarity,
    cross_product,
    inner_product,
    kron,
    matrix_power,
    multi_dot,
    outer,
    pdist,
    trace,
)
from torch2flow.port.compat.common import promoted, stored, written
from torch2flow.port.compat.registry import stands_for


@stands_for(
    "torch.matmul",
    "torch.linalg.matmul",
    "torch.Tensor.matmul",
    "torch.Tensor.__matmul__",
    because="OneFlow's takes no two vectors, and ends the process for a matrix times a vector or for no elements.",
)
def matmul(input, other, *, out=None):
    if input.ndim == 1 and other.ndim == 1:
        return stored((input * other).sum(), out)
    if input.ndim == 1:
        return stored(matmul(input.unsqueeze(0), other).squeeze(-2), out)
    if other.ndim == 1:
        return stored(matmul(input, other.unsqueeze(-1)).squeeze(-1), out)
    if 0 in input.shape or 0 in other.shape:
        batch = flow.broadcast_shapes(tuple(input.shape[:-2]), tuple(other.shape[:-2]))
        return flow.zeros((*batch, input.shape[-2], other.shape[-1]), dtype=input.dtype, device=input.device)
    if not input.dtype.is_floating_point:
        return stored(flow.matmul(input.to(flow.float64), other.to(flow.float64)).to(input.dtype), out)
    return stored(flow.matmul(input, other), out)


@stands_for("torch.Tensor.__rmatmul__", because="OneFlow's goes to its own product.")
def matmul_from_left(self, other):
    return matmul(other, self)


@stands_for("torch.mm", "torch.Tensor.mm", because="OneFlow's ends the process for no elements.", only_with=("out",))
def mm(input, mat2, *, out=None):
    return matmul(input, mat2, out=out)


@stands_for(
    "torch.bmm",
    "torch.Tensor.bmm",
    because="OneFlow's ends the process for no elements, and has other names.",
    only_with=("input", "mat2", "out"),
)
def bmm(input, mat2, *, out=None):
    return matmul(input, mat2, out=out)


@stands_for("torch.mv", "torch.Tensor.mv", because="OneFlow's has no integers.")
def mv(input, vec):
    return matmul(input, vec)


@stands_for("torch.dot", "torch.vdot", "torch.Tensor.dot", "torch.Tensor.vdot", because="OneFlow's has no integers.")
def dot(input, tensor):
    return (input * tensor).sum()


@stands_for("torch.renorm", "torch.Tensor.renorm", because="OneFlow has no `renorm`.")
def renorm(input, p, dim, maxnorm):
    dim = dim % input.ndim
    others = [each for each in range(input.ndim) if each != dim]
    length = (input.abs() ** p).sum(dim=others, keepdim=True) ** (1 / p)
    return input * flow.where(length > maxnorm, maxnorm / (length + 1e-7), flow.ones_like(length))


@stands_for("torch.Tensor.renorm_", because="OneFlow has no `renorm_`.")
def renorm_(self, p, dim, maxnorm):
    return written(self, renorm(self, p, dim, maxnorm))


@stands_for("torch.inner", "torch.Tensor.inner", because="OneFlow has no `inner`.")
def inner(input, other):
    if input.ndim == 1 and other.ndim == 1:
        return (input * other).sum()
    return inner_product(input, other)


stands_for("torch.outer", "torch.ger", "torch.Tensor.outer", "torch.Tensor.ger", because="OneFlow has no `outer`.")(
    outer
)


@stands_for(
    "torch.einsum",
    because="OneFlow's takes no lists, and has no gradient for a letter that stands twice in a term.",
    only_with=("operands", r"equation=~(\w)[^,>-]*\1"),
)
def einsum(equation, *operands):
    if not isinstance(equation, str):
        equation, operands = equation_of_lists(equation, *operands)
    operands = operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    return contraction(equation, promoted(*operands))


def equation_of_lists(*given):
    """The equation and the operands of `einsum(x, [0, 1], y, [1, 2], [0, 2])`."""
    letters = string.ascii_uppercase + string.ascii_lowercase
    terms = ["".join("..." if each is ... else letters[each] for each in term) for term in [*given[1::2], *given[-1:]]]
    output = f"->{terms[-1]}" if len(given) % 2 else ""
    return ",".join(terms[:-1]) + output, given[: len(given) // 2 * 2 : 2]


@stands_for("torch.addmm", "torch.Tensor.addmm", because="OneFlow's does not broadcast, and has no integers.")
def addmm(input, mat1, mat2, *, beta=1, alpha=1, out=None):
    return stored(weighted_sum(input, matmul(mat1, mat2), beta, alpha), out)


@stands_for("torch.Tensor.addmm_", because="OneFlow has no `addmm_`.")
def addmm_(self, mat1, mat2, *, beta=1, alpha=1):
    return stored(addmm(self, mat1, mat2, beta=beta, alpha=alpha), self)


def weighted_sum(x, product, beta, alpha):
    """`beta * x + alpha * product`; `x` counts for nothing where beta is 0, even a NaN."""
    product = product if alpha == 1 else alpha * product
    return product if beta == 0 else product + (x if beta == 1 else beta * x)


@stands_for("torch.addmv", "torch.Tensor.addmv", because="OneFlow has no `addmv`.")
def addmv(input, mat, vec, *, beta=1, alpha=1):
    return weighted_sum(input, matmul(mat, vec), beta, alpha)


@stands_for("torch.addr", "torch.Tensor.addr", because="OneFlow has no `addr`.")
def addr(input, vec1, vec2, *, beta=1, alpha=1):
    return weighted_sum(input, vec1.unsqueeze(1) * vec2, beta, alpha)


@stands_for(
    "torch.baddbmm", "torch.Tensor.baddbmm", because="OneFlow's has no method, and reads the input where beta is 0."
)
def baddbmm(input, batch1, batch2, *, beta=1, alpha=1, out=None):
    return stored(weighted_sum(input, matmul(batch1, batch2), beta, alpha), out)


@stands_for("torch.addbmm", "torch.Tensor.addbmm", because="OneFlow has no `addbmm`.")
def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    return weighted_sum(input, matmul(batch1, batch2).sum(dim=0), beta, alpha)


stands_for("torch.kron", "torch.Tensor.kron", because="OneFlow has no `kron`.")(kron)


@stands_for("torch.cross", "torch.Tensor.cross", because="OneFlow's does not broadcast, and its method fails.")
def cross(input, other, dim=None):
    return cross_product(input, other, dim)


@stands_for("torch.linalg.cross", because="OneFlow's does not broadcast.")
def linalg_cross(input, other, *, dim=-1):
    return cross_product(input, other, dim)


stands_for("torch.linalg.multi_dot", because="OneFlow has no `multi_dot`.")(multi_dot)


@stands_for("torch.chain_matmul", because="OneFlow has no `chain_matmul`.")
def chain_matmul(*matrices):
    return multi_dot(matrices)


@stands_for("torch.matrix_power", "torch.linalg.matrix_power", "torch.Tensor.matrix_power", because="OneFlow has none.")
def power_of_matrix(A, n):
    return matrix_power(A, n)


@stands_for("torch.linalg.vecdot", because="OneFlow has no `vecdot`.")
def vecdot(x, y, *, dim=-1):
    return (x * y).sum(dim=dim)


@stands_for("torch.linalg.diagonal", because="OneFlow's takes no tensor by place.")
def linalg_diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    return flow.diagonal(A, offset, dim1, dim2)


stands_for("torch.trace", "torch.Tensor.trace", because="OneFlow has no `trace`.")(trace)
stands_for("torch.cdist", because="OneFlow has no `cdist`.")(cdist)
stands_for("torch.pdist", "torch.nn.functional.pdist", because="OneFlow has no `pdist`.")(pdist)
stands_for("torch.cosine_similarity", "torch.nn.functional.cosine_similarity",
           because="OneFlow's differs where a vector is nearly 0.")(cosine_similarity)  # fmt: skip
