"""Memory of a row between the sizes that a package lists."""

import pytest
from pydantic import TypeAdapter, ValidationError

from vaeserve.package.footprints import Footprint, Footprints, bytes_at, pixels_within

LISTED = [
    Footprint(pixels=side**2, bytes=side**4) for side in (8, 16, 64)
]  # attention's: with the square of the pixels


@pytest.mark.parametrize("side", [4, 8, 12, 16, 32, 64, 128])
def test_any_power_of_the_size_is_met_between_and_beyond(side: int) -> None:
    assert bytes_at(LISTED, side**2) == pytest.approx(side**4, rel=1e-9, abs=1)


def test_what_fits_is_found_to_the_pixel() -> None:
    most = pixels_within(LISTED, 32**4, 10**6)
    assert bytes_at(LISTED, most) <= 32**4 < bytes_at(LISTED, most + 2)
    assert pixels_within(LISTED, 10**12, 4096) == 4096
    assert pixels_within(LISTED, 0, 4096) == 0


@pytest.mark.parametrize(
    "listed", [[(8, 5), (8, 5)], [(64, 5), (8, 9)], [(8, 9), (64, 5)], [(8, 1), (64, 2**63)], [(8, 0), (64, 1)]]
)
def test_what_does_not_grow_with_the_size_is_refused(listed: list[tuple[int, int]]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Footprints).validate_python([{"pixels": pixels, "bytes": taken} for pixels, taken in listed])


def test_the_steepest_growth_does_not_overflow() -> None:
    steep = TypeAdapter(Footprints).validate_python([{"pixels": 256, "bytes": 1}, {"pixels": 257, "bytes": 10**18}])
    assert bytes_at(steep, 65_536) == pytest.approx(2**62, rel=1e-9)


def test_each_step_of_the_list_grows_in_its_own_way() -> None:
    listed = [Footprint(pixels=64, bytes=100), Footprint(pixels=256, bytes=400), Footprint(pixels=1024, bytes=6400)]
    assert [bytes_at(listed, pixels) for pixels in (16, 64, 128, 256, 512, 1024, 2048)] == [
        25, 100, 200, 400, 1600, 6400, 25_600,
    ]  # fmt: skip
