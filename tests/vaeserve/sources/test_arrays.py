import io
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaeserve.errors import InvalidInput
from vaeserve.sources import room
from vaeserve.sources.arrays import holds_images, npz_rows, read_npy, read_npz
from vaeserve.sources.numpy_files import member, npy_array
from vaeserve.sources.table import Table

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (50, 4, 5), np.uint8)
TABLE = RANDOM.normal(size=(50, 3))


@pytest.fixture
def npy(tmp_path: Path) -> Path:
    return tmp_path / "it.npy"


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    return tmp_path / "it.npz"


def test_grey_and_coloured_images_are_taken_as_they_are(npy: Path) -> None:
    np.save(npy, IMAGES)
    content = read_npy(npy, False)
    np.testing.assert_array_equal(content.values, IMAGES[..., np.newaxis], strict=True)
    assert (content.spec.kind, content.spec.maximum, content.family) == ("image", 255, "gaussian")
    assert content.values.flags.writeable  # the split reorders in place
    coloured = RANDOM.integers(0, 256, (5, 2, 2, 3), np.uint8)
    np.save(npy, np.asfortranarray(coloured))
    np.testing.assert_array_equal(read_npy(npy, False).values, coloured)


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
def test_black_and_white_images_range_from_0_to_1(dtype: type, npy: Path) -> None:
    np.save(npy, (IMAGES > 128).astype(dtype))
    content = read_npy(npy, False)
    assert (content.values.dtype.name, content.spec.maximum, content.family) == ("uint8", 1, "bernoulli")


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int16, ">f4", "<u8"])
def test_tables_of_any_number_become_float32(dtype: npt.DTypeLike, npy: Path) -> None:
    numbers = np.abs(TABLE * 100).astype(dtype)
    np.save(npy, numbers)
    content = read_npy(npy, False)
    np.testing.assert_array_equal(content.values, numbers.astype(np.float32), strict=True)
    assert (content.spec.kind, content.spec.dtype, content.family) == ("table", "float32", "gaussian")


def test_what_an_archive_holds_out_is_kept_apart(npz: Path) -> None:
    np.savez(npz, x_train=IMAGES[:30], y_train=np.arange(30), x_val=IMAGES[30:35], x_test=IMAGES[35:])
    content = read_npz(npz, False)
    np.testing.assert_array_equal(content.values[..., 0], IMAGES)
    assert (content.validation_rows, content.test_rows, content.labels) == (5, 15, None)
    assert content.title == "it.npz: x_train, classes y_train, x_val, x_test"


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.arange(50) % 3, np.arange(50) % 3),
        ((np.arange(50) % 3).astype(np.float64)[:, None], np.arange(50) % 3),
        (np.array(["b", "a"] * 25), np.array([1, 0] * 25)),
        (np.arange(50) % 2 == 0, np.arange(50) % 2 == 0),
        (TABLE[:, 0], None),
        (np.full(50, np.nan), None),
        (TABLE, None),
    ],
)
def test_labels_are_classes_or_left_out(labels: np.ndarray, classes: np.ndarray | None, npz: Path) -> None:
    np.savez(npz, X=TABLE, y=labels)
    content = read_npz(npz, False)
    assert content.title == ("it.npz: X" if classes is None else "it.npz: X, classes y")
    assert (content.labels is None) == (classes is None)
    if content.labels is not None:
        assert content.labels.dtype == np.int64
        np.testing.assert_array_equal(content.labels, classes)


def test_names_mean_the_same_class_in_every_part(npz: Path) -> None:
    train, test = np.array(["b", "a"] * 15), np.array([b"b"] * 20)
    np.savez(npz, x_train=TABLE[:30], y_train=train, x_test=TABLE[30:], y_test=test)
    content = read_npz(npz, False)
    assert content.labels is not None
    assert (content.labels.tolist(), content.classes) == ([1, 0] * 15 + [1] * 20, ("a", "b"))


def test_bad_rows_leave_with_their_labels_and_from_their_part(npz: Path) -> None:
    train, test = TABLE[:30].copy(), TABLE[30:].copy()
    train[3, 1], test[0, 2], test[5, 0] = np.nan, np.inf, -1e16
    np.savez(npz, train=train, test=test, train_labels=np.arange(30), test_labels=np.arange(30, 50))
    with pytest.raises(
        InvalidInput, match=r"it\.npz: row 3: column 1 is NaN \(the first row is 0\); 2 more faults; --skip-bad"
    ):
        read_npz(npz, False)
    content = read_npz(npz, True)
    assert content.labels is not None
    assert content.labels.tolist() == [row for row in range(50) if row not in (3, 30, 35)]
    np.testing.assert_array_equal(content.values, TABLE[content.labels].astype(np.float32))
    assert content.test_rows == 18
    assert [line.partition(": ")[2] for line in content.skipped] == [
        "row 3: column 1 is NaN",
        "row 30: column 2 is inf",
        "row 35: column 0 is -1e+16, beyond 1e+15: divide the column by a constant",
    ]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (TABLE[0], r"is float64 \[3\]; images are numbers"),
        (IMAGES.astype(complex), r"is complex128 \[50, 4, 5\]; images are numbers"),
        (np.zeros((9, 5, 32, 32), np.uint8), r"is uint8 \[9, 5, 32, 32\]; images are"),
        (np.zeros((9, 0, 3), np.uint8), r"is uint8 \[9, 0, 3\]: is empty"),
        (np.zeros((0, 3)), r"is float64 \[0, 3\]: is empty"),
        (TABLE.astype(complex), r"is complex128 \[50, 3\]"),
        (np.array([["a"]]), r"is <U1 \[1, 1\]"),
        (np.zeros((2, 2), [("a", np.uint8)]), r"is \[\('a', 'u1'\)\] \[2, 2\]; images are"),
        (np.array([[{}]], object), "holds Python objects, which are never read"),
    ],
)
def test_what_is_neither_images_nor_a_table_is_refused(array: np.ndarray, said: str, npy: Path, npz: Path) -> None:
    np.save(npy, array, allow_pickle=True)
    with pytest.raises(InvalidInput, match=rf"^{npy}: {said}"):
        read_npy(npy, True)
    np.savez(npz, X=array)
    with pytest.raises(InvalidInput, match=rf"^{npz}: (X: )?{said}"):
        read_npz(npz, True)


def test_archives_that_do_not_add_up_are_refused(npz: Path) -> None:
    np.savez(npz, X=TABLE, y=np.arange(49))
    with pytest.raises(InvalidInput, match=r"y is \[49\], must hold a label for each of 50 rows"):
        read_npz(npz, True)
    np.savez(npz, train=TABLE, test=TABLE[:, :2])
    with pytest.raises(InvalidInput, match="its arrays differ in the shape of a row"):
        read_npz(npz, True)
    np.savez(npz, train=TABLE, test=IMAGES)
    with pytest.raises(InvalidInput, match="its arrays differ in the shape of a row"):
        read_npz(npz, True)
    with zipfile.ZipFile(npz, "w") as archive:
        archive.writestr("X", "text")
    with pytest.raises(InvalidInput, match="X is not an array"):
        read_npz(npz, True)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04K\x01.", b"PK\x03\x04", b"\x93NUMPY\x01\x00\x02\x00{}"])
def test_files_of_another_kind_are_refused(content: bytes, npy: Path, npz: Path) -> None:
    for path, read in ((npy, read_npy), (npz, read_npz)):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=rf"^{path}: is not an intact {path.suffix} file of plain values$"):
            read(path, True)


def header(shape: str) -> bytes:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_a_header_that_lies_costs_nothing(npy: Path, npz: Path) -> None:
    npy.write_bytes(header("(1000000, 1000, 1000)"))
    with pytest.raises(InvalidInput, match="is not an intact"):
        read_npy(npy, True)
    with zipfile.ZipFile(npz, "w") as archive:
        archive.writestr("X.npy", header("(1000000, 1000, 1000)"))
    with pytest.raises(InvalidInput, match="is not an intact"):
        read_npz(npz, True)


def test_an_archive_that_swells_is_refused_before_it_does(npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(npz, X=np.zeros((100, 10_000)))
    monkeypatch.setattr("os.sysconf", lambda _: 1024)  # pages of 1024 bytes, and as many of them
    tracemalloc.start()
    with pytest.raises(InvalidInput, match=r"it\.npz: needs 0\.0 GiB of memory, this machine has 0\.0 GiB"):
        read_npz(npz, True)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_altered_in_another_compression_is_refused(method: int, npz: Path) -> None:
    file = io.BytesIO()
    np.save(file, IMAGES)
    with zipfile.ZipFile(npz, "w", method) as archive:
        archive.writestr("X.npy", file.getvalue())
    content = bytearray(npz.read_bytes())
    content[60:140] = bytes(80)
    npz.write_bytes(content)
    assert not holds_images(npz)
    with pytest.raises(InvalidInput, match=r"it\.npz: is not an intact \.npz file of plain values$"):
        read_npz(npz, True)


def archive_of(table: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, X=table)
    return file.getvalue()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(packed=st.booleans(), place=st.integers(0, 500), put=st.binary(max_size=6), cut=st.integers(0, 6))
def test_altered_files_raise_nothing_else(packed: bool, place: int, put: bytes, cut: int, npy: Path) -> None:
    path, read = (npy.with_suffix(".npz"), read_npz) if packed else (npy, read_npy)
    content = archive_of(TABLE[:4]) if packed else archive_of(TABLE[:4])[41:265]
    path.write_bytes(content[:place] + put + content[place + cut :])
    with suppress(InvalidInput):
        read(path, True)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rows", [IMAGES, TABLE.astype(np.float32)])
def test_large_arrays_that_are_not_compressed_are_mapped(
    rows: np.ndarray, order: str, npz: Path, npy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "IN_MEMORY_BYTES", 400)
    rows = np.asarray(rows, order=order)  # type: ignore[call-overload]
    np.savez(npz, first=np.zeros(3), X=rows)
    with npz.open("rb") as file, np.load(file) as archive:
        mapped = member(archive, "X", npz)
        assert isinstance(mapped.base, np.memmap)
        assert not isinstance(member(archive, "first", npz).base, np.memmap)
    np.testing.assert_array_equal(mapped, rows, strict=True)
    np.save(npy, rows)
    assert isinstance(npy_array(npy), np.memmap)
    opened = npz_rows(npz)
    found = opened.rows.values if isinstance(opened.rows, Table) else opened.rows[..., 0]
    np.testing.assert_array_equal(found, rows)
    assert opened.notes == (f"{npz}: took X, of X, first",)


def test_large_arrays_that_are_compressed_are_held_in_memory_and_a_line_says_so(
    npz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "IN_MEMORY_BYTES", 100)
    np.savez_compressed(npz, train=IMAGES[:30], test=IMAGES[30:])
    rows, notes = npz_rows(npz)
    np.testing.assert_array_equal(rows[..., 0], IMAGES)  # type: ignore[call-overload]
    assert notes == (
        f"{npz}: is compressed, so 0.0 GiB were held in memory: what np.save or np.savez writes is mapped",
    )
    monkeypatch.undo()
    assert npz_rows(npz).notes == ()


def test_a_large_array_that_is_cut_short_is_refused(npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "IN_MEMORY_BYTES", 100)
    with zipfile.ZipFile(npz, "w") as archive:
        archive.writestr("X.npy", header("(1000, 10)") + bytes(500))
    with pytest.raises(InvalidInput, match=rf"^{npz}: is not an intact \.npz file of plain values$"):
        npz_rows(npz)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(place=st.integers(0, 500), put=st.binary(max_size=6), cut=st.integers(0, 6))
def test_altered_large_archives_raise_nothing_else(place: int, put: bytes, cut: int, npz: Path) -> None:
    content = archive_of(TABLE[:4])
    npz.write_bytes(content[:place] + put + content[place + cut :])
    with pytest.MonkeyPatch.context() as patch, suppress(InvalidInput):
        patch.setattr(room, "IN_MEMORY_BYTES", 10)
        read_npz(npz, True)
