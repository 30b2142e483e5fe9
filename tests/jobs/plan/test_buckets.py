"""Buckets have the sizes that trainers of latent models use, and each picture goes to the nearest."""

import pytest

from jobs.plan.buckets import Buckets, automatic, parse_sizes
from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import PictureSize

SQUARE = PictureSize(512, 512)


def written(sizes: tuple[PictureSize, ...]) -> str:
    return ",".join(size.label for size in sizes)


def test_automatic_buckets_are_those_of_most_trainers() -> None:
    assert written(automatic(SQUARE, 64, 256, 1024)) == (
        "832x256,896x256,960x256,1024x256,704x320,768x320,640x384,576x448,512x512,"
        "448x576,384x640,320x704,320x768,256x832,256x896,256x960,256x1024"
    )


def test_no_automatic_bucket_is_larger_than_the_area_or_outside_the_sides() -> None:
    for area, step, minimum, maximum in (
        (SQUARE, 64, 256, 1024),
        (PictureSize(100, 60), 8, 20, 90),
        (SQUARE, 24, 1, 999),
    ):
        buckets = automatic(area, step, minimum, maximum)
        assert len({*buckets}) == len(buckets) > 3
        for size in buckets:
            assert size.pixels <= area.pixels
            assert all(side % step == 0 and minimum <= side <= maximum for side in size)
            assert PictureSize(size.width, size.height) in buckets


def test_the_nearest_aspect_ratio_counts_whichever_side_is_longer() -> None:
    buckets = Buckets(automatic(SQUARE, 64, 256, 1024))
    for height, width, expected in (
        (3000, 3000, "512x512"),
        (60, 40, "384x640"),
        (40, 60, "640x384"),
        (10, 1000, "1024x256"),
        (1000, 10, "256x1024"),
        (481, 640, "576x448"),
    ):
        bucket = buckets.of(PictureSize(height, width))
        assert bucket is not None
        assert bucket.label == expected


def test_of_buckets_of_one_ratio_the_largest_is_taken_that_needs_no_enlarging() -> None:
    buckets = Buckets(parse_sizes("256x256,512x512,1024x1024,512x256", "--buckets"))
    sides = {side: buckets.of(PictureSize(side, side)) for side in (100, 256, 600, 1024, 5000)}
    assert [size and size.width for size in sides.values()] == [256, 256, 512, 1024, 1024]


def test_a_picture_that_cannot_be_read_goes_to_the_squarest_bucket() -> None:
    assert Buckets(parse_sizes("512x256,300x256,256x512", "--buckets")).of(None) == PictureSize(256, 300)
    assert Buckets([SQUARE]).of(PictureSize(0, 7)) == SQUARE


def test_sizes_are_written_width_first() -> None:
    assert parse_sizes("512x768, 64x32,512x768", "--buckets") == (PictureSize(32, 64), PictureSize(768, 512))
    for text in ("", "512", "512x", "x512", "0x64", "64x0", "axb", "64x64x64", "-8x8", "64x64,", "99999x8"):
        with pytest.raises(InvalidInput, match=r"--buckets: is '.*', must be WIDTHxHEIGHT in pixels"):
            parse_sizes(text, "--buckets")
