"""Squared error of what latents decode to, and PCA's beside it."""

import numpy as np
from sklearn.decomposition import PCA

from training.evaluate.served import Data, Wide


def squared_error(expectation: Data | Wide, rows: Data | Wide) -> float:
    """Returns the mean over rows of the sum over values of (expectation - data)^2."""
    difference = expectation.astype(np.float64) - rows
    return float((difference**2).sum() / len(rows))


def pca_squared_error(train: Data, test: Data, components: int) -> float:
    """Returns the squared error of PCA with so many components: the best that any linear pair could do in training."""
    flat, held_out = (rows.reshape(len(rows), -1).astype(np.float64) for rows in (train, test))
    pca = PCA(min(components, *flat.shape), random_state=0).fit(flat)
    return squared_error(pca.inverse_transform(pca.transform(held_out)), held_out)
