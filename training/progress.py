"""Progress for who watches: a bar on a terminal, a few plain lines anywhere else."""

import sys
from contextlib import suppress
from math import ceil
from types import TracebackType
from typing import Self, TextIO

from training.loop import Epoch
from vae.bar import Bar, is_wide

LINES = 10  # over a whole run


def say(text: str, stream: TextIO | None = None) -> None:
    """Says a line on stderr, or on another stream. A stream that is closed or full does not end the run."""
    to = stream or sys.stderr  # None where the process was started without one
    if to is not None:
        with suppress(OSError):
            print(text, file=to, flush=True)


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
        self._bar = Bar(
            total=epochs,
            initial=epoch,
            file=stream,
            dynamic_ncols=True,
            disable=epoch >= epochs or not is_wide(stream or sys.stderr),
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
