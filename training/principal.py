"""Principal components of rows, with the variances that probabilistic PCA is made of."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

LEAST_VARIANCE = 1e-10  # share of all variance: what is less is rounding


class Principal(NamedTuple):
    """Probabilistic PCA of rows, at its maximum likelihood (Tipping and Bishop, 1999, eq. 7 and 8)."""

    mean: npt.NDArray[np.float64]  # [values]
    components: npt.NDArray[np.float64]  # [components, values], of length 1
    variances: npt.NDArray[np.float64]  # [components], of the rows along each component
    residual: float
    """Variance in each of the directions that are left."""


def principal(rows: npt.NDArray[np.floating], components: int) -> Principal:
    """Returns the leading components of rows [rows, values].

    Where there are fewer rows than components, the rest of the components are zero, and of the residual's variance.
    """
    count, values = rows.shape
    fitted = PCA(min(components, count, values), random_state=0).fit(rows)
    found = fitted.explained_variance_.astype(np.float64) * (count - 1) / count
    total = float(rows.var(0, dtype=np.float64).sum())
    left = max(total - float(found.sum()), LEAST_VARIANCE * total)
    residual = left / max(1, values - components)
    missing = components - len(found)
    return Principal(
        fitted.mean_.astype(np.float64),
        np.concatenate([fitted.components_, np.zeros((missing, values))]).astype(np.float64),
        np.concatenate([np.maximum(found, residual), np.full(missing, residual)]),
        residual,
    )
