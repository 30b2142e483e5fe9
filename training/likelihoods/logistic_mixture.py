"""Discretised mixture of logistics: levels 0 to 255 (Salimans et al., "PixelCNN++", 2017).

A pixel's colours share the component. Within a component the mean of green depends on the pixel's red, and that of blue
on its red and green, so what colours share is paid for once. This is a likelihood p(x|z) all the same: no pixel depends
on another one.
"""

from itertools import combinations
from math import ceil, pi

import torch
from torch import Tensor

from training.likelihoods.likelihood import Likelihood, mean_of, softplus, variance_of
from training.likelihoods.logistic import HALF_LEVEL, LEVELS, LOG_SCALE_RANGE
from training.scaling import flat, smooth_clamp, unclamped
from vaeserve.package.data_spec import DataSpec

COMPONENTS = 3  # not PixelCNN++'s 10: latents leave less open, and each component costs 10 numbers a pixel
SPREAD = 0.7  # of the first log-scales about their mean, so that components differ from the first step on
BEYOND = 1e6  # of scaled data: the outer edge of an outer level
FIRST_ROWS = 2000  # maximum number of rows from which the colours' covariance is taken


class LogisticMixture(Likelihood):
    """The mass that a mixture of logistics has within half a level of each level; the outer levels take the tails.

    With means m and scales s of a component, residuals r = x - m of scaled colours, and coefficients c:
    red ~ L(m0, s0), green ~ L(m1 + c0 r0, s1), blue ~ L(m2 + c1 r0 + c2 r1, s2). The last axis of the parameters has
    the logits of the K components, then K means for each colour, K log-scales for each colour, K of each coefficient.

    PixelCNN++ multiplies the coefficients by the colours x themselves, which shifts m1 and m2, and bounds them by tanh.
    Here they are not bounded.
    """

    family = "logistic-mixture"

    def check(self, data: DataSpec) -> None:
        """Needs all 256 levels."""
        if (data.dtype, data.minimum, data.maximum) != ("uint8", 0, LEVELS - 1):
            raise self.refuse("images of 256 levels")

    @property
    def constants(self) -> dict[str, float]:
        """The numbers of levels and of components."""
        return {"levels": LEVELS, "components": COMPONENTS}

    @property
    def colours(self) -> int:
        """Values of a pixel."""
        return self.data.shape[-1]

    @property
    def pixels(self) -> int:
        """Pixels of a row."""
        return self.data.value_count // self.colours

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Which colour (the first) the mean of another (the second) depends on, in the order of coefficients."""
        return sorted(combinations(range(self.colours), 2), key=lambda pair: pair[1])

    @property
    def parameters_shape(self) -> tuple[int, ...]:
        """Shape of one row's parameters: 10 numbers for each component of a pixel in colour, 3 in grey."""
        *axes, _ = self.data.shape
        return (*axes, COMPONENTS * (1 + 2 * self.colours + len(self.pairs)))

    def initial_parameters(self, train: Tensor) -> Tensor:
        """Returns the mean row, and the covariance of colours about it, the same in all places."""
        return self.parameters_around(self.scaled(mean_of(train).float()), self._covariance(train))

    def fit(self, train: Tensor) -> Tensor:
        """Returns the mean row and the deviation of each value; colours depend on one another alike in all places.

        One more row counts, with the mean variance of all values: a pixel that never changed may yet change.
        """
        covariance, variance = self._covariance(train), variance_of(train)
        variance = (len(train) * variance + variance.mean()) / (len(train) + 1) / self.scale.double() ** 2
        ratios = variance.clamp_min(HALF_LEVEL**2).float() / covariance.diagonal()
        return self._around(self.scaled(mean_of(train).float()), covariance, 0.5 * torch.log(ratios))

    def noise_like(self, covariance: Tensor) -> Tensor:
        """Returns that covariance, with half a level's more, so that no colour follows from the others."""
        return covariance + HALF_LEVEL**2 * torch.eye(len(covariance))

    def parameters_around(self, mean: Tensor, noise: Tensor) -> Tensor:
        """Returns components of that mean, with scales about those of the noise, and with its coefficients."""
        return self._around(mean, noise, torch.zeros(()))

    def expectation(self, parameters: Tensor) -> Tensor:
        """Returns E[max(min(y, 255), 0)] of each continuous y, as if the colours before it were at their means.

        That is the mean, apart from rounding to levels, unless a component reaches beyond 0 or 255. There the mean of
        red is not the component's, and what green and blue would follow of this is left out.
        """
        logits, means, log_scale, _ = self._split(parameters)
        scale = torch.exp(log_scale)
        clipped = scale * (softplus((means + 1) / scale) - softplus((means - 1) / scale))
        expectation = (clipped.clamp(0, 2) * torch.softmax(logits, 1).unsqueeze(1)).sum(2) * self.scale
        return expectation.transpose(1, 2).reshape(-1, *self.data.shape)

    def forward(self, data: Tensor, parameters: Tensor) -> Tensor:
        """Returns the log-likelihood [batch] of uint8 rows, in nats.

        Uses s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)), in whose logarithm nothing cancels. An outer level has its outer
        edge so far out that s is 0 or 1.
        """
        logits, means, log_scale, coefficients = self._split(parameters)
        values = self.scaled(flat(data)).reshape(-1, self.pixels, self.colours).transpose(1, 2).unsqueeze(2)
        above = torch.where(values > 1 - HALF_LEVEL, BEYOND, HALF_LEVEL)  # [batch, colours, 1, pixels], to the edges
        below = torch.where(values < HALF_LEVEL - 1, BEYOND, HALF_LEVEL)
        distance, inverse = self._distance(values - means, coefficients), torch.exp(-log_scale)
        upper, lower = (distance + above) * inverse, (distance - below) * inverse
        tails = (1 + torch.exp(-upper.abs())) * (1 + torch.exp(-lower.abs()))
        log_rest = torch.log((1 - torch.exp(-(above + below) * inverse)) / tails)
        log_mass = (log_rest - torch.relu(-upper) - torch.relu(lower)).sum(1)  # [batch, K, pixels]
        return (torch.logsumexp(logits + log_mass, 1) - torch.logsumexp(logits, 1)).sum(1)

    def _distance(self, residual: Tensor, coefficients: Tensor) -> Tensor:
        """Returns how far colours [batch, colours, K, pixels] are from their means given the colours before them."""
        distance = list(residual.unbind(1))
        for number, (before, after) in enumerate(self.pairs):
            distance[after] = distance[after] - coefficients[:, number] * residual[:, before]
        return torch.stack(distance, 1)

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns logits [batch, K, pixels]; means, log-scales, coefficients [batch, colours or pairs, K, pixels].

        Pixels come last, because operations along a last axis of length K are slow.
        """
        numbers = self.parameters_shape[-1] // COMPONENTS
        by_pixel = parameters.reshape(-1, self.pixels, numbers * COMPONENTS)
        parts = by_pixel.transpose(1, 2).reshape(-1, numbers, COMPONENTS, self.pixels)
        scales = 1 + self.colours
        coefficients = scales + self.colours
        log_scale = smooth_clamp(parts[:, scales:coefficients], *LOG_SCALE_RANGE)
        return parts[:, 0], parts[:, 1:scales], log_scale, parts[:, coefficients:]

    def _around(self, mean: Tensor, covariance: Tensor, widened: Tensor) -> Tensor:
        """Returns parameters for a mean row [..., colours] and a colours' covariance; `widened` is added to log-scales.

        With the Cholesky factor L and its diagonal D, (L D^-1)^-1 takes from each residual what follows from those
        before it, and leaves independent ones of deviations D.
        """
        factor = torch.linalg.cholesky(covariance)
        log_scale = torch.log(factor.diagonal() * 3**0.5 / pi) + widened
        log_scale = log_scale.expand_as(mean)[..., None] + SPREAD * torch.linspace(-1, 1, COMPONENTS)
        remaining = torch.linalg.inv(factor / factor.diagonal())
        coefficients = [-remaining[after, before].expand(*mean.shape[:-1], COMPONENTS) for before, after in self.pairs]
        logits, means = torch.zeros(*mean.shape[:-1], COMPONENTS), mean.repeat_interleave(COMPONENTS, -1)
        return torch.cat((logits, means, unclamped(log_scale, *LOG_SCALE_RANGE).flatten(-2), *coefficients), -1)

    def _covariance(self, train: Tensor) -> Tensor:
        """Returns the covariance [colours, colours] of scaled colours about the mean row, the mean over all places."""
        some = train[:: ceil(len(train) / FIRST_ROWS)].float()
        away = ((some - mean_of(train).float()) / self.scale).reshape(-1, self.colours)
        return self.noise_like(away.T @ away / len(away))
