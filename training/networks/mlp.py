"""Perceptrons with SiLU between linear layers; the decoder mirrors the encoder's widths."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

from torch import nn

from training.settings.config import Config

Layers = Callable[[Sequence[int]], list[nn.Module]]


def layers(sizes: Sequence[int]) -> list[nn.Module]:
    """Returns linear layers of these sizes with SiLU between them."""
    made: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        made += [nn.Linear(inputs, outputs), nn.SiLU()]
    return made[:-1]


def encoder(row_shape: tuple[int, ...], outputs: int, config: Config, layers: Layers = layers) -> nn.Module:
    """Returns rows [batch, *row_shape] -> [batch, outputs]."""
    return nn.Sequential(nn.Flatten(), *layers([prod(row_shape), *config.hidden_sizes, outputs]))


def decoder(latent_size: int, outputs_shape: tuple[int, ...], config: Config, layers: Layers = layers) -> nn.Module:
    """Returns latents [batch, latent_size] -> [batch, *outputs_shape]."""
    sizes = [latent_size, *reversed(config.hidden_sizes), prod(outputs_shape)]
    return nn.Sequential(*layers(sizes), nn.Unflatten(1, outputs_shape))
