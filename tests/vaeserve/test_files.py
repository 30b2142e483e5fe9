import fcntl
import io
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaeserve.errors import InvalidInput
from vaeserve.files import (
    check_writable,
    exchange,
    parse_arrays,
    read_array,
    read_arrays,
    write,
    write_arrays,
    write_whole,
)


class Explosive:
    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (3,)


def test_round_trips(tmp_path: Path) -> None:
    rows = np.arange(6).reshape(2, 3)
    np.save(tmp_path / "x.npy", rows)
    np.testing.assert_array_equal(read_array(tmp_path / "x.npy"), rows)
    write_arrays(tmp_path / "z.npz", latent=rows, seed=2**64 - 1, fingerprint="abc", log_variance=None)
    arrays = read_arrays(tmp_path / "z.npz")
    assert sorted(arrays) == ["fingerprint", "latent", "seed"]
    assert int(arrays["seed"]) == 2**64 - 1
    assert str(arrays["fingerprint"]) == "abc"


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x93NUMPY", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'", b"PK\x03\x04"]
)
def test_files_that_hold_no_array(tmp_path: Path, content: bytes) -> None:
    for name, read in (("x.npy", read_array), ("z.npz", read_arrays)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInput, match=rf"{name}: is not an \.np[yz] file of plain values"):
            read(tmp_path / name)


@pytest.mark.parametrize("descr", ["(" * 100, "(" * 5000, "-" * 50_000 + "1", "f(", "1 1"], ids=range(5))
def test_headers_that_are_no_python(tmp_path: Path, descr: str) -> None:
    header = descr.encode()
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InvalidInput, match=r"x\.npy: is not an \.npy file of plain values"):
        read_array(tmp_path / "x.npy")


def test_objects_are_never_loaded(tmp_path: Path) -> None:
    objects = np.array([Explosive()], object)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "z.npz", latent=objects)
    with pytest.raises(InvalidInput, match=r"x\.npy: is no"):
        read_array(tmp_path / "x.npy")
    with pytest.raises(InvalidInput, match=r"z\.npz: is no"):
        read_arrays(tmp_path / "z.npz")


def test_one_kind_is_not_taken_for_the_other(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(2))
    np.savez(tmp_path / "arrays.npz", a=np.zeros(2))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    for name, read in (("array.npy", read_arrays), ("arrays.npz", read_array), ("other.zip", read_arrays)):
        with pytest.raises(InvalidInput, match=name):
            read(tmp_path / name)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"absent\.npy: cannot be read: No such file"):
        read_array(tmp_path / "absent.npy")
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        read_array(tmp_path)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 600), st.binary(min_size=1, max_size=8))
def test_altered_archives_are_read_or_refused(place: int, noise: bytes) -> None:
    file = io.BytesIO()
    np.savez_compressed(file, latent=np.arange(40.0), fingerprint="abc")
    content = bytearray(file.getvalue())
    place %= len(content)
    content[place : place + len(noise)] = noise
    with suppress(ValueError):
        parse_arrays(io.BytesIO(content))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_altered_in_another_compression_are_refused(method: int, tmp_path: Path) -> None:
    file, path = io.BytesIO(), tmp_path / "z.npz"
    np.save(file, np.arange(400.0))
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("latent.npy", file.getvalue())
    content = bytearray(path.read_bytes())
    content[60:140] = bytes(80)
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"z\.npz: is not an \.npz file of plain values$"):
        read_arrays(path)


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "x.npy").write_bytes(b"old")
    with pytest.raises(InvalidInput, match=r"x\.npy: cannot be written: No space left"):
        write(tmp_path / "x.npy", fail)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.npy", b"old")]


def test_a_lock_holds_until_the_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def checked(partial: Path, path: Path) -> Path:
        with partial.open("rb") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return replace(partial, path)

    monkeypatch.setattr(Path, "replace", checked)
    write(tmp_path / "rows", lambda file: fcntl.flock(file, fcntl.LOCK_SH))
    assert (tmp_path / "rows").exists()


def test_the_first_error_is_the_one_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(NotADirectoryError) as raised:
        write_whole(tmp_path / "x" / "y", b"")
    assert raised.value.__context__ is None


def test_a_file_is_replaced_and_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with (tmp_path / "x").open("rb") as reader:
        write_whole(tmp_path / "x", b"new")
        assert reader.read() == b"old"
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x", b"new")]


def test_what_is_exchanged_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    if not exchange(tmp_path / "one", tmp_path / "one"):
        pytest.skip("this file system does not exchange names")
    with pytest.raises(FileNotFoundError, match=r"No such file.*one.*other"):
        exchange(tmp_path / "one", tmp_path / "other")
    (tmp_path / "other").write_text("a file")
    assert exchange(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "other").is_dir()


def test_places_that_cannot_be_written_to(tmp_path: Path) -> None:
    check_writable(tmp_path / "x.npy")
    with pytest.raises(InvalidInput, match="is a directory"):
        check_writable(tmp_path)
    with pytest.raises(InvalidInput, match=r"there is no directory .*absent"):
        check_writable(tmp_path / "absent" / "x.npy")
