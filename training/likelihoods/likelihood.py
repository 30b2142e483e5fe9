"""What a family of likelihoods is."""

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor, nn

from training.scaling import Scaling, scaled
from vaeserve.errors import TrainingError
from vaeserve.package import manifest
from vaeserve.package.manifest import DataSpec
from vaeserve.slices import rows_within

PART_ROWS = 4096  # most rows that are summed at once


class Likelihood(nn.Module, ABC):
    """Distribution of data given parameters, independent from value to value.

    It gives the training loss, the expectation that the decoder's graph answers, and, being a module itself, the
    likelihood graph of the model package: there is no second place that could disagree. What it learns, for example a
    scale, is a parameter of the module.

    Args:
        data: what a row is.
        scaling: how rows are scaled for the networks.
    """

    family: str

    def __init__(self, data: DataSpec, scaling: Scaling) -> None:
        super().__init__()
        self.data = data
        self.check(data)
        # Not persistent: they come from the data, as the networks' sizes do.
        self.register_buffer("center", scaling.center, persistent=False)
        self.register_buffer("scale", scaling.scale, persistent=False)

    center: Tensor
    scale: Tensor

    @abstractmethod
    def check(self, data: DataSpec) -> None:
        """Raises TrainingError, by `refuse`, if data of this kind cannot follow the family."""

    @property
    def constants(self) -> dict[str, float]:
        """The family's constants for this data, learned scalars included, as the manifest tells them."""
        return {}

    @property
    def parameters_shape(self) -> tuple[int, ...]:
        """Shape of one row's parameters: the row's own, unless the family takes several a value."""
        return self.data.shape

    @abstractmethod
    def initial_parameters(self, train: Tensor) -> Tensor:
        """Returns the parameters [*parameters_shape] that the decoder starts with: the mean row's, alike for all."""

    def fit(self, train: Tensor) -> Tensor:
        """Returns the parameters [*parameters_shape] that fit all rows alike, and sets what is learned beside them.

        No training starts there: scales that were wide at first and then fell led to better models.
        """
        return self.initial_parameters(train)

    @abstractmethod
    def expectation(self, parameters: Tensor) -> Tensor:
        """Returns the mean [batch, *row_shape] of the data."""

    def noisy(self, data: Tensor, strength: float, generator: Generator) -> Tensor:
        """Returns rows as the encoder sees them in training: floats, with noise of the family's own kind.

        Args:
            data: rows, [batch, *row_shape].
            strength: in [0, 1), 0 for none.
            generator: source of the random numbers.
        """
        return self.add_noise(data.float(), strength, generator) if strength else data.float()

    def add_noise(self, values: Tensor, strength: float, generator: Generator) -> Tensor:
        """Returns values with Gaussian noise of `strength` times the data's scale, unless a family has its own kind."""
        return values + strength * self.scale * torch.empty_like(values).normal_(generator=generator)

    @abstractmethod
    def forward(self, data: Tensor, parameters: Tensor) -> Tensor:
        """Returns the log-likelihood [batch] of rows, in nats, every constant included: a sum over a row's values."""

    def describe(self) -> manifest.Likelihood:
        """Returns what the manifest says of it."""
        return manifest.Likelihood(family=self.family, constants=self.constants)

    def refuse(self, needs: str) -> TrainingError:
        """Returns the error for data that cannot follow the family."""
        lies = f"{self.data.dtype} within [{self.data.minimum:g}, {self.data.maximum:g}]"
        return TrainingError(f"--likelihood: {self.family} is for {needs}; this data is {lies}")

    def scaled(self, data: Tensor) -> Tensor:
        """Returns data as values of about one."""
        return scaled(data, self.center, self.scale)


def mean_of(train: Tensor) -> Tensor:
    """Returns the mean row, a few rows at a time: a double of every pixel would not fit beside a large set."""
    total = torch.zeros(train.shape[1:], dtype=torch.float64)
    for rows in _parts(train):
        total += rows.double().sum(0).cpu()
    return total / len(train)


def variance_of(train: Tensor) -> Tensor:
    """Returns the variance of every value about its mean, a few rows at a time."""
    mean, total = mean_of(train), torch.zeros(train.shape[1:], dtype=torch.float64)
    for rows in _parts(train):
        total += (rows.double().cpu() - mean).square().sum(0)
    return total / len(train)


def _parts(train: Tensor) -> tuple[Tensor, ...]:
    doubles = 2 * 8 * train[0].numel()
    return torch.split(train, rows_within(doubles, PART_ROWS))


def softplus(values: Tensor) -> Tensor:
    """Returns log(1 + exp(values)); ONNX Runtime takes a third of the time over this that its own Softplus takes."""
    return torch.relu(values) + torch.log(1 + torch.exp(-values.abs()))
