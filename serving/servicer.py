"""Servicer: one method per RPC: parse, wait, render."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import TypeVar

import grpc
import numpy as np

from serving.in_flight import Calls
from serving.line import A, Answer, R
from serving.models import Models, Served
from serving.request_ids import follow
from serving.requests import Accepts, parse_decode, parse_encode, parse_reconstruct, parse_sample
from serving.rows import Decoded, Output, Reconstructed
from serving.status import refusal_of
from vae.errors import InvalidInput, ShuttingDown, VaeError
from vae.tensors import Array, to_message
from vae.v1 import vae_pb2 as pb
from vae.v1 import vae_pb2_grpc

_log = logging.getLogger(__name__)

Q = TypeVar("Q")
P = TypeVar("P")
AnyRequest = TypeVar("AnyRequest", bound=pb.EncodeRequest | pb.DecodeRequest | pb.SampleRequest | pb.ReconstructRequest)
Context = grpc.aio.ServicerContext[Q, P]
Method = Callable[["VaeServicer", Q, "Context[Q, P]"], Awaitable[P]]


def _refusing(method: Method[Q, P]) -> Method[Q, P]:
    """Counts a method's calls, and turns its errors into gRPC status."""

    @wraps(method)
    async def answer(self: "VaeServicer", request: Q, context: "Context[Q, P]") -> P:
        self.calls.enter()
        context.add_done_callback(self.calls.leave)  # type: ignore[arg-type]  # the stub wants a class, gRPC any callable
        request_id = follow(method.__name__, context)
        try:
            if self.calls.closed:
                raise ShuttingDown("the server is shutting down")
            if request is None:
                raise InvalidInput("request", "is no message of the RPC's type")
            return await method(self, request, context)
        except Exception as exc:
            refusal = refusal_of(exc)
            if refusal.code is grpc.StatusCode.INTERNAL:
                _log.error("%s failed: %s", method.__name__, exc, exc_info=not isinstance(exc, VaeError))
        # gRPC keeps the error that abort raises, and with it this frame, until the garbage collector comes by.
        del request
        await context.abort(refusal.code, refusal.message, (*refusal.trailers, *request_id.trailers))
        raise AssertionError("abort returned. This is a bug.")

    return answer


class VaeServicer(vae_pb2_grpc.VaeServiceServicer):
    """Answers vae.v1.VaeService from the models that are served."""

    def __init__(self, models: Models) -> None:
        self._models = models
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
        rows, parts, fingerprint, timing = await self._run(
            request, context, parse_encode, lambda served: served.encoder.submit
        )
        moments = [part.log_variance for part in parts if part.log_variance is not None]
        return pb.EncodeResponse(
            fingerprint=fingerprint,
            timing=timing,
            latent=_joined([part.latent for part in parts]),
            log_variance=_joined(moments) if moments else None,
            seed=rows.noise and rows.noise.seed,
        )

    @_refusing
    async def Decode(  # noqa: N802
        self, request: pb.DecodeRequest, context: "Context[pb.DecodeRequest, pb.DecodeResponse]"
    ) -> pb.DecodeResponse:
        """Decodes latents into data."""
        rows, parts, fingerprint, timing = await self._run(
            request, context, parse_decode, lambda served: served.decoder.submit
        )
        return pb.DecodeResponse(fingerprint=fingerprint, timing=timing, **_output(parts, rows.output))

    @_refusing
    async def Sample(  # noqa: N802
        self, request: pb.SampleRequest, context: "Context[pb.SampleRequest, pb.SampleResponse]"
    ) -> pb.SampleResponse:
        """Draws latents from the prior and decodes them."""
        rows, parts, fingerprint, timing = await self._run(
            request, context, parse_sample, lambda served: served.decoder.submit
        )
        latent = _joined([part.latent for part in parts]) if request.include_latent else None
        return pb.SampleResponse(
            fingerprint=fingerprint, timing=timing, latent=latent, seed=rows.noise.seed, **_output(parts, rows.output)
        )

    @_refusing
    async def Reconstruct(  # noqa: N802
        self, request: pb.ReconstructRequest, context: "Context[pb.ReconstructRequest, pb.ReconstructResponse]"
    ) -> pb.ReconstructResponse:
        """Encodes rows of data, decodes them again, and scores them."""
        rows, parts, fingerprint, timing = await self._run(
            request, context, parse_reconstruct, lambda served: served.reconstructor.submit
        )
        log_likelihood, kl = (_scores([getattr(part, name) for part in parts]) for name in ("log_likelihood", "kl"))
        elbo = None if log_likelihood is None or kl is None else log_likelihood - kl
        scores = {"log_likelihood": log_likelihood, "kl": kl, "elbo": elbo}
        return pb.ReconstructResponse(
            fingerprint=fingerprint,
            timing=timing,
            squared_error=_joined([part.squared_error for part in parts]),
            seed=rows.noise and rows.noise.seed,
            **{name: to_message(score) for name, score in scores.items() if score is not None},
            **_output(parts, rows.output),
        )

    async def _run(
        self,
        request: AnyRequest,
        context: "Context[AnyRequest, P]",
        parse: Callable[[AnyRequest, Accepts], R],
        submit: Callable[[Served], Callable[[R, float | None], Awaitable[Answer[A]]]],
    ) -> tuple[R, list[A], str, pb.Timing]:
        """Returns the request's rows, what became of them, the pair's fingerprint, and what it cost."""
        with self._models.find(request.model, request.version) as served:
            rows = parse(request, served.accepts)
            answer = await submit(served)(rows, context.time_remaining())
        timing = pb.Timing(
            queued_microseconds=round(answer.queued_seconds * 1e6),
            running_microseconds=round(answer.running_seconds * 1e6),
            batch_rows=answer.batch_rows,
        )
        return rows, answer.parts, served.accepts.manifest.fingerprint, timing


def _scores(parts: Sequence[Array | None]) -> Array | None:
    """Returns a score of all rows, or None where the model has none."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _output(parts: Sequence[Decoded] | Sequence[Reconstructed], output: Output) -> dict[Output, pb.Tensor]:
    """Returns the member of the oneof that the caller asked for."""
    return {output: _joined([part.output for part in parts])}


def _joined(parts: Sequence[Array]) -> pb.Tensor:
    return to_message(parts[0] if len(parts) == 1 else np.concatenate(parts))
