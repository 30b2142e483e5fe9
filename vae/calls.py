"""Turns a call into requests that fit the server's limits, and their replies into one result. Does no I/O.

Every part of a split call carries the same seed and its own first row, so the rows do not depend on the split; parts
answered by different pairs are never joined.
"""

import operator
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import Message

from vae.description import Model, Route, parse_model
from vae.errors import InvalidInput
from vae.noise import ROW_LIMIT
from vae.replies import Decoded, Encoded, Sampled, join_latents, join_rows, one_pair, total
from vae.tensors import Array, fit_data, fit_latent, to_message
from vae.v1 import vae_pb2 as pb

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)
Result = TypeVar("Result")
Choice = TypeVar("Choice")

EncodeOutput = Literal["mean", "sample", "moments"]
DecodeOutput = Literal["data", "expectation"]
_ENCODE_OUTPUTS = {
    "mean": pb.ENCODE_OUTPUT_MEAN,
    "sample": pb.ENCODE_OUTPUT_SAMPLE,
    "moments": pb.ENCODE_OUTPUT_MOMENTS,
}
_DECODE_OUTPUTS = {"data": pb.DECODE_OUTPUT_DATA, "expectation": pb.DECODE_OUTPUT_EXPECTATION}

_SEED_BITS = 53  # what a JSON number holds exactly, so that a seed survives being written down anywhere
_FLOAT32 = np.finfo(np.float32)  # temperatures travel as such
_TENSOR_OVERHEAD = 128  # bytes; more than the tags, lengths and shape around a tensor's elements can take


class Operation(NamedTuple, Generic[Request, Reply, Result]):
    """Everything a driver needs to know of a call."""

    method: str
    """Name of the RPC."""
    requests: Iterable[Request]
    """Built as they are asked for, so that a large call is not held twice."""
    join: Callable[[Sequence[Reply]], Result]
    """Makes the result of the replies, in the order of the requests."""


class Draw(NamedTuple):
    """What to sample."""

    rows: int
    seed: int | None = None
    """None: one is picked."""
    first_row: int = 0
    temperature: float | None = None
    """None: 1."""
    prior: str = ""
    """Empty: the model's default."""
    output: DecodeOutput = "data"
    include_latent: bool = False


def get_model(route: Route) -> Operation[pb.GetModelRequest, pb.GetModelResponse, Model]:
    """Asks for one model's description."""
    version = _integer("version", route.version, 2**32)
    request = pb.GetModelRequest(model=route.model, version=version)
    return Operation("GetModel", [request], lambda replies: parse_model(replies[0].model))


def list_models() -> Operation[pb.ListModelsRequest, pb.ListModelsResponse, list[Model]]:
    """Asks for every model's description."""
    return Operation(
        "ListModels", [pb.ListModelsRequest()], lambda replies: [parse_model(model) for model in replies[0].models]
    )


def encode(
    model: Model, route: Route, data: npt.ArrayLike, *, output: EncodeOutput, seed: int | None, first_row: int
) -> Operation[pb.EncodeRequest, pb.EncodeResponse, Encoded]:
    """Encodes rows of data, [rows, *model.data.shape].

    Raises:
        InvalidInput: the data does not fit the model, or an option is out of range.
    """
    wanted = _choice(output, _ENCODE_OUTPUTS)
    rows = fit_data(data, "data", model.data)
    first = _integer("first_row", first_row, ROW_LIMIT - len(rows) + 1)
    draws = output == "sample"
    if not draws and (seed is not None or first != 0):
        raise InvalidInput("output", f"is {output!r}, which draws no noise: seed and first_row are for 'sample'")
    seed = _seed(seed) if draws else None
    template = pb.EncodeRequest(model=route.model, version=route.version, output=wanted, seed=seed)

    def request(offset: int, part: pb.Tensor) -> pb.EncodeRequest:
        own = pb.EncodeRequest(data=part, first_row=first + offset if draws else 0)
        own.MergeFrom(template)
        return own

    def join(replies: Sequence[pb.EncodeResponse]) -> Encoded:
        fingerprint, timing = one_pair(replies), total(replies)
        latent = join_latents("latent", [reply.latent for reply in replies], len(rows))
        log_variance = None
        if output == "moments":
            log_variance = join_latents("log_variance", [reply.log_variance for reply in replies], len(rows))
        return Encoded(latent, log_variance, seed, fingerprint, timing)

    return Operation("Encode", _split("data", rows, model, template, request), join)


def decode(
    model: Model, route: Route, latent: npt.ArrayLike | Encoded, *, output: DecodeOutput, fingerprint: str | None
) -> Operation[pb.DecodeRequest, pb.DecodeResponse, Decoded]:
    """Decodes latents, [rows, *model.latent_shape], insisting on a pair if told one: an `Encoded` tells its own.

    Raises:
        InvalidInput: the latents do not fit the model, or an option is out of range.
    """
    wanted = _choice(output, _DECODE_OUTPUTS)
    if isinstance(latent, Encoded):
        fingerprint = latent.fingerprint if fingerprint is None else fingerprint
        latent = latent.latent
    rows = fit_latent(latent, "latent", model.latent_shape)
    template = pb.DecodeRequest(model=route.model, version=route.version, output=wanted, fingerprint=fingerprint or "")

    def request(_: int, part: pb.Tensor) -> pb.DecodeRequest:
        own = pb.DecodeRequest(latent=part)
        own.MergeFrom(template)
        return own

    def join(replies: Sequence[pb.DecodeResponse]) -> Decoded:
        pair, timing = one_pair(replies), total(replies)
        return Decoded(join_rows(output, [_output(reply, output) for reply in replies], len(rows)), pair, timing)

    return Operation("Decode", _split("latent", rows, model, template, request), join)


def sample(model: Model, route: Route, draw: Draw) -> Operation[pb.SampleRequest, pb.SampleResponse, Sampled]:
    """Draws rows first_row to first_row + count - 1 of a seed from a prior and decodes them.

    Raises:
        InvalidInput: an option is out of range.
    """
    count = _integer("count", draw.rows, ROW_LIMIT, least=1)
    first = _integer("first_row", draw.first_row, ROW_LIMIT - count + 1)
    if draw.temperature is not None and not float(_FLOAT32.tiny) <= draw.temperature <= float(_FLOAT32.max):
        raise InvalidInput("temperature", f"is {draw.temperature}, must be finite and above 0")
    template = pb.SampleRequest(
        model=route.model,
        version=route.version,
        seed=_seed(draw.seed),
        temperature=draw.temperature,
        prior=draw.prior,
        output=_choice(draw.output, _DECODE_OUTPUTS),
        include_latent=draw.include_latent,
    )

    def request(offset: int) -> pb.SampleRequest:
        own = pb.SampleRequest(count=min(model.limits.call_rows, count - offset), first_row=first + offset)
        own.MergeFrom(template)
        return own

    def join(replies: Sequence[pb.SampleResponse]) -> Sampled:
        fingerprint, timing = one_pair(replies), total(replies)
        rows = join_rows(draw.output, [_output(reply, draw.output) for reply in replies], count)
        latent = join_latents("latent", [reply.latent for reply in replies], count) if draw.include_latent else None
        return Sampled(rows, latent, template.seed, first, fingerprint, timing)

    return Operation("Sample", map(request, range(0, count, model.limits.call_rows)), join)


def _split(
    field: str, rows: Array, model: Model, template: Message, request: Callable[[int, pb.Tensor], Request]
) -> Iterator[Request]:
    """Returns requests that keep within both limits: `request(offset, tensor)` makes one."""
    room = model.limits.request_bytes - template.ByteSize() - _TENSOR_OVERHEAD
    step = min(model.limits.call_rows, room // rows[0].nbytes)
    if step < 1:
        raise InvalidInput(
            field,
            f"takes {rows[0].nbytes} bytes a row; the server's limit on a request is {model.limits.request_bytes}",
        )
    return (request(offset, to_message(rows[offset : offset + step])) for offset in range(0, len(rows), step))


def _output(reply: pb.DecodeResponse | pb.SampleResponse, output: DecodeOutput) -> pb.Tensor:
    return reply.expectation if output == "expectation" else reply.data


def _seed(seed: int | None) -> int:
    """Checks a seed, or picks one: here and not on the server, so that parts and retries draw the same noise."""
    return secrets.randbits(_SEED_BITS) if seed is None else _integer("seed", seed, 2**64)


def _integer(field: str, value: int, end: int, least: int = 0) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise InvalidInput(field, f"is {value!r}, must be an integer") from None
    if not least <= number < end:
        raise InvalidInput(field, f"is {number}, must lie in [{least}, {end - 1}]")
    return number


def _choice(output: str, choices: Mapping[str, Choice]) -> Choice:
    if output not in choices:
        raise InvalidInput("output", f"is {output!r}, must be one of {', '.join(choices)}")
    return choices[output]
