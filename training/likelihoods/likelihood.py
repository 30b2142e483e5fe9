"""What a family of likelihoods is."""

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor, nn

from training.scaling import Scaling, scaled
from vaeserve.errors import TrainingError
from vaeserve.package import contents
from vaeserve.package.data_spec import DataSpec
from vaeserve.slices import rows_within

PART_ROWS = 4096  # maximum number of rows that are summed at once


class Likelihood(nn.Module, ABC):
    """Distribution of data given parameters; values are independent.

    It gives the training loss and the expectation in the decoder's graph. It is a module, so it is also exported as the
    likelihood graph: the three cannot disagree. What it learns, for example a scale, is a parameter of the module.

    Args:
        data: what a row is.
        scaling: how rows are scaled for the networks.
    """

    family: str

    def __init__(self, data: DataSpec, scaling: Scaling) -> None:
        super().__init__()
        self.data = data
        self.check(data)
        # Not persistent, because they come from the data, as the networks' sizes do.
        self.register_buffer("center", scaling.center, persistent=False)
        self.register_buffer("scale", scaling.scale, persistent=False)

    center: Tensor
    scale: Tensor

    @abstractmethod
    def check(self, data: DataSpec) -> None:
        """Raises TrainingError, by `refuse`, if data of this kind cannot follow the family."""

    @property
    def constants(self) -> dict[str, float]:
        """The family's constants for this data, with learned scalars, as in the manifest."""
        return {}

    @property
    def parameters_shape(self) -> tuple[int, ...]:
        """Shape of one row's parameters: the row's own, unless the family has several parameters a value."""
        return self.data.shape

    @abstractmethod
    def initial_parameters(self, train: Tensor) -> Tensor:
        """Returns the parameters [*parameters_shape] that the decoder starts with: those of the mean row."""

    def noise_like(self, covariance: Tensor) -> Tensor:
        """Returns the nearest covariance [channels, channels] of a pixel's values that the family can have."""
        return covariance.diagonal().mean() * torch.eye(len(covariance))

    def parameters_around(self, mean: Tensor, noise: Tensor) -> Tensor:
        """Returns the parameters of rows with this mean [*row_shape] and `noise_like` covariance, both scaled.

        They are affine in the mean. A scale that the family learns is set.

        Raises:
            TrainingError: the family's deviation follows from its mean.
        """
        needed = "the likelihood gaussian, logistic or logistic-mixture"
        raise TrainingError(f"--network: begins as probabilistic PCA, and needs {needed}, not {self.family}")

    def fit(self, train: Tensor) -> Tensor:
        """Returns the one set of parameters [*parameters_shape] that fits all rows best, and sets the learned scales.

        Training does not start there, because scales that start wide and then fall lead to better models.
        """
        return self.initial_parameters(train)

    @abstractmethod
    def expectation(self, parameters: Tensor) -> Tensor:
        """Returns the mean [batch, *row_shape] of the data."""

    def noisy(self, data: Tensor, strength: float, generator: Generator) -> Tensor:
        """Returns rows as the encoder sees them in training: as floats, with the family's kind of noise.

        Args:
            data: rows, [batch, *row_shape].
            strength: in [0, 1); 0: no noise.
            generator: source of the random numbers.
        """
        return self.add_noise(data.float(), strength, generator) if strength else data.float()

    def add_noise(self, values: Tensor, strength: float, generator: Generator) -> Tensor:
        """Returns values with Gaussian noise of `strength` times the data's scale, unless a family differs."""
        return values + strength * self.scale * torch.empty_like(values).normal_(generator=generator)

    @abstractmethod
    def forward(self, data: Tensor, parameters: Tensor) -> Tensor:
        """Returns the log-likelihood [batch] of rows, in nats: a sum over a row's values, with every constant."""

    def describe(self) -> contents.Likelihood:
        """Returns its entry in the manifest."""
        return contents.Likelihood(family=self.family, constants=self.constants)

    def refuse(self, needs: str) -> TrainingError:
        """Returns the error for data that cannot follow the family."""
        actual = f"{self.data.dtype} within [{self.data.minimum:g}, {self.data.maximum:g}]"
        return TrainingError(f"--likelihood: {self.family} is for {needs}; this data is {actual}")

    def scaled(self, data: Tensor) -> Tensor:
        """Returns data as values of about one."""
        return scaled(data, self.center, self.scale)


def mean_of(train: Tensor) -> Tensor:
    """Returns the mean row, a few rows at a time, because doubles of all pixels might not fit into memory."""
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
    """Returns log(1 + exp(values)); in ONNX Runtime it takes a third of the time of its own Softplus."""
    return torch.relu(values) + torch.log(1 + torch.exp(-values.abs()))
