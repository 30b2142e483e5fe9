"""Grids of latents: each level halves the picture and may have latents of its own at each of its places.

All weights are shared between places, so a few thousand pictures are enough to learn them. The pair begins as a linear
pyramid (see `pyramid`), fitted once: at each level the 2 x 2 pixels of a place are guessed from the means around it,
which go on to the next level, and the level's latents are principal components of what the guess misses. Corrections by
convolutions begin at zero and learn what linear maps miss: which details follow from coarser ones, and how wrong the
decoder may be in each place. The encoder's corrections are in units of a standard deviation of the posterior, the
decoder's in that of the residual. Gates stretch latents where there is much to say. The linear maps stay as fitted.

The coarsest level gets its latents first, at most 4 for each colour and place. Details finer than all latents are
left to the likelihood, whose scale says how large they are; that costs less than the details themselves. Pictures may
have any size: the encoder repeats their border until the levels divide them, and the decoder cuts that off.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks import Sizes
from training.networks.conv import image_of
from training.networks.grid_levels import LevelDecoder, LevelEncoder, place_blocks, zeroed
from training.networks.places import Grid
from training.networks.pyramid import halved, linear_pyramid
from training.symmetry import with_mirrored

if TYPE_CHECKING:
    from training.networks.pair import Networks

FIRST_ROWS = 2000  # maximum number of rows that the linear pyramid is fitted on


class GridEncoder(nn.Module):
    """Scaled rows [batch, height, width, channels] -> [batch, outputs]: linear maps by level, corrected."""

    mean: Tensor  # [channels, 1, 1]
    whitening: Tensor  # [channels, channels, 1, 1]

    def __init__(self, row_shape: tuple[int, ...], outputs: int, sizes: Sizes) -> None:
        super().__init__()
        channels, widths = image_of(row_shape)[2], sizes.hidden
        self.grid, self.numbers = Grid.of(row_shape, sizes), outputs // sizes.latent
        self.padding = self.grid.padding(row_shape)
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("whitening", torch.eye(channels)[:, :, None, None])
        self.down = nn.ModuleList([nn.Conv2d(channels, widths[0], 4, stride=2, padding=1)])
        self.down += [nn.Conv2d(finer, coarser, 2, stride=2) for finer, coarser in pairwise(widths)]
        self.blocks = nn.ModuleList(place_blocks(width, sizes.blocks) for width in widths)
        self.levels = nn.ModuleList(
            LevelEncoder(channels, width, latents, self.numbers)
            for width, latents in zip(widths, self.grid.latents, strict=True)
            if latents
        )

    def forward(self, data: Tensor) -> Tensor:
        """Returns the linear answers of all levels, corrected: the means of all latents, then the other numbers."""
        features, answers, first = self.padded(data), list[Tensor](), self.grid.first
        image = functional.conv2d(features - self.mean, self.whitening)
        for level, (down, blocks) in enumerate(zip(self.down, self.blocks, strict=True)):
            features, low = blocks(down(features)), halved(image)
            if level >= first:
                numbers = self.level_encoder(level)(image, low, features)
                answers.append(numbers.reshape(-1, self.numbers, self.grid.values[level]))
            image = low
        return torch.cat(answers, 2).flatten(1)

    def level_encoder(self, level: int) -> LevelEncoder:
        """Returns what encodes a level that has latents."""
        found = self.levels[level - self.grid.first]
        if not isinstance(found, LevelEncoder):
            raise AssertionError("a level has another module. This is a bug.")
        return found

    def padded(self, data: Tensor) -> Tensor:
        """Returns rows as pictures [batch, channels, height, width] that the levels divide."""
        image = data.permute(0, 3, 1, 2)
        return functional.pad(image, self.padding, mode="replicate") if any(self.padding) else image


class GridDecoder(nn.Module):
    """Latents [batch, latent] -> [batch, height, width, outputs]: a linear picture, and a correction that sees it."""

    place: Tensor  # [channels, outputs]
    unit: Tensor  # [outputs]

    def __init__(self, outputs_shape: tuple[int, ...], sizes: Sizes) -> None:
        super().__init__()
        self.height, self.width, outputs = image_of(outputs_shape)
        self.grid, widths = Grid.of(outputs_shape, sizes), sizes.hidden
        self.register_buffer("place", torch.zeros(sizes.channels, outputs))
        self.register_buffer("unit", torch.ones(outputs))
        self.levels = nn.ModuleList(
            LevelDecoder(sizes.channels, latents, widths[level : level + 2], sizes.blocks)
            for level, latents in enumerate(self.grid.latents)
        )
        self.last = zeroed(nn.Conv2d(widths[0], 4 * outputs, 1))

    def forward(self, latent: Tensor) -> Tensor:
        """Returns the change of the parameters from the mean row's, which are the pair's own."""
        first, values = self.grid.first, self.grid.values
        parts: tuple[Tensor, ...] = latent.split(values[first:], 1)  # type: ignore[no-untyped-call]
        sizes = zip(self.grid.latents[first:], self.grid.levels[first:], strict=True)
        grids: list[Tensor | None] = [None] * first
        grids += [part.reshape(-1, count, *size) for part, (count, size) in zip(parts, sizes, strict=True)]
        *finer, coarsest = self.level_decoders
        image, features = coarsest.coarsest(parts[-1].reshape(-1, self.grid.latents[-1], *self.grid.levels[-1]))
        for level, grid in zip(reversed(finer), reversed(grids[:-1]), strict=True):
            image, features = level(grid, image, features)
        correction = functional.pixel_shuffle(self.last(functional.silu(features)), 2)
        return self._cut(image) @ self.place + self.unit * self._cut(correction)

    @property
    def level_decoders(self) -> list[LevelDecoder]:
        """The levels, from the finest on."""
        return [level for level in self.levels if isinstance(level, LevelDecoder)]

    def _cut(self, image: Tensor) -> Tensor:
        """Returns pictures [batch, height, width, channels] of the rows' size."""
        return image[:, :, : self.height, : self.width].permute(0, 2, 3, 1)


def encoder(row_shape: tuple[int, ...], outputs: int, sizes: Sizes) -> nn.Module:
    """Returns rows [batch, height, width, channels] -> [batch, outputs]."""
    return GridEncoder(row_shape, outputs, sizes).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def decoder(_latent_size: int, outputs_shape: tuple[int, ...], sizes: Sizes) -> nn.Module:
    """Returns latents [batch, latent_size] -> [batch, *outputs_shape]."""
    return GridDecoder(outputs_shape, sizes).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@torch.no_grad()
def begin(networks: "Networks", rows: Tensor, mirrors: bool) -> None:
    """Sets the linear pyramid from some training rows, spread evenly over them.

    With noise of variance 1 and variances V along components, x = components (V - 1)^(1/2) z + noise; the posterior of
    z has the mean (V - 1)^(1/2) V^-1 components^T x and the variance 1 / V (Tipping and Bishop, 1999).

    Raises:
        TrainingError: the likelihood cannot have a noise that is chosen.
    """
    encoder, decoder, likelihood = networks.encoder.body, networks.decoder.body, networks.decoder.likelihood
    if not isinstance(encoder, GridEncoder) or not isinstance(decoder, GridDecoder):
        raise AssertionError("the network grid has other layers. This is a bug.")
    some = with_mirrored(rows[:: -(-len(rows) * (1 + mirrors) // FIRST_ROWS)], mirrors)
    image = encoder.padded(likelihood.scaled(some).cpu())
    fitted = linear_pyramid(image, len(decoder.levels), likelihood.noise_like)
    encoder.mean.copy_(fitted.mean[:, None, None])
    encoder.whitening.copy_(torch.linalg.inv(fitted.colours)[:, :, None, None])
    for level, (fit, decoded) in enumerate(zip(fitted.levels, decoder.level_decoders, strict=True)):
        components, variances = fit.components[: decoded.latents], fit.variances[: decoded.latents].clamp_min(1)
        stretch = (variances - 1).sqrt()
        decoded.weight.copy_((components * stretch[:, None]).T[:, :, None, None])
        if level < len(fitted.levels) - 1:
            decoded.guess.copy_(fit.guess)
        if decoded.latents:
            encoder.level_encoder(level).set(fit.guess, components * (stretch / variances)[:, None], variances)
    noise, mean = fitted.colours @ fitted.colours.T, fitted.mean
    first = likelihood.parameters_around(mean.expand(likelihood.data.shape), noise)
    moved = [likelihood.parameters_around(mean + colour, noise) for colour in fitted.colours.T]
    decoder.place.copy_(torch.stack(moved) - first[0, 0])
    decoder.unit.copy_(torch.where(decoder.place.any(0), float(noise.diagonal().mean().sqrt()), 1.0))
    networks.decoder.bias.copy_(first)
