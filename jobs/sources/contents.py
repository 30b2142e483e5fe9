"""Contents of files: their hashes, and whether a file is still what it was when the job was planned."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, Protocol

from jobs.rows import Span
from jobs.sources.listing import Listing
from vaeserve.errors import InvalidInput, innermost

CHANGED: Final = "has changed since the job was planned: --update takes it"
_CHUNK: Final = 2**20


class Closable(Protocol):
    """Something open."""

    def close(self) -> None:
        """Closes it."""
        ...


def sha256_of(file: BinaryIO, called: str) -> str:
    """Returns the SHA-256 of an open file, in hexadecimal, and leaves it at its start.

    Raises:
        InvalidInput: named by `called`; the file cannot be read to its end.
    """
    digest = hashlib.sha256()
    try:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        file.seek(0)
    except Exception as exc:  # every store has errors of its own
        raise InvalidInput(called, f"cannot be read: {getattr(exc, 'strerror', None) or innermost(exc)}") from exc
    return digest.hexdigest()


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

    A file in a store passes for the same if its length and what the store says of its version are.

    Args:
        listing: the files.
    """

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._stamps = dict[tuple[str, str], str]()
        """Of each file and hash the stamp under which the file was read and had that hash."""

    def check(self, span: Span, *, reads: bool = True) -> None:
        """Makes sure that a file has the content that a span was planned for.

        Args:
            span: some rows of the file.
            reads: whether a file is read whose stamp nobody tells. It would be read again at every call.

        Raises:
            InvalidInput: named by the address; it has not, or cannot be read.
        """
        stamp = self._listing.stamp(span.file)
        if stamp and stamp in (span.stamp, self._stamps.get((span.file, span.sha256))):
            return
        if not (stamp or reads):
            return
        with self._listing.open(span.file) as file:
            called = self._listing.called(span.file)
            if sha256_of(file, called) != span.sha256:
                raise InvalidInput(called, CHANGED)
        self._stamps[span.file, span.sha256] = stamp
