"""BatchTimes: how long batches take, learned from those that ran."""

import time

_WEIGHT = 0.1  # of the newest measurement
_OUTLIER = 3.0  # times the average: what took longer was held up by something else, and counts as this much


class BatchTimes:
    """Running averages of a batch's seconds, by size in powers of two, and of how often full batches begin.

    The executor tells it of batches that begin and end. Everything else reads.

    Args:
        batch_rows: maximum number of rows in a batch.
    """

    def __init__(self, batch_rows: int) -> None:
        self._batch_rows = batch_rows
        self._seconds: dict[int, float] = {}
        self._cycle_seconds: float | None = None  # from a full batch to the next full one
        self._turn_seconds: float | None = None  # from a full batch to the next of any size
        self._last_full = 0.0
        self._is_backlogged = self._is_after_full = False
        self._free_at = 0.0

    def learn(self, rows: int, seconds: float) -> None:
        """Takes in that a batch of `rows` ran for `seconds`."""
        size = _size(rows)
        self._seconds[size] = _averaged(self._seconds.get(size), seconds)

    def begin(self, rows: int, now: float, *, is_backlogged: bool) -> None:
        """Takes in that a batch of `rows` begins, and whether another full one waits behind it."""
        since_full = now - self._last_full
        if self._is_after_full:
            self._turn_seconds = self._learned(self._turn_seconds, since_full)
        self._is_after_full = rows == self._batch_rows and is_backlogged
        if rows == self._batch_rows:
            if self._is_backlogged:
                self._cycle_seconds = self._learned(self._cycle_seconds, since_full)
            self._last_full = now
            self._free_at = now + (self._turn_seconds or self.at_least(rows) or 0.0)
        else:
            self._free_at = now + (self.at_least(rows) or 0.0)
        # A backlog that ended without a full batch says nothing of the next one.
        self._is_backlogged = is_backlogged and (self._is_backlogged or rows == self._batch_rows)

    def at_most(self, rows: int) -> float | None:
        """Returns how long a batch of `rows` takes at most; None if none as large has run yet."""
        larger = [size for size in self._seconds if size >= _size(rows)]
        return self._seconds[min(larger)] if larger else None

    def at_least(self, rows: int) -> float | None:
        """Returns how long a batch of `rows` takes at least: as a smaller one, and per row as a larger one."""
        bounds = [seconds * min(1.0, 2.0 ** (_size(rows) - size)) for size, seconds in self._seconds.items()]
        return max(bounds, default=None)

    def price(self, rows: int) -> float:
        """Returns the share of a full batch's time that so many rows take alone, in rows; `rows` if it is unknown."""
        alone, full = self.at_least(rows), self.at_least(self._batch_rows)
        return rows if not alone or not full else max(rows, alone / full * self._batch_rows)

    def seconds_until(self, rows: int, *, is_busy: bool) -> float | None:
        """Returns in how many seconds the last of so many waiting rows is likely to be answered; None if unknown.

        Where a size has not run yet, its time is the minimum that it may be, so that nobody is refused by a guess.

        Args:
            rows: at least one, or 0 for none.
            is_busy: Whether a batch runs.
        """
        full_batches, rest = divmod(max(rows - 1, 0), self._batch_rows)
        cycle, last = self._full_cycle(), self.at_least(rest + 1)
        if cycle is None or last is None:
            return None
        until_free = max(0.0, self._free_at - time.monotonic()) if is_busy else 0.0
        return until_free + full_batches * cycle + last

    def _learned(self, average: float | None, seconds: float) -> float | None:
        """Returns a running average. Outliers are capped, the first value too: its callers may have been away."""
        full = self.at_least(self._batch_rows)
        return average if full is None else _averaged(average, min(seconds, _OUTLIER * (average or full)))

    def _full_cycle(self) -> float | None:
        """Returns the time from one full batch to the next, whoever else is served in between; None if unknown."""
        return self.at_least(self._batch_rows) if self._cycle_seconds is None else self._cycle_seconds


def _size(rows: int) -> int:
    return (rows - 1).bit_length()


def _averaged(old: float | None, new: float) -> float:
    return new if old is None else old + _WEIGHT * (min(new, _OUTLIER * old) - old)
