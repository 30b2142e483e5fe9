"""The line of two classes, without a device."""

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching.call import Call, Piece
from serving.batching.line import Line
from tests.serving.conftest import Numbers

NumbersCall = Call[Numbers, list[int]]
_LOOP = asyncio.new_event_loop()
NOW = 1.0


def call(numbers: Sequence[int], *, bulk: bool = False) -> NumbersCall:
    return Call(Numbers(numbers), _LOOP.create_future(), 0.0, bulk=bulk)


def rows_of(batch: Sequence[Piece[Numbers, list[int]]]) -> list[int]:
    return [number for piece in batch for number in piece.rows]


def test_calls_of_a_class_take_turns() -> None:
    line: Line[Numbers, list[int]] = Line(4)
    for numbers in (range(66), [70], [80, 81]):
        line.add(call(numbers))
    batches = [rows_of(line.take(NOW).pieces) for _ in range(19)]
    assert batches[:16] == [list(range(start, start + 4)) for start in range(0, 64, 4)]  # its turn: 64 rows
    assert batches[16:] == [[70, 80, 81, 64], [65], []]


def test_a_turn_is_a_batch_where_batches_are_large() -> None:
    line: Line[Numbers, list[int]] = Line(100)
    for start in (0, 1000):
        line.add(call(range(start, start + 150)))
    assert [rows_of(line.take(NOW).pieces)[0] for _ in range(3)] == [0, 1000, 100]


def test_the_share_of_bulk_is_saved_up() -> None:
    line: Line[Numbers, list[int]] = Line(2)
    line.add(call(range(100)))
    line.add(call(range(1000, 1100), bulk=True))
    batches = [rows_of(line.take(NOW).pieces) for _ in range(33)]
    assert sum(number >= 1000 for batch in batches for number in batch) == 66 // 8
    assert all(len(batch) == 2 for batch in batches)


def test_interactive_rows_run_alone_but_for_the_share_of_bulk_where_filling_does_not_pay() -> None:
    line: Line[Numbers, list[int]] = Line(4)
    line.add(call(range(1000, 1100), bulk=True))
    batches = []
    for number in range(14):
        line.add(call([number]))
        batches.append(rows_of(line.take(NOW, lambda rows: rows).pieces))
    assert [len(batch) for batch in batches] == 7 * [1] + [2] + 6 * [1]  # one row in eight is owed to bulk
    assert [number for batch in batches for number in batch if number < 1000] == list(range(14))
    assert rows_of(line.take(NOW, lambda rows: rows).pieces) == [1001, 1002, 1003, 1004]  # nobody else is there


def test_bulk_loses_no_more_than_an_eighth_to_batches_that_are_not_filled() -> None:
    line: Line[Numbers, list[int]] = Line(64)
    seconds = bulk_rows = interactive_rows = 0
    for number in range(500):  # another call comes with each batch, however short it was
        line.add(call([number]))
        while line.bulk_rows < 64:
            line.add(call(range(1000, 1064), bulk=True))
        batch = rows_of(line.take(NOW, lambda rows: rows + 8).pieces)
        seconds += len(batch) + 8 if len(batch) < 64 else 64  # in those of one row of a full batch
        bulk_rows += sum(row >= 1000 for row in batch)
        interactive_rows += sum(row < 1000 for row in batch)
    assert interactive_rows == 500
    assert bulk_rows >= 0.88 * (seconds - interactive_rows)
    assert bulk_rows < seconds - interactive_rows  # some did run alone


def test_rows_until_counts_who_goes_first() -> None:
    line: Line[Numbers, list[int]] = Line(4)
    line.add(call(range(3)))
    line.add(call(range(100), bulk=True))
    assert line.rows_until(2, bulk=False) == 5
    assert line.rows_until(2, bulk=True) == 69  # three, and one turn of the hundred
    assert line.rows_until(70, bulk=False) == 73
    assert line.rows_until(70, bulk=True) == 143


def test_calls_that_are_over_or_late_leave_and_are_told_apart() -> None:
    line: Line[Numbers, list[int]] = Line(4)
    gone, late, good, behind = call([1, 2]), call([3]), call([4]), call(range(10, 20))
    for queued in (gone, late, good, behind):
        line.add(queued)
    gone.future.cancel()
    late.deadline = NOW
    taken = line.take(NOW)
    assert rows_of(taken.pieces) == [4, 10, 11, 12]
    assert taken.dropped == [(gone, 2), (late, 1)]
    assert line.rows == 7
    assert line.drop(late) == 0
    behind.future.cancel()
    assert line.take(NOW) == ([], [(behind, 7)])
    assert line.rows == 0


@settings(deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 20), st.booleans(), st.booleans()), max_size=20),
    batch_rows=st.integers(1, 9),
    fills=st.booleans(),
)
def test_every_row_runs_once_and_counts_stay_right(
    sizes: list[tuple[int, bool, bool]], batch_rows: int, fills: bool
) -> None:
    line: Line[Numbers, list[int]] = Line(batch_rows)
    calls = [call(range(100 * i, 100 * i + rows), bulk=bulk) for i, (rows, bulk, _) in enumerate(sizes)]
    for queued in calls:
        line.add(queued)
    dropped = [queued for queued, (_, _, leaves) in zip(calls, sizes, strict=True) if leaves]
    for leaving in dropped:
        assert line.drop(leaving) == len(leaving.rows)
    stays = [number for queued in calls if queued not in dropped for number in queued.rows]
    assert line.rows == len(stays)
    ran: list[int] = []
    while batch := line.take(NOW, (lambda rows: batch_rows) if fills else (lambda rows: rows)).pieces:
        rows = sum(len(piece.rows) for piece in batch)
        assert rows <= batch_rows
        assert rows == min(batch_rows, len(stays) - len(ran)) or not fills or rows >= batch_rows * 7 // 8
        ran += rows_of(batch)
        assert line.rows == len(stays) - len(ran)
    assert sorted(ran) == stays
    assert line.rows_until(1, bulk=True) == 1
