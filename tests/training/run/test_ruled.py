"""The rule for pictures, asked about a run's data."""

from pathlib import Path

import pytest

from tests.training.test_symmetry import blobs
from training.data import Dataset
from training.run import run
from training.run.ruled import ruled
from training.settings.config import Config
from vaeserve.errors import TrainingError
from vaeserve.machine.cpus import available_cpus
from vaeserve.sources.content import images_spec


def test_mirroring_follows_from_the_rows_and_not_where_the_user_said(dataset: Dataset) -> None:
    pictures = dataset._replace(train=blobs(400, left_alone=False), spec=images_spec((12, 12, 1)))
    config = Config(rule="pictures")
    assert ruled(config, pictures, ()).mirror
    assert not ruled(config, pictures, {"mirror"}).mirror
    pca = config.model_copy(update={"model": "pca", "network": "linear", "likelihood": "gaussian"})
    assert not ruled(pca, pictures, ()).mirror
    assert not ruled(config, pictures._replace(train=blobs(400, left_alone=True)), ()).mirror


def test_tables_are_not_mirrored(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("x,y\n" + "".join(f"{row % 7},{row % 5}.5\n" for row in range(100)))
    with pytest.raises(TrainingError, match=r"^--mirror: is for pictures, not for a"):
        run.begin(Config(dataset=str(file), mirror=True, hidden_sizes=(4,), epochs=2), tmp_path / "run")


@pytest.mark.parametrize(("quota", "threads"), [("150000 100000", 2), ("max 100000", 3)])
def test_threads_are_within_the_quota(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, threads: int
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr("training.run.ruled.available_cpus", lambda: available_cpus(tmp_path, range(3)))
    assert ruled(Config(rule="pictures"), dataset, ()).threads == threads
