"""Distributions that are made of a simpler one: a power of it, its inverse, a half, a special case."""

import math

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.arithmetic import digamma, lgamma
from torch2flow.port.compat.distributions import Gamma
from torch2flow.port.compat.more_distributions import EULER, Cauchy, HalfOf, drawn_inside
from torch2flow.port.compat.probability import DistributionOfSamples, tensors_of
from torch2flow.port.compat.registry import stands_for


@stands_for("torch.distributions.Chi2", "torch.distributions.chi2.Chi2", because="OneFlow has no `Chi2`.")
class Chi2(Gamma):
    def __init__(self, df, validate_args=None):
        (self.df,) = tensors_of(df)
        super().__init__(0.5 * self.df, 0.5)


@stands_for("torch.distributions.InverseGamma", "torch.distributions.inverse_gamma.InverseGamma",
            because="OneFlow has no `InverseGamma`.")  # fmt: skip
class InverseGamma(DistributionOfSamples):
    def __init__(self, concentration, rate, validate_args=None):
        self.base = Gamma(concentration, rate)
        self.concentration, self.rate = self.base.concentration, self.base.rate
        super().__init__(self.base.batch_shape)

    @property
    def mean(self):
        found = self.rate / (self.concentration - 1)
        return flow.where(self.concentration > 1, found, flow.full_like(found, math.inf))

    @property
    def mode(self):
        return self.rate / (self.concentration + 1)

    @property
    def variance(self):
        found = self.rate**2 / ((self.concentration - 1) ** 2 * (self.concentration - 2))
        return flow.where(self.concentration > 2, found, flow.full_like(found, math.inf))

    def sample(self, sample_shape=()):
        return 1 / self.base.sample(sample_shape)

    def rsample(self, sample_shape=()):
        return 1 / self.base.rsample(sample_shape)

    def log_prob(self, value):
        return self.base.log_prob(1 / value) - 2 * flow.log(value)

    def entropy(self):
        shape = self.concentration
        return shape + flow.log(self.rate) + lgamma(shape) - (1 + shape) * digamma(shape)


@stands_for("torch.distributions.HalfCauchy", "torch.distributions.half_cauchy.HalfCauchy",
            because="OneFlow has no `HalfCauchy`.")  # fmt: skip
class HalfCauchy(HalfOf):
    def __init__(self, scale, validate_args=None):
        super().__init__(Cauchy(0.0, scale))

    @property
    def mean(self):
        return flow.full_like(self.scale, math.inf)

    variance = mean


@stands_for("torch.distributions.Pareto", "torch.distributions.pareto.Pareto", because="OneFlow has no `Pareto`.")
class Pareto(DistributionOfSamples):
    has_rsample = True

    def __init__(self, scale, alpha, validate_args=None):
        self.scale, self.alpha = tensors_of(scale, alpha)
        super().__init__(self.scale.shape)

    @property
    def mean(self):
        shape = flow.clamp(self.alpha, min=1)
        return shape * self.scale / (shape - 1)

    @property
    def mode(self):
        return self.scale

    @property
    def variance(self):
        shape = flow.clamp(self.alpha, min=2)
        return self.scale**2 * shape / ((shape - 1) ** 2 * (shape - 2))

    def rsample(self, sample_shape=()):
        return self.scale * drawn_inside(self, sample_shape, self.scale) ** (-1 / self.alpha)

    def log_prob(self, value):
        return flow.log(self.alpha) + self.alpha * flow.log(self.scale) - (self.alpha + 1) * flow.log(value)

    def entropy(self):
        return flow.log(self.scale / self.alpha) + 1 + 1 / self.alpha

    def cdf(self, value):
        return 1 - (self.scale / value) ** self.alpha

    def icdf(self, value):
        return self.scale * (1 - value) ** (-1 / self.alpha)


@stands_for("torch.distributions.Weibull", "torch.distributions.weibull.Weibull", because="OneFlow has no `Weibull`.")
class Weibull(DistributionOfSamples):
    has_rsample = True

    def __init__(self, scale, concentration, validate_args=None):
        self.scale, self.concentration = tensors_of(scale, concentration)
        super().__init__(self.scale.shape)

    @property
    def mean(self):
        return self.scale * flow.exp(lgamma(1 + 1 / self.concentration))

    @property
    def mode(self):
        shape = self.concentration
        return flow.where(shape > 1, self.scale * ((shape - 1) / shape) ** (1 / shape), flow.zeros_like(shape))

    @property
    def variance(self):
        once, twice = lgamma(1 + 1 / self.concentration), lgamma(1 + 2 / self.concentration)
        return self.scale**2 * (flow.exp(twice) - flow.exp(2 * once))

    def rsample(self, sample_shape=()):
        drawn = drawn_inside(self, sample_shape, self.scale)
        return self.scale * (-flow.log(drawn)) ** (1 / self.concentration)

    def log_prob(self, value):
        shape, part = self.concentration, value / self.scale
        return flow.log(shape / self.scale) + (shape - 1) * flow.log(part) - part**shape

    def entropy(self):
        inverse = 1 / self.concentration
        return EULER * (1 - inverse) + flow.log(self.scale * inverse) + 1

    def cdf(self, value):
        return 1 - flow.exp(-((value / self.scale) ** self.concentration))

    def icdf(self, value):
        return self.scale * (-flow.log1p(-value)) ** (1 / self.concentration)


@stands_for("torch.distributions.Kumaraswamy", "torch.distributions.kumaraswamy.Kumaraswamy",
            because="OneFlow has no `Kumaraswamy`.")  # fmt: skip
class Kumaraswamy(DistributionOfSamples):
    has_rsample = True

    def __init__(self, concentration1, concentration0, validate_args=None):
        self.concentration1, self.concentration0 = tensors_of(concentration1, concentration0)
        super().__init__(self.concentration1.shape)

    def moment(self, n):
        """The mean of the n-th power."""
        one, zero = 1 + n / self.concentration1, self.concentration0
        return zero * flow.exp(lgamma(one) + lgamma(zero) - lgamma(one + zero))

    @property
    def mean(self):
        return self.moment(1)

    @property
    def variance(self):
        return self.moment(2) - self.moment(1) ** 2

    def rsample(self, sample_shape=()):
        drawn = drawn_inside(self, sample_shape, self.concentration0)
        return (1 - drawn ** (1 / self.concentration0)) ** (1 / self.concentration1)

    def log_prob(self, value):
        one, zero = self.concentration1, self.concentration0
        return flow.log(one * zero) + (one - 1) * flow.log(value) + (zero - 1) * flow.log1p(-(value**one))
