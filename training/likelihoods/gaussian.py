"""Gaussian with a learned scale (Rybkin et al., "Simple and effective VAE training with calibrated decoders", 2021)."""

from math import expm1, log, pi

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.likelihoods.likelihood import Likelihood, mean_of, variance_of
from training.scaling import Scaling, flat
from vaeserve.package.data_spec import DataSpec

LOG_SCALE_FLOOR = -6.0  # of scaled data; at a scale of 0 the density of constant pixels would be infinite


class Gaussian(Likelihood):
    """Densities N(x; m, s^2) of real values; the parameters are m, as scaled data.

    s is learned, not answered by the decoder: one for all values of an image, one for each column of a table. So the
    weight between reconstruction and KL is estimated, not chosen. The density is that of the data in its own units, so
    nats and bits can be compared between scalings.
    """

    family = "gaussian"

    def __init__(self, data: DataSpec, scaling: Scaling) -> None:
        super().__init__(data, scaling)
        self.raw_log_scale = nn.Parameter(torch.zeros(data.shape if data.kind == "table" else ()))

    def check(self, data: DataSpec) -> None:
        """Takes any data."""

    @property
    def log_scale(self) -> Tensor:
        """Log s of scaled data, softly above the floor, so that there is a gradient everywhere."""
        return LOG_SCALE_FLOOR + functional.softplus(self.raw_log_scale - LOG_SCALE_FLOOR)

    @property
    def constants(self) -> dict[str, float]:
        """The scale in the data's units, if there is one for all values."""
        if self.data.kind == "table":
            return {}
        return {"scale": float(self.log_scale.detach().exp() * self.scale)}

    def initial_parameters(self, train: Tensor) -> Tensor:
        """Returns the mean row, scaled."""
        return self.scaled(mean_of(train).float())

    def parameters_around(self, mean: Tensor, noise: Tensor) -> Tensor:
        """Returns the mean, and sets the scale."""
        self.set_scale(float(noise[0, 0].sqrt()))
        return mean

    def fit(self, train: Tensor) -> Tensor:
        """Returns the mean row and sets the scale to the deviation from it; that of a table's scaled columns is 1."""
        is_image = self.data.kind == "image"
        self.set_scale(float(variance_of(train).mean().sqrt() / self.scale) if is_image else 1.0)
        return self.initial_parameters(train)

    def expectation(self, parameters: Tensor) -> Tensor:
        """Returns the means in the data's units."""
        return (flat(parameters) * self.scale + self.center).reshape(parameters.shape)

    def forward(self, data: Tensor, parameters: Tensor) -> Tensor:
        """Returns the log-density [batch] of rows given means of the same shape, in nats."""
        log_scale = self.log_scale
        distance = (self.scaled(flat(data)) - flat(parameters)) * torch.exp(-log_scale)
        log_density = -0.5 * distance.square() - (log_scale + torch.log(self.scale) + 0.5 * log(2 * pi))
        return log_density.sum(1)

    def set_scale(self, scale: float) -> None:
        """Sets the scale of every value, in scaled data, as near to `scale` as the floor allows."""
        above = max(log(max(scale, 1e-30)) - LOG_SCALE_FLOOR, 1e-4)
        with torch.no_grad():
            self.raw_log_scale.fill_(LOG_SCALE_FLOOR + above + log(-expm1(-above)))  # the inverse of softplus
