import numpy as np
import pytest
from sklearn.decomposition import PCA

from training.evaluate import reconstruction
from training.evaluate.reconstruction import pca_squared_error, squared_error


def test_squared_errors_are_sums_over_a_row() -> None:
    assert squared_error(np.zeros((2, 3, 1), np.float32), np.full((2, 3, 1), 2, np.uint8)) == 12
    assert (
        squared_error(np.full((1, 2), 3, np.uint8), np.full((1, 2), 100, np.uint8)) == 2 * 97**2
    )  # past 255, and of a difference below 0


def test_pca_with_every_component_is_exact() -> None:
    random = np.random.default_rng(0)
    train, test = (random.integers(0, 16, (rows, 4, 2, 1)).astype(np.uint8) for rows in (100, 30))
    assert pca_squared_error(train, test, 8) == pytest.approx(0, abs=1e-6)
    assert pca_squared_error(train, test, 200) == pytest.approx(0, abs=1e-6)
    assert pca_squared_error(train, test, 2) > pca_squared_error(train, test, 6) > 1


def test_pca_of_a_set_too_large_for_memory_is_fitted_on_some_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    train, test = (random.normal(size=(rows, 6)).astype(np.float32) for rows in (100, 700))
    monkeypatch.setattr(reconstruction, "FITTED_VALUES", 6 * 25)
    pca = PCA(2).fit(train[::4].astype(float))
    wanted = squared_error(pca.inverse_transform(pca.transform(test.astype(float))), test)
    assert pca_squared_error(train, test, 2) == pytest.approx(wanted)
