"""Distributions of vectors and counts, and those that gamma functions are in."""

import math

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.operators.arithmetic import times_log
from torch2flow.port.compat.arithmetic import digamma, lgamma
from torch2flow.port.compat.decompositions import cholesky, inverse
from torch2flow.port.compat.probability import CategoricalOfLogits, DistributionOfSamples, tensors_of
from torch2flow.port.compat.registry import stands_for


@stands_for("torch.distributions.MultivariateNormal", "torch.distributions.multivariate_normal.MultivariateNormal",
            because="OneFlow has no `MultivariateNormal`.")  # fmt: skip
class MultivariateNormal(DistributionOfSamples):
    has_rsample = True

    def __init__(self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        if scale_tril is None:
            covariance = inverse(precision_matrix) if covariance_matrix is None else covariance_matrix
            scale_tril = cholesky(covariance)
        batch = flow.broadcast_shapes(tuple(loc.shape[:-1]), tuple(scale_tril.shape[:-2]))
        size = loc.shape[-1]
        self.loc, self.scale_tril = loc.expand(*batch, size), scale_tril.expand(*batch, size, size)
        super().__init__(batch, (size,))

    @property
    def mean(self):
        return self.loc

    @property
    def covariance_matrix(self):
        return flow.matmul(self.scale_tril, flow.transpose(self.scale_tril, -2, -1))

    @property
    def variance(self):
        return (self.scale_tril**2).sum(dim=-1)

    def rsample(self, sample_shape=()):
        noise = flow.randn(self.shape_of(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + (self.scale_tril * noise.unsqueeze(-2)).sum(dim=-1)

    def log_of_scale(self):
        """Half the logarithm of the determinant of the covariance."""
        size = self.loc.shape[-1]
        on_diagonal = flow.eye(size, device=self.loc.device, dtype=self.loc.dtype)
        return flow.log((self.scale_tril * on_diagonal).sum(dim=-1)).sum(dim=-1)

    def log_prob(self, value):
        away = (inverse(self.scale_tril) * (value - self.loc).unsqueeze(-2)).sum(dim=-1)
        constant = self.loc.shape[-1] * math.log(2 * math.pi)
        return -0.5 * (constant + (away**2).sum(dim=-1)) - self.log_of_scale()

    def entropy(self):
        return 0.5 * self.loc.shape[-1] * (1 + math.log(2 * math.pi)) + self.log_of_scale()

    @property
    def mode(self):
        return self.loc

    @property
    def precision_matrix(self):
        return inverse(self.covariance_matrix)

    def divergence_from(self, other):
        whitened = inverse(other.scale_tril)
        spread = (flow.matmul(whitened, self.scale_tril) ** 2).sum(dim=[-2, -1])
        away = ((whitened * (other.loc - self.loc).unsqueeze(-2)).sum(dim=-1) ** 2).sum(dim=-1)
        return other.log_of_scale() - self.log_of_scale() + 0.5 * (spread + away - self.loc.shape[-1])


@stands_for("torch.distributions.OneHotCategorical", "torch.distributions.one_hot_categorical.OneHotCategorical",
            because="OneFlow has no `OneHotCategorical`.")  # fmt: skip
class OneHotCategorical(DistributionOfSamples):
    def __init__(self, probs=None, logits=None, validate_args=None):
        self.places = CategoricalOfLogits(probs, logits)
        self.probs, self.logits = self.places.probs, self.places.logits
        super().__init__(self.probs.shape[:-1], self.probs.shape[-1:])

    @property
    def mean(self):
        return self.probs

    @property
    def variance(self):
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        place = self.places.sample(sample_shape).unsqueeze(-1)
        return (flow.arange(self.probs.shape[-1], device=place.device) == place).to(self.probs.dtype)

    def log_prob(self, value):
        return self.places.log_prob(flow.argmax(value, -1))

    def entropy(self):
        return self.places.entropy()

    @property
    def mode(self):
        return flow.eye(self.probs.shape[-1], device=self.probs.device, dtype=self.probs.dtype)[self.places.mode]

    def divergence_from(self, other):
        return self.places.divergence_from(other.places)


class DrawnByNumpy(DistributionOfSamples):
    """A distribution whose samples NumPy draws: no gradient comes through them."""

    def drawn(self, name, sample_shape, *parameters):
        """Samples, by the name that NumPy has for the distribution."""
        import numpy as np

        draw = np.random.default_rng(int(flow.randint(0, 2**31 - 1, (1,)).item()))
        given = [each.detach().cpu().numpy() for each in parameters]
        shape = (*sample_shape, *parameters[0].shape)
        found = np.asarray(getattr(draw, name)(*given, size=shape))
        return flow.tensor(found, dtype=parameters[0].dtype, device=parameters[0].device)

    def rsample(self, sample_shape=()):
        raise NotImplementedError(f"OneFlow has no gradient of a sample of {type(self).__name__}: take `sample`.")


@stands_for("torch.distributions.Poisson", "torch.distributions.poisson.Poisson", because="OneFlow has no `Poisson`.")
class Poisson(DrawnByNumpy):
    def __init__(self, rate, validate_args=None):
        (self.rate,) = tensors_of(rate)
        super().__init__(self.rate.shape)

    @property
    def mean(self):
        return self.rate

    variance = mean

    def sample(self, sample_shape=()):
        return self.drawn("poisson", sample_shape, self.rate)

    def log_prob(self, value):
        return times_log(value, self.rate) - self.rate - lgamma(value + 1)

    @property
    def mode(self):
        return flow.floor(self.rate)

    def divergence_from(self, other):
        return self.rate * flow.log(self.rate / other.rate) - (self.rate - other.rate)


@stands_for("torch.distributions.Gamma", "torch.distributions.gamma.Gamma", because="OneFlow has no `Gamma`.")
class Gamma(DrawnByNumpy):
    def __init__(self, concentration, rate, validate_args=None):
        self.concentration, self.rate = tensors_of(concentration, rate)
        super().__init__(self.concentration.shape)

    @property
    def mean(self):
        return self.concentration / self.rate

    @property
    def variance(self):
        return self.concentration / self.rate**2

    def sample(self, sample_shape=()):
        return self.drawn("gamma", sample_shape, self.concentration, 1 / self.rate)

    def log_prob(self, value):
        shape = self.concentration
        return times_log(shape, self.rate) + times_log(shape - 1, value) - self.rate * value - lgamma(shape)

    def entropy(self):
        shape = self.concentration
        return shape - flow.log(self.rate) + lgamma(shape) + (1 - shape) * digamma(shape)

    @property
    def mode(self):
        return flow.clamp((self.concentration - 1) / self.rate, min=0)

    def divergence_from(self, other):
        ratio, shape = flow.log(self.rate / other.rate), self.concentration
        found = other.concentration * ratio + lgamma(other.concentration) - lgamma(shape)
        return found + (shape - other.concentration) * digamma(shape) + (other.rate - self.rate) * shape / self.rate


@stands_for("torch.distributions.Beta", "torch.distributions.beta.Beta", because="OneFlow has no `Beta`.")
class Beta(DrawnByNumpy):
    def __init__(self, concentration1, concentration0, validate_args=None):
        self.concentration1, self.concentration0 = tensors_of(concentration1, concentration0)
        super().__init__(self.concentration1.shape)

    @property
    def mean(self):
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def variance(self):
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total**2 * (total + 1))

    def sample(self, sample_shape=()):
        return self.drawn("beta", sample_shape, self.concentration1, self.concentration0)

    def log_of_beta(self):
        """The logarithm of the beta function of both."""
        total = self.concentration1 + self.concentration0
        return lgamma(self.concentration1) + lgamma(self.concentration0) - lgamma(total)

    def log_prob(self, value):
        ones = times_log(self.concentration1 - 1, value)
        return ones + times_log(self.concentration0 - 1, 1 - value) - self.log_of_beta()

    def entropy(self):
        one, zero = self.concentration1, self.concentration0
        return (
            self.log_of_beta()
            - (one - 1) * digamma(one)
            - (zero - 1) * digamma(zero)
            + (one + zero - 2) * digamma(one + zero)
        )

    def divergence_from(self, other):
        one, zero = self.concentration1, self.concentration0
        found = other.log_of_beta() - self.log_of_beta() + (one - other.concentration1) * digamma(one)
        more = other.concentration1 + other.concentration0 - one - zero
        return found + (zero - other.concentration0) * digamma(zero) + more * digamma(one + zero)


@stands_for("torch.distributions.Dirichlet", "torch.distributions.dirichlet.Dirichlet",
            because="OneFlow has no `Dirichlet`.")  # fmt: skip
class Dirichlet(DrawnByNumpy):
    def __init__(self, concentration, validate_args=None):
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:])

    @property
    def mean(self):
        return self.concentration / self.concentration.sum(dim=-1, keepdim=True)

    def sample(self, sample_shape=()):
        drawn = self.drawn("gamma", sample_shape, self.concentration)
        return drawn / drawn.sum(dim=-1, keepdim=True)

    def log_prob(self, value):
        alpha = self.concentration
        return times_log(alpha - 1, value).sum(dim=-1) + lgamma(alpha.sum(dim=-1)) - lgamma(alpha).sum(dim=-1)

    def entropy(self):
        alpha, total = self.concentration, self.concentration.sum(dim=-1)
        log_of_beta = lgamma(alpha).sum(dim=-1) - lgamma(total)
        spread = (total - alpha.shape[-1]) * digamma(total)
        return log_of_beta + spread - ((alpha - 1) * digamma(alpha)).sum(dim=-1)

    @property
    def variance(self):
        total = self.concentration.sum(dim=-1, keepdim=True)
        return self.concentration * (total - self.concentration) / (total**2 * (total + 1))

    def divergence_from(self, other):
        alpha, theirs = self.concentration, other.concentration
        total = alpha.sum(dim=-1, keepdim=True)
        of_totals = lgamma(total).squeeze(-1) - lgamma(theirs.sum(dim=-1))
        each = lgamma(theirs) - lgamma(alpha) + (alpha - theirs) * (digamma(alpha) - digamma(total))
        return of_totals + each.sum(dim=-1)
