"""How a job brings pictures to a few sizes: what was asked, with the rest chosen as most trainers choose it."""

from math import isqrt

from jobs.plan.buckets import automatic
from jobs.refusals import option_of
from jobs.settings import Bucketing, BucketSizes
from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import PictureSizes

_STEP = 64  # pixels, in most trainers
_STEPS = 8  # in the side of a square bucket, at least
_OF_AUTOMATIC = ("area", "bucket_step", "bucket_minimum", "bucket_maximum")


def choose_buckets(asked: Bucketing, sizes: PictureSizes) -> Bucketing:
    """Returns what was asked, with everything chosen.

    Args:
        asked: what the user says.
        sizes: that the model takes.

    Raises:
        InvalidInput: names the option; the model does not take such sizes, or no bucket is left.
    """
    small = asked.small or "enlarge"
    if asked.buckets not in (None, "auto"):
        for name in _OF_AUTOMATIC:
            if getattr(asked, name) is not None:
                raise InvalidInput(option_of(name), "is for --buckets auto")
        chosen = Bucketing(buckets=asked.buckets, small=small)
    else:
        chosen = _automatic(asked, sizes).model_copy(update={"small": small})
    _check(chosen, sizes)
    return chosen


def sizes_of(bucketing: Bucketing) -> BucketSizes:
    """Returns the buckets; nothing where rows have one size, or keep their own."""
    if bucketing.buckets != "auto":
        return bucketing.buckets or ()
    area, step = bucketing.area, bucketing.bucket_step
    minimum, maximum = bucketing.bucket_minimum, bucketing.bucket_maximum
    if area is None or step is None or minimum is None or maximum is None:
        raise AssertionError("automatic buckets without their settings. This is a bug.")
    return automatic(area, step, minimum, maximum)


def _automatic(asked: Bucketing, sizes: PictureSizes) -> Bucketing:
    """Returns the settings of automatic buckets: sides of a half to twice that of a square, in steps of 64 pixels.

    The steps are smaller where the area is, and always a multiple of what the model takes.
    """
    area = asked.area or sizes.default
    side = isqrt(area.pixels)
    step = max(1, min(_STEP, side // _STEPS) // sizes.multiple) * sizes.multiple
    return Bucketing(
        buckets="auto",
        area=area,
        bucket_step=asked.bucket_step or step,
        bucket_minimum=asked.bucket_minimum or max(sizes.minimum, side // 2),
        bucket_maximum=asked.bucket_maximum or min(sizes.maximum, 2 * side),
    )


def _check(bucketing: Bucketing, sizes: PictureSizes) -> None:
    """Refuses buckets that the model does not take."""
    step = bucketing.bucket_step
    if step is not None and step % sizes.multiple:
        raise InvalidInput("--bucket-step", f"is {step}, must be a multiple of {sizes.multiple}")
    buckets = sizes_of(bucketing)
    if not buckets:
        raise InvalidInput("--area", f"is {(bucketing.area or sizes.default).label}: no bucket of it is allowed")
    for size in buckets:
        if not sizes.takes(size):
            option = "--buckets" if step is None else "--bucket-minimum or --bucket-maximum"
            raise InvalidInput(option, f"asks for {size.label}: the model takes {sizes.rule}")
