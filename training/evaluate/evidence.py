"""The evaluation, in order: likelihoods, reconstruction, continuity, completeness under every prior."""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from math import log
from typing import NamedTuple

import numpy as np

from training.evaluate import aggregate, bounds, continuity
from training.evaluate.completeness import NEIGHBOURS, Balls, Completeness
from training.evaluate.evaluation import (
    Budget,
    Drawn,
    Estimate,
    Evaluation,
    FeatureSpace,
    Likelihoods,
    Nll,
    PriorEvidence,
    Smoothness,
)
from training.evaluate.features import Features, Labels, classifier_features, evenly, value_components
from training.evaluate.reconstruction import pca_squared_error, squared_error
from training.evaluate.served import Data, Floats, Posterior, Served
from vae.errors import TrainingError

Progress = Callable[[str, float], None]
"""Is told what is being measured, and which share of that is done, in [0, 1]."""


class Rows(NamedTuple):
    """Data as the encoder takes it; training and held-out rows must be drawn alike."""

    train: Data  # [rows, *row_shape]
    test: Data  # [rows, *row_shape]
    train_labels: Labels | None = None  # [rows]
    test_labels: Labels | None = None  # [rows]


class _Space(NamedTuple):
    """A feature space, with balls around training rows, and what held-out rows reach in them."""

    features: Features
    balls: Balls
    real: Completeness


class _Sets(NamedTuple):
    """What neighbours are looked for in: a latent for each of as many training rows as held-out ones."""

    test_latents: Floats
    holes: aggregate.Holes
    spaces: tuple[_Space, ...]
    scale: continuity.Scale
    binary: bool
    """Rows hold the least and the greatest value alone: what is decoded is then drawn, as they were."""


def evaluate(served: Served, rows: Rows, budget: Budget | None = None, progress: Progress | None = None) -> Evaluation:
    """Returns what can be said of a pair. The same graphs, rows and budget give the same figures.

    Raises:
        TrainingError: there are too few rows, or the encoder's answers are not finite.
    """
    budget, told = budget or Budget(), progress or (lambda _, __: None)
    if min(len(rows.train), len(rows.test)) <= NEIGHBOURS:
        raise TrainingError(
            f"an evaluation takes more than {NEIGHBOURS} training rows and as many held-out ones, "
            f"not {len(rows.train)} and {len(rows.test)}"
        )
    test = served.encode(rows.test)
    if not np.isfinite(test.mean).all():
        raise TrainingError("encoder.mean: the graph answers held-out rows with what is not finite")
    likelihoods = _likelihoods(served, rows.test, test, budget, told)
    told("continuity", 0)
    sets = _sets(served, rows, test, budget)
    lines = continuity.interpolation(served, *_pairs(sets.test_latents), sets.scale)
    smoothness = _smoothness(continuity.lipschitz(served, sets.test_latents, sets.scale))
    priors = []
    for number, name in enumerate(served.priors):
        told("completeness", number / len(served.priors))
        priors.append(_prior(served, name, sets, budget.seed))
    told("completeness", 1)
    return Evaluation(
        rows=len(rows.test),
        rows_sha256=sha256(np.ascontiguousarray(rows.test).tobytes()).hexdigest(),
        latent_size=served.latent_size,
        posterior=served.posterior,
        seed=budget.seed,
        likelihoods=likelihoods,
        active_units=aggregate.active_units(test) if served.posterior == "gaussian" else None,
        aggregate_kl_nats=aggregate.gaussian_kl(test),
        squared_error=squared_error(served.expectation(test.mean), rows.test),
        pca_squared_error=pca_squared_error(rows.train, rows.test, served.latent_size),
        smoothness=smoothness,
        interpolation_largest_step=lines.largest_step,
        features=tuple(
            _feature_space(space, _as_rows(served, sets, lines.midpoints, budget.seed)) for space in sets.spaces
        ),
        priors=tuple(priors),
    )


def _likelihoods(served: Served, rows: Data, posterior: Posterior, budget: Budget, told: Progress) -> Likelihoods:
    found = Likelihoods()
    if not served.scores:
        return found
    if posterior.log_variance is None:
        nats = bounds.mean_of(-served.score(rows, posterior.mean))
        return found.model_copy(update={"reconstruction_nats": _estimate(nats)})
    bits = served.data.size * log(2)
    seed = budget.seed
    elbo = bounds.elbo(served, rows, posterior, budget.draws, seed=seed, progress=partial(told, "ELBO"))
    return Likelihoods(
        negative_elbo_nats=_estimate(elbo.total),
        reconstruction_nats=_estimate(elbo.reconstruction),
        kl_nats=_estimate(elbo.kl),
        kl_per_dimension_nats=tuple(bounds.kl_per_dimension(posterior).mean(0).tolist()),
        bits_per_dimension=elbo.total.value / bits,
        nll=_nll(served, rows, posterior, budget, told),
    )


def _nll(served: Served, rows: Data, posterior: Posterior, budget: Budget, told: Progress) -> Nll:
    some = evenly(len(rows), budget.rows)
    log_variance = posterior.log_variance[some] if posterior.log_variance is not None else None
    part = Posterior(posterior.mean[some], log_variance)
    found = bounds.weighted_nll(
        served, rows[some], part, budget.samples, seed=budget.seed, progress=partial(told, "importance weights")
    )
    return Nll(
        nats=_estimate(found.nll),
        bits_per_dimension=found.nll.value / (served.data.size * log(2)),
        effective_samples=found.effective_samples,
        rows=len(some),
        samples=budget.samples,
        negative_elbo_nats=found.negative_elbo,
    )


def _sets(served: Served, rows: Rows, test: Posterior, budget: Budget) -> _Sets:
    points = min(budget.points, len(rows.train), len(rows.test))
    of_train, of_test = evenly(len(rows.train), points), evenly(len(rows.test), points)
    train_rows, test_rows = rows.train[of_train], rows.test[of_test]
    # Seeds that differ: where latents say little, equal noise would make every pair of rows neighbours.
    train_latents = bounds.draw(served.encode(train_rows), budget.seed + 1)
    test_latents = bounds.draw(test, budget.seed)[of_test]
    scale = continuity.Scale(served, rows.train)
    spaces = [value_components(rows.train, scale)]
    if rows.train_labels is not None and rows.test_labels is not None:
        labels = (rows.train_labels, rows.test_labels)
        spaces.append(classifier_features(spaces[0], (rows.train, labels[0]), (rows.test, labels[1])))
    return _Sets(
        test_latents=test_latents,
        holes=aggregate.Holes(train_latents, test_latents),
        spaces=tuple(_space(features, train_rows, test_rows) for features in spaces),
        scale=scale,
        binary=bool(np.isin(test_rows, (served.data.minimum, served.data.maximum)).all()),
    )


def _as_rows(served: Served, sets: _Sets, expectation: Floats, seed: int) -> Data:
    """Returns expectations [rows, *row_shape] as rows of the data's own kind: grey is no value of binary data."""
    if not sets.binary:
        return expectation
    low, high = served.data.minimum, served.data.maximum
    drawn = np.random.default_rng(seed).random(expectation.shape, np.float32) * (high - low) + low
    binary: Floats = np.where(drawn < expectation, high, low).astype(np.float32)
    return binary


def _space(features: Features, train: Data, test: Data) -> _Space:
    balls = Balls(features.of(train))
    return _Space(features, balls, balls.measure(features.of(test)))


def _pairs(latents: Floats) -> tuple[Floats, Floats]:
    half = len(latents) // 2
    return latents[:half], latents[half : 2 * half]


def _prior(served: Served, name: str, sets: _Sets, seed: int) -> PriorEvidence:
    latents = served.draw_prior(name, seed, len(sets.test_latents))
    made = _as_rows(served, sets, served.expectation(latents), seed)
    mmd = aggregate.mmd(sets.test_latents, latents, seed)
    cycle = continuity.cycle(served, latents)
    return PriorEvidence(
        name=name,
        hole_fraction=sets.holes.fraction(latents),
        mmd_squared=mmd.squared,
        mmd_squared_chance=mmd.chance,
        smoothness=_smoothness(continuity.lipschitz(served, latents, sets.scale)),
        cycle_distance=cycle.distance,
        cycle_deviations=cycle.deviations,
        samples=tuple(_drawn(space, made) for space in sets.spaces),
    )


def _drawn(space: _Space, made: Data) -> Drawn:
    found = space.balls.measure(space.features.of(made))
    return Drawn(
        features=space.features.name,
        density=found.density / space.real.density,
        coverage=found.coverage / space.real.coverage,
    )


def _feature_space(space: _Space, midpoints: Floats) -> FeatureSpace:
    return FeatureSpace(
        name=space.features.name,
        description=space.features.description,
        density=space.real.density,
        coverage=space.real.coverage,
        precision=space.real.precision,
        midpoint_precision=space.balls.measure(space.features.of(midpoints)).precision,
    )


def _smoothness(found: continuity.Lipschitz) -> Smoothness:
    return Smoothness(median=found.median, p99=found.p99, tear_index=found.tear_index)


def _estimate(mean: bounds.Mean) -> Estimate:
    return Estimate(value=mean.value, standard_error=mean.standard_error)
