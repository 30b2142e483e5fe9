"""One linear map each way, with a bias: with a Gaussian likelihood and a standard normal prior, probabilistic PCA.

Lucas et al., "Don't blame the ELBO! A linear VAE perspective on posterior collapse", 2019.
"""

from math import prod

from torch import nn

from training.networks import Sizes


def encoder(row_shape: tuple[int, ...], outputs: int, _sizes: Sizes) -> nn.Module:
    """Returns rows [batch, *row_shape] -> [batch, outputs]."""
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(row_shape), outputs))


def decoder(latent_size: int, outputs_shape: tuple[int, ...], _sizes: Sizes) -> nn.Module:
    """Returns latents [batch, latent_size] -> [batch, *outputs_shape]; the constant part is the pair's own."""
    return nn.Sequential(nn.Linear(latent_size, prod(outputs_shape), bias=False), nn.Unflatten(1, outputs_shape))
