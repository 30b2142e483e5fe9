"""Which sizes pictures may have, and what the axes of a row are at a size."""

from typing import Any

import pytest
from pydantic import ValidationError

from vaeserve.package.sizes import PictureSize, PictureSizes, axis_length, free_axes, size_of_axes

SIZES = PictureSizes(multiple=8, minimum=16, maximum=64, default=PictureSize(32, 64))
LATENT = (4, "height/8", "width/8")


@pytest.mark.parametrize("size", [(16, 16), (64, 16), (40, 24)])
def test_sides_are_multiples_in_a_range(size: tuple[int, int]) -> None:
    assert SIZES.takes(PictureSize(*size))


@pytest.mark.parametrize("size", [(8, 16), (16, 72), (20, 16), (16, -16), (0, 0)])
def test_other_sides_are_refused(size: tuple[int, int]) -> None:
    assert not SIZES.takes(PictureSize(*size))


@pytest.mark.parametrize(("size", "weight"), [((16, 16), 1), ((16, 24), 2), ((32, 32), 4), ((64, 64), 16)])
def test_a_row_weighs_as_its_pixels(size: tuple[int, int], weight: int) -> None:
    assert SIZES.weight(PictureSize(*size)) == weight


def test_people_say_width_first() -> None:
    assert str(PictureSize(height=32, width=64)) == "64 x 32"
    assert PictureSize(height=32, width=64).label == "64x32"
    assert PictureSize.parse(" 64X32 ") == PictureSize(height=32, width=64)


@pytest.mark.parametrize("text", ["", "64", "64x", "0x8", "65537x8", "64x64x64", "-8x8", "64,32", "\uff18x8"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be WIDTHxHEIGHT in pixels"):
        PictureSize.parse(text)


@pytest.mark.parametrize(
    "change",
    [{"minimum": 72}, {"minimum": 20}, {"maximum": 60}, {"default": (8, 16)}, {"multiple": 0}, {"maximum": 2**62}],
)
def test_sizes_that_contradict_themselves(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PictureSizes.model_validate(SIZES.model_dump() | change)


def test_axes_follow_the_size() -> None:
    size = PictureSize(24, 64)
    assert tuple(axis_length(axis, size) for axis in LATENT) == (4, 3, 8)
    assert size_of_axes(LATENT, (4, 3, 8)) == size
    assert size_of_axes(("height", "width", 3), (24, 64, 3)) == size
    assert free_axes(LATENT) == ("height/8", "width/8")


@pytest.mark.parametrize("shape", [(3, 3, 8), (4, 3), (4, 3, 8, 1), ()])
def test_shapes_of_no_size(shape: tuple[int, ...]) -> None:
    assert size_of_axes(LATENT, shape) is None
