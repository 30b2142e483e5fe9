"""The pair: an encoder and a decoder. Scaling, clamping and casts are part of them, and so of the exported graphs.

Neither normalises over the batch or draws anything, because a row's answer may depend on that row alone.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from training.likelihoods.likelihood import Likelihood
from training.networks import Sizes, network_of
from training.scaling import Scaling, as_data, scaled, smooth_clamp

LOG_VARIANCE_RANGE = (-8.0, 4.0)  # standard deviations of 0.02 to 7.4: wider than is ever needed, and far from overflow


class DiagonalGaussian(NamedTuple):
    """Distribution N(mean, exp(log_variance)) of a row's latent."""

    mean: Tensor  # [batch, latent]
    log_variance: Tensor  # [batch, latent]


class PointEstimate(NamedTuple):
    """A row's latent, for a kind without a posterior."""

    mean: Tensor  # [batch, latent]


class Quantised(NamedTuple):
    """A row's latent, and its codes."""

    mean: Tensor  # [batch, latent], float32: the levels' values
    codes: Tensor  # [batch, latent], uint16: the levels' numbers
    unrounded: Tensor  # [batch, latent], float32: the codes before they were rounded


class DecoderOutput(NamedTuple):
    """What a latent decodes to."""

    data: Tensor  # [batch, *row_shape], the expectation, rounded and clipped to what data can be
    expectation: Tensor  # [batch, *row_shape]
    parameters: Tensor  # [batch, *parameters_shape], the likelihood's


class Standard(nn.Module):
    """Standardises each latent dimension. It is part of both graphs, and the identity until `fit` is called."""

    shift: Tensor  # [latent]
    spread: Tensor  # [latent]

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(latent_size))
        self.register_buffer("spread", torch.ones(latent_size))

    def fit(self, latents: Tensor) -> None:
        """Takes latents [rows, latent] as the network answers them, so that theirs have mean 0 and variance 1."""
        self.shift.copy_(latents.mean(0))
        self.spread.copy_(latents.std(0, correction=0).clamp_min(1e-6))


class Encoder(nn.Module):
    """data [batch, *row_shape] -> DiagonalGaussian, or PointEstimate.

    Args:
        body: scaled rows -> [batch, latent], or [batch, 2 * latent] for means and log-variances.
        scaling: how rows are scaled.
        standard: standardises the body's latents; None leaves them as they are.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, body: nn.Module, scaling: Scaling, standard: Standard | None) -> None:
        super().__init__()
        self.body = body
        self.standard = standard
        self.outputs: tuple[str, ...] = (DiagonalGaussian if standard is None else PointEstimate)._fields
        """Names of what `forward` returns."""
        self.register_buffer("center", scaling.center, persistent=False)
        self.register_buffer("scale", scaling.scale, persistent=False)

    def forward(self, data: Tensor) -> DiagonalGaussian | PointEstimate | Quantised:
        """Returns the posterior of rows, which may be fractional because of noise."""
        answer = self.answers(data)
        if self.standard is not None:
            return PointEstimate((answer - self.standard.shift) / self.standard.spread)
        mean, log_variance = answer.chunk(2, dim=1)
        return DiagonalGaussian(mean, smooth_clamp(log_variance, *LOG_VARIANCE_RANGE))

    def answers(self, data: Tensor) -> Tensor:
        """Returns what the layers answer to rows, float32."""
        answers: Tensor = self.body(scaled(data, self.center, self.scale)).float()
        return answers


class Decoder(nn.Module):
    """latent [batch, latent] -> DecoderOutput.

    Args:
        body: latents -> [batch, *parameters_shape].
        likelihood: the distribution whose parameters are answered.
        standard: the encoder's.
    """

    def __init__(self, body: nn.Module, likelihood: Likelihood, standard: Standard | None) -> None:
        super().__init__()
        self.body = body
        self.likelihood = likelihood
        self.standard = standard
        self.bias = nn.Parameter(torch.zeros(likelihood.parameters_shape))

    def forward(self, latent: Tensor) -> DecoderOutput:
        """Returns what latents decode to."""
        parameters = self.parameters_of(latent)
        expectation = self.likelihood.expectation(parameters)
        return DecoderOutput(as_data(expectation, self.likelihood.data), expectation, parameters)

    def expectation_of(self, latent: Tensor) -> Tensor:
        """Returns the expectation [batch, *row_shape] alone."""
        return self.likelihood.expectation(self.parameters_of(latent))

    def parameters_of(self, latent: Tensor) -> Tensor:
        """Returns the likelihood's parameters [batch, *parameters_shape] alone."""
        if self.standard is not None:
            latent = latent * self.standard.spread + self.standard.shift
        parameters: Tensor = self.body(latent).float() + self.bias
        return parameters


class DecoderOfRows(nn.Module):
    """A decoder without a likelihood: latent [batch, latent] -> data, expectation."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what latents decode to."""
        answer: DecoderOutput = self.decoder(latent)
        return answer.data, answer.expectation


class Blueprint(NamedTuple):
    """What networks are built from."""

    network: str
    """One of NETWORKS."""
    sizes: Sizes
    latent_size: int
    posterior: Literal["gaussian", "none"]
    """What the encoder answers: a distribution, or "none", a point whose variance is made 1."""
    likelihood: Likelihood
    """What the decoder answers the parameters of; it knows what a row is."""
    scaling: Scaling
    """How rows are scaled."""


class Networks(nn.Module):
    """The pair. A kind that needs more networks subclasses it and adds them as attributes."""

    levels: tuple[int, ...] = ()
    """Number of levels of each value of a latent; empty unless latents are codes."""

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__()
        network, sizes, latent, posterior, likelihood, scaling = blueprint
        layers = network_of(network)
        sizes = sizes._replace(channels=likelihood.data.shape[-1], latent=latent)
        standard = Standard(latent) if posterior == "none" else None
        outputs = latent if posterior == "none" else 2 * latent
        self.encoder = Encoder(layers.encoder(likelihood.data.shape, outputs, sizes), scaling, standard)
        self.decoder = Decoder(layers.decoder(latent, likelihood.parameters_shape, sizes), likelihood, standard)
