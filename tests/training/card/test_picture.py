import io

import numpy as np
from PIL import Image

from training.card.picture import to_png


def read(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_grey_and_coloured_pixels_come_back() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (20, 30, 1), np.uint8).repeat(3, axis=2)
    colour = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert read(to_png(grey)).mode == "L"
    for pixels in (grey, colour):
        np.testing.assert_array_equal(np.asarray(read(to_png(pixels)).convert("RGB")), pixels)
        assert to_png(pixels) == to_png(pixels.copy())


def test_a_heavy_picture_is_written_in_few_colours() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    content = to_png(pixels)
    assert read(content).mode == "P"
    assert len(content) < 300 * 300 * 1.1
    difference = np.asarray(read(content).convert("RGB")).astype(int) - pixels
    assert np.abs(difference).mean() < 25
