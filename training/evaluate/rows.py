"""Rows, their labels and their latents, as arrays."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]
DataArray = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.int64]


class EvaluationRows(NamedTuple):
    """Data as the encoder takes it. Training and held-out rows must be drawn from the same source."""

    train: DataArray  # [rows, *row_shape]
    test: DataArray  # [rows, *row_shape]
    train_labels: LabelArray | None = None  # [rows]
    test_labels: LabelArray | None = None  # [rows]
    anomalies: DataArray | None = None  # [rows, *row_shape], held out too, of classes that no training row has
    anomaly_labels: LabelArray | None = None  # [rows]
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; empty if the labels are numbers in the data."""

    def class_name(self, label: int) -> str:
        """Returns what a class is called."""
        return self.classes[label] if self.classes else str(label)


class EncodedRows(NamedTuple):
    """The posterior N(mean, exp(log_variance)) of every row, or the rows' codes where there is no posterior."""

    mean: Array32  # [rows, latent]
    log_variance: Array32 | None  # [rows, latent]


class DecodedRows(NamedTuple):
    """What latents decode to."""

    data: DataArray  # [rows, *row_shape]
    expectation: Array32  # [rows, *row_shape]
    parameters: Array32  # [rows, *parameters_shape]


def evenly(rows: int, count: int) -> npt.NDArray[np.intp]:
    """Returns the places of `count` rows, spread evenly over all of them; every place where there are fewer."""
    count = min(rows, count)
    return np.arange(count) * rows // max(count, 1)
