import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from training.evaluate.ranking import auroc, average_precision

RANDOM = np.random.default_rng(0)


def test_the_areas_are_those_of_scikit_learn_with_ties_too() -> None:
    usual, anomalous = RANDOM.normal(size=300).round(1), RANDOM.normal(1, 2, 40).round(1)
    truth, scores = np.arange(340) >= 300, np.concatenate([usual, anomalous])
    assert auroc(usual, anomalous).value == pytest.approx(roc_auc_score(truth, scores))
    assert average_precision(usual, anomalous) == pytest.approx(average_precision_score(truth, scores))


def test_the_standard_error_is_the_spread_over_repetitions() -> None:
    found = [auroc(RANDOM.normal(size=80), RANDOM.normal(1, 1, 30)) for _ in range(400)]
    spread = np.std([each.value for each in found])
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.1)


def test_what_left_the_range_of_floats_is_most_unusual() -> None:
    usual, anomalous = np.arange(10.0), np.array([np.inf, np.nan, 20.0])
    assert auroc(usual, anomalous).value == 1
    assert average_precision(usual, anomalous) == 1
    assert auroc(usual, -usual).value == pytest.approx(0.005)


def test_one_row_has_no_spread() -> None:
    assert auroc(np.zeros(1), np.ones(1)).standard_error == 0
