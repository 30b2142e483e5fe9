"""A file that is hashed while it is written."""

import hashlib
import io
from typing import BinaryIO


class HashingFile(io.RawIOBase):
    """Passes on what is written to it, in order, and hashes it.

    Args:
        file: an open binary file, at its start.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.bytes = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, content: object) -> int:
        """Writes all of a bytes-like object."""
        view = memoryview(content).cast("B")  # type: ignore[arg-type]
        self._file.write(view)
        self._hash.update(view)
        self.bytes += len(view)
        return len(view)

    def tell(self) -> int:
        """Returns how many bytes were written."""
        return self.bytes

    @property
    def sha256(self) -> str:
        """Of what was written, in hexadecimal."""
        return self._hash.hexdigest()
