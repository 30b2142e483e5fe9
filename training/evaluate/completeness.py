"""Completeness: do latents drawn from a prior decode to something that could be data?

Density and coverage (Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020), with balls
around every real row that reach to its 5th neighbour. Density: how many balls hold a made row, over 5, the mean over
made rows. Coverage: the share of balls that hold any made row. Both mean little alone: they are to be divided by what
held-out rows reach.
"""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from training.evaluate.served import Wide

NEIGHBOURS = 5


class Completeness(NamedTuple):
    """Made rows against real ones."""

    density: float
    coverage: float
    precision: float
    """The share of made rows that lie in any ball (Kynkaanniemi et al., 2019)."""


class Balls:
    """Balls around real rows.

    Args:
        real: features of training rows, [rows, features], more than NEIGHBOURS of them.
    """

    def __init__(self, real: Wide) -> None:
        self._real = real
        found = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(real)
        self._radii: Wide = found.kneighbors()[0][:, -1]  # of the rows themselves, each without itself

    def measure(self, made: Wide) -> Completeness:
        """Returns how features [rows, features] lie in the balls."""
        within = pairwise_distances(self._real, made) < self._radii[:, np.newaxis]  # [real, made]
        return Completeness(
            density=float(within.sum(0).mean()) / NEIGHBOURS,
            coverage=float(within.any(1).mean()),
            precision=float(within.any(0).mean()),
        )
