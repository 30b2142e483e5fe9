"""How long a run will take on this machine, measured by a few of its steps on a copy."""

from contextlib import suppress
from math import ceil
from time import perf_counter

from training.data import Dataset
from training.run import checkpoint
from training.run.checkpoint import Checkpoint
from training.run.progress import about
from training.step.guard import Diverged
from training.step.length import steps_of_epoch
from training.step.loop import epochs

STEPS = 3  # that are measured, after as many that are not
WORTH_A_LINE = 60  # seconds


def time_ahead(last: Checkpoint, dataset: Dataset) -> str | None:
    """Returns a line that says how long the steps of a run will take; None where that is short or cannot be told.

    Changes nothing: the steps are taken by a copy, whose random numbers are its own.

    Args:
        last: the run's last checkpoint.
        dataset: its data.
    """
    seconds = seconds_ahead(last, dataset)
    if seconds is None or seconds < WORTH_A_LINE:
        return None
    threads = last.config.threads
    return f"training will take {about(seconds)} on this machine, with {threads} thread{'s' * (threads != 1)}"


def seconds_ahead(last: Checkpoint, dataset: Dataset) -> float | None:
    """Returns how long the steps of a run will take that are not done; None where that cannot be told.

    A row to validate on is taken to cost a third of a row to train on. Compiled steps are not measured, because that
    would compile them twice.
    """
    config, rows = last.config, len(dataset.train)
    if config.compile:
        return None
    some = min(rows, STEPS * config.batch_size)
    copy = dataset._replace(train=dataset.train[:some], validation=dataset.validation[:0])
    state = checkpoint.restore(last, dataset)
    going = epochs(config.model_copy(update={"epochs": last.epoch + 2}), copy, state)
    with suppress(Diverged):
        next(going)
        begin = perf_counter()
        next(going)
        # Each epoch ends with one more pass over a batch, without gradients.
        a_row = (perf_counter() - begin) / (some + min(some, config.batch_size) / 3)
        steps = (config.epochs - last.epoch) * steps_of_epoch(config, rows)
        of_validation = ceil(len(dataset.validation) / 3) * (config.epochs - last.epoch)
        return a_row * (steps * min(config.batch_size, rows) + of_validation)
    return None
