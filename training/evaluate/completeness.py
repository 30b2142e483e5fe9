"""Completeness: do latents drawn from a prior decode to something that could be data?

Density and coverage (Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020), with balls
around every real row that reach to its 5th neighbour, edges included, because rows of few values lie on them. Density:
how many balls hold a sample, over 5, the mean over samples. Coverage: the share of balls that hold any sample. Both
mean little by themselves: divide them by what held-out rows reach.
"""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances

from training.evaluate.rows import Array64

NEIGHBOURS = 5
ROUNDING = 1e-9  # of the largest row: equal distances, computed twice, differ by less


class Completeness(NamedTuple):
    """Samples against real rows."""

    density: float
    coverage: float
    precision: float
    """The share of samples that lie in any ball (Kynkaanniemi et al., 2019)."""


class Balls:
    """Balls around real rows.

    Args:
        real: features of training rows, [rows, features], more than NEIGHBOURS of them.
    """

    def __init__(self, real: Array64) -> None:
        self._real = real
        nearest = np.partition(_squares(real, real), NEIGHBOURS, axis=1)[:, NEIGHBOURS]  # each is the 0th of its own
        edges = np.sqrt(nearest) + ROUNDING * np.sqrt((real**2).sum(1).max())
        self._edges: Array64 = edges**2

    def measure(self, samples: Array64) -> Completeness:
        """Returns how features [rows, features] lie in the balls."""
        within = _squares(self._real, samples) <= self._edges[:, np.newaxis]  # [real, samples]
        return Completeness(
            density=float(within.sum(0).mean()) / NEIGHBOURS,
            coverage=float(within.any(1).mean()),
            precision=float(within.any(0).mean()),
        )


def _squares(left: Array64, right: Array64) -> Array64:
    """Returns squared distances [left, right], of differences: by products of rows equal distances would differ."""
    squares: Array64 = pairwise_distances(left, right, metric="sqeuclidean")
    return squares
