"""What a step is given, of which all that is random is drawn here."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from training.data import Dataset, draw_binary
from training.models import model_of
from training.networks.pair import Networks
from training.settings.config import Config


class Inputs(NamedTuple):
    """What a step is given, beside networks and the weights of its terms."""

    seen: Tensor  # [batch, *row_shape], rows as the encoder sees them
    data: Tensor  # [batch, *row_shape]
    noise: Tensor  # [draws, batch, latent]


def draw_inputs(config: Config, dataset: Dataset, networks: Networks, rows: Tensor, generator: Generator) -> Inputs:
    """Returns what a step on these rows is given; all that is random in it comes from the generator."""
    data = draw_binary(rows, dataset.spec.maximum, generator) if dataset.binarised else rows
    seen = networks.decoder.likelihood.noisy(data, config.input_noise, generator)
    return Inputs(seen, data, draw_noise(config, len(rows), generator))


def draw_noise(config: Config, rows: int, generator: Generator) -> Tensor:
    """Returns standard normals [draws, rows, latent] from the generator, on its device."""
    draws = model_of(config.model).draws(config)
    return torch.randn(draws, rows, config.latent_size, generator=generator, device=generator.device)
