"""The batcher with lists for rows and a function that doubles them: how calls share batches, are cut and leave."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Sequence
from itertools import count
from typing import ParamSpec, Self, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching.batcher import Batcher
from serving.batching.device import Device
from serving.batching.executor import RunBatch
from serving.batching.gathering import QUIET_TURNS
from serving.in_flight import Calls
from serving.interrupt import Interrupt
from serving.turns import Turns
from tests.serving.conftest import Doubler, Keyed, Numbers, hold, joined, play, submit, weigh
from tests.support.servers import eventually
from vaeserve.errors import (
    DeadlinePassed,
    DeadlineUnreachable,
    EngineFailure,
    OutOfMemory,
    Overloaded,
    ShuttingDown,
    VaeError,
)

P = ParamSpec("P")
T = TypeVar("T")


def test_answers_a_lone_call() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        answer = await submit(batcher, Numbers([1, 2]))
        assert answer.parts == [[2, 4]]
        assert answer.batch_rows == 2
        assert answer.queued_seconds >= 0
        assert answer.running_seconds > 0

    play(scenario)


def test_callers_share_batches() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        answers = await asyncio.gather(*(submit(batcher, Numbers([i])) for i in range(8)))
        assert [answer.parts for answer in answers] == [[[2 * i]] for i in range(8)]
        assert {answer.batch_rows for answer in answers} == {4}

    assert len(play(scenario).batches) == 2


def test_cancelled_neighbour_changes_no_answer() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        first, middle, last = (asyncio.create_task(submit(batcher, Numbers([i]))) for i in (1, 2, 3))
        await asyncio.sleep(0)
        middle.cancel()
        await asyncio.sleep(0)
        assert batcher.waiting_rows == 2
        doubler.free.set()
        assert [joined(await task) for task in (held, first, last)] == [[0], [2], [6]]

    assert play(scenario).rows_run == [0, 1, 3]


def test_call_cancelled_while_it_runs_changes_no_answer() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        held.cancel()
        follower = asyncio.create_task(submit(batcher, Numbers([5])))
        await asyncio.sleep(0)
        doubler.free.set()
        assert joined(await follower) == [10]
        assert held.cancelled()

    play(scenario)


def test_late_rows_never_run() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        late = asyncio.create_task(submit(batcher, Numbers([1]), timeout_seconds=0))
        patient = asyncio.create_task(submit(batcher, Numbers([2]), timeout_seconds=60))
        await asyncio.sleep(0)
        assert batcher.waiting_rows == 2
        doubler.free.set()
        with pytest.raises(DeadlinePassed):
            await late
        assert joined(await patient) == [4]
        await held

    assert play(scenario).rows_run == [0, 2]


def test_large_call_is_cut_and_interleaved() -> None:
    order: list[str] = []

    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        async def call(name: str, rows: Numbers) -> list[int]:
            answer = await submit(batcher, rows)
            order.append(name)
            return joined(answer)

        held = await hold(batcher, doubler)
        large = asyncio.create_task(call("large", Numbers(range(100, 230))))
        await asyncio.sleep(0)
        small = asyncio.create_task(call("small", Numbers([1])))
        await asyncio.sleep(0)
        doubler.free.set()
        assert await large == [2 * i for i in range(100, 230)]
        assert await small == [2]
        await held

    batches = play(scenario, queue_rows=200).batches
    assert order == ["small", "large"]
    assert [sum(map(len, batch)) for batch in batches] == [1, *[4] * 32, 3]


class CountingDevice(Device):
    """Counts what runs on its threads."""

    def __init__(self, slots: int = 1) -> None:
        super().__init__(slots)
        self.runs = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self.runs += 1
        return await super().run(function, *args, **kwargs)


async def double_on(
    device: Device, run: RunBatch[Numbers, list[int]], *calls: tuple[Sequence[int], bool]
) -> list[list[int]]:
    """Returns the answers of calls that come together, each rows and whether they are bulk, in batches of 4."""
    batcher = Batcher[Numbers, list[int]](run, device, batch_rows=4, queue_rows=1000, inline_seconds=0)
    answers = await asyncio.gather(*(submit(batcher, Numbers(rows), bulk=bulk) for rows, bulk in calls))
    await batcher.close()
    device.close()
    return [joined(answer) for answer in answers]


@pytest.mark.parametrize(("bulk", "runs"), [(False, 1 + 2), (True, 18)])
def test_the_full_batches_of_an_interactive_turn_run_one_after_the_other(bulk: bool, runs: int) -> None:
    async def run() -> tuple[int, list[list[int]]]:
        device = CountingDevice()
        answers = await double_on(device, Doubler(), (range(70), bulk))
        return device.runs, answers

    counted, answers = asyncio.run(run())
    assert answers == [[2 * i for i in range(70)]]
    assert counted == runs  # a turn is 64 rows; of the next one, four rows go alone, and two may have company


@pytest.mark.parametrize("fails", [False, True])
def test_executors_share_a_turn_and_each_row_is_answered_once_though_one_runs_out_of_memory(fails: bool) -> None:
    both = threading.Barrier(2)
    failed = threading.Event()

    def double(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        if sum(map(len, batch)) == 4 and batch[0][0] in (0, 32):
            both.wait(60)
        if fails and batch[0][0] == 8 and not failed.is_set():
            failed.set()
            raise OutOfMemory("no memory left")
        return [[2 * number for number in rows] for rows in batch]

    calls = [(range(64), False), (range(200, 203), False), (range(300, 364), False)]
    answers = asyncio.run(double_on(Device(2), double, *calls))
    assert answers == [[2 * i for i in rows] for rows, _ in calls]
    assert failed.is_set() == fails


def test_another_batcher_gets_the_device_between_the_batches_of_a_turn() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        other = Batcher(doubler, batcher._device, batch_rows=4, queue_rows=100, inline_seconds=0)
        doubler.free.clear()
        large = asyncio.create_task(submit(batcher, Numbers(range(100, 164))))
        assert await asyncio.to_thread(doubler.busy.wait, 60)
        small = asyncio.create_task(submit(other, Numbers([1])))
        await eventually(lambda: batcher._device.is_wanted)
        doubler.free.set()
        assert joined(await small) == [2]
        assert joined(await large) == [2 * i for i in range(100, 164)]
        await other.close()

    assert play(scenario).rows_run == [100, 101, 102, 103, 1, *range(104, 164)]


def test_who_closes_a_batcher_that_has_lent_its_device_leaves_no_call_unanswered() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        device = batcher._device
        doubler.free.clear()
        large = asyncio.create_task(submit(batcher, Numbers(range(64))))
        assert await asyncio.to_thread(doubler.busy.wait, 60)
        others = [asyncio.create_task(device.take(1)) for _ in range(2)]
        await eventually(lambda: device.is_wanted)
        doubler.free.set()
        await eventually(others[0].done)
        assert not large.done()
        await batcher.close()
        with pytest.raises(ShuttingDown):
            await large
        device.give(1)
        await asyncio.wait_for(asyncio.gather(*others), 60)
        assert not device.take_now(1)
        device.give(1)
        assert device.take_now(1)  # and no more than that
        assert not device.take_now(1)

    play(scenario)


def test_failure_in_the_middle_of_a_cut_call_stops_the_rest() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        doubler.fail_on = 1
        with pytest.raises(EngineFailure):
            await submit(batcher, Numbers(range(12)))
        assert joined(await submit(batcher, Numbers([20]))) == [40]
        assert batcher.waiting_rows == 0

    assert play(scenario).rows_run == [0, 1, 2, 3, 20]


def test_close_answers_those_who_wait() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        waiting = asyncio.create_task(submit(batcher, Numbers([1])))
        await asyncio.sleep(0)
        doubler.free.set()
        await batcher.close()
        for call in (waiting, submit(batcher, Numbers([2]))):
            with pytest.raises(ShuttingDown):
                await call
        held.cancel()

    play(scenario)


def test_close_answers_those_whose_rows_run() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        await batcher.close()
        with pytest.raises(ShuttingDown):
            await held

    play(scenario)


def test_wait_fills_the_batch_and_ends_early_when_it_is_full() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        first = asyncio.create_task(submit(batcher, Numbers([1])))
        for _ in range(2 * QUIET_TURNS):  # after half of them a device that does not wait would have started
            await asyncio.sleep(0)
        assert batcher.waiting_rows == 1
        rest = asyncio.create_task(submit(batcher, Numbers([2, 3, 4])))
        assert (await first).batch_rows == (await rest).batch_rows == 4

    play(scenario, wait_seconds=30)


def test_batchers_take_turns_on_a_device() -> None:
    async def run() -> None:
        device, running = Device(), []

        def exclusive(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            running.append(threading.get_ident())
            return [list(rows) for rows in batch]

        batchers = [Batcher(exclusive, device, batch_rows=2, queue_rows=100, inline_seconds=0) for _ in range(2)]
        calls = [submit(batcher, Numbers(range(6))) for batcher in batchers]
        assert [joined(answer) for answer in await asyncio.gather(*calls)] == [list(range(6))] * 2
        assert len(set(running)) == 1
        for batcher in batchers:
            await batcher.close()
        device.close()

    asyncio.run(run())


def test_calls_that_come_and_go_do_not_keep_the_device_from_others() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        async def fickle() -> None:
            while not victim.done():
                task = asyncio.create_task(submit(batcher, Numbers([1])))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.sleep(0)

        victim = asyncio.create_task(submit(batcher, Numbers([5])))
        crowd = [asyncio.create_task(fickle()) for _ in range(3)]
        assert joined(await asyncio.wait_for(victim, 20)) == [10]
        await asyncio.gather(*crowd)

    play(scenario, batch_rows=1000, queue_rows=100_000)


def test_cancelled_calls_are_let_go_at_once() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        rows = Numbers([1, 2, 3])
        task = asyncio.create_task(submit(batcher, rows))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        kept = weakref.ref(rows)
        del task, rows
        gc.collect()
        assert kept() is None
        doubler.free.set()
        await held

    play(scenario)


def test_a_worker_that_dies_leaves_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    class Uncuttable(Numbers):
        def part(self, start: int, stop: int) -> Self:
            raise RuntimeError("cannot be cut")

    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        with pytest.raises(ShuttingDown):
            await asyncio.wait_for(submit(batcher, Uncuttable(range(9))), 10)
        with pytest.raises(ShuttingDown):
            await submit(batcher, Numbers([1]))

    play(scenario)
    assert "This is a bug" in caplog.text


def test_the_wait_leaves_time_before_a_deadline() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        assert joined(await submit(batcher, Numbers([4]), timeout_seconds=2)) == [8]

    play(scenario, wait_seconds=60)


@pytest.mark.parametrize("bulk", [False, True])
def test_patient_rows_wait_for_room_without_a_caller_who_waits(bulk: bool) -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        filling = asyncio.create_task(submit(batcher, Numbers(range(4)), bulk=bulk))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            batcher.enqueue(Numbers([9]), bulk=bulk)
        answer = batcher.enqueue(Numbers([9]), bulk=bulk, patient=True)
        await asyncio.sleep(0)
        assert (answer.done(), batcher.waiting_rows) == (False, 4)
        doubler.free.set()
        assert joined(await answer) == [18]
        await asyncio.gather(held, filling)

    play(scenario, queue_rows=4)


def test_interactive_calls_go_before_bulk_ones_that_came_first() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        bulk = asyncio.create_task(submit(batcher, Numbers(range(100, 116)), bulk=True))
        await asyncio.sleep(0)
        interactive = asyncio.create_task(submit(batcher, Numbers([1, 2, 3])))
        await asyncio.sleep(0)
        doubler.free.set()
        assert joined(await interactive) == [2, 4, 6]
        assert joined(await bulk) == [2 * i for i in range(100, 116)]
        await held

    batches = play(scenario).batches
    assert [len(rows) for rows in batches[1]] == [3, 1]  # bulk fills what is left: all batches seem to take as long


def test_interactive_rows_run_alone_where_a_row_costs_the_same_in_any_batch() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        for rows in (1, 4):
            batcher._executor._times.learn(rows, 1.0 * rows)  # what runs here, however slowly, changes little of it
        held = await hold(batcher, doubler)
        bulk = asyncio.create_task(submit(batcher, Numbers(range(100, 116)), bulk=True))
        interactive = asyncio.create_task(submit(batcher, Numbers([1])))
        await asyncio.sleep(0)
        doubler.free.set()
        assert joined(await interactive) == [2]
        await asyncio.gather(bulk, held)

    batches = play(scenario).batches
    assert [[len(rows) for rows in batch] for batch in batches[1:]] == [[1], [4], [4], [4], [4]]


def test_bulk_keeps_a_share_beside_an_endless_crowd() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        async def eager() -> None:
            while not bulk.done():
                await submit(batcher, Numbers([1, 2, 3]))

        bulk = asyncio.create_task(submit(batcher, Numbers(range(100, 120)), bulk=True))
        await asyncio.gather(*(eager() for _ in range(12)))
        assert joined(await bulk) == [2 * i for i in range(100, 120)]

    batches = play(scenario).batches
    assert len(batches) < 60  # half a row of each batch, and then the crowd


def test_rows_are_counted_by_what_became_of_them() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        late = asyncio.create_task(submit(batcher, Numbers([1, 2]), timeout_seconds=0))
        gone = asyncio.create_task(submit(batcher, Numbers([3, 4, 5])))
        await asyncio.sleep(0)
        assert batcher.waiting_rows == 5
        gone.cancel()
        held.cancel()
        doubler.free.set()
        await asyncio.wait([late, gone, held])
        await submit(batcher, Numbers([6]))
        tally = batcher.tally
        assert (tally.late_rows, tally.cancelled_rows, tally.wasted_rows) == (2, 3, 1)
        assert tally.batch_rows.total == 2

    play(scenario)


def lone_call() -> Calls:
    """Returns what a server counts while there is only one call."""
    calls = Calls()
    calls.open_unary()
    calls.enter()
    return calls


def test_a_lone_short_call_is_answered_at_once_and_a_crowd_is_not() -> None:
    async def run() -> None:
        batches: list[int] = []

        def note(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            batches.append(len(batch))
            return [[2 * number for number in rows] for rows in batch]

        calls = lone_call()
        device = Device(calls=calls)
        batcher: Batcher[Numbers, list[int]] = Batcher(note, device, batch_rows=8, queue_rows=99, inline_seconds=10)
        await submit(batcher, Numbers([1]))
        await asyncio.sleep(0)  # a new turn, whose share is not used up
        assert batcher.enqueue(Numbers([1])).done()
        calls.expect(1)
        assert not batcher.enqueue(Numbers([1])).done()
        calls.stop_expecting(1)
        calls.enter()
        batches.clear()
        answers = await asyncio.gather(*(submit(batcher, Numbers([i])) for i in range(7)))
        assert [joined(answer) for answer in answers] == [[2 * i] for i in range(7)]
        assert batches == [8]
        await batcher.close()
        device.close()

    asyncio.run(run())


def test_a_near_deadline_is_refused_before_its_rows_are_known() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        assert not batcher.is_near(1e-9)  # nothing is known yet
        await submit(batcher, Numbers([1]))
        times = batcher._executor._times._classes[0]
        times._seconds = {0: 10.0}
        times._at_least.clear()
        held = await hold(batcher, doubler)
        with pytest.raises(DeadlineUnreachable):
            batcher.enqueue(Numbers([2]), timeout_seconds=1.0)
        assert [batcher.is_near(seconds) for seconds in (1.0, 1e9)] == [True, False]
        refused = batcher.tally.refused_unreachable
        with pytest.raises(DeadlineUnreachable):
            batcher.check_deadline(1.0, bulk=False)
        assert batcher.tally.refused_unreachable == refused + 1
        batcher.check_deadline(1e9, bulk=False)
        slips = batcher._admission._slip_seconds
        slips[0], slips[4] = 1e9, 0.0  # answers of light rows were late once; those of heavier ones are not
        batcher.check_deadline(1e6, bulk=False)
        doubler.free.set()
        await held

    play(scenario)


def test_short_batches_leave_turns_to_others_and_to_their_own_cancellation() -> None:
    async def run() -> None:
        batches: list[int] = []

        def note(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            batches.append(len(batch))
            return [[2 * number for number in rows] for rows in batch]

        device = Device(turns=Turns(share_seconds=0))
        batcher: Batcher[Numbers, list[int]] = Batcher(note, device, batch_rows=1, queue_rows=9000, inline_seconds=10)
        await submit(batcher, Numbers([1]))  # now they are known to be short
        large = asyncio.create_task(submit(batcher, Numbers(range(5000))))
        while len(batches) < 10:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert joined(await submit(batcher, Numbers([7]))) == [14]
        assert len(batches) < 200  # a turn of the large call is 64 rows
        large.cancel()
        await asyncio.wait([large])
        assert len(batches) + batcher.tally.cancelled_rows == 5002
        assert len(batches) < 200
        await batcher.close()
        device.close()

    asyncio.run(run())


Call = st.tuples(st.integers(1, 70), st.booleans(), st.booleans(), st.integers(0, 3))


@settings(deadline=None, max_examples=60)
@given(
    calls=st.lists(Call, min_size=1, max_size=25),
    batch_rows=st.integers(1, 8),
    queue_rows=st.integers(70, 400),
    slots=st.integers(1, 3),
    memory_rows=st.integers(2, 9),
)
def test_every_call_gets_its_own_rows_whatever_the_others_do(
    calls: list[tuple[int, bool, bool, int]], batch_rows: int, queue_rows: int, slots: int, memory_rows: int
) -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        tasks = []
        doubler.memory_rows = memory_rows  # batches of more are run in halves
        for index, (rows, bulk, is_cancelled, turns) in enumerate(calls):
            numbers = Numbers(range(100 * index, 100 * index + rows))
            task = asyncio.create_task(submit(batcher, numbers, bulk=bulk))
            tasks.append(task)
            for _ in range(turns):
                await asyncio.sleep(0)
            if is_cancelled:
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for index, ((rows, _, is_cancelled, _), result) in enumerate(zip(calls, results, strict=True)):
            if isinstance(result, BaseException):
                assert isinstance(result, Overloaded | asyncio.CancelledError if is_cancelled else VaeError)
            else:
                assert joined(result) == [2 * number for number in range(100 * index, 100 * index + rows)]
        assert batcher.waiting_rows == 0

    doubler = play(scenario, batch_rows=batch_rows, queue_rows=queue_rows, slots=slots)
    assert all(0 < sum(map(len, batch)) <= batch_rows for batch in doubler.batches)
    assert len(set(doubler.rows_run)) == len(doubler.rows_run)


def assert_batches_are_right(doubler: Doubler, batch_rows: int) -> None:
    """Asserts that no batch holds two keys, or more than it may, and that no row ran twice."""
    for batch in doubler.batches:
        [key] = {rows.key for rows in batch}
        rows = sum(map(len, batch))
        assert rows == 1 or rows * (1 if key is None else weigh(key)) <= batch_rows
    assert len(set(doubler.rows_run)) == len(doubler.rows_run)


def test_a_caller_of_an_odd_key_waits_for_one_round_of_a_crowd() -> None:
    keys = [f"{1 + number % 6} of the crowd" for number in range(64)]
    numbers = count()

    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        async def eager(key: str) -> None:
            while not odd.done():
                await submit(batcher, Keyed([next(numbers)], key))

        async def call_oddly() -> list[int]:
            waited = []
            for _ in range(10):
                before = len(doubler.batches)
                await submit(batcher, Keyed([next(numbers)], "7 odd"))
                waited.append(len(doubler.batches) - before)
            return waited

        odd = asyncio.create_task(call_oddly())
        await asyncio.gather(*map(eager, keys))
        in_round = sum(-(-keys.count(key) // (16 // weigh(key))) for key in set(keys))
        assert max(await odd) <= in_round + 2  # beside its own and the one that ran when it came

    assert_batches_are_right(play(scenario, batch_rows=16, queue_rows=1000), 16)


@pytest.mark.parametrize("key", ["1 bulk", "3 bulk", "9 bulk"])
def test_bulk_of_another_key_keeps_its_share_beside_an_endless_crowd(key: str) -> None:
    numbers = count(1000)

    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        async def eager() -> None:
            while not bulk.done():
                await submit(batcher, Keyed([next(numbers), next(numbers), next(numbers)], "1 a"))

        bulk = asyncio.create_task(submit(batcher, Keyed(range(20), key), bulk=True))
        await asyncio.gather(*(eager() for _ in range(12)))
        assert joined(await bulk) == [2 * number for number in range(20)]
        last = max(number for number, batch in enumerate(doubler.batches) if batch[0].key == key)
        interactive = sum(sum(map(len, batch)) for batch in doubler.batches[:last] if batch[0].key != key)
        assert interactive <= 8 * 20 * weigh(key)  # a row in eight, and up to a batch of it is saved up

    assert_batches_are_right(play(scenario, queue_rows=1000), 4)


def test_calls_of_a_key_that_leave_or_are_late_change_nothing_for_the_others() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        gone, late, good, other = (
            batcher.enqueue(Keyed([1, 2], "2 a")),
            batcher.enqueue(Keyed([3], "3 b"), timeout_seconds=0),
            batcher.enqueue(Keyed([4], "2 a")),
            batcher.enqueue(Keyed([5], "3 c")),
        )
        assert batcher.waiting_rows == 12
        gone.cancel()
        await asyncio.sleep(0)
        assert batcher.waiting_rows == 8
        doubler.free.set()
        with pytest.raises(DeadlinePassed):
            await late
        assert [joined(await answer) for answer in (good, other)] == [[8], [10]]
        await held
        assert (batcher.tally.cancelled_rows, batcher.tally.late_rows, batcher.waiting_rows) == (2, 1, 0)

    assert play(scenario).rows_run == [0, 4, 5]


def test_a_batch_that_no_later_row_fits_into_does_not_wait_for_any() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        answer = await asyncio.wait_for(submit(batcher, Keyed([1], "3 a")), 10)
        assert answer.batch_rows == 1
        calls = [batcher.enqueue(Keyed([2], "2 b")), batcher.enqueue(Keyed([3], "1 c"))]
        for _ in range(2 * QUIET_TURNS):
            await asyncio.sleep(0)
        assert batcher.waiting_rows == 3  # there is room for one more
        calls += [batcher.enqueue(Keyed([4], "1 d")), batcher.enqueue(Keyed([5], "3 e"))]
        await asyncio.wait_for(asyncio.gather(*calls), 10)

    play(scenario, wait_seconds=30)


def test_a_batch_knows_whether_a_full_one_waits_behind_it() -> None:
    async def run() -> None:
        device = Device()
        backlogged: list[bool] = []

        def note(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            backlogged.extend(running.is_backlogged for running in batcher._executor._running)
            return [list(rows) for rows in batch]

        batcher: Batcher[Numbers, list[int]] = Batcher(
            note, device, batch_rows=4, queue_rows=99, weigh=weigh, inline_seconds=0
        )
        keys = ("3 a", "3 a", "2 b", "1 c")  # a batch of its own is what no other row fits into
        await asyncio.gather(*(submit(batcher, Keyed([1], key)) for key in keys))
        assert backlogged == [True, False, False, False]
        backlogged.clear()
        await asyncio.gather(*(submit(batcher, Keyed([1], "3 a")) for _ in range(3)))
        assert backlogged == [True, True, False]
        await batcher.close()
        device.close()

    asyncio.run(run())


def test_a_lone_short_call_that_no_batch_holds_is_cut_all_the_same() -> None:
    async def run() -> None:
        batches: list[int] = []

        def note(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            batches.append(sum(map(len, batch)))
            return [list(rows) for rows in batch]

        device = Device(calls=lone_call())
        batcher: Batcher[Numbers, list[int]] = Batcher(
            note, device, batch_rows=4, queue_rows=99, weigh=weigh, inline_seconds=10
        )
        batcher._executor._times.learn(2, 0.001, 3)
        assert batcher.enqueue(Keyed([1], "3 a")).done()
        batches.clear()
        assert joined(await submit(batcher, Keyed([1, 2], "3 a"))) == [1, 2]
        assert batches == [1, 1]
        await batcher.close()
        device.close()

    asyncio.run(run())


def test_a_lone_call_runs_on_the_event_loop_although_it_would_be_too_long_beside_others() -> None:
    async def run() -> None:
        threads: list[int] = []

        def note(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            threads.append(threading.get_ident())
            return [list(rows) for rows in batch]

        device = Device(calls=lone_call())
        batcher: Batcher[Numbers, list[int]] = Batcher(note, device, batch_rows=4, queue_rows=99, inline_seconds=1e-9)
        batcher._executor._times.learn = lambda *_: None  # type: ignore[method-assign]  # what it knows stays
        for seconds, is_inline in ((0.0009, True), (0.0017, True), (0.002, False)):
            batcher._executor._times._classes[0]._seconds = {0: seconds}
            threads.clear()
            await asyncio.sleep(0)  # a new turn, whose share is not used up
            await submit(batcher, Numbers([1]))
            assert [thread == threading.get_ident() for thread in threads] == [is_inline]
        batcher._executor._times._classes[0]._seconds = {0: 0.0009}
        assert not batcher._executor.is_short(1)
        await batcher.close()
        device.close()

    asyncio.run(run())


KeyedCall = st.tuples(
    st.sampled_from(["1 a", "1 b", "2 c", "3 d", "9 e"]), st.integers(1, 9), st.booleans(), st.booleans()
)


@settings(deadline=None, max_examples=60)
@given(calls=st.lists(KeyedCall, min_size=1, max_size=25), batch_rows=st.integers(1, 8), queue_rows=st.integers(9, 90))
def test_every_call_gets_its_own_rows_whatever_keys_the_others_have(
    calls: list[tuple[str, int, bool, bool]], batch_rows: int, queue_rows: int
) -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        tasks = []
        for index, (key, rows, bulk, is_cancelled) in enumerate(calls):
            numbers = Keyed(range(100 * index, 100 * index + rows), key)
            tasks.append(asyncio.create_task(submit(batcher, numbers, bulk=bulk, patient=bulk)))
            await asyncio.sleep(0)
            if is_cancelled:
                tasks[-1].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for index, ((_, rows, _, is_cancelled), result) in enumerate(zip(calls, results, strict=True)):
            if isinstance(result, BaseException):
                assert isinstance(result, Overloaded) or (is_cancelled and isinstance(result, asyncio.CancelledError))
            else:
                assert joined(result) == [2 * number for number in range(100 * index, 100 * index + rows)]
        assert batcher.waiting_rows == 0

    assert_batches_are_right(play(scenario, batch_rows=batch_rows, queue_rows=queue_rows), batch_rows)
