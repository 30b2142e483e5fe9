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


def split(content: Content, validation_rows: int, name: str, trained: tuple[int, ...] = ()) -> Split:
    """Splits as the source itself does, or at random: whole groups if there are any, else the same share of each class.

    Args:
        content: the data.
        validation_rows: number of rows to draw from the training rows.
        name: of the data, for errors.
        trained: labels of the classes to train on; the rows of others go into the test. Empty: all.

    Raises:
        TrainingError: too few rows would be left in a part.
    """
    end = len(content.values) - content.test_rows
    train, validation, test = np.split(np.arange(len(content.values)), [end - content.validation_rows, end])
    if not content.test_rows:
        train, test = _draw(train, content.drawn_test_rows or _a_tenth(len(train), name), content)
    if trained:
        train, validation, test = _held_out(Split(train, validation, test), content, trained)
    if min(len(train) - LEAST_TRAINING_ROWS, len(test) - LEAST_TEST_ROWS) < 0:
        flag = "--train-classes: " if trained else ""
        raise TrainingError(
            f"{flag}{name}: has {len(train)} rows to train on and {len(test)} to test on, "
            f"at least {LEAST_TRAINING_ROWS} and {LEAST_TEST_ROWS} are needed"
        )
    if validation_rows:
        _refuse_too_many(validation_rows, len(train), content.validation_rows, name)
        train, validation = _draw(train, validation_rows, content)
        if len(train) < LEAST_TRAINING_ROWS:
            raise TrainingError(f"--validation-rows: leaves {len(train)} rows to train on, because groups stay whole")
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


def _held_out(parts: Split, content: Content, trained: tuple[int, ...]) -> Split:
    """Returns the parts with all rows of other classes, and of groups that hold one, among the test rows."""
    if content.labels is None:
        raise AssertionError("there are no classes to train on. This is a bug.")
    moves = ~np.isin(content.labels, trained)
    if content.groups is not None:
        moves = np.isin(content.groups, np.unique(content.groups[moves]))
    train, validation, test = parts
    moved = np.concatenate([part[moves[part]] for part in (train, validation)])
    return Split(train[~moves[train]], validation[~moves[validation]], np.concatenate([test, np.sort(moved)]))


def _draw(rows: RowIndices, count: int, content: Content) -> tuple[RowIndices, RowIndices]:
    """Returns the rows that stay and those drawn."""
    if content.groups is not None:
        drawn_groups = _draw_groups(content.groups[rows], count)
        return rows[~drawn_groups], rows[drawn_groups]
    classes = None if content.labels is None else content.labels[rows]
    rest, drawn = train_test_split(
        rows, test_size=count, random_state=0, stratify=classes if _can_stratify(classes, len(rows), count) else None
    )
    return rest, drawn


def _draw_groups(groups: ClassLabels, count: int) -> npt.NDArray[np.bool_]:
    """Returns which rows are drawn: whole groups in random order, as long as they fit; if none does, the smallest."""
    numbers, sizes = np.unique(groups, return_counts=True)
    order = np.random.RandomState(0).permutation(len(numbers))  # NumPy promises never to change its stream
    drawn, left = list[int](), count
    for place in order.tolist():
        if sizes[place] <= left:
            drawn.append(place)
            left -= int(sizes[place])
    chosen = numbers[drawn or [int(sizes.argmin())]]
    mask: npt.NDArray[np.bool_] = np.isin(groups, chosen)
    return mask


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
