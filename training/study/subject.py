"""What is to be evaluated or compared: a run's directory, or a model package."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from training.data import Dataset, load_dataset
from training.evaluate.evaluation import EVALUATION_FILE, Budget, Evaluation
from training.evaluate.evidence import ReportStage, evaluate_pair
from training.evaluate.rows import EvaluationRows
from training.evaluate.served import ServedPair
from training.run import checkpoint
from training.run.checkpoint import CHECKPOINT_FILE
from training.run.publish import budget_of, evaluation_rows_of
from training.settings.config import Config
from training.settings.directory import PACKAGE_DIRECTORY
from training.settings.source import KNOWN, Source
from vaeserve.errors import TrainingError
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import MANIFEST_FILE, DataSpec


class Subject(NamedTuple):
    """A pair on disk."""

    directory: Path
    package: ModelPackage
    config: Config | None
    """The run's; None of a package alone."""

    @classmethod
    def find(cls, path: Path) -> Self:
        """Opens a run's directory or a package's; every file of the package is verified.

        Raises:
            TrainingError: it is neither, or the run has not come to its package yet.
            PackageError: a file is missing or altered.
        """
        if (path / MANIFEST_FILE).exists():
            return cls(path, ModelPackage.open(path), None)
        if not (path / CHECKPOINT_FILE).exists():
            raise TrainingError(
                f"{path}: is neither a run, with {CHECKPOINT_FILE}, nor a package, with {MANIFEST_FILE}"
            )
        if not (path / PACKAGE_DIRECTORY / MANIFEST_FILE).exists():
            raise TrainingError(f"{path}: the run is not done: go on with it by vae train --resume")
        config = checkpoint.read(path / CHECKPOINT_FILE).config
        return cls(path, ModelPackage.open(path / PACKAGE_DIRECTORY), config)

    @property
    def name(self) -> str:
        """What to call it in a table: its directory, and that of the run where a run's package was named."""
        place = self.directory.resolve()
        return place.parent.name if place.name == PACKAGE_DIRECTORY else place.name

    @property
    def data_sha256(self) -> str | None:
        """As in `Dataset`, of what it was trained on; None where the package does not tell."""
        provenance = self.package.manifest.provenance
        return None if provenance is None else provenance.data_sha256

    @property
    def has_nll(self) -> bool:
        """Whether its importance-weighted likelihood can be estimated."""
        manifest = self.package.manifest
        return manifest.posterior == "gaussian" and manifest.graphs.likelihood is not None

    @property
    def budget(self) -> Budget:
        """What its evaluation may cost, if nothing else is said."""
        return Budget() if self.config is None else budget_of(self.config)

    @property
    def source(self) -> Source | None:
        """The data that it was trained on; None where a package does not tell where that is."""
        if self.config is not None:
            return self.config.source
        provenance = self.package.manifest.provenance
        if provenance is None or provenance.dataset not in KNOWN:
            return None
        settings = provenance.config
        return Source(
            provenance.dataset,
            validation_rows=int(settings.get("validation_rows") or 0),
            binarised=bool(settings.get("binarised")),
        )

    def load(self, changes: dict[str, object]) -> Dataset:
        """Returns data to measure on.

        Args:
            changes: fields of Source that are not to be as they were in training. Another dataset changes all of them.

        Raises:
            TrainingError: nothing tells where the data is, it is bad, it is another than in training though none was
                named, or its rows are not what the encoder takes.
        """
        source = self.source
        if "dataset" in changes and (source is None or changes["dataset"] != source.dataset):
            source = Source(str(changes["dataset"]))
        if source is None:
            raise TrainingError(f"{self.directory}: does not tell where its data is: name it by --data")
        dataset = load_dataset(Source(**{**source._asdict(), **changes}))
        if "dataset" not in changes and dataset.sha256 != self.data_sha256:
            raise TrainingError(
                f"{dataset.name}: is not the data, or not the split, that the model was trained on: it may know rows "
                "that are held out now; name data by --data to measure on it all the same"
            )
        found, wanted = _kind(dataset.spec), _kind(self.package.manifest.data)
        if found != wanted:
            raise TrainingError(f"{dataset.name}: its rows are {found}, the model takes {wanted}")
        return dataset

    def measure(self, rows: EvaluationRows, budget: Budget, progress: ReportStage | None) -> Evaluation:
        """Returns what its graphs are worth on rows.

        Raises:
            TrainingError: a row to be measured has a value that a server would refuse.
        """
        data, low, high = self.package.manifest.data, float(np.nanmin(rows.test)), float(np.nanmax(rows.test))
        if low < data.minimum or high > data.maximum:
            raise TrainingError(
                f"{self.directory}: rows hold values from {low:g} to {high:g}, the model takes those within "
                f"[{data.minimum:g}, {data.maximum:g}]"
            )
        return evaluate_pair(ServedPair.from_package(self.package, budget.threads), rows, budget, progress)

    def keep(self, evaluation: Evaluation) -> Path | None:
        """Writes an evaluation beside the run, and returns where to; a package is left as it is.

        Raises:
            TrainingError: the disk refused it.
        """
        if self.config is None:
            return None
        path = self.directory / EVALUATION_FILE
        evaluation.write(path)
        return path

    def evaluation(self, progress: Callable[[], ReportStage]) -> Evaluation:
        """Returns its evaluation as it was kept, or measures and keeps it where there is none.

        Args:
            progress: makes what is told, where something is measured.
        """
        path = self.directory / EVALUATION_FILE
        if path.exists():
            return Evaluation.read(path)
        if self.source is None:
            raise TrainingError(f"{self.directory}: holds no {EVALUATION_FILE}, and does not tell where its data is")
        found = self.measure(evaluation_rows_of(self.load({})), self.budget, progress())
        self.keep(found)
        return found


def validation_rows_of(dataset: Dataset) -> EvaluationRows:
    """Returns rows to choose settings on: as `rows_of`, with validation rows in the place of test rows.

    Raises:
        TrainingError: the data has none.
    """
    if not len(dataset.validation):
        raise TrainingError(f"{dataset.name}: has no validation rows: take some by --validation-rows in training")
    labels = None if dataset.labels is None else dataset.labels.validation.numpy()
    return evaluation_rows_of(dataset)._replace(test=dataset.validation.numpy(), test_labels=labels)


def _kind(data: DataSpec) -> str:
    return f"{data.dtype} of {' x '.join(map(str, data.shape))}"
