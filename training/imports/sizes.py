"""Sizes: those that a package's pictures may have, from what the pair says and what its importer wants."""

from vaeserve.errors import TrainingError
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.sizes import PictureSize, PictureSizes

LEAST, DEFAULT, MOST = 64, 512, 4096


def sizes_of(
    factor: int,
    sample_size: int | None,
    minimum: int | None = None,
    maximum: int | None = None,
    default: PictureSize | None = None,
) -> PictureSizes:
    """Returns the sizes of a package.

    Args:
        factor: pixels of a side below each place of the latent.
        sample_size: side of the pictures that the pair was trained on; None: it does not say.
        minimum: of a side; None: 64, or two places of the latent.
        maximum: of a side; None: 4096.
        default: what is sampled where no size is named; None: a square of the sample size, or of 512.

    Raises:
        TrainingError: named by the option; they are not multiples of the factor, or contradict each other.
    """
    low = minimum or max(_up(LEAST, factor), 2 * factor)
    high = maximum or max(low, MOST // factor * factor)
    for option, limit in (("--minimum", low), ("--maximum", high)):
        if limit % factor:
            raise TrainingError(f"{option}: is {limit}, must be a multiple of {factor} for this pair")
    if low > high:
        raise TrainingError(f"--maximum: is {high}, must be {low} or more, which is the minimum")
    side = min(max(_up(sample_size or DEFAULT, factor), low), high)
    sizes = PictureSizes(multiple=factor, minimum=low, maximum=high, default=PictureSize(side, side))
    if default is None:
        return sizes
    if not sizes.takes(default):
        raise TrainingError(f"--default-size: is {default.label}, both sides must be {sizes.rule} for this pair")
    return PictureSizes(multiple=factor, minimum=low, maximum=high, default=default)


def trial_sizes(sizes: PictureSizes) -> tuple[PictureSize, ...]:
    """Returns the sizes that are proved and stored: the smallest, and one that is higher than wide."""
    smallest = sizes.smallest
    higher = PictureSize(_up(3 * sizes.minimum // 2, sizes.multiple), sizes.minimum)
    return (smallest, higher) if higher != smallest and sizes.takes(higher) else (smallest,)


def sizes_in(data: DataSpec) -> PictureSizes:
    """Returns the sizes of an imported pair's pictures."""
    if data.sizes is None:
        raise AssertionError("an imported pair takes pictures of any size. This is a bug.")
    return data.sizes


def _up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple
