"""Batcher: rows of many callers -> batches for one device. It knows rows, time and a callable, nothing else.

A batch is what is queued when the device is free. A call with more rows than a batch holds is cut and takes turns with
the others; a small one shares a batch. Rows whose caller is gone or late never run, and what becomes of one caller
never changes another's answer. Everything but the callable runs on the event loop, so there are no locks.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from vae.errors import DeadlinePassed, EngineFailure, Overloaded, ShuttingDown, VaeError

_log = logging.getLogger(__name__)

# Turns of the event loop without a new call after which the front is taken to hold no more of them. A turn takes
# microseconds, so a lone caller does not notice; with 64 callers on two cores 0 turns give batches of 1.1 rows, 8 give
# 8 and half the processor time a call (benchmarks/README.md).
QUIET_TURNS = 8
_MOST_TURNS = 256  # whatever the callers do, the device does not wait for more than some milliseconds


class Rows(Protocol):
    """Rows that can be counted and cut."""

    def __len__(self) -> int: ...

    def part(self, start: int, stop: int) -> Self:
        """Returns rows start to stop - 1."""
        ...


R = TypeVar("R", bound=Rows)
A = TypeVar("A")


class Answer(NamedTuple, Generic[A]):
    """What became of a call's rows."""

    parts: list[A]
    """In the order of the rows; one, unless the call was cut."""
    queued_seconds: float
    """Until its last row began to run."""
    running_seconds: float
    """That the batches with its rows ran, in all."""
    batch_rows: int
    """Rows in the largest of those batches, other callers' rows included."""


@dataclass(eq=False, slots=True)
class _Call(Generic[R, A]):
    rows: R
    future: asyncio.Future[Answer[A]]
    deadline: float
    arrived: float
    start_by: float
    """How long the call may be kept waiting for company."""
    waiting: int
    """Rows not yet taken for a batch."""
    parts: list[A] = field(default_factory=list)
    running_seconds: float = 0.0
    batch_rows: int = 0


class _Piece(NamedTuple, Generic[R, A]):
    """A call's share of a batch."""

    call: _Call[R, A]
    rows: R
    is_last: bool


class Device:
    """One executor thread, lent to one batch at a time in the order asked; the batchers of a device share it."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="device")

    async def run(self, function: Callable[[Sequence[R]], Sequence[A]], batch: Sequence[R]) -> Sequence[A]:
        """Runs a batch on the thread. The caller holds `turn`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, batch)

    def close(self) -> None:
        """Ends the thread once it is idle."""
        self._thread.shutdown(wait=True)


class Batcher(Generic[R, A]):
    """Gathers the rows of concurrent calls into batches of at most `batch_rows`.

    Args:
        run: turns a batch, the calls' shares in order, into one answer for each share; called on the device's thread.
        device: what runs it.
        batch_rows: most rows in a batch.
        queue_rows: most rows waiting; past it calls are refused.
        wait_seconds: longest time that a free device waits for a batch to fill, from the oldest row's arrival.
        quiet_turns: turns of the event loop without a new call after which a free device starts.
    """

    def __init__(
        self,
        run: Callable[[Sequence[R]], Sequence[A]],
        device: Device,
        *,
        batch_rows: int,
        queue_rows: int,
        wait_seconds: float = 0.0,
        quiet_turns: int = QUIET_TURNS,
    ) -> None:
        self._run = run
        self._device = device
        self._batch_rows = batch_rows
        self._queue_rows = queue_rows
        self._wait_seconds = wait_seconds
        self._quiet_turns = quiet_turns
        self._queue: dict[_Call[R, A], None] = {}  # in order of their turns; a call that is over leaves at once
        self._live: set[_Call[R, A]] = set()  # queued or running
        self._waiting_rows = 0
        self._arrivals = 0
        self._seconds_per_row = 0.0
        self._arrival = asyncio.Event()
        self.worker = asyncio.create_task(self._work())
        """Ends only when the batcher is closed. A server whose worker died must not go on."""
        self.worker.add_done_callback(self._ended)

    @property
    def waiting_rows(self) -> int:
        """Rows accepted and not yet running."""
        return self._waiting_rows

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
            DeadlinePassed: the time ran out before the last row began to run.
            ShuttingDown: the batcher was closed.
            EngineFailure: the batch failed.
        """
        return await self.enqueue(rows, timeout_seconds, bulk=bulk)

    def enqueue(
        self, rows: R, timeout_seconds: float | None = None, *, bulk: bool = False
    ) -> "asyncio.Future[Answer[A]]":
        """Queues rows as `submit` does, and returns at once where their answer will be.

        Cancelling what it returns takes the rows out of the queue.

        Raises:
            Overloaded: the queue has no room for the rows.
            ShuttingDown: the batcher was closed.
        """
        if self.worker.done():
            raise ShuttingDown("the server is shutting down")
        if self._waiting_rows + len(rows) > self._queue_rows:
            raise Overloaded(
                f"{self._waiting_rows} rows are waiting, {len(rows)} more would pass the limit of {self._queue_rows}",
                retry_seconds=max(0.01, self._waiting_rows * self._seconds_per_row),
            )
        now = time.monotonic()
        timeout_seconds = math.inf if timeout_seconds is None else timeout_seconds
        deadline, start_by = now + timeout_seconds, now + min(self._wait_seconds, timeout_seconds / 2)
        future: asyncio.Future[Answer[A]] = asyncio.get_running_loop().create_future()
        call: _Call[R, A] = _Call(rows, future, deadline, now, start_by, len(rows))
        future.add_done_callback(lambda _: self._forget(call))
        self._live.add(call)
        self._queue[call] = None
        self._waiting_rows += len(rows)
        self._arrivals += 1
        self._arrival.set()
        return future

    async def close(self) -> None:
        """Stops. Calls that still wait get ShuttingDown; a server lets its calls finish first."""
        self.worker.cancel()
        await asyncio.wait([self.worker])

    def _ended(self, worker: "asyncio.Task[None]") -> None:
        """Answers those who wait when the worker is no more."""
        if not worker.cancelled():
            _log.critical("the batcher's worker died. This is a bug.", exc_info=worker.exception())
        for call in self._live:
            _fail(call, ShuttingDown("the server is shutting down"))

    def _forget(self, call: _Call[R, A]) -> None:
        """Lets go of a call that is over, and gives back the room of its rows that will never run."""
        self._live.discard(call)
        self._queue.pop(call, None)
        self._waiting_rows -= call.waiting
        call.waiting = 0

    async def _work(self) -> None:
        while True:
            await self._arrival.wait()
            await self._wait_for_company()
            async with self._device.turn:
                await self._let_front_catch_up()
                batch = self._take()
                if batch:
                    await self._run_batch(batch)
            if not self._queue:
                self._arrival.clear()

    async def _wait_for_company(self) -> None:
        """Waits as long as the setting allows for a batch to fill; others may use the device meanwhile."""
        while self._wait_seconds and self._queue and self._waiting_rows < self._batch_rows:
            left = min(call.start_by for call in self._queue) - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, 0.001))

    async def _let_front_catch_up(self) -> None:
        """Gives the event loop turns until the front has handed over the calls that it already holds."""
        seen, quiet = self._arrivals, 0
        for _ in range(_MOST_TURNS):
            if quiet == self._quiet_turns or not 0 < self._waiting_rows < self._batch_rows:
                return
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._arrivals == seen else 0
            seen = self._arrivals

    def _take(self) -> list[_Piece[R, A]]:
        """Takes a batch: a share of each call in turn, except of those who are late."""
        batch: list[_Piece[R, A]] = []
        room = self._batch_rows
        now = time.monotonic()
        for call in list(islice(self._queue, room)):
            if call.future.done():
                self._forget(call)
            elif call.deadline <= now:
                _fail(call, DeadlinePassed("the deadline passed while the rows were queued"))
                self._forget(call)
            elif room:
                piece = self._cut(call, min(room, call.waiting))
                batch.append(piece)
                room -= len(piece.rows)
        return batch

    def _cut(self, call: _Call[R, A], share: int) -> _Piece[R, A]:
        """Takes the next rows of a call; one with more of them goes to the end of the queue."""
        start = len(call.rows) - call.waiting
        rows = call.rows if share == len(call.rows) else call.rows.part(start, start + share)
        call.waiting -= share
        self._waiting_rows -= share
        del self._queue[call]
        if call.waiting:
            self._queue[call] = None
        return _Piece(call, rows, not call.waiting)

    async def _run_batch(self, batch: Sequence[_Piece[R, A]]) -> None:
        """Runs a batch and resolves its calls; whatever goes wrong is theirs alone, and never ends the worker."""
        started = time.monotonic()
        try:
            answers = await self._device.run(self._run, [piece.rows for piece in batch])
            seconds = time.monotonic() - started
            rows = sum(len(piece.rows) for piece in batch)
            self._seconds_per_row += 0.1 * (seconds / rows - self._seconds_per_row)
            for piece, answer in zip(batch, answers, strict=True):
                _deliver(piece, answer, started, seconds, rows)
        except asyncio.CancelledError:
            _fail_all(batch, ShuttingDown, "the server is shutting down")
            raise
        except VaeError as exc:
            _log.error("a batch of %d calls failed: %s", len(batch), exc, exc_info=exc.__cause__)
            _fail_all(batch, EngineFailure, str(exc))
        except Exception:
            _log.exception("a batch of %d calls failed", len(batch))
            _fail_all(batch, EngineFailure, "the batch failed")


def _deliver(piece: _Piece[R, A], answer: A, started: float, seconds: float, rows: int) -> None:
    call = piece.call
    call.parts.append(answer)
    call.running_seconds += seconds
    call.batch_rows = max(call.batch_rows, rows)
    if piece.is_last and not call.future.done():  # a call may be cancelled while its rows run
        call.future.set_result(Answer(call.parts, started - call.arrived, call.running_seconds, call.batch_rows))


def _fail_all(batch: Sequence[_Piece[R, A]], kind: type[EngineFailure] | type[ShuttingDown], message: str) -> None:
    for piece in batch:  # each gets an error of its own: it will carry its caller's traceback
        _fail(piece.call, kind(message))


def _fail(call: _Call[R, A], error: VaeError) -> None:
    if not call.future.done():
        call.future.set_exception(error)
