"""What labels show: the figures of each class, and how well anomalies are told from other held-out rows."""

import numpy as np

from training.evaluate.bounds import mean_estimate
from training.evaluate.figures import AnomalyFigures, AnomalyScore, ClassFigures, Estimate, ScoreName
from training.evaluate.ranking import auroc, average_precision
from training.evaluate.row_scores import RowScores, row_scores
from training.evaluate.rows import Array64, EvaluationRows, LabelArray
from training.evaluate.served import ServedPair


def class_evidence(pair: ServedPair, rows: EvaluationRows) -> tuple[tuple[ClassFigures, ...], AnomalyFigures | None]:
    """Returns the figures of every class of held-out rows, and those of anomalies; none where there are none."""
    if rows.test_labels is None:
        return (), None
    usual = row_scores(pair, rows.test, rows.train)
    classes = _by_class(rows, usual, rows.test_labels, trained_on=True)
    if rows.anomalies is None or rows.anomaly_labels is None:
        return classes, None
    anomalous = row_scores(pair, rows.anomalies, rows.train)
    classes += _by_class(rows, anomalous, rows.anomaly_labels, trained_on=False)
    return classes, anomaly_figures(usual, anomalous)


def anomaly_figures(usual: RowScores, anomalous: RowScores) -> AnomalyFigures:
    """Returns how well each score tells anomalies from usual rows."""
    scores = (
        _scored("negative_elbo", usual.negative_elbo, anomalous.negative_elbo),
        _scored("reconstruction", usual.reconstruction, anomalous.reconstruction),
        _scored("squared_error", usual.scaled_error, anomalous.scaled_error),
    )
    count = len(anomalous.squared_error)
    return AnomalyFigures(
        rows=count,
        share=count / (count + len(usual.squared_error)),
        scores=tuple(score for score in scores if score is not None),
    )


def _scored(name: ScoreName, usual: Array64 | None, anomalous: Array64 | None) -> AnomalyScore | None:
    if usual is None or anomalous is None:
        return None
    return AnomalyScore(name=name, auroc=auroc(usual, anomalous), average_precision=average_precision(usual, anomalous))


def _by_class(
    rows: EvaluationRows, scores: RowScores, labels: LabelArray, *, trained_on: bool
) -> tuple[ClassFigures, ...]:
    figures = []
    for label in np.unique(labels).tolist():
        own = scores.of(labels == label)
        figures.append(
            ClassFigures(
                name=rows.class_name(label),
                rows=len(own.squared_error),
                trained_on=trained_on,
                squared_error=error.value if (error := _mean(own.squared_error)) else None,
                negative_elbo_nats=_mean(own.negative_elbo),
                reconstruction_nats=_mean(own.reconstruction),
            )
        )
    return tuple(figures)


def _mean(scores: Array64 | None) -> Estimate | None:
    """Returns the mean of scores; none where there are none, or one left the range of floats."""
    return mean_estimate(scores) if scores is not None and np.isfinite(scores).all() else None
