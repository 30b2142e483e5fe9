import torch

from training.data import Dataset, load_dataset
from training.source import Source


def test_digits_are_counts_split_the_same_way_every_time(dataset: Dataset) -> None:
    assert (dataset.train.shape, dataset.test.shape) == ((1437, 8, 8, 1), (360, 8, 8, 1))
    assert dataset.train.dtype == torch.uint8
    rows = torch.cat((dataset.train, dataset.test))
    assert (int(rows.min()), int(rows.max())) == (dataset.spec.minimum, dataset.spec.maximum)
    assert torch.equal(load_dataset(Source("digits")).test, dataset.test)


def test_the_digits_are_those_that_scikit_learn_has_always_carried(dataset: Dataset) -> None:
    assert dataset.sha256 == "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
