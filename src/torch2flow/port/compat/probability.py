"""Distributions of probability."""

import copy
import math

from torch2flow.models.lowering.lazy import F, flow
from torch2flow.port.compat.arithmetic import erfinv
from torch2flow.port.compat.registry import stands_for


def tensors_of(*values):
    """Numbers and tensors as tensors of one shape, in float32 where none is a tensor."""
    values = [each if isinstance(each, flow.Tensor) else flow.tensor(float(each)) for each in values]
    return flow.broadcast_tensors(*values) if len(values) > 1 else values


@stands_for("torch.distributions.Distribution", "torch.distributions.distribution.Distribution",
            because="OneFlow's has fewer methods.")  # fmt: skip
class DistributionOfSamples:
    """PyTorch's base of distributions."""

    has_rsample = False

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self.batch_shape, self.event_shape = flow.Size(tuple(batch_shape)), flow.Size(tuple(event_shape))

    def sample(self, sample_shape=()):
        with flow.no_grad():
            return self.rsample(sample_shape)

    def shape_of(self, sample_shape):
        return (*sample_shape, *self.batch_shape, *self.event_shape)

    def sample_n(self, n):
        return self.sample((n,))

    def expand(self, batch_shape, _instance=None):
        """The same distribution for a larger batch: what it holds is expanded."""
        found = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, flow.Tensor):
                setattr(found, name, value.expand(*batch_shape, *value.shape[len(self.batch_shape) :]))
            elif isinstance(value, DistributionOfSamples):
                setattr(found, name, value.expand((*batch_shape, *value.batch_shape[len(self.batch_shape) :])))
        found.batch_shape = flow.Size(tuple(batch_shape))
        return found

    def perplexity(self):
        return flow.exp(self.entropy())

    @property
    def stddev(self):
        return flow.sqrt(self.variance)

    def __repr__(self):
        return f"{type(self).__name__}()"


class OfPlaceAndScale(DistributionOfSamples):
    """A distribution of a form that is moved and stretched."""

    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = tensors_of(loc, scale)
        super().__init__(self.loc.shape)


@stands_for("torch.distributions.Normal", "torch.distributions.normal.Normal", because="OneFlow has no `Normal`.")
class Normal(OfPlaceAndScale):
    @property
    def mean(self):
        return self.loc

    @property
    def variance(self):
        return self.scale**2

    @property
    def stddev(self):
        return self.scale

    def rsample(self, sample_shape=()):
        noise = flow.randn(self.shape_of(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + noise * self.scale

    def log_prob(self, value):
        return (
            -((value - self.loc) ** 2) / (2 * self.scale**2) - flow.log(self.scale) - math.log(math.sqrt(2 * math.pi))
        )

    def entropy(self):
        return 0.5 + 0.5 * math.log(2 * math.pi) + flow.log(self.scale)

    mode = mean

    def cdf(self, value):
        return 0.5 * (1 + flow.erf((value - self.loc) / (self.scale * math.sqrt(2))))

    def icdf(self, value):
        return self.loc + self.scale * erfinv(2 * value - 1) * math.sqrt(2)

    def divergence_from(self, other):
        ratio = (self.scale / other.scale) ** 2
        return 0.5 * (ratio + ((self.loc - other.loc) / other.scale) ** 2 - 1 - flow.log(ratio))


@stands_for("torch.distributions.Laplace", "torch.distributions.laplace.Laplace", because="OneFlow has no `Laplace`.")
class Laplace(OfPlaceAndScale):
    @property
    def mean(self):
        return self.loc

    @property
    def variance(self):
        return 2 * self.scale**2

    def rsample(self, sample_shape=()):
        drawn = flow.rand(self.shape_of(sample_shape), dtype=self.loc.dtype, device=self.loc.device) - 0.5
        return self.loc - self.scale * flow.sign(drawn) * flow.log1p(-2 * flow.abs(drawn))

    def log_prob(self, value):
        return -flow.log(2 * self.scale) - flow.abs(value - self.loc) / self.scale

    def entropy(self):
        return 1 + flow.log(2 * self.scale)

    mode = mean

    def cdf(self, value):
        away = value - self.loc
        return 0.5 - 0.5 * flow.sign(away) * flow.expm1(-flow.abs(away) / self.scale)

    def icdf(self, value):
        away = value - 0.5
        return self.loc - self.scale * flow.sign(away) * flow.log1p(-2 * flow.abs(away))

    def divergence_from(self, other):
        away, ratio = flow.abs(self.loc - other.loc), self.scale / other.scale
        return away / other.scale + ratio * flow.exp(-away / self.scale) - flow.log(ratio) - 1


@stands_for("torch.distributions.Uniform", "torch.distributions.uniform.Uniform", because="OneFlow has no `Uniform`.")
class Uniform(DistributionOfSamples):
    has_rsample = True

    def __init__(self, low, high, validate_args=None):
        self.low, self.high = tensors_of(low, high)
        super().__init__(self.low.shape)

    @property
    def mean(self):
        return (self.low + self.high) / 2

    @property
    def variance(self):
        return (self.high - self.low) ** 2 / 12

    def rsample(self, sample_shape=()):
        drawn = flow.rand(self.shape_of(sample_shape), dtype=self.low.dtype, device=self.low.device)
        return self.low + drawn * (self.high - self.low)

    def log_prob(self, value):
        inside = flow.logical_and(value >= self.low, value < self.high).to(self.low.dtype)
        return flow.log(inside) - flow.log(self.high - self.low)

    def entropy(self):
        return flow.log(self.high - self.low)

    def cdf(self, value):
        return flow.clamp((value - self.low) / (self.high - self.low), min=0, max=1)

    def icdf(self, value):
        return self.low + value * (self.high - self.low)

    def divergence_from(self, other):
        found = flow.log((other.high - other.low) / (self.high - self.low))
        outside = flow.logical_or(other.low > self.low, other.high < self.high)
        return flow.where(outside, flow.full_like(found, math.inf), found)


@stands_for("torch.distributions.Exponential", "torch.distributions.exponential.Exponential",
            because="OneFlow has no `Exponential`.")  # fmt: skip
class Exponential(DistributionOfSamples):
    has_rsample = True

    def __init__(self, rate, validate_args=None):
        (self.rate,) = tensors_of(rate)
        super().__init__(self.rate.shape)

    @property
    def mean(self):
        return 1 / self.rate

    @property
    def variance(self):
        return self.rate**-2

    def rsample(self, sample_shape=()):
        drawn = flow.rand(self.shape_of(sample_shape), dtype=self.rate.dtype, device=self.rate.device)
        return -flow.log1p(-drawn) / self.rate

    def log_prob(self, value):
        return flow.log(self.rate) - self.rate * value

    def entropy(self):
        return 1 - flow.log(self.rate)

    @property
    def mode(self):
        return flow.zeros_like(self.rate)

    def cdf(self, value):
        return 1 - flow.exp(-self.rate * value)

    def icdf(self, value):
        return -flow.log1p(-value) / self.rate

    def divergence_from(self, other):
        ratio = other.rate / self.rate
        return ratio - flow.log(ratio) - 1


@stands_for("torch.distributions.Bernoulli", "torch.distributions.bernoulli.Bernoulli",
            because="OneFlow has no `Bernoulli`.")  # fmt: skip
class Bernoulli(DistributionOfSamples):
    def __init__(self, probs=None, logits=None, validate_args=None):
        if logits is None:
            (self.probs,) = tensors_of(probs)
            tiny = flow.finfo(self.probs.dtype).eps
            chance = flow.clamp(self.probs, min=tiny, max=1 - tiny)
            self.logits = flow.log(chance) - flow.log1p(-chance)
        else:
            (self.logits,) = tensors_of(logits)
            self.probs = flow.sigmoid(self.logits)
        super().__init__(self.probs.shape)

    @property
    def mean(self):
        return self.probs

    @property
    def variance(self):
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        drawn = flow.rand(self.shape_of(sample_shape), device=self.probs.device)
        return (drawn < self.probs.detach()).to(self.probs.dtype)

    def log_prob(self, value):
        return value * self.logits - F.softplus(self.logits)

    def entropy(self):
        return F.softplus(self.logits) - self.probs * self.logits

    def divergence_from(self, other):
        return self.probs * (self.logits - other.logits) + F.softplus(other.logits) - F.softplus(self.logits)

    @property
    def mode(self):
        likely = (self.probs >= 0.5).to(self.probs.dtype)
        return flow.where(self.probs == 0.5, flow.full_like(likely, math.nan), likely)

    def enumerate_support(self, expand=True):
        values = flow.arange(2, dtype=self.probs.dtype, device=self.probs.device)
        values = values.reshape(2, *[1] * len(self.batch_shape))
        return values.expand(2, *self.batch_shape) if expand else values


@stands_for("torch.distributions.Categorical", "torch.distributions.categorical.Categorical",
            because="OneFlow's has no `log_prob` and no `entropy`.")  # fmt: skip
class CategoricalOfLogits(DistributionOfSamples):
    def __init__(self, probs=None, logits=None, validate_args=None):
        if logits is None:
            self.probs = probs / probs.sum(dim=-1, keepdim=True)
            tiny = flow.finfo(self.probs.dtype).eps
            self.logits = flow.log(flow.clamp(self.probs, min=tiny, max=1 - tiny))
        else:
            self.logits = logits - flow.logsumexp(logits, dim=-1, keepdim=True)
            self.probs = flow.softmax(logits, -1)
        super().__init__(self.probs.shape[:-1])

    def sample(self, sample_shape=()):
        count = math.prod(sample_shape)
        rows = self.probs.detach().reshape(-1, self.probs.shape[-1])
        drawn = flow.multinomial(rows, count, replacement=True)
        return flow.transpose(drawn, 0, 1).reshape(*self.shape_of(sample_shape))

    def log_prob(self, value):
        value = value.to(flow.int64).unsqueeze(-1)
        shape = flow.broadcast_shapes(tuple(value.shape[:-1]), tuple(self.logits.shape[:-1]))
        return flow.gather(self.logits.expand(*shape, self.logits.shape[-1]), -1, value.expand(*shape, 1)).squeeze(-1)

    def entropy(self):
        least = flow.finfo(self.logits.dtype).min
        return -(flow.clamp(self.logits, min=least) * self.probs).sum(dim=-1)

    def divergence_from(self, other):
        return (self.probs * (self.logits - other.logits)).sum(dim=-1)

    @property
    def mean(self):
        return flow.full(tuple(self.batch_shape), math.nan, dtype=self.probs.dtype, device=self.probs.device)

    variance = mean

    @property
    def mode(self):
        return flow.argmax(self.probs, dim=-1)

    def enumerate_support(self, expand=True):
        values = flow.arange(self.probs.shape[-1], device=self.probs.device)
        values = values.reshape(-1, *[1] * len(self.batch_shape))
        return values.expand(-1, *self.batch_shape) if expand else values


@stands_for("torch.distributions.Independent", "torch.distributions.independent.Independent",
            because="OneFlow has no `Independent`.")  # fmt: skip
class Independent(DistributionOfSamples):
    def __init__(self, base_distribution, reinterpreted_batch_ndims, validate_args=None):
        self.base_dist, self.count = base_distribution, reinterpreted_batch_ndims
        shape = tuple(base_distribution.batch_shape)
        cut = len(shape) - reinterpreted_batch_ndims
        super().__init__(shape[:cut], (*shape[cut:], *base_distribution.event_shape))

    @property
    def mean(self):
        return self.base_dist.mean

    @property
    def variance(self):
        return self.base_dist.variance

    def sample(self, sample_shape=()):
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape=()):
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value):
        return self.summed(self.base_dist.log_prob(value))

    def entropy(self):
        return self.summed(self.base_dist.entropy())

    @property
    def mode(self):
        return self.base_dist.mode

    def enumerate_support(self, expand=True):
        return self.base_dist.enumerate_support(expand)

    def divergence_from(self, other):
        return self.summed(kl_divergence(self.base_dist, other.base_dist))

    def summed(self, value):
        return value.sum(dim=list(range(-self.count, 0))) if self.count else value


OWN_DIVERGENCES = {}
"""What ported code registers by `register_kl`: functions by the classes of both distributions."""


@stands_for("torch.distributions.register_kl", "torch.distributions.kl.register_kl",
            because="OneFlow has no `register_kl`.")  # fmt: skip
def register_kl(type_p, type_q):
    def register(function):
        OWN_DIVERGENCES[type_p, type_q] = function
        return function

    return register


@stands_for("torch.distributions.kl_divergence", "torch.distributions.kl.kl_divergence",
            because="OneFlow has no `kl_divergence`.")  # fmt: skip
def kl_divergence(p, q):
    for (type_p, type_q), function in reversed(OWN_DIVERGENCES.items()):
        if isinstance(p, type_p) and isinstance(q, type_q):
            return function(p, q)
    kind = next((kind for kind in type(p).__mro__ if "divergence_from" in vars(kind)), None)
    if kind is None or not isinstance(q, kind):
        raise NotImplementedError(f"the divergence of {type(p).__name__} from {type(q).__name__}")
    return p.divergence_from(q)
