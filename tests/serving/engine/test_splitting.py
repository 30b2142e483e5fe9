import numpy as np
import pytest

from serving.engine.splitting import refuse_non_finite, split
from vaeserve.errors import NonFiniteOutput


def test_each_element_gets_its_own_rows() -> None:
    joined = np.arange(5)
    assert [part.tolist() for part in split(joined, [range(2), range(0), range(3)])] == [[0, 1], [], [2, 3, 4]]
    assert split(joined, [range(5)])[0] is joined


def test_a_result_of_another_length_is_a_bug() -> None:
    with pytest.raises(AssertionError, match=r"answered 4 rows for 5\. This is a bug"):
        split(np.arange(4), [range(2), range(3)])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_element_with_a_value_that_is_not_finite_is_refused_alone(value: float) -> None:
    joined = np.zeros((5, 2, 3), np.float32)
    joined[3, 1, 2] = value
    first, second = refuse_non_finite("decoder", ["first", "second"], [range(2), range(3)], joined)
    assert first == "first"
    assert isinstance(second, NonFiniteOutput)
    assert list(second.rows) == [1]
