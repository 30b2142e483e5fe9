"""Continuity: do near latents decode to near outputs, without tears?"""

from typing import NamedTuple

import numpy as np

from training.evaluate.evaluation import Smoothness
from training.evaluate.served import Data, Floats, Served, Wide
from vaeserve.rows.noise import Purpose, RowRange, standard_normals

STEP = 0.05  # in latent units; a prior's standard deviation is 1
DIRECTIONS = 8  # at most; the same at every latent, so that a linear decoder answers the same everywhere
POINTS = 11  # of an interpolation, both ends included


class Cycle(NamedTuple):
    """How far latents come back from where they were sent: encode(decode(z)) against z, medians over latents."""

    distance: float
    """Root mean square over dimensions, in latent units."""
    deviations: float | None
    """The same in standard deviations of the posterior, 1 being within its own noise; None without a posterior."""


class Scale:
    """What one unit of a value is: the range of an image's values, a column's standard deviation of a table's.

    Args:
        served: tells whether it is an image.
        train: rows that the columns' deviations are taken from.
    """

    def __init__(self, served: Served, train: Data) -> None:
        if served.data.kind == "image":
            self._unit: float | Wide = served.data.maximum - served.data.minimum
        else:
            spread = train.reshape(len(train), -1).astype(np.float64).std(0)
            self._unit = np.where(spread > 0, spread, 1.0)

    def flat(self, values: Data) -> Wide:
        """Returns values [rows, *row_shape] in units, [rows, values]."""
        result: Wide = values.reshape(len(values), -1).astype(np.float64) / self._unit
        return result


def lipschitz(served: Served, latents: Floats, scale: Scale) -> Smoothness:
    """Returns the decoder's local Lipschitz constants, |G(z + e u) - G(z)| / e, around latents [rows, latent].

    Root mean squares over directions u, of scaled values a latent unit.
    """
    slopes = np.concatenate([_slopes(served, latents[part], scale) for part in served.parts(len(latents), copies=4)])
    median, p99 = (float(value) for value in np.quantile(slopes, (0.5, 0.99)))
    return Smoothness(median=median, p99=p99, tear_index=p99 / median if median else None)


def _slopes(served: Served, latents: Floats, scale: Scale) -> Wide:
    """Returns the local Lipschitz constants [rows]."""
    here = scale.flat(served.expectation(latents))
    steps = directions(served.latent_size)
    squares = np.zeros(len(latents))
    for step in steps:
        there = scale.flat(served.expectation(latents + np.float32(STEP) * step))
        squares += ((there - here) ** 2).sum(1) / len(steps)
    slopes: Wide = np.sqrt(squares) / STEP
    return slopes


def directions(size: int) -> Floats:
    """Returns fixed orthonormal directions [directions, size]."""
    count = min(size, DIRECTIONS)
    random = standard_normals(Purpose.PRIOR, [RowRange(0, 0, size)], count)
    orthonormal: Floats = np.linalg.qr(random.astype(np.float64))[0].T.astype(np.float32)
    return orthonormal


def largest_step(served: Served, starts: Floats, ends: Floats, scale: Scale) -> float | None:
    """Returns how evenly outputs change on straight lines between latents [lines, latent].

    Largest step / mean step of POINTS points, the median over lines: 1 where outputs change evenly. None where nothing
    changes.
    """
    parts = served.parts(len(starts), copies=3 * POINTS)
    steps = np.concatenate([_steps(served, starts[part], ends[part], scale) for part in parts], axis=1)
    moving = steps[:, steps.max(0) > 0]
    return float(np.median(moving.max(0) / moving.mean(0))) if moving.size else None


def _steps(served: Served, starts: Floats, ends: Floats, scale: Scale) -> Wide:
    """Returns how far outputs move in each step of a line [steps, lines]."""
    shares = np.linspace(0, 1, POINTS, dtype=np.float32)
    flat = np.stack([scale.flat(served.expectation(starts + share * (ends - starts))) for share in shares])
    steps: Wide = np.sqrt(((flat[1:] - flat[:-1]) ** 2).sum(2))
    return steps


def cycle(served: Served, latents: Floats) -> Cycle:
    """Returns how far latents [rows, latent] come back."""
    squares: list[Wide] = []
    scaled: list[Wide] = []
    for part in served.parts(len(latents)):
        back = served.encode(served.made(latents[part]))
        square = (back.mean.astype(np.float64) - latents[part]) ** 2
        squares.append(square.mean(1))
        if back.log_variance is not None:
            scaled.append((square / np.exp(back.log_variance.astype(np.float64))).mean(1))
    deviations = float(np.median(np.sqrt(np.concatenate(scaled)))) if scaled else None
    return Cycle(float(np.median(np.sqrt(np.concatenate(squares)))), deviations)
