"""Pictures in tiles: which tiles there are, how their answers are blended, and how far that is from exact."""

from collections.abc import Iterator
from math import inf
from pathlib import Path

import numpy as np
import pytest

from serving.local.local import Local
from tests.support.make_free_package import pictures
from vaeserve.client.tiles import Tiles, _Tiling, difference
from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import PictureSize


@pytest.fixture(scope="module")
def local(free: Path) -> Iterator[Local]:
    with Local(free, provider="cpu", threads=1, batch_rows=8) as local:
        yield local


@pytest.mark.parametrize("height", [4, 5, 8, 13])
@pytest.mark.parametrize("width", [3, 4, 9])
@pytest.mark.parametrize("overlap", [0, 0.25, 0.5])
@pytest.mark.parametrize("scale", [1, 8])
def test_tiles_of_a_picture_make_the_picture_again(height: int, width: int, overlap: float, scale: int) -> None:
    whole = np.random.default_rng(0).standard_normal((2, 3, height * scale, width * scale)).astype(np.float32)
    cut = _Tiling(height, width, 4, overlap)
    tiles = [whole[:, :, y, x] for y, x in cut.squares(scale)]
    assert {tile.shape[2:] for tile in tiles} == {(min(4, height) * scale, min(4, width) * scale)}
    np.testing.assert_allclose(cut.blend(np.concatenate(tiles), scale), whole, rtol=1e-6)


def test_a_tile_gives_way_linearly_to_the_next() -> None:
    cut = _Tiling(1, 6, 4, 0.5)
    answers = np.zeros((2, 1, 1, 4), np.float32)
    answers[1] = 1
    np.testing.assert_allclose(cut.blend(answers, 1)[0, 0, 0], [0, 0, 0.25, 0.75, 1, 1])


def test_a_picture_of_one_tile_is_exact(local: Local) -> None:
    tiles, data = Tiles(local.get_model(), tile=64), pictures(2, PictureSize(40, 64))
    latent = local.encode(data).latent
    np.testing.assert_array_equal(tiles.encode(local, data), latent)
    np.testing.assert_array_equal(tiles.decode(local, latent), local.decode(latent).output)


def test_larger_pictures_are_close_and_their_difference_is_told(local: Local) -> None:
    tiles, data = Tiles(local.get_model(), tile=64), pictures(2, PictureSize(128, 168))
    latent = local.encode(data).latent
    assert 0 < difference(tiles.encode(local, data), latent).largest < 0.1
    told = difference(tiles.decode(local, latent), local.decode(latent).output)
    assert told.largest >= 1
    assert 20 < told.psnr < 80


def test_equal_answers_have_no_noise() -> None:
    assert difference(np.ones((1, 2)), np.ones((1, 2))) == (0, inf)


def test_what_is_the_same_everywhere_has_no_reach() -> None:
    assert difference(np.ones((1, 2)), np.zeros((1, 2))) == (1, -inf)


@pytest.mark.parametrize("shape", [(1, 2), (0, 3)])
def test_answers_to_other_rows_are_not_compared(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match=r"^tiled: has shape \[1, 3\], the exact answer \["):
        difference(np.ones((1, 3)), np.ones(shape))


@pytest.mark.parametrize(
    ("tile", "overlap", "said"),
    [
        (60, 0.25, r"tile: is 60, must be one of the multiples of 8 in \[16, 256\]"),
        (512, 0.25, "tile: is 512, must be"),
        (64.0, 0.25, r"tile: is 64\.0, must be an integer"),
        ("64", 0.25, "tile: is '64', must be an integer"),
        (64, 0.6, r"overlap: is 0\.6, must lie in \[0, 0\.5\]"),
    ],
)
def test_tiles_that_the_model_does_not_take(local: Local, tile: int, overlap: float, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Tiles(local.get_model(), tile, overlap)


def test_pictures_of_one_size_need_no_tiles(tiny: Path) -> None:
    with (
        Local(tiny, provider="cpu", threads=1, batch_rows=8) as local,
        pytest.raises(InvalidInput, match="tile: is for pictures of many sizes; those of model tiny have one"),
    ):
        Tiles(local.get_model(), 64)
