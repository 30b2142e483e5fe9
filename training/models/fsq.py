"""Finite scalar quantisation (Mentzer et al., "Finite scalar quantization: VQ-VAE made simple", 2023).

Each value of a latent is one of L levels, so a latent is a few small integers, its codes. What is learned is an
autoencoder; gradients pass through the rounding as if it were not there. Level k of 0 to L - 1 is the latent value
(k - H) / H with H = L // 2: from -1 to 1 for an odd L, from -1 to 1 - 1 / H for an even one. 0 is always a level.

The prior is how often each level occurs in each position among the training rows, positions being independent. So
log p(x|z) + log p(z) is the exact log-probability of a row together with its codes.
"""

from math import atanh

import numpy as np
import torch
from torch import Tensor, nn

from training.models.kind import Kind
from training.networks.pair import Blueprint, Encoder, Networks, Quantised
from training.networks.prior import PriorModules
from training.objective import autoencoder
from training.scaling import Scaling
from vaeserve.rows.quantiles import inverse_normal

MARGIN = 1e-3  # share by which the bound lies beyond the outermost levels, so that these are reached
ENCODED_ROWS = 1000  # maximum number of rows to encode at once


class Quantiser(nn.Module):
    """answers [batch, latent], any numbers -> Quantised. Of an even number, 0 is the first above the middle."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.middle = levels // 2
        self.reach = (levels - 1) * (1 + MARGIN) / 2
        self.offset = 0.0 if levels % 2 else 0.5
        self.shift = atanh(self.offset / self.reach)  # so that an answer of 0 lies on a level, not between two

    def forward(self, answers: Tensor) -> Quantised:
        """Returns the levels that answers are rounded to; the gradient is that of the unrounded codes."""
        unrounded = torch.tanh(answers + self.shift) * self.reach + (self.middle - self.offset)
        codes = unrounded + (unrounded.round() - unrounded).detach()  # exact, because the difference is
        return Quantised((codes - self.middle) / self.middle, codes.detach().to(torch.uint16), unrounded)

    def codes_of(self, latent: Tensor) -> Tensor:
        """Returns the nearest levels' numbers [batch, latent], int64, of any latents."""
        return (latent * self.middle + self.middle).round().clamp(0, self.levels - 1).long()


class QuantisingEncoder(Encoder):
    """data [batch, *row_shape] -> Quantised."""

    def __init__(self, body: nn.Module, scaling: Scaling, quantiser: Quantiser) -> None:
        super().__init__(body, scaling, None)
        self.quantiser = quantiser
        self.outputs = Quantised._fields

    def forward(self, data: Tensor) -> Quantised:
        """Returns the latents and codes of rows, which may be fractional because of noise."""
        quantised: Quantised = self.quantiser(self.answers(data))
        return quantised


class Quantising(Networks):
    """The pair with rounded latents between. Nothing standardises them."""

    encoder: QuantisingEncoder

    def __init__(self, blueprint: Blueprint, levels: int) -> None:
        super().__init__(blueprint)
        quantiser = Quantiser(levels)
        self.encoder = QuantisingEncoder(self.encoder.body, blueprint.scaling, quantiser)
        self.decoder.standard = None
        self.levels = (levels,) * blueprint.latent_size


class Frequencies(nn.Module):
    """noise [batch, latent], temperature [batch] -> latent: a level in each position, drawn as often as it occurs.

    A position's normal falls between two thresholds, the quantiles of the levels' shares. The temperature is a factor
    on it, as everywhere: below 1 it favours levels near the position's median, above 1 the outermost ones.
    """

    thresholds: Tensor  # [latent, levels - 1]

    def __init__(self, quantiser: Quantiser, shares: Tensor) -> None:
        super().__init__()
        self.middle = quantiser.middle
        ends = np.minimum(shares.numpy().cumsum(1)[:, :-1], np.nextafter(1, 0))
        self.register_buffer("thresholds", torch.from_numpy(inverse_normal(ends)).float())

    def forward(self, noise: Tensor, temperature: Tensor) -> Tensor:
        """Returns a latent for each row of noise."""
        codes = (noise[:, :, None] * temperature[:, None, None] > self.thresholds).sum(2).float()
        return (codes - self.middle) / self.middle


class LogFrequency(nn.Module):
    """latent [batch, latent] -> log_prior [batch], nats: the log-probability of its codes, or of the nearest ones."""

    log_shares: Tensor  # [latent, levels]
    positions: Tensor  # [latent]

    def __init__(self, quantiser: Quantiser, shares: Tensor) -> None:
        super().__init__()
        self.quantiser = quantiser
        self.register_buffer("log_shares", shares.log())
        self.register_buffer("positions", torch.arange(len(shares)))

    def forward(self, latent: Tensor) -> Tensor:
        """Returns log p(latent), nats a row."""
        return self.log_shares[self.positions, self.quantiser.codes_of(latent)].sum(1).float()


def shares_of(codes: Tensor, levels: int) -> Tensor:
    """Returns the share of each level in each position [latent, levels], float64, with 1 added to every count."""
    counts = torch.stack([torch.bincount(column, minlength=levels) for column in codes.long().T]) + 1
    return counts.double() / (len(codes) + levels)


def learned(networks: Quantising, rows: Tensor) -> PriorModules:
    """Returns the prior of trained networks: the frequencies of the rows' codes."""
    encoder, quantiser = networks.encoder, networks.encoder.quantiser
    with torch.inference_mode():
        codes = torch.cat([encoder(part).codes for part in torch.split(rows, ENCODED_ROWS)])
        shares = shares_of(codes, quantiser.levels)
    return PriorModules(len(shares), Frequencies(quantiser, shares), LogFrequency(quantiser, shares))


KIND = Kind(
    title="autoencoder with finite scalar quantisation",
    posterior="none",
    step=autoencoder,
    networks=Quantising,
    network_settings=("levels",),
    prior=learned,
)
