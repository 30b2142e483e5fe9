"""Principal components with convolutions beside them: the pair begins as probabilistic PCA, and learns what PCA misses.

Encoder and decoder are those of probabilistic PCA (Tipping and Bishop, 1999), fitted once on the training rows, plus
corrections by convolutions, whose last layers begin at zero. So the first step has the likelihood of probabilistic PCA,
and training only adds to it. The linear maps stay as they are fitted. Corrections are in units of a standard deviation:
the encoder's in those of each latent's posterior, the decoder's in that of the residual. Without these units the first
steps of Adam would move the leading latents, whose posterior is narrow, by hundreds of deviations.

The decoder's correction sees the linear reconstruction, not the latent, which says the same. So a convolution can
learn from few pictures what edges look like, wherever they are.
"""

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks import Sizes
from training.networks.conv import ConvEncoder, Residual, image_of, smallest_level
from training.principal import Principal, principal
from training.scaling import unclamped
from training.symmetry import with_mirrored

if TYPE_CHECKING:
    from training.networks.pair import Networks

NOISE_ROWS = 2000  # maximum number of rows from which the covariance of colours is taken
FIRST_VALUES = 100_000_000  # maximum number of values that the components are fitted on


class PcaEncoder(nn.Module):
    """Scaled rows [batch, height, width, channels] -> [batch, outputs]: a linear map and a correction."""

    weight: Tensor  # [outputs, values]
    bias: Tensor  # [outputs]
    unit: Tensor  # [outputs]

    def __init__(self, row_shape: tuple[int, ...], outputs: int, sizes: Sizes) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(outputs, prod(row_shape)))
        self.register_buffer("bias", torch.zeros(outputs))
        self.register_buffer("unit", torch.ones(outputs))
        self.correction = ConvEncoder(row_shape, outputs, sizes)
        _zero(self.correction.last)

    def forward(self, data: Tensor) -> Tensor:
        """Returns the linear answer, corrected."""
        correction: Tensor = self.correction(data)
        return functional.linear(data.flatten(1), self.weight, self.bias) + self.unit * correction


class Refinement(nn.Module):
    """Pictures [batch, channels, height, width] -> [batch, outputs, height, width]: down by levels, and up again."""

    def __init__(self, size: tuple[int, int], channels: int, outputs: int, sizes: Sizes) -> None:
        super().__init__()
        widths, levels = sizes.hidden, len(sizes.hidden)
        self.height, self.width = size
        small = smallest_level(*size, levels)
        self.padding = (0, (small[1] << levels) - self.width, 0, (small[0] << levels) - self.height)
        self.first = nn.Conv2d(4 * channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(finer, coarser, 2, stride=2) for finer, coarser in pairwise(widths))
        self.before = nn.ModuleList(_residuals(width, sizes.blocks) for width in widths)
        self.up = nn.ModuleList(nn.Conv2d(coarser, finer, 1) for finer, coarser in pairwise(widths))
        self.after = nn.ModuleList(_residuals(width, sizes.blocks) for width in widths[:-1])
        self.last = nn.Conv2d(widths[0], 4 * outputs, 3, padding=1)
        _zero(self.last)

    def forward(self, image: Tensor) -> Tensor:
        """Returns the answer of the finest level, cut to the picture's size."""
        if any(self.padding):
            image = functional.pad(image, self.padding, mode="replicate")
        values = self.before[0](self.first(functional.pixel_unshuffle(image, 2)))
        finer = []
        for down, before in zip(self.down, self.before[1:], strict=True):
            finer.append(values)
            values = before(down(values))
        for up, after in zip(reversed(self.up), reversed(self.after), strict=True):
            values = after(finer.pop() + functional.interpolate(up(values), scale_factor=2.0))
        answer = functional.pixel_shuffle(self.last(functional.silu(values)), 2)
        return answer[:, :, : self.height, : self.width]


class PcaDecoder(nn.Module):
    """Latents [batch, latent] -> [batch, height, width, outputs]: a linear picture, and a correction that sees it."""

    weight: Tensor  # [values, latent]
    mean: Tensor  # [values]
    place: Tensor  # [channels, outputs]
    unit: Tensor  # [outputs]

    def __init__(self, latent_size: int, outputs_shape: tuple[int, ...], sizes: Sizes) -> None:
        super().__init__()
        height, width, outputs = image_of(outputs_shape)
        self.row_shape = (height, width, sizes.channels)
        self.register_buffer("weight", torch.zeros(prod(self.row_shape), latent_size))
        self.register_buffer("mean", torch.zeros(prod(self.row_shape)))
        self.register_buffer("place", torch.zeros(sizes.channels, outputs))
        self.register_buffer("unit", torch.ones(outputs))
        self.correction = Refinement((height, width), sizes.channels, outputs, sizes)

    def forward(self, latent: Tensor) -> Tensor:
        """Returns the change of the parameters from the mean row's, which are the pair's own."""
        linear = functional.linear(latent, self.weight)
        image = (linear + self.mean).reshape(-1, *self.row_shape).permute(0, 3, 1, 2)
        correction: Tensor = self.correction(image.contiguous(memory_format=torch.channels_last)).permute(0, 2, 3, 1)
        placed: Tensor = linear.reshape(-1, *self.row_shape) @ self.place
        return placed + self.unit * correction


def encoder(row_shape: tuple[int, ...], outputs: int, sizes: Sizes) -> nn.Module:
    """Returns rows [batch, height, width, channels] -> [batch, outputs]."""
    return PcaEncoder(row_shape, outputs, sizes).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def decoder(latent_size: int, outputs_shape: tuple[int, ...], sizes: Sizes) -> nn.Module:
    """Returns latents [batch, latent_size] -> [batch, *outputs_shape]."""
    return PcaDecoder(latent_size, outputs_shape, sizes).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def begin(networks: "Networks", rows: Tensor, mirrors: bool) -> None:
    """Sets the linear maps of a pair to probabilistic PCA of some training rows, spread evenly over them.

    Mirrored rows count too where the run shows them.

    x = mean + U (V - s^2)^(1/2) z + noise of variance s^2, with the variances V along the components U; the posterior
    of z has the mean (V - s^2)^(1/2) V^-1 U^T (x - mean) and the variance s^2 / V (Tipping and Bishop, eq. 6 and 7).

    Raises:
        TrainingError: the likelihood has no mean that could be set.
    """
    from training.networks.pair import LOG_VARIANCE_RANGE

    encoder, decoder, likelihood = networks.encoder.body, networks.decoder.body, networks.decoder.likelihood
    if not isinstance(encoder, PcaEncoder) or not isinstance(decoder, PcaDecoder):
        raise AssertionError("the network pca-conv has other layers. This is a bug.")
    some = with_mirrored(rows[:: -(-rows.numel() * (1 + mirrors) // FIRST_VALUES)], mirrors)
    some = likelihood.scaled(some).flatten(1)
    fitted = principal(some.numpy(), decoder.weight.shape[1])
    components, mean = torch.from_numpy(fitted.components), torch.from_numpy(fitted.mean)
    variances, latents = torch.from_numpy(fitted.variances), len(components)
    stretch, narrow = (variances - fitted.residual).clamp_min(0).sqrt(), fitted.residual / variances
    projection = components * (stretch / variances)[:, None]
    with torch.no_grad():
        encoder.weight[:latents], encoder.bias[:latents] = projection, -projection @ mean
        encoder.unit[:latents] = narrow.sqrt()
        encoder.bias[latents:] = unclamped(narrow.log(), *LOG_VARIANCE_RANGE)[: len(encoder.bias) - latents]
        decoder.weight.copy_((components * stretch[:, None]).T)
        decoder.mean.copy_(mean)
        row, noise = mean.float().reshape(decoder.row_shape), likelihood.noise_like(_noise(some, fitted, decoder))
        first = likelihood.parameters_around(row, noise)
        colours = torch.eye(decoder.row_shape[-1])
        moved = [likelihood.parameters_around(row + colour, noise)[0, 0] - first[0, 0] for colour in colours]
        decoder.place.copy_(torch.stack(moved))
        decoder.unit.copy_(torch.where(decoder.place.any(0), fitted.residual**0.5, 1.0))
        networks.decoder.bias.copy_(first)


def _noise(rows: Tensor, fitted: Principal, decoder: PcaDecoder) -> Tensor:
    """Returns the covariance of a pixel's colours that the components leave, with the residual's variance."""
    away = rows[:: -(-len(rows) // NOISE_ROWS)] - torch.from_numpy(fitted.mean).float()
    components = torch.from_numpy(fitted.components).float()
    colours = (away - away @ components.T @ components).reshape(-1, decoder.row_shape[-1])
    covariance = colours.T @ colours
    return covariance * (fitted.residual / covariance.diagonal().mean())


def _residuals(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*[Residual(width) for _ in range(blocks)])


def _zero(layer: nn.Linear | nn.Conv2d) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
