"""How far the latents of all rows together, the aggregate posterior q(z), are from a prior.

There is no marginal KL by minibatch weights: with n rows that estimate cannot see more than log n nats of the
information in a latent, and comes out as rate - log n wherever the rate is larger.
"""

from typing import NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors

from training.evaluate.rows import Array32, Array64, EncodedRows

HELD_OUT_SHARE = 0.99  # of the held-out rows' latents count as near
SPLITS = 200  # random ones, to see what chance alone gives


class Mmd(NamedTuple):
    """Squared maximum mean discrepancy of two sets of latents; it may fall below 0."""

    squared: float
    chance: float
    """The 95 % quantile of random splits of both sets together."""


def gaussian_kl(posterior: EncodedRows) -> float | None:
    """Returns KL(N(m, S) || N(0, I)) in nats, with q(z)'s mean m and covariance S; None where S is singular.

    It is a lower bound of KL(q(z) || N(0, I)) (a Gaussian has the largest entropy at a given covariance), and misses
    all but the first two moments.
    """
    means = posterior.mean.astype(np.float64)
    center, covariance = means.mean(0), np.atleast_2d(np.cov(means.T, ddof=0))
    if posterior.log_variance is not None:
        covariance = covariance + np.diag(np.exp(posterior.log_variance.astype(np.float64)).mean(0))
    sign, log_determinant = np.linalg.slogdet(covariance)
    if sign <= 0:
        return None
    return float(0.5 * (np.trace(covariance) + center @ center - len(center) - log_determinant))


def mmd(latents: Array32, drawn: Array32, seed: int) -> Mmd:
    """Returns the unbiased MMD^2 between two sets [rows, latent] of the same size.

    The kernel is the inverse multiquadratic c / (c + |a - b|^2), c = 2 * latent values (Tolstikhin et al., "Wasserstein
    Auto-Encoders", 2018).

    Args:
        latents: of the rows.
        drawn: from the prior.
        seed: of the random splits.
    """
    both, half = np.concatenate((latents, drawn)).astype(np.float64), len(latents)
    squares = (both**2).sum(1)
    scale = 2.0 * both.shape[1]
    kernel: Array64 = scale / (scale + np.maximum(0, squares[:, None] + squares - 2 * both @ both.T))
    np.fill_diagonal(kernel, 0)
    random = np.random.Generator(np.random.Philox(key=seed))
    first = np.zeros((len(both), 1 + SPLITS))
    first[:half, 0] = 1
    for column in range(1, 1 + SPLITS):
        first[random.permutation(len(both))[:half], column] = 1
    squared = _mmd_of_splits(kernel, first, half)
    return Mmd(float(squared[0]), float(np.quantile(squared[1:], 0.95)))


def _mmd_of_splits(kernel: Array64, first: Array64, half: int) -> Array64:
    """Returns the unbiased MMD^2 [splits] of a kernel [rows, rows] with zero diagonal, first: 1 where a row is left."""
    second = 1 - first
    left, right = kernel @ first, kernel @ second
    within = (first * left).sum(0) / (half * (half - 1)) + (second * right).sum(0) / (half * (half - 1))
    result: Array64 = within - 2 * (second * left).sum(0) / half**2
    return result


class Holes:
    """Finds latents that lie where no row's latent does.

    A latent is in a hole if it is farther from every training row's latent than all but 1 % of the held-out rows'
    latents are. So 0.01 of a prior that is the aggregate posterior itself is in holes.

    Args:
        train: latents of training rows, [rows, latent].
        test: latents of held-out rows, [rows, latent].
    """

    def __init__(self, train: Array32, test: Array32) -> None:
        self._neighbours = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(train)
        self._bound = float(np.quantile(self._distances(test), HELD_OUT_SHARE))

    def fraction(self, drawn: Array32) -> float:
        """Returns the share of latents [rows, latent] that are in a hole."""
        return float((self._distances(drawn) > self._bound).mean())

    def _distances(self, latents: Array32) -> Array64:
        distances: Array64 = self._neighbours.kneighbors(latents)[0][:, 0]
        return distances
