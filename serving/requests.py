"""Requests -> rows that cannot be wrong. Parsing is the validation; nothing behind this file checks again."""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from serving.rows import DataRows, LatentRows, Output, PriorRows, ReconstructRows
from vae.errors import InvalidInput, PreconditionFailed
from vae.manifest import Manifest
from vae.noise import HIGHEST_TEMPERATURE, ROW_LIMIT, RowRange
from vae.tensors import Array, parse_data, parse_latent
from vae.v1 import vae_pb2 as pb

_OUTPUTS: dict[int, Output] = {
    pb.DECODE_OUTPUT_UNSPECIFIED: "data",
    pb.DECODE_OUTPUT_DATA: "data",
    pb.DECODE_OUTPUT_EXPECTATION: "expectation",
}


class Accepts(NamedTuple):
    """What a model takes."""

    manifest: Manifest
    call_rows: int


def parse_encode(request: pb.EncodeRequest, accepts: Accepts) -> DataRows:
    """Returns the rows to encode.

    Raises:
        InvalidInput: a field is wrong.
        PreconditionFailed: the output needs a posterior, and the model has none.
    """
    if request.output not in pb.EncodeOutput.values():
        raise InvalidInput("output", f"{request.output} is no EncodeOutput")
    draws, moments = (request.output == wanted for wanted in (pb.ENCODE_OUTPUT_SAMPLE, pb.ENCODE_OUTPUT_MOMENTS))
    _check_posterior(accepts.manifest, draws or moments)
    data = _data(request, accepts)
    return DataRows(data, log_variance=moments, noise=_addresses(request, len(data)) if draws else None)


def parse_reconstruct(request: pb.ReconstructRequest, accepts: Accepts) -> ReconstructRows:
    """Returns the rows to reconstruct.

    Raises:
        InvalidInput: a field is wrong.
        PreconditionFailed: a draw is wanted, and the model has no posterior.
    """
    if request.latent not in pb.ReconstructLatent.values():
        raise InvalidInput("latent", f"{request.latent} is no ReconstructLatent")
    draws = request.latent == pb.RECONSTRUCT_LATENT_SAMPLE
    _check_posterior(accepts.manifest, draws)
    output = _output(request.output)
    data = _data(request, accepts)
    return ReconstructRows(data, noise=_addresses(request, len(data)) if draws else None, output=output)


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
    output = _output(request.output)
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
    known = [prior.name for prior in accepts.manifest.priors]
    if request.prior and request.prior not in known:
        raise InvalidInput("prior", f"{request.prior[:128]!r} is unknown, must be one of {', '.join(known)}")
    addresses = _addresses(request, request.count)
    return PriorRows(addresses, temperature, _output(request.output), request.include_latent)


def _check_posterior(manifest: Manifest, is_needed: bool) -> None:
    if is_needed and manifest.posterior == "none":
        raise PreconditionFailed("NO_POSTERIOR", f"model {manifest.name} has no posterior, only a mean")


def _data(request: pb.EncodeRequest | pb.ReconstructRequest, accepts: Accepts) -> Array:
    if request.WhichOneof("input") is None:
        raise InvalidInput("data", "is missing")
    _check_rows("data.shape", request.data.shape, accepts.call_rows)
    return parse_data(request.data, "data", accepts.manifest.data)


def _output(number: int) -> Output:
    if number not in _OUTPUTS:
        raise InvalidInput("output", f"{number} is no DecodeOutput")
    return _OUTPUTS[number]


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
