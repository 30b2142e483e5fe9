"""A run that is resumed with another number of epochs or steps: it goes on to that."""

from training.run.checkpoint import Checkpoint
from training.settings.config import Config
from training.step.length import Continuation, in_epochs, steps_of_epoch
from training.step.schedule import position_at
from vaeserve.errors import TrainingError


def lengthened(saved: Checkpoint, config: Config, rows: int) -> Checkpoint:
    """Returns the checkpoint from which a run goes on to its new number of epochs.

    If it had done some, its learning rate begins at its highest again, and falls in the epochs that are left. (On
    digits, 60 epochs that become 120 then end as 120 at once do; from a tenth of the rate, hardly better than 60.) If
    it had done none, it is a run of that length from the start.

    Args:
        saved: the run's last checkpoint.
        config: its settings, with the new number of epochs or steps.
        rows: training rows.

    Raises:
        TrainingError: it has done that number of epochs already.
    """
    config, before = in_epochs(config, rows), saved.config
    last = saved.model_copy(update={"config": config})
    if config.epochs == before.epochs or not saved.epoch:
        return last
    if config.epochs <= saved.epoch:
        flag = "--epochs" if config.steps is None else f"--steps {config.steps}"
        raise TrainingError(
            f"{flag}: the run has done {saved.epoch} epochs already, it cannot end after {config.epochs}: give it "
            "more, or write what it has with vae export"
        )
    steps = steps_of_epoch(config, rows)
    at = position_at(before, saved.continuations, saved.epoch * steps, before.epochs * steps)
    continuation = Continuation(epoch=saved.epoch, progress=at.progress)
    return last.model_copy(update={"continuations": (*saved.continuations, continuation)})
