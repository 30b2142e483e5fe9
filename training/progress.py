"""Progress for who watches: a bar on a terminal, a few plain lines anywhere else."""

import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from math import ceil
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

from training.loop import Epoch

LINES = 10  # over a whole run
_FREE_COLUMNS = 2  # and the one that tqdm keeps free


def say(text: str, stream: TextIO | None = None) -> None:
    """Says a line on stderr, or on another stream. A stream that is closed or full does not end the run."""
    to = stream or sys.stderr  # None where the process was started without one
    if to is not None:
        with suppress(OSError):
            print(text, file=to, flush=True)


class _Bar(tqdm):  # type: ignore[type-arg]  # tqdm takes them in its stubs alone
    """A bar that keeps clear of the last columns, where the terminal's echo of Ctrl-C would wrap."""

    @property
    def format_dict(self) -> MutableMapping[str, Any]:
        figures = super().format_dict
        if figures["ncols"]:
            figures["ncols"] = max(1, figures["ncols"] - _FREE_COLUMNS)
        return figures


class Progress:
    """Shows epochs as they pass.

    Args:
        epochs: of the whole run.
        epoch: those done already.
        latent_size: how many units could be active.
        stream: where to, stderr if None; a bar is drawn if it is a terminal and there is something left to do.
    """

    def __init__(self, epochs: int, epoch: int, latent_size: int, stream: TextIO | None = None) -> None:
        self._epochs = epochs
        self._latent_size = latent_size
        self._stream = stream
        self._every = ceil(epochs / LINES)
        self._bar = _Bar(
            total=epochs,
            initial=epoch,
            file=stream,
            dynamic_ncols=True,
            disable=epoch >= epochs or not _is_wide(stream or sys.stderr),
            bar_format="{n_fmt}/{total_fmt} |{bar}| {remaining}{postfix}",  # 80 columns hold it
        )

    def show(self, figures: Epoch) -> None:
        """Shows one more epoch."""
        terms = f"reconstruction {figures.reconstruction_nats:.1f}  KL {figures.kl_nats:.1f}"
        active = f"active {figures.active_units}/{self._latent_size}"
        self._bar.set_postfix_str(f"ELBO {-figures.negative_elbo_nats:.1f}  {terms}  {active}", refresh=False)
        self._bar.update()
        is_due = figures.epoch % self._every == 0 or figures.epoch == self._epochs
        if self._bar.disable and is_due:
            done = f"epoch {figures.epoch:>{len(str(self._epochs))}}/{self._epochs}"
            line = f"{done}  ELBO {-figures.negative_elbo_nats:.1f}  {terms} nats  {active}"
            say(line, self._stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()


def _is_wide(stream: TextIO | None) -> bool:
    """Tells whether a bar can be drawn: on a terminal, unless that says it has no columns."""
    if stream is None or not stream.isatty():
        return False
    try:
        return os.get_terminal_size(stream.fileno()).columns > 0
    except OSError:
        return True
