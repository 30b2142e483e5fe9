import numpy as np
import pytest

from vaeserve.errors import InvalidInput
from vaeserve.sources.precision import LIMIT
from vaeserve.sources.table import Table, leave_out_bad, number_problem, to_float32

NUMBERS = np.array([[1, 2, 3], [4, np.nan, 6], [7, 8, np.nan], [9, 10, np.nan]])


def table(numbers: np.ndarray = NUMBERS) -> Table:
    names = tuple(range(numbers.shape[1]))
    rows = np.arange(len(numbers)) * 10
    return Table("f", names, to_float32(numbers), rows, lambda row, column: number_problem(float(numbers[row, column])))


def test_squares_of_what_passes_stay_in_float32() -> None:
    numbers = np.array([LIMIT, -LIMIT, 2 * LIMIT, np.inf, -np.inf, np.nan, 1e300])
    values = to_float32(numbers)
    assert np.isnan(values).tolist() == [False] * 2 + [True] * 5
    assert np.isfinite(1000 * values[:2] ** 2).all()


def test_a_good_table_is_left_as_it_is() -> None:
    whole = table(np.arange(6.0).reshape(3, 2))
    good = leave_out_bad(whole, False)
    assert good.values is whole.values
    assert (good.rows.tolist(), good.skipped) == ([True] * 3, ())


def test_the_first_fault_is_named() -> None:
    with pytest.raises(
        InvalidInput,
        match=r"^f: row 10: column 1 is NaN \(the first row is 0\); --skip-bad leaves out what is bad \(1 of 2 rows\)",
    ):
        leave_out_bad(table(NUMBERS[:2]), False)
    with pytest.raises(InvalidInput, match=r"^f: row 10: column 1 is NaN \(the first row is 0\); 2 more faults; "):
        leave_out_bad(table(np.vstack([NUMBERS, NUMBERS[:1], NUMBERS[:1]])), False)


def test_a_column_that_is_mostly_bad_does_not_take_its_rows_with_it() -> None:
    mostly = np.vstack([NUMBERS, [[11, 12, np.nan]]])
    good = leave_out_bad(table(mostly), True)
    assert good.values.tolist() == [[1, 2], [7, 8], [9, 10], [11, 12]]
    assert good.columns == (0, 1)
    assert good.rows.tolist() == [True, False, True, True, True]
    assert good.skipped == (
        "f: column 2 cannot be used in 3 of 5 rows: in row 20 it is NaN",
        "f: row 10: column 1 is NaN",
    )


def test_a_table_of_which_nothing_is_left_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^f: no number is left: f: column 0 cannot be used in 2 of 2 rows"):
        leave_out_bad(table(np.full((2, 1), np.nan)), True)
