"""Inverses, determinants and decompositions of matrices.

What OneFlow has nothing for has its values from NumPy, and its first derivative from the formula that PyTorch uses:
`A - A.detach()` is zero, and carries the gradient of `A` through whatever linear formula it is put into.
"""

import math

from torch2flow.models.lowering.lazy import flow, helper
from torch2flow.models.lowering.operators.reduction import dims_of
from torch2flow.models.lowering.registry import operator


def by_numpy(name, A, *arguments):
    """What a function of NumPy's makes of a tensor, as tensors in the same place."""
    import numpy as np

    found = getattr(np.linalg, name)(A.detach().cpu().numpy(), *arguments)
    found = found if isinstance(found, tuple) else (found,)
    return [flow.tensor(np.array(each, order="C"), dtype=A.dtype, device=A.device) for each in found]


def swapped(A):
    """The transposed matrices."""
    return A.transpose(-2, -1)


def change_of(A):
    """Zero, with the gradient of `A`."""
    return A - A.detach()


def diagonal_of(P):
    """The diagonals of matrices."""
    return (P * flow.eye(P.shape[-1], dtype=P.dtype, device=P.device)).sum(dim=-1)


def vector_to_matrix(A, B):
    """Whether `B` is one vector for each matrix, as PyTorch decides it."""
    return B.ndim == 1 or (A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1]))


def product(A, B):
    """`matmul`, which ends the process in OneFlow 0.9.0 where a matrix is empty."""
    if A.numel() and B.numel():
        return flow.matmul(A, B)
    outer = flow.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    return flow.zeros((*outer, A.shape[-2], B.shape[-1]), dtype=A.dtype, device=A.device)


def inverse_differences(values):
    """`1 / (values[j] - values[i])`, and 0 where they are the same one."""
    differences = values.unsqueeze(-2) - values.unsqueeze(-1)
    same = differences == 0
    inverses = 1 / flow.where(same, flow.ones_like(differences), differences)
    return flow.where(same, flow.zeros_like(differences), inverses)


@helper
def inverse_matrix(A):
    """PyTorch's `inverse`; OneFlow 0.9.0's ends the process for no elements."""
    return flow.inverse(A) if A.numel() else A


@operator("aten.linalg_inv", "aten.inverse")
def linalg_inv(A=None, self=None):
    return inverse_matrix(self if A is None else A)


@operator("aten.linalg_inv_ex")
def linalg_inv_ex(A, check_errors=False):
    return (inverse_matrix(A), flow.zeros(A.shape[:-2], dtype=flow.int32, device=A.device))


@helper
def determinant(A):
    """PyTorch's `det`."""
    if not A.numel():
        return by_numpy("det", A)[0]
    # The cofactors, which are there for a singular matrix too.
    U, S, Vh = by_numpy("svd", A)
    one = flow.ones_like(S[..., :1])
    others = [flow.prod(flow.cat([one, S[..., :n], S[..., n + 1 :]], dim=-1), dim=-1) for n in range(A.shape[-1])]
    sign = by_numpy("det", product(U, Vh))[0]
    cofactors = product(U * (flow.stack(others, dim=-1) * sign.unsqueeze(-1)).unsqueeze(-2), Vh)
    return by_numpy("det", A)[0] + (cofactors * change_of(A)).sum(dim=(-2, -1))


@operator("aten.linalg_det", "aten.det")
def det(A=None, self=None):
    return determinant(self if A is None else A)


@helper
def sign_and_logdet(A):
    """PyTorch's `slogdet`."""
    sign, found = by_numpy("slogdet", A)
    if A.requires_grad and flow.is_grad_enabled():
        found = found + (swapped(inverse_matrix(A.detach())) * change_of(A)).sum(dim=(-2, -1))
    return sign, found


@operator("aten.linalg_slogdet", "aten.slogdet")
def slogdet(A=None, self=None):
    return sign_and_logdet(self if A is None else A)


@operator("aten.logdet")
@helper
def log_determinant(self):
    """PyTorch's `logdet`."""
    sign, found = sign_and_logdet(self)
    return flow.where(sign > 0, found, flow.full_like(found, float("nan")))


@operator("aten.linalg_solve")
@helper
def solve_by_inverse(A, B, left=True):
    """PyTorch's `linalg.solve`, by the inverse."""
    if not left:
        return product(B, inverse_matrix(A))
    if vector_to_matrix(A, B):
        return product(inverse_matrix(A), B.unsqueeze(-1)).squeeze(-1)  # a vector for each matrix
    return product(inverse_matrix(A), B)


@operator("aten.linalg_solve_triangular")
@helper
def solve_by_triangle(self, B, upper, left=True, unitriangular=False):
    """PyTorch's `linalg.solve_triangular`, by the inverse."""
    if unitriangular:
        one = flow.eye(self.shape[-1], dtype=self.dtype, device=self.device)
        self = self * (1 - one) + one
    inverse_of = inverse_matrix(flow.triu(self) if upper else flow.tril(self))
    return product(inverse_of, B) if left else product(B, inverse_of)


@operator("aten.triangular_solve")
def triangular_solve(self, A, upper=True, transpose=False, unitriangular=False):
    factor = A.transpose(-2, -1) if transpose else A
    return (solve_by_triangle(factor, self, upper != transpose, True, unitriangular), A)


@operator("aten.linalg_cholesky", "aten.cholesky")
@helper
def cholesky_factor(self, upper=False):
    """PyTorch's `linalg.cholesky`."""
    L = by_numpy("cholesky", self)[0]
    if self.requires_grad and flow.is_grad_enabled():
        change = change_of(self)
        inverse_of = inverse_matrix(L)
        P = product(product(inverse_of, (change + swapped(change)) / 2), swapped(inverse_of))
        half = flow.eye(self.shape[-1], dtype=self.dtype, device=self.device) * 0.5
        L = L + product(L, flow.tril(P, -1) + P * half)
    return swapped(L) if upper else L


@operator("aten.linalg_cholesky_ex")
def linalg_cholesky_ex(self, upper=False, check_errors=False):
    return (cholesky_factor(self, upper), flow.zeros(self.shape[:-2], dtype=flow.int32, device=self.device))


@operator("aten.cholesky_inverse")
@helper
def inverse_by_cholesky(self, upper=False):
    """PyTorch's `cholesky_inverse`."""
    factor = (flow.triu(self) if upper else flow.tril(self)).detach()
    inverse_of = inverse_matrix(factor)
    P = product(inverse_of, swapped(inverse_of)) if upper else product(swapped(inverse_of), inverse_of)
    # PyTorch's gradient knows nothing of the triangle that is not read.
    moved = product(swapped(change_of(self)), factor) if upper else product(change_of(self), swapped(factor))
    return P - product(product(P, moved + swapped(moved)), P)


@operator("aten.cholesky_solve")
def cholesky_solve(self, input2, upper=False):
    return product(inverse_by_cholesky(input2, upper), self)


@operator("aten.linalg_qr")
@helper
def orthogonal_factor(A, mode="reduced"):
    """PyTorch's `linalg.qr`."""
    if mode == "r":
        return flow.zeros(0, dtype=A.dtype, device=A.device), by_numpy("qr", A, "r")[0]
    Q, R = by_numpy("qr", A, mode)
    if A.requires_grad and flow.is_grad_enabled() and A.shape[-2] >= A.shape[-1] == Q.shape[-1]:
        change = product(change_of(A), inverse_matrix(R))
        M = product(swapped(Q), change)
        turn = flow.tril(M, -1) - swapped(flow.tril(M, -1))
        return Q + product(Q, turn) + change - product(Q, M), R + product(M - turn, R)
    return Q, R


@operator("aten.qr")
def old_qr(self, some=True):
    return orthogonal_factor(self, "reduced" if some else "complete")


@operator("aten.linalg_householder_product")
@helper
def product_of_reflections(input, tau):
    """PyTorch's `linalg.householder_product`: the first columns of a product of reflections, each along a column."""
    unit = flow.eye(input.shape[-2], input.shape[-1], dtype=input.dtype, device=input.device)
    directions, found = flow.tril(input, -1) + unit, unit.expand(*input.shape)
    for place in reversed(range(tau.shape[-1])):
        direction = directions[..., place : place + 1]
        share = product(direction, product(swapped(direction), found))
        found = found - tau[..., place : place + 1].unsqueeze(-1) * share
    return found


@operator("aten.linalg_eigh")
@helper
def eigenvectors(self, UPLO="L"):
    """PyTorch's `linalg.eigh`."""
    values, vectors = by_numpy("eigh", self, UPLO)
    if self.requires_grad and flow.is_grad_enabled():
        change = change_of(self)
        P = product(product(swapped(vectors), (change + swapped(change)) / 2), vectors)
        return values + diagonal_of(P), vectors + product(vectors, P * inverse_differences(values))
    return values, vectors


@operator("aten.linalg_eigvalsh")
def eigvalsh(self, UPLO="L"):
    return eigenvectors(self, UPLO)[0]


@helper
def singular_vectors(A, full_matrices=True):
    """PyTorch's `linalg.svd`."""
    U, S, Vh = by_numpy("svd", A, full_matrices)
    if A.requires_grad and flow.is_grad_enabled():
        change, count = change_of(A), S.shape[-1]
        u, v, s = U[..., :, :count], swapped(Vh)[..., :, :count], S.unsqueeze(-2)
        P = product(product(swapped(u), change), v)
        S = S + diagonal_of(P)
        inverses = inverse_differences(s.squeeze(-2) ** 2)
        left = product(u, inverses * (P * s + swapped(P * s)))
        right = product(v, inverses * (swapped(P * swapped(s)) + P * swapped(s)))
        left = left + (product(change, v) - product(u, P)) / s
        right = right + (product(swapped(change), u) - product(v, swapped(P))) / s
        if U.shape[-1] == count and Vh.shape[-2] == count:
            U, Vh = U + left, Vh + swapped(right)
    return U, S, Vh


@operator("aten.linalg_svd")
def linalg_svd(A, full_matrices=True, driver=None):
    return singular_vectors(A, full_matrices)


@operator("aten.svd")
def old_svd(self, some=True, compute_uv=True):
    U, S, Vh = singular_vectors(self, not some)
    return (U, S, Vh.transpose(-2, -1))


@operator("aten.linalg_svdvals")
def svdvals(A, driver=None):
    return singular_vectors(A, False)[1]


@helper
def pseudoinverse(A, rcond=None):
    """PyTorch's `linalg.pinv`."""
    smallest = max(A.shape[-2:]) * (2.0**-52 if A.dtype == flow.float64 else 2.0**-23)
    P = by_numpy("pinv", A, smallest if rcond is None else rcond)[0]
    if A.requires_grad and flow.is_grad_enabled():
        change, one = change_of(A), A.detach()
        rows = flow.eye(one.shape[-2], dtype=A.dtype, device=A.device) - product(one, P)
        columns = flow.eye(one.shape[-1], dtype=A.dtype, device=A.device) - product(P, one)
        ahead = product(product(P, swapped(P)), product(swapped(change), rows))
        behind = product(product(columns, swapped(change)), product(swapped(P), P))
        P = P - product(product(P, change), P) + ahead + behind
    return P


@operator("aten.linalg_pinv", "aten.pinverse")
def pinv(self, atol=None, rtol=None, rcond=None, hermitian=False):
    if atol is not None or hermitian:
        raise NotImplementedError("an absolute tolerance, or a matrix that is told to be symmetric")
    return pseudoinverse(self, rtol if rcond is None else rcond)


@operator("aten.matrix_exp", "aten.linalg_matrix_exp")
@helper
def exponential(self):
    """PyTorch's `matrix_exp`, by a series, of a matrix that is halved until it is small; then squared as often."""
    largest = float(flow.abs(self.detach()).sum(dim=-1).max().item()) if self.numel() else 0.0
    halvings = math.ceil(math.log2(largest / 0.5)) if largest > 0.5 else 0
    small = self / 2.0**halvings
    result = flow.eye(self.shape[-1], dtype=self.dtype, device=self.device).expand(*self.shape)
    term = result
    for number in range(1, 14 if self.dtype == flow.float64 else 9):
        term = product(term, small) / number
        result = result + term
    for _ in range(halvings):
        result = product(result, result)
    return result


@operator("aten.linalg_matrix_norm")
@helper
def matrix_norm(self, ord="fro", dim=(-2, -1), keepdim=False, dtype=None):
    """PyTorch's `linalg.matrix_norm`."""
    self = self if dtype is None else self.to(dtype)
    rows, columns = (each % self.ndim for each in dim)
    if ord == "fro":
        return flow.linalg.vector_norm(self, 2, dim=(rows, columns), keepdim=keepdim)
    if ord in ("nuc", 2, -2):
        others = [each for each in range(self.ndim) if each not in (rows, columns)]
        values = singular_vectors(self.permute(*others, rows, columns), False)[1]
        found = values.sum(dim=-1) if ord == "nuc" else values[..., 0 if ord > 0 else -1]
        return found.unsqueeze(min(rows, columns)).unsqueeze(max(rows, columns)) if keepdim else found
    summed, other = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = flow.abs(self).sum(dim=summed, keepdim=True)
    found = sums.amax(dim=other, keepdim=True) if ord > 0 else sums.amin(dim=other, keepdim=True)
    return found if keepdim else found.squeeze(max(rows, columns)).squeeze(min(rows, columns))


@operator("aten.nuclear_norm")
def nuclear_norm(self, dim=(-2, -1), keepdim=False):
    return matrix_norm(self, "nuc", dim, keepdim)


@operator("aten.linalg_norm")
def linalg_norm(self, ord=None, dim=None, keepdim=False, dtype=None, *, out_dtype):
    dims, x = dims_of(self, dim), self if self.dtype == out_dtype else self.to(out_dtype)
    if ord is not None and len(dims) == 2:
        return matrix_norm(x, ord, dims, keepdim)
    return flow.linalg.vector_norm(x, 2 if ord is None else ord, dims, keepdim)
