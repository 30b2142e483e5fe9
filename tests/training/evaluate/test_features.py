import numpy as np
import pytest

from training.evaluate.continuity import Scale
from training.evaluate.features import Features, classifier_features, value_components
from training.evaluate.rows import Array32
from training.evaluate.served import ServedPair


@pytest.fixture(scope="module")
def labelled() -> tuple[Array32, np.ndarray]:
    """Two clouds, far apart in the first column, which is by far the smallest."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 400)
    rows = random.normal(size=(400, 6)) * [0.1, 1, 1, 1, 1, 1000]
    rows[:, 0] += labels
    return rows.astype(np.float32), labels


@pytest.fixture
def values(served: ServedPair, labelled: tuple[Array32, np.ndarray]) -> Features:
    return value_components(labelled[0], Scale(served, labelled[0]))


def test_columns_of_a_table_count_alike(values: Features, labelled: tuple[Array32, np.ndarray]) -> None:
    found = values.of(labelled[0])
    assert found.shape == (400, 6)
    assert found.std(0).max() < 2
    assert values.description == "6 principal components of the values, 100% of their variance"


def test_a_classifiers_features_tell_classes_apart(values: Features, labelled: tuple[Array32, np.ndarray]) -> None:
    rows, labels = labelled
    found = classifier_features(values, (rows[:300], labels[:300]), (rows[300:], labels[300:]))
    assert found.name == "classifier"
    assert "is right about 99.0% of the held-out rows" in found.description
    hidden = found.of(rows)
    assert hidden.shape == (400, 64)
    assert (hidden >= 0).all()
    again = classifier_features(values, (rows[:300], labels[:300]), (rows[300:], labels[300:]))
    np.testing.assert_array_equal(again.of(rows), hidden)
