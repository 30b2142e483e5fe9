"""Admission: which calls may queue, which wait until there is room, and which are refused."""

import time
from typing import Generic

from serving.batching.batch_times import BatchTimes
from serving.batching.call import A, R
from serving.batching.executor import Executor
from serving.batching.line import Line
from serving.batching.waiting_room import WaitingRoom
from serving.tally import BatchTally
from vaeserve.errors import DeadlineUnreachable, Overloaded

_BULK_PART = 3 / 4  # of the queue may be bulk: bulk callers wait for room, and would otherwise leave none for the rest
_CAUTION = 1.2  # factor on the time until an answer when it is compared with a deadline

# A call that is admitted and late is worse than one that is refused, so slips are believed sooner than their end.
_SLIP_RISES, _SLIP_FALLS = 0.3, 0.03


class RowAdmission(Generic[R, A]):
    """Decides about calls by the room in the queue and by their deadlines.

    Args:
        line: the calls that wait.
        times: how long batches take.
        executor: what runs them.
        tally: where refusals are counted.
        queue_rows: maximum number of rows that wait, beside one bulk call.
    """

    def __init__(
        self, line: Line[R, A], times: BatchTimes, executor: Executor[R, A], tally: BatchTally, queue_rows: int
    ) -> None:
        self._line = line
        self._times = times
        self._executor = executor
        self._tally = tally
        self._queue_rows = queue_rows
        self._room = WaitingRoom()
        self._slip_seconds = 0.0
        self._is_closed = False

    def has_room(self, rows: int, *, bulk: bool) -> bool:
        """Whether a call would be admitted now. A bulk call does not overtake those that wait for room."""
        return not (bulk and self._room.has_waiters) and self._fits(rows, bulk)

    async def wait_for_room(self, rows: int, timeout_seconds: float | None, *, bulk: bool) -> float | None:
        """Waits until rows have room, or never will. Returns what is left of the timeout.

        Raises:
            DeadlinePassed: the time ran out.
        """
        began = time.monotonic()
        await self._room.wait(lambda: self._need_not_wait(rows, bulk), timeout_seconds)
        return None if timeout_seconds is None else timeout_seconds - (time.monotonic() - began)

    def check_room(self, rows: int, *, bulk: bool) -> None:
        """Raises Overloaded if rows do not fit into the queue."""
        if not self._fits(rows, bulk):
            raise self.refuse(rows, bulk=bulk)

    def refuse(self, rows: int, *, bulk: bool) -> Overloaded:
        """Counts a refusal of rows that `has_room` does not admit, and returns it."""
        self._tally.refused_full += 1
        retry_seconds = max(0.01, self._seconds_until(self._line.rows) or 0.0)
        return Overloaded(self._why_not(rows, bulk), retry_seconds)

    def expect(self, rows: int, timeout_seconds: float, *, bulk: bool) -> float | None:
        """Returns when rows are likely to be answered, in seconds; None while nothing is known.

        Raises:
            DeadlineUnreachable: that is too late. On an idle device, half the expected time must fit, because a try
                costs nobody anything.
        """
        expected = self._seconds_until(self._line.rows_until(rows, bulk=bulk))
        if expected is None:
            return None
        is_idle = not self._line.rows and not self._executor.is_busy
        if (expected / 2 if is_idle else _CAUTION * expected + self._slip_seconds) > timeout_seconds:
            self._tally.refused_unreachable += 1
            raise DeadlineUnreachable(
                f"the answer is expected in {expected:.3g} s, the deadline allows {timeout_seconds:.3g} s"
            )
        return expected

    def learn_slip(self, seconds: float) -> None:
        """Takes in by how much later than expected a call was answered, or given up.

        The event loop under load makes answers late, and so does everything else that no batch's time shows.
        """
        weight = _SLIP_RISES if seconds > self._slip_seconds else _SLIP_FALLS
        self._slip_seconds += weight * (max(0.0, seconds) - self._slip_seconds)

    def wake_waiting(self) -> None:
        """Wakes the first of the calls that wait for room, to see whether there is any."""
        self._room.wake_first()

    def close(self) -> None:
        """Admits nobody any more, and ends every wait for room."""
        self._is_closed = True
        self.wake_waiting()

    def _fits(self, rows: int, bulk: bool) -> bool:
        """Whether rows fit into the queue. One bulk call always does, or a crowd of other calls would starve it."""
        if bulk and not self._line.bulk_rows:
            return rows <= self._queue_rows
        if bulk and self._line.bulk_rows + rows > _BULK_PART * self._queue_rows:
            return False
        return self._line.rows + rows <= self._queue_rows

    def _why_not(self, rows: int, bulk: bool) -> str:
        """Returns why rows are refused: other calls wait for room before them, or they do not fit."""
        if self._fits(rows, bulk):
            return "bulk calls are waiting for room in the queue, and a later bulk call does not pass them"
        if self._line.rows + rows <= self._queue_rows:
            waiting, limit = f"{self._line.bulk_rows} bulk rows are waiting, their", int(_BULK_PART * self._queue_rows)
        else:
            waiting, limit = f"{self._line.rows} rows are waiting, the", self._queue_rows
        return f"{waiting} limit of {limit} leaves no room for {rows} more"

    def _need_not_wait(self, rows: int, bulk: bool) -> bool:
        """Whether rows have room, or never will: then they go on, and are refused."""
        return self._fits(rows, bulk) or rows > self._queue_rows or self._is_closed

    def _seconds_until(self, rows: int) -> float | None:
        """Returns when the last of so many waiting rows is likely to be answered; None while nothing is known."""
        return self._times.seconds_until(rows, is_busy=self._executor.is_busy)
