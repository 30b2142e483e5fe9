"""The evaluation of a pair, in order: likelihoods, reconstruction, continuity, completeness under every prior."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from math import log

import numpy as np

from training.evaluate import aggregate, continuity
from training.evaluate.class_evidence import class_evidence
from training.evaluate.completeness import NEIGHBOURS
from training.evaluate.evaluation import Budget, Evaluation
from training.evaluate.figures import Likelihoods, PriorEvidence
from training.evaluate.prior_evidence import prior_evidence
from training.evaluate.probability import likelihoods_of
from training.evaluate.reconstruction import LinearModel, pca, reconstruction
from training.evaluate.references import References, feature_space, references_of
from training.evaluate.rows import Array32, Array64, DataArray, EncodedRows, EvaluationRows
from training.evaluate.served import ServedPair
from training.step.activity import active_units
from vaeserve.errors import TrainingError

NOT_OF_LEVELS = (None, "none", "bernoulli")  # families whose nats are not those of the data's levels, or are unknown

ReportStage = Callable[[str, float], None]
"""Called with the name of what is being measured, and the share of it that is done, in [0, 1]."""


def evaluate_pair(
    pair: ServedPair, rows: EvaluationRows, budget: Budget | None = None, progress: ReportStage | None = None
) -> Evaluation:
    """Returns every figure of a pair. The same graphs, rows and budget give the same figures.

    Raises:
        TrainingError: there are too few rows, or the graphs' answers are not finite.
    """
    budget, report = (budget or Budget()).of_rows(pair.data.value_count), progress or (lambda _, __: None)
    _check_counts(rows)
    report(f"reconstruction of {len(rows.test):,} rows", 0)
    posterior = pair.encode(rows.test)
    fit = reconstruction(_expectations(pair, rows.test, posterior), rows.train)
    likelihoods = likelihoods_of(pair, rows, posterior, budget, report)
    classes, anomalies = class_evidence(pair, rows)
    report("continuity", 0)
    references = references_of(pair, rows, posterior, budget)
    starts, ends = _halves(references.test_latents)
    midpoints = references.comparable(pair, starts + np.float32(0.5) * (ends - starts), budget.seed)
    smoothness = continuity.lipschitz(pair, references.test_latents, references.scale)
    report("PCA", 0)
    linear = pca(rows.train, rows.test, pair.latent_size)
    priors = _priors(pair, references, budget, report)
    return Evaluation(
        rows=len(rows.test),
        rows_sha256=sha256(np.ascontiguousarray(rows.test).data).hexdigest(),
        latent_size=pair.latent_size,
        posterior=pair.posterior,
        family=pair.family,
        seed=budget.seed,
        likelihoods=_beside_linear(likelihoods, pair, linear),
        active_units=active_units(posterior.mean) if pair.posterior == "gaussian" else None,
        aggregate_kl_nats=aggregate.gaussian_kl(posterior),
        squared_error=fit.squared_error,
        explained=fit.explained,
        pca_squared_error=linear and linear.squared_error,
        pca_explained=linear and linear.explained,
        smoothness=smoothness,
        interpolation_largest_step=continuity.largest_step(pair, starts, ends, references.scale),
        features=tuple(feature_space(space, midpoints) for space in references.spaces),
        priors=priors,
        classes=classes,
        anomalies=anomalies,
    )


def _beside_linear(likelihoods: Likelihoods, pair: ServedPair, linear: LinearModel | None) -> Likelihoods:
    """Returns the figures with those of probabilistic PCA beside them, if a density can be compared with them."""
    if linear is None or pair.family in NOT_OF_LEVELS:
        return likelihoods
    bits = linear.nats / (pair.data.value_count * log(2))
    return likelihoods.model_copy(update={"ppca_nats": linear.nats, "ppca_bits_per_dimension": bits})


def _check_counts(rows: EvaluationRows) -> None:
    if len(rows.train) <= NEIGHBOURS or len(rows.test) < 2:
        raise TrainingError(
            f"an evaluation takes more than {NEIGHBOURS} training rows and at least 2 held-out ones, "
            f"not {len(rows.train)} and {len(rows.test)}"
        )


def _expectations(
    pair: ServedPair, rows: DataArray, posterior: EncodedRows
) -> Iterator[tuple[DataArray | Array64, DataArray]]:
    """Yields what posterior means decode to, and the rows that they are of, one slice after another."""
    for part in pair.parts(len(rows), copies=3):
        expectation = pair.expectation(posterior.mean[part])
        for name, answer in {"encoder.mean": posterior.mean[part], "decoder.expectation": expectation}.items():
            if not np.isfinite(answer).all():
                raise TrainingError(f"{name}: the graph's answers for held-out rows are not finite")
        yield expectation, rows[part]


def _priors(pair: ServedPair, references: References, budget: Budget, report: ReportStage) -> tuple[PriorEvidence, ...]:
    evidence = []
    for number, name in enumerate(pair.priors):
        report("completeness", number / len(pair.priors))
        evidence.append(prior_evidence(pair, name, references, budget))
    report("completeness", 1)
    return tuple(evidence)


def _halves(latents: Array32) -> tuple[Array32, Array32]:
    half = len(latents) // 2
    return latents[:half], latents[half : 2 * half]
