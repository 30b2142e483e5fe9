"""Dataset: rows to train on, held-out rows, and the description of a row."""

from typing import NamedTuple

import torch
from torch import Tensor

from vaeserve.package.data_spec import DataSpec


class SplitLabels(NamedTuple):
    """Classes of the rows. Pictures and feature spaces use them; no model is trained on them."""

    train: Tensor  # int64 [rows]
    validation: Tensor  # int64 [rows]
    test: Tensor  # int64 [rows]


class Dataset(NamedTuple):
    """A data set, split."""

    name: str
    """A valid name of a package."""
    title: str
    """A description in one line."""
    spec: DataSpec
    family: str
    """The likelihood that fits the values: binomial, bernoulli or gaussian."""
    train: Tensor  # [rows, *spec.shape]
    validation: Tensor  # [rows, *spec.shape], perhaps of no rows
    test: Tensor  # [rows, *spec.shape]
    labels: SplitLabels | None
    sha256: str
    """SHA-256 of all rows in their original order, and of the part that each is in: another split is other data."""
    skipped: tuple[str, ...] = ()
    """One line for each bad row, column or file that was left out; without whole paths, because packages show it."""
    binarised: bool = False
    """Whether `train` holds grey levels, which `draw_binary` draws from at every step; other rows were drawn once."""
    drawn_validation_rows: int = 0
    """Number of rows to validate on that were drawn from the training rows; 0 if the data has its own."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; empty if the labels are numbers in the data."""
    trained_classes: tuple[int, ...] = ()
    """Labels that `train` and `validation` are of; rows of others are anomalies among the test rows. Empty: all."""
    notes: tuple[str, ...] = ()
    """One line for each fact about the data that users should know; without whole paths, like `skipped`."""

    @property
    def are_anomalies(self) -> Tensor | None:
        """Which test rows are of classes that are not trained on, bool [rows]; None where all classes are."""
        if not self.trained_classes or self.labels is None:
            return None
        return ~torch.isin(self.labels.test, torch.tensor(self.trained_classes))
