import pytest

from training.imports.sizes import sizes_of, trial_sizes
from vaeserve.errors import TrainingError
from vaeserve.package.sizes import PictureSize, PictureSizes


@pytest.mark.parametrize(
    ("factor", "sample_size", "expected"),
    [
        (8, 512, (64, 4096, 512)),
        (8, None, (64, 4096, 512)),
        (8, 500, (64, 4096, 504)),
        (8, 32, (64, 4096, 64)),
        (16, 1024, (64, 4096, 1024)),
        (32, None, (64, 4096, 512)),
        (128, 512, (256, 4096, 512)),
    ],
)
def test_sizes_follow_the_pair(factor: int, sample_size: int | None, expected: tuple[int, int, int]) -> None:
    minimum, maximum, side = expected
    sizes = sizes_of(factor, sample_size)
    assert sizes == PictureSizes(multiple=factor, minimum=minimum, maximum=maximum, default=PictureSize(side, side))


def test_an_importer_may_choose_them() -> None:
    sizes = sizes_of(8, 512, minimum=128, maximum=1024, default=PictureSize(256, 384))
    assert sizes == PictureSizes(multiple=8, minimum=128, maximum=1024, default=PictureSize(256, 384))
    assert sizes_of(8, 512, maximum=256).default == PictureSize(256, 256)


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"minimum": 20}, "^--minimum: is 20, must be a multiple of 8 for this pair$"),
        ({"maximum": 100}, "^--maximum: is 100, must be a multiple of 8 for this pair$"),
        ({"maximum": 32}, "^--maximum: is 32, must be 64 or more, which is the minimum$"),
        (
            {"default": PictureSize(64, 100)},
            r"^--default-size: is 100x64, both sides must be multiples of 8 in \[64, 4096\]",
        ),
    ],
)
def test_sizes_that_cannot_be_are_refused_by_their_option(wishes: dict[str, object], said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        sizes_of(8, 512, **wishes)  # type: ignore[arg-type]


def test_the_smallest_size_is_tried_and_one_higher_than_wide() -> None:
    assert trial_sizes(sizes_of(8, 512)) == (PictureSize(64, 64), PictureSize(96, 64))
    assert trial_sizes(sizes_of(8, 512, minimum=64, maximum=64)) == (PictureSize(64, 64),)
