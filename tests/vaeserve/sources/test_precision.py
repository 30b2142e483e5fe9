import numpy as np
import pytest

from vaeserve.sources.precision import loss_of, losses_of

RANDOM = np.random.default_rng(0)
SECONDS = 1_700_000_000.0 + 30 * np.arange(200)


def test_what_float32_loses_of_a_clock_is_counted() -> None:
    loss = loss_of(SECONDS)
    assert loss is not None
    assert (loss.distinct, loss.left, loss.is_severe) == (200, 48, True)
    assert loss.moved == pytest.approx(128 / np.sqrt(12) / SECONDS.std(), rel=0.05)  # uniform between multiples of 128
    assert loss_of(SECONDS - loss.smallest) is None  # the remedy that the line names


@pytest.mark.parametrize("spread", [0.01, 1e-9])
def test_a_column_that_float32_flattens_is_no_constant(spread: float) -> None:
    loss = loss_of(1e6 + spread * RANDOM.uniform(-1, 1, 500))
    assert loss is not None
    assert (loss.distinct > 5, loss.left <= 2, loss.is_severe) == (True, True, True)
    assert loss_of(np.full(9, 1e6 + 0.01)) is None  # this is one


@pytest.mark.parametrize(
    "numbers",
    [
        RANDOM.normal(size=10_000),
        300 + RANDOM.normal(0, 10, 1000).round(2),  # kelvins
        101_325 + RANDOM.normal(0, 500, 1000),  # pascals
        52 + RANDOM.normal(0, 0.1, 1000).round(6),  # degrees of latitude
        np.arange(1990.0, 2025.0),
        np.array([1e-30, 2e-30, 1e15]),
        np.array([np.nan, np.inf, 1e300]),
        np.array([]),
    ],
)
def test_numbers_that_float32_holds_well_are_not_worth_a_line(numbers: np.ndarray) -> None:
    assert loss_of(numbers) is None


def test_values_that_merge_without_harm_are_told_and_not_refused() -> None:
    milliseconds = 1.7e12 + 1000 * np.arange(100_000)  # a day; 131 s lie between two numbers of float32
    loss = loss_of(milliseconds)
    assert loss is not None
    assert (loss.distinct, loss.is_severe) == (100_000, False)
    assert loss.left < 1000


def test_values_too_small_for_float32_have_another_remedy() -> None:
    loss = loss_of(1e-60 * RANDOM.normal(size=50))
    assert loss is not None
    assert (loss.left, loss.is_severe) == (1, True)
    assert str(loss).endswith("multiply it by a constant first")


@pytest.mark.parametrize("size", [1e-42, float(np.float32(1e-42))])  # the second is one that rounding does not move
def test_values_that_no_graph_can_scale_are_refused(size: float) -> None:
    loss = loss_of(size * (np.arange(50.0) % 2))
    assert loss is not None
    assert loss.is_severe
    assert str(loss) == "holds nothing beyond 1e-42, too small for float32 to scale: multiply it by a constant first"
    assert loss_of(1e12 * size * (np.arange(50.0) % 2)) is None


def test_columns_keep_their_places() -> None:
    assert [*losses_of([np.arange(9.0), SECONDS, np.ones(3)])] == [1]
