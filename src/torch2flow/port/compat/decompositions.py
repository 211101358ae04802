"""Inverses, determinants and decompositions of matrices.

What OneFlow has nothing for has its values from NumPy, and its first derivative from the formula that PyTorch uses:
`A - A.detach()` is zero, and carries the gradient of `A` through whatever linear formula it is put into.
"""

from __future__ import annotations

import math
from collections import namedtuple

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.common import stored
from torch2flow.port.compat.linear_algebra import matmul
from torch2flow.port.compat.registry import stands_for

Svd = namedtuple("Svd", ["U", "S", "Vh"])
OldSvd = namedtuple("OldSvd", ["U", "S", "V"])
Eigh = namedtuple("Eigh", ["eigenvalues", "eigenvectors"])
Qr = namedtuple("Qr", ["Q", "R"])
Slogdet = namedtuple("Slogdet", ["sign", "logabsdet"])
InvEx = namedtuple("InvEx", ["inverse", "info"])
CholeskyEx = namedtuple("CholeskyEx", ["L", "info"])
Lstsq = namedtuple("Lstsq", ["solution", "residuals", "rank", "singular_values"])


def by_numpy(name, A, *arguments):
    """What a function of NumPy's makes of a tensor, as tensors in the same place."""
    import numpy as np

    found = getattr(np.linalg, name)(A.detach().cpu().numpy(), *arguments)
    found = found if isinstance(found, tuple) else (found,)
    return [flow.tensor(np.array(each, order="C"), dtype=A.dtype, device=A.device) for each in found]


def swapped(A):
    """The transposed matrices."""
    return flow.transpose(A, -2, -1)


def change_of(A):
    """Zero, with the gradient of `A`."""
    return A - A.detach()


def diagonal_of(P):
    """The diagonals of matrices."""
    return (P * flow.eye(P.shape[-1], dtype=P.dtype, device=P.device)).sum(dim=-1)


def vector_to_matrix(A, B):
    """Whether `B` is one vector for each matrix, as PyTorch decides it."""
    return B.ndim == 1 or (A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1]))


def without_numbers(A):
    """What PyTorch says of a decomposition that went well, for each matrix."""
    return flow.zeros(tuple(A.shape[:-2]), dtype=flow.int32, device=A.device)


@stands_for(
    "torch.linalg.inv", "torch.inverse", "torch.Tensor.inverse", because="OneFlow's ends the process for no elements."
)
def inverse(A, *, out=None):
    return stored(flow.inverse(A) if A.numel() else A, out)


@stands_for("torch.linalg.inv_ex", because="OneFlow has no `inv_ex`.")
def inv_ex(A, *, check_errors=False):
    return InvEx(inverse(A), without_numbers(A))


@stands_for("torch.det", "torch.linalg.det", "torch.Tensor.det", because="OneFlow has no `det`.")
def det(A):
    found = by_numpy("det", A)[0]
    # The cofactors, which are there for a singular matrix too.
    U, S, Vh = by_numpy("svd", A)
    size = A.shape[-1]
    others = [flow.prod(flow.cat([S[..., :n], S[..., n + 1 :]], dim=-1), dim=-1) for n in range(size)]
    sign = by_numpy("det", matmul(U, Vh))[0]
    cofactors = matmul(U * (flow.stack(others, dim=-1) * sign.unsqueeze(-1)).unsqueeze(-2), Vh)
    return found + (cofactors * change_of(A)).sum(dim=(-2, -1))


@stands_for("torch.logdet", "torch.Tensor.logdet", because="OneFlow has no `logdet`.")
def logdet(A):
    sign, found = slogdet(A)
    return flow.where(sign > 0, found, flow.full_like(found, float("nan")))


@stands_for("torch.linalg.slogdet", "torch.slogdet", "torch.Tensor.slogdet", because="OneFlow has no `slogdet`.")
def slogdet(A):
    sign, found = by_numpy("slogdet", A)
    if A.requires_grad and flow.is_grad_enabled():
        found = found + (swapped(flow.inverse(A.detach())) * change_of(A)).sum(dim=(-2, -1))
    return Slogdet(sign, found)


@stands_for("torch.linalg.solve", because="OneFlow has no `solve`: the inverse does it.")
def solve(A, B, *, left=True, out=None):
    if not left:
        return swapped(solve(swapped(A), swapped(B)))
    if vector_to_matrix(A, B):
        return stored(matmul(inverse(A), B.unsqueeze(-1)).squeeze(-1), out)
    return stored(matmul(inverse(A), B), out)


@stands_for("torch.linalg.solve_triangular", because="OneFlow has no `solve_triangular`: the inverse does it.")
def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    if unitriangular:
        size = A.shape[-1]
        one = flow.eye(size, dtype=A.dtype, device=A.device)
        A = A * (1 - one) + one
    inverse_of = flow.inverse(flow.triu(A) if upper else flow.tril(A))
    return matmul(inverse_of, B) if left else matmul(B, inverse_of)


@stands_for("torch.triangular_solve", "torch.Tensor.triangular_solve", because="OneFlow has none: the inverse does it.")
def triangular_solve(b, A, upper=True, transpose=False, unitriangular=False):
    factor = swapped(A) if transpose else A
    return solve_triangular(factor, b, upper=upper != transpose, unitriangular=unitriangular), A


@stands_for("torch.linalg.cholesky", "torch.cholesky", "torch.Tensor.cholesky", because="OneFlow has no `cholesky`.")
def cholesky(A, upper=False, *, out=None):
    L = by_numpy("cholesky", A)[0]
    if A.requires_grad and flow.is_grad_enabled():
        E = change_of(A)
        inverse_of = flow.inverse(L)
        P = matmul(matmul(inverse_of, (E + swapped(E)) / 2), swapped(inverse_of))
        half = flow.eye(A.shape[-1], dtype=A.dtype, device=A.device) * 0.5
        L = L + matmul(L, flow.tril(P, -1) + P * half)
    return stored(swapped(L) if upper else L, out)


@stands_for("torch.linalg.cholesky_ex", because="OneFlow has no `cholesky_ex`.")
def cholesky_ex(A, *, upper=False, check_errors=False):
    return CholeskyEx(cholesky(A, upper), without_numbers(A))


@stands_for("torch.cholesky_solve", "torch.Tensor.cholesky_solve", because="OneFlow has no `cholesky_solve`.")
def cholesky_solve(B, L, upper=False):
    return matmul(cholesky_inverse(L, upper), B)


@stands_for("torch.cholesky_inverse", "torch.Tensor.cholesky_inverse", because="OneFlow has no `cholesky_inverse`.")
def cholesky_inverse(L, upper=False):
    inverse_of = flow.inverse(flow.triu(L) if upper else flow.tril(L))
    return matmul(inverse_of, swapped(inverse_of)) if upper else matmul(swapped(inverse_of), inverse_of)


@stands_for("torch.linalg.qr", because="OneFlow has no `qr`.")
def linalg_qr(A, mode="reduced"):
    if mode == "r":
        return Qr(flow.zeros((0,), dtype=A.dtype, device=A.device), by_numpy("qr", A, "r")[0])
    Q, R = by_numpy("qr", A, mode)
    if A.requires_grad and flow.is_grad_enabled() and A.shape[-2] >= A.shape[-1] == Q.shape[-1]:
        E = matmul(change_of(A), flow.inverse(R))
        M = matmul(swapped(Q), E)
        turn = flow.tril(M, -1) - swapped(flow.tril(M, -1))
        return Qr(Q + matmul(Q, turn) + E - matmul(Q, M), R + matmul(M - turn, R))
    return Qr(Q, R)


@stands_for("torch.qr", "torch.Tensor.qr", because="OneFlow has no `qr`.")
def qr(input, some=True):
    return linalg_qr(input, "reduced" if some else "complete")


def inverse_differences(values):
    """`1 / (values[j] - values[i])`, and 0 where they are the same one."""
    differences = values.unsqueeze(-2) - values.unsqueeze(-1)
    same = differences == 0
    inverses = 1 / flow.where(same, flow.ones_like(differences), differences)
    return flow.where(same, flow.zeros_like(differences), inverses)


@stands_for("torch.linalg.eigh", because="OneFlow has no `eigh`.")
def eigh(A, UPLO="L"):
    found = by_numpy("eigh", A, UPLO)
    values, vectors = found
    if A.requires_grad and flow.is_grad_enabled():
        E = change_of(A)
        P = matmul(matmul(swapped(vectors), (E + swapped(E)) / 2), vectors)
        turned = vectors + matmul(vectors, P * inverse_differences(values))
        return Eigh(values + diagonal_of(P), turned)
    return Eigh(values, vectors)


@stands_for("torch.linalg.eigvalsh", because="OneFlow has no `eigvalsh`.")
def eigvalsh(A, UPLO="L"):
    return eigh(A, UPLO)[0]


@stands_for("torch.symeig", "torch.Tensor.symeig", because="OneFlow has no `symeig`.")
def symeig(input, eigenvectors=False, upper=True):
    return eigh(input, "U" if upper else "L")


@stands_for("torch.linalg.svd", because="OneFlow has no `svd`.")
def linalg_svd(A, full_matrices=True):
    U, S, Vh = by_numpy("svd", A, full_matrices)
    if A.requires_grad and flow.is_grad_enabled():
        E, count = change_of(A), S.shape[-1]
        u, v, s = U[..., :, :count], swapped(Vh)[..., :, :count], S.unsqueeze(-2)
        P = matmul(matmul(swapped(u), E), v)
        S = S + diagonal_of(P)
        F = inverse_differences(s.squeeze(-2) ** 2)
        left = matmul(u, F * (P * s + swapped(P * s)))
        right = matmul(v, F * (swapped(P * swapped(s)) + P * swapped(s)))
        left = left + (matmul(E, v) - matmul(u, P)) / s
        right = right + (matmul(swapped(E), u) - matmul(v, swapped(P))) / s
        if U.shape[-1] == count and Vh.shape[-2] == count:
            U, Vh = U + left, Vh + swapped(right)
    return Svd(U, S, Vh)


@stands_for("torch.svd", "torch.Tensor.svd", because="OneFlow has no `svd`.")
def svd(input, some=True, compute_uv=True):
    U, S, Vh = linalg_svd(input, full_matrices=not some)
    return OldSvd(U, S, swapped(Vh))


@stands_for("torch.linalg.svdvals", because="OneFlow has no `svdvals`.")
def svdvals(A):
    return linalg_svd(A, full_matrices=False)[1]


@stands_for("torch.linalg.pinv", "torch.pinverse", "torch.Tensor.pinverse", because="OneFlow has no `pinv`.")
def pinv(A, *, rcond=None):
    smallest = max(A.shape[-2:]) * (2.0**-52 if A.dtype == flow.float64 else 2.0**-23)
    P = by_numpy("pinv", A, smallest if rcond is None else rcond)[0]
    if A.requires_grad and flow.is_grad_enabled():
        E, one = change_of(A), A.detach()
        rows = flow.eye(one.shape[-2], dtype=A.dtype, device=A.device) - matmul(one, P)
        columns = flow.eye(one.shape[-1], dtype=A.dtype, device=A.device) - matmul(P, one)
        ahead = matmul(matmul(P, swapped(P)), matmul(swapped(E), rows))
        behind = matmul(matmul(columns, swapped(E)), matmul(swapped(P), P))
        P = P - matmul(matmul(P, E), P) + ahead + behind
    return P


@stands_for("torch.linalg.lstsq", because="OneFlow has no `lstsq`: the pseudoinverse does it.")
def lstsq(A, B, rcond=None, *, driver=None):
    X = matmul(pinv(A), B.unsqueeze(-1)).squeeze(-1) if vector_to_matrix(A, B) else matmul(pinv(A), B)
    nothing = flow.zeros((0,), dtype=A.dtype, device=A.device)
    residuals = ((matmul(A, X) - B) ** 2).sum(dim=-2) if A.shape[-2] > A.shape[-1] and X.ndim > 1 else nothing
    return Lstsq(X, residuals, flow.zeros((0,), dtype=flow.int64), nothing)


@stands_for("torch.linalg.matrix_rank", "torch.matrix_rank", because="OneFlow has no `matrix_rank`.")
def matrix_rank(A, tol=None, hermitian=False):
    return by_numpy("matrix_rank", A, tol, hermitian)[0].to(flow.int64)


@stands_for("torch.matrix_exp", "torch.linalg.matrix_exp", "torch.Tensor.matrix_exp", because="OneFlow has none.")
def matrix_exp(A):
    """By a series, of a matrix that is halved until it is small, and the result squared as often."""
    largest = float(flow.abs(A.detach()).sum(dim=-1).max().item()) if A.numel() else 0.0
    halvings = math.ceil(math.log2(largest / 0.5)) if largest > 0.5 else 0
    small = A / 2.0**halvings
    result = flow.eye(A.shape[-1], dtype=A.dtype, device=A.device).expand(*A.shape)
    term = result
    for number in range(1, 14 if A.dtype == flow.float64 else 9):
        term = matmul(term, small) / number
        result = result + term
    for _ in range(halvings):
        result = matmul(result, result)
    return result
