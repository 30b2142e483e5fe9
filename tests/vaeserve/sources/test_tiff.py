import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from vaeserve.errors import InvalidInput
from vaeserve.sources.picture import Wanted, decode_picture, picture_size

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
COLOUR = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
ORIENTATION, MEANING = 274, 262


def tiff(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "TIFF", **options)
    return file.getvalue()


def read(content: bytes, wanted: Wanted | None = None) -> np.ndarray:
    return decode_picture(content, "x", wanted or Wanted()).pixels


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_pages_of_grey_and_colour_stay_as_they_are(compression: str) -> None:
    np.testing.assert_array_equal(read(tiff(Image.fromarray(GREY), compression=compression))[..., 0], GREY)
    np.testing.assert_array_equal(read(tiff(Image.fromarray(COLOUR), compression=compression)), COLOUR)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_they_are_turned_upright_as_other_pictures_are(orientation: int) -> None:
    content = tiff(Image.fromarray(COLOUR), tiffinfo={ORIENTATION: orientation})
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    Image.fromarray(COLOUR).save(file, "PNG", exif=exif)
    np.testing.assert_array_equal(read(content), read(file.getvalue()))
    assert picture_size(content, "x") == picture_size(file.getvalue(), "x")
    assert read(content, Wanted((6, 2), "stretch")).shape == (6, 2, 3)


def test_16_bits_of_grey_are_scaled_where_white_is_known() -> None:
    content = tiff(Image.fromarray(GREY.astype(np.uint16) * 300))
    picture = decode_picture(content, "x", Wanted(white=4095))
    np.testing.assert_array_equal(picture.pixels[..., 0], np.rint(GREY * 300.0 / 4095 * 255))
    assert picture.brightest == 3300
    with pytest.raises(InvalidInput, match=r"^x: has 16 bits a channel, must have at most 8$"):
        read(content)


def test_what_is_refused_is_named() -> None:
    one, whole = Image.fromarray(COLOUR), tiff(Image.fromarray(COLOUR))
    refused = {
        tiff(one, save_all=True, append_images=[one]): "holds several pages, must be a single picture",
        tiff(Image.fromarray(GREY.astype(np.float32))): "has 32 bits a channel, must have at most 16",
        tiff(Image.fromarray(GREY.astype(np.uint16)), tiffinfo={MEANING: 0}): "stores white as 0 in 16 bits a channel",
        tiff(Image.new("CMYK", (2, 2))): "has colours of mode CMYK",
        whole[:4]: "is not an intact TIFF",
        whole[:60]: "is not an intact TIFF",
        tiff(Image.new("RGB", (300, 300)), compression="tiff_lzw")[:-200]: "is not an intact TIFF",
        b"MM\0*" + bytes(40): "is not an intact TIFF",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for content, message in refused.items():
            with pytest.raises(InvalidInput, match=f"^x: {message}"):
                read(content, Wanted(white=65535))


def test_pages_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that Pillow counts is looked for among those before, so a small file of many would take hours."""
    page = Image.fromarray(GREY)
    content, seeks = tiff(page, save_all=True, append_images=[page] * 50), list[int]()
    monkeypatch.setattr(TiffImageFile, "seek", lambda _, number: seeks.append(number))
    with pytest.raises(InvalidInput, match=r"^x: holds several pages, must be a single picture$"):
        read(content)
    assert seeks == []


def test_nothing_of_a_bad_tag_or_a_large_size_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", GREY.size - 1)
    content = bytearray(tiff(Image.fromarray(GREY), tiffinfo={270: "about it"}))
    at = content.index(struct.pack("<HHI", 270, 2, 9))
    content[at + 4 : at + 8] = struct.pack("<I", 2**31)  # longer than the file
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read(bytes(content))[..., 0], GREY)
