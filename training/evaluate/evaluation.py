"""An evaluation: one frozen value that is written beside the run, packed with the model, and compared."""

from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import NonNegativeInt, PositiveInt, ValidationError

from training.evaluate.figures import (
    AnomalyFigures,
    ClassFigures,
    Estimate,
    FeatureSpace,
    Likelihoods,
    PriorEvidence,
    Smoothness,
)
from vaeserve.errors import TrainingError
from vaeserve.files import write_whole
from vaeserve.package.contents import Sha256
from vaeserve.records import Record, first_problem

EVALUATION_FILE = "evaluation.json"
LEAST_POINTS, POINT_VALUES = 200, 4_000_000  # values of all points together, but at least so many points


class Budget(NamedTuple):
    """How much work an evaluation does. The defaults take about a minute for a perceptron on one core."""

    rows: int = 1000
    """Held-out rows for the importance-weighted estimate; spread evenly where there are more."""
    samples: int = 500
    """Importance samples for each of them."""
    draws: int = 16
    """Latents a row for the ELBO, which takes every held-out row."""
    points: int = 1000
    """Held-out rows, training rows and draws from each prior for continuity and completeness; fewer of large rows."""
    seed: int = 0
    threads: int = 1
    """CPU threads of one operation, for callers that open the graphs."""

    def of_rows(self, values: int) -> Self:
        """Returns the budget for rows of so many values: each point is decoded a dozen times for each prior."""
        return self._replace(points=min(self.points, max(LEAST_POINTS, POINT_VALUES // values)))


class Evaluation(Record):
    """Figures of a pair on held-out rows, measured on its graphs. None: the model does not have the figure."""

    version: Literal[1] = 1
    rows: PositiveInt
    """Held out."""
    rows_sha256: Sha256
    """Of the held-out rows' bytes, in order: figures of other rows cannot be compared."""
    latent_size: PositiveInt
    posterior: Literal["gaussian", "none"]
    family: str | None = None
    """Of the likelihood; nats of different families cannot be compared. None: not recorded."""
    seed: NonNegativeInt

    likelihoods: Likelihoods
    active_units: int | None
    """Latent dimensions whose posterior mean varies by more than 0.01."""
    aggregate_kl_nats: float | None
    """From the Gaussian with the aggregate posterior's mean and covariance to N(0, I)."""
    squared_error: float
    """Of the expectation decoded from the posterior mean; a sum over a row's values, in the data's units."""
    explained: float | None = None
    """The share of the held-out rows' variance that it explains, with a table's columns scaled alike."""
    pca_squared_error: float | None = None
    """The same error for PCA with as many components, fitted on scaled training rows; None where PCA loses nothing."""
    pca_explained: float | None = None

    smoothness: Smoothness
    """Around held-out rows' latents."""
    interpolation_largest_step: float | None
    """Largest step / mean step on a line between two held-out rows' latents: 1 where outputs change evenly."""
    features: tuple[FeatureSpace, ...]
    priors: tuple[PriorEvidence, ...]

    classes: tuple[ClassFigures, ...] = ()
    """Of held-out rows; none where the data has no classes."""
    anomalies: AnomalyFigures | None = None
    """None: rows of every class were trained on."""

    @property
    def model_prior(self) -> PriorEvidence:
        """The figures of the prior that is part of the model; of N(0, I) if none is."""
        return next(prior for prior in self.priors if prior.name == self.likelihoods.prior)

    @property
    def metrics(self) -> dict[str, float]:
        """The figures by name for a manifest: those that the model has."""
        likelihoods = self.likelihoods
        named: dict[str, float | None] = {
            "negative_elbo_nats": _value(likelihoods.negative_elbo_nats),
            "reconstruction_nats": _value(likelihoods.reconstruction_nats),
            "kl_nats": _value(likelihoods.kl_nats),
            "bits_per_dimension": likelihoods.bits_per_dimension,
            "active_units": self.active_units,
            "squared_error": self.squared_error,
            "explained": self.explained,
            "pca_squared_error": self.pca_squared_error,
            "pca_explained": self.pca_explained,
            "ppca_nats": likelihoods.ppca_nats,
            "ppca_bits_per_dimension": likelihoods.ppca_bits_per_dimension,
            "without_latents_nats": likelihoods.without_latents_nats,
            "aggregate_kl_nats": self.aggregate_kl_nats,
            "tear_index": self.smoothness.tear_index,
            "interpolation_largest_step": self.interpolation_largest_step,
        }
        if likelihoods.nll:
            named |= {
                "nll_nats": likelihoods.nll.nats.value,
                "nll_standard_error_nats": likelihoods.nll.nats.standard_error,
                "nll_bits_per_dimension": likelihoods.nll.bits_per_dimension,
                "nll_effective_samples": likelihoods.nll.effective_samples,
                "nll_negative_elbo_nats": likelihoods.nll.negative_elbo_nats,
            }
        for score in self.anomalies.scores if self.anomalies else ():
            named[f"anomaly_auroc_{score.name}"] = score.auroc.value
            named[f"anomaly_auroc_standard_error_{score.name}"] = score.auroc.standard_error
            named[f"anomaly_average_precision_{score.name}"] = score.average_precision
        for prior in self.priors:
            named[f"{prior.name}_hole_fraction"] = prior.hole_fraction
            named[f"{prior.name}_tear_index"] = prior.smoothness.tear_index
            for drawn in prior.samples:
                named[f"{prior.name}_{drawn.features}_density"] = drawn.density
                named[f"{prior.name}_{drawn.features}_coverage"] = drawn.coverage
        return {name: value for name, value in named.items() if value is not None}

    def to_json(self) -> str:
        """Returns it as indented JSON."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def parse(cls, text: str | bytes, source: str = EVALUATION_FILE) -> Self:
        """Reads what `to_json` wrote.

        Args:
            text: the JSON.
            source: its name in errors, usually its path.

        Raises:
            TrainingError: it is not an evaluation, or not one that this version understands; names the field.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as exc:
            raise TrainingError(f"{source}: {first_problem(exc)}") from exc

    def write(self, path: Path) -> None:
        """Writes a file, whole or not at all.

        Raises:
            TrainingError: the file cannot be written.
        """
        try:
            write_whole(path, self.to_json().encode())
        except OSError as exc:
            raise TrainingError(f"{path}: cannot be written: {exc.strerror}") from exc

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file.

        Raises:
            TrainingError: it cannot be read, or is not an evaluation.
        """
        try:
            return cls.parse(path.read_bytes(), str(path))
        except OSError as exc:
            raise TrainingError(f"{path}: cannot be read: {exc.strerror}") from exc


def _value(estimate: Estimate | None) -> float | None:
    return estimate.value if estimate else None
