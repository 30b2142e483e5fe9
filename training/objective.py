"""Every objective, in nats a row: what a gradient step lowers.

-ELBO(x) = E_q(z|x)[-log p(x|z)] + KL(q(z|x) || p(z)), with q(z|x) = N(mean, exp(log_variance)) and p(z) = N(0, I)
(Kingma and Welling, "Auto-Encoding Variational Bayes", 2014).

Every term is a sum over dimensions. Averaging one over its dimensions would be another objective, one whose KL weight
depends on the size of the picture.
"""

from math import log, pi
from typing import NamedTuple

import torch
from torch import Tensor

from training.networks.pair import Networks, Posterior


class TermWeights(NamedTuple):
    """How the terms are weighed at a step."""

    kl: Tensor | float
    """A tensor where the step is compiled: each float would be a constant, and compiled anew."""
    free_bits: float = 0.0
    """Bits of KL a latent dimension that cost nothing."""


class Step(NamedTuple):
    """What a step lowers, and what it is made of."""

    loss: Tensor  # [batch]
    reconstruction: Tensor  # [batch], -log p(x|z), the mean over draws
    kl: Tensor  # [batch], in closed form and unweighted; 0 for a model without a posterior
    mean: Tensor  # [batch, latent]


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


def draw(posterior: Posterior, noise: Tensor) -> Tensor:
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


def kl_by_dimension(posterior: Posterior) -> Tensor:
    """Returns KL(N(mean, exp(log_variance)) || N(0, I)) [batch, latent], in nats (Kingma and Welling, appendix B)."""
    mean, log_variance = posterior
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)


def free(kl: Tensor, free_bits: float) -> Tensor:
    """Returns the KL [batch] of which each dimension's mean over the batch costs nothing below `free_bits`, in bits.

    Kingma et al., "Improving variational inference with inverse autoregressive flow", 2016, eq. 15.
    """
    if free_bits == 0:
        return kl.sum(1)
    return torch.clamp(kl.mean(0), min=free_bits * log(2)).sum().expand(len(kl))


def log_standard_normal(latent: Tensor) -> Tensor:
    """Returns log N(z; 0, I) [..., batch]."""
    return -0.5 * (latent**2 + log(2 * pi)).sum(-1)


def log_density(posterior: Posterior, noise: Tensor) -> Tensor:
    """Returns log q(z|x) [draws, batch] of what `draw` made of the noise."""
    return -0.5 * (noise**2 + log(2 * pi) + posterior.log_variance).sum(-1)
