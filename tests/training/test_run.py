import json
from pathlib import Path

import pytest

from training import checkpoint, run
from training.checkpoint import CHECKPOINT_FILE, Checkpoint
from training.config import Config
from training.data import Dataset
from training.journal import JOURNAL_FILE, Journal
from vae.errors import TrainingError
from vae.package import ModelPackage

GRAPHS = ("encoder.onnx", "decoder.onnx", "likelihood.onnx", "probes.npz")


def test_the_directory_holds_checkpoint_journal_and_package(run_directory: Path, last: Checkpoint) -> None:
    names = {path.name for path in run_directory.iterdir()}
    assert names == {CHECKPOINT_FILE, JOURNAL_FILE, run.PACKAGE_DIRECTORY}
    assert last.epoch == last.config.epochs == 3


def test_the_journal_ends_with_the_held_out_figures(run_directory: Path, package: ModelPackage) -> None:
    *epochs, held_out = map(json.loads, (run_directory / JOURNAL_FILE).read_text().splitlines())
    assert [(record["split"], record["epoch"]) for record in epochs] == [("train", 1), ("train", 2), ("train", 3)]
    assert held_out == {"split": "test", "epoch": 3, **package.manifest.metrics}


def test_an_existing_run_is_not_overwritten(run_directory: Path) -> None:
    with pytest.raises(TrainingError, match="holds a run already"):
        run.begin(Config(), run_directory)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"run: cannot be created: Not a directory$"):
        run.begin(Config(), tmp_path / "file" / "run")


def test_there_must_be_a_run_to_resume(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        run.resume(tmp_path, {})


def test_a_run_ended_by_an_error_keeps_its_last_epoch(tmp_path: Path, dataset: Dataset) -> None:
    class Full(Journal):
        def write(self, split: str, figures: dict[str, float]) -> None:
            raise TrainingError("metrics.jsonl: cannot be written: No space left on device")

    first = run.begin(Config(hidden_sizes=(4,), epochs=3), tmp_path)
    state = checkpoint.restore(first, dataset)
    with Full(tmp_path / JOURNAL_FILE, 0) as journal, pytest.raises(TrainingError, match="No space left"):
        run.fit(tmp_path, first, dataset, state, journal)
    assert checkpoint.read(tmp_path / CHECKPOINT_FILE).epoch == 1


def test_resuming_a_finished_run_packages_the_same_graphs_again(
    tmp_path: Path, run_directory: Path, last: Checkpoint, package: ModelPackage
) -> None:
    checkpoint.write(tmp_path / CHECKPOINT_FILE, last)
    again = run.train(tmp_path, run.resume(tmp_path, {"seed": 0})).package
    for name in GRAPHS:
        assert (again.directory / name).read_bytes() == (package.directory / name).read_bytes()


def test_export_gives_the_graphs_that_training_gave(tmp_path: Path, run_directory: Path, package: ModelPackage) -> None:
    exported = run.export(run_directory / CHECKPOINT_FILE, tmp_path / "model").package
    assert exported.manifest.fingerprint == package.manifest.fingerprint
    for name in GRAPHS:
        assert (exported.directory / name).read_bytes() == (package.directory / name).read_bytes()
