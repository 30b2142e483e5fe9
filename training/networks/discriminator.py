"""Discriminator: tells rows of data from decoded ones. It is trained beside the pair and never exported.

Its loss and the generator's are relativistic (Jolicoeur-Martineau, "The relativistic discriminator", 2019): what counts
is by how much a row of data looks more like data than a decoded row does. With penalties on the slopes at both, R1 and
R2, the game converges, and the generator forgets no mode (Huang et al., "The GAN is dead; long live the GAN!", 2024).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks import network_of
from training.networks.pair import Blueprint, Networks
from training.scaling import scaled

FEATURES = 256  # values of a row's features
PENALTY = 1.0  # weight of R1 and R2


class Judgement(NamedTuple):
    """What a discriminator says of rows."""

    rows: Tensor  # [batch, *row_shape], scaled; gradients can reach them
    features: Tensor  # [batch, FEATURES], of mean 0 and variance 1 over a row's features
    log_odds: Tensor  # [batch], that the row is data; only differences mean something


class Losses(NamedTuple):
    """What both sides of the game lower, in nats a row."""

    generator: Tensor  # [batch]
    discriminator: Tensor  # [batch], with its penalties
    is_right: Tensor  # [batch], the share of pairs in which the row of data looks more like data


class Discriminator(nn.Module):
    """Data, or expectations [batch, *row_shape] -> Judgement.

    It has the layers of an encoder of the same network. Their outputs are the features of a row. Two linear layers
    follow. Features are normalised over a row, not over the batch, so that their unit is fixed.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__()
        self.body = network_of(blueprint.network).encoder(blueprint.likelihood.data.shape, FEATURES, blueprint.sizes)
        self.head = nn.Sequential(nn.SiLU(), nn.Linear(FEATURES, FEATURES), nn.SiLU(), nn.Linear(FEATURES, 1))
        self.register_buffer("center", blueprint.scaling.center, persistent=False)
        self.register_buffer("scale", blueprint.scaling.scale, persistent=False)

    def forward(self, data: Tensor) -> Judgement:
        """Returns features and log-odds."""
        rows = scaled(data, self.center, self.scale)
        if torch.is_grad_enabled() and not rows.requires_grad:
            rows.requires_grad_()
        features = functional.layer_norm(self.body(rows).float(), (FEATURES,))
        return Judgement(rows, features, self.head(features).squeeze(1).float())


class Adversaries(Networks):
    """The pair and a discriminator."""

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__(blueprint)
        self.discriminator = Discriminator(blueprint)


def losses_of(data: Judgement, *decoded: Judgement) -> Losses:
    """Returns the losses of the game, in which each row of data is paired with a decoded row of every set."""
    leads = torch.stack([data.log_odds - each.log_odds for each in decoded])
    slopes = squared_slopes(data) + torch.stack([squared_slopes(each) for each in decoded]).mean(0)
    lost, won = functional.softplus(leads).mean(0), functional.softplus(-leads).mean(0)
    return Losses(lost, won + PENALTY / 2 * slopes, (leads > 0).float().mean(0))


def squared_slopes(judged: Judgement) -> Tensor:
    """Returns |d log-odds / d row|^2 [batch]; 0 where no gradients are computed."""
    if not torch.is_grad_enabled():
        return torch.zeros_like(judged.log_odds)
    (slopes,) = torch.autograd.grad(judged.log_odds.sum(), judged.rows, create_graph=True)
    return slopes.flatten(1).square().sum(1)
