"""Operators met in 346 exported models (torchvision, timm, transformers), and those that take matrices apart, by ATen's
names: tried in every test run."""

COMMON_OPERATORS = """
__and __iand __or __xor _assert_async _assert_scalar _assert_tensor_metadata _native_batch_norm_legit_no_training
_safe_softmax _softmax _to_copy _unsafe_view _upsample_bicubic2d_aa _upsample_bilinear2d_aa _weight_norm abs acos
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d add addcdiv addcmul addmm alias all amax
amin angle any arange argmax argsort as_strided asin atan avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm
bitwise_and bitwise_not bitwise_or bitwise_xor bmm broadcast_to cat ceil cholesky_inverse cholesky_solve chunk clamp
clamp_max clamp_min clip clone col2im complex concat conj constant_pad_nd contiguous conv1d conv2d conv3d
conv_transpose1d conv_transpose2d conv_transpose3d copy cos cosh cumprod cumsum det detach diff digamma div dropout
einsum elu embedding empty empty_like eq erf erfc exp expand expand_as expm1 eye feature_dropout fft_fft2 fft_fftn
fft_fftshift fft_hfft fft_ifft fft_ihfft2 fft_irfft fft_irfftn fft_rfft2 fill flatten flip floor floor_divide fmod full
full_like gather ge gelu glu grid_sampler grid_sampler_2d group_norm gru gt hardsigmoid hardswish hardtanh histc i0
im2col imag index index_put index_select instance_norm inverse isinf isnan istft item layer_norm le leaky_relu lerp
lift_fresh lift_fresh_copy linalg_cholesky linalg_eigvalsh linalg_matrix_norm linalg_pinv linalg_slogdet linalg_solve
linalg_solve_triangular linalg_svdvals linalg_vander linalg_vector_norm linear linspace log log10 log1p log2 log_sigmoid
log_softmax logdet logical_and logical_not logical_or logical_xor logsumexp lstm lt masked_fill matmul matrix_exp max
max_pool1d max_pool2d max_pool3d maximum mean meshgrid min minimum mish mm mode movedim mul multi_margin_loss multiply
narrow ne neg new_empty new_full new_ones new_zeros norm numpy_T one_hot ones ones_like pad permute pixel_shuffle polar
pow prelu quantile real reciprocal relu relu6 remainder renorm repeat repeat_interleave reshape reshape_as rms_norm roll
round rsqrt rsub scalar_tensor scaled_dot_product_attention scatter scatter_add select selu sigmoid sign silu sin sinh
slice softmax softplus sort split split_with_sizes sqrt square squeeze stack std stft sub subtract sum swapaxes
sym_constrain_range sym_constrain_range_for_size sym_size t tan tanh tensor_split tile to topk transpose tril
triplet_margin_loss triu true_divide trunc type_as unbind unflatten unfold unsqueeze upsample_bicubic2d
upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d var
var_mean view view_as view_as_complex view_as_real where zero zeros zeros_like
""".split()
