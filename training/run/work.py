"""Progress of what comes before and after the epochs: reading pictures, the stages of an evaluation."""

import sys
from time import monotonic
from types import TracebackType
from typing import Self, TextIO

from training.run.progress import about, say
from vaeserve.command.bar import Bar, is_wide

FIRST_SECONDS, NEXT_SECONDS = 5, 60  # until a line says how long work takes, and until one says so again


class WorkProgress:
    """Shows how much of a piece of work is done: a bar on a terminal; elsewhere a line now and then, if it takes long.

    Args:
        title: what is being done.
        stream: where to print; None: stderr.
        since: when it began; None: now.
    """

    def __init__(self, title: str, stream: TextIO | None = None, since: float | None = None) -> None:
        self._title = title
        self._stream = stream
        self._since = monotonic() if since is None else since
        self._next_line = self._since + FIRST_SECONDS
        self._bar: Bar | None = None

    def show(self, done: float, of: float) -> None:
        """Takes how much is done, and how much there is."""
        if self._bar is None:
            self._bar = Bar(
                total=of,
                desc=self._title,
                file=self._stream,
                dynamic_ncols=True,
                leave=False,
                disable=not is_wide(self._stream or sys.stderr),
                bar_format="{desc} |{bar}| {remaining}",
            )
        self._bar.update(done - self._bar.n)
        if self._bar.disable and 0 < done < of and (now := monotonic()) >= self._next_line:
            self._next_line = now + NEXT_SECONDS
            left = (now - self._since) / done * (of - done)
            say(f"{self._title}: {about(left)} left", self._stream)

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()


class ReadingProgress:
    """Shows how many pictures were read.

    Args:
        stream: where to print; None: stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._since = monotonic()
        self._work: WorkProgress | None = None

    def __call__(self, read: int, of: int) -> None:
        """Takes the number of pictures that were read, and of all."""
        if self._work is None:
            self._work = WorkProgress(f"reading {of:,} pictures", self._stream, self._since)
        self._work.show(read, of)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._work is not None:
            self._work.close()


class Stages:
    """Shows which stage of an evaluation is running: a bar for each on a terminal, elsewhere a line.

    Args:
        stream: where to print; None: stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._stage = ""
        self._work: WorkProgress | None = None

    def __call__(self, stage: str, share: float) -> None:
        """Takes the name of what is being measured, and the share of it that is done, in [0, 1]."""
        if self._work is None or stage != self._stage:
            self._begin(stage)
        if self._work is not None:
            self._work.show(share, 1)
            if share >= 1:
                self._work.close()

    def _begin(self, stage: str) -> None:
        if self._work is not None:
            self._work.close()
        if not is_wide(self._stream or sys.stderr):
            say(f"evaluating: {stage}", self._stream)
        self._stage, self._work = stage, WorkProgress(f"evaluating: {stage}", self._stream)
