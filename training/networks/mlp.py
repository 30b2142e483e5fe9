"""Perceptrons with SiLU between linear layers; the decoder mirrors the encoder's widths."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

from torch import nn

from training.networks import Sizes

Layers = Callable[[Sequence[int]], list[nn.Module]]


def layers(widths: Sequence[int]) -> list[nn.Module]:
    """Returns linear layers of these widths with SiLU between them."""
    made: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        made += [nn.Linear(inputs, outputs), nn.SiLU()]
    return made[:-1]


def encoder(row_shape: tuple[int, ...], outputs: int, sizes: Sizes, layers: Layers = layers) -> nn.Module:
    """Returns rows [batch, *row_shape] -> [batch, outputs]."""
    return nn.Sequential(nn.Flatten(), *layers([prod(row_shape), *sizes.hidden, outputs]))


def decoder(latent_size: int, outputs_shape: tuple[int, ...], sizes: Sizes, layers: Layers = layers) -> nn.Module:
    """Returns latents [batch, latent_size] -> [batch, *outputs_shape]."""
    widths = [latent_size, *reversed(sizes.hidden), prod(outputs_shape)]
    return nn.Sequential(*layers(widths), nn.Unflatten(1, outputs_shape))
