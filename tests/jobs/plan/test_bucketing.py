"""What a user leaves open of buckets is chosen by the model's sizes; what the model does not take is one line."""

import pytest

from jobs.plan.bucketing import choose_buckets, sizes_of
from jobs.settings import Bucketing
from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import PictureSize, PictureSizes

MODEL = PictureSizes(multiple=8, minimum=64, maximum=2048, default=PictureSize(512, 512))
SQUARE = PictureSize(512, 512)


def test_the_rest_is_chosen_as_trainers_choose_it() -> None:
    chosen = choose_buckets(Bucketing(), MODEL)
    assert chosen == Bucketing(
        buckets="auto", area=SQUARE, bucket_step=64, bucket_minimum=256, bucket_maximum=1024, small="enlarge"
    )
    assert len(sizes_of(chosen)) == 17
    assert choose_buckets(chosen, MODEL) == chosen


def test_steps_follow_a_small_area_and_the_models_multiple() -> None:
    small = choose_buckets(Bucketing(area=PictureSize(128, 128)), MODEL)
    assert (small.bucket_step, small.bucket_minimum, small.bucket_maximum) == (16, 64, 256)
    wide = choose_buckets(Bucketing(), MODEL.model_copy(update={"multiple": 48, "default": PictureSize(480, 480)}))
    assert wide.bucket_step == 48
    large = choose_buckets(Bucketing(area=PictureSize(2048, 2048)), MODEL)
    assert (large.bucket_step, large.bucket_minimum, large.bucket_maximum) == (64, 1024, 2048)


def test_a_list_is_taken_as_it_is() -> None:
    chosen = choose_buckets(Bucketing(buckets=(SQUARE,), small="refuse"), MODEL)
    assert (chosen, sizes_of(chosen)) == (Bucketing(buckets=(SQUARE,), small="refuse"), (SQUARE,))
    assert sizes_of(Bucketing()) == ()


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (Bucketing(buckets=(SQUARE,), area=SQUARE), "--area: is for --buckets auto"),
        (
            Bucketing(buckets=(PictureSize(500, 512),)),
            r"--buckets: asks for 512x500: the model takes multiples of 8 in",
        ),
        (Bucketing(buckets=(PictureSize(4096, 512),)), r"--buckets: asks for 512x4096: the model takes multiples of 8"),
        (Bucketing(bucket_step=20), "--bucket-step: is 20, must be a multiple of 8"),
        (Bucketing(area=PictureSize(10, 10)), "--area: is 10x10: no bucket of it is allowed"),
        (Bucketing(bucket_maximum=100), "--area: is 512x512: no bucket of it is allowed"),
        (
            Bucketing(bucket_minimum=8, bucket_step=8),
            "--bucket-minimum or --bucket-maximum: asks for .*: the model takes multiples",
        ),
    ],
)
def test_what_the_model_does_not_take_is_one_line(asked: Bucketing, line: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{line}"):
        choose_buckets(asked, MODEL)
