"""Progress for who watches: a bar on a terminal, a few plain lines anywhere else."""

import os
import sys
from math import ceil
from types import TracebackType
from typing import Self, TextIO

from tqdm import tqdm

from training.loop import Epoch

LINES = 10  # over a whole run


def say(text: str) -> None:
    """Says on stderr what the run is about to do."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Shows epochs as they pass.

    Args:
        epochs: of the whole run.
        epoch: those done already.
        latent_size: how many units could be active.
        stream: where to; a bar is drawn if it is a terminal.
    """

    def __init__(self, epochs: int, epoch: int, latent_size: int, stream: TextIO = sys.stderr) -> None:
        self._epochs = epochs
        self._latent_size = latent_size
        self._stream = stream
        self._every = ceil(epochs / LINES)
        self._bar = tqdm(
            total=epochs,
            initial=epoch,
            file=stream,
            dynamic_ncols=True,
            disable=not _is_wide(stream),
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
            print(line, file=self._stream, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()


def _is_wide(stream: TextIO) -> bool:
    """Tells whether a bar can be drawn: on a terminal, unless that says it has no columns."""
    if not stream.isatty():
        return False
    try:
        return os.get_terminal_size(stream.fileno()).columns > 0
    except OSError:
        return True
