"""The rules of a model: what a call may ask of it. Plain functions of plain values, which every protocol shares.

`field` is what the protocol calls the value, for the error that names it.
"""

import secrets
from collections.abc import Callable
from math import isqrt

from serving.models.row_memory import SizedGraph
from vaeserve.errors import InvalidInput, PreconditionFailed
from vaeserve.package.manifest import Manifest
from vaeserve.package.row_spec import brief
from vaeserve.package.sizes import PictureSize, PictureSizes
from vaeserve.rows.image_checks import takes_images
from vaeserve.rows.noise import HIGHEST_TEMPERATURE, ROW_LIMIT, RowRange


def check_rows(field: str, rows: int, call_rows: int) -> None:
    """Refuses a call of too many rows, before any of them is looked at.

    Raises:
        InvalidInput: one call takes fewer rows.
    """
    if rows > call_rows:
        raise InvalidInput(field, f"asks for {rows} rows, one call takes at most {call_rows}: split it")


def check_weight(field: str, rows: int, size: PictureSize, sizes: PictureSizes, call_rows: int) -> None:
    """Refuses a call of too many rows where sizes are free. A call of one row is never too large by this rule.

    Args:
        field: what the protocol calls the number of rows.
        rows: number of rows.
        size: of their pictures.
        sizes: those that the model takes.
        call_rows: maximum number of rows of the smallest size.

    Raises:
        InvalidInput: the rows count as more rows of the smallest size than one call takes.
    """
    weight = rows * sizes.weight(size)
    if rows > 1 and weight > call_rows:
        counted = f"asks for {rows} rows of {size}, which count as {weight:,} of {sizes.smallest}"
        raise InvalidInput(field, f"{counted}; one call takes at most {call_rows:,}: split it")


def check_pixels(
    field: str,
    graph: SizedGraph,
    size: PictureSize,
    sizes: PictureSizes,
    *,
    limit_pixels: int,
    bytes_of: Callable[[PictureSize], int] | None = None,
) -> None:
    """Refuses a picture that there is not enough memory for, before any of it is computed.

    Args:
        field: what the protocol calls the picture's size.
        graph: what the picture would go through.
        size: of the picture.
        sizes: those that the model takes.
        limit_pixels: maximum number of pixels; 0: no limit.
        bytes_of: estimates the memory of a row of a size, for the error; 0: not known.

    Raises:
        InvalidInput: the picture is too large.
    """
    if not limit_pixels or size.pixels <= limit_pixels:
        return
    largest = _largest_like(size, sizes, limit_pixels)
    takes, fits = "", f"{largest} would fit"
    if bytes_of is not None and bytes_of(size):
        takes = f", which take about {_memory(bytes_of(size))} in the {graph}"
        fits += f" in {_memory(bytes_of(largest))}"
    raise InvalidInput(field, f"is {size} pixels{takes}; there is memory for {limit_pixels:,} pixels: {fits}")


def _largest_like(size: PictureSize, sizes: PictureSizes, limit_pixels: int) -> PictureSize:
    """Returns the largest size of about the same shape that has at most so many pixels; at least the smallest one."""

    def fitting(side: int, most: int) -> int:
        most = min(most, sizes.maximum)
        return max(sizes.minimum, min(side, most - most % sizes.multiple))

    tallest = limit_pixels // sizes.minimum  # beside which the smallest width fits
    height = fitting(size.height, min(tallest, isqrt(limit_pixels * size.height // size.width)))
    return PictureSize(height, fitting(size.width, limit_pixels // height))


def _memory(count: int) -> str:
    return f"{count / 2**30:.3g} GiB" if count >= 2**30 else f"{count / 2**20:.3g} MiB"


def check_posterior(manifest: Manifest) -> None:
    """Refuses a draw, and the log-variance, where the model has only a mean.

    Raises:
        PreconditionFailed: the model has no posterior.
    """
    if manifest.posterior == "none":
        raise PreconditionFailed("NO_POSTERIOR", f"model {manifest.name} has no posterior, only a mean")


def levels_of(manifest: Manifest) -> tuple[int, ...]:
    """Returns the number of levels of each value of a latent.

    Raises:
        PreconditionFailed: the model has no codes.
    """
    if manifest.codes is None:
        raise PreconditionFailed("NO_CODES", f"model {manifest.name} has no codes, its latents are any numbers")
    return manifest.codes.levels


def check_fingerprint(fingerprint: str, manifest: Manifest) -> None:
    """Refuses latents of another model. An empty fingerprint fits every model.

    Raises:
        PreconditionFailed: the latents were made by another encoder-decoder pair.
    """
    if fingerprint and fingerprint != manifest.fingerprint:
        raise PreconditionFailed(
            "FINGERPRINT_MISMATCH",
            f"the latents come from pair {fingerprint[:12]}..., this model is {manifest.fingerprint[:12]}...",
        )


def check_takes_images(field: str, manifest: Manifest) -> None:
    """Refuses encoded images where a row is not a picture.

    Raises:
        PreconditionFailed: the model's rows cannot be encoded as images.
    """
    if not takes_images(manifest.data):
        rows = f"{manifest.data.kind} rows of shape {brief(manifest.data.axes)}"
        raise PreconditionFailed(
            "NOT_IMAGES", f"{field}: model {manifest.name} has {rows}; encoded images have 1, 3 or 4 channels"
        )


def check_temperature(field: str, temperature: float) -> None:
    """Refuses a temperature that no prior can be sampled at.

    Raises:
        InvalidInput: it is not in (0, HIGHEST_TEMPERATURE].
    """
    if not 0 < temperature <= HIGHEST_TEMPERATURE:  # NaN compares false
        raise InvalidInput(field, f"is {temperature:g}, must lie in (0, {HIGHEST_TEMPERATURE:g}]")


def choose_prior(field: str, name: str, manifest: Manifest) -> str:
    """Returns the name of the prior to sample from. An empty name means the default.

    Raises:
        PreconditionFailed: the model has no prior at all.
        InvalidInput: the model has no such prior.
    """
    if not manifest.priors:
        raise PreconditionFailed("NO_PRIOR", f"model {manifest.name} has no prior, so nothing can be sampled from it")
    names = [prior.name for prior in manifest.priors]
    if name and name not in names:
        raise InvalidInput(field, f"{name[:128]!r} is unknown, must be one of {', '.join(names)}")
    return name or manifest.default_prior


def noise_of(field: str, first_row: int, rows: int, seed: int | None) -> RowRange:
    """Returns the addresses of the rows' noise. A seed that the caller left open is chosen here.

    Raises:
        InvalidInput: the rows have no such numbers.
    """
    if not 0 <= first_row <= ROW_LIMIT - rows:
        raise InvalidInput(field, f"is {first_row}, must lie in [0, 2^63 - {rows}]")
    return RowRange(secrets.randbits(64) if seed is None else seed, first_row, rows)
