"""Images of a model of many sizes, checked by their headers. `test_images` has those of one size."""

import struct

import numpy as np
import pytest

from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.sizes import PictureSize, PictureSizes
from vaeserve.rows.image_checks import check_image, image_places
from vaeserve.rows.images import decode_images, png
from vaeserve.rows.size_fit import SizeFit

SIZES = PictureSizes(multiple=8, minimum=16, maximum=64, default=PictureSize(32, 32))
SPEC = DataSpec(kind="image", shape=("height", "width", 3), sizes=SIZES, dtype="uint8", minimum=0, maximum=255)


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Returns random pixels."""
    return np.random.default_rng(height * width).integers(0, 256, (height, width, channels), np.uint8)


def claiming(height: int, width: int) -> bytes:
    """Returns a PNG whose header claims another size."""
    content = png(picture(16, 16))
    return content[:16] + struct.pack(">II", width, height) + content[24:]


def refusal(content: bytes, fit: SizeFit = "exact", size: PictureSize | None = None) -> str:
    """Returns what is wrong with an image."""
    with pytest.raises(InvalidInput) as refused:
        check_image(content, "x", SPEC, fit, size)
    assert refused.value.field == "x"
    return refused.value.description


def test_an_image_has_its_own_size() -> None:
    assert check_image(png(picture(24, 40)), "x", SPEC).size == (24, 40)
    assert check_image(png(picture(25, 47)), "x", SPEC, "crop").size == (24, 40)
    assert check_image(png(picture(25, 47)), "x", SPEC, "pad").size == (32, 48)


def test_images_of_a_call_come_to_one_size() -> None:
    first = PictureSize(24, 40)
    said = refusal(png(picture(24, 48)), size=first)
    assert said == "is 48 x 24 pixels, not 40 x 24 as the first image: all images of a call must have one size"
    said = refusal(png(picture(33, 47)), "crop", first)
    assert said == "comes to 40 x 32 pixels, not 40 x 24 as the first image: all images of a call must have one size"
    assert check_image(png(picture(29, 47)), "x", SPEC, "crop", first).size == first


def test_a_size_is_refused_before_anything_is_decoded() -> None:
    assert refusal(claiming(60_000, 60_000)).startswith("is 60000 x 60000 pixels, height and width must be")
    said = "is 129 x 32 pixels, too many to cut out the middle: at most as many as 64 x 64"
    assert refusal(claiming(32, 129), "crop") == said
    assert check_image(claiming(32, 128), "x", SPEC, "crop").size == (32, 64)
    assert refusal(claiming(32, 129), "pad").startswith("is 129 x 32 pixels, too large to be padded")
    assert refusal(claiming(0, 24), "crop").startswith("is 24 x 0 pixels, too small to be cut")
    long = (
        png(picture(16, 16))[:-12] + struct.pack(">I4s", 2**21, b"junk") + bytes(2**21 + 4) + png(picture(16, 16))[-12:]
    )
    assert refusal(long).startswith(f"takes {len(long)} bytes; one of 16 x 16 pixels takes at most 1050112")


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_decoded_rows_are_the_pictures_at_their_places(fit: SizeFit) -> None:
    pictures = [picture(29, 47), picture(31, 41)]
    files = [png(one) for one in pictures]
    size = check_image(files[0], "x", SPEC, fit).size
    rows = decode_images(files, "x", 0, SPEC, fit=fit, size=size)
    places = image_places(files, size)
    assert rows.shape == (2, *size, 3)
    for row, one, place in zip(rows, pictures, places, strict=True):
        assert place.size == one.shape[:2]
        shown = one[-place.top :, -place.left :][: size.height, : size.width]
        np.testing.assert_array_equal(row[: shown.shape[0], : shown.shape[1]], shown)


def test_grey_and_opaque_pictures_become_colours() -> None:
    grey, opaque = picture(16, 24, 1), np.dstack([picture(16, 24), np.full((16, 24, 1), 255, np.uint8)])
    rows = decode_images([png(grey), png(opaque)], "x", 0, SPEC, size=PictureSize(16, 24))
    np.testing.assert_array_equal(rows, np.stack([np.repeat(grey, 3, 2), picture(16, 24)]))
    with pytest.raises(InvalidInput, match=r"^x\[0\]: has transparent pixels, the model has no alpha channel$"):
        decode_images([png(picture(16, 24, 4))], "x", 0, SPEC, size=PictureSize(16, 24))


def test_a_header_that_lies_is_found_out() -> None:
    for content in (claiming(32, 32), claiming(0, 16)):
        with pytest.raises(InvalidInput, match=r"^x\[0\]: is not an intact PNG$"):
            decode_images([content], "x", 0, SPEC, fit="pad", size=check_image(content, "x", SPEC, "pad").size)
