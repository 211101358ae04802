"""Methods that only PyTorch's tensors have, by names that nothing else has, and for which there is nothing in OneFlow.

What an object is, the code alone does not tell. So other methods that OneFlow lacks, such as `lu`, are not told: an
array may have them too.
"""

from torch2flow.port.compat import SUBSTITUTES

_ONLY_TENSORS_HAVE = """absolute_ acos_ acosh_ addbmm_ addr_ arccos_ arcsin_ arctan2_ arctan_ asin_ asinh_ atan2_ atan_
    atanh_ baddbmm_ bitwise_and_ bitwise_not_ bitwise_or_ bitwise_xor_ cauchy_ copysign_ cosh_ cumprod_ cumsum_ deg2rad_
    diagonal_scatter digamma_ erf_ erfc_ exp2_ expm1_ fix_ float_power_ frac_ gcd_ geometric_ ge_ greater_
    greater_equal_ gt_ heaviside_ hypot_ i0_ igamma_ index_reduce_ lcm_ ldexp_ le_ less_ less_equal_ lgamma_
    log10_ log1p_ log2_ log_normal_ logical_and_ logical_not_ logical_or_ logical_xor_ logit_ lt_ map2_ mvlgamma_
    narrow_copy ne_ negative_ new_empty_strided nextafter_ not_equal_ polygamma_ put_ rad2deg_ refine_names
    resize_as_ sgn_ sign_ sinc_ sinh_ sparse_mask swapaxes_ swapdims_ tan_ to_mkldnn
    to_padded_tensor to_sparse_bsr to_sparse_csc to_sparse_csr xlogy_""".split()

ABSENT_METHODS = frozenset(_ONLY_TENSORS_HAVE) - {name.rpartition(".")[2] for name in SUBSTITUTES}
