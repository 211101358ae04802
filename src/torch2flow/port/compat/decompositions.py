"""Inverses, determinants and decompositions of matrices, under PyTorch's signatures."""

from collections import namedtuple

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.operators.decompositions import (
    by_numpy,
    cholesky_factor,
    determinant,
    eigenvectors,
    exponential,
    inverse_by_cholesky,
    inverse_matrix,
    log_determinant,
    orthogonal_factor,
    product_of_reflections,
    pseudoinverse,
    sign_and_logdet,
    singular_vectors,
    solve_by_inverse,
    solve_by_triangle,
    swapped,
    vector_to_matrix,
)
from torch2flow.port.compat.common import stored
from torch2flow.port.compat.linear_algebra import matmul
from torch2flow.port.compat.reduction import linalg_norm
from torch2flow.port.compat.registry import stands_for

Svd = namedtuple("Svd", ["U", "S", "Vh"])
OldSvd = namedtuple("OldSvd", ["U", "S", "V"])
Eigh = namedtuple("Eigh", ["eigenvalues", "eigenvectors"])
Qr = namedtuple("Qr", ["Q", "R"])
Slogdet = namedtuple("Slogdet", ["sign", "logabsdet"])
InvEx = namedtuple("InvEx", ["inverse", "info"])
CholeskyEx = namedtuple("CholeskyEx", ["L", "info"])
Lstsq = namedtuple("Lstsq", ["solution", "residuals", "rank", "singular_values"])


def without_numbers(A):
    """What PyTorch says of a decomposition that went well, for each matrix."""
    return flow.zeros(tuple(A.shape[:-2]), dtype=flow.int32, device=A.device)


@stands_for(
    "torch.linalg.inv", "torch.inverse", "torch.Tensor.inverse", because="OneFlow's ends the process for no elements."
)
def inverse(A, *, out=None):
    return stored(inverse_matrix(A), out)


@stands_for("torch.linalg.inv_ex", because="OneFlow has no `inv_ex`.")
def inv_ex(A, *, check_errors=False):
    return InvEx(inverse(A), without_numbers(A))


stands_for("torch.linalg.householder_product", "torch.orgqr", "torch.Tensor.orgqr", because="OneFlow has no `orgqr`.")(
    product_of_reflections
)
stands_for("torch.det", "torch.linalg.det", "torch.Tensor.det", because="OneFlow has no `det`.")(determinant)


@stands_for("torch.logdet", "torch.Tensor.logdet", because="OneFlow has no `logdet`.")
def logdet(A):
    return log_determinant(A)


@stands_for("torch.linalg.slogdet", "torch.slogdet", "torch.Tensor.slogdet", because="OneFlow has no `slogdet`.")
def slogdet(A):
    return Slogdet(*sign_and_logdet(A))


@stands_for("torch.linalg.solve", because="OneFlow has no `solve`: the inverse does it.")
def solve(A, B, *, left=True, out=None):
    return stored(solve_by_inverse(A, B, left), out)


@stands_for("torch.linalg.solve_triangular", because="OneFlow has no `solve_triangular`: the inverse does it.")
def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    return solve_by_triangle(A, B, upper, left, unitriangular)


@stands_for("torch.triangular_solve", "torch.Tensor.triangular_solve", because="OneFlow has none: the inverse does it.")
def triangular_solve(b, A, upper=True, transpose=False, unitriangular=False):
    factor = swapped(A) if transpose else A
    return solve_triangular(factor, b, upper=upper != transpose, unitriangular=unitriangular), A


@stands_for("torch.linalg.cholesky", "torch.cholesky", "torch.Tensor.cholesky", because="OneFlow has no `cholesky`.")
def cholesky(A, upper=False, *, out=None):
    return stored(cholesky_factor(A, upper), out)


@stands_for("torch.linalg.cholesky_ex", because="OneFlow has no `cholesky_ex`.")
def cholesky_ex(A, *, upper=False, check_errors=False):
    return CholeskyEx(cholesky(A, upper), without_numbers(A))


@stands_for("torch.cholesky_solve", "torch.Tensor.cholesky_solve", because="OneFlow has no `cholesky_solve`.")
def cholesky_solve(B, L, upper=False):
    return matmul(cholesky_inverse(L, upper), B)


@stands_for("torch.cholesky_inverse", "torch.Tensor.cholesky_inverse", because="OneFlow has no `cholesky_inverse`.")
def cholesky_inverse(L, upper=False):
    return inverse_by_cholesky(L, upper)


@stands_for("torch.linalg.qr", because="OneFlow has no `qr`.")
def linalg_qr(A, mode="reduced"):
    return Qr(*orthogonal_factor(A, mode))


@stands_for("torch.qr", "torch.Tensor.qr", because="OneFlow has no `qr`.")
def qr(input, some=True):
    return linalg_qr(input, "reduced" if some else "complete")


@stands_for("torch.linalg.eigh", because="OneFlow has no `eigh`.")
def eigh(A, UPLO="L"):
    return Eigh(*eigenvectors(A, UPLO))


@stands_for("torch.linalg.eigvalsh", because="OneFlow has no `eigvalsh`.")
def eigvalsh(A, UPLO="L"):
    return eigh(A, UPLO)[0]


@stands_for("torch.symeig", "torch.Tensor.symeig", because="OneFlow has no `symeig`.")
def symeig(input, eigenvectors=False, upper=True):
    return eigh(input, "U" if upper else "L")


@stands_for("torch.linalg.svd", because="OneFlow has no `svd`.")
def linalg_svd(A, full_matrices=True):
    return Svd(*singular_vectors(A, full_matrices))


@stands_for("torch.svd", "torch.Tensor.svd", because="OneFlow has no `svd`.")
def svd(input, some=True, compute_uv=True):
    U, S, Vh = linalg_svd(input, full_matrices=not some)
    return OldSvd(U, S, swapped(Vh))


@stands_for("torch.linalg.svdvals", because="OneFlow has no `svdvals`.")
def svdvals(A):
    return linalg_svd(A, full_matrices=False)[1]


stands_for("torch.linalg.pinv", "torch.pinverse", "torch.Tensor.pinverse", because="OneFlow has no `pinv`.")(
    pseudoinverse
)


@stands_for("torch.linalg.lstsq", because="OneFlow has no `lstsq`: the pseudoinverse does it.")
def lstsq(A, B, rcond=None, *, driver=None):
    X = matmul(pseudoinverse(A), B.unsqueeze(-1)).squeeze(-1) if vector_to_matrix(A, B) else matmul(pseudoinverse(A), B)
    nothing = flow.zeros((0,), dtype=A.dtype, device=A.device)
    residuals = ((matmul(A, X) - B) ** 2).sum(dim=-2) if A.shape[-2] > A.shape[-1] and X.ndim > 1 else nothing
    return Lstsq(X, residuals, flow.zeros((0,), dtype=flow.int64), nothing)


@stands_for("torch.linalg.matrix_rank", "torch.matrix_rank", because="OneFlow has no `matrix_rank`.")
def matrix_rank(A, tol=None, hermitian=False):
    return by_numpy("matrix_rank", A, tol, hermitian)[0].to(flow.int64)


@stands_for("torch.matrix_exp", "torch.linalg.matrix_exp", "torch.Tensor.matrix_exp", because="OneFlow has none.")
def matrix_exp(A):
    return exponential(A)


@stands_for("torch.svd_lowrank", because="OneFlow has none: the whole decomposition is computed, and cut.")
def svd_lowrank(A, q=6, niter=2, M=None):
    found = svd(A if M is None else A - M)
    return OldSvd(found.U[..., :q], found.S[..., :q], found.V[..., :q])


@stands_for("torch.pca_lowrank", because="OneFlow has none: the whole decomposition is computed, and cut.")
def pca_lowrank(A, q=None, center=True, niter=2):
    return svd_lowrank(A - A.mean(dim=-2, keepdim=True) if center else A, min(6, *A.shape[-2:]) if q is None else q)


@stands_for("torch.linalg.cond", because="OneFlow has no `cond`.")
def condition_number(A, p=None):
    if p in (None, 2, -2):
        values = svdvals(A)
        return values[..., -1] / values[..., 0] if p == -2 else values[..., 0] / values[..., -1]
    return linalg_norm(A, p, (-2, -1)) * linalg_norm(inverse_matrix(A), p, (-2, -1))
