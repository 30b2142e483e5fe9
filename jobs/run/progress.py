"""What a run shows: rows of the total, rows a second, shares of reading, inferring and writing, errors, time left."""

import json
import sys
import time
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, TextIO

from jobs.plan.plan import Marker, RowError, Seconds

Style = Literal["auto", "json", "quiet"]

SHOWN_ERRORS = 10
"""Errors that a run names one by one; the markers have all."""

_LINE_SECONDS = 10.0


class JobFigures(NamedTuple):
    """How far a job is."""

    rows: int
    total: int
    rows_per_second: float
    """Of this run."""
    seconds: Seconds
    """Over all workers, of the partitions that this run finished."""
    errors: int
    seconds_left: float | None


class Progress:
    """Counts the rows of a job.

    Args:
        total: rows of the job.
        done: markers of the partitions that were done before.
        show: shows the figures; called often.
    """

    def __init__(self, total: int, done: Iterable[Marker], show: Callable[[JobFigures], None]) -> None:
        self._total, self._show = total, show
        self._rows = self._errors = 0
        self._seconds = Seconds()
        self._running: dict[str, tuple[int, int]] = {}
        self.first_errors: list[RowError] = []
        """Some of the errors, to be named."""
        for marker in done:
            self._rows += marker.rows
            self._errors += len(marker.errors)
            self._note(marker.errors)
        self._earlier_rows, self._began = self._rows, time.monotonic()

    @property
    def errors(self) -> int:
        """Rows that have an error, in done partitions and in those that are running."""
        return self._errors + sum(errors for _, errors in self._running.values())

    def count(self, key: str, rows: int, errors: tuple[RowError, ...]) -> None:
        """Counts rows of a partition that is running."""
        so_far, wrong = self._running.get(key, (0, 0))
        self._running[key] = (so_far + rows, wrong + len(errors))
        self._note(errors)
        self._show(self.figures())

    def lose(self, key: str) -> None:
        """Forgets the rows of a partition that begins again."""
        self._running.pop(key, None)

    def finish(self, marker: Marker) -> None:
        """Counts a partition that is done."""
        self._running.pop(marker.key, None)
        self._rows += marker.rows
        self._errors += len(marker.errors)
        self._seconds += marker.seconds
        self._show(self.figures())

    def figures(self) -> JobFigures:
        """Returns how far the job is."""
        rows = self._rows + sum(rows for rows, _ in self._running.values())
        rate = (rows - self._earlier_rows) / max(time.monotonic() - self._began, 1e-9)
        left = (self._total - rows) / rate if rate > 0 else None
        return JobFigures(rows, self._total, rate, self._seconds, self.errors, left)

    def _note(self, errors: Iterable[RowError]) -> None:
        for error in errors:
            if len(self.first_errors) < SHOWN_ERRORS and error not in self.first_errors:
                self.first_errors.append(error)


def text_of(figures: JobFigures) -> str:
    """Returns figures as one line."""
    total = figures.seconds.total
    parts = [
        f"{figures.rows:,} of {figures.total:,} rows",
        f"{figures.rows_per_second:,.0f} rows/s",
    ]
    if total:
        shares = {"reading": figures.seconds.read, "inferring": figures.seconds.infer, "writing": figures.seconds.write}
        parts.append(", ".join(f"{name} {100 * value / total:.0f} %" for name, value in shares.items()))
    parts.append(f"{figures.errors:,} error{'s' * (figures.errors != 1)}")
    if figures.seconds_left is not None and figures.rows < figures.total:
        parts.append(f"{duration(figures.seconds_left)} left")
    return "; ".join(parts)


def duration(seconds: float) -> str:
    """Returns "42 s", "3:20" or "2:03:20"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    return f"{hours}:{minutes % 60:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


class Speaker:
    """Shows figures: on a terminal one line that changes, else a line now and then.

    Args:
        style: `json`: an object a line, once a second; `quiet`: nothing.
        stream: where to; None: standard error.
    """

    def __init__(self, style: Style, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._is_quiet = style == "quiet" or self._stream is None
        self._is_json = style == "json"
        self._is_terminal = not self._is_quiet and not self._is_json and self._stream.isatty()
        self._pause = 1.0 if self._is_json else 0.2 if self._is_terminal else _LINE_SECONDS
        self._last = time.monotonic()

    def show(self, figures: JobFigures) -> None:
        """Shows figures, unless the last were shown a moment ago."""
        if self._is_quiet or time.monotonic() < self._last + self._pause:
            return
        self._last = time.monotonic()
        line = _json(figures) if self._is_json else text_of(figures)
        if self._is_terminal:
            print(f"\r{line}\033[K", end="", file=self._stream, flush=True)
        else:
            print(line, file=self._stream, flush=True)

    def end(self) -> None:
        """Clears the line that changes."""
        if self._is_terminal:
            print("\r\033[K", end="", file=self._stream, flush=True)


def _json(figures: JobFigures) -> str:
    return json.dumps(
        {
            "rows": figures.rows,
            "total": figures.total,
            "rows_per_second": round(figures.rows_per_second, 1),
            "seconds": figures.seconds.model_dump(),
            "errors": figures.errors,
            "seconds_left": None if figures.seconds_left is None else round(figures.seconds_left, 1),
        }
    )
