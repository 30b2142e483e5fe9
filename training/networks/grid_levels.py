"""The levels of the network `grid`: what encodes one level, and what decodes it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.scaling import unclamped

GATE = 3.0  # maximum of the logarithm of a gate's factor


class PlaceBlock(nn.Module):
    """x + conv(silu(conv(silu(x)))), the second within a place: [batch, channels, height, width] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, values: Tensor) -> Tensor:
        """Returns the values and what the branch adds to them."""
        branch: Tensor = self.second(functional.silu(self.first(functional.silu(values))))
        return values + branch


class LevelEncoder(nn.Module):
    """A level of the encoder, without its features: detail and correction -> latents' numbers, [batch, ...] each."""

    guess: Tensor  # [4 * channels, channels, 3, 3]
    weight: Tensor  # [latents, 4 * channels, 1, 1]
    bias: Tensor  # [numbers * latents, 1, 1]
    unit: Tensor  # [numbers * latents, 1, 1]

    def __init__(self, channels: int, width: int, latents: int, numbers: int) -> None:
        super().__init__()
        self.latents = latents
        self.register_buffer("guess", torch.zeros(4 * channels, channels, 3, 3))
        self.register_buffer("weight", torch.zeros(latents, 4 * channels, 1, 1))
        self.register_buffer("bias", torch.zeros(numbers * latents, 1, 1))
        self.register_buffer("unit", torch.ones(numbers * latents, 1, 1))
        self.head = zeroed(nn.Conv2d(width, (1 + numbers) * latents, 1))

    def forward(self, image: Tensor, low: Tensor, features: Tensor) -> Tensor:
        """Returns means, and log-variances if there are any, [batch, numbers * latents, height, width]."""
        detail = functional.pixel_unshuffle(image, 2) - functional.conv2d(low, self.guess, padding=1)
        answer = self.head(functional.silu(features))
        linear = functional.conv2d(detail, self.weight) * stretched(answer[:, : self.latents])
        numbers = self.bias + self.unit * answer[:, self.latents :]
        return torch.cat((numbers[:, : self.latents] + linear, numbers[:, self.latents :]), 1)

    def set(self, guess: Tensor, weight: Tensor, variances: Tensor) -> None:
        """Sets the linear part; a latent's posterior has the variance 1 / `variances`."""
        from training.networks.pair import LOG_VARIANCE_RANGE

        self.guess.copy_(guess)
        self.weight.copy_(weight[:, :, None, None])
        self.unit[: self.latents] = variances.rsqrt()[:, None, None]
        if len(self.bias) > self.latents:
            self.bias[self.latents :] = unclamped(-variances.log(), *LOG_VARIANCE_RANGE)[:, None, None]


class LevelDecoder(nn.Module):
    """A level of the decoder: latents, the picture of the coarser level and its features -> those of this level."""

    weight: Tensor  # [4 * channels, latents, 1, 1]
    guess: Tensor  # [4 * channels, channels, 3, 3]

    def __init__(self, channels: int, latents: int, widths: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.latents, self.pixels = latents, 4 * channels
        self.register_buffer("weight", torch.zeros(self.pixels, latents, 1, 1))
        self.first = nn.Conv2d(latents + self.pixels, widths[0], 1)
        self.blocks = place_blocks(widths[0], blocks)
        if len(widths) > 1:
            self.register_buffer("guess", torch.zeros(self.pixels, channels, 3, 3))
            self.up = nn.Conv2d(widths[1], widths[0], 1)
            self.learned = zeroed(nn.Conv2d(widths[0], latents + self.pixels, 1))

    def coarsest(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the picture, twice the size of the latents' grid, and the features of its places."""
        pixels = functional.conv2d(latents, self.weight)
        return functional.pixel_shuffle(pixels, 2), self.blocks(self.first(torch.cat((latents, pixels), 1)))

    def forward(self, latents: Tensor | None, low: Tensor, coarser: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the same, from a picture and features of half that size; None: the level has no latents."""
        features = functional.interpolate(self.up(coarser), scale_factor=2.0)
        learned = self.learned(functional.silu(features))
        pixels = functional.conv2d(low, self.guess, padding=1) + learned[:, self.latents :]
        seen = pixels
        if latents is not None:
            pixels = pixels + functional.conv2d(latents * stretched(learned[:, : self.latents]), self.weight)
            seen = torch.cat((latents, pixels), 1)
        return functional.pixel_shuffle(pixels, 2), self.blocks(features + self.first(seen))


def stretched(gate: Tensor) -> Tensor:
    """Returns a factor between exp(-GATE) and exp(GATE), 1 at 0."""
    return torch.exp(GATE * torch.tanh(gate / GATE))


def place_blocks(width: int, blocks: int) -> nn.Sequential:
    """Returns a level's blocks, one after another."""
    return nn.Sequential(*[PlaceBlock(width) for _ in range(blocks)])


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """Returns a layer whose weights are set to zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
