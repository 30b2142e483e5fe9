import hashlib

import pytest
import torch

from training.data import Dataset, load_dataset
from training.settings.source import Source


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(Source(dataset="digits"))


def test_digits_are_counts_split_the_same_way_every_time(digits: Dataset) -> None:
    assert (digits.train.shape, digits.test.shape) == ((1437, 8, 8, 1), (360, 8, 8, 1))
    assert digits.train.dtype == torch.uint8
    rows = torch.cat((digits.train, digits.test))
    assert (int(rows.min()), int(rows.max())) == (digits.spec.minimum, digits.spec.maximum)
    assert torch.equal(load_dataset(Source(dataset="digits")).test, digits.test)


def test_the_digits_and_their_split_are_those_of_every_package_so_far(digits: Dataset) -> None:
    assert digits.sha256 == "9acf526359fe8daeb08a77ed5b2f8691b3db5d708eda5d03f9b48fdeed4bdfc1"


def test_the_split_is_that_of_every_figure_so_far(digits: Dataset) -> None:
    found = [hashlib.sha256(part.numpy().tobytes()).hexdigest()[:16] for part in (digits.train, digits.test)]
    assert found == ["5760f944f9d45833", "3cc232bd25364446"]


def test_validation_rows_come_from_the_training_rows(digits: Dataset) -> None:
    with_validation = load_dataset(Source(dataset="digits", validation_rows=137))
    assert (len(with_validation.train), len(with_validation.validation)) == (1300, 137)
    assert torch.equal(with_validation.test, digits.test)
    assert with_validation.sha256 != digits.sha256  # figures on rows that the other trained on are worth nothing
