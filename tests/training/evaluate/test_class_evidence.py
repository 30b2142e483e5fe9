import numpy as np
import pytest

from tests.training.evaluate.conftest import LATENT, LinearGaussian, codes
from training.evaluate.class_evidence import class_evidence
from training.evaluate.evaluation import Evaluation
from training.evaluate.rows import EvaluationRows
from training.evaluate.served import ServedPair


@pytest.fixture
def with_anomalies(rows: EvaluationRows) -> EvaluationRows:
    """Rows of one class to train on, and 50 rows of two others that lie off the plane of the data."""
    noise = np.random.default_rng(5).normal(size=(50, rows.test.shape[1])).astype(np.float32)
    return rows._replace(
        train_labels=np.zeros(len(rows.train), np.int64),
        test_labels=np.zeros(len(rows.test), np.int64),
        anomalies=(rows.test[:50] + 2 * noise).astype(np.float32),
        anomaly_labels=1 + np.arange(50) % 2,
        classes=("usual", "broken", "worn"),
    )


def test_classes_have_figures_of_their_own(served: ServedPair, rows: EvaluationRows, evaluation: Evaluation) -> None:
    classes, anomalies = class_evidence(served, rows)
    assert anomalies is None
    assert [each.name for each in classes] == ["0", "1"]
    assert sum(each.rows for each in classes) == len(rows.test)
    mean = sum(each.rows * (each.squared_error or 0) for each in classes) / len(rows.test)
    assert mean == pytest.approx(evaluation.squared_error)
    assert evaluation.classes == classes


def test_anomalies_are_told_by_every_score(
    served: ServedPair, model: LinearGaussian, with_anomalies: EvaluationRows
) -> None:
    classes, anomalies = class_evidence(served, with_anomalies)
    assert [(each.name, each.rows, each.trained_on) for each in classes] == [
        *[("usual", 200, True), ("broken", 25, False), ("worn", 25, False)]
    ]
    assert classes[0].negative_elbo_nats is not None
    assert classes[1].negative_elbo_nats is not None
    assert classes[0].negative_elbo_nats.value < classes[1].negative_elbo_nats.value
    assert anomalies is not None
    assert (anomalies.rows, anomalies.share) == (50, 0.2)
    assert [score.name for score in anomalies.scores] == ["negative_elbo", "reconstruction", "squared_error"]
    assert all(score.auroc.value > 0.95 and score.average_precision > 0.8 for score in anomalies.scores)
    without_posterior = class_evidence(codes(model.weights), with_anomalies)[1]
    assert without_posterior is not None
    assert [score.name for score in without_posterior.scores] == ["reconstruction", "squared_error"]


def test_a_row_beyond_the_range_of_floats_is_an_anomaly_and_no_mean(
    served: ServedPair, with_anomalies: EvaluationRows
) -> None:
    assert with_anomalies.anomalies is not None
    far = with_anomalies.anomalies.copy()
    far[0] = np.inf
    classes, anomalies = class_evidence(served, with_anomalies._replace(anomalies=far))
    assert (classes[1].negative_elbo_nats, classes[1].squared_error) == (None, None)
    assert classes[2].squared_error is not None
    assert anomalies is not None
    assert np.isfinite(anomalies.scores[0].auroc.value)


def test_without_labels_there_is_nothing_to_show(codes_evaluation: Evaluation) -> None:
    assert (codes_evaluation.classes, codes_evaluation.anomalies) == ((), None)
    assert codes_evaluation.latent_size == LATENT
