import numpy as np
import pytest

from tests.training.card.conftest import Subject
from tests.training.evaluate.conftest import SPREAD, LinearGaussian
from training.card.table_pictures import _correlation, _explained, _moments, columns_of, names_of

NAMES = ["a", "b", "c", "d", "e", "f"]


def test_columns_tell_moments_and_what_is_explained(model: LinearGaussian, table: Subject) -> None:
    found = columns_of(table.served, table.rows, NAMES)
    assert [column.name for column in found] == NAMES
    for place, column in enumerate(found):
        data = table.rows.test[:, place]
        assert column.data == pytest.approx((data.mean(), data.std()), abs=1e-5)
        deviation = np.linalg.norm(model.weights[:, place])
        assert column.samples[1] == pytest.approx(deviation, rel=0.1)
        assert column.explained == pytest.approx(1 - SPREAD**2 / (SPREAD**2 + deviation**2), abs=0.2)


def test_missing_values_are_left_out_and_a_constant_column_explains_nothing() -> None:
    rows = np.array([[1, 4, np.nan], [3, 4, np.nan], [np.nan, 4, np.nan]], np.float32)
    assert _moments(rows[:, 0]) == (2, 1)
    assert _moments(rows[:, 2]) == (0, 0)
    again = np.array([[1.5, 4, 0], [3.5, 4, 0], [100, 4, 0]], np.float32)
    assert _explained(rows, again) == [pytest.approx(0.75), None, None]


def test_correlations_are_numpys_and_bear_gaps() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    rows[:, 2] += rows[:, 0]
    np.testing.assert_allclose(_correlation(rows), np.corrcoef(rows.T), atol=1e-6)
    constant = np.stack([np.full(5, np.nan), np.full(5, 3.0), np.arange(5)], axis=1).astype(np.float32)
    np.testing.assert_allclose(_correlation(constant), np.diag([0, 0, 1]), atol=1e-6)


def test_columns_without_names_are_numbered(table: Subject) -> None:
    assert names_of(table.served) == ["0", "1", "2", "3", "4", "5"]
