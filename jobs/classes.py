"""Classes of pictures: the folders that they lie in, as training takes them for classes."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from jobs.rows import SourceFile
from vaeserve.sources.folder import PART_FOLDERS

Labels = npt.NDArray[np.int64]

_MAXIMUM_CLASSES = 100_000


class ClassFolders:
    """Finds the classes of a source whose files pass by: each file's folder right below the source.

    Where every file lies in a folder such as `train` or `test`, it is the folder right below that.
    """

    def __init__(self) -> None:
        self._first, self._second = set[str](), set[str]()
        self._have_first = self._have_second = self._are_parts = True

    def add(self, file: SourceFile) -> None:
        """Takes the next file."""
        first, second = _folders(file.name)
        self._have_first &= bool(first)
        self._have_second &= bool(second)
        self._are_parts &= first.lower() in PART_FOLDERS
        if len(self._first) <= _MAXIMUM_CLASSES and len(self._second) <= _MAXIMUM_CLASSES:
            self._first.add(first)
            self._second.add(second)

    def classes(self) -> tuple[str, ...]:
        """Returns the names of the classes, sorted; none where a file lies in no such folder, or all in the same."""
        names, have = (self._second, self._have_second) if self._are_parts else (self._first, self._have_first)
        return tuple(sorted(names)) if have and 1 < len(names) <= _MAXIMUM_CLASSES else ()


def labels_of(sources: Iterable[str], classes: Sequence[str]) -> Labels:
    """Returns the number of each picture's class; -1 for one in no folder that is a class."""
    number_of = {name: number for number, name in enumerate(classes)}

    def label(source: str) -> int:
        first, second = _folders(source)
        return number_of.get(second if first.lower() in PART_FOLDERS and second in number_of else first, -1)

    return np.array([label(source) for source in sources], np.int64)


def _folders(name: str) -> tuple[str, str]:
    """Returns the first two folders of a path; empty where there are fewer."""
    folders = [*name.split("/")[:-1], "", ""]
    return folders[0], folders[1]
