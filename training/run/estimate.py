"""How long a run will take on this machine, measured by a few of its steps, which are then undone."""

from math import ceil
from time import perf_counter

from training.data import Dataset
from training.models import kind_named
from training.run import checkpoint
from training.run.checkpoint import Checkpoint
from training.run.progress import about
from training.step.guard import Diverged
from training.step.length import steps_of_epoch
from training.step.loop import epochs
from training.step.state import State

STEPS = 3  # that are measured, after as many that are not
FEW_STEPS = 10 * 2 * STEPS  # a run of fewer is not measured
WORTH_A_LINE = 60  # seconds


def time_ahead(last: Checkpoint, dataset: Dataset, state: State) -> str | None:
    """Returns a line that says how long the steps of a run will take; None where that is short or cannot be told.

    Args:
        last: the run's last checkpoint.
        dataset: its data.
        state: restored from the checkpoint. It takes the steps, and is then set back.
    """
    seconds = seconds_ahead(last, dataset, state)
    if seconds is None or seconds < WORTH_A_LINE:
        return None
    threads = last.config.threads
    return f"training will take {about(seconds)} on this machine, with {threads} thread{'s' * (threads != 1)}"


def seconds_ahead(last: Checkpoint, dataset: Dataset, state: State) -> float | None:
    """Returns how long the steps of a run will take that are not done; None where that cannot be told.

    A row to validate on is taken to cost a third of a row to train on. Compiled steps are not measured, because that
    would compile them twice. Nor are a run's that has few, because measuring would take more than a tenth of it.
    """
    config, rows = last.config, len(dataset.train)
    validation_rows = len(dataset.validation) if kind_named(config.model).validates else 0
    steps = (config.epochs - last.epoch) * steps_of_epoch(config, rows)
    if config.compile or steps < FEW_STEPS:
        return None
    try:
        a_row = _seconds_of_a_row(last, dataset, state)
    except Diverged:
        return None
    finally:
        checkpoint.set_back(state, last)
    of_validation = ceil(validation_rows / 3) * (config.epochs - last.epoch)
    return a_row * (steps * min(config.batch_size, rows) + of_validation)


def _seconds_of_a_row(last: Checkpoint, dataset: Dataset, state: State) -> float:
    """Trains for two short epochs. Raises Diverged as the training loop does."""
    size = last.config.batch_size
    some = min(len(dataset.train), STEPS * size)
    part = dataset._replace(train=dataset.train[:some], validation=dataset.validation[:0])
    going = epochs(last.config.model_copy(update={"epochs": last.epoch + 2}), part, state)
    next(going)
    begin = perf_counter()
    next(going)
    # Each epoch ends with one more pass over a batch, without gradients.
    return (perf_counter() - begin) / (some + min(some, size) / 3)
