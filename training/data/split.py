"""Content -> which rows to train on, to validate on and to test on. No seed changes a split."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split

from vaeserve.errors import TrainingError
from vaeserve.files import AnyArray
from vaeserve.sources.content import ClassLabels, Content

LEAST_TRAINING_ROWS, LEAST_TEST_ROWS = 32, 4
RowIndices = npt.NDArray[np.intp]


class Split(NamedTuple):
    """Indices of rows in the content."""

    train: RowIndices
    validation: RowIndices
    test: RowIndices

    @property
    def order(self) -> RowIndices:
        """All rows: those to train on, to validate on, to test on."""
        return np.concatenate(self)


def split(content: Content, validation_rows: int, name: str) -> Split:
    """Splits as the source itself does, or at random; labelled classes have the same share of each part.

    Args:
        content: the data.
        validation_rows: number of rows to draw from the training rows.
        name: of the data, for errors.

    Raises:
        TrainingError: too few rows would be left in a part.
    """
    end = len(content.values) - content.test_rows
    train, validation, test = np.split(np.arange(len(content.values)), [end - content.validation_rows, end])
    if not content.test_rows:
        train, test = _draw(train, content.drawn_test_rows or _a_tenth(len(train), name), content.labels)
    if min(len(train) - LEAST_TRAINING_ROWS, len(test) - LEAST_TEST_ROWS) < 0:
        raise TrainingError(
            f"{name}: has {len(train)} rows to train on and {len(test)} to test on, "
            f"at least {LEAST_TRAINING_ROWS} and {LEAST_TEST_ROWS} are needed"
        )
    if validation_rows:
        _refuse_too_many(validation_rows, len(train), content.validation_rows, name)
        train, validation = _draw(train, validation_rows, content.labels)
    return Split(train, validation, test)


def reorder(values: AnyArray, order: RowIndices) -> None:
    """Makes values[i] what values[order[i]] was, in place, because there may be no memory for a second array."""
    done = np.zeros(len(order), bool)
    for start in np.flatnonzero(order != np.arange(len(order))):
        if done[start]:
            continue
        first, place = values[start].copy(), start
        while order[place] != start:
            values[place] = values[order[place]]
            done[place] = True
            place = order[place]
        values[place] = first
        done[place] = True


def _draw(rows: RowIndices, count: int, labels: ClassLabels | None) -> tuple[RowIndices, RowIndices]:
    """Returns the rows that stay and those drawn."""
    classes = None if labels is None else labels[rows]
    rest, drawn = train_test_split(
        rows, test_size=count, random_state=0, stratify=classes if _can_stratify(classes, len(rows), count) else None
    )
    return rest, drawn


def _can_stratify(classes: ClassLabels | None, rows: int, count: int) -> bool:
    """Whether each class has a row for either part, as scikit-learn requires."""
    if classes is None:
        return False
    sizes = np.unique(classes, return_counts=True)[1]
    return bool(sizes.min() >= 2 and len(sizes) <= min(count, rows - count))


def _a_tenth(rows: int, name: str) -> int:
    least = LEAST_TRAINING_ROWS + 2 * LEAST_TEST_ROWS
    if rows < least:
        raise TrainingError(f"{name}: has {rows} rows, at least {least} are needed to train and to test on")
    return max(rows // 10, LEAST_TEST_ROWS)


def _refuse_too_many(validation_rows: int, train: int, own: int, name: str) -> None:
    if own:
        raise TrainingError(f"--validation-rows: {name} itself has {own} rows for that")
    if train - validation_rows < LEAST_TRAINING_ROWS:
        raise TrainingError(
            f"--validation-rows: at most {train - LEAST_TRAINING_ROWS} of {name}'s {train} training rows can be taken, "
            f"not {validation_rows}"
        )
