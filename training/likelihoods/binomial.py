"""Binomial: counts out of a number of trials."""

from math import lgamma

import torch
from torch import Generator, Tensor

from training.likelihoods.likelihood import Likelihood, mean_of, softplus
from training.scaling import Scaling, flat
from vaeserve.package.data_spec import DataSpec


class Binomial(Likelihood):
    """Counts out of `trials`: log p(x) = log C(n, x) + x log s(l) + (n - x) log s(-l), with s(l) the logistic function.

    The parameters are the logits l. Both logarithms are computed as -softplus, so that nothing cancels at large logits.
    """

    family = "binomial"
    log_coefficients: Tensor

    def __init__(self, data: DataSpec, scaling: Scaling) -> None:
        super().__init__(data, scaling)
        self.trials = int(data.maximum)
        # ONNX has no lgamma: the coefficients are a table. A count above the trials has probability 0.
        table = [_log_coefficient(self.trials, count) for count in range(256)]
        self.register_buffer("log_coefficients", torch.tensor(table, dtype=torch.float32), persistent=False)

    def check(self, data: DataSpec) -> None:
        """Needs whole numbers from 0 up."""
        if data.dtype != "uint8" or data.minimum != 0:
            raise self.refuse("whole numbers from 0 up")

    @property
    def constants(self) -> dict[str, float]:
        """The number of trials."""
        return {"trials": self.trials}

    def initial_parameters(self, train: Tensor) -> Tensor:
        """Returns the logits of the mean counts; half a count is added to both sides, so that they are finite."""
        successes = (mean_of(train) * len(train)).round()
        failures = self.trials * len(train) - successes
        return torch.log((successes.float() + 0.5) / (failures.float() + 0.5))

    def expectation(self, parameters: Tensor) -> Tensor:
        """Returns trials * s(logits)."""
        return (self.trials * torch.sigmoid(flat(parameters))).reshape(parameters.shape)

    def add_noise(self, values: Tensor, strength: float, generator: Generator) -> Tensor:
        """Returns rows in which each success is missed with probability `strength`; the mean stays.

        A thinned binomial is a binomial: the encoder sees a coarser scan of the same row, and never the same one twice.
        """
        return torch.binomial(values, torch.full_like(values, 1 - strength), generator=generator) / (1 - strength)

    def forward(self, data: Tensor, parameters: Tensor) -> Tensor:
        """Returns the log-likelihood [batch] of uint8 rows given logits of the same shape, in nats."""
        data, parameters = flat(data), flat(parameters)
        counts = data.float()
        log_probabilities = (
            self.log_coefficients[data.long()]
            - counts * softplus(-parameters)
            - (self.trials - counts) * softplus(parameters)
        )
        return log_probabilities.sum(1)


def _log_coefficient(trials: int, count: int) -> float:
    """Returns log C(trials, count); -inf if the count exceeds the trials."""
    if count > trials:
        return float("-inf")
    return lgamma(trials + 1) - lgamma(count + 1) - lgamma(trials - count + 1)
