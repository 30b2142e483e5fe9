"""The inputs of a step. Everything random in a step is drawn here."""

from typing import NamedTuple, Self

import torch
from torch import Generator, Tensor

from training.data import Dataset, draw_binary
from training.likelihoods.likelihood import Likelihood
from training.models.kind import Kind
from training.settings.config import Config
from training.symmetry import mirrored

EVEN_CHANCE = 0.5


class StepInputs(NamedTuple):
    """What a step takes beside the networks and the weights of its terms."""

    seen: Tensor  # [batch, *row_shape], rows as the encoder sees them
    data: Tensor  # [batch, *row_shape]
    noise: Tensor  # [draws, batch, latent]


class InputSampling(NamedTuple):
    """How a run draws the inputs of its steps."""

    draws: int
    """Latents that a step draws a row."""
    latent_size: int
    input_noise: float
    is_binary: bool
    """Whether each value is drawn as on or off."""
    mirrors: bool
    """Whether each picture is mirrored left to right with even chance."""

    @classmethod
    def of(cls, kind: Kind, config: Config, dataset: Dataset) -> Self:
        """Returns what a run's settings, kind and data ask for."""
        draws = config.samples if kind.takes_samples else kind.draws
        return cls(draws, config.latent_size, config.input_noise, dataset.binarised, config.mirror)


def draw_inputs(sampling: InputSampling, likelihood: Likelihood, rows: Tensor, generator: Generator) -> StepInputs:
    """Returns the inputs of a step on these rows; everything random in them comes from the generator."""
    if sampling.mirrors:
        chance = torch.rand(len(rows), 1, 1, 1, generator=generator, device=generator.device)
        rows = torch.where(chance < EVEN_CHANCE, mirrored(rows), rows)
    data = draw_binary(rows, likelihood.data.maximum, generator) if sampling.is_binary else rows
    seen = likelihood.noisy(data, sampling.input_noise, generator)
    return StepInputs(seen, data, draw_noise(sampling, len(rows), generator))


def draw_noise(sampling: InputSampling, rows: int, generator: Generator) -> Tensor:
    """Returns standard normals [draws, rows, latent] from the generator, on its device."""
    return torch.randn(sampling.draws, rows, sampling.latent_size, generator=generator, device=generator.device)
