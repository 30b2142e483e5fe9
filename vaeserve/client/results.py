"""What a client gets, and how the replies to a call's parts become one of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from vaeserve.client.description import Model
from vaeserve.client.options import DecodeOutput, FloatType
from vaeserve.errors import CallError, InvalidInput
from vaeserve.package.row_spec import Array
from vaeserve.rows.tensors import DATA_TYPES, to_array
from vaeserve.v1 import vae_pb2 as pb

Floats = npt.NDArray[np.float32 | np.float16]
"""float32, or float16 where that was asked for."""
Output = npt.NDArray[Any]
"""Rows [rows, *data.shape]: of the data's type, or floats for "expectation". For "png" objects [rows], each bytes."""

_DTYPES: dict[int, str] = {number: name for name, number in DATA_TYPES.items()}


class Timing(NamedTuple):
    """What a call cost the server: sums over its parts, and the largest batch."""

    queued_seconds: float
    running_seconds: float
    batch_rows: int
    """Rows in the largest batch that held rows of the call, other callers' rows included."""


class Encoded(NamedTuple):
    """Latents of rows of data. Decode them with the pair of this fingerprint alone."""

    latent: Floats
    """[rows, *latent_shape]: the posterior's mean, or a draw if asked for "sample"."""
    log_variance: Floats | None
    """[rows, *latent_shape], for "moments"."""
    seed: int | None
    """Seed of the draw, for "sample"."""
    fingerprint: str
    timing: Timing


class Decoded(NamedTuple):
    """Rows decoded from latents."""

    output: Output
    fingerprint: str
    timing: Timing


class Sampled(NamedTuple):
    """Rows drawn from a prior: first_row, first_row + 1, ... of the seed."""

    output: Output
    latent: Floats | None
    """[count, *latent_shape], if asked for."""
    seed: int
    first_row: int
    fingerprint: str
    timing: Timing


class Reconstructed(NamedTuple):
    """Rows that were encoded and decoded again, and their scores, each float32 [rows]."""

    output: Output
    log_likelihood: npt.NDArray[np.float32] | None
    """Of the data given its latent, in nats; None if the model has no likelihood graph."""
    kl: npt.NDArray[np.float32] | None
    """Of the posterior from N(0, I), in nats; None if the model has no posterior."""
    elbo: npt.NDArray[np.float32] | None
    """log_likelihood - kl: for "sample" an unbiased estimate from one draw; None unless both are there."""
    squared_error: npt.NDArray[np.float32]
    """Of the expectation, summed over the row."""
    seed: int | None
    """Seed of the draw, for "sample"."""
    fingerprint: str
    timing: Timing


class Costed(Protocol):
    """What every reply that came from a model holds."""

    @property
    def fingerprint(self) -> str:
        """Of the pair."""
        ...

    @property
    def timing(self) -> pb.Timing:
        """What it cost."""
        ...


def one_pair(replies: Sequence[Costed]) -> str:
    """Returns the fingerprint of the pair that answered every part.

    Raises:
        CallError: ABORTED; not one pair answered them all.
    """
    fingerprints = {reply.fingerprint for reply in replies}
    if len(fingerprints) > 1:
        raise CallError(
            "ABORTED",
            "the model was replaced while the call's parts ran, so they do not belong together: call again",
            reason="MODEL_REPLACED",
        )
    return fingerprints.pop()


def total(replies: Sequence[Costed]) -> Timing:
    """Returns what a call's parts cost together."""
    return Timing(
        queued_seconds=sum(reply.timing.queued_microseconds for reply in replies) / 1e6,
        running_seconds=sum(reply.timing.running_microseconds for reply in replies) / 1e6,
        batch_rows=max(reply.timing.batch_rows for reply in replies),
    )


def join_rows(
    field: str, parts: Sequence[pb.Tensor], rows: int, dtype: str | None, row_shape: Sequence[int] | None
) -> Array:
    """Returns the rows of all parts, in an array of its own.

    Args:
        field: what to call the rows in an error.
        parts: in order.
        rows: how many were asked for.
        dtype: the element type they must have; that of the first part if None.
        row_shape: the shape that one row must have; that of the first part if None.

    Raises:
        CallError: INTERNAL; they are no arrays of this kind, or not as many rows as were asked for.
    """
    try:
        kind = _DTYPES[parts[0].dtype] if dtype is None else dtype
        shape = parts[0].shape[1:] if row_shape is None else row_shape
        joined = np.concatenate([to_array(part, field, kind, shape) for part in parts])
    except (KeyError, ValueError, InvalidInput) as exc:
        raise CallError("INTERNAL", f"the server's reply holds no usable {field}: {exc}") from exc
    _check_count(field, len(joined), rows)
    return joined


def join_floats(
    field: str, parts: Sequence[pb.Tensor], rows: int, dtype: str, row_shape: Sequence[int] | None
) -> Floats:
    """Returns the floating-point rows of all parts, as `join_rows` does."""
    return join_rows(field, parts, rows, dtype, row_shape).astype(dtype, copy=False)


def join_output(
    known: Model,
    replies: Sequence[pb.DecodeResponse] | Sequence[pb.SampleResponse] | Sequence[pb.ReconstructResponse],
    output: DecodeOutput,
    floats: FloatType,
    rows: int,
) -> Output:
    """Returns the rows that were decoded. Of a pair that is not the one described, the shape is taken as it comes.

    Raises:
        CallError: as `join_rows` does.
    """
    if output == "png":
        return _join_images([reply.images for reply in replies], rows)
    is_known = one_pair(replies) == known.fingerprint
    shape = known.data.shape if is_known else None
    if output == "expectation":
        return join_rows(output, [reply.expectation for reply in replies], rows, floats, shape)
    dtype = (floats if known.data.dtype == "float32" else known.data.dtype) if is_known else None
    return join_rows(output, [reply.data for reply in replies], rows, dtype, shape)


def _join_images(parts: Sequence[pb.EncodedImages], rows: int) -> Output:
    """Returns the PNG files of all parts: objects [rows].

    Raises:
        CallError: INTERNAL; they are not as many as were asked for.
    """
    files = [file for part in parts for file in part.images]
    _check_count("images", len(files), rows)
    joined = np.empty(rows, object)
    joined[:] = files
    return joined


def _check_count(field: str, answered: int, asked: int) -> None:
    if answered != asked:
        raise CallError("INTERNAL", f"the server answered {answered} rows of {field} where {asked} were asked for")
