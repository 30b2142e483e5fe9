"""A prior as modules that become graphs: one draws latents, the other gives their density. A mixture is one."""

from math import log, pi
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vaeserve.rows.quantiles import inverse_normal

MixtureArray = npt.NDArray[np.float64]


class PriorModules(NamedTuple):
    """A prior over latents."""

    noise_size: int
    """Number of standard normals that one row takes."""
    sampler: nn.Module
    """noise [batch, noise_size], temperature [batch] -> latent [batch, latent]."""
    density: nn.Module
    """latent [batch, latent] -> log p(latent) [batch] at temperature 1, in nats."""


class Mixture(nn.Module):
    """noise [batch, latent + 1], temperature [batch] -> latent [batch, latent]: a draw from a mixture of Gaussians.

    The first value of a row's noise picks the component, the others are scaled by the temperature and spread as the
    component is. In float64 inside, so that a latent's last bit hardly ever depends on what runs the graph.
    """

    weights: Tensor  # [components]
    means: Tensor  # [components, latent]
    factors: Tensor  # [components, latent, latent], Cholesky factors of the covariances
    thresholds: Tensor  # [components], float32: where a component's share of the first normal ends

    def __init__(self, weights: MixtureArray, means: MixtureArray, factors: MixtureArray) -> None:
        super().__init__()
        ends = np.append(inverse_normal(np.cumsum(weights)[:-1]), np.inf)
        self.register_buffer("weights", torch.from_numpy(weights))
        self.register_buffer("means", torch.from_numpy(means))
        self.register_buffer("factors", torch.from_numpy(factors))
        self.register_buffer("thresholds", torch.from_numpy(ends).float())

    @property
    def latent_size(self) -> int:
        """Number of values in a latent."""
        return self.means.shape[1]

    def forward(self, noise: Tensor, temperature: Tensor) -> Tensor:
        """Returns a latent for each row of noise."""
        component = (noise[:, :1] > self.thresholds).sum(1)  # [batch]
        spread = (self.factors[component] @ noise[:, 1:, None].double())[..., 0]
        return (self.means[component] + temperature[:, None].double() * spread).float()


class Density(nn.Module):
    """latent [batch, latent] -> log_prior [batch], nats: the density that a mixture draws from at temperature 1."""

    whitening: Tensor  # [latent, components * latent], inverse Cholesky factors side by side
    centers: Tensor  # [components * latent], whitened means
    log_scales: Tensor  # [components], log density at a component's mean times its weight

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        components, size = mixture.means.shape
        inverses = torch.linalg.inv(mixture.factors)
        diagonals = torch.diagonal(mixture.factors, dim1=1, dim2=2)
        self.shape = (components, size)
        self.register_buffer("whitening", inverses.flatten(0, 1).T.contiguous())
        self.register_buffer("centers", (inverses @ mixture.means[:, :, None]).flatten())
        self.register_buffer("log_scales", mixture.weights.log() - diagonals.log().sum(1) - size / 2 * log(2 * pi))

    def forward(self, latent: Tensor) -> Tensor:
        """Returns log p(latent), nats a row."""
        whitened = (latent.double() @ self.whitening - self.centers).reshape(-1, *self.shape)
        terms = self.log_scales - 0.5 * (whitened**2).sum(2)  # [batch, components]
        return log_sum_exp(terms).float()


class DiagonalMixture(nn.Module):
    """noise [batch, latent + 1], temperature [batch] -> latent [batch, latent]: as `Mixture`, for equal weights.

    Its components have diagonal covariances, so there may be many of them.
    """

    means: Tensor  # [components, latent], float64
    deviations: Tensor  # [components, latent], float64
    thresholds: Tensor  # [components], float32: where a component's share of the first normal ends

    def __init__(self, mean: Tensor, log_variance: Tensor) -> None:
        super().__init__()
        shares = np.arange(1, len(mean)) / len(mean)
        self.register_buffer("means", mean.double())
        self.register_buffer("deviations", (0.5 * log_variance.double()).exp())
        self.register_buffer("thresholds", torch.from_numpy(np.append(inverse_normal(shares), np.inf)).float())

    def forward(self, noise: Tensor, temperature: Tensor) -> Tensor:
        """Returns a latent for each row of noise."""
        component = (noise[:, :1] > self.thresholds).sum(1)  # [batch]
        spread = self.deviations[component] * noise[:, 1:].double()
        return (self.means[component] + temperature[:, None].double() * spread).float()


class DiagonalDensity(nn.Module):
    """latent [batch, latent] -> log_prior [batch], nats: the density of a `DiagonalMixture` at temperature 1.

    (z - m)^2 / v is multiplied out, so that a product of matrices gives every component's density; in float64 the parts
    cancel to more digits than float32 has.
    """

    factors: Tensor  # [2 * latent, components], of z^2 and of z
    log_scales: Tensor  # [components], log density at 0 times the component's weight

    def __init__(self, mixture: DiagonalMixture) -> None:
        super().__init__()
        precisions, means = mixture.deviations**-2, mixture.means
        components, size = means.shape
        peaks = -mixture.deviations.log().sum(1) - size / 2 * log(2 * pi) - log(components)
        self.register_buffer("factors", torch.cat((-0.5 * precisions, means * precisions), 1).T.contiguous())
        self.register_buffer("log_scales", peaks - 0.5 * (means**2 * precisions).sum(1))

    def forward(self, latent: Tensor) -> Tensor:
        """Returns log p(latent), nats a row."""
        wide = latent.double()
        return log_sum_exp(torch.cat((wide**2, wide), 1) @ self.factors + self.log_scales).float()


def log_sum_exp(terms: Tensor) -> Tensor:
    """Returns log of the sum of exp(terms) [batch, components] over the components, in operators that ONNX has."""
    largest = terms.amax(1, keepdim=True)
    return largest[:, 0] + (terms - largest).exp().sum(1).log()


def diagonal_mixture(mean: Tensor, log_variance: Tensor) -> PriorModules:
    """Returns the mixture of N(mean, exp(log_variance)) [components, latent], equally weighted, as a prior."""
    mixture = DiagonalMixture(mean, log_variance)
    return PriorModules(mean.shape[1] + 1, mixture, DiagonalDensity(mixture))


def modules_of_mixture(mixture: Mixture) -> PriorModules:
    """Returns a mixture as a prior."""
    return PriorModules(mixture.latent_size + 1, mixture, Density(mixture))
