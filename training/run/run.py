"""A run from data to model package. Its directory holds the checkpoint, the journal and the package."""

from collections.abc import Callable, Collection
from pathlib import Path

from training.data import Dataset, load_dataset
from training.evaluate.evaluation import EVALUATION_FILE
from training.models import kind_named
from training.run import checkpoint
from training.run.beginning import first_state
from training.run.checkpoint import CHECKPOINT_FILE, Checkpoint
from training.run.fit import fit
from training.run.journal import JOURNAL_FILE, Journal, read_curve
from training.run.lengthen import lengthened
from training.run.lock import alone_in
from training.run.progress import say
from training.run.publish import RunResult, publish
from training.run.report import opening
from training.run.ruled import ruled, validation_rule
from training.run.work import ReadingProgress
from training.settings.config import Config
from training.settings.directory import PACKAGE_DIRECTORY, holds_nothing
from training.settings.resolve import CHANGEABLE, LENGTH, refuse_changes, refuse_unused
from training.settings.versions import number_of
from training.step.best import refuse_without_validation
from training.step.device import prepare_torch
from training.step.length import in_epochs
from training.step.memory import lack_of_memory_in_one_line
from vaeserve.errors import TrainingError
from vaeserve.package.contents import PairPrecision


@lack_of_memory_in_one_line()
def begin(config: Config, directory: Path, given: Collection[str] = ()) -> tuple[Checkpoint, Dataset]:
    """Returns the first checkpoint of a new run, which is already on disk, and its data.

    For a kind without steps it is the last one.

    Args:
        config: the run's; a number of steps becomes one of epochs.
        directory: the run's.
        given: names of the settings that a file or a flag sets, not those of presets and defaults.

    Raises:
        TrainingError: the directory holds a run, or cannot be written to; a setting has no effect with this data; or
            the networks are too large.
    """
    _refuse_run(directory)
    prepare_torch(config.threads)
    dataset = read_data(config, validation_rule(config, given))
    config = ruled(config, dataset, given)
    prepare_torch(config.threads)
    refuse_without_validation(config, kind_named(config.model), dataset, given)
    config = in_epochs(config, len(dataset.train))
    first = checkpoint.take(config, dataset, first_state(config, dataset))
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise TrainingError(f"{directory}: cannot be created: {exc.strerror}") from exc
    with alone_in(directory):
        _refuse_run(directory)  # that another process began meanwhile
        checkpoint.write(directory / CHECKPOINT_FILE, first)
    return first, dataset


@lack_of_memory_in_one_line()
def resume(
    config: Config, directory: Path, overrides: dict[str, object], given: Collection[str] = ()
) -> tuple[Checkpoint, Dataset]:
    """Returns a run's last checkpoint and its data; begins a new run where the directory is missing or empty.

    Args:
        config: of a new run.
        directory: the run's.
        overrides: settings of the file and the flags; they must be those that the run was started with.
        given: names of the settings that a file or a flag sets. With another number of epochs or steps the run goes on
            to that.

    Raises:
        TrainingError: there are files but no whole checkpoint, or a setting or the data differs, or the run has done
            as many epochs already; the message names the setting.
    """
    if holds_nothing(directory):
        return begin(config, directory, given)
    if not (directory / CHECKPOINT_FILE).exists():
        raise TrainingError(
            f"{directory} holds files but no {CHECKPOINT_FILE}: no run to go on with; choose another --out"
        )
    saved, length = checkpoint.read(directory / CHECKPOINT_FILE), LENGTH.intersection(given)
    config = refuse_changes(saved.config, overrides, CHANGEABLE | length)
    refuse_unused(config, length)
    prepare_torch(config.threads)
    dataset = data_of(saved.model_copy(update={"config": config}))
    last = lengthened(
        saved, config.model_copy(update={"steps": None}) if "epochs" in length else config, len(dataset.train)
    )
    if last.config != saved.config:
        with alone_in(directory):
            checkpoint.write(directory / CHECKPOINT_FILE, last)
            if last.config.epochs != saved.config.epochs:  # the evaluation is not of what the run comes to
                (directory / EVALUATION_FILE).unlink(missing_ok=True)
    return last, dataset


def data_of(last: Checkpoint) -> Dataset:
    """Returns the data of a run, by the name that it had when the run began.

    Raises:
        TrainingError: it is missing or bad, or it is other data now.
    """
    dataset = read_data(last.config)
    checkpoint.refuse_other_data(last, dataset)
    return dataset._replace(name=last.data_name)


def read_data(config: Config, validation_rows: Callable[[int], int] | None = None) -> Dataset:
    """Returns a run's data, and shows how far the reading is. Raises TrainingError as `load_dataset` does."""
    with ReadingProgress() as reading:
        return load_dataset(config.source, reading, validation_rows)


@lack_of_memory_in_one_line()
def train_to_package(directory: Path, last: Checkpoint, dataset: Dataset) -> RunResult:
    """Trains from a checkpoint to the end on its data, and packages the result.

    If it ends early, for whatever reason, the directory holds the state after the last whole epoch.

    Raises:
        TrainingError: a file cannot be written, memory ran out, training diverged repeatedly, the exported graphs
            do not answer as the networks do, or another process trains there.
    """
    say(opening(last, dataset))
    with alone_in(directory), Journal(directory / JOURNAL_FILE, last.epoch) as journal:
        last = fit(directory, last, dataset, journal)
        version = number_of(last.config.version, directory, last.name)
        curve, best = read_curve(directory / JOURNAL_FILE, last), last.exported_best
        outcome = publish(directory / PACKAGE_DIRECTORY, last, dataset, version, overwrite=True, curve=curve)
        epochs_done = {"epoch": last.epoch, **({} if best is None else {"best_epoch": best})}
        journal.write("test", {**epochs_done, **outcome.evaluation.metrics})
        outcome.evaluation.write(directory / EVALUATION_FILE)
    return outcome


@lack_of_memory_in_one_line()
def export_checkpoint(
    source: Path, directory: Path, version: int | str | None = None, precision: PairPrecision = "float32"
) -> RunResult:
    """Writes a run's last checkpoint as a model package, with the graphs that `train_to_package` would write.

    Args:
        source: the run's directory, or its checkpoint file.
        directory: where the package goes; must not exist.
        version: of the package; None: the run's setting.
        precision: of the encoder and the decoder.

    Raises:
        TrainingError: there is no whole checkpoint, or the graphs do not answer as the networks do.
        PackageError: the directory exists, or the files cannot be written.
    """
    file = source / CHECKPOINT_FILE if source.is_dir() else source
    last = checkpoint.read(file)
    wanted = last.config.version if version is None else version
    prepare_torch(last.config.threads)
    dataset = data_of(last)
    number = number_of(wanted, directory, last.name)
    curve = read_curve(file.with_name(JOURNAL_FILE), last)
    return publish(directory, last, dataset, number, overwrite=False, precision=precision, curve=curve)


def _refuse_run(directory: Path) -> None:
    """Raises TrainingError if a directory holds a run, or a part of one."""
    for name in (CHECKPOINT_FILE, JOURNAL_FILE, EVALUATION_FILE, PACKAGE_DIRECTORY):
        if (directory / name).exists():
            raise TrainingError(f"{directory} holds a run already: go on with it by --resume, or choose another --out")
