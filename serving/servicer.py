"""Servicer: one method per RPC: parse, wait, render."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import TypeVar

import grpc
import numpy as np

from serving.batcher import A, Answer
from serving.models import Models
from serving.requests import parse_decode, parse_encode, parse_reconstruct, parse_sample
from serving.rows import Decoded, Output, Reconstructed
from serving.status import refusal_of
from vae.errors import InvalidInput, ShuttingDown, VaeError
from vae.tensors import Array, to_message
from vae.v1 import vae_pb2 as pb
from vae.v1 import vae_pb2_grpc

_QUIET_SECONDS = 0.05
_MOST_QUIET_WAITS = 20
_log = logging.getLogger(__name__)

Q = TypeVar("Q")
P = TypeVar("P")
Context = grpc.aio.ServicerContext[Q, P]
Method = Callable[["VaeServicer", Q, "Context[Q, P]"], Awaitable[P]]


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


class Calls:
    """Counts calls from their arrival until gRPC is done with them, so that a server can stop in order."""

    def __init__(self) -> None:
        self.closed = False
        self._arrived = 0
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self) -> None:
        """Counts a call that arrived."""
        self._arrived += 1
        self._in_flight += 1
        self._idle.clear()

    def leave(self, context: object) -> None:
        """Counts a call whose answer was sent, or whose caller left."""
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()

    async def finish(self, timeout_seconds: float) -> bool:
        """Refuses new calls, and waits for those in flight. Returns whether they all were answered in time.

        Calls that gRPC has read and not yet handed over are in flight too, though nobody can count them: so it waits
        until none arrives for a while. Callers who try again without end are not waited for.
        """
        self.closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._idle.wait()
                for _ in range(_MOST_QUIET_WAITS):
                    seen = self._arrived
                    await asyncio.sleep(_QUIET_SECONDS)
                    if self._arrived == seen and self._idle.is_set():
                        break
        return self._idle.is_set()


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

    @_refusing
    async def Reconstruct(  # noqa: N802
        self, request: pb.ReconstructRequest, context: "Context[pb.ReconstructRequest, pb.ReconstructResponse]"
    ) -> pb.ReconstructResponse:
        """Encodes rows of data, decodes them again, and scores them."""
        served = self._models.find(request.model, request.version)
        rows = parse_reconstruct(request, served.accepts)
        answer = await served.reconstructor.submit(rows, context.time_remaining())
        log_likelihood = _scores([part.log_likelihood for part in answer.parts])
        kl = _scores([part.kl for part in answer.parts])
        elbo = None if log_likelihood is None or kl is None else log_likelihood - kl
        scores = {"log_likelihood": log_likelihood, "kl": kl, "elbo": elbo}
        return pb.ReconstructResponse(
            fingerprint=served.accepts.manifest.fingerprint,
            timing=_timing(answer),
            squared_error=_joined([part.squared_error for part in answer.parts]),
            seed=rows.noise and rows.noise.seed,
            **{name: to_message(score) for name, score in scores.items() if score is not None},
            **_output(answer, rows.output),
        )


def _scores(parts: Sequence[Array | None]) -> Array | None:
    """Returns a score of all rows, or None where the model has none."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _output(answer: Answer[Decoded] | Answer[Reconstructed], output: Output) -> dict[Output, pb.Tensor]:
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
