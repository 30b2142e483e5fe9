"""Encoder and decoder: multilayer perceptrons whose scaling, clamping and casts are part of them, and so of the graphs.

Neither normalises nor draws anything: a row's answer depends on that row alone.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from training.likelihood import Likelihood
from vae.manifest import DataSpec

LOG_VARIANCE_RANGE = (-8.0, 4.0)  # standard deviations of 0.02 to 7.4: past any use, short of any overflow


class Posterior(NamedTuple):
    """Distribution N(mean, exp(log_variance)) of a row's latent."""

    mean: Tensor  # [batch, latent]
    log_variance: Tensor  # [batch, latent]


class Decoded(NamedTuple):
    """What a latent decodes to."""

    data: Tensor  # [batch, *row_shape], the expectation as a value that data can take
    expectation: Tensor  # [batch, *row_shape]
    parameters: Tensor  # [batch, *parameters_shape], the likelihood's


class Encoder(nn.Module):
    """data [batch, *row_shape] -> Posterior."""

    def __init__(self, data: DataSpec, hidden_sizes: Sequence[int], latent_size: int) -> None:
        super().__init__()
        self.center = (data.maximum + data.minimum) / 2
        self.half_range = (data.maximum - data.minimum) / 2
        self.layers = perceptron([data.size, *hidden_sizes, 2 * latent_size])

    def forward(self, data: Tensor) -> Posterior:
        """Returns the posterior of rows; they may be fractional, as noise makes them."""
        scaled = (data.float() - self.center) / self.half_range  # [-1, 1]
        mean, log_variance = self.layers(scaled.flatten(1)).chunk(2, dim=1)
        return Posterior(mean, smooth_clamp(log_variance, *LOG_VARIANCE_RANGE))


class Decoder(nn.Module):
    """latent [batch, latent] -> Decoded."""

    def __init__(self, data: DataSpec, hidden_sizes: Sequence[int], latent_size: int, likelihood: Likelihood) -> None:
        super().__init__()
        self.data = data
        self.likelihood = likelihood
        self.parameters_shape = likelihood.parameters_shape(data.shape)
        self.layers = perceptron([latent_size, *hidden_sizes, prod(self.parameters_shape)])

    def forward(self, latent: Tensor) -> Decoded:
        """Returns what latents decode to."""
        parameters = self.layers(latent).unflatten(1, self.parameters_shape)
        expectation = self.likelihood.expectation(parameters)
        return Decoded(self.as_data(expectation), expectation, parameters)

    def as_data(self, expectation: Tensor) -> Tensor:
        """Returns the expectation as data: rounded, for whole numbers, and within the range.

        Both happen in float: a cast to uint8 of a value outside 0..255 means something else in every runtime.
        """
        if self.data.dtype == "float32":
            return expectation.clamp(self.data.minimum, self.data.maximum)
        return expectation.round().clamp(self.data.minimum, self.data.maximum).to(torch.uint8)


class Networks(nn.Module):
    """The pair."""

    def __init__(self, data: DataSpec, hidden_sizes: Sequence[int], latent_size: int, likelihood: Likelihood) -> None:
        super().__init__()
        self.encoder = Encoder(data, hidden_sizes, latent_size)
        self.decoder = Decoder(data, tuple(reversed(hidden_sizes)), latent_size, likelihood)


def smooth_clamp(values: Tensor, low: float, high: float) -> Tensor:
    """Returns values pressed into (low, high) by a hyperbolic tangent, so that a gradient is left everywhere."""
    middle, half = (high + low) / 2, (high - low) / 2
    return middle + half * torch.tanh((values - middle) / half)


def perceptron(sizes: Sequence[int]) -> nn.Sequential:
    """Returns linear layers of these sizes with SiLU between them. Their weights are not set yet."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
        layers += [linear, nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def initialise(networks: Networks, initial_parameters: Tensor, generator: Generator) -> None:
    """Sets every weight, from the generator alone; the decoder starts at the same answer for every latent's mean.

    Weights and biases are uniform within 1 / sqrt(inputs), as PyTorch's own default, but for the decoder's last bias.

    Args:
        networks: the pair.
        initial_parameters: the decoder's last bias, [*parameters_shape].
        generator: source of the random numbers.
    """
    linears = [module for module in networks.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for linear in linears:
            bound = linear.in_features**-0.5
            linear.weight.uniform_(-bound, bound, generator=generator)
            linear.bias.uniform_(-bound, bound, generator=generator)
        linears[-1].bias.copy_(initial_parameters.flatten())
