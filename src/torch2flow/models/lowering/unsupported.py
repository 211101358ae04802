"""Operators that OneFlow 0.9.0 has nothing for, and why no rule makes up for it: what the user is told."""

from __future__ import annotations

_MATRICES = "OneFlow 0.9.0 has no decomposition of matrices, and torch2flow has none in place of this one"
_SPECIAL = "OneFlow 0.9.0 has no such special function"
_BACKWARD = "a step of PyTorch's backward pass; capture the forward pass alone, which OneFlow differentiates itself"
_DATA = "the size of its result depends on the data"
_BYTES = "OneFlow 0.9.0 can't look at the bits of a number"
_SPARSE = "OneFlow 0.9.0 has no sparse or nested tensors"
_QUANTIZED = "torch2flow converts no quantized computation"
_IN_PLACE = "it changes the memory of a tensor, which OneFlow's tensors don't allow"
_VMAP = "a step of torch.vmap: capture the model with 'torch2flow capture', which resolves it"
_RARE = "there is no rule for it yet"
COMPLEX = "there is no rule for it on complex numbers, which are pairs of real ones here (docs/lowering.md)"

UNSUPPORTED: dict[str, str] = {
    **dict.fromkeys(
        (f"torch._functorch.predispatch.{name}" for name in ("_add_batch_dim", "_remove_batch_dim")), _VMAP
    ),
    **dict.fromkeys(
        ("aten._linalg_svd", "aten.geqrf", "aten.ormqr", "aten._linalg_eigh",
         "aten.linalg_eig", "aten.linalg_eigvals", "aten._linalg_eigvals", "aten.linalg_lu", "aten.linalg_lu_factor",
         "aten.linalg_lu_factor_ex", "aten.linalg_lu_solve", "aten.lu_solve", "aten.lu_unpack", "aten._lu_with_info",
         "aten.linalg_ldl_factor", "aten.linalg_ldl_factor_ex", "aten.linalg_ldl_solve", "aten.linalg_solve_ex",
         "aten._linalg_solve_ex", "aten.linalg_lstsq", "aten._linalg_det", "aten._linalg_slogdet",
         "aten.linalg_matrix_rank", "aten.linalg_cond", "aten.linalg_tensorinv", "aten.linalg_tensorsolve"), _MATRICES
    ),
    **dict.fromkeys(
        ("aten.mvlgamma",
         "aten.special_multigammaln", "aten.igamma", "aten.igammac", "aten.special_gammainc", "aten.special_gammaincc",
         "aten.special_erfcx", "aten.special_ndtri", "aten.special_log_ndtr", "aten.special_zeta",
         "aten.special_airy_ai", "aten.special_bessel_j0", "aten.special_bessel_j1", "aten.special_bessel_y0",
         "aten.special_bessel_y1", "aten.special_chebyshev_polynomial_t", "aten.special_chebyshev_polynomial_u",
         "aten.special_chebyshev_polynomial_v", "aten.special_chebyshev_polynomial_w",
         "aten.special_hermite_polynomial_h", "aten.special_hermite_polynomial_he",
         "aten.special_laguerre_polynomial_l", "aten.special_legendre_polynomial_p",
         "aten.special_modified_bessel_k0",
         "aten.special_modified_bessel_k1", "aten.special_scaled_modified_bessel_k0",
         "aten.special_scaled_modified_bessel_k1", "aten.special_shifted_chebyshev_polynomial_t",
         "aten.special_shifted_chebyshev_polynomial_u", "aten.special_shifted_chebyshev_polynomial_v",
         "aten.special_shifted_chebyshev_polynomial_w", "aten.special_spherical_bessel_j0",
         "aten._standard_gamma", "aten._sample_dirichlet", "aten.poisson", "aten.binomial"), _SPECIAL
    ),
    **dict.fromkeys(
        ("aten.convolution_backward", "aten.embedding_dense_backward", "aten.native_group_norm_backward",
         "aten.native_layer_norm_backward", "aten.native_batch_norm_backward", "aten._adaptive_avg_pool2d_backward",
         "aten.avg_pool2d_backward", "aten.max_pool2d_with_indices_backward", "aten.native_dropout_backward",
         "aten.gelu_backward", "aten.nll_loss_backward"), _BACKWARD
    ),
    **dict.fromkeys(
        ("aten._unique2", "aten.unique_dim", "aten.unique_consecutive", "aten.unique_dim_consecutive",
         "aten.repeat_interleave.Tensor", "aten.combinations"), _DATA
    ),
    **dict.fromkeys(("aten.nextafter", "aten.hash_tensor"), _BYTES),
    **dict.fromkeys(
        ("aten._to_sparse", "aten.to_sparse", "aten._to_dense", "aten.sparse_coo_tensor", "aten._sparse_sum",
         "aten._nested_view_from_buffer", "aten.to_padded_tensor"), _SPARSE
    ),
    **dict.fromkeys(
        ("aten.quantize_per_tensor", "aten.quantize_per_channel", "aten.dequantize",
         "quantized_decomposed.quantize_per_tensor",
         "quantized_decomposed.dequantize_per_tensor"), _QUANTIZED
    ),
    "aten.random": "it draws from all numbers that its dtype can hold: use randint, with limits",
    **dict.fromkeys(("aten.resize", "aten.resize_as", "aten.set", "aten.embedding_renorm"), _IN_PLACE),
    **dict.fromkeys(
        ("aten.nanquantile", "aten.nanmedian", "aten.histogram.bins_tensor",
         "aten.histogramdd", "aten._histogramdd_from_bin_tensors", "aten.fractional_max_pool2d",
         "aten.fractional_max_pool3d",
         "aten.nonzero_numpy", "aten.nonzero_static",
         "aten._chunk_cat", "aten._unsafe_masked_index", "aten._unsafe_masked_index_put_accumulate",
         "aten.rrelu_with_noise_functional", "aten._batch_norm_with_update", "aten._batch_norm_with_update_functional",
         "aten.tensor_split.tensor_indices_or_sections", "aten._ctc_loss", "aten.ctc_loss",
         "torch_nn._linear_cross_entropy_batch_chunked", "torch_nn._linear_cross_entropy_batch_chunked_no_reduction"),
        _RARE
    ),
}  # fmt: skip
"""Why there is no rule, by operator, or by operator and overload."""


def reason(target: str) -> str:
    """Why there is no rule for `aten.linalg_svd.default`; "" where nothing is known of it."""
    if target.startswith("complex."):
        return COMPLEX
    return UNSUPPORTED.get(target) or UNSUPPORTED.get(target.rpartition(".")[0], "")
