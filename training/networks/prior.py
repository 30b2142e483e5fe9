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
        largest = terms.amax(1, keepdim=True)
        return (largest[:, 0] + (terms - largest).exp().sum(1).log()).float()


def modules_of_mixture(mixture: Mixture) -> PriorModules:
    """Returns a mixture as a prior."""
    return PriorModules(mixture.latent_size + 1, mixture, Density(mixture))
