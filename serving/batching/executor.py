"""Executor: runs batches on a device, and gives every call its own answer."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from serving.batching.batch import Batch, halves
from serving.batching.batch_spans import note_begin, note_end, note_left_out
from serving.batching.batch_times import BatchTimes
from serving.batching.call import A, Answer, Call, R
from serving.batching.device import Device
from serving.interrupt import Interrupt
from serving.tally import BatchTally
from vaeserve.errors import DeadlinePassed, EngineFailure, NonFiniteOutput, OutOfMemory, ShuttingDown, VaeError

_log = logging.getLogger(__name__)

LONE_SECONDS = 0.0018
"""Shorter batches run on the event loop where a thread gains nothing: for a lone caller, or on a single processor."""

RunBatch = Callable[[Sequence[R], Interrupt | None], Sequence[A | NonFiniteOutput]]
E = TypeVar("E", bound=VaeError)


class Ran(NamedTuple, Generic[A]):
    """What came of a batch."""

    answers: Sequence[A | NonFiniteOutput]
    seconds: float


class Executor(Generic[R, A]):
    """Runs batches. Whatever goes wrong in one fails its own calls alone.

    Args:
        run: turns a batch, the calls' shares in order, into one answer or one error for each share. Called on one of
            the device's threads, or on the event loop where batches are short. May stop early once it is interrupted.
        device: what runs it.
        times: how long batches take; the executor alone tells it.
        inline_seconds: batches that are likely to be shorter run on the event loop.
        tally: where to count.
        width: slots of the device that one batch takes.
    """

    def __init__(
        self,
        run: RunBatch[R, A],
        device: Device,
        times: BatchTimes,
        inline_seconds: float,
        tally: BatchTally,
        *,
        width: int = 1,
    ) -> None:
        self._run = run
        self._device = device
        self._times = times
        self._inline_seconds = inline_seconds
        self._tally = tally
        self._width = width
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
        self._settle_now(batch, self._compute(batch))

    async def run(self, *batches: Batch[R, A]) -> None:
        """Runs batches of one kind, one after the other, and resolves their calls. The caller holds the device's slots.

        Between two of them, other batches that wait for the device get it.
        """
        first, settled = batches[0], 0
        self._times.begin(
            first.rows,
            time.monotonic(),
            len(batches),
            is_backlogged=batches[-1].is_backlogged,
            row_weight=first.row_weight,
            key=first.key,
        )
        try:
            while rest := batches[settled:]:
                for batch, outcome in zip(rest, await self._compute_some(rest), strict=False):
                    await self._settle(batch, outcome)
                    settled += 1
                if settled < len(batches) and self._device.is_wanted:
                    await self._device.lend(self._width)
        except asyncio.CancelledError:
            for batch in batches[settled:]:
                self._drop_unwanted(batch)
                _fail_all(batch, ShuttingDown, "the server is shutting down")
            raise

    async def _compute_some(self, batches: Sequence[Batch[R, A]]) -> "list[Ran[A] | Exception]":
        """Runs the first of some batches, and others while nothing is in the way. Returns what became of each."""
        if self.is_short(batches[0].rows, batches[0].row_weight):
            return [self._compute(batches[0])]
        self._running.update(batches)
        for batch in batches:
            note_begin(batch)
        try:
            return await self._device.run(self._compute_on_thread, batches)
        finally:
            self._running.difference_update(batches)

    def _compute_on_thread(self, batches: Sequence[Batch[R, A]]) -> "list[Ran[A] | Exception]":
        """Runs of each batch what is still wanted by then."""
        outcomes: list[Ran[A] | Exception] = []
        for batch in batches:
            if outcomes and (isinstance(outcomes[-1], Exception) or self._device.is_wanted):
                break
            batch.leave_out_unwanted(time.monotonic())
            outcomes.append(self._compute(batch, batch.interrupt))
        return outcomes

    def _compute(self, batch: Batch[R, A], interrupt: Interrupt | None = None) -> "Ran[A] | Exception":
        batch.started = started = time.monotonic()
        try:
            answers = self._run([piece.rows for piece in batch.wanted], interrupt) if batch.wanted else []
        except Exception as exc:
            return exc
        return Ran(answers, time.monotonic() - started)

    async def _settle(self, batch: Batch[R, A], outcome: "Ran[A] | Exception", *, is_half: bool = False) -> None:
        """Answers the calls of a batch that ran."""
        self._drop_unwanted(batch)
        if isinstance(outcome, OutOfMemory) and not is_half and batch.rows > 1:
            await self._halve(batch)
        else:
            self._settle_now(batch, outcome)

    def _settle_now(self, batch: Batch[R, A], outcome: "Ran[A] | Exception") -> None:
        if isinstance(outcome, Exception):
            return self._report(batch, outcome)
        try:
            if batch.wanted:
                self._deliver(batch, outcome)
        except Exception as exc:
            self._report(batch, exc)

    def _drop_unwanted(self, batch: Batch[R, A]) -> None:
        """Counts rows that were left out because their call was over or late, and answers the late ones."""
        note_left_out(batch)
        for piece in batch.unwanted:
            if piece.call.future.cancelled():
                self._tally.cancelled_rows += len(piece.rows)
            elif not piece.call.future.done():  # other rows of it may have failed
                self._tally.late_rows += len(piece.rows)
                fail(piece.call, DeadlinePassed("the deadline passed while the rows were queued"))
        batch.unwanted = ()

    def _deliver(self, batch: Batch[R, A], ran: "Ran[A]") -> None:
        (answers, seconds), now, started = ran, time.monotonic(), batch.started
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
            part = Batch(half)
            [outcome] = await self._compute_some([part])
            await self._settle(part, outcome, is_half=True)

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
        if isinstance(error, OutOfMemory):
            _log.error("a batch of %d rows ran out of memory", batch.rows)
            _fail_all(batch, OutOfMemory, message)
        else:
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
