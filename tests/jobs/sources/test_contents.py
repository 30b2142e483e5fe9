"""A file is what it was when the job was planned, or is read again; what cannot be read is named."""

import io
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from jobs.rows import Span
from jobs.sources.contents import Unchanged, sha256_of
from jobs.sources.listing import Listing
from tests.support.servers import until
from vaeserve.errors import InvalidInput


class _Broken(io.RawIOBase):
    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, size: int = -1) -> bytes:
        raise self._error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(5, "Input/output error"), "a.npy: cannot be read: Input/output error"),
        (RuntimeError("the store says no"), "a.npy: cannot be read: the store says no"),
    ],
)
def test_a_file_that_cannot_be_read_to_its_end_is_named(error: Exception, line: str) -> None:
    with pytest.raises(InvalidInput, match=line):
        sha256_of(_Broken(error), "a.npy")  # type: ignore[arg-type]


def test_a_file_of_the_same_length_and_time_of_modification_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"one")
    listing = Listing([str(path)])
    before = path.stat()
    with listing.open("a.npy") as file:
        span = Span("a.npy", sha256_of(file, "a.npy"), 0, 1, listing.stamp("a.npy"))
    unchanged = Unchanged(listing)
    unchanged.check(span)

    def rewrite() -> bool:
        path.write_bytes(b"two")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return path.stat().st_ctime_ns != before.st_ctime_ns  # the system's clock has ticked

    until(rewrite)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(InvalidInput, match="has changed since the job was planned"):
        unchanged.check(span)


def test_a_file_whose_name_alone_was_touched_passes_and_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"one")
    listing, opened = Listing([str(path)]), list[str]()
    with listing.open("a.npy") as file:
        span = Span("a.npy", sha256_of(file, "a.npy"), 0, 1, "3 bytes at another time")
    open_file = listing.open

    def open_and_count(name: str) -> BinaryIO:
        opened.append(name)
        return open_file(name)

    monkeypatch.setattr(listing, "open", open_and_count)
    unchanged = Unchanged(listing)
    unchanged.check(span)
    unchanged.check(span)
    assert opened == ["a.npy"]
