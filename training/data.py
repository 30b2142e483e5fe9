"""Data sets: rows to train on, rows held out, and what a row is."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from training.source import Source
from vae.manifest import DataSpec


class Dataset(NamedTuple):
    """A data set, split."""

    name: str
    title: str
    """What it is, in one line."""
    spec: DataSpec
    family: str
    """The likelihood that fits what the values are."""
    train: Tensor  # [rows, *spec.shape]
    validation: Tensor
    test: Tensor  # [rows, *spec.shape]
    sha256: str
    """Of all rows' bytes, in their original order."""
    binarised: bool = False


def draw_binary(rows: Tensor, maximum: float, generator: torch.Generator) -> Tensor:
    """Returns rows of 0 and `maximum`, a value being the maximum with probability value / maximum."""
    return (torch.bernoulli(rows.float() / maximum, generator=generator) * maximum).to(torch.uint8)


def load_dataset(source: Source) -> Dataset:
    """Returns a data set by its name, one of DATASETS."""
    return DATASETS[source.dataset]()


def load_handwritten_digits() -> Dataset:
    """Returns the 1797 handwritten digits that scikit-learn carries.

    A pixel counts the dark dots in a 4 x 4 field of the scan (Alpaydin and Kaynak, "Optical recognition of handwritten
    digits", UCI, 1998): 0 to 16 out of 16, so the exact likelihood is binomial. The split is stratified by digit and
    the same for every seed.
    """
    bunch = load_digits()
    rows = bunch.images.astype(np.uint8)[..., np.newaxis]
    train, test = train_test_split(rows, test_size=360, random_state=0, stratify=bunch.target)
    return Dataset(
        name="digits",
        title="1797 handwritten digits of 8 x 8 pixels, each a count from 0 to 16 (UCI, through scikit-learn)",
        spec=DataSpec(kind="image", shape=(8, 8, 1), dtype="uint8", minimum=0, maximum=16),
        family="binomial",
        train=torch.from_numpy(train),
        validation=torch.from_numpy(train)[:0],
        test=torch.from_numpy(test),
        sha256=hashlib.sha256(rows.tobytes()).hexdigest(),
    )


DATASETS: dict[str, Callable[[], Dataset]] = {"digits": load_handwritten_digits}
