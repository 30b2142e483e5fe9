"""Which arrays of an `.npz` file are rows, and which are the classes of those."""

from typing import NamedTuple

from vaeserve.errors import InvalidInput
from vaeserve.printable import printable

# As this project, Keras, MedMNIST, scikit-learn and ADBench call them, in whatever case.
_TRAIN = ("train", "x_train", "train_images")
_VALIDATION = ("valid", "validation", "val", "x_valid", "x_val", "val_images")
_TEST = ("test", "x_test", "test_images")
_ALL = ("x", "data", "images")
_FINGERPRINT = "fingerprint"  # of a model, in files that the commands write
_LABELS = {
    _TRAIN: ("train_labels", "y_train"),
    _VALIDATION: ("valid_labels", "validation_labels", "val_labels", "y_valid", "y_val"),
    _TEST: ("test_labels", "y_test"),
    _ALL: ("y", "labels", "label", "target"),
}


class RowArray(NamedTuple):
    """Keys of rows that are kept together, and of their labels."""

    rows: str
    labels: str | None


class ChosenArrays(NamedTuple):
    """What the arrays are. Without `test` the rows are still to be split."""

    train: RowArray
    validation: RowArray | None = None
    test: RowArray | None = None

    @property
    def taken(self) -> dict[str, RowArray]:
        """The parts that there are, by field."""
        return {field: part for field, part in self._asdict().items() if part}


def choose(keys: list[str], name: str, own: str = "output") -> ChosenArrays:
    """Returns `train`, and `valid` and `test` where there are such; else `X`; else the only array that is no labels.

    Args:
        keys: names of the file's arrays.
        name: what errors call the file.
        own: what the commands call such rows in files that they write, which also hold a model's fingerprint.

    Raises:
        InvalidInput: named by `name`; there is none of these, or more than one.
    """
    if {own, _FINGERPRINT} <= {*keys}:
        return ChosenArrays(RowArray(own, None))
    if train := _part(keys, _TRAIN, name):
        return ChosenArrays(train, _part(keys, _VALIDATION, name), _part(keys, _TEST, name))
    if rows := _part(keys, _ALL, name):
        return ChosenArrays(rows)
    others = [key for key in keys if key.lower() not in _LABELS[_ALL]]
    if len(others) != 1:
        raise InvalidInput(name, f"cannot tell which array holds the rows: call it X, not {_listed(others)}")
    return ChosenArrays(RowArray(others[0], _only(keys, _LABELS[_ALL], name)))


def _part(keys: list[str], names: tuple[str, ...], file: str) -> RowArray | None:
    rows = _only(keys, names, file)
    return RowArray(rows, _only(keys, _LABELS[names], file)) if rows else None


def _only(keys: list[str], names: tuple[str, ...], file: str) -> str | None:
    matches = [key for key in keys if key.lower() in names]
    if len(matches) > 1:
        raise InvalidInput(file, f"cannot tell which array to take: {_listed(matches)}")
    return matches[0] if matches else None


def _listed(keys: list[str]) -> str:
    return " or ".join(map(printable, keys[:8])) + " or ..." * (len(keys) > 8) if keys else "nothing"
