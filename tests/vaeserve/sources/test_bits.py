import numpy as np
import pytest
from PIL import Image

from vaeserve.rows.images import Unfit
from vaeserve.sources.bits import to_8_bits, white_of

VALUES = np.arange(0, 4095, 39).astype(np.uint16).reshape(7, 15)


def test_white_is_that_of_the_fewest_bits() -> None:
    assert [white_of(each) for each in (0, 255, 256, 1023, 4000, 4096, 65535)] == [
        *(255, 255, 1023, 1023, 4095, 16383, 65535)
    ]


def test_grey_of_16_bits_is_scaled_and_rounded() -> None:
    image, brightest = to_8_bits(Image.fromarray(VALUES), 4095)
    np.testing.assert_array_equal(np.asarray(image), np.rint(VALUES / 4095 * 255))
    assert (image.mode, brightest) == ("L", VALUES.max())
    np.testing.assert_array_equal(
        np.asarray(to_8_bits(Image.fromarray(VALUES), 65535)[0]), np.rint(VALUES / 65535 * 255)
    )


def test_what_is_brighter_than_white_or_has_colours_that_are_not_is_refused() -> None:
    with pytest.raises(Unfit, match=r"^holds \d+, must lie in \[0, 1023\]$"):
        to_8_bits(Image.fromarray(VALUES), 1023)
    colours = Image.fromarray(np.full((2, 2, 3), 255, np.uint8))  # as Pillow reads those of 16 bits
    assert to_8_bits(colours, 65535) == (colours, 65535)
    with pytest.raises(Unfit, match=r"colours, of which the upper 8 are read, but 4095 is white: save it with 8$"):
        to_8_bits(colours, 4095)
    with pytest.raises(Unfit, match=r"colours of mode CMYK, must have grey or RGB$"):
        to_8_bits(Image.new("CMYK", (2, 2)), 65535)
