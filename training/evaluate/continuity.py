"""Continuity: whether near latents decode to near outputs, without tears."""

from typing import NamedTuple

import numpy as np

from training.evaluate.figures import Smoothness
from training.evaluate.rows import Array32, Array64, DataArray
from training.evaluate.served import ServedPair
from vaeserve.rows.noise import Purpose, RowRange, standard_normals

STEP = 0.05  # in latent units; a prior's standard deviation is 1
DIRECTIONS = 8  # maximum; the same at every latent, so that a linear decoder answers the same everywhere
POINTS = 11  # of an interpolation, both ends included


class Cycle(NamedTuple):
    """How far encode(decode(z)) lies from z, medians over latents."""

    distance: float
    """Root mean square over dimensions, in latent units."""
    deviations: float | None
    """The same in standard deviations of the posterior, 1 being within its own noise; None without a posterior."""


class Scale:
    """The unit of a value: for images the range of values, for tables a column's standard deviation.

    Args:
        pair: tells whether it is an image.
        train: rows that the columns' deviations are taken from.
    """

    def __init__(self, pair: ServedPair, train: DataArray) -> None:
        if pair.data.kind == "image":
            self._unit: float | Array64 = pair.data.maximum - pair.data.minimum
        else:
            spread = train.reshape(len(train), -1).astype(np.float64).std(0)
            self._unit = np.where(spread > 0, spread, 1.0)

    def flat(self, values: DataArray) -> Array64:
        """Returns values [rows, *row_shape] in units, [rows, values]."""
        result: Array64 = values.reshape(len(values), -1).astype(np.float64)
        result /= self._unit
        return result


def lipschitz(pair: ServedPair, latents: Array32, scale: Scale) -> Smoothness:
    """Returns the decoder's local Lipschitz constants, |G(z + e u) - G(z)| / e, around latents [rows, latent].

    Root mean squares over directions u, of scaled values a latent unit.
    """
    slopes = np.concatenate([_slopes(pair, latents[part], scale) for part in pair.parts(len(latents), copies=4)])
    median, p99 = (float(value) for value in np.quantile(slopes, (0.5, 0.99)))
    return Smoothness(median=median, p99=p99, tear_index=p99 / median if median else None)


def _slopes(pair: ServedPair, latents: Array32, scale: Scale) -> Array64:
    """Returns the local Lipschitz constants [rows]."""
    here = scale.flat(pair.expectation(latents))
    steps = directions(pair.latent_size)
    squares = np.zeros(len(latents))
    for step in steps:
        there = scale.flat(pair.expectation(latents + np.float32(STEP) * step))
        squares += ((there - here) ** 2).sum(1) / len(steps)
    slopes: Array64 = np.sqrt(squares) / STEP
    return slopes


def directions(size: int) -> Array32:
    """Returns fixed orthonormal directions [directions, size]."""
    count = min(size, DIRECTIONS)
    random = standard_normals(Purpose.PRIOR, [RowRange(0, 0, size)], count)
    orthonormal: Array32 = np.linalg.qr(random.astype(np.float64))[0].T.astype(np.float32)
    return orthonormal


def largest_step(pair: ServedPair, starts: Array32, ends: Array32, scale: Scale) -> float | None:
    """Returns how evenly outputs change on straight lines between latents [lines, latent].

    Largest step / mean step of POINTS points, the median over lines: 1 where outputs change evenly. None where nothing
    changes.
    """
    parts = pair.parts(len(starts), copies=3 * POINTS)
    steps = np.concatenate([_steps(pair, starts[part], ends[part], scale) for part in parts], axis=1)
    moving = steps[:, steps.max(0) > 0]
    return float(np.median(moving.max(0) / moving.mean(0))) if moving.size else None


def _steps(pair: ServedPair, starts: Array32, ends: Array32, scale: Scale) -> Array64:
    """Returns how far outputs move in each step of a line [steps, lines]."""
    shares = np.linspace(0, 1, POINTS, dtype=np.float32)
    flat = np.stack([scale.flat(pair.expectation(starts + share * (ends - starts))) for share in shares])
    steps: Array64 = np.sqrt(((flat[1:] - flat[:-1]) ** 2).sum(2))
    return steps


def cycle(pair: ServedPair, latents: Array32) -> Cycle:
    """Returns how far latents [rows, latent] lie from the encodings of what they decode to."""
    squares: list[Array64] = []
    scaled: list[Array64] = []
    for part in pair.parts(len(latents)):
        back = pair.encode(pair.made(latents[part]))
        square = (back.mean.astype(np.float64) - latents[part]) ** 2
        squares.append(square.mean(1))
        if back.log_variance is not None:
            scaled.append((square / np.exp(back.log_variance.astype(np.float64))).mean(1))
    deviations = float(np.median(np.sqrt(np.concatenate(scaled)))) if scaled else None
    return Cycle(float(np.median(np.sqrt(np.concatenate(squares)))), deviations)
