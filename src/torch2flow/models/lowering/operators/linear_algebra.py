"""Matrix products and what is made of them."""

from torch2flow.models.lowering.lazy import F, flow, helper, is_float, may_be_empty
from torch2flow.models.lowering.operators.indexing import diagonal_
from torch2flow.models.lowering.registry import operator

# A product of matrices of which one is empty aborts the whole process in OneFlow 0.9.0 (broadcast_matmul.h:58).


def empty_product(x, in_shape, out_shape, out_dtype):
    """Zeros where a factor or the product is empty; None otherwise."""
    return flow.zeros(out_shape, dtype=out_dtype, device=x.device) if 0 in (*in_shape, *out_shape) else None


@operator("aten.linear")
def linear(input, weight, bias=None, *, in_shape, out_shape, out_dtype):
    empty = empty_product(input, in_shape, out_shape, out_dtype)
    if empty is not None:
        return empty if bias is None else empty + bias
    if may_be_empty(in_shape):
        return linear_of_any_rows(input, weight, bias)
    if input.ndim == 1:
        return F.linear(input.unsqueeze(0), weight, bias).squeeze(0)
    return F.linear(input, weight, bias)


@helper
def linear_of_any_rows(x, weight, bias=None):
    """`linear` of rows of which there may be none: its gradient is then what lay in memory in OneFlow 0.9.0."""
    if x.numel() > 0:
        return F.linear(x, weight, bias)
    nothing = 0 * (weight.sum() if bias is None else weight.sum() + bias.sum())
    return nothing + flow.zeros((*x.shape[:-1], weight.shape[0]), dtype=weight.dtype, device=x.device)


@helper
def product_of_any_rows(x, matrix):
    """`matmul` of rows of which there may be none, which OneFlow 0.9.0 gets wrong as it does in `linear`."""
    return linear_of_any_rows(x, matrix.transpose(0, 1))


@operator("aten.matmul", "aten.linalg_matmul", "aten.mv", "aten.mm", "aten.bmm")
def matmul(self, other=None, vec=None, mat2=None, *, in_shape, out_shape, out_ndim, out_dtype, name):
    other = next(each for each in (other, vec, mat2) if each is not None)
    empty = empty_product(self, in_shape, out_shape, out_dtype)
    if empty is not None:
        return empty
    if may_be_empty(in_shape) and self.ndim > 1 and other.ndim == 2:
        return product_of_any_rows(self, other)
    if name in ("mm", "bmm"):
        return getattr(flow, name)(self, other)
    if out_ndim == 0:
        return (self * other).sum().to(out_dtype)
    if self.ndim == 1:
        return flow.matmul(self.unsqueeze(0), other).squeeze(-2)
    if self.ndim > 2 and out_ndim == self.ndim - 1:
        # OneFlow 0.9.0 aborts in the gradient of matrices times one vector.
        return flow.matmul(self, other.unsqueeze(-1)).squeeze(-1)
    return flow.matmul(self, other)


@operator("transformers.grouped_mm_fallback", "aten._grouped_mm")
def grouped_mm(input=None, weight=None, offs=None, self=None, mat2=None, bias=None, out_dtype=None):
    if offs is None or bias is not None:
        raise NotImplementedError("a grouped product that is not of runs of rows, or has a bias")
    return grouped_matmul(self if input is None else input, mat2 if weight is None else weight, offs)


@helper
def grouped_matmul(rows, weights, ends):
    """Each run of rows times its own matrix: a mixture of experts, whose rows are sorted by expert."""
    stops = ends.tolist()
    starts = [0, *stops[:-1]]
    parts = [rows[a:b] @ weights[n] for n, (a, b) in enumerate(zip(starts, stops, strict=True)) if b > a]
    rest = rows.shape[0] - stops[-1]
    return flow.cat(parts + [rows.new_zeros(rest, weights.shape[-1])] * (rest > 0))


@operator("aten.dot", "aten.vdot", "aten.inner")
def dot(self, tensor=None, other=None, *, out_ndim, out_dtype):
    if out_ndim == 0 and is_float(out_dtype):
        return (self * (tensor if other is None else other)).sum()
    if out_ndim == 0:
        return (self * (tensor if other is None else other)).sum().to(out_dtype)
    return inner_product(self, other).to(out_dtype)


@helper
def inner_product(x, y):
    """PyTorch's `inner`: sums of products along both last dimensions."""
    if x.ndim == 0 or y.ndim == 0:
        return x * y
    return flow.matmul(x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]).t()).reshape(*x.shape[:-1], *y.shape[:-1])


@operator("aten.outer", "aten.ger")
def outer(self, vec2):
    return self.unsqueeze(1) * vec2


@operator("aten.addmm", "aten.addmv")
def addmm(self, mat1=None, mat2=None, mat=None, vec=None, beta=1, alpha=1):
    product = flow.matmul(mat1 if mat is None else mat, mat2 if vec is None else vec)
    if beta == 1 and alpha == 1:
        return self + product
    return alpha * product if beta == 0 else beta * self + alpha * product


@operator("aten.addr")
def addr(self, vec1, vec2, beta=1, alpha=1):
    if beta == 0:
        return alpha * (vec1.unsqueeze(1) * vec2)
    return beta * self + alpha * (vec1.unsqueeze(1) * vec2)


@operator("aten.baddbmm")
def baddbmm(self, batch1, batch2, beta=1, alpha=1, *, out_dtype):
    if beta == 0:
        return alpha * flow.bmm(batch1, batch2)
    if not is_float(out_dtype):
        return beta * self + alpha * flow.bmm(batch1, batch2)
    return flow.baddbmm(self, batch1, batch2, beta=beta, alpha=alpha)


@operator("aten.addbmm")
def addbmm(self, batch1, batch2, beta=1, alpha=1, *, out_dtype):
    if beta == 0:
        return alpha * flow.bmm(batch1, batch2).sum(dim=0).to(out_dtype)
    return beta * self + alpha * flow.bmm(batch1, batch2).sum(dim=0).to(out_dtype)


@operator("aten.einsum")
def contraction(equation, tensors, path=None):
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not any(term.count(letter) > 1 for term in terms for letter in term if letter != "."):
        return flow.einsum(equation, *tensors)
    if not arrow:
        output = "".join(sorted(letter for letter in {*inputs} if letter.isalpha() and inputs.count(letter) == 1))
        output = f"...{output}" if "..." in inputs else output
    found = [diagonals(term, x) for term, x in zip(terms, tensors, strict=True)]
    return flow.einsum(f"{','.join(term for term, _ in found)}->{output}", *[x for _, x in found])


def diagonals(term, x):
    """A term of `einsum` without the letters that stand in it twice, and the diagonals of its operand.

    The gradient of a term with such a letter aborts the whole process in OneFlow 0.9.0 (shape.cpp:206).
    """
    letters = term.replace("...", ".")
    twice = next((letter for letter in letters if letter != "." and letters.count(letter) > 1), "")
    if not twice:
        return term, x
    first, last = letters.index(twice), letters.rindex(twice)
    behind = letters.find(".") if "." in letters else len(letters)
    dims = [place if place < behind else place - len(letters) for place in (first, last)]
    others = letters[:first] + letters[first + 1 : last] + letters[last + 1 :]
    return diagonals((others + twice).replace(".", "..."), diagonal_(x, 0, *dims))


@operator("aten.tensordot")
def tensordot(self, other, dims_self, dims_other):
    return flow.tensordot(self, other, [dims_self, dims_other])


@operator("aten.kron")
@helper
def kron(self, other):
    """PyTorch's `kron`: each element of `x` times all of `y`."""
    count = max(self.ndim, other.ndim)
    self = self.reshape(*[1] * (count - self.ndim), *self.shape)
    other = other.reshape(*[1] * (count - other.ndim), *other.shape)
    sizes = [a * b for a, b in zip(self.shape, other.shape, strict=True)]
    for dim in range(count):
        self, other = self.unsqueeze(2 * dim + 1), other.unsqueeze(2 * dim)
    return (self * other).reshape(*sizes)


@operator("aten.linalg_cross", "aten.cross")
def cross(self, other, dim=None, *, out_dtype, name):
    dim = -1 if dim is None and name == "linalg_cross" else dim
    if is_float(out_dtype):
        return cross_product(self, other, dim)
    return cross_product(self.to(flow.float64), other.to(flow.float64), dim).to(out_dtype)


@helper
def cross_product(x, y, dim=None):
    """PyTorch's `cross`, which broadcasts."""
    return flow.cross(*flow.broadcast_tensors(x, y), dim=dim)


@operator("aten.trace")
def trace(self):
    return flow.diagonal(self, 0, 0, 1).sum()


@operator("aten.cosine_similarity")
@helper
def cosine_similarity(x1, x2, dim=1, eps=1e-08):
    """PyTorch's `cosine_similarity`: each length is at least `eps`, and is that of the broadcast vector."""
    x1, x2 = flow.broadcast_tensors(x1, x2)
    x_length = flow.clamp(flow.linalg.vector_norm(x1, dim=dim, keepdim=True), min=eps)
    y_length = flow.clamp(flow.linalg.vector_norm(x2, dim=dim, keepdim=True), min=eps)
    return (x1 / x_length * (x2 / y_length)).sum(dim=dim)


@operator("aten.cdist", "aten._cdist_forward")
def cdist(x1, x2, p=2.0, compute_mode=None):
    return length_of(x1.unsqueeze(-2) - x2.unsqueeze(-3), p)


@helper
def length_of(difference, p=2.0):
    """The p-norm along the last dimension, whose gradient at 0 is PyTorch's."""
    difference = flow.abs(difference)
    if p == float("inf"):
        return difference.amax(dim=-1)
    if p == 0:
        return (difference != 0).to(difference.dtype).sum(dim=-1)
    if p == 1:
        return difference.sum(dim=-1)
    return (difference**p).sum(dim=-1) ** (1 / p)


@operator("aten.pdist", "aten._pdist_forward")
@helper
def pdist(self, p=2.0):
    """PyTorch's `pdist`: the distance of every row to every later one."""
    later = flow.triu(flow.ones(self.shape[0], self.shape[0], device=self.device), 1)
    first, second = flow.nonzero(later, as_tuple=True)
    return length_of(self[first] - self[second], p)


@operator("aten.pairwise_distance")
def pairwise_distance(x1, x2, p=2.0, eps=1e-06, keepdim=False):
    return flow.linalg.vector_norm(x1 - x2 + eps, ord=p, dim=-1, keepdim=keepdim)


@operator("aten.bilinear")
def bilinear(input1, input2, weight, bias=None):
    product = flow.einsum("...i,oij,...j->...o", input1, weight, input2)
    return product if bias is None else product + bias


@operator("aten._trilinear")
@helper
def trilinear(i1, i2, i3, expand1, expand2, expand3, sumdim, unroll_dim=1):
    """PyTorch's `_trilinear`: a product of three broadcast tensors, summed over some dimensions."""
    for dim in expand1:
        i1 = i1.unsqueeze(dim)
    for dim in expand2:
        i2 = i2.unsqueeze(dim)
    for dim in expand3:
        i3 = i3.unsqueeze(dim)
    return (i1 * i2 * i3).sum(dim=sumdim)


@operator("aten.linalg_vecdot")
def vecdot(x, y, dim=-1):
    return (x * y).sum(dim)


@operator("aten.linalg_multi_dot")
@helper
def multi_dot(tensors):
    """The product of several matrices, from left to right."""
    result = tensors[0]
    for tensor in tensors[1:]:
        result = flow.matmul(result, tensor) if max(result.ndim, tensor.ndim) > 1 else (result * tensor).sum()
    return result


@operator("aten.linalg_matrix_power", "aten.matrix_power")
@helper
def matrix_power(self, n):
    """A matrix times itself `n` times; of its inverse where `n` is negative."""
    if n < 0:
        self, n = flow.inverse(self), -n
    result = flow.eye(self.shape[-1], dtype=self.dtype, device=self.device).expand(*self.shape)
    for _ in range(n):
        result = flow.matmul(result, self)
    return result


@operator("aten.cartesian_prod")
@helper
def cartesian_prod(tensors):
    """PyTorch's `cartesian_prod`: a row for each way to take one element of each tensor."""
    if len(tensors) == 1:
        return tensors[0]
    return flow.stack([grid.reshape(-1) for grid in flow.meshgrid(*tensors, indexing="ij")], dim=1)


@operator("aten.block_diag")
@helper
def block_diag(tensors):
    """PyTorch's `block_diag`: matrices along the diagonal of a larger one."""
    matrices = [x if x.ndim == 2 else x.reshape(1, -1) for x in tensors]
    width = sum(x.shape[1] for x in matrices)
    rows, before = [], 0
    for x in matrices:
        rows.append(F.pad(x, (before, width - before - x.shape[1])))
        before += x.shape[1]
    return flow.cat(rows, dim=0)


@operator("aten.linalg_vander")
@helper
def vander(x, N=None):
    """PyTorch's `linalg.vander`: the powers of each number, from 0 on."""
    x = x.reshape(1) if x.ndim == 0 else x
    return flow.stack([x**power for power in range(x.shape[-1] if N is None else N)], dim=-1)


@operator("aten.renorm")
@helper
def renorm(self, p, dim, maxnorm):
    """PyTorch's `renorm`: each part along `dim` with a p-norm of at most `maxnorm`."""
    others = [each for each in range(self.ndim) if each != dim % self.ndim]
    lengths = flow.linalg.vector_norm(self, p, dim=others, keepdim=True)
    return self * flow.where(lengths > maxnorm, maxnorm / (lengths + 1e-7), flow.ones_like(lengths))
