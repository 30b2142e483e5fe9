"""Files behind a URL: what a store says of a file's version, and its own ways of listing."""

from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from jobs.sources.stores import StorePlace
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


def test_a_picture_that_is_too_long_is_not_held(files: MemoryFileSystem) -> None:
    files.pipe("/a.png", bytes(MOST_FILE_BYTES + 1))
    with pytest.raises(InvalidInput, match=r"a.png: is longer than"):
        StorePlace("memory://a.png").read("")
