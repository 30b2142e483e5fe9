"""Pictures of more than 8 bits: which value is white, found by the brightest, and how they become 8 bits."""

import numpy as np
from PIL import Image

from vaeserve.rows.images import Unfit

WHITES = (255, 1023, 4095, 16383, 65535)  # of 8, 10, 12, 14 and 16 bits
TRANSPARENT = "has transparent pixels: what is behind them is not known; save it without an alpha channel"
_NARROW = ("L", "LA", "RGB", "RGBA")  # modes in which Pillow keeps the upper 8 of 16 bits


def white_of(brightest: int) -> int:
    """Returns the white of the fewest bits that hold a value, because cameras store 10, 12 or 14 bits in 16.

    Args:
        brightest: the largest value of all pictures, at most 65535.
    """
    return next(white for white in WHITES if white >= brightest)


def to_8_bits(image: Image.Image, white: int) -> tuple[Image.Image, int]:
    """Returns a decoded image of 9 to 16 bits with `white` as 255, and its largest value.

    Of colours, and of grey with an alpha channel, Pillow has the upper 8 bits alone.

    Raises:
        Unfit: it is brighter than white, or has colours although white is not that of 16 bits.
    """
    if "transparency" in image.info:
        raise Unfit(TRANSPARENT)
    values = np.asarray(image)
    if image.mode in _NARROW:
        brightest = int(values[..., :3].max()) * 257
        if white != WHITES[-1]:
            raise Unfit(
                f"has more than 8 bits a channel and colours, of which the upper 8 are read, but {white} is white: "
                "save it with 8"
            )
        return image, brightest
    if image.mode not in ("I", "I;16", "I;16B", "I;16L"):
        raise Unfit(f"has more than 8 bits a channel and colours of mode {image.mode}, must have grey or RGB")
    darkest, brightest = int(values.min()), int(values.max())
    if darkest < 0 or brightest > white:
        raise Unfit(f"holds {darkest if darkest < 0 else brightest}, must lie in [0, {white}]")
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8)), brightest
