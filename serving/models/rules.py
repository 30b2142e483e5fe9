"""The rules of a model: what a call may ask of it. Plain functions of plain values, which every protocol shares.

`field` is what the protocol calls the value, for the error that names it.
"""

import secrets

from vaeserve.errors import InvalidInput, PreconditionFailed
from vaeserve.package.manifest import Manifest
from vaeserve.rows.images import takes_images
from vaeserve.rows.noise import HIGHEST_TEMPERATURE, ROW_LIMIT, RowRange


def check_rows(field: str, rows: int, call_rows: int) -> None:
    """Refuses a call of too many rows, before any of them is looked at.

    Raises:
        InvalidInput: one call takes fewer rows.
    """
    if rows > call_rows:
        raise InvalidInput(field, f"asks for {rows} rows, one call takes at most {call_rows}: split it")


def check_posterior(manifest: Manifest) -> None:
    """Refuses a draw, and the log-variance, where the model has only a mean.

    Raises:
        PreconditionFailed: the model has no posterior.
    """
    if manifest.posterior == "none":
        raise PreconditionFailed("NO_POSTERIOR", f"model {manifest.name} has no posterior, only a mean")


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
        rows = f"{manifest.data.kind} rows of shape {list(manifest.data.shape)}"
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
        InvalidInput: the model has no such prior.
    """
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
