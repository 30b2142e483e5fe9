"""Dataset: rows to train on, rows held out, and what a row is."""

from typing import NamedTuple

from torch import Tensor

from vaeserve.package.data_spec import DataSpec


class SplitLabels(NamedTuple):
    """Classes of the rows, for pictures and for features; no model is trained on them."""

    train: Tensor  # int64 [rows]
    validation: Tensor  # int64 [rows]
    test: Tensor  # int64 [rows]


class Dataset(NamedTuple):
    """A data set, split."""

    name: str
    """Fit for a package's name."""
    title: str
    """What it is, in one line."""
    spec: DataSpec
    family: str
    """The likelihood that fits what the values are: binomial, bernoulli or gaussian."""
    train: Tensor  # [rows, *spec.shape]
    validation: Tensor  # [rows, *spec.shape], perhaps of no rows
    test: Tensor  # [rows, *spec.shape]
    labels: SplitLabels | None
    sha256: str
    """Of all rows, in their original order, and of which part each is in: another split is other data."""
    skipped: tuple[str, ...] = ()
    """One line for each thing that was left out because it was bad; packages show them, so none tells a whole path."""
    binarised: bool = False
    """`train` holds grey levels, from which every step draws anew by `draw_binary`; the other rows were drawn once."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; none where they are numbers to begin with."""
    notes: tuple[str, ...] = ()
    """One line for each thing that whoever trains should know, as fit for packages as `skipped`."""
