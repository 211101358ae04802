"""Sparse tensors, which OneFlow has not: a dense one with the same values stands for each."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.linear_algebra import matmul
from torch2flow.port.compat.registry import stands_for


@stands_for(
    "torch.sparse_coo_tensor",
    "torch.sparse.FloatTensor",
    "torch.sparse.DoubleTensor",
    "torch.sparse.LongTensor",
    because="OneFlow has no sparse tensors: this one is dense, with the same values.",
)
def sparse_coo_tensor(indices, values, size=None, *, dtype=None, device=None, requires_grad=False, is_coalesced=None):
    indices = indices if isinstance(indices, flow.Tensor) else flow.tensor(indices)
    values = values if isinstance(values, flow.Tensor) else flow.tensor(values)
    indices, values = indices.to(device or values.device), values.to(dtype or values.dtype)
    if size is None:
        size = [int(row.max()) + 1 for row in indices] + list(values.shape[1:])
    size, sparse_dims = tuple(int(each) for each in size), indices.shape[0]
    place, count = flow.zeros_like(indices[0]), 1
    for row, length in zip(indices, size, strict=False):
        place, count = place * length + row, count * length
    flat = values.reshape(values.shape[0], -1)
    places = place.unsqueeze(1).expand(flat.shape[0], flat.shape[1])
    dense = flow.zeros(count, flat.shape[1], dtype=values.dtype, device=values.device)
    dense = flow.scatter_add(dense, 0, places, flat).reshape(size[:sparse_dims] + tuple(values.shape[1:]))
    return dense.detach().requires_grad_() if requires_grad else dense


@stands_for(
    "torch.sparse.mm",
    "torch.spmm",
    "torch.Tensor.spmm",
    "torch.smm",
    because="OneFlow has no sparse tensors: it is dense.",
)
def product_of_sparse(mat1, mat2):
    return matmul(mat1, mat2)


@stands_for(
    "torch.Tensor.to_dense", "torch.Tensor.to_sparse", "torch.Tensor.coalesce",
    because="OneFlow has no sparse tensors: it is dense.",
)  # fmt: skip
def as_dense(self, *args, **named):
    return self
