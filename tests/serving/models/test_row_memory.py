"""What rows of any size take, from a package's list and two measured runs."""

import pytest

from serving.models.row_memory import GraphMemory, RowMemory, learned
from vaeserve.package.footprints import Footprint
from vaeserve.package.sizes import PictureSize, PictureSizes

SIZES = PictureSizes(multiple=8, minimum=16, maximum=256, default=PictureSize(32, 32))
LISTED = [Footprint(pixels=side**2, bytes=10 * side**2) for side in (16, 32, 256)]
SMALL, LARGE = PictureSize(16, 16), PictureSize(32, 32)


@pytest.mark.parametrize(("more", "factor"), [(2560 + 2 * 7680, 2.0), (2560 + 100, 1.0), (10**6, 3.0)])
def test_a_run_takes_more_than_its_tensors_by_what_was_measured(more: int, factor: float) -> None:
    memory = learned(LISTED, [(SMALL, 2560), (LARGE, more)])
    assert memory.factor == pytest.approx(factor, rel=1e-3)
    assert memory.bytes_of(PictureSize(64, 32)) == pytest.approx(10 * 64 * 32 * factor, rel=0.01)


@pytest.mark.parametrize("peaks", [(None, None), (5, 5), (9, 3)])
def test_where_nothing_can_be_measured_a_reserve_is_added(peaks: tuple[int | None, int | None]) -> None:
    assert learned(LISTED, list(zip((SMALL, LARGE), peaks, strict=True))).factor == 1.5


def test_without_a_list_two_runs_say_how_memory_grows() -> None:
    memory = learned((), [(SMALL, 1000), (LARGE, 4000)])
    assert memory.bytes_of(PictureSize(64, 64)) == pytest.approx(16_000, abs=1)
    assert GraphMemory(()).bytes_of(SMALL) == 0


@pytest.mark.parametrize(("less", "more", "taken"), [(0, 4096, 4**4), (1, 2**26, 4**8 / 4), (2**25, 2**26, 4**4)])
def test_memory_grows_with_the_pixels_at_least_and_at_most_with_their_square(
    less: int, more: int, taken: float
) -> None:
    memory = learned((), [(SMALL, less), (LARGE, more)])
    assert memory.bytes_of(PictureSize(256, 256)) == pytest.approx(more * 4**3 * (taken / 4**4), rel=1e-6)


def test_pictures_of_one_size_have_no_growth() -> None:
    memory = RowMemory(learned((), [(SMALL, 1000), (SMALL, 4000)]), GraphMemory(()), 10**6)
    assert memory.maximum_pixels(memory.encoder, SIZES) == 0


def test_what_would_not_fit_is_a_limit() -> None:
    memory = RowMemory(GraphMemory(LISTED), GraphMemory(LISTED, 2.0), 10 * 64 * 64)
    assert memory.maximum_pixels(memory.encoder, SIZES) == pytest.approx(64 * 64, abs=1)
    assert memory.maximum_pixels(memory.decoder, SIZES) == pytest.approx(32 * 64, abs=1)
    assert memory._replace(budget=10**9).maximum_pixels(memory.encoder, SIZES) == 0
    assert memory._replace(budget=0).maximum_pixels(memory.encoder, SIZES) == 0
    assert memory._replace(budget=1).maximum_pixels(memory.encoder, SIZES) == SMALL.pixels  # its start was proved


def test_a_row_weighs_by_its_pixels_or_by_its_memory() -> None:
    memory = RowMemory(GraphMemory(LISTED), GraphMemory(LISTED), 10 * 64 * 64)
    weigh = memory.weigher([memory.encoder], SIZES, 4)
    assert [weigh(size) for size in (None, SMALL, LARGE)] == [1, 1, 4]
    assert memory.weigher([memory.encoder], SIZES, 64)(LARGE) == 16  # a batch holds four of them, and not sixteen
    assert memory._replace(budget=0).weigher([memory.encoder], SIZES, 64)(LARGE) == 4
