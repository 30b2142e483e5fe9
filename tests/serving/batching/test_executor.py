"""The executor with lists for rows: alone, given batches as the batcher would never form them, and under a batcher."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest

from serving.batching.batch import Batch
from serving.batching.batch_times import BatchTimes
from serving.batching.batcher import Batcher
from serving.batching.call import Call, Piece
from serving.batching.device import Device
from serving.batching.executor import Executor, RunBatch
from serving.batching.load import Load
from serving.interrupt import Interrupt
from serving.tally import BatchTally
from tests.serving.conftest import Doubler, Keyed, Numbers, hold, joined, play, submit
from vaeserve.errors import (
    DeadlinePassed,
    EngineFailure,
    NonFiniteOutput,
    OutOfMemory,
    Overloaded,
    ShuttingDown,
    VaeError,
)

NumbersCall = Call[Numbers, list[int]]
NumbersExecutor = Executor[Numbers, list[int]]


def execute(
    run: RunBatch[Numbers, list[int]],
    scenario: Callable[[NumbersExecutor], Awaitable[None]],
    *,
    slots: int = 1,
    inline_seconds: float = 0.0,
) -> BatchTally:
    async def stage() -> BatchTally:
        tally, device = BatchTally(), Device(slots)
        try:
            await scenario(Executor(run, device, BatchTimes(8), inline_seconds, tally))
        finally:
            device.close()
        return tally

    return asyncio.run(stage())


def call(*numbers: int, left_seconds: float = 60.0) -> NumbersCall:
    now = time.monotonic()
    return Call(Numbers(numbers), asyncio.get_running_loop().create_future(), now, now + left_seconds)


def heavy(*numbers: int) -> NumbersCall:
    return Call(Keyed(numbers, "16 a"), asyncio.get_running_loop().create_future(), time.monotonic(), row_weight=16)


def batch_of(*calls: NumbersCall) -> Batch[Numbers, list[int]]:
    return Batch([Piece(call, 0, call.rows) for call in calls])


def answer(call: NumbersCall) -> list[int]:
    return joined(call.future.result())


def test_failing_batch_fails_alone() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        doubler.fail_on = 1
        with pytest.raises(EngineFailure, match="the batch failed"):
            await submit(batcher, Numbers([1]))
        assert joined(await submit(batcher, Numbers([2]))) == [4]

    play(scenario)


def test_a_batch_that_fails_with_any_error_of_ours_fails_alone() -> None:
    def refuse(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        raise Overloaded("the device is busy", retry_seconds=1)

    async def scenario(executor: NumbersExecutor) -> None:
        for _ in range(2):
            refused = call(1)
            await executor.run(batch_of(refused))
            with pytest.raises(EngineFailure, match="the device is busy"):
                answer(refused)

    assert execute(refuse, scenario).failed_batches == 2


def test_too_few_answers_fail_their_batch_alone() -> None:
    async def scenario(executor: NumbersExecutor) -> None:
        for _ in range(2):
            forgotten = call(1)
            await executor.run(batch_of(forgotten))
            with pytest.raises(EngineFailure):
                answer(forgotten)

    execute(lambda batch, interrupt: [], scenario)


def test_rows_that_come_out_broken_fail_their_call_alone_and_are_named() -> None:
    def break_seven(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int] | NonFiniteOutput]:
        return [
            NonFiniteOutput("decoder", [rows.index(7)]) if 7 in rows else [2 * row for row in rows] for rows in batch
        ]

    async def scenario(executor: NumbersExecutor) -> None:
        broken, sound = call(*range(10)), call(20)
        await executor.run(Batch([Piece(broken, 4, broken.rows.part(4, 8)), Piece(sound, 0, sound.rows)]))
        with pytest.raises(NonFiniteOutput, match=r"answers NaN or infinity for row 7$"):
            answer(broken)
        assert answer(sound) == [40]

    assert execute(break_seven, scenario).non_finite_rows == 1


def test_a_batch_that_runs_out_of_memory_is_tried_again_in_halves() -> None:
    doubler = Doubler()

    async def scenario(executor: NumbersExecutor) -> None:
        doubler.memory_rows = 2
        small, cut, large = call(1), call(2, 3, 4), call(5, 6, 7, 8)
        await executor.run(batch_of(small, cut))
        await executor.run(batch_of(large))
        assert [answer(each) for each in (small, cut, large)] == [[2], [4, 6, 8], [10, 12, 14, 16]]
        doubler.memory_rows = 0
        lost = call(1, 2)
        await executor.run(batch_of(lost))
        with pytest.raises(OutOfMemory):
            answer(lost)
        doubler.memory_rows = 100
        later = call(9)
        await executor.run(batch_of(later))
        assert answer(later) == [18]

    assert execute(doubler, scenario).halved_batches == 3


def test_parts_that_end_out_of_order_are_answered_in_order() -> None:
    first_may_end = threading.Event()

    def overtake(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        if 0 in batch[0]:
            assert first_may_end.wait(10)
        elif 3 in batch[0]:
            first_may_end.set()
        return [list(rows) for rows in batch]

    async def scenario(executor: NumbersExecutor) -> None:
        cut = call(*range(4))
        parts = [Batch([Piece(cut, start, cut.rows.part(start, start + 1))]) for start in range(4)]
        await asyncio.gather(*map(executor.run, parts))
        assert answer(cut) == [0, 1, 2, 3]

    execute(overtake, scenario, slots=2)


def test_short_batches_run_on_the_event_loop_once_they_are_known() -> None:
    threads: list[int] = []

    def note(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        threads.append(threading.get_ident())
        return [list(rows) for rows in batch]

    async def scenario(executor: NumbersExecutor) -> None:
        for _ in range(2):
            await executor.run(batch_of(call(1)))
        assert threads[0] != threads[1] == threading.get_ident()

    execute(note, scenario, inline_seconds=10)


def test_a_batch_is_interrupted_once_nobody_wants_it() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        first, second = (asyncio.create_task(submit(batcher, Numbers([i]))) for i in (1, 2))
        await asyncio.sleep(0)
        doubler.endless_on = 1
        doubler.busy.clear()
        doubler.free.set()
        await held
        assert await asyncio.to_thread(doubler.busy.wait, 10)
        [running] = batcher._executor._running
        for caller, is_last in ((first, False), (second, True)):
            caller.cancel()
            await asyncio.wait([caller])
            assert running.interrupt.is_set == is_last
        assert joined(await submit(batcher, Numbers([3]))) == [6]
        assert doubler.was_interrupted
        assert batcher.tally.wasted_rows == 2

    play(scenario)


def test_executors_run_side_by_side() -> None:
    async def run() -> None:
        together, device = threading.Barrier(2, timeout=10), Device(slots=2)

        def meet(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            together.wait()
            return [list(rows) for rows in batch]

        batcher: Batcher[Numbers, list[int]] = Batcher(meet, device, batch_rows=1, queue_rows=9, inline_seconds=0)
        await asyncio.gather(*(submit(batcher, Numbers([i])) for i in range(4)))
        times = batcher._executor._times
        last = times.seconds_until(1, is_busy=False)
        assert last
        assert times.seconds_until(1, is_busy=False, others=[Load(2)]) == pytest.approx(2 * last)
        await batcher.close()
        device.close()

    asyncio.run(run())


@pytest.mark.parametrize(("is_late", "is_cancelled"), [(False, False), (True, False), (False, True)])
def test_rows_that_nobody_wants_by_the_time_a_thread_begins_are_not_run(is_late: bool, is_cancelled: bool) -> None:
    doubler = Doubler()

    async def scenario(executor: NumbersExecutor) -> None:
        wanted, other = call(1), call(2, 3, 4, left_seconds=-1 if is_late else 60)
        if is_cancelled:
            other.future.cancel()
        await executor.run(batch_of(wanted, other))
        assert answer(wanted) == [2]
        assert not is_late or isinstance(other.future.exception(), DeadlinePassed)

    tally = execute(doubler, scenario)
    assert doubler.rows_run == ([1] if is_late or is_cancelled else [1, 2, 3, 4])
    assert (tally.late_rows, tally.cancelled_rows) == (3 * is_late, 3 * is_cancelled)
    assert tally.wasted_rows == 0


@pytest.mark.parametrize(
    ("wanted_rows", "error", "told"),
    [
        (1, RuntimeError("the device broke"), EngineFailure),
        (1, OutOfMemory("no memory left"), OutOfMemory),
        (4, OutOfMemory("no memory left"), OutOfMemory),  # after it was tried again in halves
    ],
)
def test_a_late_call_is_answered_where_the_rest_of_its_batch_fails(
    wanted_rows: int, error: Exception, told: type[VaeError]
) -> None:
    def fail(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        raise error

    async def scenario(executor: NumbersExecutor) -> None:
        wanted, late, gone = call(*range(wanted_rows)), call(8, 9, left_seconds=-1), call(10)
        gone.future.cancel()
        await executor.run(batch_of(late, wanted, gone))
        assert isinstance(wanted.future.exception(), told)
        assert isinstance(late.future.exception(), DeadlinePassed)

    tally = execute(fail, scenario)
    assert (tally.late_rows, tally.cancelled_rows) == (2, 1)


def test_a_late_call_is_answered_where_the_rest_of_its_batch_is_interrupted() -> None:
    doubler = Doubler()
    doubler.endless_on = 1

    async def scenario(executor: NumbersExecutor) -> None:
        wanted, late = call(1), call(2, 3, left_seconds=-1)
        running = asyncio.create_task(executor.run(batch_of(wanted, late)))
        assert await asyncio.to_thread(doubler.busy.wait, 10)
        wanted.future.cancel()
        executor.stop_unwanted()
        await running
        assert isinstance(late.future.exception(), DeadlinePassed)

    tally = execute(doubler, scenario)
    assert doubler.was_interrupted
    assert (tally.late_rows, tally.wasted_rows, tally.failed_batches) == (2, 1, 0)


@pytest.mark.parametrize("is_in_halves", [False, True])
def test_who_stops_the_executor_leaves_no_call_of_the_batch_unanswered(is_in_halves: bool) -> None:
    is_running, may_end = threading.Event(), threading.Event()

    def run_on(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        if is_in_halves and len(batch) > 1:
            raise OutOfMemory("no memory left")
        is_running.set()
        assert may_end.wait(10)
        return [list(rows) for rows in batch]

    async def scenario(executor: NumbersExecutor) -> None:
        first, second, late = call(1), call(2), call(3, left_seconds=-1)
        running = asyncio.create_task(executor.run(batch_of(first, second, late)))
        assert await asyncio.to_thread(is_running.wait, 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        may_end.set()
        assert isinstance(first.future.exception(), ShuttingDown)
        assert isinstance(second.future.exception(), ShuttingDown)
        assert isinstance(late.future.exception(), DeadlinePassed)

    execute(run_on, scenario)


@pytest.mark.parametrize("row_weight", [1, 16])
def test_a_batch_that_begins_puts_off_the_answers_of_those_that_wait(row_weight: int) -> None:
    began, free = threading.Event(), threading.Event()

    def wait(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        began.set()
        free.wait()
        return [[0] * len(rows) for rows in batch]

    async def scenario() -> None:
        device, times = Device(1), BatchTimes(8)
        times.learn(2, 60.0)
        times.learn(1, 1000.0, 16)
        executor: NumbersExecutor = Executor(wait, device, times, 0.0, BatchTally())
        running = asyncio.create_task(executor.run(batch_of(call(1, 2) if row_weight == 1 else heavy(1))))
        await asyncio.to_thread(began.wait)
        expected = times.seconds_until(1, is_busy=True)
        free.set()
        await running
        device.close()
        # The batch that runs, and at least half of one.
        assert expected == pytest.approx((60 if row_weight == 1 else 1000) + 30, abs=10)

    asyncio.run(scenario())


def test_heavy_rows_without_memory_are_tried_one_by_one_and_a_single_one_is_given_up() -> None:
    doubler = Doubler()

    async def scenario(executor: NumbersExecutor) -> None:
        doubler.memory_rows = 1
        pair = heavy(1), heavy(2)
        await executor.run(batch_of(*pair))
        assert [answer(each) for each in pair] == [[2], [4]]
        doubler.memory_rows = 0
        lost = heavy(3)
        await executor.run(batch_of(lost))
        with pytest.raises(OutOfMemory):
            answer(lost)

    tally = execute(doubler, scenario)
    assert (tally.halved_batches, tally.failed_batches) == (1, 1)
    assert tally.batch_rows.total == 2  # rows, not their weight


def test_a_heavy_batch_runs_on_the_event_loop_only_once_heavy_ones_are_known_to_be_short() -> None:
    threads: list[int] = []

    def note(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        threads.append(threading.get_ident())
        return [list(rows) for rows in batch]

    async def scenario(executor: NumbersExecutor) -> None:
        for each in (call(1), call(2), heavy(3), heavy(4)):
            await executor.run(batch_of(each))
        assert [thread == threading.get_ident() for thread in threads] == [False, True, False, True]

    execute(note, scenario, inline_seconds=10)
