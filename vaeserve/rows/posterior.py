"""The posterior N(mean, exp(log_variance)): draws from it, and its distance from N(0, I).

The server's answers and an evaluation's figures both come from here, so that they are the same bits.
"""

import numpy as np
import numpy.typing as npt

from vaeserve.package.row_spec import Array


def reparameterize(mean: Array, log_variance: Array, noise: Array) -> npt.NDArray[np.float32]:
    """Returns mean + sqrt(variance) noise, in float64, so that its bits do not depend on the last bit of exp."""
    with np.errstate(over="ignore"):
        latent: npt.NDArray[np.float32] = (mean + np.exp(0.5 * log_variance.astype(np.float64)) * noise).astype(
            np.float32
        )
    return latent


def kl_by_dimension(mean: Array, log_variance: Array) -> npt.NDArray[np.float64]:
    """Returns KL(N(mean, exp(log_variance)) || N(0, I)) of each row by latent dimension, [rows, *latent], in nats.

    (Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix B.) It is infinite where the variance
    overflows.
    """
    wide = log_variance.astype(np.float64)
    with np.errstate(over="ignore"):
        kl: npt.NDArray[np.float64] = 0.5 * (mean.astype(np.float64) ** 2 + np.exp(wide) - 1 - wide)
    return kl
