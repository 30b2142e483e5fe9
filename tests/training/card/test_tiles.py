import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.card.tiles import GAP, cells, layout
from vaeserve.package.data_spec import DataSpec


def images(height: int, width: int, channels: int, maximum: float = 255) -> DataSpec:
    return DataSpec(kind="image", shape=(height, width, channels), dtype="uint8", minimum=0, maximum=maximum)


@pytest.mark.parametrize(("side", "shown"), [(4, 56), (8, 56), (28, 56), (32, 64), (64, 64), (96, 96), (256, 96)])
def test_small_images_grow_by_a_whole_factor_and_large_ones_shrink(side: int, shown: int) -> None:
    spec = images(side, side, 1)
    assert cells(np.zeros((2, side, side, 1), np.uint8), spec).shape == (2, shown, shown, 3)


def test_an_enlarged_pixel_is_a_square_of_its_shade() -> None:
    rows = np.array([[[0, 16], [8, 4]]], np.uint8)[..., np.newaxis]
    (cell,) = cells(rows, images(2, 2, 1, maximum=16))
    np.testing.assert_array_equal(cell[:28, 28:], 255)
    np.testing.assert_array_equal(cell[28:, :28], 128)
    np.testing.assert_array_equal(cell[28:, 28:], 64)


def test_colours_stay_and_other_channels_become_their_mean() -> None:
    row = np.array([10, 200, 30], np.uint8).reshape(1, 1, 1, 3)
    np.testing.assert_array_equal(cells(row, images(1, 1, 3))[0, 0, 0], [10, 200, 30])
    np.testing.assert_array_equal(cells(row[..., :2], images(1, 1, 2))[0, 0, 0], [105, 105, 105])


def test_expectations_past_the_range_are_clipped() -> None:
    rows = np.array([-5.0, 300.0], np.float32).reshape(2, 1, 1, 1)
    np.testing.assert_array_equal(cells(rows, images(1, 1, 1))[:, 0, 0, 0], [0, 255])


@given(height=st.integers(1, 300), width=st.integers(1, 300), channels=st.sampled_from([1, 2, 3, 4]))
def test_what_the_layout_promises_fits(height: int, width: int, channels: int) -> None:
    spec = images(height, width, channels)
    shown, room = cells(np.zeros((1, height, width, channels), np.uint8), spec), layout(spec)
    across = shown.shape[2] + GAP
    assert room.columns == 2 or room.columns * across <= 840 < (room.columns + 1) * across
    assert max(shown.shape[1:3]) <= 96
    assert room.lines >= 2
