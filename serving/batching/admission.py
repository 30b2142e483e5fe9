"""Admission: which calls may queue, which wait until there is room, and which are refused."""

import time
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Generic

from serving.batching.batch_times import BatchTimes, weight_class
from serving.batching.call import A, R
from serving.batching.executor import Executor
from serving.batching.line import Line
from serving.batching.load import Load
from serving.batching.waiting_room import WaitingRoom
from serving.tally import BatchTally
from vaeserve.errors import DeadlineUnreachable, Overloaded

_BULK_PART = 3 / 4  # of the queue may be bulk: bulk callers wait for room, and would otherwise leave none for the rest
_CAUTION = 1.2  # factor on the time until an answer when it is compared with a deadline

_RECENT = 0.95  # share of a need that remains at the next call

# A call that is admitted and late is worse than one that is refused, so slips are believed sooner than their end.
_SLIP_RISES, _SLIP_FALLS = 0.3, 0.03


class RowAdmission(Generic[R, A]):
    """Decides about calls by the room in the queue and by their deadlines.

    Args:
        line: the calls that wait.
        times: how long batches take.
        executor: what runs them.
        tally: where refusals are counted.
        queue_rows: maximum weight of the rows that wait, beside one bulk call.
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
        self._slip_seconds: defaultdict[int, float] = defaultdict(float)  # by the class of the rows' weight
        self.recent_need = 0.0
        """Maximum of the seconds that recent calls needed until their deadlines."""
        self._is_closed = False

    def has_room(self, load: Load, *, bulk: bool) -> bool:
        """Whether a call would be admitted now. A bulk call does not overtake those that wait for room."""
        return not (bulk and self._room.has_waiters) and self._fits(load, bulk)

    async def wait_for_room(self, load: Load, timeout_seconds: float | None, *, bulk: bool) -> float | None:
        """Waits until rows have room, or never will. Returns what is left of the timeout.

        Raises:
            DeadlinePassed: the time ran out.
        """
        began = time.monotonic()
        await self._room.wait(lambda: self._need_not_wait(load, bulk), timeout_seconds)
        return None if timeout_seconds is None else timeout_seconds - (time.monotonic() - began)

    def check_room(self, load: Load, *, bulk: bool) -> None:
        """Raises Overloaded if rows do not fit into the queue."""
        if not self._fits(load, bulk):
            raise self.refuse(load, bulk=bulk)

    def refuse(self, load: Load, *, bulk: bool) -> Overloaded:
        """Counts a refusal of rows that `has_room` does not admit, and returns it."""
        self._tally.refused_full += 1
        last, *others = self._line.loads or [Load(0)]
        retry_seconds = max(0.01, self._seconds_until(last, others) or 0.0)
        return Overloaded(self._why_not(load, bulk), retry_seconds)

    def expect(self, load: Load, key: Hashable, timeout_seconds: float, *, bulk: bool) -> float | None:
        """Returns when rows are likely to be answered, in seconds; None while that is unknown or a guess.

        Raises:
            DeadlineUnreachable: that is too late. On an idle device, half the expected time must fit, because a try
                costs nobody anything.
        """
        own, others = self._line.ahead(load, key, bulk=bulk)
        expected = self._seconds_until(own, others)
        if expected is None:
            return None
        need = self._need(expected, self._slip_seconds[weight_class(load.row_weight)])
        self.recent_need = max(need, _RECENT * self.recent_need)
        self._check_need(need, timeout_seconds)
        if key is not None and not self._times.have_run((own, *others), is_busy=self._executor.is_busy):
            return None
        return expected

    def check_deadline(self, timeout_seconds: float, *, bulk: bool) -> None:
        """Refuses a call that would not be answered in time if it had one row, of the least weight and the least slip.

        Raises:
            DeadlineUnreachable: it would be late.
        """
        own, others = self._line.ahead(Load(1), None, bulk=bulk)
        expected = self._seconds_until(own, others)
        if expected is not None:
            self._check_need(self._need(expected, min(self._slip_seconds.values(), default=0.0)), timeout_seconds)

    def _need(self, expected: float, slip_seconds: float) -> float:
        """Returns how far a deadline must be for an answer that is expected then."""
        is_idle = not self._line.weight and not self._executor.is_busy
        return expected / 2 if is_idle else _CAUTION * expected + slip_seconds

    def _check_need(self, need: float, timeout_seconds: float) -> None:
        if need > timeout_seconds:
            self._tally.refused_unreachable += 1
            raise DeadlineUnreachable(
                f"an answer may take {need:.3g} s as things are, the deadline allows {timeout_seconds:.3g} s"
            )

    def learn_slip(self, seconds: float, row_weight: int) -> None:
        """Takes in by how much later than expected a call was answered, or given up.

        The event loop under load makes answers late, and so does everything else that no batch's time shows. Rows of
        other weights say nothing about it: what is little for a heavy one would keep all light ones out.
        """
        kind = weight_class(row_weight)
        slip_seconds = self._slip_seconds[kind]
        newest_share = _SLIP_RISES if seconds > slip_seconds else _SLIP_FALLS
        self._slip_seconds[kind] += newest_share * (max(0.0, seconds) - slip_seconds)

    def wake_waiting(self) -> None:
        """Wakes the first of the calls that wait for room, to see whether there is any."""
        self._room.wake_first()

    def close(self) -> None:
        """Admits nobody any more, and ends every wait for room."""
        self._is_closed = True
        self.wake_waiting()

    def _fits(self, load: Load, bulk: bool) -> bool:
        """Whether rows fit into the queue. One bulk call always does, or a crowd of other calls would starve it."""
        if bulk and not self._line.bulk_weight:
            return self._ever_fits(load)
        weight = load.weight
        if bulk and self._line.bulk_weight + weight > _BULK_PART * self._queue_rows:
            return False
        waiting = self._line.weight
        return waiting + weight <= self._queue_rows or (not waiting and self._ever_fits(load))

    def _ever_fits(self, load: Load) -> bool:
        """Whether rows fit into an empty queue. A single one always does, however heavy."""
        return load.rows == 1 or load.weight <= self._queue_rows

    def _why_not(self, load: Load, bulk: bool) -> str:
        """Returns why rows are refused: other calls wait for room before them, or they do not fit."""
        if self._fits(load, bulk):
            return "bulk calls are waiting for room in the queue, and a later bulk call does not pass them"
        if self._line.weight + load.weight <= self._queue_rows:
            waiting, limit = (
                f"{self._line.bulk_weight} bulk rows are waiting, their",
                int(_BULK_PART * self._queue_rows),
            )
        else:
            limit = self._queue_rows
            waiting = f"{self._line.weight} rows are waiting, the"
        counted = f", which count as {load.weight}" if load.row_weight > 1 else ""
        return f"{waiting} limit of {limit} leaves no room for {load.rows} more{counted}"

    def _need_not_wait(self, load: Load, bulk: bool) -> bool:
        """Whether rows have room, or never will: then they go on, and are refused."""
        return self._fits(load, bulk) or not self._ever_fits(load) or self._is_closed

    def _seconds_until(self, last: Load, others: Sequence[Load]) -> float | None:
        """Returns when the last of some waiting rows is likely to be answered; None while nothing is known."""
        rows, row_weight = last
        return self._times.seconds_until(rows, is_busy=self._executor.is_busy, row_weight=row_weight, others=others)
