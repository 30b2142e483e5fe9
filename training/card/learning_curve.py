"""The picture of how a run went: its loss by steps, on training rows and on validation rows."""

from collections.abc import Sequence
from typing import NamedTuple

from training.card.charts import ChartLine, line_chart
from training.card.picture import Picture
from vaeserve.rows.images import Pixels

FILE = "learning_curve.png"
STEPS, BEST = "gradient steps", "best epoch"


class Point(NamedTuple):
    """The end of an epoch."""

    steps: int
    """Gradient steps until then."""
    loss_nats: float | None
    """Of the training rows, a mean over the epoch; None where it is not a number."""
    validation_nats: float | None


class LearningCurve(NamedTuple):
    """A run's epochs, in their order."""

    points: tuple[Point, ...]
    best: int | None = None
    """Place of the best epoch, if it is the one that is exported."""
    title: str = "loss, nats per row"
    """Of the loss, with its unit if it has one."""
    lower_is_better: bool = True
    """Whether a lower loss means a better model."""

    @property
    def is_validated(self) -> bool:
        """Whether there is a loss on validation rows."""
        return any(point.validation_nats is not None for point in self.points)


def learning_curve_picture(curve: LearningCurve) -> Picture:
    """Returns the losses by steps; the best epoch is marked."""
    lines = [_line("training rows", curve, [point.loss_nats for point in curve.points])]
    caption = (
        "The loss that training lowers, at the end of each epoch. That of training rows is a mean over the epoch, with "
        "noise in the input where there is some, and with the KL, if there is one, at its weight of the moment."
    )
    if not curve.lower_is_better:
        caption = (
            f"The {curve.title}, at the end of each epoch: a mean over its training rows. It depends on the other "
            "networks, which learn too, so a lower loss is not a better model."
        )
    if curve.is_validated:
        lines.append(_validated("validation rows", curve))
        caption += " That of validation rows is of the averaged weights, with the KL at its full weight."
    return Picture("Learning curve", FILE, line_chart(lines, STEPS, curve.title, BEST), caption)


def learning_curves(curves: Sequence[tuple[str, LearningCurve]]) -> Pixels:
    """Returns the losses of several runs by steps: on validation rows, or on training rows where a run has none."""
    lines = [
        _validated(name, curve)
        if curve.is_validated
        else _line(f"{name} (training rows)", curve, [point.loss_nats for point in curve.points])
        for name, curve in curves
    ]
    titles = {curve.title for _, curve in curves}
    return line_chart(lines, STEPS, titles.pop() if len(titles) == 1 else "loss", BEST)


def _validated(name: str, curve: LearningCurve) -> ChartLine:
    return _line(name, curve, [point.validation_nats for point in curve.points], curve.best)


def _line(name: str, curve: LearningCurve, values: Sequence[float | None], mark: int | None = None) -> ChartLine:
    by_place = {place: (float(curve.points[place].steps), y) for place, y in enumerate(values) if y is not None}
    return ChartLine(name, tuple(by_place.values()), None if mark is None else by_place.get(mark))
