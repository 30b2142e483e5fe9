import numpy as np
import pytest

from training.evaluate.aggregate import Holes, gaussian_kl, mmd
from training.evaluate.rows import Array32, EncodedRows

SIZE = 4


def normal(rows: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> Array32:
    values: Array32 = (shift + scale * np.random.default_rng(seed).normal(size=(rows, SIZE))).astype(np.float32)
    return values


def test_the_aggregate_of_a_perfect_posterior_is_the_prior() -> None:
    means, log_variance = normal(50_000, 0, scale=0.8), np.full((50_000, SIZE), np.log(0.36), np.float32)
    assert gaussian_kl(EncodedRows(means, log_variance)) == pytest.approx(0, abs=1e-3)
    shifted = gaussian_kl(EncodedRows(means + np.float32(0.5), log_variance))
    assert shifted == pytest.approx(0.5 * SIZE * 0.25, abs=0.02)


def test_codes_that_leave_a_dimension_unused_have_no_density() -> None:
    codes = normal(50, 0)
    codes[:, 1] = 0
    assert gaussian_kl(EncodedRows(codes, None)) is None


def test_mmd_tells_equal_from_different() -> None:
    same = mmd(normal(300, 0), normal(300, 1), 0)
    assert abs(same.squared) < 2 * same.chance
    for other in (normal(300, 1, scale=1.5), normal(300, 1, shift=0.5)):
        found = mmd(normal(300, 0), other, 0)
        assert found.squared > 5 * found.chance > 0


def test_one_prior_draw_in_a_hundred_is_in_a_hole_where_it_matches() -> None:
    holes = Holes(normal(1000, 0), normal(1000, 1))
    assert holes.fraction(normal(2000, 2)) == pytest.approx(0.01, abs=0.012)


def test_a_prior_elsewhere_or_around_is_all_holes() -> None:
    holes = Holes(normal(1000, 0), normal(1000, 1))
    assert holes.fraction(normal(500, 2, shift=10)) == 1
    assert holes.fraction(normal(500, 2, scale=20)) > 0.9


def test_a_gap_in_the_middle_is_a_hole() -> None:
    ring = normal(1000, 0)
    ring *= 8 / np.linalg.norm(ring, axis=1, keepdims=True)
    assert Holes(ring[:500], ring[500:]).fraction(normal(500, 1)) > 0.9
