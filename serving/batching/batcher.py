"""Batcher: rows of many callers -> batches for one device. It knows rows, time and a callable, nothing else.

    enqueue -> admission -> line (two classes, in turn) -> forming -> executor -> every call's own answer

A batch is what waits when the device is free. Rows whose caller is gone or late never run, and what becomes of one
caller never changes another's answer. Everything but the callable runs on the event loop, so there are no locks.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from typing import Generic

from serving.batching.admission import RowAdmission
from serving.batching.batch import Batch
from serving.batching.batch_times import BatchTimes
from serving.batching.call import A, Answer, Call, Piece, R
from serving.batching.device import Device
from serving.batching.executor import Executor, RunBatch, fail
from serving.batching.forming import Forming
from serving.batching.gathering import QUIET_TURNS
from serving.batching.line import Line
from serving.batching.load import Load
from serving.tally import BatchTally
from serving.tracing.current import current_span
from vaeserve.errors import ShuttingDown

_log = logging.getLogger(__name__)

_NEAR = 10  # times what recent calls needed: farther deadlines are looked at once the rows are known

INLINE_SECONDS = 0.0003
"""Shorter batches run on the event loop itself, because handing one to a thread and back takes about as long."""


class Batcher(Generic[R, A]):
    """Gathers the rows of concurrent calls into batches of at most `batch_rows`. Only rows of one key run together.

    Args:
        run, device: as the executor takes them.
        batch_rows: maximum weight of a batch. It holds at least one row, however heavy.
        queue_rows: maximum weight of the rows that wait, beside one bulk call; past it calls are refused. Bulk leaves a
            quarter to others.
        weigh: weight of a row of a key, at least 1: as how many light rows it counts. Rows without a key weigh 1.
        width: slots of the device that one batch takes.
        wait_seconds: maximum time that a free device waits for a batch to fill, from the oldest row's arrival.
        quiet_turns: turns of the event loop without a new call after which a free device starts.
        inline_seconds: batches that are likely to be shorter run on the event loop, as do some longer ones of a lone
            caller; 0: none does.
    """

    def __init__(
        self,
        run: RunBatch[R, A],
        device: Device,
        *,
        batch_rows: int,
        queue_rows: int,
        weigh: Callable[[Hashable], int] = lambda key: 1,
        width: int = 1,
        wait_seconds: float = 0.0,
        quiet_turns: int = QUIET_TURNS,
        inline_seconds: float = INLINE_SECONDS,
    ) -> None:
        self._device = device
        self._width = width = min(width, device.slots)
        self._wait_seconds = wait_seconds
        self._weigh = weigh
        self.tally = tally = BatchTally()
        self._line: Line[R, A] = Line(batch_rows)
        times = BatchTimes(batch_rows, device.slots // width)
        self._executor = executor = Executor(run, device, times, inline_seconds, tally, width=width)
        self._admission = RowAdmission(self._line, times, executor, tally, queue_rows)
        self._forming = Forming(
            self._line, times, executor, device, tally,
            batch_rows=batch_rows, width=width, wait_seconds=wait_seconds, quiet_turns=quiet_turns,
        )  # fmt: skip
        self.worker = asyncio.create_task(self._work_side_by_side(device.slots // width))
        """Ends only when the batcher is closed. A server whose worker died must not go on."""
        self.worker.add_done_callback(self._ended)

    @property
    def waiting_rows(self) -> int:
        """Rows that are accepted and do not run yet, by weight."""
        return self._line.weight

    def enqueue(
        self, rows: R, timeout_seconds: float | None = None, *, bulk: bool = False, patient: bool = False
    ) -> "asyncio.Future[Answer[A]]":
        """Queues rows, and returns the future of their answer; cancelling it takes them out of the queue.

        Args:
            rows: at least one row.
            timeout_seconds: when the answer is no longer wanted.
            bulk: whether the rows yield to those that are not.
            patient: whether to wait for room in a full queue instead of being refused.

        Returns:
            The answer, or one of these errors: DeadlinePassed, if the time ran out before the last row began to run;
            ShuttingDown, OutOfMemory and EngineFailure. After a wait for room, those that are raised, too.

        Raises:
            Overloaded: the queue has no room for the rows.
            DeadlineUnreachable: the rows would not be answered in time.
            ShuttingDown: the batcher was closed.
        """
        if self.worker.done():
            raise ShuttingDown()
        load = Load(len(rows), 1 if rows.key is None else self._weigh(rows.key))
        if self._admission.has_room(load, bulk=bulk):
            return self._accept(rows, load, timeout_seconds, bulk)
        if patient:
            return asyncio.ensure_future(self._wait_for_room(rows, load, timeout_seconds, bulk))
        raise self._admission.refuse(load, bulk=bulk)

    def is_near(self, timeout_seconds: float) -> bool:
        """Whether a deadline is so near that `check_deadline` may refuse it."""
        return timeout_seconds < _NEAR * self._admission.recent_need

    def check_deadline(self, timeout_seconds: float, *, bulk: bool) -> None:
        """Refuses a call by whose deadline not even one row would be answered, however light.

        Raises:
            DeadlineUnreachable: the deadline is too near.
        """
        self._admission.check_deadline(timeout_seconds, bulk=bulk)

    async def _wait_for_room(self, rows: R, load: Load, timeout_seconds: float | None, bulk: bool) -> Answer[A]:
        timeout_seconds = await self._admission.wait_for_room(load, timeout_seconds, bulk=bulk)
        if self.worker.done():
            raise ShuttingDown()
        self._admission.check_room(load, bulk=bulk)  # more rows than the queue takes never fit
        return await self._accept(rows, load, timeout_seconds, bulk)

    def _accept(self, rows: R, load: Load, timeout_seconds: float | None, bulk: bool) -> "asyncio.Future[Answer[A]]":
        """Queues rows that have room."""
        now = time.monotonic()
        future: asyncio.Future[Answer[A]] = asyncio.get_running_loop().create_future()
        call: Call[R, A] = Call(rows, future, now, bulk=bulk, row_weight=load.row_weight, start_by=now)
        if timeout_seconds is not None:
            call.expected_seconds = self._admission.expect(load, rows.key, timeout_seconds, bulk=bulk)
            call.deadline = now + timeout_seconds
        if self._wait_seconds:
            call.start_by = now + min(self._wait_seconds, (call.deadline - now) / 2)
        if span := current_span.get():
            call.spans = span.queue(load.rows)
            future.add_done_callback(call.spans.end)
        if self._forming.take_alone(load):
            self._run_alone(call)
            return future
        future.add_done_callback(lambda _: self._over(call))
        self._forming.add(call)
        return future

    def _run_alone(self, call: Call[R, A]) -> None:
        try:
            self._executor.run_now(Batch([Piece(call, 0, call.rows)]))
        finally:
            self._device.give(self._width)

    async def close(self) -> None:
        """Stops. Calls that still wait get ShuttingDown; a server lets its calls finish first."""
        self.worker.cancel()
        await asyncio.wait([self.worker])

    def _ended(self, worker: "asyncio.Task[None]") -> None:
        """Answers those who wait when the worker has ended."""
        if not worker.cancelled():
            _log.critical("the batcher's worker died. This is a bug.", exc_info=worker.exception())
        for call in list(self._line):
            fail(call, ShuttingDown())
        self._admission.close()

    def _over(self, call: Call[R, A]) -> None:
        """Drops a call when its caller is answered, and learns by how much later than expected that is.

        The event loop comes to this when it comes to the caller: under load that is what makes answers late. A caller
        who left early says nothing about it. One who left at his deadline says that the answer was late.
        """
        now = time.monotonic()
        if call.expected_seconds is not None and (now >= call.deadline or not call.future.cancelled()):
            self._admission.learn_slip(now - call.arrived - call.expected_seconds, call.row_weight)
        if call.waiting or call.future.cancelled():  # most calls have no rows left to drop
            self._forming.drop(call)
        self._admission.wake_waiting()

    async def _work_side_by_side(self, executors: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(executors):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            batches = await self._forming.take_next()
            try:
                self._admission.wake_waiting()  # what left the line has made room
                if batches:
                    await self._executor.run(*batches)
            finally:
                self._device.give(self._width)
