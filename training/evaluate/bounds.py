"""How probable held-out rows are: the ELBO, and the importance-weighted estimate of log p(x), which is tighter.

Both come from log w = log p(x|z) + log p(z) - log q(z|x) with z ~ q(z|x): the ELBO is E[log w], and log p(x) =
log E[w], estimated by the logarithm of a mean of K weights (Burda, Grosse and Salakhutdinov, "Importance Weighted
Autoencoders", 2016). That estimate is below log p(x) on average and rises with K. Rows are encoded once.
"""

from collections.abc import Callable
from math import log, pi
from typing import NamedTuple

import numpy as np

from training.evaluate.figures import Estimate
from training.evaluate.rows import Array32, Array64, DataArray, EncodedRows
from training.evaluate.served import ServedPair
from vaeserve.errors import TrainingError
from vaeserve.package.manifest import STANDARD
from vaeserve.rows.noise import Purpose, RowRange, standard_normals
from vaeserve.rows.posterior import kl_by_dimension, reparameterize

ReportShare = Callable[[float], None]
"""Called with the share of the work that is done, in [0, 1]."""


class Elbo(NamedTuple):
    """The negative ELBO and its two terms, in nats a row."""

    total: Estimate
    reconstruction: Estimate
    """Distortion: the expected negative log-likelihood."""
    kl: Estimate
    """Rate: the information that a latent carries about its row."""


class Weighted(NamedTuple):
    """Importance-weighted estimate of -log p(x), in nats a row."""

    nll: Estimate
    effective_samples: float
    """(sum w)^2 / sum w^2, a mean over rows: the number of equal weights that would carry as much information."""
    negative_elbo: float
    """Of the same rows and the same draws."""


def elbo(
    pair: ServedPair, rows: DataArray, posterior: EncodedRows, draws: int, *, seed: int, progress: ReportShare
) -> Elbo:
    """Returns the negative ELBO of rows, estimated from `draws` latents a row.

    The KL to N(0, I) is exact; that to another prior is estimated from the same latents.
    """
    is_exact = pair.model_prior == STANDARD
    kl = kl_per_dimension(posterior).sum(1) if is_exact else np.zeros(len(rows))
    reconstruction = np.zeros(len(rows))
    for number in range(draws):
        noise = posterior_noise(len(rows), pair.latent_size, seed + number)
        latent = _shifted(posterior, noise)
        reconstruction -= pair.score(rows, latent) / draws
        if not is_exact:
            kl -= _log_ratio(pair, posterior, noise, latent) / draws
        progress((number + 1) / draws)
    return Elbo(mean_estimate(reconstruction + kl), mean_estimate(reconstruction), mean_estimate(kl))


def weighted_nll(
    pair: ServedPair, rows: DataArray, posterior: EncodedRows, samples: int, *, seed: int, progress: ReportShare
) -> Weighted:
    """Returns the estimate from `samples` latents a row. Memory does not grow with their number."""
    weights = WeightSums(len(rows))
    for number in range(samples):
        noise = posterior_noise(len(rows), pair.latent_size, seed + number)
        latent = _shifted(posterior, noise)
        weights.add(pair.score(rows, latent) + _log_ratio(pair, posterior, noise, latent))
        progress((number + 1) / samples)
    return Weighted(
        mean_estimate(-weights.log_mean), float(weights.effective_samples.mean()), -float(weights.mean.mean())
    )


class WeightSums:
    """Sums of weights [rows], added as logarithms, one sample at a time."""

    def __init__(self, rows: int) -> None:
        self._count = 0
        self._total = np.zeros(rows)
        self._largest = np.full(rows, -np.inf)
        self._sum = np.zeros(rows)  # of w / exp(largest), and of its square
        self._squares = np.zeros(rows)

    def add(self, log_weights: Array64) -> None:
        """Adds one more log-weight a row."""
        largest = np.maximum(self._largest, log_weights)
        fade, weight = np.exp(self._largest - largest), np.exp(log_weights - largest)
        self._sum = self._sum * fade + weight
        self._squares = self._squares * fade**2 + weight**2
        self._largest = largest
        self._total += log_weights
        self._count += 1

    @property
    def mean(self) -> Array64:
        """The mean of the log-weights."""
        return self._total / self._count

    @property
    def log_mean(self) -> Array64:
        """The logarithm of the mean weight."""
        result: Array64 = self._largest + np.log(self._sum) - log(self._count)
        return result

    @property
    def effective_samples(self) -> Array64:
        """(sum w)^2 / sum w^2, between 1 and the count."""
        result: Array64 = self._sum**2 / self._squares
        return result


def kl_per_dimension(posterior: EncodedRows) -> Array64:
    """Returns KL(q(z|x) || N(0, I)) by row and latent dimension [rows, latent], in nats."""
    return kl_by_dimension(posterior.mean, _log_variance(posterior))


def draw_latents(posterior: EncodedRows, seed: int) -> Array32:
    """Returns one latent a row, as the server's Encode SAMPLE does; the code itself if there is no posterior."""
    if posterior.log_variance is None:
        return posterior.mean
    return _shifted(posterior, posterior_noise(len(posterior.mean), posterior.mean.shape[1], seed))


def posterior_noise(rows: int, size: int, seed: int) -> Array32:
    """Returns the posterior noise of rows 0 to rows - 1 under a seed."""
    return standard_normals(Purpose.POSTERIOR, [RowRange(seed, 0, rows)], size)


def mean_estimate(values: Array64) -> Estimate:
    """Returns the mean of values [rows] and its standard error, which is 0 for a single row.

    Raises:
        TrainingError: a value is not finite; names its row.
    """
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise TrainingError(
            f"log-likelihood: not finite for {len(wrong)} of {len(values)} held-out rows, first for row {wrong[0]} of "
            "them: a row that lies too far from the training data leaves the range of float32"
        )
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return Estimate(value=float(values.mean()), standard_error=spread / len(values) ** 0.5)


def _shifted(posterior: EncodedRows, noise: Array32) -> Array32:
    return reparameterize(posterior.mean, _log_variance(posterior), noise)


def _log_ratio(pair: ServedPair, posterior: EncodedRows, noise: Array32, latent: Array32) -> Array64:
    """Returns log p(z) - log q(z|x) [rows]."""
    spread = (noise.astype(np.float64) ** 2 + _log_variance(posterior)).sum(1)
    ratio: Array64 = pair.log_prior(latent) + 0.5 * (spread + pair.latent_size * log(2 * pi))
    return ratio


def _log_variance(posterior: EncodedRows) -> Array32:
    if posterior.log_variance is None:
        raise AssertionError("there is no posterior to draw from. This is a bug.")
    return posterior.log_variance
