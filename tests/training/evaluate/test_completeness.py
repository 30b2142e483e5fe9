import numpy as np
import pytest

from training.evaluate.completeness import NEIGHBOURS, Balls
from training.evaluate.rows import Array64


def normal(rows: int, seed: int, scale: float = 1.0) -> Array64:
    return scale * np.random.default_rng(seed).normal(size=(rows, 8))


@pytest.fixture(scope="module")
def balls() -> Balls:
    return Balls(normal(800, 0))


def test_real_rows_reach_one(balls: Balls) -> None:
    found = balls.measure(normal(800, 1))
    assert found.density == pytest.approx(1, abs=0.15)
    assert found.coverage == pytest.approx(0.97, abs=0.03)  # 1 - 2^-5, by combinatorics


def test_noise_reaches_nothing(balls: Balls) -> None:
    assert balls.measure(normal(800, 1, scale=30)) == pytest.approx((0, 0, 0), abs=0.01)


def test_one_good_row_over_and_over_is_dense_and_covers_nothing(balls: Balls) -> None:
    found = balls.measure(np.zeros((800, 8)))
    assert found.density > 1.5
    assert found.coverage < 0.1


def test_density_counts_balls_and_coverage_rows() -> None:
    line = Balls(np.arange(12.0)[:, np.newaxis])  # the fifth neighbour of 0 is 5 away, that of 5 or 6 is 3
    found = line.measure(np.array([[-4.5]]))
    assert found.density == pytest.approx(1 / NEIGHBOURS)  # the ball around 0 alone: 1 reaches back to -3
    assert found.coverage == pytest.approx(1 / 12)
    assert found.precision == 1
    assert line.measure(np.array([[-5.0]])) == found  # a ball's edge is inside
    assert line.measure(np.array([[-5.1]])) == (0, 0, 0)


@pytest.mark.parametrize("values", [2, 4])
def test_rows_of_few_values_reach_one_another_whatever_the_axes(values: int) -> None:
    random = np.random.default_rng(0)
    train, test = (random.integers(0, values, (1000, 4)).astype(np.float64) for _ in range(2))
    turned = np.linalg.qr(random.normal(size=(4, 4)))[0]
    found = Balls(train).measure(test)
    assert found.coverage > 0.97
    assert Balls(train @ turned + 0.1).measure(test @ turned + 0.1) == found
