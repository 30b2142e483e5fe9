from itertools import chain

import numpy as np
import pytest

from vaeserve.errors import OutOfMemory
from vaeserve.slices import Slices, rows_within


def test_rows_follow_from_a_budget() -> None:
    assert rows_within(100, maximum=64, budget=1000) == 10
    assert rows_within(1, maximum=64, budget=1000) == 64
    assert rows_within(5000, maximum=64, budget=1000) == 1
    assert rows_within(0, maximum=64, budget=1000) == 64


@pytest.mark.parametrize("rows", [0, 1, 4, 9, 10])
def test_slices_cover_the_rows_once_and_in_order(rows: int) -> None:
    numbers = np.arange(rows)
    parts = list(Slices(4).run(lambda part: numbers[part], rows))
    np.testing.assert_array_equal(np.concatenate(parts), numbers)
    assert len(parts) == max(1, -(-rows // 4))


def test_a_slice_without_memory_is_halved_and_so_are_those_that_follow() -> None:
    tried: list[tuple[int, int]] = []

    def run(part: slice) -> list[int]:
        tried.append((part.start, part.stop))
        if part.stop - part.start > 3:
            raise OutOfMemory("too much")
        return list(range(part.start, part.stop))

    slices = Slices(8)
    assert list(chain.from_iterable(slices.run(run, 9))) == list(range(9))
    assert tried == [(0, 8), (0, 4), (0, 2), (2, 4), (4, 6), (6, 8), (8, 9)]
    assert slices.rows == 2


def test_a_single_row_without_memory_is_an_error() -> None:
    def run(part: slice) -> None:
        raise OutOfMemory("too much")

    with pytest.raises(OutOfMemory, match="too much"):
        list(Slices(8).run(run, 9))


def test_slices_that_are_shared_lose_no_row_when_another_halves_them() -> None:
    slices = Slices(4)

    def run(part: slice) -> list[int]:
        slices.rows = 1
        return list(range(part.start, part.stop))

    assert list(chain.from_iterable(slices.run(run, 9))) == list(range(9))
