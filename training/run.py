"""A run from data to model package. Its directory holds the checkpoint, the journal and the package."""

from pathlib import Path
from typing import NamedTuple

import torch

from training import checkpoint
from training.checkpoint import CHECKPOINT_FILE, Checkpoint
from training.config import Config, refuse_changes
from training.data import Dataset, load_dataset
from training.evaluate.held_out import HeldOut, evaluate
from training.export import export_graphs
from training.journal import JOURNAL_FILE, Journal
from training.loop import State, epochs, start
from training.package import write_package
from training.progress import Progress, say
from training.report import opening
from vae.errors import TrainingError
from vae.files import PARTIAL
from vae.manifest import Parity
from vae.package import ModelPackage

PACKAGE_DIRECTORY = "model"


class Outcome(NamedTuple):
    """What came of a run."""

    package: ModelPackage
    parity: Parity
    metrics: HeldOut
    dataset: Dataset
    config: Config


def begin(config: Config, directory: Path) -> Checkpoint:
    """Returns the first checkpoint of a new run, which is already on disk.

    Raises:
        TrainingError: the directory holds a run, or cannot be written to.
    """
    for name in (CHECKPOINT_FILE, JOURNAL_FILE, PACKAGE_DIRECTORY):
        if (directory / name).exists():
            raise TrainingError(f"{directory} holds a run already: go on with it by --resume, or choose another --out")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise TrainingError(f"{directory}: cannot be created: {exc.strerror}") from exc
    prepare_torch(config)
    dataset = load_dataset(config.dataset)
    first = checkpoint.take(config, dataset, start(config, dataset))
    checkpoint.write(directory / CHECKPOINT_FILE, first)
    return first


def resume(config: Config, directory: Path, given: dict[str, object]) -> Checkpoint:
    """Returns the last checkpoint of a run, or the first one of a new run where the directory is missing or empty.

    Args:
        config: what a new run is to be.
        directory: the run's.
        given: settings asked for, which must be those that the run was started with.

    Raises:
        TrainingError: there are files but no whole checkpoint, or a setting differs; the message names it.
    """
    if _holds_nothing(directory):
        return begin(config, directory)
    if not (directory / CHECKPOINT_FILE).exists():
        raise TrainingError(
            f"{directory} holds files but no {CHECKPOINT_FILE}: no run to go on with; choose another --out"
        )
    last = checkpoint.read(directory / CHECKPOINT_FILE)
    refuse_changes(last.config, given)
    return last


def train(directory: Path, last: Checkpoint) -> Outcome:
    """Trains from a checkpoint to the end, and packages the result.

    Whatever ends it early, the directory then holds the state after the last whole epoch.

    Raises:
        TrainingError: the disk refused a file, or the exported graphs do not answer as the networks do.
    """
    prepare_torch(last.config)
    dataset = load_dataset(last.config.dataset)
    state = checkpoint.restore(last, dataset)
    say(opening(last, dataset))
    with Journal(directory / JOURNAL_FILE, state.epoch) as journal:
        last = fit(directory, last, dataset, state, journal)
        metrics = evaluate(state.average, dataset)
        journal.write("test", {"epoch": state.epoch, **metrics._asdict()})
    return publish(directory / PACKAGE_DIRECTORY, last, dataset, state, metrics, overwrite=True)


def fit(directory: Path, last: Checkpoint, dataset: Dataset, state: State, journal: Journal) -> Checkpoint:
    """Trains a state to the last epoch and returns that one's checkpoint; figures go to the journal and to stderr."""
    config, saved = last.config, last
    try:
        with Progress(config.epochs, state.epoch, config.latent_size) as progress:
            for figures in epochs(config, dataset, state):
                journal.write("train", figures._asdict())  # first: a resumed run drops a line too many, but adds none
                last = checkpoint.take(config, dataset, state)
                progress.show(figures)
                if state.epoch % config.checkpoint_epochs == 0:
                    checkpoint.write(directory / CHECKPOINT_FILE, last)
                    saved = last
    finally:
        if saved is not last:
            checkpoint.write(directory / CHECKPOINT_FILE, last)
    return last


def publish(
    directory: Path, last: Checkpoint, dataset: Dataset, state: State, metrics: HeldOut, *, overwrite: bool
) -> Outcome:
    """Exports the running average of the weights, proves the graphs and writes them as a model package."""
    say("exporting, and proving the graphs against PyTorch")
    graphs = export_graphs(state.average, dataset.spec, last.config.latent_size)
    package, parity = write_package(
        directory,
        graphs=graphs,
        networks=state.average,
        dataset=dataset,
        checkpoint=last,
        metrics=metrics,
        overwrite=overwrite,
    )
    return Outcome(package, parity, metrics, dataset, last.config)


def export(source: Path, directory: Path) -> Outcome:
    """Writes a run's last checkpoint as a model package, with the graphs that `train` would write.

    Args:
        source: the run's directory, or its checkpoint file.
        directory: where the package goes; must not exist.

    Raises:
        TrainingError: there is no whole checkpoint, or the graphs do not answer as the networks do.
        PackageError: the directory exists, or the disk refused the files.
    """
    last = checkpoint.read(source / CHECKPOINT_FILE if source.is_dir() else source)
    prepare_torch(last.config)
    dataset = load_dataset(last.config.dataset)
    state = checkpoint.restore(last, dataset)
    return publish(directory, last, dataset, state, evaluate(state.average, dataset), overwrite=False)


def _holds_nothing(directory: Path) -> bool:
    """Tells whether a directory is missing or empty; what a killed process was writing does not count."""
    try:
        return not directory.is_dir() or all(path.name.endswith(PARTIAL) for path in directory.iterdir())
    except OSError as exc:
        raise TrainingError(f"{directory}: cannot be read: {exc.strerror}") from exc


def prepare_torch(config: Config) -> None:
    """Makes PyTorch compute the same bits every time, or refuse."""
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
