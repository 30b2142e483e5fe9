"""RowTimes: how long batches of rows of about one weight take, by the number of rows in powers of two."""

_NEWEST_SHARE = 0.1  # of the newest measurement in an average
_OUTLIER = 3.0  # times the average: what took longer was held up by something else, and counts as this much


class RowTimes:
    """Running averages, in seconds."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._at_least: dict[int, float] = {}  # what was asked for: by every call with a deadline, but learned by batch
        self.cycle_seconds: float | None = None
        """From a full batch to the next full one."""
        self.turn_seconds: float | None = None
        """From a full batch to the next of any size."""

    @property
    def is_known(self) -> bool:
        """Whether a batch has run."""
        return bool(self._seconds)

    def learn(self, rows: int, seconds: float) -> None:
        """Takes in that a batch of `rows` ran for `seconds`."""
        exponent = log2_up(rows)
        self._seconds[exponent] = _averaged(self._seconds.get(exponent), seconds)
        self._at_least.clear()

    def learn_cycle(self, full_rows: int, seconds: float) -> None:
        """Takes in how long after a full batch the next full one began."""
        self.cycle_seconds = self._learned(self.cycle_seconds, full_rows, seconds)

    def learn_turn(self, full_rows: int, seconds: float) -> None:
        """Takes in how long after a full batch the next of any size began."""
        self.turn_seconds = self._learned(self.turn_seconds, full_rows, seconds)

    def at_most(self, rows: int) -> float | None:
        """Returns how long a batch of `rows` takes at most; None if none as large has run yet."""
        larger = [exponent for exponent in self._seconds if exponent >= log2_up(rows)]
        return self._seconds[min(larger)] if larger else None

    def at_least(self, rows: int) -> float | None:
        """Returns how long a batch of `rows` takes at least: as a smaller one, and per row as a larger one."""
        exponent = log2_up(rows)
        seconds = self._at_least.get(exponent)
        if seconds is None and self._seconds:
            seconds = max(average * min(1.0, 2.0 ** (exponent - other)) for other, average in self._seconds.items())
            self._at_least[exponent] = seconds
        return seconds

    def _learned(self, average: float | None, full_rows: int, seconds: float) -> float | None:
        """Returns a running average. Outliers are capped, the first value too: its callers may have been away."""
        full = self.at_least(full_rows)
        return average if full is None else _averaged(average, min(seconds, _OUTLIER * (average or full)))


def log2_up(number: int) -> int:
    """Returns the exponent of the power of two that a number is rounded up to."""
    return (number - 1).bit_length()


def _averaged(old: float | None, new: float) -> float:
    return new if old is None else old + _NEWEST_SHARE * (min(new, _OUTLIER * old) - old)
