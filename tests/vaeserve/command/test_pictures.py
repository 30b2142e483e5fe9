import io

import numpy as np
import pytest
from PIL import Image

from vaeserve.command.pictures import grid_png, pairs_png
from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import Array

DIGITS = DataSpec(kind="image", shape=(8, 8, 1), dtype="uint8", minimum=0, maximum=16)
COLOUR = DataSpec(kind="image", shape=(60, 40, 3), dtype="float32", minimum=-1, maximum=1)
TABLE = DataSpec(kind="table", shape=(3,), dtype="float32", minimum=0, maximum=1)


def pixels(png: bytes) -> np.ndarray:
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    return np.asarray(picture)


def digits(*values: float, dtype: type = np.uint8) -> Array:
    return np.broadcast_to(np.array(values, dtype).reshape(-1, 1, 1, 1), (len(values), 8, 8, 1))


def test_small_images_are_enlarged_and_rescaled() -> None:
    shown = pixels(grid_png(digits(0, 8, 16), DIGITS))
    assert shown.shape == (2 * 48 + 2, 2 * 48 + 2)
    assert shown[:48, :48].max() == 0
    assert (shown[:48, 50:] == 128).all()
    assert (shown[50:, :48] == 255).all()
    assert len(np.unique(shown[48:50])) == 1  # the gap
    assert len(np.unique(shown[50:, 50:])) == 1  # the cell without a row


def test_pixels_stay_square_and_in_place() -> None:
    rows = np.zeros((1, 8, 8, 1), np.uint8)
    rows[0, 2, 5] = 16
    shown = pixels(grid_png(rows, DIGITS))
    assert (shown[12:18, 30:36] == 255).all()
    assert shown.sum() == 36 * 255


def test_expectations_and_values_past_the_range() -> None:
    shown = pixels(grid_png(digits(-3, 4.0, 99, np.nan, dtype=np.float32), DIGITS))
    assert shown.shape == (98, 98)
    assert [shown[top, left] for top in (0, 50) for left in (0, 50)] == [0, 64, 255, 0]


def test_colour_and_large_images_keep_their_size() -> None:
    rows = np.full((2, 60, 40, 3), -1, np.float32)
    rows[..., 0] = 1
    shown = pixels(grid_png(rows, COLOUR))
    assert shown.shape == (60, 82, 3)
    assert shown[0, 0].tolist() == [255, 0, 0]


def test_reconstructions_stand_below_their_originals() -> None:
    shown = pixels(pairs_png(digits(1, 2, 3), digits(13, 14, 15), DIGITS, columns=2))
    assert shown.shape == (4 * 48 + 2 * 2 + 8, 98)
    cells = [[int(shown[top, left]) for left in (0, 50)] for top in (0, 50, 106, 156)]
    shades = {value: round(value / 16 * 255) for value in (1, 2, 3, 13, 14, 15)}
    assert cells[:2] == [[shades[1], shades[2]], [shades[13], shades[14]]]
    assert [line[0] for line in cells[2:]] == [shades[3], shades[15]]


def test_what_is_no_picture() -> None:
    odd = DIGITS.model_copy(update={"axes": (8, 8, 2)})
    for rows, spec in (
        (np.zeros((1, 3), np.float32), TABLE),
        (np.zeros((1, 8, 8), np.uint8), DIGITS),
        (np.zeros((0, 8, 8, 1), np.uint8), DIGITS),
        (np.zeros((1, 8, 8, 2), np.uint8), odd),
    ):
        with pytest.raises(InvalidInput, match="rows: "):
            grid_png(rows, spec)
    with pytest.raises(InvalidInput, match="are 1, must be as many as the 2 originals"):
        pairs_png(digits(1, 2), digits(1), DIGITS)
