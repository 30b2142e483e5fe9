"""The objective: the negative evidence lower bound (Kingma and Welling, "Auto-Encoding Variational Bayes", 2014).

-ELBO(x) = E_q(z|x)[-log p(x|z)] + KL(q(z|x) || p(z)), with q(z|x) = N(mean, exp(log_variance)) and p(z) = N(0, I).

Both terms are sums over dimensions, in nats a row. Averaging either over its dimensions would be another objective,
one whose KL weight depends on the size of the picture.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from training.networks import Decoder, Posterior


class Terms(NamedTuple):
    """The two terms of the negative ELBO, in nats."""

    reconstruction: Tensor  # [batch]
    kl: Tensor  # [batch]


def elbo_terms(posterior: Posterior, decoder: Decoder, data: Tensor, noise: Tensor) -> Terms:
    """Returns the terms for rows, the expectation over q being estimated by one draw a row.

    Args:
        posterior: q(z|x) of every row.
        decoder: latents -> the parameters of its likelihood.
        data: the rows, [batch, *row_shape].
        noise: standard normals, [batch, latent].
    """
    latent = draw(posterior, noise)
    log_likelihood = decoder.likelihood(data, decoder(latent).parameters)
    return Terms(reconstruction=-log_likelihood, kl=kl_to_standard_normal(posterior))


def draw(posterior: Posterior, noise: Tensor) -> Tensor:
    """Returns latents mean + standard deviation * noise [batch, latent]; gradients reach the posterior."""
    mean, log_variance = posterior
    return mean + torch.exp(0.5 * log_variance) * noise


def kl_to_standard_normal(posterior: Posterior) -> Tensor:
    """Returns KL(N(mean, exp(log_variance)) || N(0, I)) [batch], in nats (Kingma and Welling, appendix B)."""
    mean, log_variance = posterior
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
