"""Which latent dimensions are in use."""

import numpy as np
import numpy.typing as npt

ACTIVE_VARIANCE = 0.01  # above it a unit's posterior mean says something (Burda et al., 2016)


def active_units(means: npt.NDArray[np.float32]) -> int:
    """Returns how many latent dimensions have posterior means [rows, latent] that vary from row to row."""
    return int((means.astype(np.float64).var(0) > ACTIVE_VARIANCE).sum())
