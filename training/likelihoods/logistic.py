"""Discretised logistic: levels 0 to 255 (Kingma et al., "Improving variational inference with IAF", 2016)."""

from math import pi

import torch
from torch import Tensor

from training.likelihoods.likelihood import Likelihood, mean_of, softplus, variance_of
from training.scaling import flat, smooth_clamp, unclamped
from vaeserve.package.data_spec import DataSpec

LEVELS = 256
HALF_LEVEL = 1 / (LEVELS - 1)  # of scaled data, in which the levels span [-1, 1]
LOG_SCALE_RANGE = (
    -7.0,
    1.0,
)  # the floor of Child, "Very deep VAEs", 2021; at the ceiling the distribution is flat over the range


class Logistic(Likelihood):
    """The mass that a logistic distribution with mean m and scale s has within half a level of each level.

    Mass below the lowest or above the highest level counts as that level's. The parameters are m and log s of every
    value, of data scaled to [-1, 1]; on the last axis all m come first, then all log s.
    """

    family = "logistic"

    def check(self, data: DataSpec) -> None:
        """Needs all 256 levels."""
        if (data.dtype, data.minimum, data.maximum) != ("uint8", 0, LEVELS - 1):
            raise self.refuse("images of 256 levels")

    @property
    def constants(self) -> dict[str, float]:
        """The number of levels."""
        return {"levels": LEVELS}

    @property
    def parameters_shape(self) -> tuple[int, ...]:
        """Shape of one row's parameters: twice as many on the last axis."""
        *axes, last = self.data.shape
        return (*axes, 2 * last)

    def initial_parameters(self, train: Tensor) -> Tensor:
        """Returns the mean row, and a scale of about a sixth of the range."""
        mean = self.scaled(mean_of(train).float())
        return torch.cat((mean, torch.full_like(mean, -1.0)), -1)

    def parameters_around(self, mean: Tensor, noise: Tensor) -> Tensor:
        """Returns the mean, and the log-scale of that deviation."""
        log_scale = unclamped(0.5 * torch.log(noise[0, 0] * 3 / pi**2), *LOG_SCALE_RANGE)
        return torch.cat((mean, log_scale.expand_as(mean)), -1)

    def fit(self, train: Tensor) -> Tensor:
        """Returns the mean row, and the scale whose standard deviation is each value's.

        One more row counts, with the mean variance of all values: a pixel that never changed may yet change.
        """
        variance = variance_of(train)
        variance = (len(train) * variance + variance.mean()) / (len(train) + 1) / self.scale.double() ** 2
        log_scale = 0.5 * torch.log(3 * variance.clamp_min(HALF_LEVEL**2) / pi**2)
        return torch.cat((self.scaled(mean_of(train).float()), log_scale.float()), -1)

    def expectation(self, parameters: Tensor) -> Tensor:
        """Returns E[max(min(y, 255), 0)] of the continuous y: the mean, apart from rounding to levels."""
        mean, log_scale = self._split(parameters)
        scale = torch.exp(log_scale)
        above_low = softplus((mean + 1) / scale)
        above_high = softplus((mean - 1) / scale)
        expectation = (scale * (above_low - above_high)).clamp(0, 2) * self.scale
        return expectation.reshape(-1, *self.data.shape)

    def forward(self, data: Tensor, parameters: Tensor) -> Tensor:
        """Returns the log-likelihood [batch] of uint8 rows, in nats.

        Uses s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)), in whose logarithm nothing cancels.
        """
        mean, log_scale = self._split(parameters)
        inverse = torch.exp(-log_scale)
        data = flat(data)
        distance = self.scaled(data) - mean
        upper, lower = (distance + HALF_LEVEL) * inverse, (distance - HALF_LEVEL) * inverse
        below = torch.where(data == LEVELS - 1, 0.0, -softplus(-upper))
        above = torch.where(data == 0, 0.0, -softplus(lower))
        between = torch.log(1 - torch.exp(-2 * HALF_LEVEL * inverse))
        inner = (data > 0) & (data < LEVELS - 1)
        return (below + above + torch.where(inner, between, 0.0)).sum(1)

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Returns means and log-scales, both [batch, values of a row]."""
        mean, log_scale = map(flat, parameters.chunk(2, -1))
        return mean, smooth_clamp(log_scale, *LOG_SCALE_RANGE)
