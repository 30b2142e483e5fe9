"""The line of two classes, without a device."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching.call import Call, Piece
from serving.batching.line import Line
from serving.batching.load import Load
from tests.serving.conftest import Keyed, Numbers, weigh

NumbersCall = Call[Numbers, list[int]]
_LOOP = asyncio.new_event_loop()
NOW = 1.0


def call(numbers: Sequence[int], *, bulk: bool = False) -> NumbersCall:
    return Call(Numbers(numbers), _LOOP.create_future(), 0.0, bulk=bulk)


def keyed(key: str, numbers: Sequence[int], *, bulk: bool = False) -> NumbersCall:
    return Call(Keyed(numbers, key), _LOOP.create_future(), 0.0, bulk=bulk, row_weight=weigh(key))


def cost(rows: int, row_weight: int) -> float:
    """A row's share of a full batch's time, where it costs as much in any batch."""
    return rows * row_weight


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


@pytest.mark.parametrize(
    ("sizes", "batch_rows", "following"),
    [
        ([66, 9], 4, 15),  # its turn: 64 rows
        ([64], 8, 7),
        ([70], 8, 7),
        ([20], 8, 1),  # others may join the last four rows
        ([8, 8], 8, 0),
        ([150], 100, 0),
    ],
)
def test_full_batches_of_a_turn_follow_one_another(sizes: list[int], batch_rows: int, following: int) -> None:
    line: Line[Numbers, list[int]] = Line(batch_rows)
    calls = [call(range(100 * i, 100 * i + rows)) for i, rows in enumerate(sizes)]
    for queued in calls:
        line.add(queued)
    assert line.following(calls[0]) == 0  # its turn has not begun
    line.take(NOW)
    assert line.following(calls[0]) == following
    line.add(call([7], bulk=True))
    assert line.following(calls[0]) == 0


def test_batches_of_bulk_follow_nobody_because_interactive_ones_may_come() -> None:
    line: Line[Numbers, list[int]] = Line(4)
    bulk = call(range(20), bulk=True)
    line.add(bulk)
    line.take(NOW)
    assert line.following(bulk) == 0


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
        batches.append(rows_of(line.take(NOW, lambda rows, _: rows).pieces))
    assert [len(batch) for batch in batches] == 7 * [1] + [2] + 6 * [1]  # one row in eight is owed to bulk
    assert [number for batch in batches for number in batch if number < 1000] == list(range(14))
    assert rows_of(line.take(NOW, lambda rows, _: rows).pieces) == [1001, 1002, 1003, 1004]  # nobody else is there


def test_bulk_loses_no_more_than_an_eighth_to_batches_that_are_not_filled() -> None:
    line: Line[Numbers, list[int]] = Line(64)
    seconds = bulk_rows = interactive_rows = 0
    for number in range(500):  # another call comes with each batch, however short it was
        line.add(call([number]))
        while line.bulk_weight < 64:
            line.add(call(range(1000, 1064), bulk=True))
        batch = rows_of(line.take(NOW, lambda rows, _: rows + 8).pieces)
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
    assert line.ahead(Load(2), None, bulk=False).own.rows == 5
    assert line.ahead(Load(2), None, bulk=True).own.rows == 69  # three, and one turn of the hundred
    assert line.ahead(Load(70), None, bulk=False).own.rows == 73
    assert line.ahead(Load(70), None, bulk=True).own.rows == 143


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
    assert line.weight == 7
    assert line.drop(late) == 0
    behind.future.cancel()
    assert line.take(NOW) == ([], [(behind, 7)])
    assert line.weight == 0


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
    assert line.weight == len(stays)
    ran: list[int] = []
    while batch := line.take(NOW, (lambda rows, _: batch_rows) if fills else (lambda rows, _: rows)).pieces:
        rows = sum(len(piece.rows) for piece in batch)
        assert rows <= batch_rows
        assert rows == min(batch_rows, len(stays) - len(ran)) or not fills or rows >= batch_rows * 7 // 8
        ran += rows_of(batch)
        assert line.weight == len(stays) - len(ran)
    assert sorted(ran) == stays
    assert line.ahead(Load(1), None, bulk=True).own.rows == 1


def test_the_first_call_decides_the_key_and_the_others_keep_their_places() -> None:
    line: Line[Numbers, list[int]] = Line(4)
    for key, numbers in (("1 a", [1]), ("1 b", [2]), ("1 a", [3, 4]), ("1 c", [5]), ("1 b", [6]), ("1 a", [7, 8])):
        line.add(keyed(key, numbers))
    assert [rows_of(line.take(NOW).pieces) for _ in range(5)] == [[1, 3, 4, 7], [2, 6], [5], [8], []]


def test_batches_hold_a_weight_but_always_a_row() -> None:
    line: Line[Numbers, list[int]] = Line(8)
    for key, numbers in (("3 a", range(4)), ("1 b", range(10, 20)), ("9 c", [20, 21]), ("8 d", [30, 31])):
        line.add(keyed(key, numbers))
    assert line.weight == 12 + 10 + 18 + 16
    batches = [rows_of(line.take(NOW).pieces) for _ in range(8)]
    assert batches == [[0, 1], [2, 3], list(range(10, 18)), [18, 19], [20], [21], [30], [31]]
    assert line.weight == 0


def test_a_turn_ends_with_a_weight() -> None:
    line: Line[Numbers, list[int]] = Line(4)
    for key, numbers in (("16 a", range(6)), ("100 b", [10, 11]), ("1 c", [20])):
        line.add(keyed(key, numbers))
    order = [number for _ in range(9) for number in rows_of(line.take(NOW).pieces)]
    assert order == [0, 1, 2, 3, 10, 20, 4, 5, 11]  # four of 16 weigh 64


def test_an_odd_call_is_answered_after_those_before_it() -> None:
    line: Line[Numbers, list[int]] = Line(8)
    for number in range(64):
        line.add(keyed(f"1 {number % 6}", [number]))
    line.add(keyed("7 odd", [1000]))
    batches = 0
    while 1000 not in (ran := rows_of(line.take(NOW).pieces)):
        batches += 1
        for number in ran:  # whoever is answered calls again
            line.add(keyed(f"1 {number % 6}", [number]))
    assert batches == 12  # two for each of six keys, of 10 or 11 rows


def test_calls_that_share_a_batch_with_earlier_ones_do_not_put_others_off() -> None:
    line: Line[Numbers, list[int]] = Line(4)
    line.add(keyed("1 a", range(20)))
    line.add(keyed("1 b", [100]))
    for batches in range(100):
        line.add(keyed("1 a", [200 + batches]))
        if 100 in rows_of(line.take(NOW).pieces):
            break
    assert batches == 5  # the turn of the first call


def test_bulk_of_another_key_saves_up_for_a_batch_of_its_own() -> None:
    line: Line[Numbers, list[int]] = Line(8)
    line.add(keyed("2 bulk", range(1000, 1400), bulk=True))
    batches = []
    for number in range(16 * 35):
        line.add(keyed("1 a", [number]))
        if number % 4 == 3:
            batches.append(rows_of(line.take(NOW, cost).pieces))
    own = [batch for batch in batches if batch[0] >= 1000]
    assert {len(batch) for batch in own} == {4}
    assert len(own) == len(batches) // 15  # 56 interactive rows each, in batches of four


def test_heavy_bulk_gets_a_row_once_it_is_owed_one() -> None:
    line: Line[Numbers, list[int]] = Line(8)
    line.add(keyed("20 bulk", range(1000, 1400), bulk=True))
    batches = []
    for number in range(1000):
        line.add(keyed("1 a", range(8)))
        batches.append(rows_of(line.take(NOW, cost).pieces))
        if number == 500:
            line.add(
                keyed("20 bulk", range(2000, 2009))
            )  # interactive rows go into what is left of its batches: nothing
    own = [batch for batch in batches if batch[0] >= 1000]
    assert all(len(batch) == 1 for batch in own)
    assert 52 <= sum(batch[0] < 2000 for batch in own) <= 56  # 20 in 160


def test_bulk_that_fills_batches_up_takes_nothing_from_the_first_of_another_key() -> None:
    line: Line[Numbers, list[int]] = Line(8)
    line.add(keyed("1 first", range(1000, 1100), bulk=True))
    ran: list[int] = []
    for number in range(200):
        line.add(keyed("1 a", [number]))
        line.add(keyed("1 a", range(2000, 2007), bulk=True))
        ran += rows_of(line.take(NOW).pieces)
    first = [row for row in ran if 1000 <= row < 2000]
    assert first == list(range(1000, 1100))  # it counts batches, because bulk fills them all
    assert sum(row < 1000 for row in ran) > 170
    assert sum(row >= 2000 for row in ran) > 1000


def test_batches_that_bulk_could_not_fill_up_are_not_held_against_it() -> None:
    line: Line[Numbers, list[int]] = Line(8)
    line.add(keyed("1 b", range(1000, 1100), bulk=True))
    for _ in range(3):
        line.add(keyed("1 a", [1]))
        line.take(NOW, lambda rows, _: rows + 0.9)  # bulk of that key would fill up every second batch
    line.add(keyed("1 a", [2]))
    line.add(keyed("1 a", range(2000, 2007), bulk=True))
    assert rows_of(line.take(NOW, lambda rows, _: rows + 0.9).pieces) == [2]


def test_a_late_call_of_bulk_does_not_take_the_batch_from_interactive_rows() -> None:
    line: Line[Numbers, list[int]] = Line(1)
    late = call([1000, 1001], bulk=True)
    line.add(late)
    for number in range(8):
        line.add(call([number]))
    assert [rows_of(line.take(NOW).pieces) for _ in range(7)] == [[number] for number in range(7)]
    late.deadline = NOW
    assert line.take(NOW).dropped == [(late, 2)]  # and row 7 ran instead
    assert line.weight == 0


def test_lanes_go_with_their_calls() -> None:
    line: Line[Numbers, list[int]] = Line(8)
    for number in range(100):
        queued = keyed(f"1 {number}", [number])
        line.add(queued)
        if number % 2:
            line.drop(queued)
        else:
            line.take(NOW)
    assert len(list(line._interactive)) == 1


def test_interactive_rows_join_a_batch_of_bulk() -> None:
    line: Line[Numbers, list[int]] = Line(8)
    line.add(keyed("1 b", [1000, 1001], bulk=True))
    for numbers in (range(8), range(10, 16)):
        line.add(keyed("1 a", numbers))
    line.add(keyed("1 b", [20]))
    assert [rows_of(line.take(NOW, cost).pieces) for _ in range(3)] == [
        list(range(8)),
        list(range(10, 16)),
        [20, 1000, 1001],
    ]


def test_ahead_of_a_call_are_those_of_other_keys_that_come_first() -> None:
    line: Line[Numbers, list[int]] = Line(8)
    assert line.ahead(Load(2, 3), "3 a", bulk=False) == (Load(2, 3), [])
    line.add(keyed("3 a", [1]))
    line.add(keyed("1 b", range(10, 15)))
    line.add(keyed("3 a", [2]))
    line.add(keyed("1 c", range(20, 23), bulk=True))
    assert line.ahead(Load(1, 2), "2 d", bulk=False) == (Load(1, 2), [Load(2, 3), Load(5, 1)])
    assert line.ahead(Load(1, 2), "2 d", bulk=True) == (Load(1, 2), [Load(2, 3), Load(5, 1), Load(3, 1)])
    assert line.ahead(Load(1), "1 b", bulk=False) == (Load(6), [Load(1, 3)])  # it goes with the second call
    assert line.ahead(Load(4), "1 b", bulk=False) == (Load(9), [Load(2, 3)])  # its last row does not
    assert line.ahead(Load(1), "1 c", bulk=True) == (Load(4), [Load(2, 3), Load(5, 1)])
    assert sorted(line.loads) == [Load(2, 3), Load(3), Load(5)]
    line.add(keyed("1 b", [30, 31], bulk=True))
    assert line.ahead(Load(1, 2), "2 d", bulk=True) == (Load(1, 2), [Load(2, 3), Load(7, 1), Load(3, 1)])
    assert sorted(line.loads) == [Load(2, 3), Load(3), Load(7)]


def test_a_batch_that_bulk_will_be_owed_is_ahead_too() -> None:
    line: Line[Numbers, list[int]] = Line(8)
    line.add(keyed("2 bulk", range(1000, 1100), bulk=True))
    for _ in range(3):
        line.add(keyed("1 a", range(16)))
    assert line.ahead(Load(7), "1 a", bulk=False) == (Load(55), [])
    assert line.ahead(Load(8), "1 a", bulk=False) == (Load(56), [Load(4, 2)])  # seven times 8


def test_late_calls_of_one_key_do_not_lead_the_others() -> None:
    line: Line[Numbers, list[int]] = Line(4)
    late, gone = keyed("1 a", [1]), keyed("1 b", [2], bulk=True)
    for queued in (late, gone, keyed("1 c", [3])):
        line.add(queued)
    late.deadline = NOW
    gone.future.cancel()
    assert line.next == Load(1)
    taken = line.take(NOW)
    assert rows_of(taken.pieces) == [3]
    assert taken.dropped == [(late, 1), (gone, 1)]
    assert line.weight == 0


Keys = st.sampled_from(["1 a", "1 b", "2 c", "3 d", "5 e", "20 f"])
Waiting = st.tuples(Keys, st.integers(1, 9), st.booleans(), st.sampled_from(["stays", "leaves", "is late"]))


@settings(deadline=None)
@given(
    waiting=st.lists(Waiting, max_size=30),
    batch_rows=st.integers(1, 12),
    batches_between=st.integers(0, 2),
    fills=st.booleans(),
)
def test_every_row_runs_once_with_its_key_within_the_weight(
    waiting: list[tuple[str, int, bool, str]], batch_rows: int, batches_between: int, fills: bool
) -> None:
    line: Line[Numbers, list[int]] = Line(batch_rows)
    stays: list[int] = []
    ran: list[int] = []

    def take() -> bool:
        expected, weight = line.next, line.weight
        pieces, dropped = line.take(NOW, (lambda rows, _: batch_rows) if fills else cost)
        keys = {piece.rows.key for piece in pieces}
        rows = rows_of(pieces)
        if pieces:
            [key] = keys
            assert len(rows) == 1 or len(rows) * weigh(key) <= batch_rows
            if not dropped:
                assert weigh(key) == expected.row_weight
                assert len(rows) <= expected.rows
        gone = sum(each.rows * each.call.row_weight for each in dropped)
        assert line.weight == weight - gone - sum(len(piece.rows) * piece.call.row_weight for piece in pieces)
        ran.extend(rows)
        return bool(pieces)

    for index, (key, rows, bulk, fate) in enumerate(waiting):
        numbers = range(100 * index, 100 * index + rows)
        queued = keyed(key, numbers, bulk=bulk)
        line.add(queued)
        if fate == "leaves":
            assert line.drop(queued) == rows
        elif fate == "is late":
            queued.deadline = NOW
        else:
            stays += numbers
        for _ in range(batches_between):
            take()
    while take():
        pass
    assert sorted(ran) == stays
    assert (line.weight, line.bulk_weight, list(line), line.next) == (0, 0, [], Load(0))


@settings(deadline=None)
@given(keys=st.lists(Keys, min_size=1, max_size=40), batch_rows=st.integers(1, 12), again=st.lists(Keys, max_size=40))
def test_nobody_waits_for_those_who_come_later(keys: list[str], batch_rows: int, again: list[str]) -> None:
    line: Line[Numbers, list[int]] = Line(batch_rows)
    for number, key in enumerate(keys):
        line.add(keyed(key, [number]))
    fitting = {key: max(1, batch_rows // weigh(key)) for key in keys}
    maximum = sum(-(-keys.count(key) // fitting[key]) for key in fitting)
    ran: list[int] = []
    for batch in range(maximum):
        if batch < len(again):
            line.add(keyed(again[batch], [1000]))
        ran += rows_of(line.take(NOW).pieces)
    assert [number for number in sorted(ran) if number < 1000] == list(range(len(keys)))
    for key in fitting:
        own = [number for number in ran if number < 1000 and keys[number] == key]
        assert own == sorted(own)
