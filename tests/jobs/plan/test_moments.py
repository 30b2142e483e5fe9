"""Moments of parts, merged, are those of the whole."""

import numpy as np

from jobs.plan.moments import deviation, merge, moments_of


def test_merged_moments_are_those_of_all_rows() -> None:
    rows = np.random.default_rng(0).normal(5, 3, (1000, 4)).astype(np.float32)
    parts = [moments_of(part) for part in np.split(rows, [0, 1, 10, 500])]
    merged = merge(parts)
    assert merged is not None
    assert merged.count == 1000
    np.testing.assert_allclose(merged.mean, rows.astype(np.float64).mean(0), rtol=1e-12)
    np.testing.assert_allclose(deviation(merged), rows.astype(np.float64).std(0), rtol=1e-12)
    assert merge([merge(parts[:2]), *parts[2:]]) == merged


def test_spatial_latents_are_counted_by_channel() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 3, 4, 5)).astype(np.float32)
    moments = moments_of(rows)
    assert moments is not None
    assert moments.count == 20 * 4 * 5
    np.testing.assert_allclose(moments.mean, rows.astype(np.float64).mean((0, 2, 3)), rtol=1e-9)
    np.testing.assert_allclose(deviation(moments), rows.astype(np.float64).std((0, 2, 3)), rtol=1e-9)


def test_no_rows_have_no_moments() -> None:
    assert moments_of(np.zeros((0, 3), np.float32)) is None
    assert merge([None, None]) is None
