"""What latents and decoded rows are compared with: some training and held-out rows, and a latent of each."""

from typing import NamedTuple

import numpy as np

from training.evaluate import bounds
from training.evaluate.aggregate import Holes
from training.evaluate.completeness import Balls, Completeness
from training.evaluate.continuity import Scale
from training.evaluate.evaluation import Budget
from training.evaluate.features import Features, classifier_features, value_components
from training.evaluate.figures import FeatureSpace
from training.evaluate.rows import Array32, DataArray, EncodedRows, EvaluationRows, evenly
from training.evaluate.served import ServedPair

LEAST_BALLS = 32  # minimum number of training rows with a ball, also where fewer rows are held out


class Space(NamedTuple):
    """A feature space with balls around training rows, and what held-out rows reach in it."""

    features: Features
    balls: Balls
    real: Completeness


class References(NamedTuple):
    """The rows and latents that everything else is compared with."""

    test_latents: Array32
    """One draw from the posterior of each held-out row."""
    holes: Holes
    spaces: tuple[Space, ...]
    scale: Scale
    are_two_valued: bool
    """Whether the rows hold no values but the minimum and the maximum."""

    def comparable(self, pair: ServedPair, latents: Array32, seed: int) -> DataArray:
        """Returns what latents decode to, as rows that can be compared with real ones.

        That is the data that is served. The exception are rows of two values: shades between the two would lie nearer
        to every row than any row does. There each value is drawn, with the probability that the expectation gives.
        """
        if not self.are_two_valued:
            return pair.made(latents)
        low, high = pair.data.minimum, pair.data.maximum
        random = np.random.Generator(np.random.Philox(key=seed))
        rows = []
        for part in pair.parts(len(latents)):
            share = (pair.expectation(latents[part]) - low) / (high - low)
            rows.append(np.where(random.random(share.shape, np.float32) < share, high, low).astype(pair.data.dtype))
        return np.concatenate(rows)


def references_of(pair: ServedPair, rows: EvaluationRows, test: EncodedRows, budget: Budget) -> References:
    """Returns the references.

    Args:
        pair: what is measured.
        rows: training and held-out rows.
        test: the held-out rows, encoded.
        budget: how many of the rows are used.
    """
    of_test = evenly(len(rows.test), budget.points)
    of_train = evenly(len(rows.train), min(budget.points, max(len(of_test), LEAST_BALLS)))
    train_rows, test_rows = rows.train[of_train], rows.test[of_test]
    # The seeds differ: where latents say little, equal noise would make neighbours of any two rows.
    train_latents = bounds.draw_latents(pair.encode(train_rows), budget.seed + 1)
    test_latents = bounds.draw_latents(test, budget.seed)[of_test]
    scale = Scale(pair, rows.train)
    return References(
        test_latents=test_latents,
        holes=Holes(train_latents, test_latents),
        spaces=tuple(_space(features, train_rows, test_rows) for features in _features(rows, scale)),
        scale=scale,
        are_two_valued=bool(np.isin(test_rows, (pair.data.minimum, pair.data.maximum)).all()),
    )


def feature_space(space: Space, midpoints: DataArray) -> FeatureSpace:
    """Returns what held-out rows reach in a space, and what the midpoints between their latents do."""
    return FeatureSpace(
        name=space.features.name,
        description=space.features.description,
        density=space.real.density,
        coverage=space.real.coverage,
        precision=space.real.precision,
        midpoint_precision=space.balls.measure(space.features.of(midpoints)).precision,
    )


def _features(rows: EvaluationRows, scale: Scale) -> list[Features]:
    spaces = [value_components(rows.train, scale)]
    if rows.train_labels is not None and rows.test_labels is not None and len(np.unique(rows.train_labels)) > 1:
        labelled = (rows.train, rows.train_labels), (rows.test, rows.test_labels)
        spaces.append(classifier_features(spaces[0], *labelled))
    return spaces


def _space(features: Features, train: DataArray, test: DataArray) -> Space:
    balls = Balls(features.of(train))
    return Space(features, balls, balls.measure(features.of(test)))
