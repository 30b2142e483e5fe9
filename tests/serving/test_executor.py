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


class Numbers(list[int]):
    def part(self, start: int, stop: int) -> Self:
        return type(self)(self[start:stop])


def double(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
    return [[2 * number for number in rows] for rows in batch]


@pytest.mark.parametrize(("is_late", "is_cancelled"), [(False, False), (True, False), (False, True)])
def test_rows_that_begin_to_run_for_nobody_are_counted(is_late: bool, is_cancelled: bool) -> None:
    async def scenario() -> BatchTally:
        tally, device = BatchTally(), Device()
        executor: Executor[Numbers, list[int]] = Executor(double, device, Pace(), 0.0, tally)
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
        return tally

    assert asyncio.run(scenario()).started_late_rows == (3 if is_late or is_cancelled else 0)
