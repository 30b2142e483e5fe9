"""Turns a call into requests that fit the server's limits, and their replies into one result. Does no I/O.

What needs no model is checked at once, the rest when `Call.requests` meets the model. Every part of a split call
carries the same seed and its own first row, so the rows do not depend on the split; parts answered by different pairs
are never joined.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import Message

from vae.description import Limits, Model
from vae.errors import CallError, InvalidInput
from vae.noise import HIGHEST_TEMPERATURE, ROW_LIMIT
from vae.replies import Decoded, Encoded, Reconstructed, Sampled, join_latents, join_rows, one_pair, total
from vae.scalars import choice, integer, positive, text
from vae.tensors import Array, as_rows, fit_data, fit_latent, to_message
from vae.v1 import vae_pb2 as pb

Reply = TypeVar("Reply", bound=Message)
Result = TypeVar("Result", bound=Encoded | Decoded | Sampled | Reconstructed)

EncodeOutput = Literal["mean", "sample", "moments"]
DecodeOutput = Literal["data", "expectation"]
ReconstructLatent = Literal["mean", "sample"]
Score = Literal["log_likelihood", "kl", "elbo", "squared_error"]
_ENCODE_OUTPUTS = {
    "mean": pb.ENCODE_OUTPUT_MEAN,
    "sample": pb.ENCODE_OUTPUT_SAMPLE,
    "moments": pb.ENCODE_OUTPUT_MOMENTS,
}
_RECONSTRUCT_LATENTS = {"mean": pb.RECONSTRUCT_LATENT_MEAN, "sample": pb.RECONSTRUCT_LATENT_SAMPLE}
_DECODE_OUTPUTS = {"data": pb.DECODE_OUTPUT_DATA, "expectation": pb.DECODE_OUTPUT_EXPECTATION}

_SEED_BITS = 53  # what a JSON number holds exactly, so that a seed survives being written down anywhere
_PART_OVERHEAD = 128  # bytes; more than the tags, lengths, shape and row number around a part's elements can take


class Route(NamedTuple):
    """Which model a call is for."""

    model: str
    """Empty: the server's default."""
    version: int
    """0: the newest."""


class Call(NamedTuple, Generic[Reply, Result]):
    """Everything a client needs to know of a call."""

    route: Route
    method: str
    """Name of the RPC."""
    requests: Callable[[Model], Iterable[Message]]
    """Raises InvalidInput if the call does not fit the model; builds requests as they are asked for."""
    join: Callable[[Model, Sequence[Reply]], Result]
    """Makes the result of the replies, in the order of the requests, which were made for this model."""


def route(model: str, version: int) -> Route:
    """Checks a model's name and version."""
    return Route(text("model", model), integer("version", version, 2**32))


def encode(
    data: npt.ArrayLike, *, output: EncodeOutput, seed: int | None, first_row: int, model: str, version: int
) -> Call[pb.EncodeResponse, Encoded]:
    """Encodes rows of data, [rows, *Model.data.shape]."""
    to = route(model, version)
    wanted = choice("output", output, _ENCODE_OUTPUTS)
    rows = as_rows(data, "data")
    drawn, first = _draw("output", output, seed, first_row, len(rows))
    request = partial(pb.EncodeRequest, model=to.model, version=to.version, output=wanted, seed=drawn)

    def requests(known: Model) -> Iterator[pb.EncodeRequest]:
        parts = _split("data", fit_data(rows, "data", known.data), known.limits, request().ByteSize())
        return (request(data=part, first_row=0 if drawn is None else first + offset) for offset, part in parts)

    def join(known: Model, replies: Sequence[pb.EncodeResponse]) -> Encoded:
        fingerprint, timing = one_pair(replies), total(replies)
        shape = known.latent_shape if fingerprint == known.fingerprint else None
        latent = join_latents("latent", [reply.latent for reply in replies], len(rows), shape)
        log_variance = None
        if output == "moments":
            log_variance = join_latents("log_variance", [reply.log_variance for reply in replies], len(rows), shape)
        return Encoded(latent, log_variance, drawn, fingerprint, timing)

    return Call(to, "Encode", requests, join)


def decode(
    latent: npt.ArrayLike | Encoded, *, output: DecodeOutput, fingerprint: str | None, model: str, version: int
) -> Call[pb.DecodeResponse, Decoded]:
    """Decodes latents, [rows, *Model.latent_shape], insisting on a pair if told one: an `Encoded` tells its own."""
    to = route(model, version)
    wanted = choice("output", output, _DECODE_OUTPUTS)
    if isinstance(latent, Encoded):
        fingerprint = latent.fingerprint if fingerprint is None else fingerprint
        latent = latent.latent
    pair = text("fingerprint", fingerprint or "")
    rows = as_rows(latent, "latent")
    request = partial(pb.DecodeRequest, model=to.model, version=to.version, output=wanted, fingerprint=pair)

    def requests(known: Model) -> Iterator[pb.DecodeRequest]:
        parts = _split("latent", fit_latent(rows, "latent", known.latent_shape), known.limits, request().ByteSize())
        return (request(latent=part) for _, part in parts)

    def join(known: Model, replies: Sequence[pb.DecodeResponse]) -> Decoded:
        answered, timing = one_pair(replies), total(replies)
        return Decoded(_join_output(known, replies, output, len(rows)), answered, timing)

    return Call(to, "Decode", requests, join)


def sample(
    count: int,
    *,
    seed: int | None,
    first_row: int,
    temperature: float | None,
    prior: str,
    output: DecodeOutput,
    include_latent: bool,
    model: str,
    version: int,
) -> Call[pb.SampleResponse, Sampled]:
    """Draws rows first_row to first_row + count - 1 of a seed from a prior and decodes them."""
    to = route(model, version)
    rows = integer("count", count, ROW_LIMIT, least=1)
    first = integer("first_row", first_row, ROW_LIMIT - rows + 1)
    drawn = choose_seed(seed)
    request = partial(
        pb.SampleRequest,
        model=to.model,
        version=to.version,
        seed=drawn,
        temperature=None if temperature is None else positive("temperature", temperature, HIGHEST_TEMPERATURE),
        prior=text("prior", prior),
        output=choice("output", output, _DECODE_OUTPUTS),
        include_latent=bool(include_latent),
    )

    def requests(known: Model) -> Iterator[pb.SampleRequest]:
        step = known.limits.call_rows
        return (request(count=min(step, rows - offset), first_row=first + offset) for offset in range(0, rows, step))

    def join(known: Model, replies: Sequence[pb.SampleResponse]) -> Sampled:
        fingerprint, timing = one_pair(replies), total(replies)
        joined = _join_output(known, replies, output, rows)
        latent = None
        if include_latent:
            shape = known.latent_shape if fingerprint == known.fingerprint else None
            latent = join_latents("latent", [reply.latent for reply in replies], rows, shape)
        return Sampled(joined, latent, drawn, first, fingerprint, timing)

    return Call(to, "Sample", requests, join)


def reconstruct(
    data: npt.ArrayLike,
    *,
    latent: ReconstructLatent,
    seed: int | None,
    first_row: int,
    output: DecodeOutput,
    model: str,
    version: int,
) -> Call[pb.ReconstructResponse, Reconstructed]:
    """Encodes rows of data, [rows, *Model.data.shape], decodes and scores them."""
    to = route(model, version)
    wanted = choice("latent", latent, _RECONSTRUCT_LATENTS)
    rows = as_rows(data, "data")
    drawn, first = _draw("latent", latent, seed, first_row, len(rows))
    decoded = choice("output", output, _DECODE_OUTPUTS)
    request = partial(
        pb.ReconstructRequest, model=to.model, version=to.version, latent=wanted, seed=drawn, output=decoded
    )

    def requests(known: Model) -> Iterator[pb.ReconstructRequest]:
        parts = _split("data", fit_data(rows, "data", known.data), known.limits, request().ByteSize())
        return (request(data=part, first_row=0 if drawn is None else first + offset) for offset, part in parts)

    def join(known: Model, replies: Sequence[pb.ReconstructResponse]) -> Reconstructed:
        def score(name: Score) -> npt.NDArray[np.float32] | None:
            parts = [getattr(reply, name) for reply in replies if reply.HasField(name)]
            return join_latents(name, parts, len(rows), ()) if parts else None

        joined, squared_error = _join_output(known, replies, output, len(rows)), score("squared_error")
        if squared_error is None:
            raise CallError("INTERNAL", "the server's reply holds no squared_error")
        return Reconstructed(
            joined,
            score("log_likelihood"),
            score("kl"),
            score("elbo"),
            squared_error,
            drawn,
            one_pair(replies),
            total(replies),
        )

    return Call(to, "Reconstruct", requests, join)


def _draw(field: str, wanted: str, seed: int | None, first_row: int, rows: int) -> tuple[int | None, int]:
    """Returns the seed and the first row of a "sample"; anything else draws nothing, and takes neither."""
    first = integer("first_row", first_row, ROW_LIMIT - rows + 1)
    if wanted == "sample":
        return choose_seed(seed), first
    if seed is not None or first != 0:
        raise InvalidInput(field, f"is {wanted!r}, which draws no noise: seed and first_row are for 'sample'")
    return None, 0


def _split(field: str, rows: Array, limits: Limits, bare_bytes: int) -> Iterator[tuple[int, pb.Tensor]]:
    """Returns parts that keep a request within both limits, each with its offset.

    Args:
        field: what to call the rows in an error.
        rows: what to split.
        limits: the server's.
        bare_bytes: size of a request without rows.
    """
    row_bytes = rows[0].nbytes
    step = min(limits.call_rows, (limits.request_bytes - bare_bytes - _PART_OVERHEAD) // row_bytes)
    if step < 1:
        raise InvalidInput(
            field, f"takes {row_bytes} bytes a row; the server's limit on a request is {limits.request_bytes}"
        )
    return ((offset, to_message(rows[offset : offset + step])) for offset in range(0, len(rows), step))


def _join_output(
    known: Model,
    replies: Sequence[pb.DecodeResponse] | Sequence[pb.SampleResponse] | Sequence[pb.ReconstructResponse],
    output: DecodeOutput,
    rows: int,
) -> Array:
    """Returns the rows that were decoded. Of a pair that is not the one described, the shape is taken as it comes."""
    is_known = one_pair(replies) == known.fingerprint
    shape = known.data.shape if is_known else None
    if output == "expectation":
        return join_rows(output, [reply.expectation for reply in replies], rows, "float32", shape)
    dtype = known.data.dtype if is_known else None
    return join_rows(output, [reply.data for reply in replies], rows, dtype, shape)


def choose_seed(seed: int | None) -> int:
    """Checks a seed, or picks one: here and not on the server, so that parts and retries draw the same noise."""
    return secrets.randbits(_SEED_BITS) if seed is None else integer("seed", seed, 2**64)
