"""Servicer: one method per RPC: parse, wait, render."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import TypeVar

import grpc
import numpy as np

from serving.batcher import A, Answer
from serving.engine import Array, Decoded, Output
from serving.models import Models
from serving.requests import parse_decode, parse_encode, parse_sample
from serving.status import refusal_of
from vae.errors import VaeError
from vae.tensors import to_message
from vae.v1 import vae_pb2 as pb
from vae.v1 import vae_pb2_grpc

_log = logging.getLogger(__name__)

Q = TypeVar("Q")
P = TypeVar("P")
Context = grpc.aio.ServicerContext[Q, P]
Method = Callable[["VaeServicer", Q, "Context[Q, P]"], Awaitable[P]]


def _refusing(method: Method[Q, P]) -> Method[Q, P]:
    """Turns a method's errors into gRPC status."""

    @wraps(method)
    async def answer(self: "VaeServicer", request: Q, context: "Context[Q, P]") -> P:
        try:
            return await method(self, request, context)
        except Exception as exc:
            if not isinstance(exc, VaeError):
                _log.exception("%s failed", method.__name__)
            refusal = refusal_of(exc)
        await context.abort(refusal.code, refusal.message, refusal.trailers)
        raise AssertionError("abort returned. This is a bug.")

    return answer


class VaeServicer(vae_pb2_grpc.VaeServiceServicer):
    """Answers vae.v1.VaeService from the models that are served."""

    def __init__(self, models: Models) -> None:
        self._models = models

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
        served = self._models.find(request.model, request.version)
        rows = parse_encode(request, served.accepts)
        answer = await served.encoder.submit(rows, context.time_remaining())
        moments = [part.log_variance for part in answer.parts if part.log_variance is not None]
        return pb.EncodeResponse(
            fingerprint=served.accepts.manifest.fingerprint,
            timing=_timing(answer),
            latent=_joined([part.latent for part in answer.parts]),
            log_variance=_joined(moments) if moments else None,
            seed=rows.noise and rows.noise.seed,
        )

    @_refusing
    async def Decode(  # noqa: N802
        self, request: pb.DecodeRequest, context: "Context[pb.DecodeRequest, pb.DecodeResponse]"
    ) -> pb.DecodeResponse:
        """Decodes latents into data."""
        served = self._models.find(request.model, request.version)
        rows = parse_decode(request, served.accepts)
        answer = await served.decoder.submit(rows, context.time_remaining())
        return pb.DecodeResponse(
            fingerprint=served.accepts.manifest.fingerprint, timing=_timing(answer), **_output(answer, rows.output)
        )

    @_refusing
    async def Sample(  # noqa: N802
        self, request: pb.SampleRequest, context: "Context[pb.SampleRequest, pb.SampleResponse]"
    ) -> pb.SampleResponse:
        """Draws latents from the prior and decodes them."""
        served = self._models.find(request.model, request.version)
        rows = parse_sample(request, served.accepts)
        answer = await served.decoder.submit(rows, context.time_remaining())
        return pb.SampleResponse(
            fingerprint=served.accepts.manifest.fingerprint,
            timing=_timing(answer),
            latent=_joined([part.latent for part in answer.parts]) if request.include_latent else None,
            seed=rows.noise.seed,
            **_output(answer, rows.output),
        )


def _output(answer: Answer[Decoded], output: Output) -> dict[Output, pb.Tensor]:
    """Returns the member of the oneof that the caller asked for."""
    return {output: _joined([part.output for part in answer.parts])}


def _joined(parts: Sequence[Array]) -> pb.Tensor:
    return to_message(parts[0] if len(parts) == 1 else np.concatenate(parts))


def _timing(answer: Answer[A]) -> pb.Timing:
    return pb.Timing(
        queued_microseconds=round(answer.queued_seconds * 1e6),
        running_microseconds=round(answer.running_seconds * 1e6),
        batch_rows=answer.batch_rows,
    )
