"""Methods that work in place, made of the functions that do not: comparisons, sums so far, logarithms and such."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.common import written
from torch2flow.port.compat.methods import resize_
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


@stands_for("torch.Tensor.resize_as_", because="OneFlow has no `resize_as_`.")
def resize_as_(self, the_template):
    return resize_(self, *the_template.shape)
