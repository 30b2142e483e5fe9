import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from vaeserve.rows.image_headers import ImageFile, read_image_file


def encoded(picture: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


GRADIENT = Image.fromarray(np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "comment": b"hello", "exif": b"Exif\0\0broken"}),
        ("WebP", {}),
        ("WebP", {"lossless": True}),
        ("WebP", {"exif": b"Exif\0\0broken"}),  # in the extended format
    ],
)
def test_headers_tell_the_size(name: str, options: dict[str, object]) -> None:
    file = read_image_file(encoded(GRADIENT, name, **options))
    assert file[:5] == (name, 7, 5, 8, False)


def test_metadata_is_left_out_and_pixels_are_not() -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 10_000_000))
    png = encoded(GRADIENT, "PNG")
    assert read_image_file(png[:33] + text + png[33:]).content == png
    plain, commented = (encoded(GRADIENT, "JPEG", **options) for options in ({}, {"comment": b"hello"}))
    assert b"hello" not in read_image_file(commented).content
    assert read_image_file(commented).content == plain


def test_animations_say_so() -> None:
    frames = [Image.new("RGB", (7, 5), colour) for colour in ("red", "blue")]
    for name in ("PNG", "WebP"):
        animation = encoded(frames[0], name, save_all=True, append_images=frames[1:])
        assert read_image_file(animation).is_animated


def test_bits() -> None:
    deep = Image.fromarray(np.zeros((5, 7), np.uint16))
    assert read_image_file(encoded(deep, "PNG")).bits == 16
    assert read_image_file(encoded(GRADIENT.convert("1"), "PNG")).bits == 1


@pytest.mark.parametrize("name", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_other_formats(name: str) -> None:
    with pytest.raises(ValueError, match="is not a PNG, JPEG or WebP"):
        read_image_file(encoded(GRADIENT, name))


FRAME = b"\xff\xc0\0\x08\x08\0\x05\0\x07"


@pytest.mark.parametrize(
    ("name", "alter"),
    [
        *((name, lambda content: content[:24]) for name in ("PNG", "JPEG", "WebP")),
        ("PNG", lambda png: png[:12] + b"IDAT" + png[16:]),
        ("PNG", lambda png: png[:-13]),  # no end
        ("JPEG", lambda jpeg: jpeg[:4] + b"\0\2junk" + jpeg[4:]),
        ("JPEG", lambda jpeg: jpeg[:2] + FRAME + jpeg[2:]),
        ("JPEG", lambda jpeg: jpeg[:2] + jpeg[jpeg.index(b"\xff\xda") :]),  # no frame
        ("WebP", lambda webp: webp[:12] + b"ALPH" + webp[16:]),
    ],
)
def test_headers_that_are_damaged(name: str, alter: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ValueError, match=f"is not an intact {name}"):
        read_image_file(alter(encoded(GRADIENT, name)))


def test_padding_before_a_marker_is_allowed() -> None:
    jpeg = encoded(GRADIENT, "JPEG")
    padded: ImageFile = read_image_file(jpeg[:2] + b"\xff" * 3 + jpeg[2:])
    assert (padded.width, padded.height) == (7, 5)
