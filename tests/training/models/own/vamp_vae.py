"""VAE with a VampPrior (Tomczak and Welling, "VAE with a VampPrior", 2018): a kind that learns its prior, in one file.

The prior is the mean of the posteriors of some learned rows. It is exported as the prior `learned`.
"""

from math import log, pi

import numpy as np
import torch
from torch import Tensor, nn

from training.models.kind import Kind
from training.networks.pair import Blueprint, DiagonalGaussian, Networks
from training.networks.prior import Mixture, PriorModules, modules_of_mixture
from training.objective import Step, TermWeights, draw, log_density, log_likelihoods

COMPONENTS = 10


class WithPrior(Networks):
    """The pair and the rows whose posteriors are the prior, scaled as the encoder scales data."""

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__(blueprint)
        self.rows = nn.Parameter(torch.randn(COMPONENTS, *blueprint.likelihood.data.shape))

    def components(self) -> DiagonalGaussian:
        """Returns the posteriors of the learned rows."""
        posterior: DiagonalGaussian = self.encoder(self.encoder.center + self.encoder.scale * self.rows)
        return posterior

    def log_prior(self, latent: Tensor) -> Tensor:
        """Returns log p(z) [..., batch]."""
        mean, log_variance = self.components()
        squares = (latent[..., None, :] - mean) ** 2 / log_variance.exp()
        return torch.logsumexp(-0.5 * (squares + log_variance + log(2 * pi)).sum(-1), -1) - log(COMPONENTS)


def negative_elbo(networks: WithPrior, seen: Tensor, data: Tensor, noise: Tensor, weights: TermWeights) -> Step:
    """Returns the negative ELBO; its KL is estimated by the draws too, because a mixture's has no closed form."""
    posterior = networks.encoder(seen)
    latent = draw(posterior, noise)
    reconstruction = -log_likelihoods(networks, data, latent).mean(0)
    kl = (log_density(posterior, noise) - networks.log_prior(latent)).mean(0)
    return Step(reconstruction + weights.kl * kl, reconstruction, kl, posterior.mean)


def learned(networks: WithPrior, _rows: Tensor) -> PriorModules:
    """Returns the prior of trained networks."""
    with torch.no_grad():
        mean, log_variance = (part.double() for part in networks.components())
    factors = torch.diag_embed((0.5 * log_variance).exp())
    return modules_of_mixture(Mixture(np.full(COMPONENTS, 1 / COMPONENTS), mean.numpy(), factors.numpy()))


KIND = Kind(
    title="VAE with a VampPrior",
    posterior="gaussian",
    step=negative_elbo,
    takes_samples=True,
    networks=WithPrior,
    prior=learned,
)
