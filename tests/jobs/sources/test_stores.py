"""Files behind a URL: what a store says of a file's version, and its own ways of listing."""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from jobs.rows import Span
from jobs.sources.contents import sha256_of
from jobs.sources.opening import open_source
from jobs.sources.stores import StorePlace
from tests.jobs.sources.conftest import TABLE
from vaeserve.errors import InvalidInput
from vaeserve.sources.picture import MOST_FILE_BYTES


@pytest.fixture
def files() -> Iterator[MemoryFileSystem]:
    """A store that is empty before and after."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


def _says(monkeypatch: pytest.MonkeyPatch, **about: object) -> None:
    def info(self: MemoryFileSystem, path: str, **_: Any) -> dict[str, object]:  # noqa: ANN401
        return {"name": path, "type": "file", **about}

    monkeypatch.setattr(MemoryFileSystem, "info", info)


@pytest.mark.parametrize(
    ("about", "stamp"),
    [
        ({"size": 3, "ETag": "x"}, "3 bytes at x"),
        ({"size": 3, "LastModified": "noon", "ETag": "x"}, "3 bytes at x"),
        ({"size": 3, "Last-Modified": "noon"}, "3 bytes at noon"),  # of an HTTP server without ETag
        ({"ETag": "x"}, "None bytes at x"),
        ({"size": 3}, ""),
        ({"size": 3, "ETag": None, "mtime": ""}, ""),
    ],
)
def test_a_stamp_is_the_best_that_a_store_tells(
    files: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, about: dict[str, object], stamp: str
) -> None:
    files.pipe("/a.npy", b"one")
    place = StorePlace("memory://a.npy")
    _says(monkeypatch, **about)
    assert place.stamp("") == stamp


def test_names_are_sorted_by_their_parts_and_hidden_ones_are_passed_over(files: MemoryFileSystem) -> None:
    for name in ("b.npy", "a/2.npy", "a-1.npy", ".git/x.npy", "a/.hidden.npy", "a/1.npy"):
        files.pipe(f"/rows/{name}", b"")
    place = StorePlace("memory://rows/")
    assert place.is_folder()
    assert [*place.walk()] == ["a/1.npy", "a/2.npy", "a-1.npy", "b.npy"]


def test_a_folder_that_is_listed_within_itself_is_passed_over(
    files: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [{"name": "/rows", "type": "directory"}, {"name": "/rows/a.npy", "type": "file"}]
    files.pipe("/rows/a.npy", b"")
    place = StorePlace("memory://rows")
    monkeypatch.setattr(MemoryFileSystem, "ls", lambda self, path, detail: listed)
    assert [*place.walk()] == ["a.npy"]


def test_what_a_store_raises_names_the_file(files: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    files.pipe("/rows/a.npy", b"")
    place = StorePlace("memory://rows")

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("quota\nis spent")

    for name in ("open", "info", "ls"):
        monkeypatch.setattr(MemoryFileSystem, name, refuse)
    for ask in (place.open, place.stamp, place.read):
        with pytest.raises(InvalidInput, match=r"^memory://rows/a.npy: cannot be read: quota"):
            ask("a.npy")
    with pytest.raises(InvalidInput, match=r"^memory://rows: /rows: cannot be read: quota"):
        list(place.walk())


def test_a_file_without_a_version_is_read_once_more_and_not_for_every_chunk(
    files: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO()
    np.save(content, np.zeros((20, 2), np.float32))
    files.pipe("/a.npy", content.getvalue())
    source = open_source(["memory://a.npy"], TABLE)
    _says(monkeypatch, size=288)
    (file,) = source.files()
    assert file.stamp == ""
    hashed = list[str]()

    def count(opened: BinaryIO, called: str) -> str:
        hashed.append(called)
        return sha256_of(opened, called)

    monkeypatch.setattr("jobs.sources.contents.sha256_of", count)
    spans = [Span(file.name, file.sha256, 0, 8), Span(file.name, file.sha256, 8, 20)]
    assert sum(map(len, source.read(spans, 3))) == 20
    assert hashed == ["memory://a.npy"] * 2
    chunks = source.read(spans[1:], 3)
    next(chunks)
    files.pipe("/a.npy", content.getvalue()[:-8] + b"\1" * 8)
    with pytest.raises(InvalidInput, match="has changed since the job was planned"):
        list(chunks)
    source.close()


def test_a_picture_that_is_too_long_is_not_held(files: MemoryFileSystem) -> None:
    files.pipe("/a.png", bytes(MOST_FILE_BYTES + 1))
    with pytest.raises(InvalidInput, match=r"a.png: is longer than"):
        StorePlace("memory://a.png").read("")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.safetensors", "a.parquet", "a.csv", "t10k-images-idx3-ubyte"])
def test_a_damaged_file_is_named_by_its_url(files: MemoryFileSystem, name: str) -> None:
    files.pipe(f"/rows/{name}", b"a,b\n1,\xff")
    with pytest.raises(InvalidInput, match=f"^memory://rows/{name}: "):
        list(open_source([f"memory://rows/{name}"], TABLE, columns=("a", "b") if name == "a.csv" else ()).files())
