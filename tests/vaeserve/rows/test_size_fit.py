"""Pictures brought to a size that a model of many sizes takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaeserve.package.sizes import PictureSize, PictureSizes
from vaeserve.rows.size_fit import PicturePlace, SizeFit, fit_pixels, fitted_size, place_in

SIZES = PictureSizes(multiple=8, minimum=16, maximum=64, default=PictureSize(32, 32))


@pytest.mark.parametrize(
    ("fit", "size", "fitted"),
    [
        ("exact", (16, 64), (16, 64)),
        ("crop", (16, 64), (16, 64)),
        ("crop", (23, 31), (16, 24)),
        ("crop", (1000, 71), (64, 64)),
        ("pad", (17, 24), (24, 24)),
        ("pad", (1, 57), (16, 64)),
    ],
)
def test_a_picture_comes_to_the_next_size(fit: SizeFit, size: tuple[int, int], fitted: tuple[int, int]) -> None:
    assert fitted_size(PictureSize(*size), SIZES, fit) == fitted


@pytest.mark.parametrize(
    ("fit", "size", "said"),
    [
        ("exact", (17, 16), "is 16 x 17 pixels, height and width must be multiples of 8 in"),
        ("exact", (72, 16), "(fit crop or pad makes it so)"),
        ("crop", (64, 15), "is 15 x 64 pixels, too small to be cut: height and width must be multiples of 8"),
        ("pad", (65, 16), "is 16 x 65 pixels, too large to be padded"),
    ],
)
def test_a_picture_that_comes_to_no_size(fit: SizeFit, size: tuple[int, int], said: str) -> None:
    with pytest.raises(ValueError, match="is ") as refused:
        fitted_size(PictureSize(*size), SIZES, fit)
    assert said in str(refused.value)


def test_the_middle_is_cut_out() -> None:
    pixels = np.arange(20 * 27, dtype=np.uint16).astype(np.uint8).reshape(20, 27, 1)
    assert place_in(PictureSize(16, 24), PictureSize(20, 27)) == PicturePlace(PictureSize(20, 27), -2, -1)
    np.testing.assert_array_equal(fit_pixels(pixels, PictureSize(16, 24)), pixels[2:18, 1:25])


def test_the_last_row_and_column_are_repeated() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (17, 22, 3), np.uint8)
    padded = fit_pixels(pixels, PictureSize(24, 24))
    assert place_in(PictureSize(24, 24), PictureSize(17, 22)) == PicturePlace(PictureSize(17, 22), 0, 0)
    np.testing.assert_array_equal(padded[:17, :22], pixels)
    np.testing.assert_array_equal(padded[17:, :22], np.broadcast_to(pixels[-1], (7, 22, 3)))
    np.testing.assert_array_equal(padded[:, 22:], np.broadcast_to(padded[:, 21:22], (24, 2, 3)))


@given(height=st.integers(1, 80), width=st.integers(1, 80), fit=st.sampled_from(["crop", "pad"]))
def test_the_place_says_which_pixels_are_whose(height: int, width: int, fit: SizeFit) -> None:
    size = PictureSize(height, width)
    try:
        fitted = fitted_size(size, SIZES, fit)
    except ValueError:
        return
    assert SIZES.takes(fitted)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 1), np.uint8)
    rows = fit_pixels(pixels, fitted)
    assert rows.shape == (*fitted, 1)
    _, top, left = place_in(fitted, size)
    for y in range(max(0, top), min(fitted.height, height + top)):
        start, stop = max(0, left), min(fitted.width, width + left)
        assert (rows[y, start:stop] == pixels[y - top, start - left : stop - left]).all()
