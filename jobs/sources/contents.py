"""Contents of files: their hashes, and whether a file is still what it was when the job was planned."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, Protocol

from jobs.rows import Span
from jobs.sources.listing import Listing
from vaeserve.errors import InvalidInput

CHANGED: Final = "has changed since the job was planned: --update takes it"
_CHUNK: Final = 2**20


class Closable(Protocol):
    """Something open."""

    def close(self) -> None:
        """Closes it."""
        ...


class Digest:
    """The SHA-256 of a file, as its content passes by."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def pass_on(self, file: BinaryIO) -> Iterator[bytes]:
        """Yields the content of an open file from where it is."""
        while chunk := file.read(_CHUNK):
            self._digest.update(chunk)
            yield chunk

    def __str__(self) -> str:
        return self._digest.hexdigest()


def sha256_of(file: BinaryIO) -> str:
    """Returns the SHA-256 of an open file, in hexadecimal, and leaves it at its start."""
    digest = Digest()
    for _ in digest.pass_on(file):
        pass
    file.seek(0)
    return str(digest)


@contextmanager
def close_on_error(file: Closable) -> Iterator[None]:
    """Closes what was opened if it turns out to be of no use."""
    try:
        yield
    except BaseException:
        file.close()
        raise


class Unchanged:
    """Makes sure that files are what they were, without reading those again whose stamp says so.

    A file that is replaced by another of the same length and time, to the nanosecond, passes for the same.

    Args:
        listing: the files.
    """

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._stamps = dict[tuple[str, str], str]()
        """Of each file and hash the stamp under which the file was read and found to have that hash."""

    def check(self, span: Span) -> None:
        """Makes sure that a file has the content that a span was planned for.

        Raises:
            InvalidInput: named by the address; it has not, or cannot be read.
        """
        stamp = self._listing.stamp(span.file)
        if stamp and stamp in (span.stamp, self._stamps.get((span.file, span.sha256))):
            return
        with self._listing.open(span.file) as file:
            if sha256_of(file) != span.sha256:
                raise InvalidInput(self._listing.called(span.file), CHANGED)
        self._stamps[span.file, span.sha256] = stamp
