"""Which arrays of an `.npz` file are rows, and which are the classes of those."""

from typing import NamedTuple

from vaeserve.errors import TrainingError
from vaeserve.sources.names import shown

# As this project, Keras, MedMNIST, scikit-learn and ADBench call them, in whatever case.
_TRAIN = ("train", "x_train", "train_images")
_VALIDATION = ("valid", "validation", "val", "x_valid", "x_val", "val_images")
_TEST = ("test", "x_test", "test_images")
_ALL = ("x", "data", "images")
_LABELS = {
    _TRAIN: ("train_labels", "y_train"),
    _VALIDATION: ("valid_labels", "validation_labels", "val_labels", "y_valid", "y_val"),
    _TEST: ("test_labels", "y_test"),
    _ALL: ("y", "labels", "label", "target"),
}


class Part(NamedTuple):
    """Keys of rows that are kept together, and of their labels."""

    rows: str
    labels: str | None


class Parts(NamedTuple):
    """What the arrays are. Without `test` the rows are still to be split."""

    train: Part
    validation: Part | None = None
    test: Part | None = None

    @property
    def taken(self) -> dict[str, Part]:
        """The parts that there are, by field."""
        return {field: part for field, part in self._asdict().items() if part}


def choose(keys: list[str], name: str) -> Parts:
    """Returns `train`, and `valid` and `test` where there are such; else `X`; else the only array that is no labels.

    Raises:
        TrainingError: there is none of these, or more than one; the message calls the file by `name`.
    """
    if train := _part(keys, _TRAIN, name):
        return Parts(train, _part(keys, _VALIDATION, name), _part(keys, _TEST, name))
    if rows := _part(keys, _ALL, name):
        return Parts(rows)
    others = [key for key in keys if key.lower() not in _LABELS[_ALL]]
    if len(others) != 1:
        raise TrainingError(f"{name}: cannot tell which array holds the rows: call it X, not {_listed(others)}")
    return Parts(Part(others[0], _only(keys, _LABELS[_ALL], name)))


def _part(keys: list[str], names: tuple[str, ...], file: str) -> Part | None:
    rows = _only(keys, names, file)
    return Part(rows, _only(keys, _LABELS[names], file)) if rows else None


def _only(keys: list[str], names: tuple[str, ...], file: str) -> str | None:
    found = [key for key in keys if key.lower() in names]
    if len(found) > 1:
        raise TrainingError(f"{file}: cannot tell which array to take: {_listed(found)}")
    return found[0] if found else None


def _listed(keys: list[str]) -> str:
    return " or ".join(map(shown, keys[:8])) + " or ..." * (len(keys) > 8) if keys else "nothing"
