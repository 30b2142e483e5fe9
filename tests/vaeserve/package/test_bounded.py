"""Files that are too long, no files at all, and archives that mislead."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.support.packages import publish
from vaeserve.errors import PackageError
from vaeserve.package.bounded import read_archive, read_regular
from vaeserve.package.directory import ModelPackage


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    with pytest.raises(ValueError, match=r"^is 5 bytes, at most 4 are taken$"):
        read_regular(tmp_path / "file", 4)


def test_a_file_that_does_not_tell_its_size_is_read_to_its_end() -> None:
    file = Path("/proc/self/limits")
    assert file.stat().st_size == 0
    assert read_regular(file, 10_000) == file.read_bytes()


@pytest.mark.parametrize("kind", ["fifo", "directory", "device"])
def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "file"
    if kind == "fifo":
        os.mkfifo(place)  # which an ordinary open would wait on for ever
    elif kind == "directory":
        place.mkdir()
    else:
        place.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"^is not a regular file$"):
        read_regular(place, 5)


@pytest.mark.parametrize("file", ["manifest.json", "encoder.onnx", "probes.npz"])
def test_a_package_with_a_pipe_is_refused(tmp_path: Path, file: str) -> None:
    package = publish(tmp_path / "package")
    (package / file).unlink()
    os.mkfifo(package / file)
    with pytest.raises(PackageError, match=rf"{file}: is not a regular file$"):
        ModelPackage.open(package)


@pytest.mark.parametrize(
    ("file", "size", "said"),
    [
        ("manifest.json", 300 * 10**6, "is 300,000,000 bytes, at most 2,097,152 are taken"),
        ("encoder.onnx", 2**31, "is 2,147,483,648 bytes, at most 2,147,483,647 are taken"),
        ("probes.npz", 2**31, "is 2,147,483,648 bytes, at most 1,073,741,824 are taken"),
    ],
)
def test_a_file_of_a_package_that_is_too_long_is_not_read(tmp_path: Path, file: str, size: int, said: str) -> None:
    package = publish(tmp_path / "package")
    os.truncate(package / file, size)  # a hole: it takes no room on the disk
    with pytest.raises(PackageError, match=rf"{file}: {said}$"):
        ModelPackage.open(package)


def _archive(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def test_an_archive_is_read_if_it_unpacks_to_little_enough() -> None:
    content = _archive(one=np.arange(3), two=np.zeros((2, 2), np.float32), text=np.array("one"))
    found = read_archive(content, 10_000)
    assert found["one"].tolist() == [0, 1, 2]
    assert found["text"] == "one"


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    bomb = _archive(zeros=np.zeros(10**6, np.uint8))
    assert len(bomb) < 2000
    with pytest.raises(ValueError, match=r"^unpacks to 1,000,\d+ bytes, at most 10,000 are taken$"):
        read_archive(bomb, 10_000)


def _zipped(content: bytes, kind: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        archive.writestr("one.npy", content)
    return file.getvalue()


def test_archives_that_mislead_are_refused() -> None:
    header = (
        b"\x93NUMPY\x01\x00\x76\x00" + f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**12},), }}".encode()
    )
    with pytest.raises(ValueError, match=r"^one\.npy: is cut short$"):
        read_archive(_zipped(header.ljust(127) + b"\n"), 10_000)
    with pytest.raises(ValueError, match="packed in a way that NumPy does not use"):
        read_archive(_zipped(b"\x93NUMPY", zipfile.ZIP_BZIP2), 10_000)
    for content in (b"", b"PK\x05\x06", b"no archive" * 10, _zipped(b"no array"), _zipped(b"\x93NUMPY\x09\x00")):
        with pytest.raises(ValueError, match=r"is no|holds"):
            read_archive(content, 10_000)


def test_an_archive_of_very_many_files_is_refused_before_they_are_listed() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(30_000):
            archive.writestr(f"{number}", b"")
    with pytest.raises(ValueError, match=r"^is an archive of too many files$"):
        read_archive(file.getvalue(), 10**9)
