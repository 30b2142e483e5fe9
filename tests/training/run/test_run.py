import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from training.data import Dataset, training_rows
from training.evaluate.evaluation import EVALUATION_FILE
from training.models.pca import KIND as PCA_KIND
from training.run import checkpoint, run
from training.run.beginning import first_state
from training.run.checkpoint import CHECKPOINT_FILE, Checkpoint
from training.run.fit import fit, whole_epochs
from training.run.journal import JOURNAL_FILE, Journal
from training.run.lock import alone_in
from training.run.publish import networks_to_export
from training.settings.config import Config
from training.settings.directory import PACKAGE_DIRECTORY
from vaeserve.errors import TrainingError
from vaeserve.files import PARTIAL
from vaeserve.package.directory import ModelPackage

GRAPHS = ("encoder.onnx", "decoder.onnx", "likelihood.onnx", "probes.npz")


def test_the_directory_holds_checkpoint_journal_and_package(run_directory: Path, last: Checkpoint) -> None:
    names = {path.name for path in run_directory.iterdir()}
    assert names == {CHECKPOINT_FILE, JOURNAL_FILE, EVALUATION_FILE, PACKAGE_DIRECTORY}
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


def test_what_cannot_be_fitted_leaves_no_run_behind(tmp_path: Path) -> None:
    impossible = Config(model="pca", network="linear", likelihood="gaussian", latent_size=65)
    with pytest.raises(TrainingError, match="--latent-size: 64 principal components are all there are"):
        run.begin(impossible, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert run.begin(impossible.model_copy(update={"latent_size": 2}), tmp_path / "run")[0].epoch == impossible.epochs


def test_two_processes_do_not_train_in_one_directory(tmp_path: Path, tiny: Config) -> None:
    begun = run.begin(tiny, tmp_path)
    with alone_in(tmp_path), pytest.raises(TrainingError, match="another process is training there"):
        run.train_to_package(tmp_path, *begun)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_FILE]


def test_resuming_where_there_is_nothing_starts_a_run(tmp_path: Path, tiny: Config) -> None:
    left = tmp_path / "left"
    left.mkdir()
    (left / f".{CHECKPOINT_FILE}.0123abcd{PARTIAL}").touch()  # by a process that was killed
    for directory in (tmp_path / "missing", left):
        assert run.resume(tiny, directory, {})[0].config == tiny
        assert checkpoint.read(directory / CHECKPOINT_FILE).epoch == 0


def test_other_things_than_a_run_are_not_resumed(tmp_path: Path, tiny: Config) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(TrainingError, match=r"holds files but no checkpoint\.safetensors: no run to go on with"):
        run.resume(tiny, tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(TrainingError, match=r"thesis\.tex: cannot be created: File exists"):
        run.resume(tiny, tmp_path / "thesis.tex", {})


def test_the_first_state_is_made_as_the_later_ones_are(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(False)
    run.begin(Config(hidden_sizes=(4,), threads=1), tmp_path)
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()


def test_resuming_a_finished_run_packages_the_same_graphs_again(
    tmp_path: Path, run_directory: Path, last: Checkpoint, package: ModelPackage
) -> None:
    checkpoint.write(tmp_path / CHECKPOINT_FILE, last)
    again = run.train_to_package(tmp_path, *run.resume(last.config, tmp_path, {"seed": 0})).package
    for name in GRAPHS:
        assert (again.directory / name).read_bytes() == (package.directory / name).read_bytes()


def test_a_finished_run_whose_data_changed_is_refused_and_keeps_its_journal(
    tmp_path: Path, run_directory: Path, last: Checkpoint
) -> None:
    journal = (run_directory / JOURNAL_FILE).read_bytes()
    (tmp_path / JOURNAL_FILE).write_bytes(journal)
    checkpoint.write(tmp_path / CHECKPOINT_FILE, last.model_copy(update={"data_sha256": "0" * 64}))
    with pytest.raises(TrainingError, match="the checkpoint was trained on other data than this digits"):
        run.resume(last.config, tmp_path, {})
    assert (tmp_path / JOURNAL_FILE).read_bytes() == journal


def test_a_run_goes_on_with_data_that_was_moved_but_not_with_data_that_changed(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(80, 3))
    np.save(tmp_path / "rows.npy", rows)
    config = Config(dataset=str(tmp_path / "rows.npy"), hidden_sizes=(4,), latent_size=2, epochs=2, input_noise=0.0)
    run.begin(config, tmp_path / "run")
    moved = str((tmp_path / "rows.npy").rename(tmp_path / "moved.npy"))
    last, data = run.resume(config, tmp_path / "run", {"dataset": moved})
    with Journal(tmp_path / "run" / JOURNAL_FILE, 0) as journal:
        assert fit(tmp_path / "run", last, data, journal).epoch == 2
    finished = run.resume(config, tmp_path / "run", {"dataset": moved})
    package = run.train_to_package(tmp_path / "run", *finished).package
    assert last.name == package.manifest.name == "rows"  # what clients call it does not move
    exported = run.export_checkpoint(tmp_path / "run", tmp_path / "exported").package
    assert (exported.manifest.name, exported.manifest.fingerprint) == ("rows", package.manifest.fingerprint)
    np.save(tmp_path / "moved.npy", rows[::-1])
    with pytest.raises(TrainingError, match="was trained on other data than this moved, or on another split"):
        run.resume(config, tmp_path / "run", {"dataset": moved})
    with pytest.raises(TrainingError, match="was trained on other data than this moved, or on another split"):
        run.export_checkpoint(tmp_path / "run", tmp_path / "other")


def test_a_run_that_was_finished_on_a_gpu_is_packaged_again_anywhere(
    tmp_path: Path, last: Checkpoint, dataset: Dataset
) -> None:
    generator = torch.zeros(16, dtype=torch.uint8)  # what a GPU's is
    config = last.config.model_copy(update={"device": "cuda"})
    finished = last.model_copy(update={"config": config, "tensors": {**last.tensors, "generator": generator}})
    checkpoint.write(tmp_path / CHECKPOINT_FILE, finished)
    resumed, _ = run.resume(config, tmp_path, {})
    with Journal(tmp_path / JOURNAL_FILE, resumed.epoch) as journal:
        assert fit(tmp_path, resumed, dataset, journal) is resumed
        with pytest.raises(TrainingError, match=r"random numbers cannot go on there|PyTorch finds no GPU"):
            fit(tmp_path, resumed.model_copy(update={"epoch": 2}), dataset, journal)


def test_what_is_fitted_at_once_is_fitted_on_drawn_rows_where_data_is_binarised(dataset: Dataset) -> None:
    binary = dataset._replace(binarised=True)
    config = Config(model="pca", network="linear", likelihood="gaussian", latent_size=4)
    networks = networks_to_export(PCA_KIND, checkpoint.take(config, binary, first_state(config, binary)), binary)
    rows = training_rows(binary).flatten(1).numpy() / 8.0
    left = PCA(4).fit(rows).noise_variance_ ** 0.5
    assert networks.decoder.likelihood.constants["scale"] == pytest.approx(8 * left, rel=1e-3)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    path, generator = tmp_path / "pictures.npy", np.random.default_rng(0)
    steps = generator.integers(-9, 10, (240, 8, 12, 3)).cumsum(1).cumsum(2)
    np.save(path, (128 + steps).clip(0, 255).astype(np.uint8))
    return path


def test_the_rule_chooses_what_was_not_given_and_the_checkpoint_holds_it(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config(dataset=str(pictures), rule="pictures", latent_size=9, threads=1, keep="best")
    first, dataset = run.begin(config, tmp_path / "run", {"latent_size", "threads"})
    chosen = first.config
    assert (chosen.latent_size, chosen.network, chosen.hidden_sizes) == (9, "pca-conv", (128,))
    assert (chosen.likelihood, chosen.batch_size, chosen.steps) == ("logistic-mixture", 32, 360)
    assert len(dataset.validation) == chosen.validation_rows == 21
    assert "chosen for 195 pictures of 8 x 12 x 3 values" in capsys.readouterr().err
    resumed, again = run.resume(config, tmp_path / "run", {"latent_size": 9})
    assert resumed.config == chosen
    assert again.sha256 == dataset.sha256


def test_a_run_that_begins_as_pca_resumes_bit_for_bit(tmp_path: Path, pictures: Path) -> None:
    config = Config(
        dataset=str(pictures),
        network="pca-conv",
        likelihood="logistic",
        hidden_sizes=(8,),
        epochs=2,
        validation_rows=20,
    )
    first, dataset = run.begin(config, tmp_path / "run")
    *_, (_, middle), (_, straight) = whole_epochs(first, dataset, checkpoint.restore(first, dataset))
    checkpoint.write(tmp_path / "middle", middle)
    *_, (_, resumed) = whole_epochs(middle, dataset, checkpoint.restore(checkpoint.read(tmp_path / "middle"), dataset))
    assert resumed.tensors.keys() == straight.tensors.keys()
    assert all(torch.equal(value, straight.tensors[name]) for name, value in resumed.tensors.items())
