import numpy as np
import pytest

from training.data.constant import leave_out_constant
from vaeserve.errors import InvalidInput
from vaeserve.sources.content import Content, table_spec
from vaeserve.sources.precision import LIMIT


def content(values: list[list[float]]) -> Content:
    array = np.array(values, np.float32)
    names = tuple(range(array.shape[1]))
    return Content("", table_spec(names, LIMIT), "gaussian", array, columns=names, skipped=("before",))


def test_columns_that_do_not_vary_over_the_training_rows_are_refused_or_left_out() -> None:
    found = content([[1, 7, 3, 0.5], [2, 7, 3, 0.5], [3, 8, 3, 0.5]])
    with pytest.raises(InvalidInput, match=r"^f: column 1 is 7 in every row to train on; 2 more faults; --skip-bad"):
        leave_out_constant(found, np.array([0, 1]), "f", False)
    left = leave_out_constant(found, np.array([0, 1]), "f", True)
    assert left.values.tolist() == [[1], [2], [3]]
    assert left.spec.shape == (1,)
    assert left.skipped == (
        "before",
        "f: column 1 is 7 in every row to train on",
        "f: column 2 is 3 in every row to train on",
        "f: column 3 is 0.5 in every row to train on",
    )
    assert leave_out_constant(left, np.array([0, 1]), "f", False) is left


def test_a_table_of_which_nothing_varies_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^f: no column varies over the rows to train on"):
        leave_out_constant(content([[1, 2], [1, 2]]), np.array([0, 1]), "f", True)
