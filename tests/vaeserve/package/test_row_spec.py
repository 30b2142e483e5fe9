"""What one row is: its bytes, blank rows, and whether an array fits."""

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

from vaeserve.client.caller_rows import as_rows
from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import Array, LatentSpec
from vaeserve.package.sizes import PictureSize, PictureSizes

DIGITS = DataSpec(kind="image", shape=(2, 2, 1), dtype="uint8", minimum=0, maximum=16)
SIZES = PictureSizes(multiple=8, minimum=16, maximum=64, default=PictureSize(32, 64))
PICTURES = DataSpec(kind="image", shape=("height", "width", 3), sizes=SIZES, dtype="uint8", minimum=0, maximum=255)
TABLE = DataSpec(kind="table", shape=(3,), dtype="float32", minimum=-10, maximum=10)


def test_rows_know_their_bytes() -> None:
    assert (DIGITS.value_count, DIGITS.bytes_of(5), DIGITS.bytes_of(5, "float32")) == (4, 20, 80)
    assert (TABLE.bytes_of(1), LatentSpec((2, 3)).bytes_of(2), TABLE.bytes_of(2, "float16")) == (12, 48, 12)


def test_blank_rows_are_zeros_or_the_nearest_value() -> None:
    far = DataSpec(kind="table", shape=(2,), dtype="float32", minimum=-9, maximum=-3)
    np.testing.assert_array_equal(far.blank(2), np.full((2, 2), -3, np.float32), strict=True)
    np.testing.assert_array_equal(DIGITS.blank(1), np.zeros((1, 2, 2, 1), np.uint8), strict=True)
    np.testing.assert_array_equal(LatentSpec((3,)).blank(1), np.zeros((1, 3), np.float32), strict=True)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.float64, np.float32, np.uint8, bool])
def test_users_values_are_converted_where_nothing_is_lost(dtype: type) -> None:
    rows: Array = np.ones((3, 2, 2, 1), dtype)
    fitted = DIGITS.fit(as_rows(rows, "data"), "data")
    assert fitted.dtype == np.uint8
    assert fitted.sum() == 12
    assert TABLE.fit(as_rows([[1, 2, 3]], "data"), "data").dtype == np.float32


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3.7, r"data: 3\.7 in row 1 at \[0, 0, 0\] cannot be converted to uint8 without loss"),
        (-1, "-1 in row 1"),
        (256, "256 in row 1"),
        (np.nan, "nan in row 1"),
        (17, r"17 in row 1 at \[0, 0, 0\] must lie in \[0, 16\]"),
    ],
)
def test_users_values_that_would_change(value: float, said: str) -> None:
    rows = np.zeros((2, 2, 2, 1), type(value))
    rows[1, 0, 0, 0] = value
    with pytest.raises(InvalidInput, match=said):
        DIGITS.fit(rows, "data")


def test_float64_latents_are_rounded() -> None:
    given_ = np.array([[0.1, 0.2, 0.3]])
    assert LatentSpec((3,)).fit(given_, "latent").tolist() == given_.astype(np.float32).tolist()


@pytest.mark.parametrize("value", [1e300, np.inf, np.nan, 2**24 + 1, 2**63 - 1, 2**64 - 1])
def test_numbers_that_float32_cannot_hold(value: float) -> None:
    with pytest.raises(InvalidInput, match=r"^latent: .* in row 0 at \[0\]"):
        LatentSpec((1,)).fit(as_rows([[value]], "latent"), "latent")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros(3), r"single row of shape \[3\], must be \[rows, 3\]: add a first axis"),
        (np.zeros((2, 4)), r"has shape \[2, 4\], must be \[rows, 3\]"),
        (np.zeros((2, 3, 1)), "has shape"),
        (np.zeros((0, 3)), "has no rows"),
        (np.float32(1), "is a single number"),
        ([[1, 2], [3]], "differ in length"),
        ([["a", "b", "c"]], "must hold numbers"),
        (np.array([[None, 1, 2]]), "holds object"),
        (np.zeros((1, 3), complex), "holds complex128"),
    ],
)
def test_users_arrays_of_another_kind(values: npt.ArrayLike, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as err:
        LatentSpec((3,)).fit(as_rows(values, "latent"), "latent")
    assert err.value.field == "latent"


def test_users_float16_stays_as_it_is() -> None:
    short = np.array([[1, 2.5, -3]], np.float16)
    for fitted in (LatentSpec((3,)).fit(short, "latent"), TABLE.fit(short, "data")):
        np.testing.assert_array_equal(fitted, short, strict=True)
    assert DIGITS.fit(np.ones((1, 2, 2, 1), np.float16), "data").dtype == np.uint8
    wide = DataSpec(kind="table", shape=(3,), dtype="float32", minimum=-1e6, maximum=1e6)
    assert wide.fit(short, "data").dtype == np.float16
    for value in (np.inf, np.nan):
        with pytest.raises(InvalidInput, match=r"latent: .* must be finite"):
            LatentSpec((3,)).fit(np.full((1, 3), value, np.float16), "latent")
    with pytest.raises(InvalidInput, match=r"11\.0 in row 0"):
        TABLE.fit(np.full((1, 3), 11, np.float16), "data")


def test_rows_of_many_sizes_are_rows_of_each() -> None:
    size = PictureSize(16, 24)
    assert (PICTURES.at(size).shape, PICTURES.at(size).bytes_of(2), PICTURES.weight(size)) == ((16, 24, 3), 2304, 2)
    assert PICTURES.at((16, 24)) == PICTURES.at(size)
    assert (PICTURES.smallest.shape, PICTURES.at(size).sizes) == ((16, 16, 3), None)
    assert PICTURES.size_of((16, 24, 3)) == size
    assert LatentSpec((4, "height/8", "width/8"), SIZES).at(size).shape == (4, 2, 3)
    for shape in ((16, 20, 3), (16, 24, 1), (8, 16, 3), (16, 72, 3), (16, 24)):
        assert PICTURES.size_of(shape) is None
    with pytest.raises(ValueError, match="rows have many sizes, and so no shape of their own: use axes, or"):
        print(PICTURES.shape)


def test_rows_of_one_shape_are_their_own() -> None:
    assert DIGITS.at(None) is DIGITS.smallest is DIGITS
    assert (DIGITS.size_of((2, 2, 1)), DIGITS.weight(None)) == (None, 1)


def test_users_pictures_have_one_of_the_sizes() -> None:
    assert PICTURES.fit(np.zeros((2, 16, 24, 3), np.int64), "data").dtype == np.uint8
    rule = r"\[rows, height, width, 3\] with height and width multiples of 8 in \[16, 64\]"
    with pytest.raises(InvalidInput, match=rf"^data: has shape \[2, 16, 20, 3\], must be {rule}"):
        PICTURES.fit(np.zeros((2, 16, 20, 3), np.uint8), "data")
    with pytest.raises(
        InvalidInput, match=rf"is a single row of shape \[16, 24, 3\], must be {rule}: add a first axis"
    ):
        PICTURES.fit(np.zeros((16, 24, 3), np.uint8), "data")


@pytest.mark.parametrize(
    "change", [{"sizes": None}, {"kind": "table"}, {"shape": ("height", 4, 3)}, {"shape": (4, 4, 3)}]
)
def test_free_axes_are_the_height_and_the_width_of_images(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DataSpec.model_validate(PICTURES.model_dump() | change)
