"""Methods that work in place, made of the functions that do not: comparisons, sums so far, logarithms and such."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.operators.arithmetic import (
    copysign,
    greatest_common_divisor,
    heaviside,
    hypot,
    least_common_multiple,
)
from torch2flow.port.compat.arithmetic import (
    atan2,
    deg2rad,
    digamma,
    div,
    exp2,
    float_power,
    fraction,
    ldexp,
    lgamma,
    logit,
    multiply,
    rad2deg,
    sign,
    sinc,
    subtract,
    trunc,
    xlogy,
)
from torch2flow.port.compat.common import written
from torch2flow.port.compat.comparison import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    left_shift,
    right_shift,
)
from torch2flow.port.compat.indexing import put
from torch2flow.port.compat.linear_algebra import addbmm, addmv, addr, baddbmm
from torch2flow.port.compat.methods import neg_, resize_
from torch2flow.port.compat.registry import stands_for


def in_place(name):
    """The method that writes what a function of OneFlow gives for a tensor into that very tensor."""

    def method(self, *args, **named):
        return written(self, getattr(flow, name)(self.clone(), *args, **named))

    method.__name__ = method.__qualname__ = f"{name}_"
    return method


abs_ = in_place("abs")
sqrt_ = in_place("sqrt")
rsqrt_ = in_place("rsqrt")
square_ = in_place("square")
reciprocal_ = in_place("reciprocal")
exp_ = in_place("exp")
log_ = in_place("log")
sigmoid_ = in_place("sigmoid")
tanh_ = in_place("tanh")
cos_ = in_place("cos")
ceil_ = in_place("ceil")
log1p_ = in_place("log1p")
log2_ = in_place("log2")
log10_ = in_place("log10")
expm1_ = in_place("expm1")
erf_ = in_place("erf")
erfc_ = in_place("erfc")
sign_ = in_place("sign")
tan_ = in_place("tan")
atan_ = in_place("atan")
asin_ = in_place("asin")
acos_ = in_place("acos")
sinh_ = in_place("sinh")
cosh_ = in_place("cosh")
gt_ = in_place("gt")
ge_ = in_place("ge")
lt_ = in_place("lt")
le_ = in_place("le")
ne_ = in_place("ne")
logical_and_ = in_place("logical_and")
logical_or_ = in_place("logical_or")
logical_not_ = in_place("logical_not")
cumsum_ = in_place("cumsum")
cumprod_ = in_place("cumprod")

_ALSO_FUNCTIONS = (abs_, sqrt_, rsqrt_, square_, reciprocal_, exp_, log_, sigmoid_, tanh_, cos_, ceil_)
_METHODS_ALONE = (
    log1p_, log2_, log10_, expm1_, erf_, erfc_, sign_, tan_, atan_, asin_, acos_, sinh_, cosh_, gt_, ge_, lt_, le_, ne_,
    logical_and_, logical_or_, logical_not_, cumsum_, cumprod_,
)  # fmt: skip

for _method in _ALSO_FUNCTIONS + _METHODS_ALONE:
    _names = [f"torch.Tensor.{_method.__name__}"] + [f"torch.{_method.__name__}"] * (_method in _ALSO_FUNCTIONS)
    stands_for(*_names, because=f"OneFlow has no `{_method.__name__}`.")(_method)


def in_place_of(function):
    """The method that writes what a function gives for a tensor into that very tensor."""

    def method(self, *args, **named):
        return written(self, function(self.clone(), *args, **named))

    return method


acosh_ = in_place("acosh")
asinh_ = in_place("asinh")
atanh_ = in_place("atanh")
eq_ = in_place("eq")
logical_xor_ = in_place("logical_xor")
atan2_ = in_place_of(atan2)
copysign_ = in_place_of(copysign)
deg2rad_ = in_place_of(deg2rad)
rad2deg_ = in_place_of(rad2deg)
digamma_ = in_place_of(digamma)
lgamma_ = in_place_of(lgamma)
divide_ = in_place_of(div)
multiply_ = in_place_of(multiply)
subtract_ = in_place_of(subtract)
exp2_ = in_place_of(exp2)
float_power_ = in_place_of(float_power)
fix_ = in_place_of(trunc)
frac_ = in_place_of(fraction)
gcd_ = in_place_of(greatest_common_divisor)
lcm_ = in_place_of(least_common_multiple)
heaviside_ = in_place_of(heaviside)
hypot_ = in_place_of(hypot)
ldexp_ = in_place_of(ldexp)
logit_ = in_place_of(logit)
sgn_ = in_place_of(sign)
sinc_ = in_place_of(sinc)
xlogy_ = in_place_of(xlogy)
bitwise_and_ = in_place_of(bitwise_and)
bitwise_or_ = in_place_of(bitwise_or)
bitwise_xor_ = in_place_of(bitwise_xor)
bitwise_not_ = in_place_of(bitwise_not)
bitwise_left_shift_ = in_place_of(left_shift)
bitwise_right_shift_ = in_place_of(right_shift)
put_ = in_place_of(put)
addbmm_ = in_place_of(addbmm)
baddbmm_ = in_place_of(baddbmm)
addmv_ = in_place_of(addmv)
addr_ = in_place_of(addr)

for _name, _method in {
    "acosh_ arccosh_": acosh_, "asinh_ arcsinh_": asinh_, "atanh_ arctanh_": atanh_, "eq_": eq_,
    "logical_xor_": logical_xor_, "atan2_ arctan2_": atan2_, "copysign_": copysign_, "deg2rad_": deg2rad_,
    "rad2deg_": rad2deg_, "digamma_": digamma_, "lgamma_": lgamma_, "divide_ true_divide_": divide_,
    "multiply_": multiply_, "subtract_": subtract_, "exp2_": exp2_, "float_power_": float_power_, "fix_": fix_,
    "frac_": frac_, "gcd_": gcd_, "lcm_": lcm_, "heaviside_": heaviside_, "hypot_": hypot_, "ldexp_": ldexp_,
    "logit_": logit_, "sgn_": sgn_, "sinc_": sinc_, "xlogy_": xlogy_, "bitwise_and_": bitwise_and_,
    "bitwise_or_": bitwise_or_, "bitwise_xor_": bitwise_xor_, "bitwise_not_": bitwise_not_,
    "bitwise_left_shift_": bitwise_left_shift_, "bitwise_right_shift_": bitwise_right_shift_, "put_": put_,
    "addbmm_": addbmm_, "baddbmm_": baddbmm_, "addmv_": addmv_, "addr_": addr_, "absolute_": abs_, "negative_": neg_,
    "arcsin_": asin_, "arccos_": acos_, "arctan_": atan_, "greater_": gt_, "greater_equal_": ge_, "less_": lt_,
    "less_equal_": le_, "not_equal_": ne_,
}.items():  # fmt: skip
    _method.__name__ = _method.__qualname__ = _name.split()[0] if _method.__name__ == "method" else _method.__name__
    stands_for(*[f"torch.Tensor.{each}" for each in _name.split()], because=f"OneFlow has no `{_name.split()[0]}`.")(
        _method
    )


@stands_for("torch.Tensor.resize_as_", because="OneFlow has no `resize_as_`.")
def resize_as_(self, the_template):
    return resize_(self, *the_template.shape)
