"""A cursor reads a table from anywhere, and reads on without beginning again."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from jobs.sources.cursor import Cells, Cursor

ROWS, GROUP, BATCH = 40, 10, 4


class _Table:
    """Rows that say their number, in groups of 10, a batch of at most 4 at a time; row 13 has an error."""

    columns: tuple[str | int, ...] = ("number",)

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.batches_read = 0

    def count(self) -> int:
        return ROWS

    def type_of(self, column: int) -> Any:  # noqa: ANN401
        return pa.int64()

    def start_before(self, row: int) -> int:
        return min(row, ROWS - 1) // GROUP * GROUP

    def batches(self, row: int, columns: tuple[int, ...]) -> Iterator[Cells]:
        self.begun.append(row)
        while row < ROWS:
            stop = min(row + BATCH, row // GROUP * GROUP + GROUP)
            self.batches_read += 1
            yield Cells(pa.table({"number": [*range(row, stop)]}), {13 - row: "bad"} if row <= 13 < stop else {})
            row = stop

    def close(self) -> None:
        pass


def _numbers(cells: Cells | None) -> list[int]:
    assert cells is not None
    return [*cells.table["number"].to_pylist()]


@pytest.mark.parametrize("size", [1, 3, 4, 10, 17, 40])
def test_a_table_that_is_read_in_order_is_begun_once(size: int) -> None:
    table = _Table()
    cursor = Cursor(table, (0,))
    parts = [cursor.read(start, min(start + size, ROWS)) for start in range(0, ROWS, size)]
    assert [number for part in parts for number in _numbers(part)] == [*range(ROWS)]
    assert [start * size + row for start, part in enumerate(parts) for row in (part.errors if part else ())] == [13]
    assert (table.begun, table.batches_read) == ([0], 12)


def test_rows_before_and_far_behind_begin_at_their_group() -> None:
    table = _Table()
    cursor = Cursor(table, (0,))
    assert _numbers(cursor.read(5, 7)) == [5, 6]
    assert _numbers(cursor.read(35, 38)) == [35, 36, 37]
    assert _numbers(cursor.read(12, 15)) == [12, 13, 14]
    assert _numbers(cursor.read(13, 15)) == [13, 14]
    assert _numbers(cursor.read(12, 13)) == [12]
    assert table.begun == [0, 30, 10, 10]


def test_an_error_keeps_its_place() -> None:
    for start in (10, 12, 13):
        cells = Cursor(_Table(), (0,)).read(start, 15)
        assert cells is not None
        assert cells.errors == {13 - start: "bad"}
        assert len(cells) == 15 - start


def test_past_the_end_there_are_fewer_rows() -> None:
    cursor = Cursor(_Table(), (0,))
    assert _numbers(cursor.read(38, 50)) == [38, 39]
    assert _numbers(cursor.read(45, 50)) == []


def test_cells_are_cut_and_joined_with_their_errors() -> None:
    one, two = Cells(pa.table({"a": [0, 1]}), {1: "x"}), Cells(pa.table({"a": [2, 3, 4]}), {0: "y", 2: "z"})
    both = one.joined(two)
    assert (both.table["a"].to_pylist(), dict(both.errors)) == ([0, 1, 2, 3, 4], {1: "x", 2: "y", 4: "z"})
    assert dict(both.part(2, 4).errors) == {0: "y"}
