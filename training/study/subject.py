"""What is evaluated or compared: the directory of a run, or a model package."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from training.card.learning_curve import LearningCurve
from training.data import Dataset, load_dataset
from training.evaluate.evaluation import EVALUATION_FILE, Budget, Evaluation
from training.evaluate.evidence import ReportStage, evaluate_pair
from training.evaluate.rows import EvaluationRows
from training.evaluate.served import ServedPair
from training.models import MODELS
from training.run import checkpoint
from training.run.checkpoint import CHECKPOINT_FILE
from training.run.journal import JOURNAL_FILE, read_curve
from training.run.publish import budget_of, evaluation_rows_of
from training.settings.config import Config
from training.settings.directory import PACKAGE_DIRECTORY
from training.settings.resolve import parse_source
from training.settings.source import KNOWN, Source
from vaeserve.errors import TrainingError
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import MANIFEST_FILE


class Subject(NamedTuple):
    """A pair on disk."""

    directory: Path
    package: ModelPackage
    config: Config | None
    """Configuration of the run; None for a package alone."""

    @classmethod
    def find(cls, path: Path) -> Self:
        """Opens the directory of a run or of a package, and verifies every file of the package.

        Raises:
            TrainingError: it is neither, or the run has no package yet.
            PackageError: a file is missing or altered.
        """
        if (path / MANIFEST_FILE).exists():
            return cls(path, ModelPackage.open(path), None)
        if not (path / CHECKPOINT_FILE).exists():
            raise TrainingError(
                f"{path}: is neither a run (it has no {CHECKPOINT_FILE}) nor a package (it has no {MANIFEST_FILE})"
            )
        if not (path / PACKAGE_DIRECTORY / MANIFEST_FILE).exists():
            raise TrainingError(f"{path}: the run is not done: continue it with vae train --resume")
        config = checkpoint.read(path / CHECKPOINT_FILE).config
        return cls(path, ModelPackage.open(path / PACKAGE_DIRECTORY), config)

    @property
    def name(self) -> str:
        """Name in a table: that of its directory, or of the run's directory for a package inside a run."""
        place = self.directory.resolve()
        return place.parent.name if place.name == PACKAGE_DIRECTORY else place.name

    @property
    def data_sha256(self) -> str | None:
        """As in `Dataset`, for the training data; None if the package does not say."""
        provenance = self.package.manifest.provenance
        return None if provenance is None else provenance.data_sha256

    @property
    def has_nll(self) -> bool:
        """Whether its importance-weighted likelihood can be estimated."""
        manifest = self.package.manifest
        return manifest.posterior == "gaussian" and manifest.graphs.likelihood is not None

    @property
    def budget(self) -> Budget:
        """Default cost of its evaluation."""
        return Budget() if self.config is None else budget_of(self.config)

    @property
    def source(self) -> Source | None:
        """The training data; None if a package does not say where it is."""
        if self.config is not None:
            return self.config.source
        provenance = self.package.manifest.provenance
        if provenance is None or provenance.dataset not in KNOWN:
            return None
        settings = provenance.config
        return Source(
            dataset=provenance.dataset,
            validation_rows=int(settings.get("validation_rows") or 0),
            binarised=bool(settings.get("binarised")),
            train_classes=tuple(str(settings["train_classes"]).split(",")) if settings.get("train_classes") else (),
        )

    @property
    def epochs(self) -> tuple[int | None, int | None]:
        """The epoch that was exported, and how many the run did; None where the package does not say."""
        provenance = self.package.manifest.provenance
        settings = {} if provenance is None else provenance.config
        if settings.get("model") not in MODELS or "epochs" not in MODELS[str(settings["model"])].uses:
            return None, None
        done, best = (settings.get(key) for key in ("epochs_done", "best_epoch"))
        done = done if isinstance(done, int) else None
        return (best if isinstance(best, int) else done), done

    def curve(self) -> LearningCurve | None:
        """Returns the losses of its run; None for a package alone, or if the run's journal does not have them.

        Raises:
            TrainingError: the checkpoint is damaged.
        """
        if self.config is None:
            return None
        return read_curve(self.directory / JOURNAL_FILE, checkpoint.read(self.directory / CHECKPOINT_FILE))

    def load(self, changes: dict[str, object]) -> Dataset:
        """Returns data to measure on.

        Args:
            changes: fields of Source that differ from training. Another dataset replaces all of them.

        Raises:
            TrainingError: the place of the data is unknown, the data is bad or does not fit the encoder, or it differs
                from the training data although no other data was named.
        """
        source = self.source
        if "dataset" in changes and (source is None or changes["dataset"] != source.dataset):
            source = Source(dataset=str(changes["dataset"]))
        if source is None:
            raise TrainingError(f"{self.directory}: does not say where its data is: name it with --data")
        dataset = load_dataset(parse_source({**source.model_dump(), **changes}))
        if "dataset" not in changes and dataset.sha256 != self.data_sha256:
            raise TrainingError(
                f"{dataset.name}: is not the data or split that the model was trained on, so the model may have seen "
                "rows that are held out now; to measure on it anyway, name it with --data"
            )
        rows, accepted = _type_of(dataset.spec), _type_of(self.package.manifest.data)
        if rows != accepted:
            raise TrainingError(f"{dataset.name}: its rows are {rows}, the model takes {accepted}")
        return dataset

    def measure(self, rows: EvaluationRows, budget: Budget, progress: ReportStage | None) -> Evaluation:
        """Returns the evaluation of its graphs on rows.

        Raises:
            TrainingError: a row has a value that a server would refuse.
        """
        data, low, high = self.package.manifest.data, float(np.nanmin(rows.test)), float(np.nanmax(rows.test))
        if low < data.minimum or high > data.maximum:
            raise TrainingError(
                f"{self.directory}: rows have values from {low:g} to {high:g}, the model takes values within "
                f"[{data.minimum:g}, {data.maximum:g}]"
            )
        return evaluate_pair(ServedPair.from_package(self.package, budget.threads), rows, budget, progress)

    def keep(self, evaluation: Evaluation) -> Path | None:
        """Writes an evaluation into the run's directory and returns the file; leaves a package unchanged.

        Raises:
            TrainingError: the file cannot be written.
        """
        if self.config is None:
            return None
        path = self.directory / EVALUATION_FILE
        evaluation.write(path)
        return path

    def evaluation(self, progress: Callable[[], ReportStage]) -> Evaluation:
        """Returns its saved evaluation; measures and saves one if there is none.

        Args:
            progress: makes the report of stages; called only if something is measured.
        """
        path = self.directory / EVALUATION_FILE
        if path.exists():
            return Evaluation.read(path)
        if self.source is None:
            raise TrainingError(f"{self.directory}: has no {EVALUATION_FILE} and does not say where its data is")
        evaluation = self.measure(evaluation_rows_of(self.load({})), self.budget, progress())
        self.keep(evaluation)
        return evaluation


def validation_rows_of(dataset: Dataset) -> EvaluationRows:
    """Returns rows for choosing settings: as `evaluation_rows_of`, with validation rows instead of test rows.

    Raises:
        TrainingError: the data has no validation rows.
    """
    if not len(dataset.validation):
        raise TrainingError(f"{dataset.name}: has no validation rows: set --validation-rows in training")
    labels = None if dataset.labels is None else dataset.labels.validation.numpy()
    return evaluation_rows_of(dataset)._replace(
        test=dataset.validation.numpy(), test_labels=labels, anomalies=None, anomaly_labels=None
    )


def _type_of(data: DataSpec) -> str:
    return f"{data.dtype} of {' x '.join(map(str, data.shape))}"
