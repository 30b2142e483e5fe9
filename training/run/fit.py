"""Training from a checkpoint to the last epoch: a checkpoint after each epoch, and figures of it."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from training.data import Dataset
from training.run import checkpoint
from training.run.checkpoint import CHECKPOINT_FILE, Checkpoint
from training.run.estimate import time_ahead
from training.run.journal import Journal
from training.run.progress import EpochProgress, Length, say
from training.step.epoch import Epoch
from training.step.guard import ROLLBACKS, Diverged
from training.step.length import steps_of_epoch
from training.step.loop import epochs
from training.step.state import State
from vaeserve.errors import TrainingError

if TYPE_CHECKING:
    from training.run.tensorboard import TensorBoard


def fit(directory: Path, last: Checkpoint, dataset: Dataset, journal: Journal) -> Checkpoint:
    """Trains from a checkpoint to the last epoch and returns its checkpoint; figures go to the journal and to stderr.

    Raises:
        TrainingError: it diverged repeatedly, or a file cannot be written.
    """
    config, saved, rows = last.config, last, len(dataset.train)
    if last.is_over(rows):  # no need to restore: a GPU's state is restored only on a GPU
        return last
    state = checkpoint.restore(last, dataset)
    if (line := time_ahead(last, dataset, state)) is not None:
        say(line)
    length = Length(config.epochs, config.steps, steps_of_epoch(config, rows))
    try:
        with (
            EpochProgress(length, last.epoch, config.latent_size, rows) as progress,
            tensorboard(directory, last, dataset) if config.tensorboard else nullcontext() as board,
        ):
            for figures, taken in whole_epochs(last, dataset, state):
                # First, because a resumed run drops a superfluous line but cannot add a missing one.
                journal.write("train", figures.by_name())
                last = taken
                progress.show(figures)
                if board is not None:
                    board.show(figures, state, is_last=last.is_over(rows))
                if last.epoch % config.checkpoint_epochs == 0:
                    checkpoint.write(directory / CHECKPOINT_FILE, last)
                    saved = last
    finally:
        if saved is not last:
            checkpoint.write(directory / CHECKPOINT_FILE, last)
    if last.epoch < config.epochs:
        best = last.best_epoch or "the first weights"
        say(f"no epoch was better than {best} for {config.patience} steps: the run ends early")
    return last


def whole_epochs(last: Checkpoint, dataset: Dataset, state: State) -> Iterator[tuple[Epoch, Checkpoint]]:
    """Trains until the run is over; after each epoch it yields the epoch's figures and a checkpoint.

    A run whose gradients are no longer finite goes back to the last whole epoch, and on at half the learning rate.

    Args:
        last: the run's last checkpoint.
        dataset: its data.
        state: restored from the checkpoint; it is what is trained.

    Raises:
        TrainingError: it diverged repeatedly.
    """
    config = last.config
    while not last.is_over(len(dataset.train)):
        try:
            for figures in epochs(config, dataset, state):
                last = checkpoint.take(config, dataset, state)
                yield figures, last
                if last.is_over(len(dataset.train)):
                    return
        except Diverged as exc:
            roll_back(last, state, exc)


def roll_back(last: Checkpoint, state: State, cause: Diverged) -> None:
    """Sets a state back to the last whole epoch, to go on from there at half the learning rate.

    Raises:
        TrainingError: the run was rolled back ROLLBACKS times already.
    """
    rollbacks = state.rollbacks
    if rollbacks >= ROLLBACKS:
        raise TrainingError(
            f"training diverged in epoch {last.epoch + 1}, also at 1/{2**rollbacks} of the learning rate: "
            f"try one below {last.config.learning_rate / 2**rollbacks:g}"
        ) from cause
    checkpoint.set_back(state, last)
    state.rollbacks = rollbacks + 1
    say(f"epoch {last.epoch + 1}: {cause}; back to epoch {last.epoch}, at half the learning rate")


def tensorboard(directory: Path, last: Checkpoint, dataset: Dataset) -> "TensorBoard":
    """Returns the writer of a run's events.

    Raises:
        TrainingError: tensorboardX is not installed.
    """
    try:
        from training.run.tensorboard import TensorBoard
    except ModuleNotFoundError as exc:
        raise TrainingError(f"--tensorboard: {exc.name} is not installed: pip install tensorboardX") from exc
    return TensorBoard(
        directory,
        dataset,
        last.epoch,
        picture_epochs=last.config.checkpoint_epochs,
        seed=last.config.seed,
    )
