"""Classes of rows: what an array of labels or the folders of pictures tell, as numbers and perhaps names."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.printable import printable
from vaeserve.sources.content import ClassLabels
from vaeserve.sources.names import quoted

MOST_CHARACTERS = 128
"""Maximum length of a class's name, as of a package's."""
_LARGEST = 2**53


class Classes(NamedTuple):
    """Each row's class, and what the classes 0, 1, ... are called where they are not numbers to begin with."""

    labels: ClassLabels | None = None
    names: tuple[str, ...] = ()


def labels_of(array: AnyArray) -> AnyArray | None:
    """Returns an array of names or of whole numbers; None for what holds no classes.

    Args:
        array: [rows].
    """
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "backslashreplace")
    if array.dtype.kind == "U":
        return array
    if array.dtype.kind not in "buif" or not (np.abs(array.astype(np.float64)) < _LARGEST).all():
        return None
    return array if (array.astype(np.int64) == array).all() else None


def classes_of(labels: AnyArray | Sequence[str], name: str) -> Classes:
    """Returns whole numbers as they are, and numbers that stand for names.

    Args:
        labels: [rows], numbers or names.
        name: of what holds them, for errors.

    Raises:
        InvalidInput: named by `name`; a class has too long a name.
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind not in "UO":
        return Classes(labels.astype(np.int64))
    numbers = {value: number for number, value in enumerate(sorted(set(labels)))}
    names = tuple(map(printable, numbers))
    longest = max(names, key=len)
    if len(longest) > MOST_CHARACTERS:
        raise InvalidInput(
            name,
            f"the name of class {quoted(longest)} has {len(longest)} characters, must have at most {MOST_CHARACTERS}",
        )
    return Classes(np.array([numbers[label] for label in labels], np.int64), names)
