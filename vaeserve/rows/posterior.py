"""The posterior N(mean, exp(log_variance)): draws from it, and its distance from N(0, I).

The server's answers and an evaluation's figures both come from here, so that they are the same bits.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Wide = npt.NDArray[np.float64]
Array = npt.NDArray[np.number]


def reparameterize(mean: Array, log_variance: Array, noise: Array) -> Floats:
    """Returns mean + sqrt(variance) noise; in float64, so that its bits do not follow the last bit of exp."""
    with np.errstate(over="ignore"):
        latent: Floats = (mean + np.exp(0.5 * log_variance.astype(np.float64)) * noise).astype(np.float32)
    return latent


def kl_by_dimension(mean: Array, log_variance: Array) -> Wide:
    """Returns KL(N(mean, exp(log_variance)) || N(0, I)) of each row by latent dimension, [rows, *latent], in nats.

    (Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix B.) Where the variance is too large for a
    number it is infinite.
    """
    wide = log_variance.astype(np.float64)
    with np.errstate(over="ignore"):
        kl: Wide = 0.5 * (mean.astype(np.float64) ** 2 + np.exp(wide) - 1 - wide)
    return kl
