"""BatchTimes: how long batches take, learned from those that ran."""

import time
from collections import defaultdict
from collections.abc import Hashable, Iterable
from functools import cache

from serving.batching.load import Load
from serving.batching.row_times import RowTimes, log2_up
from vaeserve.slices import rows_that_fit


class BatchTimes:
    """What batches take, by the weight of their rows and by their number, and how often full batches begin.

    The executor tells it of batches that begin and end. Everything else reads. The time of a row may grow as the square
    of its weight, so heavy rows are not estimated from light ones that ran: these only say what is the minimum.

    Args:
        batch_rows: maximum weight of a batch.
        executors: number of batches that may run at the same time.
    """

    def __init__(self, batch_rows: int, executors: int = 1) -> None:
        self._batch_rows = batch_rows
        self._executors = executors
        self._classes: defaultdict[int, RowTimes] = defaultdict(RowTimes)
        self._last_full, self._full_rows, self._last_batches = 0.0, 0, 1
        self._after_full: RowTimes | None = None
        self._is_backlogged = False
        self._key: Hashable = None
        self._free_at = 0.0
        self._is_free_known = True

    def learn(self, rows: int, seconds: float, row_weight: int = 1) -> None:
        """Takes in that a batch of `rows` ran for `seconds`."""
        self._classes[weight_class(row_weight)].learn(rows, seconds)

    def begin(
        self,
        rows: int,
        now: float,
        batches: int = 1,
        *,
        is_backlogged: bool,
        row_weight: int = 1,
        key: Hashable = None,
    ) -> None:
        """Takes in that a batch of `rows` begins, and whether another full one waits behind it.

        `batches` such batches run one after the other, this one included.
        """
        times, since_full = self._classes[weight_class(row_weight)], (now - self._last_full) / self._last_batches
        is_full = Load(rows, row_weight).fills(self._batch_rows)
        if self._after_full is not None:
            self._after_full.learn_turn(self._full_rows, since_full)
        self._after_full = times if is_full and is_backlogged else None
        if key != self._key:  # full batches of a key follow one another, or say nothing of how often they do
            self._key, self._is_backlogged = key, False
        seconds = self.at_least(rows, row_weight) or 0.0
        if is_full:
            if self._is_backlogged:
                times.learn_cycle(rows, since_full)
            self._last_full, self._full_rows, self._last_batches = now, rows, batches
            seconds = times.turn_seconds or seconds
        self._free_at, self._is_free_known = now + batches * seconds, times.is_known
        # A backlog that ended without a full batch says nothing of the next one.
        self._is_backlogged = is_backlogged and (self._is_backlogged or is_full)

    def at_most(self, rows: int, row_weight: int = 1) -> float | None:
        """Returns how long a batch of `rows` takes at most; None if none as large, of rows as heavy, has run yet."""
        wanted = weight_class(row_weight)
        if wanted in self._classes and (seconds := self._classes[wanted].at_most(rows)) is not None:
            return seconds
        heavier = sorted(weight for weight in self._classes if weight > wanted)
        bounds = (self._classes[weight].at_most(rows) for weight in heavier)
        return next((seconds for seconds in bounds if seconds is not None), None)

    def at_least(self, rows: int, row_weight: int = 1) -> float | None:
        """Returns how long a batch of `rows` takes at least; None while nothing is known.

        Where no row of such a weight has run: as with lighter rows, and with heavier ones by the square of the weight.
        """
        wanted = weight_class(row_weight)
        if wanted in self._classes and (seconds := self._classes[wanted].at_least(rows)) is not None:
            return seconds
        bounds = ((weight, times.at_least(rows)) for weight, times in self._classes.items())
        return max((s * min(1.0, 2.0 ** (wanted - weight)) for weight, s in bounds if s is not None), default=None)

    def price(self, rows: int, row_weight: int = 1) -> float:
        """Returns the share of a full batch's time that so many rows take alone, in weight; theirs if it is unknown."""
        full_rows = rows_that_fit(self._batch_rows, row_weight)
        alone, full = self.at_least(rows, row_weight), self.at_least(full_rows, row_weight)
        return row_weight * (rows if not alone or not full else max(rows, alone / full * full_rows))

    def have_run(self, loads: Iterable[Load], *, is_busy: bool) -> bool:
        """Whether rows of such weights have run, and of those that run now. Otherwise what is expected is a guess."""
        return (self._is_free_known or not is_busy) and all(
            self._classes[weight_class(load.row_weight)].is_known for load in loads
        )

    def seconds_until(
        self, rows: int, *, is_busy: bool, row_weight: int = 1, others: Iterable[Load] = ()
    ) -> float | None:
        """Returns in how many seconds the last of so many waiting rows is likely to be answered; None if unknown.

        Where a size has not run yet, its time is the minimum that it may be, so that nobody is refused by a guess.

        Args:
            rows: at least one, or 0 for none.
            is_busy: whether a batch runs.
            row_weight: of each of them.
            others: rows of other keys that run before.
        """
        full_rows = rows_that_fit(self._batch_rows, row_weight)
        full_batches, rest = divmod(max(rows - 1, 0), full_rows)
        cycle, last = self._full_cycle(full_rows, row_weight), self.at_least(rest + 1, row_weight)
        if cycle is None or last is None:
            return None
        until_free = max(0.0, self._free_at - time.monotonic()) if is_busy else 0.0
        return until_free + sum(map(self._seconds_of, others)) + full_batches * cycle + last

    def _seconds_of(self, load: Load) -> float:
        """Returns how long all batches of other rows take at least."""
        full_rows = rows_that_fit(self._batch_rows, load.row_weight)
        full_batches, rest = divmod(load.rows, full_rows)
        seconds = full_batches * (self.at_least(full_rows, load.row_weight) or 0.0)
        return (seconds + (self.at_least(rest, load.row_weight) or 0.0 if rest else 0.0)) / self._executors

    def _full_cycle(self, full_rows: int, row_weight: int) -> float | None:
        """Returns the time from one full batch to the next, whoever else is served in between; None if unknown."""
        cycle = self._classes[weight_class(row_weight)].cycle_seconds
        return self.at_least(full_rows, row_weight) if cycle is None else cycle


@cache
def weight_class(row_weight: int) -> int:
    """Returns the class of a row's weight: within one, a time that grows as its square at most doubles."""
    return log2_up(row_weight * row_weight)
