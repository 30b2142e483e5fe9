"""Residual convolutions without norms: each level halves the picture, nearest-neighbour resizing doubles it again.

There is no transposed convolution, because it leaves checkerboards and has no int8 kernel. There is no normalisation,
because a row's answer may depend on that row alone. A residual branch starts at zero (Child, "Very deep VAEs", 2021); a
level without a branch has an activation instead. Pictures may have any size: the encoder repeats their border until
the levels divide them, and the decoder cuts that off. Channels come last in memory, as in the rows; on a CPU a step of
the preset `serve` then takes two thirds of the time.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks import Sizes
from vaeserve.errors import TrainingError


class Residual(nn.Module):
    """x + conv(silu(conv(silu(x)))): [batch, channels, height, width] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, values: Tensor) -> Tensor:
        """Returns the values and what the branch adds to them."""
        branch: Tensor = self.second(functional.silu(self.first(functional.silu(values))))
        return values + branch


class ConvEncoder(nn.Module):
    """Scaled rows [batch, height, width, channels] -> [batch, outputs]."""

    def __init__(self, row_shape: tuple[int, ...], outputs: int, sizes: Sizes) -> None:
        super().__init__()
        widths = sizes.hidden
        height, width, channels = image_of(row_shape)
        small_height, small_width = smallest_level(height, width, len(widths))
        self.padding = (0, (small_width << len(widths)) - width, 0, (small_height << len(widths)) - height)
        layers: list[nn.Module] = []
        for inputs, outputs_here in pairwise((channels, *widths)):
            layers.append(nn.Conv2d(inputs, outputs_here, 3, stride=2, padding=1))
            layers += _level(outputs_here, sizes.blocks)
        if sizes.blocks:  # a residual block ends without an activation
            layers.append(nn.SiLU())
        self.levels = nn.Sequential(*layers)
        self.last = nn.Linear(widths[-1] * small_height * small_width, outputs)

    def forward(self, data: Tensor) -> Tensor:
        """Returns the outputs of the linear layer behind the last level."""
        image = data.permute(0, 3, 1, 2)
        if any(self.padding):
            image = functional.pad(image, self.padding, mode="replicate")
        answer: Tensor = self.last(self.levels(image).flatten(1))
        return answer


class ConvDecoder(nn.Module):
    """Latents [batch, latent] -> [batch, height, width, channels]."""

    def __init__(self, latent_size: int, outputs_shape: tuple[int, ...], sizes: Sizes) -> None:
        super().__init__()
        widths = tuple(reversed(sizes.hidden))
        self.height, self.width, channels = image_of(outputs_shape)
        smallest = smallest_level(self.height, self.width, len(widths))
        self.first = nn.Sequential(
            nn.Linear(latent_size, widths[0] * smallest[0] * smallest[1]), nn.Unflatten(1, (widths[0], *smallest))
        )
        finest = max(1, widths[-1] // 2)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((*widths, finest)):
            layers += _level(inputs, sizes.blocks)
            layers += [
                nn.Conv2d(inputs, outputs, 1),
                nn.Upsample(scale_factor=2),
            ]  # in this order the convolution is four times cheaper
        self.levels = nn.Sequential(*layers, nn.Conv2d(finest, finest, 3, padding=1), nn.SiLU())
        self.last = nn.Conv2d(finest, channels, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        """Returns pictures, cut to their size."""
        image: Tensor = self.last(self.levels(self.first(latent)))
        return image[:, :, : self.height, : self.width].permute(0, 2, 3, 1)


def encoder(row_shape: tuple[int, ...], outputs: int, sizes: Sizes) -> nn.Module:
    """Returns rows [batch, height, width, channels] -> [batch, outputs]."""
    return ConvEncoder(row_shape, outputs, sizes).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def decoder(latent_size: int, outputs_shape: tuple[int, ...], sizes: Sizes) -> nn.Module:
    """Returns latents [batch, latent_size] -> [batch, *outputs_shape]."""
    return ConvDecoder(latent_size, outputs_shape, sizes).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _level(channels: int, blocks: int) -> list[nn.Module]:
    """Returns a level's residual blocks, or an activation, without which the levels would be one linear map."""
    return [Residual(channels) for _ in range(blocks)] or [nn.SiLU()]


def image_of(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Returns height, width and channels."""
    if len(shape) != 3:
        raise TrainingError("--network: conv is for images, and this data is a table: choose mlp")
    height, width, channels = shape
    return height, width, channels


def smallest_level(height: int, width: int, levels: int) -> tuple[int, int]:
    """Returns the size of the last level, rounded up."""
    if min(height, width) >> (levels - 1) < 2:
        raise TrainingError(
            f"--hidden-sizes: {levels} levels would halve {height} x {width} pixels to less than one: give fewer"
        )
    return -(-height >> levels), -(-width >> levels)
