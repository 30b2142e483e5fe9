"""Executor: runs batches on a device, and gives every call its own answer."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from serving.batching.batch import Batch, halves
from serving.batching.batch_spans import note_begin, note_end, note_left_out
from serving.batching.batch_times import BatchTimes
from serving.batching.call import A, Answer, Call, Piece, R
from serving.batching.device import Device
from serving.interrupt import Interrupt
from serving.tally import BatchTally
from vaeserve.errors import DeadlinePassed, EngineFailure, NonFiniteOutput, OutOfMemory, ShuttingDown, VaeError

_log = logging.getLogger(__name__)

LONE_SECONDS = 0.0018
"""Shorter batches run on the event loop where a thread gains nothing: for a lone caller, or on a single processor."""

RunBatch = Callable[[Sequence[R], Interrupt | None], Sequence[A | NonFiniteOutput]]
E = TypeVar("E", bound=VaeError)


class Executor(Generic[R, A]):
    """Runs batches. Whatever goes wrong in one fails its own calls alone.

    Args:
        run: turns a batch, the calls' shares in order, into one answer or one error for each share. Called on one of
            the device's threads, or on the event loop where batches are short. May stop early once it is interrupted.
        device: what runs it.
        times: how long batches take; the executor alone tells it.
        inline_seconds: batches that are likely to be shorter run on the event loop.
        tally: where to count.
    """

    def __init__(
        self, run: RunBatch[R, A], device: Device, times: BatchTimes, inline_seconds: float, tally: BatchTally
    ) -> None:
        self._run = run
        self._device = device
        self._times = times
        self._inline_seconds = inline_seconds
        self._tally = tally
        self._running: set[Batch[R, A]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a batch runs."""
        return bool(self._running)

    def stop_unwanted(self) -> None:
        """Stops the batches whose rows nobody wants any more."""
        for batch in self._running:
            if all(piece.call.future.done() for piece in batch.wanted):
                batch.interrupt.set()

    def is_short(self, rows: int, row_weight: int = 1, *, is_alone: bool = False) -> bool:
        """Whether a batch of so many rows is to run on the event loop.

        Short batches are: a thread would hardly have taken them over before they end. While a caller is alone, batches
        may be longer, because nothing else is to be done meanwhile.
        """
        expected, limit = self._times.at_most(rows, row_weight), self._inline_seconds
        if is_alone and limit:
            limit = max(limit, LONE_SECONDS)
        return expected is not None and expected < limit

    def run_now(self, batch: Batch[R, A]) -> None:
        """Runs a short batch on the event loop, where nothing could interrupt it."""
        try:
            self._compute_here(batch)
        except OutOfMemory as exc:
            self._give_up(batch, exc)
        except Exception as exc:
            self._report(batch, exc)

    async def run(self, batch: Batch[R, A]) -> None:
        """Runs a batch and resolves its calls. The caller holds the device's slots."""
        self._times.begin(
            batch.rows, time.monotonic(), is_backlogged=batch.is_backlogged, row_weight=batch.row_weight, key=batch.key
        )
        try:
            await self._try(batch)
        except asyncio.CancelledError:
            _fail_all(batch, ShuttingDown, "the server is shutting down")
            raise

    async def _try(self, batch: Batch[R, A], *, is_half: bool = False) -> None:
        try:
            if self.is_short(batch.rows, batch.row_weight):
                self._compute_here(batch)
            else:
                await self._compute_on_thread(batch)
        except OutOfMemory as exc:
            if is_half or batch.rows < 2:
                self._give_up(batch, exc)
            else:
                await self._halve(batch)
        except Exception as exc:
            self._report(batch, exc)

    def _compute_here(self, batch: Batch[R, A]) -> None:
        batch.started = started = time.monotonic()
        answers = self._run([piece.rows for piece in batch.wanted], None)
        self._deliver(batch, answers, started, time.monotonic() - started)

    async def _compute_on_thread(self, batch: Batch[R, A]) -> None:
        self._running.add(batch)
        note_begin(batch)
        try:
            answers, started, ended = await self._device.run(self._compute, batch)
        finally:
            self._running.discard(batch)
            note_left_out(batch)
            for piece in batch.unwanted:
                self._drop(piece)
        if batch.wanted:
            self._deliver(batch, answers, started, ended - started)

    def _compute(self, batch: Batch[R, A]) -> tuple[Sequence[A | NonFiniteOutput], float, float]:
        """Runs what is still wanted of a batch, on a thread. Returns the answers, and when it began and ended."""
        batch.started = started = time.monotonic()
        batch.leave_out_unwanted(started)
        answers = self._run([piece.rows for piece in batch.wanted], batch.interrupt) if batch.wanted else []
        return answers, started, time.monotonic()

    def _drop(self, piece: Piece[R, A]) -> None:
        """Counts rows that were left out because their call was over or late, and answers the late one."""
        if piece.call.future.cancelled():
            self._tally.cancelled_rows += len(piece.rows)
        elif not piece.call.future.done():  # other rows of it may have failed
            self._tally.late_rows += len(piece.rows)
            fail(piece.call, DeadlinePassed("the deadline passed while the rows were queued"))

    def _deliver(
        self, batch: Batch[R, A], answers: Sequence[A | NonFiniteOutput], started: float, seconds: float
    ) -> None:
        now = time.monotonic()
        note_end(batch, started + seconds)
        self._times.learn(batch.rows, seconds, batch.row_weight)
        self._tally.running_seconds.observe(seconds)
        self._tally.batch_rows.observe(batch.rows)
        for piece, answer in zip(batch.wanted, answers, strict=True):
            call = piece.call
            if call.future.done() or call.deadline < now:
                self._tally.wasted_rows += len(piece.rows)
            if isinstance(answer, NonFiniteOutput):
                self._tally.non_finite_rows += len(answer.rows)
                fail(call, answer.after(piece.start))
                continue
            call.parts[piece.start] = answer
            call.unanswered -= len(piece.rows)
            call.queued_seconds = max(call.queued_seconds, started - call.arrived)
            call.running_seconds += seconds
            call.batch_rows = max(call.batch_rows, batch.rows)
            if not call.unanswered and not call.future.done():  # a call may be cancelled while its rows run
                queued = self._tally.bulk_queued_seconds if call.bulk else self._tally.queued_seconds
                queued.observe(call.queued_seconds)
                call.future.set_result(_answer(call))

    async def _halve(self, batch: Batch[R, A]) -> None:
        """Retries a batch that ran out of memory, once, in two halves."""
        note_end(batch, time.monotonic(), "out of memory, tried again in two halves")
        _log.warning("a batch of %d rows ran out of memory, trying again in two halves", batch.rows)
        self._tally.halved_batches += 1
        for half in halves(batch.wanted, batch.rows // 2):
            await self._try(Batch(half), is_half=True)

    def _give_up(self, batch: Batch[R, A], error: OutOfMemory) -> None:
        note_end(batch, time.monotonic(), str(error))
        _log.error("a batch of %d rows ran out of memory", batch.rows)
        self._tally.failed_batches += 1
        _fail_all(batch, OutOfMemory, str(error))

    def _report(self, batch: Batch[R, A], error: Exception) -> None:
        """Fails a batch's calls and logs why, unless it was stopped because all their callers are gone."""
        if batch.interrupt.is_set:
            note_end(batch, time.monotonic(), "stopped: all its callers have left")
            self._tally.wasted_rows += batch.rows
            return
        self._tally.failed_batches += 1
        is_ours = isinstance(error, VaeError)
        message = str(error) if is_ours else "the batch failed"
        note_end(batch, time.monotonic(), message)
        cause = error.__cause__ if is_ours else error
        _log.error("a batch of %d calls failed: %s", len(batch.wanted), error, exc_info=cause)
        _fail_all(batch, EngineFailure, message)


def _answer(call: Call[R, A]) -> Answer[A]:
    parts = [call.parts[start] for start in sorted(call.parts)]
    return Answer(parts, call.queued_seconds, call.running_seconds, call.batch_rows)


def _fail_all(batch: Batch[R, A], kind: type[E], message: str) -> None:
    for piece in batch.pieces:  # each gets its own error, which will carry its caller's traceback
        fail(piece.call, kind(message))


def fail(call: Call[R, A], error: VaeError) -> None:
    """Answers a call with an error, unless it is over."""
    if not call.future.done():
        call.future.set_exception(error)
