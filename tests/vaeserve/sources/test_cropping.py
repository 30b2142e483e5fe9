"""A picture of any size becomes a row of one size, and it is told where in the picture the row lies."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.sizes import PictureSize
from vaeserve.sources.cropping import crop_picture

ROW = DataSpec(kind="image", shape=(16, 24, 3), dtype="uint8", minimum=0, maximum=255)
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (61, 50, 3), np.uint8))
"""50 wide, 61 high."""


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def test_the_centre_of_a_covering_picture_is_the_row() -> None:
    cropped = crop_picture(encoded(PHOTO), "picture", ROW, enlarges=True)
    np.testing.assert_array_equal(cropped.row, np.asarray(ImageOps.fit(PHOTO, (24, 16), Image.Resampling.LANCZOS)))
    # Scaled to 24 pixels of width it is 29.28 high, of which 13.28 go.
    assert cropped[1:] == (PictureSize(61, 50), 7, 0)
    wide = crop_picture(encoded(PHOTO.rotate(90, expand=True)), "picture", ROW, enlarges=True)
    assert wide[1:] == (PictureSize(50, 61), 2, 0)
    tall_row = ROW.model_copy(update={"axes": (60, 20, 3)})
    assert crop_picture(encoded(PHOTO), "picture", tall_row, enlarges=True)[1:] == (PictureSize(61, 50), 0, 15)


def test_a_picture_is_turned_upright_first() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = crop_picture(encoded(PHOTO, "JPEG", quality=100, exif=exif), "picture", ROW, enlarges=True)
    assert turned[1:] == (PictureSize(50, 61), 2, 0)
    plain = crop_picture(encoded(PHOTO.rotate(-90, expand=True), "JPEG", quality=100), "picture", ROW, enlarges=True)
    assert np.abs(turned.row.astype(int) - plain.row).mean() < 8  # JPEG's own blocks differ


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_colours_are_converted(mode: str) -> None:
    content = encoded(PHOTO.convert(mode), "JPEG" if mode == "CMYK" else "PNG")
    assert crop_picture(content, "picture", ROW, enlarges=True).row.shape == (16, 24, 3)
    grey = ROW.model_copy(update={"axes": (16, 24, 1)})
    assert crop_picture(content, "picture", grey, enlarges=True).row.shape == (16, 24, 1)


def test_values_are_those_that_the_model_takes() -> None:
    row = ROW.model_copy(update={"dtype": "float32", "minimum": -1.0, "maximum": 1.0})
    values = crop_picture(encoded(Image.new("RGB", (30, 30), (255, 0, 0))), "picture", row, enlarges=True).row
    assert (values.dtype.name, values[0, 0].tolist()) == ("float32", [1, -1, -1])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not a PNG, JPEG, WebP or TIFF"),
        (encoded(PHOTO)[:2000], "is not an intact PNG"),
        (encoded(PHOTO, "JPEG")[:900], "is not an intact JPEG"),
        (encoded(Image.new("RGBA", (30, 30), (1, 2, 3, 100))), "has transparent pixels: what is behind them is not"),
    ],
)
def test_what_is_wrong_with_a_picture(content: bytes, problem: str) -> None:
    with pytest.raises(InvalidInput, match=f"^picture: {problem}"):
        crop_picture(content, "picture", ROW, enlarges=True)


def test_small_pictures_are_enlarged_or_refused() -> None:
    small = encoded(Image.new("RGB", (24, 15)))
    assert crop_picture(small, "picture", ROW, enlarges=True).row.shape == ROW.shape
    with pytest.raises(InvalidInput, match=r"picture: is 24 x 15 pixels, smaller than its bucket of 24 x 16"):
        crop_picture(small, "picture", ROW, enlarges=False)
    assert crop_picture(encoded(Image.new("RGB", (24, 16))), "picture", ROW, enlarges=False).top == 0
