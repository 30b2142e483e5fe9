"""Which latent dimensions carry the most information, and how the decoder responds when they move."""

from typing import NamedTuple

import numpy as np

from training.evaluate.rows import Array32, Array64, DataArray
from training.evaluate.served import ServedPair

_ROWS = 64  # maximum number of rows that the response of the decoder is averaged over
_DECODED = 1024  # approximate number of rows decoded in all
_LEAST_NATS = 0.01  # a dimension with less KL is not worth a look
_LEAST_SHARE = 0.001


class Dimensions(NamedTuple):
    """The latent dimensions, most informative first."""

    order: tuple[int, ...]
    weights: Array64  # [latent], by dimension, not by order
    unit: str
    """`nats` of KL, or `%` of the output's variance that one dimension alone causes."""
    informative: int
    """Number of dimensions, from the start of `order`, that are worth a look; at least 1."""

    def label(self, dimension: int) -> str:
        """Returns a dimension's name and weight."""
        digits = 2 if self.unit == "nats" else 1
        return f"z{dimension}  {self.weights[dimension]:.{digits}f} {self.unit}"


def by_kl(nats: tuple[float, ...]) -> Dimensions:
    """Returns the dimensions in order of their KL, each a mean over rows."""
    return _ordered(np.asarray(nats, np.float64), "nats", _LEAST_NATS)


def by_response(pair: ServedPair, latents: Array32, scale: Array64 | float = 1.0) -> Dimensions:
    """Returns the dimensions in order of the share of the decoder's output variance that each causes.

    Each dimension moves to -1 and to 1 while the others stay. The square of half the difference is its variance.
    This is exact for a linear decoder. For PCA, the shares are those of the explained variance.

    Args:
        pair: the pair.
        latents: latents to start from, [rows, latent], of unit variance.
        scale: the unit of values, for each column or for all.
    """
    variances = np.zeros(pair.latent_size)
    base = latents[: max(2, min(_ROWS, _DECODED // pair.latent_size))]
    for dimension in range(pair.latent_size):
        high, low = (pair.expectation(moved(base, dimension, to)).astype(np.float64) for to in (1, -1))
        variances[dimension] = np.square((high - low) / (2 * scale)).sum() / len(base)
    total = variances.sum()
    return _ordered(100 * variances / total if total else variances, "%", 100 * _LEAST_SHARE)


def moved(latents: Array32, dimension: int, value: float) -> Array32:
    """Returns latents with one dimension set to a value."""
    copy = latents.copy()
    copy[:, dimension] = value
    return copy


def traversals(pair: ServedPair, start: Array32, dimensions: tuple[int, ...], values: tuple[float, ...]) -> Array32:
    """Returns expectations [dimensions, values, *row_shape]. Only one dimension at a time moves away from the start."""
    latents = [moved(start[np.newaxis], dimension, value) for dimension in dimensions for value in values]
    expectation = pair.expectation(np.concatenate(latents))
    return expectation.reshape(len(dimensions), len(values), *expectation.shape[1:])


def between(pair: ServedPair, starts: Array32, ends: Array32, steps: int) -> Array32:
    """Returns expectations [lines, steps, *row_shape] along straight lines between latents, both ends included."""
    shares = np.linspace(0, 1, steps, dtype=np.float32)[:, np.newaxis]
    latents = starts[:, np.newaxis] * (1 - shares) + ends[:, np.newaxis] * shares
    expectation = pair.expectation(latents.reshape(-1, pair.latent_size))
    return expectation.reshape(len(starts), steps, *expectation.shape[1:])


def _ordered(weights: Array64, unit: str, least: float) -> Dimensions:
    order = np.argsort(-weights, kind="stable")
    return Dimensions(tuple(map(int, order)), weights, unit, max(1, int((weights > least).sum())))


def deviations(rows: DataArray) -> Array64:
    """Returns the standard deviation of each column, 1 if the column is constant. Missing values are ignored."""
    spread: Array64 = np.ma.masked_invalid(rows.astype(np.float64)).std(0).filled(0)
    return np.where(spread > 0, spread, 1.0)
