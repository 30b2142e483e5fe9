"""The lines of a report that labels make possible: each class, and anomalies."""

from collections.abc import Sequence

from training.evaluate.figure_text import NONE, Figure, Section, estimate
from training.evaluate.figures import AnomalyFigures, ClassFigures, Estimate

SCORES = {
    "negative_elbo": "negative ELBO",
    "reconstruction": "-log p(x | latent)",
    "squared_error": "squared error",
}
"""What the scores of anomalies are called; the first two are as Reconstruct answers them, the last scales columns."""
_CLASSES = 20  # maximum number of classes in a table


def class_section(classes: Sequence[ClassFigures]) -> tuple[Section, ...]:
    """Returns a line for each class, the largest classes where there are many; none for a single class."""
    if len(classes) < 2:
        return ()
    shown = sorted(classes, key=lambda each: -each.rows)[:_CLASSES] if len(classes) > _CLASSES else classes
    more = f", the largest {_CLASSES} of {len(classes)} classes" * (len(classes) > _CLASSES)
    if any(each.negative_elbo_nats for each in classes):
        measure, nats = "negative ELBO at the mean latent", [each.negative_elbo_nats for each in shown]
    elif any(each.reconstruction_nats for each in classes):
        measure, nats = "-log p(x | latent)", [each.reconstruction_nats for each in shown]
    else:
        return (Section(f"squared error by class{more}", tuple(_error(each) for each in shown)),)
    figures = tuple(_nats(each, value) for each, value in zip(shown, nats, strict=True))
    return (Section(f"{measure} by class{more}", figures),)


def _nats(each: ClassFigures, value: Estimate | None) -> Figure:
    return Figure(each.name, estimate(value), f"nats; {_about(each)}; squared error {_short(each.squared_error)}")


def _error(each: ClassFigures) -> Figure:
    return Figure(each.name, _short(each.squared_error), _about(each))


def _short(value: float | None) -> str:
    return NONE if value is None else f"{value:.4g}"


def _about(each: ClassFigures) -> str:
    return f"{each.rows} row{'s' * (each.rows != 1)}{'' if each.trained_on else ', not trained on'}"


def anomaly_section(anomalies: AnomalyFigures | None) -> tuple[Section, ...]:
    """Returns how well each score tells anomalies; none where there are none."""
    if anomalies is None:
        return ()
    figures = [
        Figure(
            f"AUROC, {SCORES[score.name]}",
            f"{score.auroc.value:.3f} +- {score.auroc.standard_error:.3f}",
            f"average precision {score.average_precision:.3f}",
        )
        for score in anomalies.scores
    ]
    rows = f"{anomalies.rows} anomal{'ies' if anomalies.rows != 1 else 'y'}"
    return (Section(f"{rows}, {anomalies.share:.1%} of the rows scored", tuple(figures)),)
