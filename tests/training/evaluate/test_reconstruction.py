import tracemalloc

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

from training.evaluate import reconstruction as module
from training.evaluate.reconstruction import pca, reconstruction
from vaeserve.slices import SLICE_BYTES


def test_squared_errors_are_sums_over_a_row_in_the_datas_units() -> None:
    white, black = np.full((2, 3, 1, 1), 2, np.uint8), np.zeros((2, 3, 1, 1), np.uint8)
    assert reconstruction([(black.astype(np.float32), white)], black).squared_error == 12
    past = np.full((2, 1), 3, np.uint8), np.full((2, 1), 100, np.uint8)  # a difference past 255, and below 0
    assert reconstruction([past], past[0]).squared_error == 97**2


def test_every_column_of_a_table_counts_alike_in_what_is_explained() -> None:
    random = np.random.default_rng(0)
    train, test = (random.normal(size=(4000, 3)) * [1, 1e4, 1e-3] + [5, 1e6, 0] for _ in range(2))
    again = test.copy()
    again[:, 0] = train[:, 0].mean()
    found = reconstruction([(again, test.astype(np.float32))], train.astype(np.float32))
    assert found.explained == pytest.approx(2 / 3, abs=0.02)
    assert found.squared_error == pytest.approx(((again - test) ** 2).sum(1).mean(), rel=0.05)


def test_what_is_explained_of_pictures_is_the_share_of_their_variance() -> None:
    random = np.random.default_rng(0)
    train = test = random.integers(0, 256, (200, 2, 2, 1)).astype(np.uint8)
    again = test + random.normal(scale=20, size=test.shape)
    wanted = r2_score(test.reshape(200, -1), again.reshape(200, -1), multioutput="variance_weighted")
    assert reconstruction([(again, test)], train).explained == pytest.approx(wanted)
    assert reconstruction([(train[:9] * 0.0, train[:9] * 0)], train[:9] * 0).explained is None


def test_pca_is_no_measure_where_it_can_lose_nothing() -> None:
    random = np.random.default_rng(0)
    train, test = (random.integers(0, 16, (rows, 4, 2, 1)).astype(np.uint8) for rows in (100, 30))
    assert pca(train, test, 8) is None
    assert pca(train, test, 200) is None
    less, more = pca(train, test, 2), pca(train, test, 6)
    assert less is not None
    assert more is not None
    assert less.squared_error > more.squared_error > 1
    plane = random.normal(size=(2, 5))
    left, right = ((random.normal(size=(rows, 2)) @ plane).astype(np.float32) for rows in (100, 30))
    assert pca(left, right, 2) is None  # but for rounding


def test_no_column_rules_pca_by_its_unit() -> None:
    random = np.random.default_rng(0)
    plane = random.normal(size=(2, 6))
    train, test = (random.normal(size=(n, 2)) @ plane + 0.3 * random.normal(size=(n, 6)) for n in (300, 200))
    found, of_other_units = (
        pca((train * units).astype(np.float32), (test * units).astype(np.float32), 2)
        for units in (np.ones(6), np.array([1e5, 1, 1, 1, 1, 1]))
    )
    assert found is not None
    assert of_other_units is not None
    assert of_other_units.explained == pytest.approx(found.explained, abs=1e-5)


def test_pca_of_a_set_too_large_for_memory_is_fitted_on_some_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    train, test = (random.normal(size=(rows, 6)).astype(np.float32) for rows in (100, 700))
    monkeypatch.setattr(module, "FITTED_VALUES", 6 * 25)
    monkeypatch.setattr(module, "PART_VALUES", 6 * 25)
    units = train.std(0, dtype=float)
    fitted = PCA(2).fit(train[::4] / units)
    again = fitted.inverse_transform(fitted.transform(test / units)) * units
    found = pca(train, test, 2)
    assert found is not None
    assert found.squared_error == pytest.approx(((again - test) ** 2).sum(1).mean())


def test_wide_rows_are_projected_a_few_at_a_time() -> None:
    random = np.random.default_rng(0)
    train, test = (random.integers(0, 256, (rows, 128, 128, 3)).astype(np.uint8) for rows in (8, 200))
    tracemalloc.start()
    assert pca(train, test, 2) is not None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * SLICE_BYTES, "all 200 at once would take three times as much"


def test_probabilistic_pca_is_scikit_learns_in_the_units_of_the_data() -> None:
    random = np.random.default_rng(0)
    plane, units = random.normal(size=(2, 6)), np.array([1.0, 5, 0.2, 1, 30, 1])
    train, test = (
        ((random.normal(size=(n, 2)) @ plane + 0.3 * random.normal(size=(n, 6))) * units).astype(np.float32)
        for n in (2000, 200)
    )
    found, deviations = pca(train, test, 2), train.std(0, dtype=float)
    assert found is not None
    wanted = np.log(deviations).sum() - PCA(2).fit(train / deviations).score(test / deviations)
    assert found.nats == pytest.approx(wanted, abs=0.01)


def test_probabilistic_pca_of_levels_is_not_narrower_than_a_level() -> None:
    random = np.random.default_rng(0)
    train, test = (
        np.repeat(random.integers(0, 200, (rows, 2, 1, 1)), 3, axis=2).astype(np.uint8) for rows in (100, 30)
    )
    test[:, 0, 0] += 1
    found = pca(train, test, 2)
    assert found is not None
    assert 0 < found.nats / 6 < 3
