"""Calls: arguments -> requests that fit the server's limits, and the replies -> one result. Does no I/O.

Options are checked at once. The data is checked against the model by `PreparedCall.requests`. Every part of a split
call has the same seed and its own first row, so that the rows do not depend on the split. Parts that were answered by
different pairs are never joined.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import Message

from vaeserve.client.call import PreparedCall, all_that_is_left, as_route, choose_seed
from vaeserve.client.caller_rows import as_rows
from vaeserve.client.description import Model
from vaeserve.client.options import DecodeOutput, EncodeOutput, FloatType, ReconstructLatent, Size
from vaeserve.client.parts import DataPart, MostRows, as_data, bounds_of, split, split_data
from vaeserve.client.picture_sizes import (
    SIZE_FITS,
    join_places,
    parse_size,
    size_message,
    size_of_answer,
    size_of_data,
    size_of_latents,
    size_of_sample,
)
from vaeserve.client.results import (
    Decoded,
    Encoded,
    Reconstructed,
    Sampled,
    join_codes,
    join_floats,
    join_output,
    join_rows,
    latent_shape,
    one_pair,
    total,
)
from vaeserve.client.scalars import choice, integer, positive, text
from vaeserve.errors import CallError, InvalidInput
from vaeserve.rows.noise import HIGHEST_TEMPERATURE, ROW_LIMIT
from vaeserve.rows.size_fit import SizeFit
from vaeserve.v1 import vae_pb2 as pb

Request = TypeVar("Request", bound=Message)

Score = Literal["log_likelihood", "kl", "elbo", "squared_error"]
_ENCODE_OUTPUTS = {
    "mean": pb.ENCODE_OUTPUT_MEAN,
    "sample": pb.ENCODE_OUTPUT_SAMPLE,
    "moments": pb.ENCODE_OUTPUT_MOMENTS,
    "codes": pb.ENCODE_OUTPUT_CODES,
}
_RECONSTRUCT_LATENTS = {"mean": pb.RECONSTRUCT_LATENT_MEAN, "sample": pb.RECONSTRUCT_LATENT_SAMPLE}
_DECODE_OUTPUTS = {
    "data": pb.DECODE_OUTPUT_DATA,
    "expectation": pb.DECODE_OUTPUT_EXPECTATION,
    "png": pb.DECODE_OUTPUT_PNG,
}
_FLOAT_TYPES = {"float32": pb.DATA_TYPE_FLOAT32, "float16": pb.DATA_TYPE_FLOAT16}


def encode(
    data: npt.ArrayLike,
    *,
    output: EncodeOutput = "mean",
    seed: int | None = None,
    first_row: int = 0,
    fit: SizeFit = "exact",
    dtype: FloatType = "float32",
    model: str = "",
    version: int = 0,
) -> PreparedCall[pb.EncodeResponse, Encoded]:
    """Encodes rows of data, [rows, *Model.data.shape] or encoded images."""
    to = as_route(model, version)
    output_kind = choice("output", output, _ENCODE_OUTPUTS)
    rows = as_data(data, "data")
    noise_seed, first = _draw("output", output, seed, first_row, len(rows))
    request = partial(
        pb.EncodeRequest,
        model=to.model,
        version=to.version,
        output=output_kind,
        seed=noise_seed,
        dtype=choice("dtype", dtype, _FLOAT_TYPES),
        fit=choice("fit", fit, SIZE_FITS),
    )
    size = partial(size_of_data, rows, "data", fit)

    def requests(description: Model, most_rows: MostRows = all_that_is_left) -> Iterator[pb.EncodeRequest]:
        parts = split_data(rows, "data", description, request().ByteSize(), most_rows, fit=fit)
        return _numbered(request, parts, noise_seed, first)

    def join(description: Model, replies: Sequence[pb.EncodeResponse]) -> Encoded:
        fingerprint, timing = one_pair(replies), total(replies)
        shape = latent_shape(description, fingerprint, size(description))
        if output == "codes":
            codes, values = join_codes(description, replies, len(rows))
            return Encoded(values.astype(dtype, copy=False), None, None, fingerprint, timing, codes=codes)
        latent = join_floats("latent", [reply.latent for reply in replies], len(rows), dtype, shape)
        log_variance = None
        if output == "moments":
            moments = [reply.log_variance for reply in replies]
            log_variance = join_floats("log_variance", moments, len(rows), dtype, shape)
        return Encoded(latent, log_variance, noise_seed, fingerprint, timing, join_places(replies, len(rows), fit))

    return PreparedCall(to, "Encode", requests, size, join)


def decode(
    latent: npt.ArrayLike | Encoded,
    *,
    output: DecodeOutput = "data",
    fingerprint: str | None = None,
    codes: bool | None = None,
    dtype: FloatType = "float32",
    model: str = "",
    version: int = 0,
) -> PreparedCall[pb.DecodeResponse, Decoded]:
    """Decodes latents or codes, [rows, *Model.latent_shape]; a fingerprint, as of an `Encoded`, insists on one pair."""
    to = as_route(model, version)
    output_kind = choice("output", output, _DECODE_OUTPUTS)
    if isinstance(latent, Encoded):
        fingerprint = latent.fingerprint if fingerprint is None else fingerprint
        codes = latent.codes is not None if codes is None else codes
        latent = latent.codes if codes and latent.codes is not None else latent.latent
    field = "codes" if codes else "latent"
    pair = text("fingerprint", fingerprint or "")
    rows = as_rows(latent, field)
    request = partial(
        pb.DecodeRequest,
        **to._asdict(),
        output=output_kind,
        fingerprint=pair,
        dtype=choice("dtype", dtype, _FLOAT_TYPES),
    )

    size = partial(size_of_latents, rows)

    def requests(description: Model, most_rows: MostRows = all_that_is_left) -> Iterator[pb.DecodeRequest]:
        spec = description.codes_spec(field) if codes else description.latent
        fitting, weight = spec.fit(rows, field), spec.weight(size(description))
        parts = split(fitting, field, description.limits, request().ByteSize(), most_rows, weight=weight)
        return (request(codes=part) if codes else request(latent=part) for _, part in parts)

    def join(description: Model, replies: Sequence[pb.DecodeResponse]) -> Decoded:
        answer_pair, timing = one_pair(replies), total(replies)
        joined = join_output(description, replies, output, dtype, rows=len(rows), size=size(description))
        return Decoded(joined, answer_pair, timing)

    return PreparedCall(to, "Decode", requests, size, join)


def sample(
    count: int,
    *,
    seed: int | None = None,
    first_row: int = 0,
    temperature: float | None = None,
    prior: str = "",
    size: Size | None = None,
    output: DecodeOutput = "data",
    include_latent: bool = False,
    dtype: FloatType = "float32",
    model: str = "",
    version: int = 0,
) -> PreparedCall[pb.SampleResponse, Sampled]:
    """Draws rows first_row to first_row + count - 1 of a seed from a prior and decodes them."""
    to, asked, noise_seed = as_route(model, version), parse_size(size), choose_seed(seed)
    rows = integer("count", count, ROW_LIMIT, minimum=1)
    first = integer("first_row", first_row, ROW_LIMIT - rows + 1)
    size_of = partial(size_of_sample, asked)
    request = partial(
        pb.SampleRequest,
        **to._asdict(),
        seed=noise_seed,
        temperature=None if temperature is None else positive("temperature", temperature, HIGHEST_TEMPERATURE),
        prior=text("prior", prior),
        output=choice("output", output, _DECODE_OUTPUTS),
        include_latent=bool(include_latent),
        dtype=choice("dtype", dtype, _FLOAT_TYPES),
        size=size_message(asked),
    )

    def requests(description: Model, most_rows: MostRows = all_that_is_left) -> Iterator[pb.SampleRequest]:
        bounds = bounds_of(rows, description, size_of(description), most_rows)
        return (request(count=stop - start, first_row=first + start) for start, stop in bounds)

    def join(description: Model, replies: Sequence[pb.SampleResponse]) -> Sampled:
        fingerprint, row_size = one_pair(replies), size_of(description)
        if asked is None:
            row_size = size_of_answer(replies[0], description) or row_size
        joined = join_output(description, replies, output, dtype, rows=rows, size=row_size)
        latents, shape = [reply.latent for reply in replies], latent_shape(description, fingerprint, row_size)
        latent = join_floats("latent", latents, rows, dtype, shape) if include_latent else None
        return Sampled(joined, latent, noise_seed, first, fingerprint, total(replies))

    return PreparedCall(to, "Sample", requests, size_of, join)


def reconstruct(
    data: npt.ArrayLike,
    *,
    latent: ReconstructLatent = "mean",
    seed: int | None = None,
    first_row: int = 0,
    output: DecodeOutput = "data",
    fit: SizeFit = "exact",
    dtype: FloatType = "float32",
    model: str = "",
    version: int = 0,
) -> PreparedCall[pb.ReconstructResponse, Reconstructed]:
    """Encodes rows of data, [rows, *Model.data.shape] or encoded images, decodes and scores them."""
    to = as_route(model, version)
    latent_kind = choice("latent", latent, _RECONSTRUCT_LATENTS)
    rows = as_data(data, "data")
    noise_seed, first = _draw("latent", latent, seed, first_row, len(rows))
    request = partial(
        pb.ReconstructRequest,
        model=to.model,
        version=to.version,
        latent=latent_kind,
        seed=noise_seed,
        output=choice("output", output, _DECODE_OUTPUTS),
        dtype=choice("dtype", dtype, _FLOAT_TYPES),
        fit=choice("fit", fit, SIZE_FITS),
    )
    size = partial(size_of_data, rows, "data", fit)

    def requests(description: Model, most_rows: MostRows = all_that_is_left) -> Iterator[pb.ReconstructRequest]:
        parts = split_data(rows, "data", description, request().ByteSize(), most_rows, fit=fit)
        return _numbered(request, parts, noise_seed, first)

    def join(description: Model, replies: Sequence[pb.ReconstructResponse]) -> Reconstructed:
        joined = join_output(description, replies, output, dtype, rows=len(rows), size=size(description))
        score = partial(_score, replies, rows=len(rows))
        squared_error = score("squared_error")
        if squared_error is None:
            raise CallError("INTERNAL", "the server's reply has no squared_error")
        nats = score("log_likelihood"), score("kl"), score("elbo")
        places = join_places(replies, len(rows), fit)
        return Reconstructed(joined, *nats, squared_error, noise_seed, one_pair(replies), total(replies), places)

    return PreparedCall(to, "Reconstruct", requests, size, join)


def _score(replies: Sequence[pb.ReconstructResponse], name: Score, *, rows: int) -> npt.NDArray[np.float32] | None:
    """Returns one score of every row, float32 [rows]; None if the model does not have it."""
    parts = [getattr(reply, name) for reply in replies if reply.HasField(name)]
    return join_rows(name, parts, rows, "float32", ()).astype(np.float32, copy=False) if parts else None


def _numbered(
    request: Callable[..., Request], parts: Iterator[tuple[int, DataPart]], noise_seed: int | None, first: int
) -> Iterator[Request]:
    """Returns the requests that carry parts of the rows; each has the number of its first row if noise is drawn."""
    return (request(**part, first_row=0 if noise_seed is None else first + offset) for offset, part in parts)


def _draw(field: str, kind: str, seed: int | None, first_row: int, rows: int) -> tuple[int | None, int]:
    """Returns the seed and the first row of a "sample". Everything else draws no noise and takes neither."""
    first = integer("first_row", first_row, ROW_LIMIT - rows + 1)
    if kind == "sample":
        return choose_seed(seed), first
    if seed is not None or first != 0:
        raise InvalidInput(field, f"is {kind!r}, which draws no noise: seed and first_row are for 'sample'")
    return None, 0
