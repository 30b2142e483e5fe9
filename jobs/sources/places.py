"""Places: folders and files on this machine, or behind any URL that fsspec knows, as one thing to read from."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from vaeserve.errors import InvalidInput, innermost
from vaeserve.printable import printable
from vaeserve.sources.picture import read_file
from vaeserve.sources.pictures import is_picture
from vaeserve.sources.walk import walk


class Place(Protocol):
    """A folder or a file. Names lie below a folder, with slashes; a file itself goes by "".

    Every method raises InvalidInput, named by the address, for what cannot be read.
    """

    address: str
    """What messages call it."""
    threads: int
    """How many files are worth reading at once."""

    def is_folder(self) -> bool:
        """Whether it is a folder. Raises InvalidInput if there is nothing."""
        ...

    def walk(self) -> Iterator[str]:
        """Yields the names of the files below a folder, sorted by their parts; one folder's names are in memory."""
        ...

    def is_picture(self, name: str) -> bool:
        """Whether a file whose name does not say so begins as pictures do, where that is cheap to ask."""
        ...

    def read(self, name: str) -> bytes:
        """Returns the content of a file, which is not longer than a picture can be."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Returns an open file that can be read from anywhere."""
        ...

    def stamp(self, name: str) -> str:
        """Returns what changes when the file changes; "" where nothing tells."""
        ...


def place_at(address: str) -> Place:
    """Returns the place at an address: a path, or a URL.

    Raises:
        InvalidInput: named by the address; fsspec is not installed, or does not know such URLs.
    """
    if "://" not in address or address.startswith("file://"):
        return LocalPlace(address.removeprefix("file://"))
    try:
        from jobs.sources.stores import StorePlace
    except ModuleNotFoundError as exc:
        raise InvalidInput(printable(address), f"needs {exc.name}: install the extra jobs") from exc
    return StorePlace(address)


class LocalPlace:
    """A folder or a file on this machine."""

    threads = 1  # decoding small pictures in two takes twice the processor time: more processes pay

    def __init__(self, address: str) -> None:
        self.address = address
        self._path = Path(address)

    def is_folder(self) -> bool:
        """See Place."""
        with _readable(self._path):
            self._path.stat()  # tells why, where is_dir would answer no
        return self._path.is_dir()

    def walk(self) -> Iterator[str]:
        """See Place."""
        return walk(self._path)

    def is_picture(self, name: str) -> bool:
        """See Place."""
        return is_picture(self._path / name)

    def read(self, name: str) -> bytes:
        """See Place."""
        return read_file(self._path / name)

    def open(self, name: str) -> BinaryIO:
        """See Place."""
        path = self._path / name
        with _readable(path):
            if not path.is_file() and path.exists():  # a pipe would wait for ever
                raise InvalidInput(printable(path), "is not a regular file")
            return path.open("rb")

    def stamp(self, name: str) -> str:
        """See Place."""
        path = self._path / name
        with _readable(path):
            status = path.stat()
        # `cp -p`, tar and container images set the time of modification; only the system sets the time of change.
        return f"{status.st_size} bytes at {status.st_mtime_ns}, {status.st_ctime_ns}"


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what the system raises into an error that names the file."""
    try:
        yield
    except (OSError, ValueError) as exc:  # ValueError: a zero byte in a path
        raise InvalidInput(
            printable(path), f"cannot be read: {getattr(exc, 'strerror', None) or innermost(exc)}"
        ) from exc
