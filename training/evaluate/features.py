"""Features that rows are compared by. Nothing is downloaded, so every machine computes the same."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from training.evaluate.continuity import Scale
from training.evaluate.rows import Array64, DataArray, LabelArray, evenly
from training.export.onnx_runner import batches
from vaeserve.slices import rows_within

COMPONENTS = 64
UNITS = 64  # of the classifier's hidden layer
FITTED_ROWS, FITTED_VALUES = 10_000, 125_000_000  # maximum; the values are 1 GB of doubles
PASSES = 30


class Features(NamedTuple):
    """A map from rows to features."""

    name: str
    description: str
    """A description for people, printed wherever a figure rests on them."""
    of: Callable[[DataArray], Array64]
    """Data [rows, *row_shape] -> [rows, features]."""


def value_components(train: DataArray, scale: Scale) -> Features:
    """Returns the principal components of the values themselves."""
    flat = scale.flat(train[evenly(len(train), max(COMPONENTS, min(FITTED_ROWS, FITTED_VALUES // train[0].size)))])
    pca = PCA(min(COMPONENTS, *flat.shape), copy=False, random_state=0).fit(flat)
    explained = pca.explained_variance_ratio_.sum()
    description = f"{pca.n_components_} principal components of the values, {explained:.0%} of their variance"

    def of(rows: DataArray) -> Array64:
        parts = batches(len(rows), rows_within(16 * rows[0].size, len(rows)) if len(rows) else 1)
        return np.concatenate([pca.transform(scale.flat(rows[part])) for part in parts])

    return Features("values", description, of)


def classifier_features(
    values: Features, train: tuple[DataArray, LabelArray], test: tuple[DataArray, LabelArray]
) -> Features:
    """Returns the hidden layer of a small classifier, trained on the `values` features of labelled rows.

    Args:
        values: the classifier's inputs.
        train: rows to train it on, and their labels [rows].
        test: rows to measure its accuracy on, and their labels.
    """
    some = evenly(len(train[0]), FITTED_ROWS)
    components = values.of(train[0][some])
    center, spread = components.mean(0), components.std() or 1.0
    classifier = MLPClassifier((UNITS,), max_iter=PASSES, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so many passes are enough to tell classes apart
        classifier.fit((components - center) / spread, train[1][some])
    accuracy = classifier.score((values.of(test[0]) - center) / spread, test[1])

    def of(rows: DataArray) -> Array64:
        hidden: Array64 = np.maximum(
            0, (values.of(rows) - center) / spread @ classifier.coefs_[0] + classifier.intercepts_[0]
        )
        return hidden

    description = f"{UNITS} hidden units of a classifier that is right about {accuracy:.1%} of the held-out rows"
    return Features("classifier", description, of)
