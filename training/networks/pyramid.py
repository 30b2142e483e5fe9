"""A linear pyramid of pictures, fitted at once: what the network `grid` begins with.

At each level the 2 x 2 pixels of every place have a mean, which is a pixel of the next level, doubled so that noise has
the same variance at all levels. The pixels are guessed from the 3 x 3 means around them, by linear regression, and what
the guess misses has principal components. The coarsest level guesses nothing. Everything is the same in all places.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Level(NamedTuple):
    """A level of the pyramid."""

    guess: Tensor  # [4 * channels, channels, 3, 3]
    components: Tensor  # [4 * channels, 4 * channels], orthonormal, each a row, by falling variance
    variances: Tensor  # [4 * channels]


class LinearPyramid(NamedTuple):
    """The pyramid, of pictures whose colours are whitened: colours^-1 (x - mean) has noise of variance 1."""

    mean: Tensor  # [channels]
    colours: Tensor  # [channels, channels], lower triangular
    levels: list[Level]


def linear_pyramid(image: Tensor, levels: int, noise_like: Callable[[Tensor], Tensor]) -> LinearPyramid:
    """Returns the pyramid of pictures [rows, channels, height, width] that all levels divide.

    The noise is the finest detail that is not guessed, which a finest level without latents leaves to the likelihood.

    Args:
        image: the pictures.
        levels: number of levels.
        noise_like: covariance of colours -> the nearest one that the likelihood can have.
    """
    mean = image.mean((0, 2, 3))
    image, channels = image - mean[:, None, None], len(mean)
    _, missed = guessed(image)
    by_pixel = (
        missed.reshape(channels, 4, channels, 4).diagonal(dim1=1, dim2=3).sum(2) / 3
    )  # 4 pixels, but their mean is known
    colours = torch.linalg.cholesky(noise_like(by_pixel.float()))
    image = functional.conv2d(image, torch.linalg.inv(colours)[:, :, None, None])
    fitted = list[Level]()
    for level in range(levels):
        guess, missed = nothing_guessed(image) if level == levels - 1 else guessed(image)
        variances, components = torch.linalg.eigh(missed)
        fitted.append(Level(guess, components.flip(1).T.float(), variances.flip(0).float()))
        image = halved(image)
    return LinearPyramid(mean, colours, fitted)


def halved(image: Tensor) -> Tensor:
    """Returns twice the mean of every 2 x 2 pixels."""
    return 2 * functional.avg_pool2d(image, 2)


def guessed(image: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the weight of a level's guess, and the covariance of what it misses."""
    channels, low = image.shape[1], halved(image)
    pixels = functional.pixel_unshuffle(image, 2)
    around = functional.unfold(low, 3, padding=1).movedim(1, 2).flatten(0, 1)  # [places, channels * 9]
    details = (pixels - low.repeat_interleave(4, 1) / 2).movedim(1, 3).flatten(0, 2)
    moment = (around.T @ around).double()
    moment += 1e-4 * moment.diagonal().mean() * torch.eye(len(moment), dtype=torch.float64)
    guess = torch.linalg.solve(moment, (around.T @ details).double()).T.float().reshape(4 * channels, channels, 3, 3)
    guess[:, :, 1, 1] += torch.eye(channels).repeat_interleave(4, 0) / 2
    return guess, second_moment(pixels - functional.conv2d(low, guess, padding=1))


def nothing_guessed(image: Tensor) -> tuple[Tensor, Tensor]:
    """Returns a guess of zeros, and the covariance of the pixels."""
    channels = image.shape[1]
    return torch.zeros(4 * channels, channels, 3, 3), second_moment(functional.pixel_unshuffle(image, 2))


def second_moment(values: Tensor) -> Tensor:
    """Returns the covariance [channels, channels], in float64, of values whose mean over rows and places is about 0."""
    flat = values.movedim(1, 3).flatten(0, 2).double()
    return flat.T @ flat / len(flat)
