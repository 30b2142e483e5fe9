"""Bernoulli: each value is on or off."""

import torch
from torch import Generator, Tensor

from training.likelihoods.likelihood import Likelihood, mean_of, softplus
from training.scaling import flat
from vaeserve.package.data_spec import DataSpec


class Bernoulli(Likelihood):
    """Values x of 0 or the data's maximum M: log p(x) = x/M log s(l) + (1 - x/M) log s(-l), s the logistic function.

    The parameters are the logits l. A value in between counts as on with probability x/M. The result is then the
    expected log-likelihood of rows drawn from it (dynamic binarisation), not the log-density of a grey value.
    """

    family = "bernoulli"

    def check(self, data: DataSpec) -> None:
        """Needs values from 0 up."""
        if data.minimum != 0 or data.kind != "image":
            raise self.refuse("images that begin at 0")

    @property
    def constants(self) -> dict[str, float]:
        """The value that stands for on."""
        return {"maximum": self.data.maximum}

    def initial_parameters(self, train: Tensor) -> Tensor:
        """Returns the logits of the mean row, clipped to [0.001, 0.999]."""
        return torch.logit(mean_of(train) / self.data.maximum, eps=0.001).float()

    def expectation(self, parameters: Tensor) -> Tensor:
        """Returns M s(logits)."""
        return (self.data.maximum * torch.sigmoid(flat(parameters))).reshape(parameters.shape)

    def add_noise(self, values: Tensor, strength: float, generator: Generator) -> Tensor:
        """Returns rows in which each value is switched off with probability `strength`; the mean stays."""
        mask = torch.empty_like(values).bernoulli_(1 - strength, generator=generator)
        return values * mask / (1 - strength)

    def forward(self, data: Tensor, parameters: Tensor) -> Tensor:
        """Returns the log-likelihood [batch] of rows given logits of the same shape, in nats."""
        on, parameters = flat(data).float() / self.data.maximum, flat(parameters)
        # log s(l) = l + log s(-l): one softplus a value
        return (on * parameters - softplus(parameters)).sum(1)
