"""Batcher: rows of many callers -> batches for one device. It knows rows, time and a callable, nothing else.

    submit -> line (two classes, in turn) -> a free slot of the device -> a batch -> every call's own answer

A batch is what waits when the device is free. Rows whose caller is gone or late never run, and what becomes of one
caller never changes another's answer. Everything but the callable runs on the event loop, so there are no locks.
"""

import asyncio
import logging
import time
from typing import Generic

from serving.batching.device import Device
from serving.batching.executor import Batch, Executor, Run, fail
from serving.batching.gathering import QUIET_TURNS, Front
from serving.batching.line import A, Answer, Call, Line, Piece, R
from serving.batching.pace import Pace
from serving.batching.waiting_room import Room
from serving.tally import BatchTally
from vaeserve.errors import DeadlinePassed, DeadlineUnreachable, Overloaded, ShuttingDown

_log = logging.getLogger(__name__)

# Shorter batches run on the event loop itself: handing one to a thread and back takes about as long.
_INLINE_SECONDS = 0.0003
_BULK_PART = 3 / 4  # of the queue: bulk calls wait for room, and would leave none to calls that do not
_CAUTION = 1.2  # on the time until an answer, when a deadline is weighed


class Batcher(Generic[R, A]):
    """Gathers the rows of concurrent calls into batches of at most `batch_rows`.

    Args:
        run, device: as the executor takes them.
        batch_rows: most rows in a batch.
        queue_rows: most rows waiting, beside one bulk call; past it calls are refused. Bulk leaves a quarter to others.
        width: slots of the device that one batch takes.
        wait_seconds: longest time that a free device waits for a batch to fill, from the oldest row's arrival.
        quiet_turns: turns of the event loop without a new call after which a free device starts.
        inline_seconds: batches that are likely to be shorter run on the event loop.
    """

    def __init__(
        self,
        run: Run[R, A],
        device: Device,
        *,
        batch_rows: int,
        queue_rows: int,
        width: int = 1,
        wait_seconds: float = 0.0,
        quiet_turns: int = QUIET_TURNS,
        inline_seconds: float = _INLINE_SECONDS,
    ) -> None:
        self._device = device
        self._batch_rows = batch_rows
        self._queue_rows = queue_rows
        self._width = min(width, device.slots)
        self._wait_seconds = wait_seconds
        self._front = Front(quiet_turns)
        self.tally = BatchTally()
        self._line: Line[R, A] = Line(batch_rows)
        self._pace = Pace(batch_rows)
        self._executor = Executor(run, device, self._pace, inline_seconds, self.tally)
        self._arrival = asyncio.Event()
        self._forming = asyncio.Lock()
        self._room = Room()
        self.worker = asyncio.create_task(self._work_side_by_side(device.slots // self._width))
        """Ends only when the batcher is closed. A server whose worker died must not go on."""
        self.worker.add_done_callback(self._ended)

    @property
    def waiting_rows(self) -> int:
        """Rows accepted and not yet running."""
        return self._line.rows

    def has_room(self, rows: int, *, bulk: bool) -> bool:
        """Says whether a call would be taken now. A bulk one does not pass those who wait for room."""
        return not (bulk and self._room.is_sought) and self._fits(rows, bulk)

    async def submit(
        self, rows: R, timeout_seconds: float | None = None, *, bulk: bool = False, patient: bool = False
    ) -> Answer[A]:
        """Queues rows and waits for their answer. Cancelling the wait takes the rows out of the queue.

        Args:
            rows: at least one row.
            timeout_seconds: when the answer is no longer wanted.
            bulk: whether the rows yield to those that are not.
            patient: whether to wait for room in a full queue instead of being refused.

        Raises:
            Overloaded: the queue has no room for the rows.
            DeadlineUnreachable: the rows would not be answered in time.
            DeadlinePassed: the time ran out before the last row began to run.
            ShuttingDown: the batcher was closed.
            OutOfMemory: the rows need more memory than there is.
            EngineFailure: the batch failed.
        """
        if patient and not self.has_room(len(rows), bulk=bulk):
            arrived = time.monotonic()
            await self._room.wait(lambda: self._need_not_wait(len(rows), bulk), timeout_seconds)
            if timeout_seconds is not None:
                timeout_seconds -= time.monotonic() - arrived
            return await self._enqueue(rows, timeout_seconds, bulk)
        return await self.enqueue(rows, timeout_seconds, bulk=bulk)

    def enqueue(
        self, rows: R, timeout_seconds: float | None = None, *, bulk: bool = False
    ) -> "asyncio.Future[Answer[A]]":
        """Queues rows as `submit` does, and returns the future of their answer; cancelling it takes them out again.

        Raises:
            Overloaded: the queue has no room for the rows.
            DeadlineUnreachable: the rows would not be answered in time.
            ShuttingDown: the batcher was closed.
        """
        if bulk and self._room.is_sought and not self.worker.done():
            raise self._full(len(rows))
        return self._enqueue(rows, timeout_seconds, bulk)

    def _full(self, rows: int) -> Overloaded:
        self.tally.refused_full += 1
        return Overloaded(
            f"{self._line.rows} rows are waiting, the limit of {self._queue_rows} leaves no room for {rows} more",
            retry_seconds=max(0.01, self._seconds_until(self._line.rows) or 0.0),
        )

    def _enqueue(self, rows: R, timeout_seconds: float | None, bulk: bool) -> "asyncio.Future[Answer[A]]":
        """Queues rows whose turn it is."""
        if self.worker.done():
            raise ShuttingDown()
        if not self._fits(len(rows), bulk):
            raise self._full(len(rows))
        now = time.monotonic()
        call: Call[R, A] = Call(rows, asyncio.get_running_loop().create_future(), now, bulk=bulk, start_by=now)
        if timeout_seconds is not None:
            call.expected_seconds = self._expect(len(rows), timeout_seconds, bulk)
            call.deadline = now + timeout_seconds
        if self._wait_seconds:
            call.start_by = now + min(self._wait_seconds, (call.deadline - now) / 2)
        if self._is_alone(len(rows)):
            self._run_alone(call)
            return call.future
        call.future.add_done_callback(lambda _: self._over(call))
        self._line.add(call)
        self._front.arrived()
        self._arrival.set()
        return call.future

    def _is_alone(self, rows: int) -> bool:
        """Says whether a call may run at once: nobody else is there or likely to come, and it is short."""
        return (
            not self._arrival.is_set()
            and self._front.is_lonely
            and not self._wait_seconds
            and not self._executor.is_busy
            and rows <= self._batch_rows
            and self._executor.is_short(rows)
            and not self._device.turns.is_spent()
            and self._device.take_now(self._width)
        )

    def _run_alone(self, call: Call[R, A]) -> None:
        try:
            self._front.spare_turns()
            self._executor.run_now(Batch([Piece(call, 0, call.rows)]))
        finally:
            self._device.give(self._width)

    async def close(self) -> None:
        """Stops. Calls that still wait get ShuttingDown; a server lets its calls finish first."""
        self.worker.cancel()
        await asyncio.wait([self.worker])

    def _fits(self, rows: int, bulk: bool) -> bool:
        """Says whether rows fit into the queue; one bulk call does always, or a crowd of others would starve them."""
        if bulk and not self._line.bulk_rows:
            return rows <= self._queue_rows
        if bulk and self._line.bulk_rows + rows > _BULK_PART * self._queue_rows:
            return False
        return self._line.rows + rows <= self._queue_rows

    def _need_not_wait(self, rows: int, bulk: bool) -> bool:
        """Says whether rows have room, or never will: then they go on, and are refused."""
        return self._fits(rows, bulk) or rows > self._queue_rows or self.worker.done()

    def _expect(self, rows: int, timeout_seconds: float, bulk: bool) -> float | None:
        """Returns when rows are likely to be answered, in seconds; None while nothing is known.

        Raises:
            DeadlineUnreachable: that is too late. An idle device is worth a try that half the time might do for.
        """
        expected = self._seconds_until(self._line.rows_until(rows, bulk=bulk))
        if expected is None:
            return None
        is_idle = not self._line.rows and not self._executor.is_busy
        if (expected / 2 if is_idle else _CAUTION * expected + self._pace.slip_seconds) > timeout_seconds:
            self.tally.refused_unreachable += 1
            raise DeadlineUnreachable(
                f"the answer is expected in {expected:.3g} s, the deadline allows {timeout_seconds:.3g} s"
            )
        return expected

    def _seconds_until(self, rows: int) -> float | None:
        """Returns when the last of so many waiting rows is likely to be answered; None while nothing is known."""
        return self._pace.seconds_until(rows, is_busy=self._executor.is_busy)

    def _ended(self, worker: "asyncio.Task[None]") -> None:
        """Answers those who wait when the worker is no more."""
        if not worker.cancelled():
            _log.critical("the batcher's worker died. This is a bug.", exc_info=worker.exception())
        for call in list(self._line):
            fail(call, ShuttingDown())
        self._room.call_in()

    def _over(self, call: Call[R, A]) -> None:
        """Lets go of a call as its caller is told, and learns by how much later than expected that is.

        The event loop comes to it when it comes to the caller: under load that is what makes answers late. A caller who
        left early tells nothing; one who left at his deadline, that the answer was late.
        """
        now = time.monotonic()
        if call.expected_seconds is not None and (now >= call.deadline or not call.future.cancelled()):
            self._pace.learn_slip(now - call.arrived - call.expected_seconds)
        self._let_go(call)

    def _let_go(self, call: Call[R, A]) -> None:
        """Lets go of a call that is over, and gives back the room of its rows that will never run."""
        dropped = self._line.drop(call)
        if call.future.cancelled():
            self.tally.cancelled_rows += dropped
            self._executor.stop_unwanted()
        self._room.call_in()

    async def _work_side_by_side(self, executors: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(executors):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            async with self._forming:
                await self._arrival.wait()
                await self._wait_for_company()
                await self._device.take(self._width, interactive=self._line.is_interactive)
                try:
                    await self._front.catch_up(lambda: 0 < self._line.rows < self._batch_rows)
                    if self._is_next_short and self._device.turns.is_spent():
                        await self._device.turns.pause()
                    batch = self._form()
                except BaseException:
                    self._device.give(self._width)
                    raise
            try:
                if batch:
                    await self._executor.run(batch)
            finally:
                self._device.give(self._width)

    @property
    def _is_next_short(self) -> bool:
        """Whether the next batch is likely to run on the event loop, which it then shares with everybody else."""
        return self._executor.is_short(min(self._line.rows, self._batch_rows))

    async def _wait_for_company(self) -> None:
        """Waits as long as the setting allows for a batch to fill; others may use the device meanwhile."""
        while self._wait_seconds and 0 < self._line.rows < self._batch_rows:
            left = min(call.start_by for call in self._line) - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, 0.001))

    def _form(self) -> Batch[R, A] | None:
        """Takes the next batch from the line; nothing of a call that is over or late gets into it."""
        now = time.monotonic()
        pieces = self._line.take(lambda call: self._is_wanted(call, now), self._pace.price)
        if not self._line.rows:
            self._arrival.clear()
        self._room.call_in()
        if not pieces:
            return None
        self._front.learn(len(pieces))
        batch = Batch(pieces)
        self._pace.begin(batch.rows, now, is_backlogged=self._line.rows >= self._batch_rows)
        return batch

    def _is_wanted(self, call: Call[R, A], now: float) -> bool:
        if call.future.done():
            self._let_go(call)
            return False
        if call.deadline <= now:
            self.tally.late_rows += self._line.drop(call)
            fail(call, DeadlinePassed("the deadline passed while the rows were queued"))
            return False
        return True
