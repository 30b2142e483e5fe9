"""Results: what a client returns, and how the replies to a call's parts become one result."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from vaeserve.client.description import Model
from vaeserve.client.options import DecodeOutput, FloatType
from vaeserve.errors import CallError, InvalidInput
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.codes import latents_of
from vaeserve.rows.size_fit import PicturePlace
from vaeserve.rows.tensors import DATA_TYPES, to_array
from vaeserve.v1 import vae_pb2 as pb

FloatArray = npt.NDArray[np.float32 | np.float16]
"""float32, or float16 if the call asked for it."""
OutputRows = npt.NDArray[Any]
"""[rows, *data.shape] of the data's type, or floats for "expectation"; for "png" objects [rows], each of them bytes."""

_DTYPES: dict[int, str] = {number: name for name, number in DATA_TYPES.items()}


class Timing(NamedTuple):
    """What a call cost the server: the sums over its parts, and its largest batch."""

    queued_seconds: float
    running_seconds: float
    batch_rows: int
    """Number of rows in the largest batch that held rows of the call, including rows of other callers."""


class Encoded(NamedTuple):
    """Latents of rows of data. Only the pair with this fingerprint can decode them."""

    latent: FloatArray
    """[rows, *latent_shape]: the posterior's mean; for "sample" a draw from it; for "codes" what they stand for."""
    log_variance: FloatArray | None
    """[rows, *latent_shape] for "moments", else None."""
    seed: int | None
    """Seed of the draw for "sample", else None."""
    fingerprint: str
    timing: Timing
    places: tuple[PicturePlace, ...] = ()
    """Where each image lies in its row, for the fits "crop" and "pad"; else empty."""
    codes: npt.NDArray[np.uint16] | None = None
    """[rows, *latent_shape] for "codes", else None."""


class Decoded(NamedTuple):
    """Rows decoded from latents."""

    output: OutputRows
    fingerprint: str
    timing: Timing


class Sampled(NamedTuple):
    """Rows that were drawn from a prior: rows first_row, first_row + 1, ... of the seed."""

    output: OutputRows
    latent: FloatArray | None
    """[count, *latent_shape] if the call asked for it, else None."""
    seed: int
    first_row: int
    fingerprint: str
    timing: Timing


class Reconstructed(NamedTuple):
    """Rows that were encoded and decoded again, and their scores, each float32 [rows]."""

    output: OutputRows
    log_likelihood: npt.NDArray[np.float32] | None
    """Log-likelihood of the data given its latent, in nats; None if the model has no likelihood graph."""
    kl: npt.NDArray[np.float32] | None
    """KL divergence of the posterior from N(0, I), in nats; None if that is not the model's default prior, or the model
    has no posterior.
    """
    elbo: npt.NDArray[np.float32] | None
    """log_likelihood - kl; for "sample" an unbiased estimate from one draw. None if either is None."""
    squared_error: npt.NDArray[np.float32]
    """Squared difference between data and expectation, summed over the row."""
    seed: int | None
    """Seed of the draw for "sample", else None."""
    fingerprint: str
    timing: Timing
    places: tuple[PicturePlace, ...] = ()
    """As of `Encoded`."""


class FromPair(Protocol):
    """What a pair answered: a reply, or a result made of replies."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the pair."""
        ...


class Costed(FromPair, Protocol):
    """A reply that came from a model."""

    @property
    def timing(self) -> pb.Timing:
        """What the call cost."""
        ...


def one_pair(replies: Sequence[Costed]) -> str:
    """Returns the fingerprint of the pair that answered every part.

    Raises:
        CallError: ABORTED; the parts were answered by different pairs.
    """
    fingerprints = {reply.fingerprint for reply in replies}
    if len(fingerprints) > 1:
        raise _replaced("while the parts of the call ran, so they do not belong together")
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
        field: name of the rows in an error.
        parts: the rows, in order.
        rows: number of rows that were asked for.
        dtype: required element type; None: that of the first part.
        row_shape: required shape of one row; None: that of the first part.

    Raises:
        CallError: INTERNAL; the parts are not such arrays, or not as many rows as were asked for.
    """
    try:
        kind = _DTYPES[parts[0].dtype] if dtype is None else dtype
        shape = parts[0].shape[1:] if row_shape is None else row_shape
        joined = np.concatenate([to_array(part, field, kind, shape) for part in parts])
    except (KeyError, ValueError, InvalidInput) as exc:
        raise CallError("INTERNAL", f"the server's reply has no usable {field}: {exc}") from exc
    _check_count(field, len(joined), rows)
    return joined


def join_floats(
    field: str, parts: Sequence[pb.Tensor], rows: int, dtype: str, row_shape: Sequence[int] | None
) -> FloatArray:
    """Returns the floating-point rows of all parts, as `join_rows` does."""
    return join_rows(field, parts, rows, dtype, row_shape).astype(dtype, copy=False)


def join_codes(
    model: Model, replies: Sequence[pb.EncodeResponse], rows: int
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float32]]:
    """Returns the codes of all parts, and the latents that they stand for.

    Raises:
        CallError: as `join_rows` does; or ABORTED, because another pair than the described one answered.
    """
    if model.codes is None or one_pair(replies) != model.fingerprint:
        raise _replaced("before the call ran, so the levels of its codes are not known")
    codes = join_rows("codes", [reply.codes for reply in replies], rows, "uint16", model.latent.shape)
    return codes.astype(np.uint16, copy=False), latents_of(codes, model.codes.levels)


def _replaced(when: str) -> CallError:
    return CallError("ABORTED", f"the model was replaced {when}: call again", reason="MODEL_REPLACED")


def join_output(
    model: Model,
    replies: Sequence[pb.DecodeResponse] | Sequence[pb.SampleResponse] | Sequence[pb.ReconstructResponse],
    output: DecodeOutput,
    floats: FloatType,
    *,
    rows: int,
    size: PictureSize | None,
) -> OutputRows:
    """Returns the decoded rows. If a pair other than the described one answered, any shape is accepted.

    Raises:
        CallError: as `join_rows` does.
    """
    if output == "png":
        return _join_images([reply.images for reply in replies], rows)
    is_same_pair = one_pair(replies) == model.fingerprint
    shape = model.data.at(size).shape if is_same_pair else None
    if output == "expectation":
        return join_rows(output, [reply.expectation for reply in replies], rows, floats, shape)
    dtype = (floats if model.data.dtype == "float32" else model.data.dtype) if is_same_pair else None
    return join_rows(output, [reply.data for reply in replies], rows, dtype, shape)


def latent_shape(model: Model, fingerprint: str, size: PictureSize | None) -> tuple[int, ...] | None:
    """Returns the shape that a row's latent must have, of pictures of a size; None if another pair answered."""
    return model.latent.at(size).shape if fingerprint == model.fingerprint else None


def _join_images(parts: Sequence[pb.EncodedImages], rows: int) -> OutputRows:
    """Returns the PNG files of all parts: objects [rows].

    Raises:
        CallError: INTERNAL; the number of files is wrong.
    """
    files = [file for part in parts for file in part.images]
    _check_count("images", len(files), rows)
    joined = np.empty(rows, object)
    joined[:] = files
    return joined


def _check_count(field: str, answered: int, asked: int) -> None:
    if answered != asked:
        raise CallError("INTERNAL", f"the server answered {answered} rows of {field} where {asked} were asked for")
