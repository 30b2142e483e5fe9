"""Runs that overfit: the best epoch is exported, a run ends early if it is patient, and goes on if it is told to."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from training.data import Dataset, load_dataset
from training.evaluate.evaluation import EVALUATION_FILE
from training.models.vae import KIND as VAE
from training.run import checkpoint, run
from training.run.checkpoint import CHECKPOINT_FILE, Checkpoint
from training.run.description import provenance_of
from training.run.fit import fit, whole_epochs
from training.run.journal import JOURNAL_FILE, Journal, read_curve
from training.run.publish import networks_to_export
from training.run.report import epochs_text
from training.settings.config import Config
from training.settings.resolve import parse_config
from training.step.inputs import InputSampling
from training.step.loop import validate
from training.step.schedule import term_weights
from training.step.state import start
from vaeserve.errors import TrainingError

EPOCHS, STEPS = 50, 4  # of a run, of an epoch
SETTINGS: Mapping[str, object] = {
    "network": "mlp",
    "hidden_sizes": (256,),
    "latent_size": 8,
    "epochs": EPOCHS,
    "batch_size": 8,
    "kl_warmup": 0.3,
    "input_noise": 0.0,
    "weight_decay": 0.0,
    "learning_rate": 1e-2,
    "average_decay": 0.9,
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Of a run on 32 rows, mostly noise, which a wide network learns by heart."""
    random = np.random.default_rng(0)
    plane = random.normal(size=(2, 20))
    train, val, test = (
        (random.normal(size=(count, 2)) @ plane + random.normal(size=(count, 20))).astype(np.float32)
        for count in (32, 100, 100)
    )
    path = tmp_path_factory.mktemp("overfit") / "noise.npz"
    np.savez(path, x_train=train, x_val=val, x_test=test)
    return parse_config({**SETTINGS, "dataset": str(path)})


@pytest.fixture(scope="module")
def dataset(config: Config) -> Dataset:
    return load_dataset(config.source)


def fitted(config: Config, directory: Path, begun: Checkpoint | None = None) -> tuple[Checkpoint, list[float]]:
    """Trains to the end; returns the last checkpoint and every epoch's loss on validation rows."""
    first, data = (begun, load_dataset(config.source)) if begun else run.begin(config, directory, {"patience"})
    with Journal(directory / JOURNAL_FILE, first.epoch) as journal:
        last = fit(directory, first, data, journal)
    lines = (directory / JOURNAL_FILE).read_text().splitlines()
    return last, [json.loads(line)["validation_nats"] for line in lines]


def checkpoints(last: Checkpoint, dataset: Dataset) -> Iterator[Checkpoint]:
    """Trains from a checkpoint; yields the one after each epoch."""
    return (taken for _, taken in whole_epochs(last, dataset, checkpoint.restore(last, dataset)))


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    assert one.model_dump_json() == other.model_dump_json()
    assert one.tensors.keys() == other.tensors.keys()
    assert all(torch.equal(one.tensors[name], tensor) for name, tensor in other.tensors.items())


def held_out_loss(last: Checkpoint, dataset: Dataset) -> float:
    """Returns the loss on test rows of what is exported."""
    state = start(last.config, dataset)
    state.average = networks_to_export(VAE, last, dataset)
    sampling = InputSampling.of(VAE, last.config, dataset)
    loss = validate(sampling, term_weights(last.config, 1.0), dataset.test, state)
    assert loss is not None
    return loss


@pytest.fixture(scope="module")
def whole(config: Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, list[float]]:
    return fitted(config, tmp_path_factory.mktemp("whole"))


def test_the_epoch_that_is_exported_is_better_on_held_out_rows_than_the_last(
    whole: tuple[Checkpoint, list[float]], dataset: Dataset
) -> None:
    last, losses = whole
    assert last.exported_best == last.best_epoch == 1 + int(np.argmin(losses))
    assert last.best_validation_nats == min(losses)
    of_last = last.model_copy(update={"tensors": {k: v for k, v in last.tensors.items() if not k.startswith("best.")}})
    assert of_last.exported_best is None
    assert held_out_loss(last, dataset) < held_out_loss(of_last, dataset) - 2


def test_a_run_resumed_after_its_best_epoch_exports_the_same_bits(
    whole: tuple[Checkpoint, list[float]], config: Config, dataset: Dataset, tmp_path: Path
) -> None:
    last, losses = whole
    assert last.best_epoch is not None
    for taken in checkpoints(run.begin(config, tmp_path)[0], dataset):
        if taken.epoch == last.best_epoch + 3:
            break
    checkpoint.write(tmp_path / CHECKPOINT_FILE, taken)
    resumed, again = fitted(config, tmp_path, checkpoint.read(tmp_path / CHECKPOINT_FILE))
    assert again == losses[last.best_epoch + 3 :]
    assert_same(resumed, last)


def test_first_weights_that_are_better_than_every_epoch_are_exported(dataset: Dataset, tmp_path: Path) -> None:
    settings = {"network": "pca-conv", "likelihood": "gaussian", "hidden_sizes": (4,), "latent_size": 4}
    wild = Config(**settings, epochs=2, learning_rate=0.3, validation_rows=100)  # type: ignore[arg-type]
    first, data = run.begin(wild, tmp_path)
    *_, last = checkpoints(first, data)
    assert last.exported_best == 0
    assert all(
        torch.equal(weight, first.tensors[name.replace("best.", "average.")])
        for name, weight in last.tensors.items()
        if name.startswith("best.")
    )
    assert epochs_text(last, data) == "2 epochs, none better than the first weights"


def test_a_rolled_back_run_keeps_its_best_epoch(whole: tuple[Checkpoint, list[float]], dataset: Dataset) -> None:
    last, _ = whole
    best = checkpoint.restore(last, dataset).best
    assert best is not None
    assert (best.epoch, best.validation_nats) == (last.best_epoch, last.best_validation_nats)


def test_the_last_epoch_is_exported_if_that_is_asked_for(
    config: Config, whole: tuple[Checkpoint, list[float]], tmp_path: Path
) -> None:
    last, _ = fitted(config.model_copy(update={"keep": "last"}), tmp_path)
    assert (last.best_epoch, last.exported_best) == (whole[0].best_epoch, None)
    expected = whole[0].tensors
    assert all(torch.equal(expected[name], tensor) for name, tensor in last.tensors.items())


@pytest.fixture(scope="module")
def patient(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("patient")
    fitted(config.model_copy(update={"patience": 3 * STEPS}), directory)
    return directory


def test_a_patient_run_ends_early_and_exports_its_best_epoch(
    patient: Path, whole: tuple[Checkpoint, list[float]], dataset: Dataset
) -> None:
    last, losses = checkpoint.read(patient / CHECKPOINT_FILE), whole[1]
    assert last.exported_best is not None
    assert last.epoch == last.exported_best + 3 < EPOCHS
    assert last.best_validation_nats == min(losses[: last.epoch])
    assert epochs_text(last, dataset) == (
        f"best of {last.epoch} epochs: {last.exported_best}, by validation; ended early, of {EPOCHS}: none was better "
        "for 12 steps"
    )
    assert provenance_of(last, dataset).config["best_epoch"] == last.exported_best
    curve = read_curve(patient / JOURNAL_FILE, last)
    assert curve is not None
    assert [point.validation_nats for point in curve.points] == losses[: last.epoch]
    assert [point.steps for point in curve.points] == [STEPS * epoch for epoch in range(1, last.epoch + 1)]
    assert curve.best == last.exported_best - 1


def test_a_run_that_ended_early_is_finished(patient: Path) -> None:
    last, dataset = run.resume(Config(), patient, {})
    assert last.is_over(len(dataset.train))
    assert list(checkpoints(last, dataset)) == []


def test_a_run_that_ended_goes_on_to_more_epochs(patient: Path, tmp_path: Path) -> None:
    before = checkpoint.read(patient / CHECKPOINT_FILE)
    checkpoint.write(tmp_path / CHECKPOINT_FILE, before)
    (tmp_path / JOURNAL_FILE).write_bytes((patient / JOURNAL_FILE).read_bytes())
    (tmp_path / EVALUATION_FILE).touch()
    run.resume(Config(), tmp_path, {"epochs": EPOCHS}, {"epochs"})
    assert (tmp_path / EVALUATION_FILE).exists()
    last, dataset = run.resume(Config(), tmp_path, {"epochs": EPOCHS + 2}, {"epochs"})
    assert_same(last, checkpoint.read(tmp_path / CHECKPOINT_FILE))
    assert not (tmp_path / EVALUATION_FILE).exists()
    assert [each.epoch for each in last.continuations] == [before.epoch]
    with Journal(tmp_path / JOURNAL_FILE, last.epoch) as journal:
        end = fit(tmp_path, last, dataset, journal)
    assert end.epoch > before.epoch
    rates = [json.loads(line)["learning_rate"] for line in (tmp_path / JOURNAL_FILE).read_text().splitlines()]
    assert len(rates) == end.epoch
    assert rates[before.epoch] == pytest.approx(last.config.learning_rate, rel=0.01)
    assert epochs_text(end, dataset).endswith(f"; lengthened after {before.epoch}")


def test_a_lengthened_run_that_was_interrupted_goes_on_to_the_same_bits(
    whole: tuple[Checkpoint, list[float]], dataset: Dataset, tmp_path: Path
) -> None:
    checkpoint.write(tmp_path / CHECKPOINT_FILE, whole[0])
    longer, _ = run.resume(Config(), tmp_path, {"steps": STEPS * EPOCHS + 9}, {"steps"})
    assert (longer.config.epochs, longer.config.steps) == (EPOCHS + 3, STEPS * EPOCHS + 9)
    first, *_, end = checkpoints(longer, dataset)
    checkpoint.write(tmp_path / CHECKPOINT_FILE, first)
    resumed, _ = run.resume(Config(), tmp_path, {"steps": STEPS * EPOCHS + 9}, {"steps"})
    *_, again = checkpoints(resumed, dataset)
    assert_same(again, end)


def test_a_run_cannot_be_made_shorter_than_it_is(whole: tuple[Checkpoint, list[float]], tmp_path: Path) -> None:
    checkpoint.write(tmp_path / CHECKPOINT_FILE, whole[0])
    for key, value, flag in (("epochs", EPOCHS - 1, "--epochs"), ("steps", 5, "--steps 5")):
        with pytest.raises(
            TrainingError, match=rf"^{flag}: the run has done {EPOCHS} epochs already, it cannot end af"
        ):
            run.resume(Config(), tmp_path, {key: value}, {key})
    assert_same(run.resume(Config(), tmp_path, {"epochs": EPOCHS}, {"epochs"})[0], whole[0])
    assert run.resume(Config(), tmp_path, {"steps": STEPS * EPOCHS}, {"steps"})[0].epoch == EPOCHS
