import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from training.data import Dataset
from training.run import checkpoint, run
from training.run.checkpoint import CHECKPOINT_FILE, Checkpoint
from training.run.fit import fit, roll_back
from training.run.journal import JOURNAL_FILE, Journal
from training.settings.config import Config
from training.step.guard import Diverged
from training.step.state import State
from vaeserve.errors import TrainingError


class Ended(Journal):
    """Ends a run as it writes the line of an epoch, before or after the line is on disk."""

    def __init__(self, path: Path, error: BaseException, at: int, after: bool) -> None:
        super().__init__(path, 0)
        self.error, self.at, self.after = error, at, after

    def write(self, split: str, figures: Mapping[str, float | None]) -> None:
        if figures["epoch"] != self.at or self.after:
            super().write(split, figures)
        if figures["epoch"] == self.at:
            raise self.error


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [TrainingError("No space left on device"), KeyboardInterrupt()])
def test_a_run_ended_at_any_moment_keeps_every_epoch_and_its_line(
    tmp_path: Path, dataset: Dataset, error: BaseException, after: bool
) -> None:
    config = Config(hidden_sizes=(4,), epochs=3)
    first, _ = run.begin(config, tmp_path)
    journal_file = tmp_path / JOURNAL_FILE
    with Ended(journal_file, error, 2, after) as journal, pytest.raises(type(error)):
        fit(tmp_path, first, dataset, journal)

    last, _ = run.resume(config, tmp_path, {})
    assert last.epoch == 1
    with Journal(journal_file, last.epoch) as journal:
        fit(tmp_path, last, dataset, journal)
    assert [json.loads(line)["epoch"] for line in journal_file.read_text().splitlines()] == [1, 2, 3]
    assert checkpoint.read(tmp_path / CHECKPOINT_FILE).epoch == 3


def test_a_run_that_diverges_goes_back_at_half_the_rate_and_gives_up_in_one_line(
    tmp_path: Path, dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config(hidden_sizes=(4,), epochs=2, batch_size=64, learning_rate=1e30, learning_rate_warmup=0.0)
    with pytest.raises(
        TrainingError, match=r"^training diverged in epoch 1, also at 1/8 of the learning rate: try one"
    ):
        run.train_to_package(tmp_path, *run.begin(config, tmp_path))
    assert capsys.readouterr().err.count("back to epoch 0, at half the learning rate") == 3
    assert checkpoint.read(tmp_path / CHECKPOINT_FILE).epoch == 0


def test_a_run_whose_epochs_are_a_single_step_diverges_as_others_do(tmp_path: Path, dataset: Dataset) -> None:
    config = Config(hidden_sizes=(4,), epochs=2, batch_size=2000, learning_rate=1e30, learning_rate_warmup=0.0)
    with pytest.raises(TrainingError, match=r"^training diverged in epoch 1, also at 1/8 of the learning rate"):
        run.train_to_package(tmp_path, *run.begin(config, tmp_path))


def test_a_rolled_back_run_ends_well_and_remembers(tmp_path: Path, dataset: Dataset) -> None:
    config = Config(hidden_sizes=(4,), epochs=2)
    first, _ = run.begin(config, tmp_path)
    state = checkpoint.restore(first, dataset)
    roll_back(first, state, Diverged("5 steps"))
    assert state.rollbacks == 1
    rolled = checkpoint.take(config, dataset, state)
    with Journal(tmp_path / JOURNAL_FILE, 0) as journal:
        last = fit(tmp_path, rolled, dataset, journal)
    assert (last.epoch, last.rollbacks) == (2, 1)
    rates = [json.loads(line)["learning_rate"] for line in (tmp_path / JOURNAL_FILE).read_text().splitlines()]
    assert max(rates) < config.learning_rate / 2


def test_a_run_has_one_state_which_is_timed_trained_and_rolled_back(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(hidden_sizes=(4,), epochs=2, batch_size=64, learning_rate=1e30, learning_rate_warmup=0.0)
    first, _ = run.begin(config, tmp_path)
    restored = list[Checkpoint]()

    def restore(last: Checkpoint, data: Dataset) -> State:
        restored.append(last)
        return restore_one(last, data)

    restore_one = checkpoint.restore
    monkeypatch.setattr(checkpoint, "restore", restore)
    with Journal(tmp_path / JOURNAL_FILE, 0) as journal, pytest.raises(TrainingError, match="also at 1/8"):
        fit(tmp_path, first, dataset, journal)
    assert len(restored) == 1
