"""Progress of a run's epochs: a bar on a terminal, a few plain lines elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import ceil
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self, TextIO

from training.step.epoch import Epoch
from vaeserve.command.bar import Bar, is_wide

LINES = 10  # over a whole run
WIDTH = 119  # maximum number of characters of a line
_GAP = "  "


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
    """Steps that the user asked for, if the user counts in steps. The last epoch may go beyond them."""
    steps_of_epoch: int = 1

    @property
    def total(self) -> int:
        """What the count comes to."""
        return self.steps or self.epochs

    def count(self, epoch: int) -> int:
        """Returns how far a run is after an epoch: its epochs, or its steps up to those that were asked for."""
        return min(epoch * self.steps_of_epoch, self.steps) if self.steps else epoch

    def at(self, epoch: int) -> str:
        """Returns the same as text, for example "epoch  7/50"."""
        every = f"{self.total}"
        return f"{'step' if self.steps else 'epoch'} {self.count(epoch):>{len(every)}}/{every}"


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
            total=length.total,
            initial=length.count(epoch),
            file=stream,
            dynamic_ncols=True,
            disable=epoch >= length.epochs or not is_wide(stream or sys.stderr),
            bar_format="{n_fmt}/{total_fmt} |{bar}| {remaining}{postfix}",  # 80 columns hold it
        )

    def show(self, figures: Epoch) -> None:
        """Shows one more epoch."""
        terms = [*self._terms(figures)]
        self._bar.set_postfix_str(fitting(terms, WIDTH), refresh=False)
        self._bar.update(self._length.count(figures.epoch) - self._bar.n)
        is_due = figures.epoch % self._every == 0 or figures.epoch in {self._first, self._length.epochs}
        if self._bar.disable and is_due:
            head, left = f"{self._length.at(figures.epoch)}{_GAP}", self._time_left(figures.epoch)
            say(f"{head}{fitting(terms, WIDTH - len(head) - len(left))}{left}", self._stream)

    def _time_left(self, epoch: int) -> str:
        done, left = epoch + 1 - self._first, self._length.epochs - epoch
        return f"  {about((monotonic() - self._begin) / done * left)} left" if left else ""

    def _terms(self, figures: Epoch) -> Iterator[str]:
        """Yields the figures as text, the most useful ones first."""
        if figures.skipped_steps:
            yield f"{figures.skipped_steps} steps skipped"
        if figures.negative_elbo_nats is not None:
            yield f"ELBO {-figures.negative_elbo_nats:.1f}"
        if figures.reconstruction_nats is not None:
            yield f"reconstruction {figures.reconstruction_nats:.1f}"
        else:
            yield f"loss {figures.loss_nats:.2f}"
        if figures.kl_nats is not None:
            yield f"KL {figures.kl_nats:.1f}"
        if figures.validation_nats is not None:
            yield f"validation loss {figures.validation_nats:.2f}"
        yield f"active {figures.active_units}/{self._latent_size}"
        for name, value in figures.own.items():
            yield f"{name.removesuffix('_nats').replace('_', ' ')} {value:.2f}"
        yield f"{self._rows / max(monotonic() - self._since, 1e-9):,.0f} rows/s"
        self._since = monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()


def about(seconds: float) -> str:
    """Returns a time as people say it: "about 40 s", "about 12 min", "about 3.5 h"."""
    if seconds < 90:
        return f"about {ceil(seconds)} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def fitting(terms: Iterable[str], width: int) -> str:
    """Returns terms in one line of a maximum number of characters, without those that do not fit into it."""
    line = ""
    for term in terms:
        longer = f"{line}{_GAP}{term}" if line else term
        line = longer if len(longer) <= width else line
    return line
