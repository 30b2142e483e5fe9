"""Squared error of what latents decode to, and PCA's beside it."""

import numpy as np
from sklearn.decomposition import PCA

from training.evaluate.features import evenly
from training.evaluate.served import BATCH_ROWS, Data, Wide
from training.parity import batches

FITTED_VALUES = 100_000_000  # at most, as doubles: all of MNIST, and some of what would not fit beside itself


def squared_error(expectation: Data | Wide, rows: Data | Wide) -> float:
    """Returns the mean over rows of the sum over values of (expectation - data)^2."""
    difference = expectation.astype(np.float64) - rows
    return float((difference**2).sum() / len(rows))


def pca_squared_error(train: Data, test: Data, components: int) -> float:
    """Returns the squared error of PCA with so many components: the best that any linear pair could do in training.

    It is fitted on all training rows; of a set of more than FITTED_VALUES values, on rows spread evenly over it.
    """
    size = train[0].size
    some = train[evenly(len(train), max(components, FITTED_VALUES // size))]
    pca = PCA(min(components, len(some), size), random_state=0).fit(some.reshape(-1, size).astype(np.float64))
    total = 0.0
    for part in batches(len(test), BATCH_ROWS):
        rows = test[part].reshape(-1, size).astype(np.float64)
        total += squared_error(pca.inverse_transform(pca.transform(rows)), rows) * len(rows)
    return total / len(test)
