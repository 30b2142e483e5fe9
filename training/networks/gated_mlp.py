"""Perceptrons with gated hidden layers (Tomczak and Welling, "VAE with a VampPrior", 2018)."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from training.networks import mlp


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


def layers(widths: Sequence[int]) -> list[nn.Module]:
    """Returns gated layers of these widths; the last one is linear."""
    *hidden, last = pairwise(widths)
    return [*(Gated(*pair) for pair in hidden), nn.Linear(*last)]


encoder, decoder = partial(mlp.encoder, layers=layers), partial(mlp.decoder, layers=layers)
