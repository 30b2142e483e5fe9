import re
from pathlib import Path

import numpy as np
import pytest

from vaeserve.command.inputs import open_input
from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import ArrayFit, DataSpec
from vaeserve.sources import array_fit
from vaeserve.sources.array_fit import evidence_of, fit_array
from vaeserve.sources.arrays import read_npy, read_npz

RANDOM = np.random.default_rng(0)
LEVELS = RANDOM.integers(0, 256, (40, 5, 6, 3), np.uint8)
OF_12_BITS = LEVELS.astype(np.uint16) * 16 + 15
REAL = RANDOM.random((40, 5, 6, 3))


def spec(maximum: int = 255, fit: ArrayFit | None = None) -> DataSpec:
    return DataSpec(kind="image", shape=(5, 6, 3), dtype="uint8", minimum=0, maximum=maximum, array_fit=fit)


@pytest.fixture(autouse=True)
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_fit, "_PART_VALUES", 7 * 90)


@pytest.mark.parametrize(
    ("array", "rows", "white", "note"),
    [
        ((LEVELS / 255).astype(np.float32), LEVELS, 1, "float32 up to 1, all of them levels of 256: 1 is white"),
        ((LEVELS / 255).astype(">f8"), LEVELS, 1, ">f8 up to 1, all of them levels"),
        (LEVELS.astype(np.float16), LEVELS, 255, "float16 up to 255, all of them levels of 256: 255 is white"),
        (REAL, np.rint(REAL * 255), 1, r"float64 up to 0.99\d*, 1 is white; rounded to 256 levels, by 0.29 of a level"),
        (REAL * 255, np.rint(REAL * 255), 255, "float64 up to 25.*, 255 is white; rounded to 256 levels, by 0.29"),
        (LEVELS.astype(np.int64), LEVELS, 255, "int64 up to 255, taken as the 256 levels"),
        (OF_12_BITS.astype(">u2"), np.rint(OF_12_BITS / 4095 * 255), 4095, "(>u2|uint16) up to 4095, taken as 12 bits"),
        (LEVELS.astype(np.uint16) * 257, LEVELS, 65535, "uint16 up to 65535, taken as 16 bits: 65535 is white"),
    ],
)
def test_pictures_are_told_by_their_values_and_encoded_later_as_in_training(
    array: np.ndarray, rows: np.ndarray, white: float, note: str, tmp_path: Path
) -> None:
    path = tmp_path / "it.npy"
    for stored in (array, np.asfortranarray(array)):
        np.save(path, stored)
        content = read_npy(path, False)
        np.testing.assert_array_equal(content.values, rows)
        assert content.spec == spec(fit=ArrayFit(white=white))
        (line,) = content.notes
        assert re.match(f"{path}: {note}", line), line
        np.testing.assert_array_equal(open_input([path], False).rows(content.spec, False).rows, rows)
    np.savez(tmp_path / "it.npz", X=array)
    np.testing.assert_array_equal(open_input([tmp_path / "it.npz"], False).rows(content.spec, False).rows, rows)


def test_channels_that_come_first_are_moved(tmp_path: Path) -> None:
    path = tmp_path / "it.npz"
    np.savez(path, train=np.moveaxis(LEVELS, 3, 1), test=np.moveaxis(LEVELS[:9], 3, 1))
    content = read_npz(path, False)
    np.testing.assert_array_equal(content.values, np.concatenate((LEVELS, LEVELS[:9])))
    assert content.spec.array_fit == ArrayFit(channels_first=True)
    assert content.notes == (f"{path}: its channels come first, [3, 5, 6]: moved behind height and width",)
    np.testing.assert_array_equal(open_input([path], False).rows(content.spec, False).rows, content.values)
    np.testing.assert_array_equal(fit_array(LEVELS, content.spec, "x"), LEVELS)


@pytest.mark.parametrize(("shape", "size"), [((3, 8, 3), "8 x 3"), ((1, 6, 4), "6 x 1"), ((4, 2, 3), "2 x 4")])
def test_channels_that_may_come_first_are_taken_as_last_and_a_line_says_so(
    shape: tuple[int, ...], size: str, tmp_path: Path
) -> None:
    path = tmp_path / "it.npy"
    array = RANDOM.integers(0, 256, (40, *shape), np.uint8)
    np.save(path, array)
    content = read_npy(path, False)
    np.testing.assert_array_equal(content.values, array)
    assert content.spec.array_fit is None
    assert content.notes == (
        f"{path}: its channels may come first or last, {list(shape)}: taken as last, so pictures are {size} pixels; "
        "if they come first, save numpy.moveaxis(array, 1, 3)",
    )


def test_plain_rows_stay_as_they_are_and_grey_ones_get_a_channel(tmp_path: Path) -> None:
    np.save(tmp_path / "it.npy", LEVELS[..., 0])
    content = read_npy(tmp_path / "it.npy", False)
    assert (content.spec.array_fit, content.notes) == (None, ())
    rows = open_input([tmp_path / "it.npy"], False).rows(content.spec, False).rows
    np.testing.assert_array_equal(rows, content.values)


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.float32, np.int32])
def test_zeros_and_ones_are_pixels_that_are_off_or_on(dtype: type[np.generic], tmp_path: Path) -> None:
    np.save(tmp_path / "it.npy", (LEVELS > 99).astype(dtype))
    content = read_npy(tmp_path / "it.npy", False)
    assert (content.spec.maximum, content.family, content.values.max()) == (1, "bernoulli", 1)
    rows = open_input([tmp_path / "it.npy"], False).rows(content.spec, False).rows
    np.testing.assert_array_equal(rows, LEVELS > 99)


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (np.nan, "float32", r"nan in row 33 at \[1, 2, 0\]: float32 pictures must lie in \[0, 1\] or \[0, 255\]"),
        (-1e-8, "float64", r"-1e-08 in row 33 at \[1, 2, 0\]: float64 pictures must"),
        (np.inf, "float32", r"inf in row 33"),
        (255.5, "float32", r"255\.5 in row 33"),
        (-1, "int16", r"-1 in row 33 at \[1, 2, 0\]: int16 pictures must lie in \[0, 65535\]"),
        (65536, "int32", r"65536 in row 33"),
    ],
)
def test_what_is_no_value_of_a_picture_is_refused_by_its_row(value: float, dtype: str, message: str) -> None:
    array = np.ones((30, 5, 6, 3), dtype), np.ones((10, 5, 6, 3), dtype)
    array[1][3, 1, 2, 0] = value
    with pytest.raises(InvalidInput, match=rf"^x: {message}"):
        evidence_of(array, "x")


def test_arrays_of_two_types_and_values_beyond_those_of_training_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^x: its arrays differ in type: float64 and uint8$"):
        evidence_of([LEVELS, REAL], "x")
    taken = spec(fit=ArrayFit(white=1.0))
    with pytest.raises(
        InvalidInput, match=r"^x: 2 in row 0 at \[0, 0, 0\]: float64 pictures must lie in \[0, 1\], as in"
    ):
        fit_array(REAL + 2 - REAL, taken, "x")
    assert fit_array(LEVELS, taken, "x") is LEVELS


def test_bytes_of_bool_that_are_neither_0_nor_1_are_1(tmp_path: Path) -> None:
    path, bits = tmp_path / "it.npy", RANDOM.random((40, 5, 6)) < 0.5
    np.save(path, bits)
    content = path.read_bytes()
    path.write_bytes(content[: -bits.size] + bytes(7 * bit for bit in content[-bits.size :]))
    read = read_npy(path, False)
    np.testing.assert_array_equal(read.values[..., 0], bits)
    assert read.spec.maximum == 1
    np.testing.assert_array_equal(open_input([path], False).rows(read.spec, False).rows, read.values)
