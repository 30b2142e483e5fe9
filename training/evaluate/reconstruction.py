"""Reconstructions against the data: squared errors, the share of the variance explained, and PCA beside it."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from training.evaluate.rows import Array32, Array64, DataArray, evenly
from training.evaluate.served import BATCH_ROWS
from training.export.onnx_runner import batches
from training.principal import nats_of, principal
from vaeserve.slices import rows_within

FITTED_VALUES = 100_000_000  # maximum that is fitted on whole, as doubles: all of MNIST
PART_VALUES = 50_000_000  # of a larger set, as float32: twice 0.2 GB while they are fitted
DOUBLES = 5  # of each value of a row that is projected and compared
LEVEL_VARIANCE = 1 / 12  # of a uniform distribution within a level
ROUNDING = 1e-9  # share of the variance: what is left of less is float32's


class Reconstruction(NamedTuple):
    """How near reconstructions are to their rows."""

    squared_error: float
    """A sum over a row's values in the data's units, a mean over rows."""
    explained: float | None
    """Share of the variance about the training rows' mean, columns scaled alike; None where there is none."""


class LinearModel(NamedTuple):
    """What PCA and probabilistic PCA do on held-out rows."""

    squared_error: float
    explained: float
    nats: float
    """-log p(x) under probabilistic PCA, a density in the data's units; a mean over rows."""


def pca(train: DataArray, test: DataArray, components: int) -> LinearModel | None:
    """Returns what PCA with so many components does on held-out rows. In training no linear pair does better.

    It is fitted on all training rows, scaled as for the networks; of a set of more than FITTED_VALUES values, on rows
    spread evenly over it. Probabilistic PCA has the same residual variance in every direction that is left, and where
    data has levels not less than that of a level.

    Returns:
        None where PCA loses nothing: it has as many components as there are values, or only rounding is left.
    """
    size = train[0].size
    if components >= size:
        return None
    units = np.broadcast_to(units_of(train), train.shape[1:]).reshape(size)
    values = _values_to_fit(train, units, components)
    fitted = principal(values, components, LEVEL_VARIANCE if train.dtype == np.uint8 else 0.0, may_change_rows=True)
    nats = 0.0

    def projected(rows: DataArray) -> Array64:
        nonlocal nats
        scaled = rows.reshape(-1, size) / units
        nats += float(nats_of(scaled, fitted).sum())
        again: Array64 = ((scaled - fitted.mean) @ fitted.components.T @ fitted.components + fitted.mean) * units
        return again.reshape(rows.shape)

    parts = (test[part] for part in batches(len(test), rows_within(DOUBLES * 8 * size, BATCH_ROWS)))
    linear = reconstruction(((projected(rows), rows) for rows in parts), train)
    if linear.explained is None or 1 - linear.explained < ROUNDING:
        return None
    return LinearModel(linear.squared_error, linear.explained, nats / len(test) + float(np.log(units).sum()))


def _values_to_fit(train: DataArray, units: Array64, minimum_rows: int) -> Array64 | Array32:
    """Returns the rows that PCA is fitted on, in units: [rows, values]."""
    if train.size <= FITTED_VALUES:
        whole: Array64 = train.reshape(len(train), -1) / units
        return whole
    some = train[evenly(len(train), max(minimum_rows, PART_VALUES // train[0].size))]
    part: Array32 = np.divide(some.reshape(len(some), -1), units, dtype=np.float32)
    return part


def units_of(train: DataArray) -> Array64:
    """Returns what values are measured in: a column's standard deviation; for pictures, whose values are alike, 1."""
    if train.ndim > 2:
        return np.ones(1)
    deviations: Array64 = train.std(0, dtype=np.float64)
    return np.where(deviations > 0, deviations, 1.0)


def reconstruction(parts: Iterable[tuple[DataArray | Array64, DataArray]], train: DataArray) -> Reconstruction:
    """Returns how near expectations are to held-out rows; a table's columns weigh as their scaled values do.

    Args:
        parts: expectations and the rows that they are of, some at a time.
        train: training rows.
    """
    units, center = units_of(train), train.mean(0, dtype=np.float64)
    count, squared, left, whole = 0, 0.0, 0.0, 0.0
    for expectation, data in parts:
        rows = data.astype(np.float64)
        missed = expectation - rows
        count += len(rows)
        squared += float((missed**2).sum())
        left += float(((missed / units) ** 2).sum())
        whole += float((((rows - center) / units) ** 2).sum())
    return Reconstruction(squared / count, 1 - left / whole if whole else None)
