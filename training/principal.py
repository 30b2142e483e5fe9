"""Principal components of rows, with the variances that probabilistic PCA is made of."""

from math import log, pi
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

MINIMUM_SHARE = 1e-10  # of all variance; less than that is rounding
PART_ROWS = 256


class Principal(NamedTuple):
    """Probabilistic PCA of rows, at its maximum likelihood (Tipping and Bishop, 1999, eq. 7 and 8)."""

    mean: npt.NDArray[np.float64]  # [values]
    components: npt.NDArray[np.float64]  # [components, values], of length 1
    variances: npt.NDArray[np.float64]  # [components], of the rows along each component
    residual: float
    """Variance in each of the directions that are left."""


def principal(
    rows: npt.NDArray[np.floating], components: int, minimum_residual: float = 0.0, *, may_change_rows: bool = False
) -> Principal:
    """Returns the leading components of rows [rows, values].

    Where there are fewer rows than components, the rest of the components are zero, and of the residual's variance.

    Args:
        rows: at least two.
        components: number of them.
        minimum_residual: lower bound of the residual.
        may_change_rows: whether the rows may be overwritten, which spares a copy.
    """
    count, values = rows.shape
    mean = rows.mean(0, dtype=np.float64)
    total = sum(float(np.square(rows[at : at + PART_ROWS] - mean).sum()) for at in range(0, count, PART_ROWS)) / count
    fitted = PCA(min(components, count, values), copy=not may_change_rows, random_state=0).fit(rows)
    variances = fitted.explained_variance_.astype(np.float64) * (count - 1) / count
    left = max(total - float(variances.sum()), MINIMUM_SHARE * total)
    residual = max(left / max(1, values - components), minimum_residual)
    missing = components - len(variances)
    return Principal(
        fitted.mean_.astype(np.float64),
        np.concatenate([fitted.components_, np.zeros((missing, values))]).astype(np.float64),
        np.concatenate([np.maximum(variances, residual), np.full(missing, residual)]),
        residual,
    )


def nats_of(rows: npt.NDArray[np.floating], fitted: Principal) -> npt.NDArray[np.float64]:
    """Returns -log p(x) of rows [rows, values] under probabilistic PCA: N(mean, U (V - s^2) U^T + s^2)."""
    away = rows - fitted.mean
    along = np.square(away @ fitted.components.T)
    across = np.square(away).sum(1) - along.sum(1)
    others = away.shape[1] - len(fitted.variances)
    constant = away.shape[1] * log(2 * pi) + np.log(fitted.variances).sum() + others * log(fitted.residual)
    nats: npt.NDArray[np.float64] = 0.5 * (constant + (along / fitted.variances).sum(1) + across / fitted.residual)
    return nats
