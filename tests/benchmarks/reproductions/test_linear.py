import numpy as np
import pytest
from sklearn.decomposition import PCA

from benchmarks.reproductions.linear import principal_axes, probabilistic_pca

ROWS = np.random.default_rng(0).normal(size=(500, 6)) @ np.random.default_rng(1).normal(size=(6, 6)) + 2


def test_probabilistic_pca_is_as_likely_as_scikit_learns() -> None:
    found, reference = probabilistic_pca(ROWS, 3).nats(ROWS).mean(), PCA(3).fit(ROWS).score(ROWS)
    assert found == pytest.approx(reference, abs=1e-3)
    assert found >= reference  # scikit-learn divides by one row less, which is a little less likely


def test_no_covariance_is_likelier_than_all_components_but_one() -> None:
    found = probabilistic_pca(ROWS, 5).nats(ROWS).mean()
    covariance = np.cov(ROWS.T, ddof=0)
    best = -0.5 * (6 * (np.log(2 * np.pi) + 1) + np.linalg.slogdet(covariance)[1])
    assert found == pytest.approx(best)


def test_principal_axes_are_scikit_learns() -> None:
    overlap = np.linalg.svd(principal_axes(ROWS, 2).T @ PCA(2).fit(ROWS).components_.T)[1]
    np.testing.assert_allclose(overlap, 1)
