"""Forming: when a free device starts the next batch, and what that batch holds."""

import asyncio
import time
from collections.abc import Sequence
from typing import Generic

from serving.batching.batch import Batch
from serving.batching.batch_times import BatchTimes
from serving.batching.call import A, Call, Dropped, R
from serving.batching.device import Device
from serving.batching.executor import Executor, fail
from serving.batching.gathering import Gathering
from serving.batching.line import Line
from serving.batching.load import Load
from serving.tally import BatchTally
from vaeserve.errors import DeadlinePassed
from vaeserve.slices import rows_that_fit


class Forming(Generic[R, A]):
    """Makes batches of the calls that wait, one at a time.

    Args:
        line: the calls that wait.
        times: how long batches take.
        executor: what will run the batches.
        device: whose slots a batch takes.
        tally: where dropped rows are counted.
        batch_rows: maximum weight of a batch.
        width: slots of the device that one batch takes.
        wait_seconds: maximum time that a free device waits for a batch to fill, from the oldest row's arrival.
        quiet_turns: turns of the event loop without a new call after which a free device starts.
    """

    def __init__(
        self,
        line: Line[R, A],
        times: BatchTimes,
        executor: Executor[R, A],
        device: Device,
        tally: BatchTally,
        *,
        batch_rows: int,
        width: int,
        wait_seconds: float,
        quiet_turns: int,
    ) -> None:
        self._line = line
        self._times = times
        self._executor = executor
        self._device = device
        self._tally = tally
        self._batch_rows = batch_rows
        self._width = width
        self._executors = device.slots // width
        self._wait_seconds = wait_seconds
        self._gathering = Gathering(device.calls, quiet_turns)
        self._arrival = asyncio.Event()
        self._turn = asyncio.Lock()

    def add(self, call: Call[R, A]) -> None:
        """Queues a call for one of the next batches."""
        self._line.add(call)
        self._gathering.count_call()
        self._arrival.set()

    def take_alone(self, load: Load) -> bool:
        """Whether a call may run at once: no other call is in flight, and it is short.

        If so, the device's slots are taken for it.
        """
        return (
            self._device.calls.is_lone
            and not self._arrival.is_set()
            and not self._executor.is_busy
            and not self._wait_seconds
            and load.rows <= rows_that_fit(self._batch_rows, load.row_weight)
            and self._executor.is_short(*load, is_alone=True)
            and not self._device.turns.is_spent()
            and self._device.take_now(self._width)
        )

    async def take_next(self) -> Sequence[Batch[R, A]]:
        """Waits for calls and for the device, and takes its slots for the next batch.

        Returns:
            The batch, and those of the same turn of one call that follow it; empty if all calls were over or late. The
            slots are taken even then.
        """
        async with self._turn:
            await self._arrival.wait()
            await self._wait_for_rows()
            await self._device.take(self._width, interactive=self._line.is_interactive)
            try:
                await self._gathering.catch_up(lambda: 0 < self._line.weight < self._batch_rows)
                if self._is_next_short and self._device.turns.is_spent():
                    await self._device.turns.pause()
                return self._form_series()
            except BaseException:
                self._device.give(self._width)
                raise

    def drop(self, call: Call[R, A]) -> None:
        """Removes a call that is over, and stops the batches of which nobody wants a row any more."""
        self._count(Dropped(call, self._line.drop(call)))

    @property
    def _is_next_short(self) -> bool:
        """Whether the next batch is likely to run on the event loop, which it then shares with everybody else."""
        return self._executor.is_short(*self._line.next)

    async def _wait_for_rows(self) -> None:
        """Waits as long as the setting allows for a batch to fill; others may use the device meanwhile."""
        while self._wait_seconds and self._line.weight and not self._line.has_full_batch:
            left = min(call.start_by for call in self._line) - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, 0.001))

    def _form_series(self) -> Sequence[Batch[R, A]]:
        """Forms the next batch, and its part of those that follow in the turn of the same call.

        No answer can be sent before the last of them. Short batches go one by one, to give the event loop back.
        """
        now, is_short = time.monotonic(), self._is_next_short
        batch = self._form(now)
        if batch is None:
            return []
        following = 0 if is_short or len(batch.pieces) > 1 else self._line.following(batch.pieces[0].call)
        batches, part = [batch], -(-(1 + following) // self._executors)
        while len(batches) < part and (batch := self._form(now)):
            batches.append(batch)
        return batches

    def _form(self, now: float) -> Batch[R, A] | None:
        pieces, dropped = self._line.take(now, self._times.price)
        for each in dropped:
            self._count(each)
        if not self._line.weight:
            self._arrival.clear()
        if not pieces:
            return None
        return Batch(pieces, is_backlogged=self._line.has_full_batch)

    def _count(self, dropped: Dropped[R, A]) -> None:
        """Counts rows that will never run. A call that is not over yet was late, and is told so."""
        call, rows = dropped
        if call.future.cancelled():
            self._tally.cancelled_rows += rows
            self._executor.stop_unwanted()
        elif not call.future.done():
            self._tally.late_rows += rows
            fail(call, DeadlinePassed("the deadline passed while the rows were queued"))
