"""What an evaluation found: one frozen value that is written beside the run, packed with the model, and compared."""

from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import NonNegativeInt, PositiveInt, ValidationError

from vaeserve.errors import TrainingError
from vaeserve.files import write_whole
from vaeserve.package.manifest import Sha256
from vaeserve.records import Record, first_problem

EVALUATION_FILE = "evaluation.json"


class Budget(NamedTuple):
    """What an evaluation may cost. The defaults take about a minute for a perceptron on one core."""

    rows: int = 1000
    """Held-out rows for the importance-weighted estimate; spread evenly where there are more."""
    samples: int = 500
    """Importance samples for each of them."""
    draws: int = 16
    """Latents a row for the ELBO, which takes every held-out row."""
    points: int = 1000
    """Held-out rows, training rows and draws from each prior for continuity and completeness."""
    seed: int = 0
    threads: int = 1
    """CPU threads of one operation, for who opens the graphs."""


class Estimate(Record):
    """A mean over rows."""

    value: float
    standard_error: float


class Nll(Record):
    """Importance-weighted estimate of -log p(x)."""

    nats: Estimate
    bits_per_dimension: float
    effective_samples: float
    """How many equal weights would tell as much as the samples do, a mean over rows."""
    rows: PositiveInt
    samples: PositiveInt
    negative_elbo_nats: float
    """Of the same rows."""


class Smoothness(Record):
    """How much outputs change for a small step of the latent (`training.evaluate.continuity.lipschitz`)."""

    median: float
    p99: float
    tear_index: float | None
    """p99 / median: 1 for a linear decoder; large where small steps tear outputs apart. None where nothing changes."""


class FeatureSpace(Record):
    """What rows were compared by, and what held-out rows reach there against training rows."""

    name: str
    description: str
    density: float
    coverage: float
    precision: float
    midpoint_precision: float
    """Of what lies halfway between two held-out rows' latents."""


class Drawn(Record):
    """What a prior's samples reach in one feature space, as a share of what held-out rows reach; None of nothing."""

    features: str
    density: float | None
    coverage: float | None


class PriorEvidence(Record):
    """What was found about one prior."""

    name: str
    hole_fraction: float
    """The share of its draws that lie where no row's latent does; 0.01 is what rows themselves have."""
    mmd_squared: float
    """To the aggregate posterior; around 0 where they are the same."""
    mmd_squared_chance: float
    """What 95 % of random splits stay below."""
    smoothness: Smoothness
    cycle_distance: float
    """From a draw to the encoding of what it decodes to, in latent units."""
    cycle_deviations: float | None
    """The same in standard deviations of the posterior."""
    samples: tuple[Drawn, ...]
    """One a feature space."""


class Likelihoods(Record):
    """How probable held-out rows are. None is what the model does not have.

    Nats are sums over a row's values, and means over rows.
    """

    negative_elbo_nats: Estimate | None = None
    reconstruction_nats: Estimate | None = None
    """Distortion: expected negative log-likelihood under the posterior; that of the code where there is none."""
    kl_nats: Estimate | None = None
    """Rate: what a latent tells about its row."""
    kl_per_dimension_nats: tuple[float, ...] | None = None
    bits_per_dimension: float | None = None
    """Negative ELBO / (values in a row * ln 2)."""
    nll: Nll | None = None
    without_latents_nats: float | None = None
    """Negative log-likelihood of the same family with parameters that are alike for all rows, fitted on the training
    rows, or of the uniform distribution where levels are discrete and that is less. None of a family that is unknown.
    """


class Evaluation(Record):
    """Figures of a pair on held-out rows, measured on its graphs. None is what the model does not have."""

    version: Literal[1] = 1
    rows: PositiveInt
    """Held out."""
    rows_sha256: Sha256
    """Of the held-out rows' bytes, in order: figures of other rows are not to be compared."""
    latent_size: PositiveInt
    posterior: Literal["gaussian", "none"]
    family: str | None = None
    """Of the likelihood; figures of another are not to be compared. None where it was not kept."""
    seed: NonNegativeInt

    likelihoods: Likelihoods
    active_units: int | None
    """Latent dimensions whose posterior mean varies by more than 0.01."""
    aggregate_kl_nats: float | None
    """From the Gaussian with the aggregate posterior's mean and covariance to N(0, I)."""
    squared_error: float
    """Of the expectation decoded from the posterior mean; a sum over a row's values, in the data's units."""
    explained: float | None = None
    """The share of the held-out rows' variance that it leaves nothing of, a table's columns scaled alike."""
    pca_squared_error: float | None = None
    """The same error for PCA with as many components, fitted on the training rows, scaled; None where it loses none."""
    pca_explained: float | None = None

    smoothness: Smoothness
    """Around held-out rows' latents."""
    interpolation_largest_step: float | None
    """Largest step / mean step on a line between two held-out rows' latents: 1 where outputs change evenly."""
    features: tuple[FeatureSpace, ...]
    priors: tuple[PriorEvidence, ...]

    @property
    def metrics(self) -> dict[str, float]:
        """The figures by name for a manifest: those that the model has."""
        found = self.likelihoods
        named: dict[str, float | None] = {
            "negative_elbo_nats": _value(found.negative_elbo_nats),
            "reconstruction_nats": _value(found.reconstruction_nats),
            "kl_nats": _value(found.kl_nats),
            "bits_per_dimension": found.bits_per_dimension,
            "active_units": self.active_units,
            "squared_error": self.squared_error,
            "explained": self.explained,
            "pca_squared_error": self.pca_squared_error,
            "pca_explained": self.pca_explained,
            "without_latents_nats": found.without_latents_nats,
            "aggregate_kl_nats": self.aggregate_kl_nats,
            "tear_index": self.smoothness.tear_index,
            "interpolation_largest_step": self.interpolation_largest_step,
        }
        if found.nll:
            named |= {
                "nll_nats": found.nll.nats.value,
                "nll_standard_error_nats": found.nll.nats.standard_error,
                "nll_bits_per_dimension": found.nll.bits_per_dimension,
                "nll_effective_samples": found.nll.effective_samples,
                "nll_negative_elbo_nats": found.nll.negative_elbo_nats,
            }
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
            source: what to call it in an error, usually its path.

        Raises:
            TrainingError: it is no evaluation, or one that this version does not understand; names the field.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as exc:
            raise TrainingError(f"{source}: {first_problem(exc)}") from exc

    def write(self, path: Path) -> None:
        """Writes a file, whole or not at all.

        Raises:
            TrainingError: the disk refused it.
        """
        try:
            write_whole(path, self.to_json().encode())
        except OSError as exc:
            raise TrainingError(f"{path}: cannot be written: {exc.strerror}") from exc

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file.

        Raises:
            TrainingError: it cannot be read, or is no evaluation.
        """
        try:
            return cls.parse(path.read_bytes(), str(path))
        except OSError as exc:
            raise TrainingError(f"{path}: cannot be read: {exc.strerror}") from exc


def _value(estimate: Estimate | None) -> float | None:
    return estimate.value if estimate else None
