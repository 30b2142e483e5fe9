"""The figures that an evaluation consists of, as frozen records."""

from typing import Literal

from pydantic import PositiveInt

from vaeserve.package.manifest import STANDARD
from vaeserve.records import Record


class Estimate(Record):
    """A mean over rows."""

    value: float
    standard_error: float


class Nll(Record):
    """Importance-weighted estimate of -log p(x)."""

    nats: Estimate
    bits_per_dimension: float
    effective_samples: float
    """The number of equal weights that would carry as much information as the samples, a mean over rows."""
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
    """A space in which rows were compared, and what held-out rows reach in it against training rows."""

    name: str
    description: str
    density: float
    coverage: float
    precision: float
    midpoint_precision: float
    """Of rows decoded halfway between the latents of two held-out rows."""


class Drawn(Record):
    """What a prior's samples reach in one feature space, over what held-out rows reach; None where that is 0."""

    features: str
    density: float | None
    coverage: float | None


class PriorEvidence(Record):
    """The figures of one prior."""

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
    """How probable held-out rows are. None: the model does not have the figure.

    Nats are sums over a row's values, and means over rows.
    """

    negative_elbo_nats: Estimate | None = None
    reconstruction_nats: Estimate | None = None
    """Distortion: expected negative log-likelihood under the posterior; that of the one latent where there is none."""
    kl_nats: Estimate | None = None
    """Rate: the information that a latent carries about its row; to the model's prior."""
    kl_per_dimension_nats: tuple[float, ...] | None = None
    """None also for a prior other than N(0, I), because that KL is not a sum over dimensions."""
    prior: str = STANDARD
    """Name of the model's prior, the p(z) of the ELBO, the KL and -log p(x)."""
    bits_per_dimension: float | None = None
    """Negative ELBO / (values in a row * ln 2)."""
    nll: Nll | None = None
    ppca_nats: float | None = None
    """Of probabilistic PCA with as many components, fitted on the training rows: a density in the data's units.

    None where PCA loses nothing, and where the family's probabilities are not of the data's levels.
    """
    ppca_bits_per_dimension: float | None = None
    without_latents_nats: float | None = None
    """Negative log-likelihood with one distribution of the same family for all rows, fitted on the training rows; or
    with the uniform distribution, where levels are discrete and that is less. None: the family is unknown.
    """


ScoreName = Literal["negative_elbo", "reconstruction", "squared_error"]


class ClassFigures(Record):
    """Figures of the held-out rows of one class, means a row."""

    name: str
    rows: PositiveInt
    trained_on: bool
    """Whether training rows are of this class; if not, its rows are anomalies."""
    squared_error: float | None
    """Of the expectation decoded from the posterior mean; a sum over a row's values, in the data's units. This and the
    others are None too where a row leaves the range of floats, as a far anomaly may.
    """
    negative_elbo_nats: Estimate | None = None
    """At the mean latent, as Reconstruct answers it. None: the model has no posterior, or no likelihood."""
    reconstruction_nats: Estimate | None = None
    """-log p(x | mean latent)."""


class AnomalyScore(Record):
    """How well one score tells anomalies from the held-out rows of the classes that were trained on."""

    name: ScoreName
    """What is scored: as Reconstruct answers it; -log p(x | mean latent); the squared error, columns scaled alike."""
    auroc: Estimate
    """The chance that an anomaly has the higher score, with DeLong's standard error."""
    average_precision: float


class AnomalyFigures(Record):
    """How well anomalies are told from other held-out rows."""

    rows: PositiveInt
    """Anomalies."""
    share: float
    """Of all that were scored: the average precision of a score that tells nothing."""
    scores: tuple[AnomalyScore, ...]


def prior_title(name: str) -> str:
    """Returns what a prior is called in a text for people."""
    return "N(0, I)" if name == STANDARD else name
