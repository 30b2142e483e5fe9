import numpy as np
import pytest

from tests.training.card.conftest import Subject
from tests.training.evaluate.conftest import LinearGaussian
from training.card.dimensions import between, by_kl, by_response, deviations, traversals


def test_dimensions_come_by_their_kl() -> None:
    found = by_kl((0.5, 0.001, 2.0, 0.0))
    assert found.order == (2, 0, 1, 3)
    assert found.informative == 2
    assert found.label(2) == "z2  2.00 nats"


def test_where_none_tells_one_is_shown() -> None:
    assert by_kl((0.0, 0.0)).informative == 1


def test_a_linear_decoders_response_is_the_variance_of_its_columns(model: LinearGaussian, table: Subject) -> None:
    found = by_response(table.served, model.draw(5, 0)[:, :2])
    variances = (model.weights.astype(float) ** 2).sum(1)
    np.testing.assert_allclose(found.weights, 100 * variances / variances.sum(), rtol=1e-4)
    assert found.order == tuple(np.argsort(-variances).tolist())
    assert found.label(found.order[0]).endswith(" %")


def test_response_is_weighed_in_the_columns_own_units(model: LinearGaussian, table: Subject) -> None:
    scale = np.array([1e6, 1e6, 1e6, 1e6, 1e6, 1.0])
    found = by_response(table.served, np.zeros((3, 2), np.float32), scale)
    variances = model.weights[:, 5].astype(float) ** 2
    np.testing.assert_allclose(found.weights, 100 * variances / variances.sum(), rtol=1e-4)


def test_a_traversal_moves_one_dimension(model: LinearGaussian, table: Subject) -> None:
    start = np.array([0.3, -0.7], np.float32)
    found = traversals(table.served, start, (1, 0), (-3.0, 2.0))
    assert found.shape == (2, 2, 6)
    np.testing.assert_allclose(found[0, 1], np.array([0.3, 2.0]) @ model.weights, atol=1e-5)
    np.testing.assert_allclose(found[1, 0], np.array([-3.0, -0.7]) @ model.weights, atol=1e-5)


def test_a_line_is_straight_and_has_its_ends(model: LinearGaussian, table: Subject) -> None:
    ends = np.random.default_rng(0).normal(size=(2, 4, 2)).astype(np.float32)
    found = between(table.served, ends[0], ends[1], 5)
    assert found.shape == (4, 5, 6)
    np.testing.assert_allclose(found[:, 0], ends[0] @ model.weights, atol=1e-5)
    np.testing.assert_allclose(found[:, -1], ends[1] @ model.weights, atol=1e-5)
    np.testing.assert_allclose(found[:, 2], (found[:, 0] + found[:, 4]) / 2, atol=1e-5)


def test_missing_values_and_constant_columns_have_deviations() -> None:
    rows = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan], [np.nan, 5.0, np.nan]], np.float32)
    assert deviations(rows).tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert deviations(4 * rows)[0] == pytest.approx(4.0)
