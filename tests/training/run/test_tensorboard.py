import sys
from pathlib import Path

import pytest

from training.data import Dataset
from training.run import run
from training.run.fit import fit
from training.run.journal import Journal
from training.run.tensorboard import TENSORBOARD_DIRECTORY, TensorBoard
from training.settings.config import Config
from training.step.epoch import Epoch
from training.step.state import start
from vaeserve.errors import TrainingError


def test_figures_and_pictures_are_written_as_a_run_goes(tmp_path: Path, dataset: Dataset) -> None:
    config = Config(hidden_sizes=(4,), epochs=2, tensorboard=True)
    first, _ = run.begin(config, tmp_path)
    with Journal(tmp_path / "metrics.jsonl", 0) as journal:
        fit(tmp_path, first, dataset, journal)
    (events,) = (tmp_path / TENSORBOARD_DIRECTORY).iterdir()
    content = events.read_bytes()
    for tag in (b"negative_elbo_nats", b"kl_nats", b"active_units", b"reconstructions", b"samples", b"PNG"):
        assert tag in content
    assert b"validation_nats" not in content


@pytest.mark.parametrize(("is_last", "pictures"), [(False, False), (True, True)])
def test_the_last_epoch_has_pictures_also_where_a_run_ends_early(
    tmp_path: Path, dataset: Dataset, is_last: bool, pictures: bool
) -> None:
    state = start(Config(hidden_sizes=(4,)), dataset)
    figures = Epoch(3, 6, 99.0, 100.25, 84.0, 16.25, 7, None, 1.0, 1e-3, 0)
    with TensorBoard(tmp_path, dataset, 0, picture_epochs=100, seed=0) as board:
        board.show(figures, state, is_last=is_last)
    (events,) = (tmp_path / TENSORBOARD_DIRECTORY).iterdir()
    assert (b"PNG" in events.read_bytes()) == pictures


def test_a_patient_run_has_the_pictures_of_its_last_epoch(tmp_path: Path, dataset: Dataset) -> None:
    config = Config(
        hidden_sizes=(4,),
        epochs=30,
        tensorboard=True,
        checkpoint_epochs=1000,
        validation_rows=50,
        patience=1,
        learning_rate=1.0,
    )
    first, data = run.begin(config, tmp_path)
    with Journal(tmp_path / "metrics.jsonl", 0) as journal:
        last = fit(tmp_path, first, data, journal)
    assert last.epoch < 30
    (events,) = (tmp_path / TENSORBOARD_DIRECTORY).iterdir()
    assert b"PNG" in events.read_bytes()


def test_what_is_not_installed_is_said_before_any_step(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.delitem(sys.modules, "training.run.tensorboard", raising=False)
    first, _ = run.begin(Config(hidden_sizes=(4,), epochs=2, tensorboard=True), tmp_path)
    with (
        Journal(tmp_path / "metrics.jsonl", 0) as journal,
        pytest.raises(TrainingError, match="--tensorboard: tensorboardX is not installed: pip install tensorboardX"),
    ):
        fit(tmp_path, first, dataset, journal)
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""
