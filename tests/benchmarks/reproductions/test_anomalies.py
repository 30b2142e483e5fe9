import numpy as np

from benchmarks.reproductions.anomalies import split


def rows_of(count: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.random.default_rng(0).normal(3, 5, (count, 4))
    rows[:, 3] = 1.0
    rows[:, 0] = np.arange(count)
    return rows, np.arange(count) % 5 == 0


def test_no_anomaly_is_trained_on_and_no_row_is_lost_or_seen_twice() -> None:
    rows, anomalous = rows_of(101)
    parts = split(rows, anomalous, seed=1)
    normal = int((~anomalous).sum())
    assert len(parts.train) == normal // 2
    assert parts.anomalous.sum() == anomalous.sum()
    step = np.diff(np.sort(np.concatenate((parts.train[:, 0], parts.test[:, 0]))))
    np.testing.assert_allclose(step, step[0], rtol=1e-3)
    last = parts.test[parts.anomalous][:, 0]
    np.testing.assert_allclose(np.diff(last), 5 * step[0], rtol=1e-3)


def test_rows_are_scaled_by_the_training_rows_and_constant_columns_go() -> None:
    parts = split(*rows_of(101), seed=1)
    assert parts.train.shape[1] == 3
    np.testing.assert_allclose(parts.train.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(parts.train.std(0), 1, atol=1e-6)


def test_a_seed_is_a_split() -> None:
    rows, anomalous = rows_of(101)
    first, again, other = (split(rows, anomalous, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)
