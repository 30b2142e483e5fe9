"""Progress of a run: a bar on a terminal, a few plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self, TextIO

from training.step.epoch import Epoch
from vaeserve.command.bar import Bar, is_wide

LINES = 10  # over a whole run
FIRST_SECONDS, NEXT_SECONDS = 5, 60  # until reading says how long it takes, and until it says so again


def say(text: str, stream: TextIO | None = None) -> None:
    """Prints a line on stderr, or on another stream. A stream that is closed or full does not end the run."""
    to = stream or sys.stderr  # None where the process was started without one
    if to is not None:
        with suppress(OSError):
            print(text, file=to, flush=True)


class Length(NamedTuple):
    """How long a run is, in the unit in which its user counts."""

    epochs: int
    steps: int | None = None
    """Steps of an epoch, if the user counts in steps."""

    @property
    def unit(self) -> int:
        """What an epoch adds to the count."""
        return self.steps or 1

    def at(self, epoch: int) -> str:
        """Returns how far a run is after an epoch, for example "epoch  7/50"."""
        every = f"{self.epochs * self.unit}"
        return f"{'step' if self.steps else 'epoch'} {epoch * self.unit:>{len(every)}}/{every}"


class EpochProgress:
    """Shows each epoch when it ends.

    Args:
        length: of the whole run.
        epoch: number of epochs done already.
        latent_size: maximum number of active units.
        rows: number of rows of an epoch.
        stream: where to print; None: stderr. A bar is drawn if it is a terminal and epochs are left.
    """

    def __init__(self, length: Length, epoch: int, latent_size: int, rows: int, stream: TextIO | None = None) -> None:
        self._length = length
        self._first = epoch + 1
        self._latent_size = latent_size
        self._rows = rows
        self._begin = self._since = monotonic()
        self._stream = stream
        self._every = ceil(length.epochs / LINES)
        self._bar = Bar(
            total=length.epochs * length.unit,
            initial=epoch * length.unit,
            file=stream,
            dynamic_ncols=True,
            disable=epoch >= length.epochs or not is_wide(stream or sys.stderr),
            bar_format="{n_fmt}/{total_fmt} |{bar}| {remaining}{postfix}",  # 80 columns hold it
        )

    def show(self, figures: Epoch) -> None:
        """Shows one more epoch."""
        terms = "  ".join(self._terms(figures))
        self._bar.set_postfix_str(terms, refresh=False)
        self._bar.update(self._length.unit)
        is_due = figures.epoch % self._every == 0 or figures.epoch in {self._first, self._length.epochs}
        if self._bar.disable and is_due:
            say(f"{self._length.at(figures.epoch)}  {terms}{self._time_left(figures.epoch)}", self._stream)

    def _time_left(self, epoch: int) -> str:
        done, left = epoch + 1 - self._first, self._length.epochs - epoch
        return f"  {about((monotonic() - self._begin) / done * left)} left" if left else ""

    def _terms(self, figures: Epoch) -> Iterator[str]:
        if figures.negative_elbo_nats is not None:
            yield f"ELBO {-figures.negative_elbo_nats:.1f}"
        if figures.reconstruction_nats is not None:
            yield f"reconstruction {figures.reconstruction_nats:.1f}"
        else:
            yield f"loss {figures.loss_nats:.2f}"
        if figures.kl_nats is not None:
            yield f"KL {figures.kl_nats:.1f}"
        for name, value in figures.own.items():
            yield f"{name.removesuffix('_nats').replace('_', ' ')} {value:.2f}"
        if figures.validation_nats is not None:
            yield f"validation loss {figures.validation_nats:.2f}"
        yield f"active {figures.active_units}/{self._latent_size}"
        yield f"{self._rows / max(monotonic() - self._since, 1e-9):,.0f} rows/s"
        self._since = monotonic()
        if figures.skipped_steps:
            yield f"{figures.skipped_steps} steps skipped"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()


class ReadingProgress:
    """Shows how many pictures were read: a bar on a terminal; elsewhere a line now and then, if it takes long.

    Args:
        stream: where to print; None: stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._since = monotonic()
        self._next_line = self._since + FIRST_SECONDS
        self._bar: Bar | None = None

    def __call__(self, read: int, of: int) -> None:
        """Takes the number of pictures that were read, and of all."""
        if self._bar is None:
            self._bar = Bar(
                total=of,
                desc=f"reading {of:,} pictures",
                file=self._stream,
                dynamic_ncols=True,
                leave=False,
                disable=not is_wide(self._stream or sys.stderr),
                bar_format="{desc} |{bar}| {remaining}",
            )
        self._bar.update(read - self._bar.n)
        if self._bar.disable and read < of and (now := monotonic()) >= self._next_line:
            self._next_line = now + NEXT_SECONDS
            left = (now - self._since) / read * (of - read)
            say(f"reading {of:,} pictures: {about(left)} left", self._stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()


def about(seconds: float) -> str:
    """Returns a time as people say it: "about 40 s", "about 12 min", "about 3.5 h"."""
    if seconds < 90:
        return f"about {ceil(seconds)} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


class Stages:
    """Shows on a terminal which stage of an evaluation is running; elsewhere prints one line at the beginning.

    Args:
        stream: where to print; None: stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._bar: Bar | None = None
        self._stage = ""
        self._stream = stream
        say("evaluating the graphs on held-out rows", stream)

    def __call__(self, stage: str, share: float) -> None:
        """Takes the name of what is being measured, and the share of it that is done, in [0, 1]."""
        if stage != self._stage:
            self._stage, self._bar = (
                stage,
                Bar(
                    total=100,
                    desc=stage,
                    file=self._stream,
                    dynamic_ncols=True,
                    leave=False,
                    disable=not is_wide(self._stream or sys.stderr),
                    bar_format="{desc} |{bar}| {remaining}",
                ),
            )
        if self._bar is not None:
            self._bar.update(round(100 * share) - self._bar.n)
            if share >= 1:
                self._bar.close()
