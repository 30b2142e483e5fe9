"""The executor with lists for rows, given batches as the batcher would never form them."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

import pytest

from serving.device import Device
from serving.executor import Batch, Executor, Run
from serving.interrupt import Interrupt
from serving.line import Call, Piece
from serving.pace import Pace
from serving.tally import BatchTally
from vae.errors import DeadlinePassed, EngineFailure, OutOfMemory, ShuttingDown, VaeError


class Numbers(list[int]):
    def part(self, start: int, stop: int) -> Self:
        return type(self)(self[start:stop])


NumbersCall = Call[Numbers, list[int]]
NumbersExecutor = Executor[Numbers, list[int]]


def execute(run: Run[Numbers, list[int]], scenario: Callable[[NumbersExecutor], Awaitable[None]]) -> BatchTally:
    async def play() -> BatchTally:
        tally, device = BatchTally(), Device()
        try:
            await scenario(Executor(run, device, Pace(8), 0.0, tally))
        finally:
            device.close()
        return tally

    return asyncio.run(play())


def call(*numbers: int, left_seconds: float = 60.0) -> NumbersCall:
    now = time.monotonic()
    return Call(Numbers(numbers), asyncio.get_running_loop().create_future(), now, now + left_seconds)


def batch_of(*calls: NumbersCall) -> Batch[Numbers, list[int]]:
    return Batch([Piece(call, 0, call.rows) for call in calls])


@pytest.mark.parametrize(("is_late", "is_cancelled"), [(False, False), (True, False), (False, True)])
def test_rows_that_nobody_wants_by_the_time_a_thread_begins_are_not_run(is_late: bool, is_cancelled: bool) -> None:
    ran: list[int] = []

    def double(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        ran.extend(number for rows in batch for number in rows)
        return [[2 * number for number in rows] for rows in batch]

    async def scenario(executor: NumbersExecutor) -> None:
        wanted, other = call(1), call(2, 3, 4, left_seconds=-1 if is_late else 60)
        if is_cancelled:
            other.future.cancel()
        await executor.run(batch_of(wanted, other))
        assert wanted.future.result().parts == [[2]]
        assert not is_late or isinstance(other.future.exception(), DeadlinePassed)

    tally = execute(double, scenario)
    assert ran == ([1] if is_late or is_cancelled else [1, 2, 3, 4])
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
    is_running = threading.Event()

    def run_on(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        stopped = threading.Event()
        assert interrupt is not None
        interrupt.attach(stopped.set)
        is_running.set()
        assert stopped.wait(10)
        raise RuntimeError("interrupted")

    async def scenario(executor: NumbersExecutor) -> None:
        wanted, late = call(1), call(2, 3, left_seconds=-1)
        running = asyncio.create_task(executor.run(batch_of(wanted, late)))
        assert await asyncio.to_thread(is_running.wait, 10)
        wanted.future.cancel()
        executor.stop_unwanted()
        await running
        assert isinstance(late.future.exception(), DeadlinePassed)

    tally = execute(run_on, scenario)
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
