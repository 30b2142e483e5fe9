"""How probable a row of data is, given the parameters that the decoder answers.

A likelihood is one class. It gives the training loss, the expectation that the decoder's graph answers, and, being a
module itself, the likelihood graph of the model package: there is no second place that could disagree.
"""

from abc import ABC, abstractmethod
from math import lgamma

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from vae import manifest


class Likelihood(nn.Module, ABC):
    """Distribution of data given parameters, independent from value to value."""

    family: str

    @property
    @abstractmethod
    def constants(self) -> dict[str, float]:
        """The family's constants, from which `likelihood_of` builds it again."""

    @abstractmethod
    def parameters_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of one row's parameters."""

    @abstractmethod
    def initial_parameters(self, data: Tensor) -> Tensor:
        """Returns the parameters [*parameters_shape] that fit all rows alike; the decoder starts there."""

    @abstractmethod
    def expectation(self, parameters: Tensor) -> Tensor:
        """Returns the mean [batch, *row_shape] of the data."""

    @abstractmethod
    def noisy(self, data: Tensor, strength: float, generator: Generator) -> Tensor:
        """Returns rows as the encoder sees them in training, with noise of the family's own kind.

        Args:
            data: rows, [batch, *row_shape].
            strength: in [0, 1), 0 for none.
            generator: source of the random numbers.
        """

    @abstractmethod
    def forward(self, data: Tensor, parameters: Tensor) -> Tensor:
        """Returns the log-likelihood [batch] of rows, in nats, every constant included."""

    def describe(self) -> manifest.Likelihood:
        """Returns what the manifest says of it."""
        return manifest.Likelihood(family=self.family, constants=self.constants)


class Binomial(Likelihood):
    """Counts out of `trials`: log p(x) = log C(n, x) + x log s(l) + (n - x) log s(-l), with s(l) the logistic function.

    The parameters are the logits l. Both logarithms are taken as -softplus, so that nothing cancels at large logits.
    """

    family = "binomial"
    log_coefficients: Tensor

    def __init__(self, trials: float) -> None:
        super().__init__()
        self.trials = int(trials)
        # ONNX has no lgamma: the coefficients are a table. A count above the trials has probability 0.
        table = [_log_coefficient(self.trials, count) for count in range(256)]
        self.register_buffer("log_coefficients", torch.tensor(table, dtype=torch.float32), persistent=False)

    @property
    def constants(self) -> dict[str, float]:
        """The number of trials."""
        return {"trials": self.trials}

    def parameters_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the row's own shape: one logit a value."""
        return row_shape

    def initial_parameters(self, data: Tensor) -> Tensor:
        """Returns the logits of the mean counts; half a count is added to both sides, so that they are finite."""
        successes = data.float().sum(0) + 0.5
        failures = (self.trials - data.float()).sum(0) + 0.5
        return torch.log(successes / failures)

    def expectation(self, parameters: Tensor) -> Tensor:
        """Returns trials * s(logits)."""
        return self.trials * torch.sigmoid(parameters)

    def noisy(self, data: Tensor, strength: float, generator: Generator) -> Tensor:
        """Returns float rows in which every success was missed with probability `strength`, at the same mean.

        A thinned binomial is a binomial: the encoder sees a coarser scan of the same row, and never one twice.
        """
        counts = data.float()
        if strength == 0:
            return counts
        return torch.binomial(counts, torch.full_like(counts, 1 - strength), generator=generator) / (1 - strength)

    def forward(self, data: Tensor, parameters: Tensor) -> Tensor:
        """Returns the log-likelihood [batch] of uint8 rows given logits of the same shape, in nats."""
        counts = data.float()
        log_probabilities = (
            self.log_coefficients[data.long()]
            - counts * functional.softplus(-parameters)
            - (self.trials - counts) * functional.softplus(parameters)
        )
        return log_probabilities.flatten(1).sum(1)


def _log_coefficient(trials: int, count: int) -> float:
    """Returns log C(trials, count); -inf where there is no such count."""
    if count > trials:
        return float("-inf")
    return lgamma(trials + 1) - lgamma(count + 1) - lgamma(trials - count + 1)


FAMILIES: dict[str, type[Binomial]] = {likelihood.family: likelihood for likelihood in (Binomial,)}


def likelihood_of(description: manifest.Likelihood) -> Likelihood:
    """Returns the likelihood that a manifest or a data set describes."""
    return FAMILIES[description.family](**description.constants)
