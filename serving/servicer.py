"""Servicer: one method per RPC: parse, wait, render."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import TypedDict, TypeVar

import grpc
import numpy as np

from serving.batcher import A, Answer, R
from serving.images import Images
from serving.in_flight import Calls
from serving.models import Models, Served
from serving.requests import (
    Accepts,
    DecodingRequest,
    Undecoded,
    parse_decode,
    parse_encode,
    parse_reconstruct,
    parse_sample,
)
from serving.rows import Decoded, Output, Reconstructed
from serving.status import refusal_of
from vae.errors import InvalidInput, ShuttingDown, VaeError
from vae.manifest import Manifest
from vae.tensors import Array, to_float16, to_message
from vae.v1 import vae_pb2 as pb
from vae.v1 import vae_pb2_grpc

_log = logging.getLogger(__name__)

Q = TypeVar("Q")
P = TypeVar("P")
AnyRequest = TypeVar("AnyRequest", bound=pb.EncodeRequest | pb.DecodeRequest | pb.SampleRequest | pb.ReconstructRequest)
Context = grpc.aio.ServicerContext[Q, P]
Method = Callable[["VaeServicer", Q, "Context[Q, P]"], Awaitable[P]]


class _Output(TypedDict, total=False):
    """The member of the oneof that the caller asked for."""

    data: pb.Tensor
    expectation: pb.Tensor
    images: pb.EncodedImages


def _refusing(method: Method[Q, P]) -> Method[Q, P]:
    """Counts a method's calls, and turns its errors into gRPC status."""

    @wraps(method)
    async def answer(self: "VaeServicer", request: Q, context: "Context[Q, P]") -> P:
        self.calls.enter()
        context.add_done_callback(self.calls.leave)  # type: ignore[arg-type]  # the stub wants a class, gRPC any callable
        try:
            if self.calls.closed:
                raise ShuttingDown("the server is shutting down")
            if request is None:
                raise InvalidInput("request", "is no message of the RPC's type")
            return await method(self, request, context)
        except Exception as exc:
            if not isinstance(exc, VaeError):
                _log.exception("%s failed", method.__name__)
            refusal = refusal_of(exc)
        # gRPC keeps the error that abort raises, and with it this frame, until the garbage collector comes by.
        del request
        await context.abort(refusal.code, refusal.message, refusal.trailers)
        raise AssertionError("abort returned. This is a bug.")

    return answer


class VaeServicer(vae_pb2_grpc.VaeServiceServicer):
    """Answers vae.v1.VaeService from the models that are served."""

    def __init__(self, models: Models, images: Images) -> None:
        self._models = models
        self._images = images
        self.calls = Calls()

    @_refusing
    async def GetModel(  # noqa: N802, the names of RPCs are given
        self, request: pb.GetModelRequest, context: "Context[pb.GetModelRequest, pb.GetModelResponse]"
    ) -> pb.GetModelResponse:
        """Describes one model."""
        return pb.GetModelResponse(model=self._models.find(request.model, request.version).description)

    @_refusing
    async def ListModels(  # noqa: N802
        self, request: pb.ListModelsRequest, context: "Context[pb.ListModelsRequest, pb.ListModelsResponse]"
    ) -> pb.ListModelsResponse:
        """Describes every model."""
        return pb.ListModelsResponse(models=self._models.describe())

    @_refusing
    async def Encode(  # noqa: N802
        self, request: pb.EncodeRequest, context: "Context[pb.EncodeRequest, pb.EncodeResponse]"
    ) -> pb.EncodeResponse:
        """Encodes rows of data into their posterior."""
        rows, parts, manifest, timing = await self._run(
            request, context, parse_encode, lambda served: served.encoder.submit
        )
        moments = [part.log_variance for part in parts if part.log_variance is not None]
        return pb.EncodeResponse(
            fingerprint=manifest.fingerprint,
            timing=timing,
            latent=_joined([part.latent for part in parts], "latent", request.dtype),
            log_variance=_joined(moments, "log_variance", request.dtype) if moments else None,
            seed=rows.noise and rows.noise.seed,
        )

    @_refusing
    async def Decode(  # noqa: N802
        self, request: pb.DecodeRequest, context: "Context[pb.DecodeRequest, pb.DecodeResponse]"
    ) -> pb.DecodeResponse:
        """Decodes latents into data."""
        rows, parts, manifest, timing = await self._run(
            request, context, parse_decode, lambda served: served.decoder.submit
        )
        output = await self._output(parts, rows.output, request, manifest)
        return pb.DecodeResponse(fingerprint=manifest.fingerprint, timing=timing, **output)

    @_refusing
    async def Sample(  # noqa: N802
        self, request: pb.SampleRequest, context: "Context[pb.SampleRequest, pb.SampleResponse]"
    ) -> pb.SampleResponse:
        """Draws latents from the prior and decodes them."""
        rows, parts, manifest, timing = await self._run(
            request, context, parse_sample, lambda served: served.decoder.submit
        )
        latent = _joined([part.latent for part in parts], "latent", request.dtype) if request.include_latent else None
        output = await self._output(parts, rows.output, request, manifest)
        return pb.SampleResponse(
            fingerprint=manifest.fingerprint, timing=timing, latent=latent, seed=rows.noise.seed, **output
        )

    @_refusing
    async def Reconstruct(  # noqa: N802
        self, request: pb.ReconstructRequest, context: "Context[pb.ReconstructRequest, pb.ReconstructResponse]"
    ) -> pb.ReconstructResponse:
        """Encodes rows of data, decodes them again, and scores them."""
        rows, parts, manifest, timing = await self._run(
            request, context, parse_reconstruct, lambda served: served.reconstructor.submit
        )
        log_likelihood, kl = (_scores([getattr(part, name) for part in parts]) for name in ("log_likelihood", "kl"))
        elbo = None if log_likelihood is None or kl is None else log_likelihood - kl
        output = await self._output(parts, rows.output, request, manifest)
        return pb.ReconstructResponse(
            fingerprint=manifest.fingerprint,
            timing=timing,
            log_likelihood=_score(log_likelihood),
            kl=_score(kl),
            elbo=_score(elbo),
            squared_error=_score(_join([part.squared_error for part in parts])),
            seed=rows.noise and rows.noise.seed,
            **output,
        )

    async def _run(
        self,
        request: AnyRequest,
        context: "Context[AnyRequest, P]",
        parse: Callable[[AnyRequest, Accepts], R | Undecoded[R]],
        submit: Callable[[Served], Callable[[R, float | None], Awaitable[Answer[A]]]],
    ) -> tuple[R, list[A], Manifest, pb.Timing]:
        """Returns the request's rows, what became of them, the model's manifest, and what it cost."""
        served = self._models.find(request.model, request.version)
        manifest = served.accepts.manifest
        rows = parse(request, served.accepts)
        if isinstance(rows, Undecoded):
            rows = rows.rows(await self._images.decode(rows.images, rows.field, manifest.data))
        answer = await submit(served)(rows, context.time_remaining())
        timing = pb.Timing(
            queued_microseconds=round(answer.queued_seconds * 1e6),
            running_microseconds=round(answer.running_seconds * 1e6),
            batch_rows=answer.batch_rows,
        )
        return rows, answer.parts, manifest, timing

    async def _output(
        self,
        parts: Sequence[Decoded] | Sequence[Reconstructed],
        output: Output,
        request: DecodingRequest,
        manifest: Manifest,
    ) -> _Output:
        """Returns the decoded rows, as the caller asked for them."""
        joined = _join([part.output for part in parts])
        if request.output == pb.DECODE_OUTPUT_PNG:
            return {"images": pb.EncodedImages(images=await self._images.encode(joined, manifest.data))}
        tensor = _tensor(joined, output, request.dtype)
        return {"expectation": tensor} if output == "expectation" else {"data": tensor}


def _scores(parts: Sequence[Array | None]) -> Array | None:
    """Returns a score of all rows, or None where the model has none."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _score(rows: Array | None) -> pb.Tensor | None:
    return None if rows is None else to_message(rows)


def _joined(parts: Sequence[Array], field: str, dtype: int) -> pb.Tensor:
    return _tensor(_join(parts), field, dtype)


def _join(parts: Sequence[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _tensor(rows: Array, field: str, dtype: int) -> pb.Tensor:
    """Returns rows as a message; floating-point ones in the type that the caller asked for."""
    return to_message(to_float16(rows, field) if dtype == pb.DATA_TYPE_FLOAT16 else rows)
