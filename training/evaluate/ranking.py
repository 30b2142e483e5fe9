"""How well a score ranks anomalies above other rows."""

import numpy as np
from sklearn.metrics import average_precision_score

from training.evaluate.figures import Estimate
from training.evaluate.rows import Array64


def auroc(usual: Array64, anomalous: Array64) -> Estimate:
    """Returns the chance that an anomaly has the higher score, where equal scores count half, and its standard error.

    (DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves: a nonparametric approach", Biometrics 1988.)
    """
    together = _ranks(np.concatenate([usual, anomalous]))
    below = (together[len(usual) :] - _ranks(anomalous)) / len(usual)  # share of usual rows below each anomaly
    above = 1 - (together[: len(usual)] - _ranks(usual)) / len(anomalous)  # and of anomalies above each usual row
    variance = _variance_of_mean(below) + _variance_of_mean(above)
    return Estimate(value=float(below.mean()), standard_error=variance**0.5)


def average_precision(usual: Array64, anomalous: Array64) -> float:
    """Returns the mean precision over the anomalies, from the highest score down."""
    is_anomaly = np.arange(len(usual) + len(anomalous)) >= len(usual)
    return float(average_precision_score(is_anomaly, _finite(np.concatenate([usual, anomalous]))))


def _ranks(scores: Array64) -> Array64:
    """Returns each score's rank, the lowest 1; equal ones share the mean of theirs."""
    _, places, counts = np.unique(_finite(scores), return_inverse=True, return_counts=True)
    ranks: Array64 = (counts.cumsum() - (counts - 1) / 2)[places]
    return ranks


def _finite(scores: Array64) -> Array64:
    """Returns scores of which those that left the range of floats are the highest."""
    most = np.finfo(np.float64).max
    return np.nan_to_num(scores, nan=most, posinf=most)


def _variance_of_mean(values: Array64) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0
