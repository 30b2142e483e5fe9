import numpy as np
import pytest

from tests.support.make_tiny_package import TINY
from tests.training.evaluate.conftest import BUDGET, LATENT
from training.evaluate.evidence import evaluate_pair
from training.evaluate.references import LEAST_BALLS, References, references_of
from training.evaluate.rows import EvaluationRows
from training.evaluate.served import ServedPair
from vaeserve.package.directory import ModelPackage


def references(served: ServedPair, rows: EvaluationRows) -> References:
    return references_of(served, rows, served.encode(rows.test), BUDGET)


def names(found: References) -> list[str]:
    return [space.features.name for space in found.spaces]


def test_labels_give_a_second_feature_space(served: ServedPair, rows: EvaluationRows) -> None:
    assert names(references(served, rows)) == ["values", "classifier"]
    assert names(references(served, rows._replace(train_labels=None, test_labels=None))) == ["values"]


def test_one_class_makes_no_classifier(served: ServedPair, rows: EvaluationRows) -> None:
    assert names(references(served, rows._replace(train_labels=np.zeros(len(rows.train), np.int64)))) == ["values"]


def test_few_held_out_rows_still_get_enough_balls(served: ServedPair, rows: EvaluationRows) -> None:
    found = references(served, rows._replace(test=rows.test[:4], test_labels=None))
    assert found.test_latents.shape == (4, LATENT)
    everything = found.spaces[0].features.of(rows.train)
    assert len(np.unique(np.flatnonzero(found.spaces[0].balls._edges))) == LEAST_BALLS < len(everything)


def test_where_rows_are_black_and_white_so_are_samples() -> None:
    """A decoder that knows only grey makes rows like those of noise: half of each, whatever the threshold."""
    served = ServedPair.from_package(ModelPackage.open(TINY))
    random = np.random.default_rng(0)
    train, test = (16 * random.integers(0, 2, (rows, 4, 4, 1)).astype(np.uint8) for rows in (200, 200))
    found = references(served, EvaluationRows(train, test))
    assert found.are_two_valued
    origin = np.zeros((50, 3), np.float32)
    assert set(np.unique(found._replace(are_two_valued=False).comparable(served, origin, 0))) == {8}
    drawn = found.comparable(served, origin, 0)
    assert set(np.unique(drawn)) == {0, 16}
    assert drawn.mean() == pytest.approx(8, abs=1)
    metrics = evaluate_pair(served, EvaluationRows(train, test), BUDGET).metrics
    assert metrics["standard_values_density"] == pytest.approx(1, abs=0.5)


def test_rows_with_shades_are_not_two_valued(served: ServedPair, rows: EvaluationRows) -> None:
    assert not references(served, rows).are_two_valued
