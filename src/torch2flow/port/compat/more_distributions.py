"""Distributions of one number that code takes less often: heavy tails, halves, counts of trials."""

import math

from torch2flow.models.lowering.lazy import F, flow
from torch2flow.port.compat.arithmetic import lgamma
from torch2flow.port.compat.distributions import DrawnByNumpy, OneHotCategorical
from torch2flow.port.compat.probability import Bernoulli, DistributionOfSamples, Normal, OfPlaceAndScale, tensors_of
from torch2flow.port.compat.registry import stands_for

EULER = 0.57721566490153286061


def drawn_inside(distribution, sample_shape, like):
    """Uniform numbers between 0 and 1, neither of them."""
    drawn = flow.rand(distribution.shape_of(sample_shape), dtype=like.dtype, device=like.device)
    tiny = flow.finfo(like.dtype).eps
    return flow.clamp(drawn, min=tiny, max=1 - tiny)


@stands_for("torch.distributions.Gumbel", "torch.distributions.gumbel.Gumbel", because="OneFlow has no `Gumbel`.")
class Gumbel(OfPlaceAndScale):
    @property
    def mean(self):
        return self.loc + self.scale * EULER

    @property
    def variance(self):
        return (math.pi**2 / 6) * self.scale**2

    def rsample(self, sample_shape=()):
        return self.loc - self.scale * flow.log(-flow.log(drawn_inside(self, sample_shape, self.loc)))

    def log_prob(self, value):
        away = (self.loc - value) / self.scale
        return away - flow.exp(away) - flow.log(self.scale)

    def entropy(self):
        return flow.log(self.scale) + (1 + EULER)

    @property
    def mode(self):
        return self.loc

    def cdf(self, value):
        return flow.exp(-flow.exp((self.loc - value) / self.scale))

    def icdf(self, value):
        return self.loc - self.scale * flow.log(-flow.log(value))


@stands_for("torch.distributions.Cauchy", "torch.distributions.cauchy.Cauchy", because="OneFlow has no `Cauchy`.")
class Cauchy(OfPlaceAndScale):
    def rsample(self, sample_shape=()):
        return self.loc + self.scale * flow.tan(math.pi * (drawn_inside(self, sample_shape, self.loc) - 0.5))

    def log_prob(self, value):
        return -math.log(math.pi) - flow.log(self.scale) - flow.log1p(((value - self.loc) / self.scale) ** 2)

    def entropy(self):
        return math.log(4 * math.pi) + flow.log(self.scale)

    @property
    def mode(self):
        return self.loc

    def cdf(self, value):
        return flow.atan((value - self.loc) / self.scale) / math.pi + 0.5

    def icdf(self, value):
        return flow.tan(math.pi * (value - 0.5)) * self.scale + self.loc


class HalfOf(DistributionOfSamples):
    """The right half of a distribution around 0."""

    has_rsample = True

    def __init__(self, whole):
        self.whole, self.scale = whole, whole.scale
        super().__init__(self.scale.shape)

    @property
    def mode(self):
        return flow.zeros_like(self.scale)

    def rsample(self, sample_shape=()):
        return flow.abs(self.whole.rsample(sample_shape))

    def log_prob(self, value):
        found = self.whole.log_prob(value) + math.log(2)
        return flow.where(value >= 0, found, flow.full_like(found, -math.inf))

    def entropy(self):
        return self.whole.entropy() - math.log(2)

    def cdf(self, value):
        return 2 * self.whole.cdf(value) - 1

    def icdf(self, value):
        return self.whole.icdf((value + 1) / 2)


@stands_for("torch.distributions.HalfNormal", "torch.distributions.half_normal.HalfNormal",
            because="OneFlow has no `HalfNormal`.")  # fmt: skip
class HalfNormal(HalfOf):
    def __init__(self, scale, validate_args=None):
        super().__init__(Normal(0.0, scale))

    @property
    def mean(self):
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self):
        return self.scale**2 * (1 - 2 / math.pi)


@stands_for("torch.distributions.StudentT", "torch.distributions.studentT.StudentT",
            because="OneFlow has no `StudentT`.")  # fmt: skip
class StudentT(DrawnByNumpy):
    def __init__(self, df, loc=0.0, scale=1.0, validate_args=None):
        self.df, self.loc, self.scale = tensors_of(df, loc, scale)
        super().__init__(self.df.shape)

    def sample(self, sample_shape=()):
        return self.loc + self.scale * self.drawn("standard_t", sample_shape, self.df)

    def log_prob(self, value):
        away = (value - self.loc) / self.scale
        size = flow.log(self.scale) + 0.5 * flow.log(self.df) + 0.5 * math.log(math.pi)
        size = size + lgamma(0.5 * self.df) - lgamma(0.5 * (self.df + 1))
        return -0.5 * (self.df + 1) * flow.log1p(away**2 / self.df) - size

    @property
    def mode(self):
        return self.loc

    @property
    def mean(self):
        return flow.where(self.df > 1, self.loc, flow.full_like(self.loc, math.nan))

    @property
    def variance(self):
        found = self.scale**2 * self.df / (self.df - 2)
        none = flow.where(self.df > 1, flow.full_like(found, math.inf), flow.full_like(found, math.nan))
        return flow.where(self.df > 2, found, none)


@stands_for("torch.distributions.Geometric", "torch.distributions.geometric.Geometric",
            because="OneFlow has no `Geometric`.")  # fmt: skip
class Geometric(DistributionOfSamples):
    def __init__(self, probs=None, logits=None, validate_args=None):
        found = Bernoulli(probs, logits)
        self.probs, self.logits = found.probs, found.logits
        super().__init__(self.probs.shape)

    @property
    def mean(self):
        return 1 / self.probs - 1

    @property
    def variance(self):
        return (1 / self.probs - 1) / self.probs

    def sample(self, sample_shape=()):
        with flow.no_grad():
            return flow.floor(flow.log(drawn_inside(self, sample_shape, self.probs)) / flow.log1p(-self.probs))

    def log_prob(self, value):
        return value * flow.log1p(-self.probs) + flow.log(self.probs)

    def entropy(self):
        return (F.softplus(self.logits) - self.probs * self.logits) / self.probs


class OfTrials(DrawnByNumpy):
    """A distribution of counts of trials, each with the same chance."""

    def __init__(self, total_count, probs=None, logits=None, validate_args=None):
        found = Bernoulli(probs, logits)
        self.total_count, self.probs = tensors_of(total_count, found.probs)
        self.total_count = self.total_count.to(self.probs.dtype)
        self.logits = found.logits.expand(*self.probs.shape)
        super().__init__(self.probs.shape)


@stands_for("torch.distributions.Binomial", "torch.distributions.binomial.Binomial",
            because="OneFlow has no `Binomial`.")  # fmt: skip
class Binomial(OfTrials):
    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        super().__init__(total_count, probs, logits)

    @property
    def mean(self):
        return self.total_count * self.probs

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        return self.drawn("binomial", sample_shape, self.total_count.to(flow.int64), self.probs).to(self.probs.dtype)

    def log_prob(self, value):
        ways = lgamma(self.total_count + 1) - lgamma(value + 1) - lgamma(self.total_count - value + 1)
        return ways + value * self.logits - self.total_count * F.softplus(self.logits)


@stands_for("torch.distributions.NegativeBinomial", "torch.distributions.negative_binomial.NegativeBinomial",
            because="OneFlow has no `NegativeBinomial`.")  # fmt: skip
class NegativeBinomial(OfTrials):
    @property
    def mean(self):
        return self.total_count * flow.exp(self.logits)

    @property
    def variance(self):
        return self.mean / flow.sigmoid(-self.logits)

    def sample(self, sample_shape=()):
        return self.drawn("negative_binomial", sample_shape, self.total_count, 1 - self.probs)

    def log_prob(self, value):
        chance = -self.total_count * F.softplus(self.logits) - value * F.softplus(-self.logits)
        return chance + lgamma(self.total_count + value) - lgamma(1.0 + value) - lgamma(self.total_count)


@stands_for("torch.distributions.OneHotCategoricalStraightThrough",
            "torch.distributions.one_hot_categorical.OneHotCategoricalStraightThrough",
            because="OneFlow has no `OneHotCategoricalStraightThrough`.")  # fmt: skip
class OneHotCategoricalStraightThrough(OneHotCategorical):
    has_rsample = True

    def rsample(self, sample_shape=()):
        return self.sample(sample_shape) + (self.probs - self.probs.detach())
