"""Distributions that are made of others: transformed, mixed, relaxed; and the transforms."""

import math

from torch2flow.models.lowering.lazy import F, flow
from torch2flow.port.compat.arithmetic import lgamma
from torch2flow.port.compat.probability import (
    Bernoulli,
    CategoricalOfLogits,
    DistributionOfSamples,
    Normal,
    tensors_of,
)
from torch2flow.port.compat.registry import stands_for


@stands_for("torch.distributions.transforms.Transform", "torch.distributions.Transform",
            because="OneFlow has no transforms.")  # fmt: skip
class Transform:
    """A function with an inverse; with `cache_size=1` the inverse of the last result is what it was made of."""

    bijective, event_dim = False, 0

    def __init__(self, cache_size=0):
        self.cache_size, self.last = cache_size, (None, None)

    def __call__(self, x):
        if self.cache_size and x is self.last[0]:
            return self.last[1]
        self.last = (x, self._call(x))
        return self.last[1]

    def undone(self, y):
        if self.cache_size and y is self.last[1]:
            return self.last[0]
        self.last = (self._inverse(y), y)
        return self.last[0]

    @property
    def inv(self):
        return InverseOfTransform(self)

    @property
    def sign(self):
        return 1


class InverseOfTransform(Transform):
    """A transform the other way round."""

    def __init__(self, transform):
        super().__init__()
        self.transform, self.event_dim, self.bijective = transform, transform.event_dim, transform.bijective

    def __call__(self, x):
        return self.transform.undone(x)

    def undone(self, y):
        return self.transform(y)

    @property
    def inv(self):
        return self.transform

    def log_abs_det_jacobian(self, x, y):
        return -self.transform.log_abs_det_jacobian(y, x)


@stands_for("torch.distributions.transforms.TanhTransform", "torch.distributions.TanhTransform",
            because="OneFlow has no transforms.")  # fmt: skip
class TanhTransform(Transform):
    bijective = True

    def _call(self, x):
        return flow.tanh(x)

    def _inverse(self, y):
        return flow.atanh(y)

    def log_abs_det_jacobian(self, x, y):
        return 2.0 * (math.log(2.0) - x - F.softplus(-2.0 * x))


@stands_for("torch.distributions.transforms.SigmoidTransform", "torch.distributions.SigmoidTransform",
            because="OneFlow has no transforms.")  # fmt: skip
class SigmoidTransform(Transform):
    bijective = True

    def _call(self, x):
        return flow.sigmoid(x)

    def _inverse(self, y):
        return flow.log(y) - flow.log1p(-y)

    def log_abs_det_jacobian(self, x, y):
        return -F.softplus(-x) - F.softplus(x)


@stands_for("torch.distributions.transforms.ExpTransform", "torch.distributions.ExpTransform",
            because="OneFlow has no transforms.")  # fmt: skip
class ExpTransform(Transform):
    bijective = True

    def _call(self, x):
        return flow.exp(x)

    def _inverse(self, y):
        return flow.log(y)

    def log_abs_det_jacobian(self, x, y):
        return x


@stands_for("torch.distributions.transforms.AffineTransform", "torch.distributions.AffineTransform",
            because="OneFlow has no transforms.")  # fmt: skip
class AffineTransform(Transform):
    bijective = True

    def __init__(self, loc, scale, event_dim=0, cache_size=0):
        super().__init__(cache_size)
        self.loc, self.scale, self.event_dim = loc, scale, event_dim

    def _call(self, x):
        return self.loc + self.scale * x

    def _inverse(self, y):
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x, y):
        (scale,) = tensors_of(self.scale)
        found = flow.log(flow.abs(scale)).to(x.dtype) * flow.ones_like(x)
        return found.sum(dim=list(range(-self.event_dim, 0))) if self.event_dim else found


@stands_for("torch.distributions.transforms.ComposeTransform", "torch.distributions.ComposeTransform",
            because="OneFlow has no transforms.")  # fmt: skip
class ComposeTransform(Transform):
    bijective = True

    def __init__(self, parts, cache_size=0):
        super().__init__(cache_size)
        self.parts = list(parts)
        self.event_dim = max((each.event_dim for each in self.parts), default=0)

    def _call(self, x):
        for each in self.parts:
            x = each(x)
        return x

    def _inverse(self, y):
        for each in reversed(self.parts):
            y = each.undone(y)
        return y

    def log_abs_det_jacobian(self, x, y):
        found = flow.zeros((), dtype=x.dtype, device=x.device)
        for each in self.parts:
            following = each(x)
            found = found + summed_last(each.log_abs_det_jacobian(x, following), self.event_dim - each.event_dim)
            x = following
        return found


def summed_last(value, count):
    """A tensor summed over its last dimensions."""
    return value.sum(dim=list(range(-count, 0))) if count else value


@stands_for("torch.distributions.TransformedDistribution",
            "torch.distributions.transformed_distribution.TransformedDistribution",
            because="OneFlow has no `TransformedDistribution`.")  # fmt: skip
class TransformedDistribution(DistributionOfSamples):
    def __init__(self, base_distribution, transforms, validate_args=None):
        self.base_dist = base_distribution
        self.transforms = list(transforms) if isinstance(transforms, list | tuple) else [transforms]
        self.has_rsample = base_distribution.has_rsample
        shape = (*base_distribution.batch_shape, *base_distribution.event_shape)
        self.event_count = max([len(base_distribution.event_shape), *(each.event_dim for each in self.transforms)])
        cut = len(shape) - self.event_count
        super().__init__(shape[:cut], shape[cut:])

    def transformed(self, value):
        for each in self.transforms:
            value = each(value)
        return value

    def sample(self, sample_shape=()):
        with flow.no_grad():
            return self.transformed(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape=()):
        return self.transformed(self.base_dist.rsample(sample_shape))

    def log_prob(self, value):
        found = 0.0
        for each in reversed(self.transforms):
            before = each.undone(value)
            found = found - summed_last(each.log_abs_det_jacobian(before, value), self.event_count - each.event_dim)
            value = before
        more = self.event_count - len(self.base_dist.event_shape)
        return found + summed_last(self.base_dist.log_prob(value), more)


@stands_for("torch.distributions.LogNormal", "torch.distributions.log_normal.LogNormal",
            because="OneFlow has no `LogNormal`.")  # fmt: skip
class LogNormal(TransformedDistribution):
    def __init__(self, loc, scale, validate_args=None):
        super().__init__(Normal(loc, scale), ExpTransform())
        self.loc, self.scale = self.base_dist.loc, self.base_dist.scale

    @property
    def mean(self):
        return flow.exp(self.loc + self.scale**2 / 2)

    @property
    def variance(self):
        return (flow.exp(self.scale**2) - 1) * flow.exp(2 * self.loc + self.scale**2)

    def entropy(self):
        return self.base_dist.entropy() + self.loc

    @property
    def mode(self):
        return flow.exp(self.loc - self.scale**2)

    def cdf(self, value):
        return self.base_dist.cdf(flow.log(value))

    def icdf(self, value):
        return flow.exp(self.base_dist.icdf(value))


@stands_for("torch.distributions.MixtureSameFamily", "torch.distributions.mixture_same_family.MixtureSameFamily",
            because="OneFlow has no `MixtureSameFamily`.")  # fmt: skip
class MixtureSameFamily(DistributionOfSamples):
    def __init__(self, mixture_distribution, component_distribution, validate_args=None):
        self.mixture_distribution, self.component_distribution = mixture_distribution, component_distribution
        self.event_count = len(component_distribution.event_shape)
        super().__init__(tuple(component_distribution.batch_shape)[:-1], component_distribution.event_shape)

    def weighed(self, value):
        """The sum of what each component has, by its share."""
        shares = self.mixture_distribution.probs.reshape(
            *self.mixture_distribution.probs.shape, *[1] * self.event_count
        )
        return (shares * value).sum(dim=-1 - self.event_count)

    @property
    def mean(self):
        return self.weighed(self.component_distribution.mean)

    @property
    def variance(self):
        means = self.component_distribution.mean
        away = means - self.mean.unsqueeze(-1 - self.event_count)
        return self.weighed(self.component_distribution.variance) + self.weighed(away**2)

    def sample(self, sample_shape=()):
        with flow.no_grad():
            place = self.mixture_distribution.sample(sample_shape)
            drawn = self.component_distribution.sample(sample_shape)
            dim = drawn.ndim - 1 - self.event_count
            place = place.reshape(*place.shape, *[1] * (1 + self.event_count))
            place = place.expand(*drawn.shape[:dim], 1, *drawn.shape[dim + 1 :])
            return flow.gather(drawn, dim, place).squeeze(dim)

    def log_prob(self, value):
        found = self.component_distribution.log_prob(value.unsqueeze(-1 - self.event_count))
        return flow.logsumexp(found + F.log_softmax(self.mixture_distribution.logits, dim=-1), dim=-1)


@stands_for("torch.distributions.RelaxedOneHotCategorical",
            "torch.distributions.relaxed_categorical.RelaxedOneHotCategorical",
            because="OneFlow has no `RelaxedOneHotCategorical`.")  # fmt: skip
class RelaxedOneHotCategorical(DistributionOfSamples):
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        found = CategoricalOfLogits(probs, logits)
        self.probs, self.logits, self.temperature = found.probs, found.logits, temperature
        super().__init__(self.probs.shape[:-1], self.probs.shape[-1:])

    def rsample(self, sample_shape=()):
        tiny = flow.finfo(self.logits.dtype).eps
        drawn = flow.rand(self.shape_of(sample_shape), dtype=self.logits.dtype, device=self.logits.device)
        noise = -flow.log(-flow.log(flow.clamp(drawn, min=tiny, max=1 - tiny)))
        return flow.softmax((self.logits + noise) / self.temperature, -1)

    def log_prob(self, value):
        (temperature,), count = tensors_of(self.temperature), self.logits.shape[-1]
        logs = flow.log(value)
        score = self.logits - temperature * logs
        score = (score - flow.logsumexp(score, dim=-1, keepdim=True)).sum(dim=-1)
        return score + math.lgamma(count) + (count - 1) * flow.log(temperature) - logs.sum(dim=-1)


@stands_for("torch.distributions.RelaxedBernoulli", "torch.distributions.relaxed_bernoulli.RelaxedBernoulli",
            because="OneFlow has no `RelaxedBernoulli`.")  # fmt: skip
class RelaxedBernoulli(DistributionOfSamples):
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        found = Bernoulli(probs, logits)
        self.probs, self.logits, self.temperature = found.probs, found.logits, temperature
        super().__init__(self.probs.shape)

    def rsample(self, sample_shape=()):
        tiny = flow.finfo(self.logits.dtype).eps
        drawn = flow.rand(self.shape_of(sample_shape), dtype=self.logits.dtype, device=self.logits.device)
        drawn = flow.clamp(drawn, min=tiny, max=1 - tiny)
        return flow.sigmoid((self.logits + flow.log(drawn) - flow.log1p(-drawn)) / self.temperature)

    def log_prob(self, value):
        (temperature,) = tensors_of(self.temperature)
        before = flow.log(value) - flow.log1p(-value)
        away = self.logits - before * temperature
        return flow.log(temperature) + away - 2 * F.softplus(away) + F.softplus(-before) + F.softplus(before)


@stands_for("torch.distributions.Multinomial", "torch.distributions.multinomial.Multinomial",
            because="OneFlow has no `Multinomial`.")  # fmt: skip
class Multinomial(DistributionOfSamples):
    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        self.places, self.total_count = CategoricalOfLogits(probs, logits), total_count
        self.probs, self.logits = self.places.probs, self.places.logits
        super().__init__(self.probs.shape[:-1], self.probs.shape[-1:])

    @property
    def mean(self):
        return self.probs * self.total_count

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        place = self.places.sample((self.total_count, *sample_shape)).unsqueeze(-1)
        of_each = flow.arange(self.probs.shape[-1], device=place.device)
        return (place == of_each).to(self.probs.dtype).sum(dim=0)

    def log_prob(self, value):
        ways = lgamma(value.sum(dim=-1) + 1) - lgamma(value + 1).sum(dim=-1)
        return ways + (self.logits * value).sum(dim=-1)
