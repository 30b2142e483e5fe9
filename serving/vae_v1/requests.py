"""Requests -> rows that cannot be wrong. Parsing is the validation; nothing behind this file checks again."""

import secrets
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from serving.engine.rows import DataRows, LatentRows, Output, PriorRows, ReconstructRows
from vaeserve.errors import InvalidInput, PreconditionFailed
from vaeserve.package.manifest import Manifest
from vaeserve.rows.images import takes_images
from vaeserve.rows.noise import HIGHEST_TEMPERATURE, ROW_LIMIT, RowRange
from vaeserve.rows.tensors import Array, parse_data, parse_latent
from vaeserve.v1 import vae_pb2 as pb

_OUTPUTS: dict[int, Output] = {
    pb.DECODE_OUTPUT_UNSPECIFIED: "data",
    pb.DECODE_OUTPUT_DATA: "data",
    pb.DECODE_OUTPUT_EXPECTATION: "expectation",
    pb.DECODE_OUTPUT_PNG: "data",
}
_FLOATS = (pb.DATA_TYPE_UNSPECIFIED, pb.DATA_TYPE_FLOAT32, pb.DATA_TYPE_FLOAT16)

R = TypeVar("R")
AnyRequest = pb.EncodeRequest | pb.DecodeRequest | pb.SampleRequest | pb.ReconstructRequest
DecodingRequest = pb.DecodeRequest | pb.SampleRequest | pb.ReconstructRequest


class Accepts(NamedTuple):
    """What a model takes."""

    manifest: Manifest
    call_rows: int


class Undecoded(NamedTuple, Generic[R]):
    """Rows that came as images, which are not decoded yet."""

    images: Sequence[bytes]
    """At least one, and no more than one call takes."""
    field: str
    """What to call them in an error."""
    rows: Callable[[Array], R]
    """Makes the rows of the decoded images."""

    def __len__(self) -> int:
        return len(self.images)


def parse_encode(request: pb.EncodeRequest, accepts: Accepts) -> DataRows | Undecoded[DataRows]:
    """Returns the rows to encode.

    Raises:
        InvalidInput: a field is wrong.
        PreconditionFailed: the output needs a posterior, and the model has none.
    """
    if request.output not in pb.EncodeOutput.values():
        raise InvalidInput("output", f"{request.output} is no EncodeOutput")
    draws, moments = (request.output == wanted for wanted in (pb.ENCODE_OUTPUT_SAMPLE, pb.ENCODE_OUTPUT_MOMENTS))
    _check_posterior(accepts.manifest, draws or moments)
    _check_dtype(request)
    return _data(
        request,
        accepts,
        lambda data: DataRows(data, log_variance=moments, noise=_addresses(request, len(data)) if draws else None),
    )


def parse_reconstruct(request: pb.ReconstructRequest, accepts: Accepts) -> ReconstructRows | Undecoded[ReconstructRows]:
    """Returns the rows to reconstruct.

    Raises:
        InvalidInput: a field is wrong.
        PreconditionFailed: a draw is wanted, and the model has no posterior.
    """
    if request.latent not in pb.ReconstructLatent.values():
        raise InvalidInput("latent", f"{request.latent} is no ReconstructLatent")
    draws = request.latent == pb.RECONSTRUCT_LATENT_SAMPLE
    _check_posterior(accepts.manifest, draws)
    output = _output(request, accepts)
    return _data(
        request,
        accepts,
        lambda data: ReconstructRows(data, noise=_addresses(request, len(data)) if draws else None, output=output),
    )


def parse_decode(request: pb.DecodeRequest, accepts: Accepts) -> LatentRows:
    """Returns the latents to decode.

    Raises:
        InvalidInput: a field is wrong.
        PreconditionFailed: the latents come from another pair.
    """
    fingerprint = accepts.manifest.fingerprint
    if request.fingerprint and request.fingerprint != fingerprint:
        raise PreconditionFailed(
            "FINGERPRINT_MISMATCH",
            f"the latents come from pair {request.fingerprint[:12]}..., this model is {fingerprint[:12]}...",
        )
    output = _output(request, accepts)
    if not request.HasField("latent"):
        raise InvalidInput("latent", "is missing")
    _check_rows("latent.shape", request.latent.shape, accepts.call_rows)
    return LatentRows(parse_latent(request.latent, "latent", accepts.manifest.latent_shape), output)


def parse_sample(request: pb.SampleRequest, accepts: Accepts) -> PriorRows:
    """Returns the rows to sample.

    Raises:
        InvalidInput: a field is wrong.
    """
    if request.count < 1:
        raise InvalidInput("count", f"is {request.count}, must be at least 1")
    _check_rows("count", [request.count], accepts.call_rows)
    temperature = request.temperature if request.HasField("temperature") else 1.0
    if not 0 < temperature <= HIGHEST_TEMPERATURE:  # NaN compares false
        raise InvalidInput("temperature", f"is {temperature:g}, must lie in (0, {HIGHEST_TEMPERATURE:g}]")
    prior = _prior(request.prior, accepts.manifest)
    addresses = _addresses(request, request.count)
    return PriorRows(addresses, temperature, _output(request, accepts), request.include_latent, prior)


def _prior(name: str, manifest: Manifest) -> str:
    known = [prior.name for prior in manifest.priors]
    if name and name not in known:
        raise InvalidInput("prior", f"{name[:128]!r} is unknown, must be one of {', '.join(known)}")
    return name or manifest.default_prior


def _check_posterior(manifest: Manifest, is_needed: bool) -> None:
    if is_needed and manifest.posterior == "none":
        raise PreconditionFailed("NO_POSTERIOR", f"model {manifest.name} has no posterior, only a mean")


def _check_dtype(request: AnyRequest) -> None:
    if request.dtype not in _FLOATS:
        given = pb.DataType.Name(request.dtype) if request.dtype in pb.DataType.values() else request.dtype
        raise InvalidInput("dtype", f"is {given}, must be DATA_TYPE_FLOAT32 or DATA_TYPE_FLOAT16")


def _data(
    request: pb.EncodeRequest | pb.ReconstructRequest, accepts: Accepts, rows: Callable[[Array], R]
) -> R | Undecoded[R]:
    match request.WhichOneof("input"):
        case "data":
            _check_rows("data.shape", request.data.shape, accepts.call_rows)
            return rows(parse_data(request.data, "data", accepts.manifest.data))
        case "images":
            _check_images("images", accepts.manifest)
            images = request.images.images
            _check_rows("images.images", [len(images)], accepts.call_rows)
            if not images:
                raise InvalidInput("images.images", "has no rows, must have at least 1")
            return Undecoded(images, "images.images", rows)
        case _:
            raise InvalidInput("data", "is missing")


def _output(request: DecodingRequest, accepts: Accepts) -> Output:
    """Returns what the decoder has to answer."""
    _check_dtype(request)
    if request.output not in _OUTPUTS:
        raise InvalidInput("output", f"{request.output} is no DecodeOutput")
    if request.output == pb.DECODE_OUTPUT_PNG:
        _check_images("output", accepts.manifest)
    return _OUTPUTS[request.output]


def _check_images(field: str, manifest: Manifest) -> None:
    if not takes_images(manifest.data):
        rows = f"{manifest.data.kind} rows of shape {list(manifest.data.shape)}"
        raise PreconditionFailed(
            "NOT_IMAGES", f"{field}: model {manifest.name} has {rows}; encoded images have 1, 3 or 4 channels"
        )


def _check_rows(field: str, shape: Sequence[int], limit: int) -> None:
    """Refuses too many rows before anything is done about them."""
    if len(shape) > 0 and shape[0] > limit:
        raise InvalidInput(field, f"asks for {shape[0]} rows, one call takes at most {limit}: split it")


def _addresses(request: pb.EncodeRequest | pb.SampleRequest | pb.ReconstructRequest, rows: int) -> RowRange:
    """Returns where the rows' noise lies. A seed that the caller left open is chosen here."""
    if not 0 <= request.first_row <= ROW_LIMIT - rows:
        raise InvalidInput("first_row", f"is {request.first_row}, must lie in [0, 2^63 - {rows}]")
    seed = request.seed if request.HasField("seed") else secrets.randbits(64)
    return RowRange(seed, request.first_row, rows)
