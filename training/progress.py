"""Progress for who watches: a bar on a terminal, a few plain lines anywhere else."""

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
            desc="training",
            unit="epoch",
            file=stream,
            dynamic_ncols=True,
            disable=not stream.isatty(),
            bar_format="{desc} {percentage:3.0f}% |{bar:20}| {n_fmt}/{total_fmt} epochs, {remaining} left{postfix}",
        )

    def show(self, figures: Epoch) -> None:
        """Shows one more epoch."""
        self._bar.set_postfix_str(self._brief(figures), refresh=False)
        self._bar.update()
        is_due = figures.epoch % self._every == 0 or figures.epoch == self._epochs
        if self._bar.disable and is_due:
            done = f"epoch {figures.epoch:>{len(str(self._epochs))}}/{self._epochs}"
            print(f"{done}  {self._brief(figures)}", file=self._stream, flush=True)

    def _brief(self, figures: Epoch) -> str:
        return (
            f"ELBO {-figures.negative_elbo_nats:.1f}  reconstruction {figures.reconstruction_nats:.1f}  "
            f"KL {figures.kl_nats:.1f} nats  active {figures.active_units}/{self._latent_size}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()
