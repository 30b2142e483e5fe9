import numpy as np

from training.step.activity import active_units


def test_units_whose_mean_hardly_moves_are_not_active() -> None:
    draws = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    means = draws * np.array([1, 0.2, 0.05, 0], np.float32)
    assert active_units(means) == 2
