"""Perceptrons with gated hidden layers (Tomczak and Welling, "VAE with a VampPrior", 2018)."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from training.config import Config


class Gated(nn.Module):
    """(W x + b) * sigmoid(V x + c): [batch, inputs] -> [batch, outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.both = nn.Linear(inputs, 2 * outputs)  # one product instead of two
        nn.init.kaiming_normal_(self.both.weight)
        nn.init.zeros_(self.both.bias)

    def forward(self, values: Tensor) -> Tensor:
        """Returns the gated values."""
        through, gate = self.both(values).chunk(2, 1)
        gated: Tensor = through * torch.sigmoid(gate)
        return gated


def encoder(row_shape: tuple[int, ...], outputs: int, config: Config) -> nn.Module:
    """Returns rows [batch, *row_shape] -> [batch, outputs]."""
    return nn.Sequential(nn.Flatten(), *layers([prod(row_shape), *config.hidden_sizes, outputs]))


def decoder(latent_size: int, outputs_shape: tuple[int, ...], config: Config) -> nn.Module:
    """Returns latents [batch, latent_size] -> [batch, *outputs_shape]."""
    sizes = [latent_size, *reversed(config.hidden_sizes), prod(outputs_shape)]
    return nn.Sequential(*layers(sizes), nn.Unflatten(1, outputs_shape))


def layers(sizes: Sequence[int]) -> list[nn.Module]:
    """Returns gated layers of these sizes, and a linear one last."""
    *hidden, last = pairwise(sizes)
    return [*(Gated(*pair) for pair in hidden), nn.Linear(*last)]
