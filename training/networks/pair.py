"""The pair: an encoder and a decoder whose scaling, clamping and casts are part of them, and so of the graphs.

Neither normalises nor draws anything: a row's answer depends on that row alone.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.likelihoods.likelihood import Likelihood
from training.networks import network_of
from training.scaling import Scaling, as_data, scaled, smooth_clamp
from training.settings.config import Config

LOG_VARIANCE_RANGE = (-8.0, 4.0)  # standard deviations of 0.02 to 7.4: past any use, short of any overflow


class Posterior(NamedTuple):
    """Distribution N(mean, exp(log_variance)) of a row's latent."""

    mean: Tensor  # [batch, latent]
    log_variance: Tensor  # [batch, latent]


class Point(NamedTuple):
    """A row's latent, of a model that knows no distribution of it."""

    mean: Tensor  # [batch, latent]


class Decoded(NamedTuple):
    """What a latent decodes to."""

    data: Tensor  # [batch, *row_shape], the expectation as a value that data can take
    expectation: Tensor  # [batch, *row_shape]
    parameters: Tensor  # [batch, *parameters_shape], the likelihood's


class Standard(nn.Module):
    """Moves and stretches each latent dimension: part of both graphs, the identity until `fit` is called."""

    shift: Tensor  # [latent]
    spread: Tensor  # [latent]

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(latent_size))
        self.register_buffer("spread", torch.ones(latent_size))

    def fit(self, latents: Tensor) -> None:
        """Makes latents [rows, latent] of the network's own have mean 0 and variance 1 from now on."""
        self.shift.copy_(latents.mean(0))
        self.spread.copy_(latents.std(0, correction=0).clamp_min(1e-6))


class Encoder(nn.Module):
    """data [batch, *row_shape] -> Posterior, or Point.

    Args:
        body: scaled rows -> [batch, latent], or [batch, 2 * latent] for means and log-variances.
        scaling: how rows are scaled.
        standard: what makes latents of variance 1 out of the body's; None leaves them alone.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, body: nn.Module, scaling: Scaling, standard: Standard | None) -> None:
        super().__init__()
        self.body = body
        self.standard = standard
        self.register_buffer("center", scaling.center, persistent=False)
        self.register_buffer("scale", scaling.scale, persistent=False)

    def forward(self, data: Tensor) -> Posterior | Point:
        """Returns the posterior of rows; they may be fractional, as noise makes them."""
        answer = self.body(scaled(data, self.center, self.scale)).float()
        if self.standard is not None:
            return Point((answer - self.standard.shift) / self.standard.spread)
        mean, log_variance = answer.chunk(2, dim=1)
        return Posterior(mean, smooth_clamp(log_variance, *LOG_VARIANCE_RANGE))


class Decoder(nn.Module):
    """latent [batch, latent] -> Decoded.

    Args:
        body: latents -> [batch, *parameters_shape].
        likelihood: what the parameters are of.
        standard: the encoder's.
    """

    def __init__(self, body: nn.Module, likelihood: Likelihood, standard: Standard | None) -> None:
        super().__init__()
        self.body = body
        self.likelihood = likelihood
        self.standard = standard
        self.bias = nn.Parameter(torch.zeros(likelihood.parameters_shape))

    def forward(self, latent: Tensor) -> Decoded:
        """Returns what latents decode to."""
        parameters = self.parameters_of(latent)
        expectation = self.likelihood.expectation(parameters)
        return Decoded(as_data(expectation, self.likelihood.data), expectation, parameters)

    def parameters_of(self, latent: Tensor) -> Tensor:
        """Returns the likelihood's parameters [batch, *parameters_shape] alone."""
        if self.standard is not None:
            latent = latent * self.standard.spread + self.standard.shift
        parameters: Tensor = self.body(latent).float() + self.bias
        return parameters


class Networks(nn.Module):
    """The pair.

    Args:
        config: its network and sizes.
        likelihood: what the decoder answers the parameters of; it knows what a row is.
        scaling: how rows are scaled.
        posterior: "gaussian", or "none" for an encoder that answers a point of variance 1.
    """

    def __init__(self, config: Config, likelihood: Likelihood, scaling: Scaling, posterior: str) -> None:
        super().__init__()
        network, latent = network_of(config.network), config.latent_size
        standard = Standard(latent) if posterior == "none" else None
        outputs = latent if posterior == "none" else 2 * latent
        self.encoder = Encoder(network.encoder(likelihood.data.shape, outputs, config), scaling, standard)
        self.decoder = Decoder(network.decoder(latent, likelihood.parameters_shape, config), likelihood, standard)
