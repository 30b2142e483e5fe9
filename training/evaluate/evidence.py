"""The evaluation, in order: likelihoods, reconstruction, continuity, completeness under every prior."""

from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from math import log
from typing import NamedTuple

import numpy as np

from training.evaluate import aggregate, bounds, continuity
from training.evaluate.baseline import without_latents
from training.evaluate.completeness import NEIGHBOURS, Balls, Completeness
from training.evaluate.evaluation import (
    Budget,
    Drawn,
    Evaluation,
    FeatureSpace,
    Likelihoods,
    Nll,
    PriorEvidence,
)
from training.evaluate.features import Features, LabelArray, classifier_features, evenly, value_components
from training.evaluate.reconstruction import pca, reconstruction
from training.evaluate.served import Array32, Array64, DataArray, EncodedRows, ServedPair
from vaeserve.errors import TrainingError

LEAST_BALLS = 32  # training rows to make balls around, also where fewer rows are held out

ReportStage = Callable[[str, float], None]
"""Is told what is being measured, and which share of that is done, in [0, 1]."""


class EvaluationRows(NamedTuple):
    """Data as the encoder takes it; training and held-out rows must be drawn alike."""

    train: DataArray  # [rows, *row_shape]
    test: DataArray  # [rows, *row_shape]
    train_labels: LabelArray | None = None  # [rows]
    test_labels: LabelArray | None = None  # [rows]


class _Space(NamedTuple):
    """A feature space, with balls around training rows, and what held-out rows reach in them."""

    features: Features
    balls: Balls
    real: Completeness


class _Sets(NamedTuple):
    """What everything is measured against: some training rows and held-out rows, and one latent for each."""

    test_latents: Array32
    holes: aggregate.Holes
    spaces: tuple[_Space, ...]
    scale: continuity.Scale
    two_valued: bool
    """Whether rows hold no value but the least and the largest."""


def evaluate_pair(
    pair: ServedPair, rows: EvaluationRows, budget: Budget | None = None, progress: ReportStage | None = None
) -> Evaluation:
    """Returns what can be said of a pair. The same graphs, rows and budget give the same figures.

    Raises:
        TrainingError: there are too few rows, or the graphs' answers are not finite.
    """
    budget, told = budget or Budget(), progress or (lambda _, __: None)
    if len(rows.train) <= NEIGHBOURS or len(rows.test) < 2:
        raise TrainingError(
            f"an evaluation takes more than {NEIGHBOURS} training rows and at least 2 held-out ones, "
            f"not {len(rows.train)} and {len(rows.test)}"
        )
    test = pair.encode(rows.test)
    found = reconstruction(_expectations(pair, rows.test, test), rows.train)
    likelihoods = _likelihoods(pair, rows, test, budget, told)
    told("continuity", 0)
    sets = _sets(pair, rows, test, budget)
    starts, ends = _halves(sets.test_latents)
    midpoints = _made(pair, starts + np.float32(0.5) * (ends - starts), sets.two_valued, budget.seed)
    smoothness = continuity.lipschitz(pair, sets.test_latents, sets.scale)
    priors = []
    for number, name in enumerate(pair.priors):
        told("completeness", number / len(pair.priors))
        priors.append(_prior(pair, name, sets, budget))
    told("completeness", 1)
    linear = pca(rows.train, rows.test, pair.latent_size)
    return Evaluation(
        rows=len(rows.test),
        rows_sha256=sha256(np.ascontiguousarray(rows.test).tobytes()).hexdigest(),
        latent_size=pair.latent_size,
        posterior=pair.posterior,
        family=pair.family,
        seed=budget.seed,
        likelihoods=likelihoods,
        active_units=aggregate.active_units(test.mean) if pair.posterior == "gaussian" else None,
        aggregate_kl_nats=aggregate.gaussian_kl(test),
        squared_error=found.squared_error,
        explained=found.explained,
        pca_squared_error=linear and linear.squared_error,
        pca_explained=linear and linear.explained,
        smoothness=smoothness,
        interpolation_largest_step=continuity.largest_step(pair, starts, ends, sets.scale),
        features=tuple(_feature_space(space, midpoints) for space in sets.spaces),
        priors=tuple(priors),
    )


def _expectations(
    pair: ServedPair, rows: DataArray, posterior: EncodedRows
) -> Iterator[tuple[DataArray | Array64, DataArray]]:
    """Yields what posterior means decode to, and the rows that they are of, some at a time."""
    for part in pair.parts(len(rows), copies=3):
        expectation = pair.expectation(posterior.mean[part])
        for name, answer in {"encoder.mean": posterior.mean[part], "decoder.expectation": expectation}.items():
            if not np.isfinite(answer).all():
                raise TrainingError(f"{name}: the graph answers held-out rows with what is not finite")
        yield expectation, rows[part]


def _likelihoods(
    pair: ServedPair, both: EvaluationRows, posterior: EncodedRows, budget: Budget, told: ReportStage
) -> Likelihoods:
    if not pair.scores:
        return Likelihoods()
    rows, alike = both.test, without_latents(pair.family, pair.data, both.train, both.test)
    if posterior.log_variance is None:
        reconstructed = bounds.mean_estimate(-pair.score(rows, posterior.mean))
        return Likelihoods(reconstruction_nats=reconstructed, without_latents_nats=alike)
    bits = pair.data.size * log(2)
    seed = budget.seed
    elbo = bounds.elbo(pair, rows, posterior, budget.draws, seed=seed, progress=partial(told, "ELBO"))
    return Likelihoods(
        negative_elbo_nats=elbo.total,
        reconstruction_nats=elbo.reconstruction,
        kl_nats=elbo.kl,
        kl_per_dimension_nats=tuple(bounds.kl_per_dimension(posterior).mean(0).tolist()),
        bits_per_dimension=elbo.total.value / bits,
        nll=_nll(pair, rows, posterior, budget, told),
        without_latents_nats=alike,
    )


def _nll(pair: ServedPair, rows: DataArray, posterior: EncodedRows, budget: Budget, told: ReportStage) -> Nll:
    some = evenly(len(rows), budget.rows)
    log_variance = posterior.log_variance[some] if posterior.log_variance is not None else None
    part = EncodedRows(posterior.mean[some], log_variance)
    found = bounds.weighted_nll(
        pair, rows[some], part, budget.samples, seed=budget.seed, progress=partial(told, "importance weights")
    )
    return Nll(
        nats=found.nll,
        bits_per_dimension=found.nll.value / (pair.data.size * log(2)),
        effective_samples=found.effective_samples,
        rows=len(some),
        samples=budget.samples,
        negative_elbo_nats=found.negative_elbo,
    )


def _sets(pair: ServedPair, rows: EvaluationRows, test: EncodedRows, budget: Budget) -> _Sets:
    of_test = evenly(len(rows.test), budget.points)
    of_train = evenly(len(rows.train), min(budget.points, max(len(of_test), LEAST_BALLS)))
    train_rows, test_rows = rows.train[of_train], rows.test[of_test]
    # Seeds that differ: where latents say little, equal noise would make every pair of rows neighbours.
    train_latents = bounds.draw_latents(pair.encode(train_rows), budget.seed + 1)
    test_latents = bounds.draw_latents(test, budget.seed)[of_test]
    scale = continuity.Scale(pair, rows.train)
    spaces = [value_components(rows.train, scale)]
    if rows.train_labels is not None and rows.test_labels is not None and len(np.unique(rows.train_labels)) > 1:
        labelled = (rows.train, rows.train_labels), (rows.test, rows.test_labels)
        spaces.append(classifier_features(spaces[0], *labelled))
    return _Sets(
        test_latents=test_latents,
        holes=aggregate.Holes(train_latents, test_latents),
        spaces=tuple(_space(features, train_rows, test_rows) for features in spaces),
        scale=scale,
        two_valued=bool(np.isin(test_rows, (pair.data.minimum, pair.data.maximum)).all()),
    )


def _space(features: Features, train: DataArray, test: DataArray) -> _Space:
    balls = Balls(features.of(train))
    return _Space(features, balls, balls.measure(features.of(test)))


def _halves(latents: Array32) -> tuple[Array32, Array32]:
    half = len(latents) // 2
    return latents[:half], latents[half : 2 * half]


def _made(pair: ServedPair, latents: Array32, two_valued: bool, seed: int) -> DataArray:
    """Returns what latents decode to, as rows that can be compared with real ones.

    That is what is served; but where real rows hold two values alone, shades between them would be nearer to every
    row than any row is: there one of the two is drawn, with the probability that the expectation tells.
    """
    if not two_valued:
        return pair.made(latents)
    low, high = pair.data.minimum, pair.data.maximum
    random = np.random.Generator(np.random.Philox(key=seed))
    drawn = []
    for part in pair.parts(len(latents)):
        share = (pair.expectation(latents[part]) - low) / (high - low)
        drawn.append(np.where(random.random(share.shape, np.float32) < share, high, low).astype(pair.data.dtype))
    return np.concatenate(drawn)


def _prior(pair: ServedPair, name: str, sets: _Sets, budget: Budget) -> PriorEvidence:
    latents = pair.draw_prior(name, budget.seed, budget.points)
    as_many = latents[: len(sets.test_latents)]  # coverage and MMD are of sets of one size
    made = _made(pair, as_many, sets.two_valued, budget.seed)
    mmd = aggregate.mmd(sets.test_latents, as_many, budget.seed)
    cycle = continuity.cycle(pair, latents)
    return PriorEvidence(
        name=name,
        hole_fraction=sets.holes.fraction(latents),
        mmd_squared=mmd.squared,
        mmd_squared_chance=mmd.chance,
        smoothness=continuity.lipschitz(pair, latents, sets.scale),
        cycle_distance=cycle.distance,
        cycle_deviations=cycle.deviations,
        samples=tuple(_drawn(space, made) for space in sets.spaces),
    )


def _drawn(space: _Space, made: DataArray) -> Drawn:
    found = space.balls.measure(space.features.of(made))
    return Drawn(
        features=space.features.name,
        density=found.density / space.real.density if space.real.density else None,
        coverage=found.coverage / space.real.coverage if space.real.coverage else None,
    )


def _feature_space(space: _Space, midpoints: DataArray) -> FeatureSpace:
    return FeatureSpace(
        name=space.features.name,
        description=space.features.description,
        density=space.real.density,
        coverage=space.real.coverage,
        precision=space.real.precision,
        midpoint_precision=space.balls.measure(space.features.of(midpoints)).precision,
    )
