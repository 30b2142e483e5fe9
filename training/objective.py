"""Every objective, in nats a row: what a gradient step lowers.

-ELBO(x) = E_q(z|x)[-log p(x|z)] + KL(q(z|x) || p(z)), with q(z|x) = N(mean, exp(log_variance)) and p(z) = N(0, I)
(Kingma and Welling, "Auto-Encoding Variational Bayes", 2014).

Every term is a sum over dimensions. A mean over dimensions would be another objective, whose KL weight depends on the
size of the picture.
"""

from collections.abc import Mapping
from math import log, pi
from typing import NamedTuple

import torch
from torch import Tensor

from training.networks.pair import DiagonalGaussian, Networks


class TermWeights(NamedTuple):
    """The weights of the terms at a step."""

    kl: Tensor | float
    """A tensor where the step is compiled, because each float would be a constant that is compiled anew."""
    free_bits: float = 0.0
    """Bits of KL in each latent dimension that cost nothing."""
    features: float = 0.0
    """Of a reconstruction in a discriminator's features, against misleading the discriminator."""
    adversarial_start: float = 0.0
    """The share of the steps after which a VAE-GAN is adversarial."""
    progress: Tensor | float = 1.0
    """The share of the run's steps that are done, in [0, 1]; 1 where rows are measured, not trained on."""


LOSS = "loss_nats"
"""Name of the loss that every step has."""


class Step(NamedTuple):
    """What a step lowers, and the terms that it is made of."""

    loss: Tensor  # [batch]
    reconstruction: Tensor  # [batch], -log p(x|z), the mean over draws
    kl: Tensor  # [batch], unweighted, in closed form where it has one; 0 for a kind without a posterior
    mean: Tensor  # [batch, latent]
    figures: Mapping[str, Tensor] = {}
    """The kind's own figures by name, [batch] each: further losses, and what else the journal is to show."""

    def lowered(self, name: str) -> Tensor:
        """Returns the mean over the batch of the loss of that name, which the optimizer of that name lowers."""
        return (self.loss if name == LOSS else self.figures[name]).mean()


def autoencoder(networks: Networks, seen: Tensor, data: Tensor, _noise: Tensor, _weights: TermWeights) -> Step:
    """Returns -log p(x|z) at the one latent that the encoder answers."""
    mean = networks.encoder(seen).mean
    reconstruction = -networks.decoder.likelihood(data, networks.decoder.parameters_of(mean))
    return Step(reconstruction, reconstruction, torch.zeros_like(reconstruction), mean)


def negative_elbo(networks: Networks, seen: Tensor, data: Tensor, noise: Tensor, weights: TermWeights) -> Step:
    """Returns the negative ELBO, its expectation over q estimated by the draws, its KL in closed form."""
    posterior = networks.encoder(seen)
    reconstruction = -log_likelihoods(networks, data, draw(posterior, noise)).mean(0)
    kl = kl_by_dimension(posterior)
    loss = reconstruction + weights.kl * free(kl, weights.free_bits)
    return Step(loss, reconstruction, kl.sum(1), posterior.mean)


def negative_iwae_bound(networks: Networks, seen: Tensor, data: Tensor, noise: Tensor, weights: TermWeights) -> Step:
    """Returns -log 1/k sum_i p(x|z_i) (p(z_i) / q(z_i|x))^w, with w the KL's weight (Burda et al., 2016, eq. 8)."""
    posterior = networks.encoder(seen)
    latent = draw(posterior, noise)
    log_likelihood = log_likelihoods(networks, data, latent)
    log_weights = log_likelihood + weights.kl * (log_standard_normal(latent) - log_density(posterior, noise))
    return Step(-iwae_bound(log_weights), -log_likelihood.mean(0), kl_by_dimension(posterior).sum(1), posterior.mean)


def iwae_bound(log_weights: Tensor) -> Tensor:
    """Returns log of the mean of exp(log_weights) [draws, batch] over the draws: [batch]."""
    return torch.logsumexp(log_weights, 0) - log(len(log_weights))


def draw(posterior: DiagonalGaussian, noise: Tensor) -> Tensor:
    """Returns latents mean + standard deviation * noise [..., batch, latent]; gradients reach the posterior."""
    mean, log_variance = posterior
    return mean + torch.exp(0.5 * log_variance) * noise


def log_likelihoods(networks: Networks, data: Tensor, latent: Tensor) -> Tensor:
    """Returns log p(x|z) [draws, batch] of rows [batch, *row_shape] for latents [draws, batch, latent]."""
    draws, batch, _ = latent.shape
    parameters = networks.decoder.parameters_of(latent.flatten(0, 1))
    repeated = data if draws == 1 else data.repeat(draws, *[1] * (data.ndim - 1))
    log_likelihood: Tensor = networks.decoder.likelihood(repeated, parameters)
    return log_likelihood.reshape(draws, batch)


def kl_by_dimension(posterior: DiagonalGaussian) -> Tensor:
    """Returns KL(N(mean, exp(log_variance)) || N(0, I)) [batch, latent], in nats (Kingma and Welling, appendix B)."""
    mean, log_variance = posterior
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)


def free(kl: Tensor, free_bits: float) -> Tensor:
    """Returns the KL [batch], in which a dimension costs nothing while its mean over the batch is below `free_bits`.

    Kingma et al., "Improving variational inference with inverse autoregressive flow", 2016, eq. 15.
    """
    if free_bits == 0:
        return kl.sum(1)
    return torch.clamp(kl.mean(0), min=free_bits * log(2)).sum().expand(len(kl))


def log_standard_normal(latent: Tensor) -> Tensor:
    """Returns log N(z; 0, I) [..., batch]."""
    return -0.5 * (latent**2 + log(2 * pi)).sum(-1)


def log_density(posterior: DiagonalGaussian, noise: Tensor) -> Tensor:
    """Returns log q(z|x) [draws, batch] of the latents that `draw` makes of the noise."""
    return -0.5 * (noise**2 + log(2 * pi) + posterior.log_variance).sum(-1)
