"""How many rows of a weight a batch holds."""

from serving.batching.load import Load
from vaeserve.slices import rows_that_fit


def test_a_batch_holds_whole_rows_and_at_least_one() -> None:
    assert [rows_that_fit(64, weight) for weight in (1, 3, 33, 64, 65, 1000)] == [64, 21, 1, 1, 1, 1]


def test_rows_fill_a_batch_when_no_other_one_fits() -> None:
    assert [Load(rows, 3).fills(10) for rows in (0, 2, 3)] == [False, False, True]
    assert Load(1, 11).fills(10)
    assert not Load(0).fills(1)
