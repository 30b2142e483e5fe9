"""How long a run is: in steps or epochs, until no better epoch has come for long, or longer than it was to be."""

from collections.abc import Sequence
from math import ceil

from training.settings.config import MOST_EPOCHS, Config
from vaeserve.errors import TrainingError
from vaeserve.records import Record


class Continuation(Record):
    """A new number of epochs for a run that had done some. Its learning rate then begins at its highest again."""

    epoch: int
    """Epochs that were done."""
    progress: float
    """The share of the run that was done, by its number of epochs until then."""


def steps_of_epoch(config: Config, rows: int) -> int:
    """Returns the number of gradient steps of an epoch.

    Args:
        config: the run's.
        rows: training rows.
    """
    return ceil(rows / config.batch_size)


def in_epochs(config: Config, rows: int) -> Config:
    """Returns the settings with the number of epochs that reaches `steps`, if those are set.

    Args:
        config: a run's, perhaps with steps.
        rows: training rows.

    Raises:
        TrainingError: it would be too many epochs.
    """
    if config.steps is None:
        return config
    epochs = ceil(config.steps / steps_of_epoch(config, rows))
    if epochs > MOST_EPOCHS:
        raise TrainingError(
            f"--steps: would be {epochs:,} epochs of {rows:,} rows, at most {MOST_EPOCHS:,} are possible"
        )
    return config.model_copy(update={"epochs": epochs})


def is_over(
    config: Config, rows: int, epoch: int, best_epoch: int | None, continuations: Sequence[Continuation]
) -> bool:
    """Whether a run is done: it has all its epochs, or no better one came for `patience` steps.

    Args:
        config: the run's.
        rows: training rows.
        epoch: epochs done.
        best_epoch: the best of them by validation; None if none was measured.
        continuations: of the run; waiting begins anew with each.
    """
    if epoch >= config.epochs:
        return True
    if best_epoch is None:
        return False
    since = max([best_epoch, *(each.epoch for each in continuations)])
    return 0 < config.patience <= (epoch - since) * steps_of_epoch(config, rows)
