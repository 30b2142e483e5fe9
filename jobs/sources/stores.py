"""Object stores and other file systems, through fsspec. Only addresses with `://` need it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

import fsspec.core

from vaeserve.errors import InvalidInput, innermost
from vaeserve.printable import printable
from vaeserve.sources.picture import MOST_FILE_BYTES

# What stores call a version of a file's content, best first. A listing tells one of them, or none.
_VERSIONS: Final = (
    *("ETag", "etag", "generation", "md5Hash", "content_md5", "Content-MD5", "Digest", "sha"),
    *("mtime", "LastModified", "last_modified", "Last-Modified", "modificationTime", "modify"),
    *("updated", "modified", "created"),
)


class StorePlace:
    """A folder or a file behind a URL; see Place for its methods."""

    threads = 16  # each waits for the network most of the time

    def __init__(self, address: str) -> None:
        self.address = address
        with _readable(address):
            self._files, self._root = fsspec.core.url_to_fs(address)

    def is_folder(self) -> bool:
        """See Place."""
        with _readable(self.address):
            self._files.invalidate_cache()
            if not self._files.exists(self._root):
                raise FileNotFoundError("there is nothing")
            return bool(self._files.isdir(self._root))

    def walk(self) -> Iterator[str]:
        """See Place."""
        return self._below(self._root.rstrip("/"), "")

    def is_picture(self, name: str) -> bool:
        """See Place. The name alone counts: to ask for the first bytes of every file would cost more than the job."""
        return False

    def read(self, name: str) -> bytes:
        """See Place."""
        with _readable(self._called(name)), self._files.open(self._path(name), "rb") as file:
            content: bytes = file.read(MOST_FILE_BYTES + 1)
        if len(content) > MOST_FILE_BYTES:
            raise InvalidInput(printable(self._called(name)), f"is longer than {MOST_FILE_BYTES:,} bytes")
        return content

    def open(self, name: str) -> BinaryIO:
        """See Place."""
        with _readable(self._called(name)):
            file: BinaryIO = self._files.open(self._path(name), "rb")
            return file

    def stamp(self, name: str) -> str:
        """See Place."""
        with _readable(self._called(name)):
            self._files.invalidate_cache(self._path(name))  # it would answer what it heard before
            about = self._files.info(self._path(name))
        version = next((about[key] for key in _VERSIONS if about.get(key)), None)
        return "" if version is None else f"{about.get('size')} bytes at {version}"

    def _below(self, folder: str, prefix: str) -> Iterator[str]:
        for name, is_folder in self._listed(folder):
            if is_folder:
                yield from self._below(f"{folder}/{name}", f"{prefix}{name}/")
            else:
                yield prefix + name

    def _listed(self, folder: str) -> list[tuple[str, bool]]:
        """Returns the names in a folder, sorted, and whether each is a folder."""
        with _readable(f"{self.address}: {folder}"):
            entries: list[dict[str, Any]] = self._files.ls(folder, detail=True)
            self._files.invalidate_cache(folder)  # it would keep all that it ever listed
        listed = dict[str, bool]()
        for entry in entries:
            path = entry["name"].rstrip("/")
            name = path.rsplit("/", 1)[-1]
            # Some stores list a folder within itself.
            if name and not name.startswith(".") and path.strip("/") != folder.strip("/"):
                listed[name] = entry["type"] == "directory"
        return sorted(listed.items())

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else str(self._root)

    def _called(self, name: str) -> str:
        return f"{self.address.rstrip('/')}/{name}" if name else self.address


@contextmanager
def _readable(called: str) -> Iterator[None]:
    """Turns what a store raises into an error that names the file."""
    try:
        yield
    except InvalidInput:
        raise
    except Exception as exc:  # every store has errors of its own
        raise InvalidInput(printable(called), f"cannot be read: {innermost(exc)}") from exc
