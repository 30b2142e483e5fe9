"""Members: the pictures in a tar archive, read one after another without unpacking it."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import BinaryIO, Final, NamedTuple

from jobs.sources.contents import close_on_error
from vaeserve.errors import InvalidInput, innermost
from vaeserve.sources.picture import MOST_FILE_BYTES
from vaeserve.sources.pictures import is_picture_name

_CHUNK: Final = 2**20


class Member(NamedTuple):
    """A picture in an archive."""

    name: str
    content: bytes = b""
    error: str = ""
    """Why there is no content."""


class Members:
    """The members of an open archive that are called as pictures are.

    Args:
        file: the archive, at its start.
        name: what messages call it.

    Raises:
        InvalidInput: named by `name`; it is not a tar archive.
    """

    position = 0
    """Number of the next picture."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        with close_on_error(file), self._intact():
            self._archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115, closed by `close`

    def count(self) -> int:
        """Returns how many pictures there are from here on, after reading all headers.

        Raises:
            InvalidInput: named by `name`; the archive is cut short, damaged, or goes on after its end.
        """
        first = self.position
        while self._next() is not None:
            pass
        self._check_end()
        return self.position - first

    def rest(self) -> Iterator[Member]:
        """Yields the pictures from here on.

        Raises:
            InvalidInput: as of `count`.
        """
        while (info := self._next()) is not None:
            yield self._content(info)
        self._check_end()

    def read(self, number: int) -> Member:
        """Returns a picture that lies at `position` or after it.

        Raises:
            InvalidInput: named by `name`; the archive is damaged, or holds fewer.
        """
        while (info := self._next()) is not None:
            if self.position > number:
                return self._content(info)
        raise InvalidInput(self._name, f"holds {self.position} pictures, not {number + 1}")

    def close(self) -> None:
        """Closes the file."""
        self._archive.close()
        self._file.close()

    def _next(self) -> tarfile.TarInfo | None:
        """Returns the next picture, and counts it."""
        with self._intact():
            while (info := self._archive.next()) is not None:
                self._archive.members.clear()  # type: ignore[attr-defined]  # it would keep all
                if not info.isdir() and _is_picture(info.name):
                    self.position += 1
                    return info
        return None

    def _content(self, info: tarfile.TarInfo) -> Member:
        name = info.name.removeprefix("./")
        if not info.isreg():
            return Member(name, error="is a link within the archive, not a picture")
        if info.size > MOST_FILE_BYTES:
            return Member(name, error=f"is {info.size:,} bytes, at most {MOST_FILE_BYTES:,} are taken")
        with self._intact():
            content = self._archive.extractfile(info)
            if content is None:
                return Member(name, error="is not a regular file")
            return Member(name, content.read())

    def _check_end(self) -> None:
        """Makes sure that headers ended where an archive says so, because tarfile takes a damaged one for the end."""
        with self._intact():
            self._file.seek(self._archive.offset)
            end = self._file.read(tarfile.BLOCKSIZE)
            if len(end) < tarfile.BLOCKSIZE or any(end):
                raise InvalidInput(self._name, "is not an intact .tar file: it is cut short or damaged")
            while chunk := self._file.read(_CHUNK):
                if chunk.strip(b"\0"):
                    raise InvalidInput(self._name, "is not an intact .tar file: it goes on after its end")

    @contextmanager
    def _intact(self) -> Iterator[None]:
        """Turns what tarfile raises into an error that names the archive."""
        try:
            yield
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as exc:
            raise InvalidInput(self._name, f"is not an intact .tar file: {innermost(exc)}") from exc
        except OSError as exc:
            raise InvalidInput(self._name, f"cannot be read: {exc.strerror or innermost(exc)}") from exc


def _is_picture(name: str) -> bool:
    """Whether a member is called as pictures are; what Finder leaves behind, "._cat.jpg", is not."""
    parts = PurePosixPath(name.removeprefix("./")).parts
    return is_picture_name(name) and not any(part.startswith(".") for part in parts)
