"""Folders and files on this machine."""

import os
from pathlib import Path

import pytest

from jobs.sources.places import LocalPlace, place_at
from vaeserve.errors import InvalidInput


def test_an_address_is_a_path_or_a_url(tmp_path: Path) -> None:
    assert isinstance(place_at(str(tmp_path)), LocalPlace)
    assert place_at(f"file://{tmp_path}").address == str(tmp_path)
    assert not isinstance(place_at("memory://somewhere"), LocalPlace)


@pytest.mark.parametrize("name", ["none.npy", "zero\0byte.npy"])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    place = place_at(str(tmp_path))
    for method in (place.open, place.stamp, place.read):
        with pytest.raises(InvalidInput, match=r"(none|zero\\x00byte)\.npy: "):
            method(name)
    with pytest.raises(InvalidInput, match="none: cannot be read: No such file or directory"):
        place_at(str(tmp_path / "none")).is_folder()


def test_a_pipe_is_refused_because_it_would_wait_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(InvalidInput, match=r"pipe.npy: is not a regular file"):
        place_at(str(tmp_path)).open("pipe.npy")


def test_a_stamp_tells_of_length_and_times(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"one")
    place = place_at(str(path))
    before = place.stamp("")
    assert before == place.stamp("")
    assert before.startswith("3 bytes at ")
    os.utime(path, ns=(0, 0))
    assert place.stamp("") != before
