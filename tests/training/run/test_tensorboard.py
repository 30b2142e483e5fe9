import sys
from pathlib import Path

import pytest

from training.data import Dataset
from training.run import run
from training.run.fit import fit
from training.run.journal import Journal
from training.run.tensorboard import TENSORBOARD_DIRECTORY
from training.settings.config import Config
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
