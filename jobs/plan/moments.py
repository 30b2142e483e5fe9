"""Mean and deviation of latents, from parts that are merged exactly: by value, or by channel where they are spatial.

Each part is reduced by itself; parts are merged in order (Chan, Golub and LeVeque, "Updating formulae and a pairwise
algorithm for computing sample variances", 1979), so the figures do not depend on who computed which part.
"""

from collections.abc import Iterable

import numpy as np

from jobs.plan.plan import RowMoments
from vaeserve.package.row_spec import Array


def moments_of(latents: Array) -> RowMoments | None:
    """Returns the moments of latents, [rows, size] or [rows, channels, height, width]; None of no rows."""
    if not len(latents):
        return None
    values = np.moveaxis(latents, 1, -1).reshape(-1, latents.shape[1]).astype(np.float64)
    mean = values.mean(0)
    values -= mean
    squares = (values * values).sum(0)
    return RowMoments(count=len(values), mean=tuple(mean.tolist()), squares=tuple(squares.tolist()))


def merge(parts: Iterable[RowMoments | None]) -> RowMoments | None:
    """Returns the moments of all parts; None if there are none."""
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for part in parts:
        if part is None:
            continue
        total = count + part.count
        difference = np.array(part.mean) - mean
        squares = squares + np.array(part.squares) + difference**2 * (count * part.count / total)
        mean = mean + difference * (part.count / total)
        count = total
    return RowMoments(count=count, mean=tuple(mean.tolist()), squares=tuple(squares.tolist())) if count else None


def deviation(moments: RowMoments) -> tuple[float, ...]:
    """Returns the standard deviation of each value, the sum of squares divided by their number."""
    return tuple(np.sqrt(np.array(moments.squares) / moments.count).tolist())
