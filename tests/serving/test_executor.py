"""The executor with lists for rows, given batches as the batcher would never form them."""

import asyncio
import time
from collections.abc import Sequence
from typing import Self

import pytest

from serving.device import Device
from serving.executor import Batch, Executor
from serving.interrupt import Interrupt
from serving.line import Call, Piece
from serving.pace import Pace
from serving.tally import BatchTally
from vae.errors import DeadlinePassed


class Numbers(list[int]):
    def part(self, start: int, stop: int) -> Self:
        return type(self)(self[start:stop])


@pytest.mark.parametrize(("is_late", "is_cancelled"), [(False, False), (True, False), (False, True)])
def test_rows_that_nobody_wants_by_the_time_a_thread_begins_are_not_run(is_late: bool, is_cancelled: bool) -> None:
    ran: list[int] = []

    def double(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        ran.extend(number for rows in batch for number in rows)
        return [[2 * number for number in rows] for rows in batch]

    async def scenario() -> BatchTally:
        tally, device = BatchTally(), Device()
        executor: Executor[Numbers, list[int]] = Executor(double, device, Pace(8), 0.0, tally)
        now = time.monotonic()
        wanted, other = (
            Call[Numbers, list[int]](rows, asyncio.get_running_loop().create_future(), now, now + 60)
            for rows in (Numbers([1]), Numbers([2, 3, 4]))
        )
        if is_late:
            other.deadline = now - 1
        if is_cancelled:
            other.future.cancel()
        await executor.run(Batch([Piece(call, 0, call.rows) for call in (wanted, other)]))
        device.close()
        assert wanted.future.result().parts == [[2]]
        assert not is_late or isinstance(other.future.exception(), DeadlinePassed)
        return tally

    tally = asyncio.run(scenario())
    assert ran == ([1] if is_late or is_cancelled else [1, 2, 3, 4])
    assert (tally.late_rows, tally.cancelled_rows) == (3 * is_late, 3 * is_cancelled)
    assert tally.wasted_rows == 0
