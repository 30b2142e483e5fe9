"""FileNotes: the files of a source once more, without reading the source again. On disk: there may be millions."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.rows import SizedRows, SourceFile
from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import PictureSize
from vaeserve.printable import printable


class FileNotes:
    """Notes files as they pass by, in a file without a name.

    Args:
        folder: where the disk has room.

    Raises:
        InvalidInput: named by the folder; the disk refuses it, also in `take`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._writable():
            self._notes = tempfile.TemporaryFile("w+", encoding="ascii", dir=folder)  # noqa: SIM115, see `close`

    def take(self, files: Iterable[SourceFile]) -> Iterator[SourceFile]:
        """Passes files on."""
        for file in files:
            with self._writable():
                self._notes.write(json.dumps(file) + "\n")
            yield file
        with self._writable():
            self._notes.flush()

    def files(self) -> Iterator[SourceFile]:
        """Yields the files again."""
        self._notes.seek(0)
        for line in self._notes:
            yield _file(*json.loads(line))

    def close(self) -> None:
        """Removes the notes."""
        self._notes.close()

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise InvalidInput(printable(self._folder), f"cannot be written to: {exc.strerror}") from exc


def _file(name: str, sha256: str, rows: int, stamp: str, sizes: list[tuple[int, list[int] | None]]) -> SourceFile:
    """Returns a file as it was before it was noted."""
    sized = tuple(SizedRows(count, None if size is None else PictureSize(*size)) for count, size in sizes)
    return SourceFile(name, sha256, rows, stamp, sized)
